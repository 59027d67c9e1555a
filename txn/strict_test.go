package txn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

// behind is the physical clock of a node that is behind.
type behind time.Duration

// WallNanos implements hlc.WallClock.
func (b behind) WallNanos() int64 { return time.Now().UnixNano() - int64(b) }

// Two transactions on two gateways, the second begun after the first has
// ended, with no key in common. By their timestamps they are in the wrong
// order, unless the first is strict.
func TestOnlyAfterAStrictTransactionIsEveryLaterOneAbove(t *testing.T) {
	for _, strict := range []bool{false, true} {
		for _, readOnly := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				const offset = 250 * time.Millisecond
				fast := hlc.NewClock(hlc.SystemClock{}, offset)
				slow := hlc.NewClock(behind(offset-time.Millisecond), offset)
				a := txntest.Over(t, memkv.New(fast, 3), fast)
				b := txntest.Over(t, memkv.New(slow, 3), slow)

				first := a.DB.Begin(txn.Options{})
				first.SetStrict(strict)
				if readOnly {
					get(t, first, "x", "", txn.GetOptions{})
				} else {
					must(t, first.Put(t.Context(), k("x"), []byte("1")))
				}
				must(t, first.Commit(t.Context()))
				second := b.DB.Begin(txn.Options{})
				must(t, second.Put(t.Context(), k("y"), []byte("1")))
				must(t, second.Commit(t.Context()))
				if ordered := first.CommitTimestamp().Less(second.CommitTimestamp()); ordered != strict {
					t.Errorf("strict %v, read only %v: %s then %s", strict, readOnly, first.CommitTimestamp(), second.CommitTimestamp())
				}
			})
		}
	}
}
