package load

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Mutex takes row locks and holds them for a while. Nothing is written to the
// rows, so that no conflict of transactions hides a second holder.
type Mutex struct {
	recorder
	log history.Log[history.Hold]
}

const (
	mutexRows    = 4
	mutexHoldMax = 60 * time.Millisecond
	// One hold in mutexLong lasts up to mutexLongMax, in which leases move.
	mutexLong    = 15
	mutexLongMax = 2 * time.Second
)

func newMutex() *Mutex { return &Mutex{} }

// Create implements Workload.
func (m *Mutex) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn, "CREATE TABLE locks (k int PRIMARY KEY, v int NOT NULL)",
		fmt.Sprintf("INSERT INTO locks SELECT g, 0 FROM generate_series(1, %d) AS g", mutexRows))
}

// Run implements Workload.
func (m *Mutex) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		k := 1 + c.rng.IntN(mutexRows)
		h := history.Hold{Key: history.Key(strconv.Itoa(k)), Shared: c.rng.IntN(3) == 0}
		most := mutexHoldMax
		if c.rng.IntN(mutexLong) == 0 {
			most = mutexLongMax
		}
		c.note(m.hold(ctx, c, k, &h, time.Duration(c.rng.Int64N(int64(most)))))
	})
}

// hold takes the lock, keeps it, and gives it up. The hold lasts until COMMIT is
// sent; that it succeeds says that the lock was there until then.
func (m *Mutex) hold(ctx context.Context, c *client, k int, h *history.Hold, d time.Duration) error {
	strength := "UPDATE"
	if h.Shared {
		strength = "SHARE"
	}
	var released history.Moment
	outcome, err := c.transaction(ctx, "BEGIN", func() error {
		var v int
		if err := c.conn.QueryRow(ctx, "SELECT v FROM locks WHERE k = $1 FOR "+strength, k).Scan(&v); err != nil {
			return err
		}
		h.Op = m.begin(c)
		time.Sleep(d)
		released = m.moments.Now()
		return nil
	})
	if h.Call == 0 {
		return err // it never had it
	}
	m.end(&h.Op, outcome, err)
	if outcome == history.OK {
		h.Return = released
	}
	m.log.Add(*h)
	return err
}

// Final implements Workload: every lock can be had.
func (m *Mutex) Final(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(pgx.Tx) error {
		_, err := conn.Exec(ctx, "SELECT k FROM locks FOR UPDATE NOWAIT")
		return err
	})
}

// Check implements Workload.
func (m *Mutex) Check() error { return asError(check.Mutex(m.log.All())) }

// Tested implements Workload.
func (m *Mutex) Tested() (string, error) {
	n := map[string]int{"exclusive holds": 0, "shared holds": 0}
	for _, h := range m.log.All() {
		switch {
		case h.Outcome != history.OK:
		case h.Shared:
			n["shared holds"]++
		default:
			n["exclusive holds"]++
		}
	}
	return enough(n)
}
