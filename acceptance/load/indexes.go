package load

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Indexes changes random rows of a table with indexes, and compares what a scan
// of the table finds with what scans of the indexes find.
type Indexes struct {
	recorder
	log     history.Log[history.IndexRead]
	changes history.Log[history.Outcome]
	// unused names the indexes that the server did not use when asked to.
	unused []string
}

const (
	indexRows = 60
	// indexChangesMax of a transaction.
	indexChangesMax = 3
)

// indexScans name, for each index, a query of (id, column) that needs it. b has
// an index only while a nemesis gives it one.
var indexScans = []struct{ name, column, query string }{
	{"indexed_a", "a", "SELECT id, a::text FROM indexed WHERE a >= 0"},
	{"indexed_u", "u", "SELECT id, u::text FROM indexed WHERE u >= 0"},
	{"", "b", "SELECT id, b FROM indexed WHERE b >= ''"},
}

func newIndexes() *Indexes { return &Indexes{} }

// Create implements Workload.
func (x *Indexes) Create(ctx context.Context, conn *pgx.Conn) error {
	if err := execAll(ctx, conn, "CREATE TABLE indexed (id int PRIMARY KEY, a int NOT NULL, b text NOT NULL, u int NOT NULL, pad text)",
		"CREATE INDEX indexed_a ON indexed (a)", "CREATE UNIQUE INDEX indexed_u ON indexed (u)"); err != nil {
		return err
	}
	for _, s := range indexScans {
		rows, err := conn.Query(ctx, "EXPLAIN "+s.query)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if !strings.Contains(strings.Join(lines, "\n"), s.name) {
			x.unused = append(x.unused, s.name+": "+strings.Join(lines, " "))
		}
	}
	return nil
}

// readsOfIndexes is one comparison in so many operations.
const readsOfIndexes = 4

// Run implements Workload.
func (x *Indexes) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		if c.rng.IntN(readsOfIndexes) == 0 {
			s := indexScans[c.rng.IntN(len(indexScans))]
			c.note(x.compare(ctx, c.conn, x.begin(c), s.name, s.column, s.query))
			return
		}
		outcome, err := c.transaction(ctx, "BEGIN", func() error {
			for range 1 + c.rng.IntN(indexChangesMax) {
				if err := x.change(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		x.changes.Add(outcome)
		c.note(err)
	})
}

func (x *Indexes) change(ctx context.Context, c *client) error {
	id, a, u := c.rng.IntN(indexRows), c.rng.IntN(20), c.rng.IntN(4*indexRows)
	b := fmt.Sprint("b", c.rng.IntN(9))
	var err error
	switch c.rng.IntN(5) {
	case 0:
		_, err = c.conn.Exec(ctx, "DELETE FROM indexed WHERE id = $1", id)
	case 1:
		_, err = c.conn.Exec(ctx, "UPDATE indexed SET a = $2, b = $3 WHERE id = $1", id, a, b)
	case 2:
		_, err = c.conn.Exec(ctx, "UPDATE indexed SET a = a + 1 WHERE a = $1", a)
	case 3:
		_, err = c.conn.Exec(ctx, "INSERT INTO indexed (id, a, b, u) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET a = excluded.a, u = excluded.u", id, a, b, u)
	default:
		_, err = c.conn.Exec(ctx, "INSERT INTO indexed (id, a, b, u) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", id, a, b, u)
	}
	return err
}

// compare reads the table and one index of it in one snapshot.
func (x *Indexes) compare(ctx context.Context, conn *pgx.Conn, op history.Op, name, column, query string) error {
	r := history.IndexRead{Op: op, Index: column + " " + name}
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(pgx.Tx) error {
		r.OnlyTable, r.OnlyIndex, r.Rows = nil, nil, 0
		inTable, err := idRows(ctx, conn, "SELECT id, "+column+"::text FROM indexed")
		if err != nil {
			return err
		}
		inIndex, err := idRows(ctx, conn, query)
		if err != nil {
			return err
		}
		for row := range inTable {
			if inIndex[row] == 0 {
				r.OnlyTable = append(r.OnlyTable, row)
			}
		}
		for row, n := range inIndex {
			if inTable[row] != n {
				r.OnlyIndex = append(r.OnlyIndex, fmt.Sprintf("%s × %d", row, n))
			}
		}
		r.Rows = len(inTable)
		return nil
	})
	x.end(&r.Op, commitOutcome(err), err)
	x.log.Add(r)
	return err
}

// idRows counts the rows of a query of (id, text).
func idRows(ctx context.Context, conn *pgx.Conn, query string) (map[string]int, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	var id int
	var v string
	_, err = pgx.ForEachRow(rows, []any{&id, &v}, func() error {
		out[fmt.Sprintf("(%d, %s)", id, v)]++
		return nil
	})
	return out, err
}

// Final implements Workload.
func (x *Indexes) Final(ctx context.Context, conn *pgx.Conn) error {
	for _, s := range indexScans {
		if err := x.compare(ctx, conn, x.beginFinal(), s.name, s.column, s.query); err != nil {
			return err
		}
	}
	return nil
}

// Check implements Workload.
func (x *Indexes) Check() error { return asError(check.Index(x.log.All())) }

// Tested implements Workload.
func (x *Indexes) Tested() (string, error) {
	if len(x.unused) > 0 {
		return "", fmt.Errorf("the server does not use the indexes: %s", strings.Join(x.unused, "; "))
	}
	n := map[string]int{"changes": 0, "comparisons": 0}
	for _, o := range x.changes.All() {
		if o == history.OK {
			n["changes"]++
		}
	}
	for _, r := range x.log.All() {
		if r.Outcome == history.OK && r.Client != final {
			n["comparisons"]++
		}
	}
	return enough(n)
}
