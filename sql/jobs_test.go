package sql

import (
	"testing"
	"time"
)

// A job takes all of its time if nobody is there whom it could disturb: who waits
// for it is nobody.
func TestWhoIsAtWork(t *testing.T) {
	now := time.Now().UnixNano()
	long, just := now-int64(time.Minute), now-int64(time.Millisecond)
	for _, tc := range []struct {
		what string
		x    SessionState
		want bool
	}{
		{"idle since long", SessionState{SinceNanos: long}, false},
		{"began a statement just now", SessionState{SinceNanos: just}, true},
		{"a long statement", SessionState{SinceNanos: long, Running: true}, true},
		{"waits for a job", SessionState{SinceNanos: long, Running: true, Awaits: true}, false},
		{"has begun to wait for a job", SessionState{SinceNanos: just, Running: true, Awaits: true}, false},
		{"never ran any", SessionState{}, false},
	} {
		tc.x.NowNanos = now
		if got := (&SessionList{Sessions: []SessionState{{NowNanos: now}, tc.x}}).atWork(); got != tc.want {
			t.Errorf("%s: %t", tc.what, got)
		}
	}
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	mustRun(t, s, "select 1")
	if got := srv.backfillShare(t.Context()); got != backfillShareDefault {
		t.Errorf("beside a session that works the share is %d", got)
	}
	srv.quiet.looked = time.Time{}
	s.noteAwaits(true)
	if got := srv.backfillShare(t.Context()); got != 100 {
		t.Errorf("alone the share is %d", got)
	}
}
