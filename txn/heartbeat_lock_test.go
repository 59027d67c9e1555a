package txn

import (
	"testing"
	"testing/synctest"

	"github.com/cairndb/cairn/hlc"
)

// A transaction that comes or goes holds its own lock and wants that of the
// heartbeats. A round of heartbeats that waits for the first must not hold the
// second: the gateway would stand still for good.
func TestARoundOfHeartbeatsWaitsForATransactionWithoutTheirLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := NewDB(Config{Clock: hlc.NewClock(hlc.SystemClock{}, 0), NodeID: 1})
		defer func() { _ = db.Close(t.Context()) }()
		x := db.Begin(Options{Name: "x"})
		db.beats.add(x)
		x.mu.Lock()
		done := make(chan []*Txn)
		go func() { done <- db.beats.due() }()
		synctest.Wait()
		if !db.beats.mu.TryLock() {
			x.mu.Unlock()
			t.Fatal("the round holds the lock that the transaction waits for")
		}
		db.beats.mu.Unlock()
		x.mu.Unlock()
		if due := <-done; len(due) != 0 {
			t.Errorf("%d due; the transaction has just begun", len(due))
		}
		db.beats.remove(x)
	})
}
