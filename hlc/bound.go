package hlc

import (
	"context"
	"fmt"
	"time"
)

// How far ahead the bound is written and how often. boundAhead is also the
// longest a node waits at a restart after a crash; it must be several times
// boundInterval, or a slow disk makes Now wait.
const (
	boundAhead    = 3 * time.Second
	boundInterval = time.Second
)

// BoundStore keeps the clock's upper bound on disk. WriteClockBound returns
// only when the bound is durable.
type BoundStore interface {
	ReadClockBound() (wallNanos int64, err error)
	WriteClockBound(wallNanos int64) error
}

// Bound maintains the persisted upper bound of a clock (I2).
//
// The bound is what keeps a jump of the wall clock from being used before it is
// noticed: Now waits below it. So it is raised from readings only that were found
// not to have jumped. A bound that followed a jump would be used, and would also keep
// the node from starting again until the time has come that was never there.
type Bound struct {
	clock *Clock
	store BoundStore
	jumps *JumpMonitor
}

// StartBound waits until the clock's wall time has passed the bound found in
// the store, which takes at most boundAhead after a crash unless the wall
// clock was set back, and writes the first bound of this run.
func StartBound(ctx context.Context, clock *Clock, store BoundStore) (*Bound, error) {
	b := &Bound{clock: clock, store: store}
	last, err := store.ReadClockBound()
	if err != nil {
		return nil, fmt.Errorf("read clock bound: %w", err)
	}
	for {
		wait := time.Duration(last - clock.PhysicalNow())
		if wait < 0 {
			// Nothing was used before: what the clock did meanwhile is no jump.
			b.jumps = NewJumpMonitor(clock.wall, clock.maxOffset)
			return b, b.raise()
		}
		if wait > clock.MaxOffset()+boundAhead {
			return nil, fmt.Errorf("the wall clock is %s behind where it was when this store was last used; set it right and start again", wait)
		}
		select {
		case <-time.After(wait + 1):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *Bound) raise() error {
	if _, err := b.jumps.Check(); err != nil {
		return err
	}
	wall := max(b.jumps.Shown(), b.clock.last().WallTime) + int64(boundAhead)
	if err := b.store.WriteClockBound(wall); err != nil {
		return fmt.Errorf("write clock bound: %w", err)
	}
	if err := b.clock.SetBound(wall); err != nil && err != ErrBoundBackwards {
		return err
	}
	return nil
}

// WatchJumps looks at the wall clock more often than Run does, until ctx ends or
// the clock jumps.
func (b *Bound) WatchJumps(ctx context.Context) error { return b.jumps.Run(ctx) }

// Run raises the bound until ctx ends, the store fails, or the clock jumps. On a clean end it
// lowers the stored bound to what was used, so that the next start need not
// wait; the clock must not be used after that.
func (b *Bound) Run(ctx context.Context) error {
	t := time.NewTicker(boundInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := b.raise(); err != nil {
				return err
			}
		}
	}
}

// Release writes the last used timestamp as the bound. The clock must not be
// used after it; Now would block.
func (b *Bound) Release() error {
	last := b.clock.freeze()
	return b.store.WriteClockBound(last.WallTime + 1)
}

func (c *Clock) last() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.last
}

// freeze makes every later Now block and returns the last timestamp.
func (c *Clock) freeze() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound.Store(1)
	return c.mu.last
}
