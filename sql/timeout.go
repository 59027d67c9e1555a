package sql

import (
	"context"
	"time"
)

// stmtTimeout is statement_timeout of the statement that runs. Its time goes on from Parse to the end of
// Execute, also while the client has not sent the next message; in a query string each statement has
// its own.
type stmtTimeout struct {
	// deadline is zero while no statement has begun.
	deadline time.Time
	timer    *time.Timer
	// cancel interrupts the present call.
	cancel context.CancelCauseFunc
}

// arm starts the time of a statement, or goes on with it.
func (t *stmtTimeout) arm(limit time.Duration) {
	if limit <= 0 {
		t.deadline = time.Time{}
		return
	}
	now := time.Now()
	if t.deadline.IsZero() {
		t.deadline = now.Add(limit)
	}
	cancel := t.cancel
	if !now.Before(t.deadline) {
		cancel(errTimeout)
		return
	}
	t.timer = time.AfterFunc(t.deadline.Sub(now), func() { cancel(errTimeout) })
}

// rest stops the clock's bell between two calls; the time goes on.
func (t *stmtTimeout) rest() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// over says that the statement has ended.
func (t *stmtTimeout) over() {
	t.rest()
	t.deadline = time.Time{}
}

// begin makes the context of a call that may be cancelled; call the result at its end.
func (s *Session) begin(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.mu.cancel = cancel
	s.mu.Unlock()
	s.timeout.cancel = cancel
	s.timeout.arm(s.vars.statementTimeout)
	s.ec.Ctx = ctx
	return ctx, func() {
		s.timeout.rest()
		s.mu.Lock()
		s.mu.cancel = nil
		s.mu.Unlock()
		cancel(nil)
	}
}
