package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Target is a node to connect to.
type Target struct{ Name, URL string }

// Limits of a client.
const (
	// OpMax is how long a client waits for one operation before it hangs up
	// and calls the outcome unknown. It is longer than any pause a test makes.
	OpMax = 40 * time.Second
	// connectMax bounds one attempt to connect: a paused node accepts
	// connections and says nothing.
	connectMax = 3 * time.Second
	// connectPause keeps a client of a dead node from spinning; it doubles up to
	// connectPauseMax.
	connectPause    = 50 * time.Millisecond
	connectPauseMax = 400 * time.Millisecond
)

// client is one worker with one connection at a time.
type client struct {
	id     history.Client
	target Target
	rng    *rand.Rand
	conn   *pgx.Conn
	pulse  *Pulse
	// began is when the operation it is in began.
	began time.Time
	// session is a workload's number for the connection; 0 is a new one.
	session int
	// refused counts conflicts in a row.
	refused int
	// unreached counts connections in a row that could not be made.
	unreached int
	// owner names the rows that only this client uses; 0 is none yet.
	owner int64
}

// crew runs clients against every target until ctx ends. Each finishes the
// operation it is in, so that as few outcomes as possible are unknown.
func crew(ctx context.Context, targets []Target, each int, pulse *Pulse, work func(ctx context.Context, c *client)) {
	var wg sync.WaitGroup
	for i, t := range targets {
		for j := range each {
			c := &client{id: history.Client(i*each + j), target: t, pulse: pulse,
				rng: rand.New(rand.NewPCG(pulse.Seed^uint64(i), uint64(j)))}
			wg.Go(func() { c.run(ctx, work) })
		}
	}
	wg.Wait()
}

func (c *client) run(ctx context.Context, work func(ctx context.Context, c *client)) {
	defer c.hangUp()
	for ctx.Err() == nil {
		if !c.connected(ctx) {
			continue
		}
		op, cancel := context.WithTimeout(context.Background(), OpMax)
		c.began = time.Now()
		work(op, c)
		cancel()
		c.backOff()
		c.rest(ctx)
	}
}

// rest waits for as long as clients of the pulse's pace do, on average.
func (c *client) rest(ctx context.Context) {
	if c.pulse.Pace == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(c.rng.Int64N(int64(2 * c.pulse.Pace)))):
	}
}

// backOffMax is the longest wait after a conflict.
const backOffMax = 200 * time.Millisecond

// backOff waits after conflicts, the longer the more in a row, as clients must:
// those far from the data would never win against those near to it.
func (c *client) backOff() {
	if c.refused > 0 {
		most := min(backOffMax, 5*time.Millisecond<<min(c.refused, 10))
		time.Sleep(time.Duration(c.rng.Int64N(int64(most))))
	}
}

// connected reports whether there is a connection, after trying to make one.
func (c *client) connected(ctx context.Context) bool {
	if c.conn != nil && !c.conn.IsClosed() {
		return true
	}
	attempt, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	conn, err := pgx.Connect(attempt, c.target.URL)
	if err == nil {
		c.conn, c.session, c.unreached = conn, 0, 0
		return true
	}
	select {
	case <-ctx.Done():
	case <-time.After(min(connectPauseMax, connectPause<<min(c.unreached, 10))):
	}
	c.unreached++
	return false
}

func (c *client) hangUp() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.conn.Close(ctx)
}

// note tells the pulse how an operation ended.
func (c *client) note(err error) {
	c.pulse.done(c, c.began, err)
	if isConflict(err) {
		c.refused++
	} else {
		c.refused = 0
	}
	if err != nil {
		c.pulse.Error(c.target.Name, err)
		return
	}
	c.pulse.Answer(c.target.Name)
}

// rollback leaves a transaction that failed.
func (c *client) rollback(ctx context.Context) {
	if !c.conn.IsClosed() {
		if _, err := c.conn.Exec(ctx, "ROLLBACK"); err != nil {
			c.hangUp()
		}
	}
}

// where names the client's node for people.
func (c *client) where() string { return fmt.Sprintf("via %s", c.target.Name) }
