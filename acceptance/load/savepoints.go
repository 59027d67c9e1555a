package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Savepoints runs transactions with savepoints, rollbacks to them and errors, on
// rows that only their client uses. A client whose transaction's fate is unknown
// goes on with other rows: it may yet happen.
type Savepoints struct {
	recorder
	log    history.Log[history.ModelTxn]
	owners atomic.Int64
	values atomic.Int64
	// rolledBack and refused count what is to be tested.
	rolledBack, refused atomic.Int64
}

const (
	savepointKeys     = 5
	savepointStepsMax = 9
)

func newSavepoints() *Savepoints { return &Savepoints{} }

// Create implements Workload.
func (s *Savepoints) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn, "CREATE TABLE saved (owner bigint, k text, v bigint NOT NULL UNIQUE, PRIMARY KEY (owner, k))")
}

// Run implements Workload.
func (s *Savepoints) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		if c.owner == 0 {
			c.owner = s.owners.Add(1)
		}
		t := history.ModelTxn{Op: s.begin(c)}
		t.Client = history.Client(c.owner)
		outcome, err := c.transaction(ctx, "BEGIN", func() error { return s.steps(ctx, c, &t) })
		s.end(&t.Op, outcome, err)
		s.log.Add(t)
		if outcome == history.Info {
			c.owner = 0
		}
		c.note(err)
	})
}

// steps does random steps and notes those that were answered.
func (s *Savepoints) steps(ctx context.Context, c *client, t *history.ModelTxn) error {
	var open []string
	for i := range 2 + c.rng.IntN(savepointStepsMax) {
		key := fmt.Sprintf("k%d", c.rng.IntN(savepointKeys))
		step := history.ModelStep{Kind: history.ModelKind(c.rng.IntN(6)), Key: history.Key(key)}
		var err error
		switch step.Kind {
		case history.ModelPut:
			step.Value = history.Value(s.values.Add(1))
			_, err = c.conn.Exec(ctx, "INSERT INTO saved VALUES ($1, $2, $3) ON CONFLICT (owner, k) DO UPDATE SET v = excluded.v", c.owner, key, int64(step.Value))
		case history.ModelDelete:
			_, err = c.conn.Exec(ctx, "DELETE FROM saved WHERE owner = $1 AND k = $2", c.owner, key)
		case history.ModelSavepoint:
			name := fmt.Sprintf("s%d", i%3)
			step.Key, open = history.Key(name), append(open, name)
			_, err = c.conn.Exec(ctx, "SAVEPOINT "+name)
		case history.ModelRollback:
			if len(open) == 0 {
				if err := s.refusedInsert(ctx, c, t, key); err != nil {
					return err
				}
				continue
			}
			name := open[len(open)-1]
			step.Key = history.Key(name)
			s.rolledBack.Add(1)
			_, err = c.conn.Exec(ctx, "ROLLBACK TO "+name)
		case history.ModelRelease:
			if len(open) == 0 {
				continue
			}
			step.Key, open = history.Key(open[len(open)-1]), open[:len(open)-1]
			_, err = c.conn.Exec(ctx, "RELEASE "+string(step.Key))
		case history.ModelRead:
			step.Key = ""
			step.Rows, err = s.rows(ctx, c)
		}
		if err != nil {
			return err
		}
		t.Steps = append(t.Steps, step)
	}
	return nil
}

const uniqueViolation = "23505"

// refusedInsert inserts a row twice within a savepoint, and rolls that back.
func (s *Savepoints) refusedInsert(ctx context.Context, c *client, t *history.ModelTxn, key string) error {
	if _, err := c.conn.Exec(ctx, "SAVEPOINT refused"); err != nil {
		return err
	}
	t.Steps = append(t.Steps, history.ModelStep{Kind: history.ModelSavepoint, Key: "refused"})
	for range 2 {
		v := s.values.Add(1)
		_, err := c.conn.Exec(ctx, "INSERT INTO saved VALUES ($1, $2, $3)", c.owner, key, v)
		var pe *pgconn.PgError
		if errors.As(err, &pe) && pe.Code == uniqueViolation {
			s.refused.Add(1)
			break
		}
		if err != nil {
			return err
		}
		t.Steps = append(t.Steps, history.ModelStep{Kind: history.ModelPut, Key: history.Key(key), Value: history.Value(v)})
	}
	if _, err := c.conn.Exec(ctx, "ROLLBACK TO refused"); err != nil {
		return err
	}
	t.Steps = append(t.Steps, history.ModelStep{Kind: history.ModelRollback, Key: "refused"})
	return nil
}

func (s *Savepoints) rows(ctx context.Context, c *client) (map[history.Key]history.Value, error) {
	rows, err := c.conn.Query(ctx, "SELECT k, v FROM saved WHERE owner = $1", c.owner)
	if err != nil {
		return nil, err
	}
	out := map[history.Key]history.Value{}
	var k string
	var v int64
	_, err = pgx.ForEachRow(rows, []any{&k, &v}, func() error {
		out[history.Key(k)] = history.Value(v)
		return nil
	})
	return out, err
}

// Final implements Workload: each client's next transaction would have read what
// there is.
func (s *Savepoints) Final(context.Context, *pgx.Conn) error { return nil }

// Check implements Workload.
func (s *Savepoints) Check() error { return asError(check.Model(s.log.All())) }

// Tested implements Workload.
func (s *Savepoints) Tested() (string, error) {
	n := map[string]int{"transactions": 0, "rollbacks to savepoints": int(s.rolledBack.Load()), "refused inserts": int(s.refused.Load())}
	for _, t := range s.log.All() {
		if t.Outcome == history.OK {
			n["transactions"]++
		}
	}
	return enough(n)
}
