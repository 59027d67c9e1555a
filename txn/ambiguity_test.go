package txn

import (
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

// TestOutcomeOfACommitsError has a line for every situation a gateway can be
// in after it sent a commit.
func TestOutcomeOfACommitsError(t *testing.T) {
	for _, c := range []struct {
		situation string
		kind      kvapi.ErrorKind
		maybe     bool
		want      outcome
	}{
		{"the answer was lost and a second attempt met the committed record", kvapi.ErrTxnFinished, false, tellCommitted},
		{"the sender could not tell", kvapi.ErrAmbiguous, true, findOut},
		{"the user gave up while the commit was under way", kvapi.ErrCanceled, true, findOut},
		{"the user gave up before anything was sent", kvapi.ErrCanceled, false, tellError},
		{"the connection broke after sending", kvapi.ErrNodeUnreachable, true, findOut},
		{"no replica could be reached", kvapi.ErrUnavailable, false, tellError},
		{"no replica answered, one may have evaluated", kvapi.ErrUnavailable, true, findOut},
		{"a definite refusal", kvapi.ErrConditionFailed, false, tellError},
		{"a definite refusal of one part; others left intents", kvapi.ErrConditionFailed, true, tellError},
		{"refresh failed after a pushed attempt", kvapi.ErrRefreshFailed, false, tellError},
		{"recovery aborted the attempt", kvapi.ErrTxnAborted, false, tellError},
	} {
		if got := outcomeOf(&kvapi.Error{Kind: c.kind, MaybeApplied: c.maybe}); got != c.want {
			t.Errorf("%s: outcome %d, want %d", c.situation, got, c.want)
		}
	}
}

func TestOutcomeOfTheRecord(t *testing.T) {
	for _, c := range []struct {
		situation string
		status    kvapi.TxnStatus
		real      bool
		want      outcome
	}{
		{"explicitly committed", kvapi.Committed, true, tellCommitted},
		{"staging: recover it", kvapi.Staging, true, findOut},
		{"aborted, and the record is there", kvapi.Aborted, true, tellError},
		{"no record, and none can appear: maybe committed, in one phase or resolved and removed", kvapi.Aborted, false, findOut},
		{"pushed in vain: push again", kvapi.Pending, true, findOut},
	} {
		if got := outcomeOfRecord(c.status, c.real); got != c.want {
			t.Errorf("%s: outcome %d, want %d", c.situation, got, c.want)
		}
	}
}
