package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// DDL has one client at a time change the tables that all the others write to,
// through whichever node it happens to be connected to: any change may meet any
// other that has not ended everywhere, and any write. What must hold:
//
//   - an index has what its table has, whatever was going on when it was built;
//   - a column that is NOT NULL has no NULL, one with a default has it, in rows
//     written by nodes that had not heard of it as well;
//   - rows that were acknowledged are there, those refused are not;
//   - nobody is told of an internal error.
type DDL struct {
	recorder
	rows   history.Log[history.SetOp]
	checks history.Log[history.IndexRead]
	ids    atomic.Int64
	// turn is held by who changes tables.
	turn sync.Mutex
	mu   struct {
		sync.Mutex
		changes map[string]int // that went through, by kind
		// problems are what is wrong already.
		problems []*check.Violation
		// gone are ids that somebody tried to delete: they may be there or not.
		gone map[int64]bool
	}
}

const (
	// ddlTables hold what was acknowledged; one more is truncated and dropped.
	ddlTables = 2
	scratch   = "ddl_scratch"
	// ddlRowsMax is when clients update and delete more than they insert.
	ddlRowsMax = 400
)

func newDDL() *DDL {
	d := &DDL{}
	d.mu.changes, d.mu.gone = map[string]int{}, map[int64]bool{}
	return d
}

func ddlTable(i int64) string { return fmt.Sprintf("ddl%d", i%ddlTables) }

const ddlColumns = "(id bigint PRIMARY KEY, k int NOT NULL, v int NOT NULL, w text NOT NULL)"

// Create implements Workload.
func (d *DDL) Create(ctx context.Context, conn *pgx.Conn) error {
	for i := range int64(ddlTables) {
		if err := execAll(ctx, conn, "CREATE TABLE "+ddlTable(i)+" "+ddlColumns); err != nil {
			return err
		}
	}
	return execAll(ctx, conn, "CREATE TABLE "+scratch+" "+ddlColumns)
}

// change is a kind of schema change; @T is the table. Those with several
// statements undo themselves.
type change struct {
	kind string
	// scratch says that it costs rows.
	scratch bool
	stmts   []string
}

var ddlChanges = []change{
	{"create index", false, []string{"CREATE INDEX IF NOT EXISTS @T_k ON @T (k)"}},
	{"create index", false, []string{"CREATE INDEX IF NOT EXISTS @T_vw ON @T (v, w)"}},
	{"create index", false, []string{"CREATE INDEX IF NOT EXISTS @T_part ON @T (w) WHERE k > 10"}},
	{"create index", false, []string{"CREATE INDEX IF NOT EXISTS @T_sum ON @T ((k + v))"}},
	{"create unique index", false, []string{"CREATE UNIQUE INDEX IF NOT EXISTS @T_once ON @T (k, id)"}},
	{"create index on a new column", false, []string{"CREATE INDEX IF NOT EXISTS @T_c ON @T (c)"}},
	{"drop index", false, []string{"DROP INDEX IF EXISTS @T_k"}},
	{"drop index", false, []string{"DROP INDEX IF EXISTS @T_vw"}},
	{"drop index", false, []string{"DROP INDEX IF EXISTS @T_part"}},
	{"drop index", false, []string{"DROP INDEX IF EXISTS @T_sum"}},
	{"drop index", false, []string{"DROP INDEX IF EXISTS @T_once"}},
	{"add column", false, []string{"ALTER TABLE @T ADD COLUMN IF NOT EXISTS c int NOT NULL DEFAULT 7"}},
	{"add column", false, []string{"ALTER TABLE @T ADD COLUMN IF NOT EXISTS d text DEFAULT 'd'"}},
	{"drop column", false, []string{"ALTER TABLE @T DROP COLUMN IF EXISTS c"}},
	{"drop column", false, []string{"ALTER TABLE @T DROP COLUMN IF EXISTS d"}},
	{"set not null", false, []string{"ALTER TABLE @T ALTER COLUMN d SET NOT NULL"}},
	{"drop not null", false, []string{"ALTER TABLE @T ALTER COLUMN d DROP NOT NULL"}},
	{"alter type", false, []string{"ALTER TABLE @T ALTER COLUMN v TYPE bigint", "ALTER TABLE @T ALTER COLUMN v TYPE int"}},
	{"add check", false, []string{"ALTER TABLE @T ADD CONSTRAINT @T_positive CHECK (k >= 0)"}},
	{"drop check", false, []string{"ALTER TABLE @T DROP CONSTRAINT IF EXISTS @T_positive"}},
	{"rename column", false, []string{"ALTER TABLE @T RENAME COLUMN w TO ww", "ALTER TABLE @T RENAME COLUMN ww TO w"}},
	{"rename table", false, []string{"ALTER TABLE @T RENAME TO @T_away", "ALTER TABLE @T_away RENAME TO @T"}},
	{"transaction", false, []string{"BEGIN; ALTER TABLE @T ADD COLUMN e int DEFAULT 1; CREATE INDEX @T_e ON @T (e); COMMIT",
		"ALTER TABLE @T DROP COLUMN e"}},
	{"taken back", false, []string{"BEGIN; ALTER TABLE @T ADD COLUMN f int DEFAULT 1; CREATE INDEX @T_f ON @T (k); ROLLBACK"}},
	{"truncate", true, []string{"TRUNCATE @T"}},
	{"drop and create", true, []string{"DROP TABLE IF EXISTS @T", "CREATE TABLE IF NOT EXISTS @T " + ddlColumns}},
}

// One operation in so many of a client changes a table, or compares one.
const (
	changesOfDDL = 12
	checksOfDDL  = 10
)

// Run implements Workload.
func (d *DDL) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		switch {
		case c.rng.IntN(changesOfDDL) == 0 && d.turn.TryLock():
			c.note(d.change(ctx, c))
			d.turn.Unlock()
		case c.rng.IntN(checksOfDDL) == 0:
			c.note(d.compare(ctx, c.conn, d.begin(c), d.anyTable(c.rng)))
		default:
			c.note(d.write(ctx, c))
		}
	})
}

func (d *DDL) anyTable(rng *rand.Rand) string {
	if i := rng.Int64N(ddlTables + 1); i < ddlTables {
		return ddlTable(i)
	}
	return scratch
}

// change does a schema change. That it is refused may be its due; whether it was,
// nobody is told who does not ask for it.
func (d *DDL) change(ctx context.Context, c *client) error {
	x := ddlChanges[c.rng.IntN(len(ddlChanges))]
	table := d.anyTable(c.rng)
	if x.scratch {
		table = scratch
	}
	var failed error
	for _, stmt := range x.stmts {
		stmt = strings.ReplaceAll(stmt, "@T", table)
		_, err := c.conn.Exec(ctx, stmt)
		if err == nil {
			d.mu.Lock()
			d.mu.changes[x.kind]++
			d.mu.Unlock()
			continue
		}
		failed = errors.Join(failed, err)
		d.look(err, stmt)
		c.rollback(ctx)
		if c.conn.IsClosed() {
			break
		}
	}
	if isDue(failed) {
		return nil
	}
	return failed
}

// isDue reports whether an error is what changes that meet each other may be told:
// the table or column is there already, or not, or just being changed.
func isDue(err error) bool {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return err == nil
	}
	return strings.HasPrefix(pe.Code, "42") || pe.Code == "55000" || pe.Code == "55006" || pe.Code == "0A000"
}

// look notes what nobody should be told.
func (d *DDL) look(err error, stmt string) {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "XX000" {
		d.broken(check.InternalError, stmt, pe.Error())
	}
}

func (d *DDL) broken(a check.Anomaly, story ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.problems = append(d.mu.problems, &check.Violation{Anomaly: a, Story: story})
}

// write inserts a row, or changes or deletes one.
func (d *DDL) write(ctx context.Context, c *client) error {
	if c.rng.IntN(8) == 0 {
		_, err := c.conn.Exec(ctx, "INSERT INTO "+scratch+" (id, k, v, w) VALUES ($1, $2, 0, 's') ON CONFLICT (id) DO UPDATE SET k = excluded.k",
			c.rng.IntN(ddlRowsMax), c.rng.IntN(20))
		d.look(err, "INSERT INTO "+scratch)
		return dueIsNil(err)
	}
	last := d.ids.Load()
	if last == 0 || c.rng.IntN(3) != 0 && last < ddlRowsMax || c.rng.IntN(4) == 0 {
		return d.insert(ctx, c)
	}
	id := 1 + c.rng.Int64N(last)
	stmt := "UPDATE " + ddlTable(id) + " SET k = $2, v = v + 1, w = w || 'x' WHERE id = $1 AND length(w) < 20"
	args := []any{id, c.rng.IntN(20)}
	switch c.rng.IntN(6) {
	case 0:
		d.mu.Lock()
		d.mu.gone[id] = true
		d.mu.Unlock()
		stmt, args = "DELETE FROM "+ddlTable(id)+" WHERE id = $1", args[:1]
	case 1:
		stmt, args = "UPDATE "+ddlTable(id)+" SET w = 'w' WHERE k = $1", []any{c.rng.IntN(20)}
	}
	_, err := c.conn.Exec(ctx, stmt, args...)
	d.look(err, stmt)
	return dueIsNil(err)
}

// dueIsNil takes a table that is elsewhere just now for an answer.
func dueIsNil(err error) error {
	if isDue(err) {
		return nil
	}
	return err
}

func (d *DDL) insert(ctx context.Context, c *client) error {
	id := d.ids.Add(1)
	op := history.SetOp{Op: d.begin(c), Key: history.Key(ddlTable(id)), Add: history.Value(id), Count: -1}
	stmt := "INSERT INTO " + ddlTable(id) + " (id, k, v, w) VALUES ($1, $2, $3, 'w')"
	_, err := c.conn.Exec(ctx, stmt, id, c.rng.IntN(20), c.rng.IntN(100))
	d.look(err, stmt)
	d.end(&op.Op, commitOutcome(err), err)
	d.rows.Add(op)
	return dueIsNil(err)
}

// compare has the server compare a table with its indexes, and compares two ways
// to read it, and what its columns may be with what they are.
func (d *DDL) compare(ctx context.Context, conn *pgx.Conn, op history.Op, table string) error {
	r := history.IndexRead{Op: op, Index: "all of " + table}
	err := func() error {
		var said string
		if err := conn.QueryRow(ctx, "SELECT cairn.check_table($1)", table).Scan(&said); err != nil {
			return err
		}
		if strings.HasPrefix(said, "diverged") {
			r.OnlyIndex = []string{said}
		}
		r.Rows, r.OnlyTable = 1, nil
		return d.compareColumns(ctx, conn, table)
	}()
	d.look(err, "compare "+table)
	d.end(&r.Op, commitOutcome(err), err)
	d.checks.Add(r)
	return dueIsNil(err)
}

// compareColumns reads in one snapshot what the columns may be and what they are.
func (d *DDL) compareColumns(ctx context.Context, conn *pgx.Conn, table string) error {
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(pgx.Tx) error {
		rows, err := conn.Query(ctx, `SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0
			AND a.attnotnull AND NOT a.attisdropped`, table)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			var nulls int
			if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s IS NULL", table, name)).Scan(&nulls); err != nil {
				return err
			}
			if nulls > 0 {
				d.broken(check.ForbiddenNull, fmt.Sprintf("%s.%s is NOT NULL, and NULL in %d rows", table, name, nulls))
			}
		}
		// Nobody writes c: what is there is the default.
		if slices.Contains(names, "c") {
			var others int
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+table+" WHERE c <> 7").Scan(&others); err != nil {
				return err
			}
			if others > 0 {
				d.broken(check.WrongRead, fmt.Sprintf("%s.c is nothing but its default, and in %d rows something else", table, others))
			}
		}
		return nil
	})
	return err
}

// Final implements Workload.
func (d *DDL) Final(ctx context.Context, conn *pgx.Conn) error {
	for i := range int64(ddlTables) {
		table := ddlTable(i)
		// A change that had not come to its second half is undone.
		_, _ = conn.Exec(ctx, fmt.Sprintf("ALTER TABLE IF EXISTS %s_away RENAME TO %[1]s", table))
		_, _ = conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN ww TO w", table))
		if err := d.compare(ctx, conn, d.beginFinal(), table); err != nil {
			return err
		}
		op := history.SetOp{Op: d.beginFinal(), Key: history.Key(table), Count: -1}
		rows, err := conn.Query(ctx, "SELECT id FROM "+table)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, id := range ids {
			op.Values = append(op.Values, history.Value(id))
		}
		d.end(&op.Op, history.OK, nil)
		d.rows.Add(op)
	}
	return nil
}

// Check implements Workload.
func (d *DDL) Check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.mu.problems) > 0 {
		return d.mu.problems[0]
	}
	if v := check.Index(d.checks.All()); v != nil {
		return v
	}
	// What somebody tried to delete may be gone.
	var ops []history.SetOp
	for _, o := range d.rows.All() {
		if o.Add == history.Absent {
			o.Values = slices.DeleteFunc(slices.Clone(o.Values), func(v history.Value) bool { return d.mu.gone[int64(v)] })
		} else if d.mu.gone[int64(o.Add)] {
			continue
		}
		ops = append(ops, o)
	}
	return asError(check.Sets(check.SetRules{}, ops))
}

// Tested implements Workload.
func (d *DDL) Tested() (string, error) {
	n := map[string]int{"changes": 0, "inserts": 0, "comparisons": 0}
	d.mu.Lock()
	kinds := len(d.mu.changes)
	for _, k := range d.mu.changes {
		n["changes"] += k
	}
	d.mu.Unlock()
	for _, o := range d.rows.All() {
		if o.Add != history.Absent && o.Outcome == history.OK {
			n["inserts"]++
		}
	}
	for _, r := range d.checks.All() {
		if r.Outcome == history.OK && r.Client != final {
			n["comparisons"]++
		}
	}
	text, err := enough(n)
	return fmt.Sprintf("%s, %d kinds of changes", text, kinds), err
}
