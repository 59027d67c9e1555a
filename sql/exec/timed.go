package exec

import (
	"fmt"
	"time"
)

// Timed counts what an operator does, for EXPLAIN ANALYZE. Its plan runs once.
type Timed struct {
	Node
	rows  int64
	loops int64
	spent time.Duration
}

// NewTimed wraps an operator.
func NewTimed(n Node) *Timed { return &Timed{Node: n} }

// Counts are the rows and runs of the operator, and the time spent in it and below.
func (t *Timed) Counts() (rows, loops int64, spent time.Duration) { return t.rows, t.loops, t.spent }

// Actual prints the counts, the time among them if it was asked for.
func (t *Timed) Actual(timing bool) string {
	if t.loops == 0 {
		return " (never executed)"
	}
	if !timing {
		return fmt.Sprintf(" (actual rows=%d loops=%d)", t.rows, t.loops)
	}
	return fmt.Sprintf(" (actual time=%.3f rows=%d loops=%d)", float64(t.spent.Microseconds())/1000, t.rows, t.loops)
}

// Open implements Node.
func (t *Timed) Open(r *Run) (Cursor, error) {
	start := time.Now()
	c, err := t.Node.Open(r)
	t.spent += time.Since(start)
	t.loops++
	return &timedCursor{Cursor: c, t: t}, err
}

type timedCursor struct {
	Cursor
	t *Timed
}

// Next implements Cursor.
func (c *timedCursor) Next() (bool, error) {
	start := time.Now()
	ok, err := c.Cursor.Next()
	c.t.spent += time.Since(start)
	if ok {
		c.t.rows++
	}
	return ok, err
}

// late implements lateCursor.
func (c *timedCursor) late() error {
	if x, ok := c.Cursor.(lateCursor); ok {
		start := time.Now()
		err := x.late()
		c.t.spent += time.Since(start)
		return err
	}
	return nil
}

// Close implements Cursor.
func (c *timedCursor) Close() {
	if c.Cursor != nil {
		c.Cursor.Close()
	}
}
