package load

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Mixed has large transactions, batches of rows that come and go, beside small
// ones that change a few of them. A total is kept along with the batches, so every
// transaction meets every other, and each reader can see whether one is there in
// part: each row of a batch says how many there are, and the total how many in all.
type Mixed struct {
	recorder
	batches atomic.Int64
	log     history.Log[mixedOp]
}

// mixedOp is a batch that was inserted, or a read of all.
type mixedOp struct {
	history.Op
	// Batch is the one inserted; 0 is a read.
	Batch int64
	// Small says that it changed rows of a batch.
	Small bool
	// Wrong is what a read found wrong; Found the batches it saw.
	Wrong []string
	Found map[int64]bool
}

const (
	// mixedRowsMax is the size of a batch, mixedBatches how many there are before
	// old ones are deleted.
	mixedRowsMax  = 1000
	mixedBatches  = 6
	largeOfMixed  = 12
	readsOfMixed  = 8
	mixedCounters = 16
)

func newMixed() *Mixed { return &Mixed{} }

// Create implements Workload.
func (m *Mixed) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn,
		"CREATE TABLE mixed (b bigint, n int, size int NOT NULL, hits int NOT NULL DEFAULT 0, pad text, PRIMARY KEY (b, n))",
		"CREATE INDEX ON mixed (n)",
		"CREATE TABLE mixed_total (one int PRIMARY KEY, size bigint NOT NULL)",
		"INSERT INTO mixed_total VALUES (1, 0)",
		"CREATE TABLE mixed_hits (c int PRIMARY KEY, hits int NOT NULL)",
		fmt.Sprintf("INSERT INTO mixed_hits SELECT g, 0 FROM generate_series(0, %d) AS g", mixedCounters-1))
}

// Run implements Workload.
func (m *Mixed) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		var op mixedOp
		op.Op = m.begin(c)
		var outcome history.Outcome
		var err error
		switch {
		case c.rng.IntN(largeOfMixed) == 0:
			op.Batch = m.batches.Add(1)
			outcome, err = m.large(ctx, c, op.Batch)
		case c.rng.IntN(readsOfMixed) == 0:
			outcome, err = c.transaction(ctx, "BEGIN READ ONLY", func() error { return m.read(ctx, c.conn, &op) })
		default:
			op.Small = true
			outcome, err = m.small(ctx, c)
		}
		m.end(&op.Op, outcome, err)
		m.log.Add(op)
		c.note(err)
	})
}

// large inserts a batch, and deletes an old one if there are many.
func (m *Mixed) large(ctx context.Context, c *client, batch int64) (history.Outcome, error) {
	size := 1 + c.rng.IntN(mixedRowsMax)
	return c.transaction(ctx, "BEGIN", func() error {
		if _, err := c.conn.Exec(ctx, "INSERT INTO mixed SELECT $1, g, $2, 0, repeat('p', 40) FROM generate_series(1, $2) AS g", batch, size); err != nil {
			return err
		}
		change := int64(size)
		if batch > mixedBatches {
			tag, err := c.conn.Exec(ctx, "DELETE FROM mixed WHERE b <= $1", batch-mixedBatches)
			if err != nil {
				return err
			}
			change -= tag.RowsAffected()
		}
		_, err := c.conn.Exec(ctx, "UPDATE mixed_total SET size = size + $1", change)
		return err
	})
}

// small hits one row of each of some batches, and counts that.
func (m *Mixed) small(ctx context.Context, c *client) (history.Outcome, error) {
	n := 1 + c.rng.IntN(mixedRowsMax)
	return c.transaction(ctx, "BEGIN", func() error {
		if _, err := c.conn.Exec(ctx, "UPDATE mixed SET hits = hits + 1 WHERE b = (SELECT max(b) FROM mixed WHERE n = $1) AND n = $1", n); err != nil {
			return err
		}
		_, err := c.conn.Exec(ctx, "UPDATE mixed_hits SET hits = hits + 1 WHERE c = $1", n%mixedCounters)
		return err
	})
}

// read looks at everything in one snapshot.
func (m *Mixed) read(ctx context.Context, conn *pgx.Conn, op *mixedOp) error {
	op.Found = map[int64]bool{}
	rows, err := conn.Query(ctx, "SELECT b, count(*), min(size), max(size), max(n) FROM mixed GROUP BY b")
	if err != nil {
		return err
	}
	var b, count, least, most, last, all int64
	_, err = pgx.ForEachRow(rows, []any{&b, &count, &least, &most, &last}, func() error {
		op.Found[b] = true
		all += count
		if count != least || count != most || count != last {
			op.Wrong = append(op.Wrong, fmt.Sprintf("batch %d has %d rows that say %d to %d, the last is number %d", b, count, least, most, last))
		}
		return nil
	})
	if err != nil {
		return err
	}
	var total int64
	if err := conn.QueryRow(ctx, "SELECT size FROM mixed_total").Scan(&total); err != nil {
		return err
	}
	if total != all {
		op.Wrong = append(op.Wrong, fmt.Sprintf("there are %d rows, and the total says %d", all, total))
	}
	return nil
}

// Final implements Workload.
func (m *Mixed) Final(ctx context.Context, conn *pgx.Conn) error {
	op := mixedOp{Op: m.beginFinal()}
	err := pgx.BeginFunc(ctx, conn, func(pgx.Tx) error { return m.read(ctx, conn, &op) })
	if err != nil {
		return err
	}
	var hits int64
	if err := conn.QueryRow(ctx, "SELECT sum(hits) FROM mixed_hits").Scan(&hits); err != nil {
		return err
	}
	least, most := int64(0), int64(0)
	for _, o := range m.log.All() {
		switch {
		case !o.Small:
		case o.Outcome == history.OK:
			least, most = least+1, most+1
		case o.Outcome == history.Info:
			most++
		}
	}
	if hits < least || hits > most {
		op.Wrong = append(op.Wrong, fmt.Sprintf("%d small transactions are counted, of %d acknowledged and %d of unknown fate", hits, least, most-least))
	}
	m.end(&op.Op, history.OK, nil)
	m.log.Add(op)
	return nil
}

// Check implements Workload.
func (m *Mixed) Check() error {
	ops := m.log.All()
	fate := map[int64]mixedOp{}
	for _, o := range ops {
		if o.Batch != 0 {
			fate[o.Batch] = o
		}
	}
	for _, o := range ops {
		if o.Outcome != history.OK || o.Batch != 0 || o.Small {
			continue
		}
		head := fmt.Sprintf("c%d %s read", o.Client, o.Where)
		if len(o.Wrong) > 0 {
			return &check.Violation{Anomaly: check.HalfBatch, Story: append([]string{head}, o.Wrong...)}
		}
		for b := range o.Found {
			if f := fate[b]; f.Outcome == history.Fail {
				return &check.Violation{Anomaly: check.G1a, Story: []string{head, fmt.Sprintf("batch %d, which was refused: %s", b, f.Err)}}
			}
		}
		if v := lostBatch(head, o, fate); v != nil {
			return v
		}
	}
	return nil
}

// lostBatch finds a batch that a read should have seen: acknowledged before it,
// and too new for anybody to have deleted it.
func lostBatch(head string, read mixedOp, fate map[int64]mixedOp) error {
	newest := int64(0)
	for b, f := range fate {
		if f.Call < read.Return {
			newest = max(newest, b)
		}
	}
	for b, f := range fate {
		if f.Outcome == history.OK && f.Before(&read.Op) && b > newest-mixedBatches && !read.Found[b] {
			return &check.Violation{Anomaly: check.LostWrite, Story: []string{head, fmt.Sprintf("batch %d, acknowledged before it, is not there", b)}}
		}
	}
	return nil
}

// Tested implements Workload.
func (m *Mixed) Tested() (string, error) {
	n := map[string]int{"large": 0, "small": 0, "reads": 0}
	for _, o := range m.log.All() {
		switch {
		case o.Outcome != history.OK || o.Client == final:
		case o.Batch != 0:
			n["large"]++
		case o.Small:
			n["small"]++
		case len(o.Found) > 0:
			n["reads"]++
		}
	}
	return enough(n)
}
