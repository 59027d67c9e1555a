package snapshot

import "context"

// Limiter paces bytes and bounds how many snapshots run at a time.
type Limiter struct{}

// NewLimiter allows bytesPerSecond over all its users, and atOnceMax of them.
func NewLimiter(bytesPerSecond int64, atOnceMax int) *Limiter { panic("todo") }

// Acquire waits for one of the places; release gives it back.
func (l *Limiter) Acquire(ctx context.Context) (release func(), err error) { panic("todo") }

// TryAcquire takes a place if there is one.
func (l *Limiter) TryAcquire() (release func(), ok bool) { panic("todo") }

// Wait waits until n more bytes may pass.
func (l *Limiter) Wait(ctx context.Context, n int) error { panic("todo") }
