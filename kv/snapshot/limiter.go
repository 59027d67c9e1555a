package snapshot

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Limiter paces bytes and bounds how many snapshots run at a time.
type Limiter struct {
	rate   int64
	places chan struct{}
	mu     struct {
		sync.Mutex
		// free is when the bytes let through so far will have passed.
		free time.Time
	}
}

// slack is how far the stream may be ahead of its rate, so that short pauses
// of the sender do not cost throughput.
const slack = 20 * time.Millisecond

// NewLimiter allows bytesPerSecond over all its users, and atOnceMax of them.
func NewLimiter(bytesPerSecond int64, atOnceMax int) *Limiter {
	return &Limiter{rate: bytesPerSecond, places: make(chan struct{}, atOnceMax)}
}

// Acquire waits for one of the places; release gives it back.
func (l *Limiter) Acquire(ctx context.Context) (release func(), err error) {
	select {
	case l.places <- struct{}{}:
		return sync.OnceFunc(func() { <-l.places }), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("snapshot: waiting for a place: %w", ctx.Err())
	}
}

// TryAcquire takes a place if there is one.
func (l *Limiter) TryAcquire() (release func(), ok bool) {
	select {
	case l.places <- struct{}{}:
		return sync.OnceFunc(func() { <-l.places }), true
	default:
		return nil, false
	}
}

// Wait waits until n more bytes may pass.
func (l *Limiter) Wait(ctx context.Context, n int) error {
	d := l.reserve(time.Now(), n)
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("snapshot: paced: %w", ctx.Err())
	}
}

// reserve lets n bytes pass after the returned time.
func (l *Limiter) reserve(now time.Time, n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.free.Before(now) {
		l.mu.free = now
	}
	wait := l.mu.free.Sub(now) - slack
	l.mu.free = l.mu.free.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	return wait
}
