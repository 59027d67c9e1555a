package sql

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The time of a statement goes on while its client says nothing between Parse
// and Execute, and begins anew for the next.
func TestStatementTimeoutCountsFromParseToExecute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var st stmtTimeout
		call := func(d time.Duration) error {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			st.cancel = cancel
			st.arm(100 * time.Millisecond)
			defer st.rest()
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(d):
				return nil
			}
		}
		if err := call(60 * time.Millisecond); err != nil {
			t.Error("Parse:", err)
		}
		time.Sleep(time.Second)
		if err := call(time.Millisecond); err != errTimeout {
			t.Error("after the time was over:", err)
		}
		st.over()
		for range 2 {
			if err := call(60 * time.Millisecond); err != nil {
				t.Error("a statement of its own:", err)
			}
			st.over()
		}
		if err := call(200 * time.Millisecond); err != errTimeout {
			t.Error("a long statement:", err)
		}
	})
}
