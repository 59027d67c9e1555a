package hlc

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// WallClock is a source of physical time in nanoseconds since the Unix epoch.
// It may jump; the hybrid clock above it does not.
type WallClock interface {
	WallNanos() int64
}

// SystemClock reads the operating system's wall clock.
type SystemClock struct{}

// WallNanos implements WallClock.
func (SystemClock) WallNanos() int64 { return time.Now().UnixNano() }

// ManualClock is a WallClock that moves only when told to. It is safe for
// concurrent use.
type ManualClock struct{ nanos atomic.Int64 }

// NewManualClock returns a manual clock that shows nanos.
func NewManualClock(nanos int64) *ManualClock {
	m := &ManualClock{}
	m.nanos.Store(nanos)
	return m
}

// WallNanos implements WallClock.
func (m *ManualClock) WallNanos() int64 { return m.nanos.Load() }

// Advance moves the clock by d, which may be negative.
func (m *ManualClock) Advance(d time.Duration) { m.nanos.Add(int64(d)) }

// Set makes the clock show nanos.
func (m *ManualClock) Set(nanos int64) { m.nanos.Store(nanos) }

// SkewedClock shows its base clock moved by an offset that tests may change
// at any time. It is safe for concurrent use.
type SkewedClock struct {
	Base   WallClock
	offset atomic.Int64
}

// WallNanos implements WallClock.
func (s *SkewedClock) WallNanos() int64 { return s.Base.WallNanos() + s.offset.Load() }

// SetOffset makes the clock run ahead of its base by d (behind, if negative).
func (s *SkewedClock) SetOffset(d time.Duration) { s.offset.Store(int64(d)) }

// Offset returns what SetOffset was last given.
func (s *SkewedClock) Offset() time.Duration { return time.Duration(s.offset.Load()) }

// Clock is a hybrid logical clock. All methods are safe for concurrent use.
type Clock struct {
	wall      WallClock
	maxOffset time.Duration
	// bound is the persisted upper bound in wall nanoseconds, 0 if the clock
	// has none. Now never returns a timestamp at or above it (I2).
	bound atomic.Int64

	mu struct {
		sync.Mutex
		// last is the largest timestamp handed out or taken in.
		last Timestamp
		// boundMoved is closed and replaced whenever the bound rises.
		boundMoved chan struct{}
	}
}

// NewClock returns a clock over wall. maxOffset is the largest difference
// between any two clocks of the cluster that its guarantees allow for.
func NewClock(wall WallClock, maxOffset time.Duration) *Clock {
	c := &Clock{wall: wall, maxOffset: maxOffset}
	c.mu.boundMoved = make(chan struct{})
	return c
}

// MaxOffset returns the cluster's maximum clock offset.
func (c *Clock) MaxOffset() time.Duration { return c.maxOffset }

// PhysicalNow returns the wall clock as it is, in nanoseconds; it may go
// backwards. Durations, not orders, are what it is good for.
func (c *Clock) PhysicalNow() int64 { return c.wall.WallNanos() }

// Now returns a timestamp larger than every one returned or taken in before
// (I1). It blocks while the persisted bound is reached, which only happens
// when the disk that holds the bound has stalled for seconds.
func (c *Clock) Now() ClockTimestamp {
	for {
		c.mu.Lock()
		phys := c.wall.WallNanos()
		next := c.mu.last
		if phys > next.WallTime {
			next = Timestamp{WallTime: phys}
		} else {
			next = next.Next()
		}
		if b := c.bound.Load(); b == 0 || next.WallTime < b {
			c.mu.last = next
			c.mu.Unlock()
			return ClockTimestamp(next)
		}
		moved := c.mu.boundMoved
		c.mu.Unlock()
		<-moved
	}
}

// Update takes in a reading of another node's clock, so that every later Now
// is larger (the receive rule of Kulkarni et al., 2014). Readings come only
// from ClockTimestamp channels, see doc.go. A reading farther ahead of the
// local wall clock than the maximum offset is refused with an
// OffsetError, and changes nothing.
func (c *Clock) Update(remote ClockTimestamp) error {
	if ahead := remote.WallTime - c.wall.WallNanos(); c.maxOffset > 0 && ahead > int64(c.maxOffset) {
		return &OffsetError{Ahead: time.Duration(ahead), Max: c.maxOffset}
	}
	c.mu.Lock()
	c.mu.last.Forward(Timestamp(remote))
	c.mu.Unlock()
	return nil
}

// OffsetError says that a remote clock reading was refused.
type OffsetError struct{ Ahead, Max time.Duration }

// Error implements error.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("remote clock is ahead by %s, more than the maximum offset of %s", e.Ahead, e.Max)
}

// ErrBoundBackwards is returned by SetBound for a bound below the current one.
var ErrBoundBackwards = errors.New("hlc: the persisted upper bound must not go backwards")

// SetBound raises the persisted upper bound to wallNanos. The caller has made
// it durable before the call (I2).
func (c *Clock) SetBound(wallNanos int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wallNanos < c.bound.Load() {
		return ErrBoundBackwards
	}
	c.bound.Store(wallNanos)
	close(c.mu.boundMoved)
	c.mu.boundMoved = make(chan struct{})
	return nil
}
