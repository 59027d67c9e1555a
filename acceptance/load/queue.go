package load

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Queue is a table of jobs that clients add to and take from with SKIP LOCKED,
// in a serializable statement, or, as job queues do, in a transaction that is
// READ COMMITTED.
type Queue struct {
	recorder
	log        history.Log[history.QueueOp]
	values     atomic.Int64
	put, taken atomic.Int64
	// ended says that what is left was read.
	ended bool
}

// queueMax is how many jobs may wait before nobody adds one.
const queueMax = 60

func newQueue() *Queue { return &Queue{} }

// Create implements Workload.
func (q *Queue) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn, "CREATE TABLE jobs (id bigint PRIMARY KEY, what text)")
}

// Run implements Workload.
func (q *Queue) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		waiting := q.put.Load() - q.taken.Load()
		if waiting < queueMax && c.rng.IntN(2) == 0 {
			c.note(q.enqueue(ctx, c))
			return
		}
		c.note(q.dequeue(ctx, c, c.rng.IntN(2) == 0))
	})
}

func (q *Queue) enqueue(ctx context.Context, c *client) error {
	op := history.QueueOp{Op: q.begin(c), Kind: history.Enqueue, Value: history.Value(q.values.Add(1))}
	_, err := c.conn.Exec(ctx, "INSERT INTO jobs VALUES ($1, 'work')", int64(op.Value))
	q.end(&op.Op, commitOutcome(err), err)
	q.log.Add(op)
	if err == nil {
		q.put.Add(1)
	}
	return err
}

func (q *Queue) dequeue(ctx context.Context, c *client, oneStatement bool) error {
	op := history.QueueOp{Op: q.begin(c), Kind: history.Dequeue}
	var id int64
	var outcome history.Outcome
	var err error
	if oneStatement {
		err = c.conn.QueryRow(ctx, `DELETE FROM jobs WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
			RETURNING id`).Scan(&id)
		if err == pgx.ErrNoRows {
			err = nil
		}
		if outcome = commitOutcome(err); outcome == history.Info {
			id = 0 // what came before the end of the answer is no answer
		}
	} else {
		outcome, err = c.transaction(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED", func() error {
			err := c.conn.QueryRow(ctx, "SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED").Scan(&id)
			if err == pgx.ErrNoRows {
				return nil
			}
			if err != nil {
				return err
			}
			_, err = c.conn.Exec(ctx, "DELETE FROM jobs WHERE id = $1", id)
			return err
		})
	}
	op.Value = history.Value(id)
	q.end(&op.Op, outcome, err)
	q.log.Add(op)
	if outcome == history.OK && id != 0 {
		q.taken.Add(1)
	}
	return err
}

// Final implements Workload.
func (q *Queue) Final(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT id FROM jobs")
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, id := range ids {
		op := history.QueueOp{Op: q.beginFinal(), Kind: history.Left, Value: history.Value(id)}
		q.end(&op.Op, history.OK, nil)
		q.log.Add(op)
	}
	q.ended = err == nil
	return err
}

// Check implements Workload.
func (q *Queue) Check() error {
	if !q.ended {
		return nil // what is gone may be left
	}
	return asError(check.Queue(q.log.All()))
}

// Tested implements Workload.
func (q *Queue) Tested() (string, error) {
	n := map[string]int{"put": 0, "taken": 0}
	for _, o := range q.log.All() {
		switch {
		case o.Outcome != history.OK || o.Value == history.Absent:
		case o.Kind == history.Enqueue:
			n["put"]++
		case o.Kind == history.Dequeue:
			n["taken"]++
		}
	}
	return enough(n)
}
