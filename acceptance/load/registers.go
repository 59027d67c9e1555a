package load

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Registers reads and writes single rows, each statement its own transaction.
type Registers struct {
	// Keys are in use at a time. After registerUses operations on each they are
	// left for others, to keep the search for an order short.
	Keys    int
	Log     history.Log[history.RegisterOp]
	counter history.Counter
	values  atomic.Int64
	begun   atomic.Int64
	// last holds for each key the value last seen or written, so that
	// compare-and-set has a chance.
	last sync.Map
}

const registerUses = 150

// Create makes the table.
func (r *Registers) Create(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "CREATE TABLE registers (k int PRIMARY KEY, v bigint NOT NULL)")
	return err
}

// Run works on every target until ctx ends.
func (r *Registers) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		op := r.choose(c)
		op.Call = r.counter.Now()
		err := r.do(ctx, c.conn, &op)
		op.Return = r.counter.Now()
		op.Outcome, op.Err = commitOutcome(err), text(err)
		if op.Outcome == history.Info {
			op.Return = history.Never
		}
		r.Log.Add(op)
		r.remember(&op)
		c.note(err)
	})
}

// choose makes up an operation: half reads, and writes by two kinds of
// statement.
func (r *Registers) choose(c *client) history.RegisterOp {
	op := history.RegisterOp{Op: history.Op{Client: c.id, Where: c.where()},
		Key: history.Key(strconv.Itoa(r.generation()*r.Keys + c.rng.IntN(r.Keys)))}
	switch c.rng.IntN(4) {
	case 0:
		op.Kind, op.Value = history.Write, history.Value(r.values.Add(1))
	case 1:
		op.Kind, op.Value = history.CompareAndSet, history.Value(r.values.Add(1))
		op.Expected = history.Value(-1)
		if v, ok := r.last.Load(op.Key); ok {
			op.Expected = v.(history.Value)
		}
	}
	return op
}

// generation counts how often the keys were changed.
func (r *Registers) generation() int { return int(r.begun.Add(1)) / (registerUses * r.Keys) }

func (r *Registers) remember(op *history.RegisterOp) {
	changed := op.Kind != history.CompareAndSet || op.Swapped
	if op.Outcome == history.OK && changed && op.Value != history.Absent {
		r.last.Store(op.Key, op.Value)
	}
}

func (r *Registers) do(ctx context.Context, conn *pgx.Conn, op *history.RegisterOp) error {
	key, err := strconv.Atoi(string(op.Key))
	if err != nil {
		return err
	}
	switch op.Kind {
	case history.Read:
		var v int64
		err := conn.QueryRow(ctx, "SELECT v FROM registers WHERE k = $1", key).Scan(&v)
		if err == pgx.ErrNoRows {
			op.Value, err = history.Absent, nil
			return err
		}
		op.Value = history.Value(v)
		return err
	case history.Write:
		_, err := conn.Exec(ctx, "INSERT INTO registers VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v", key, int64(op.Value))
		return err
	case history.CompareAndSet:
		tag, err := conn.Exec(ctx, "UPDATE registers SET v = $3 WHERE k = $1 AND v = $2", key, int64(op.Expected), int64(op.Value))
		op.Swapped = tag.RowsAffected() == 1
		return err
	}
	return fmt.Errorf("no operation %d", op.Kind)
}
