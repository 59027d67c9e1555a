package rangecache

import (
	"context"
	"time"
)

// backoff pauses between attempts, longer each time. It has no jitter: the
// callers that wait here were not started by one event.
type backoff struct {
	next  time.Duration
	total time.Duration
}

// wait pauses and returns the context's error if it ends first.
func (b *backoff) wait(ctx context.Context) error {
	b.next = min(max(2*b.next, backoffMin), backoffMax)
	b.total += b.next
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
