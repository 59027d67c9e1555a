package txn

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
)

// A transaction that comes or goes holds its own lock and wants that of the
// heartbeats. A round of heartbeats that waits for the first must not hold the
// second: the gateway would stand still for good.
func TestARoundOfHeartbeatsWaitsForATransactionWithoutTheirLock(t *testing.T) {
	// By a clock that stands still no transaction is ever old enough, however slow
	// the machine.
	db := NewDB(Config{Clock: hlc.NewClock(hlc.NewManualClock(time.Now().UnixNano()), 0), NodeID: 1})
	defer func() { _ = db.Close(t.Context()) }()
	x, y := db.Begin(Options{}), db.Begin(Options{})
	db.beats.add(x)
	x.mu.Lock()
	round, others := make(chan []*Txn), make(chan struct{})
	go func() { round <- db.beats.due() }()
	go func() {
		defer close(others)
		for range 1000 { // long enough for the round to have begun
			db.beats.add(y)
			db.beats.remove(y)
			time.Sleep(10 * time.Microsecond)
		}
	}()
	select {
	case <-others:
	case <-time.After(20 * time.Second):
		t.Error("the round holds the lock that other transactions wait for")
	}
	x.mu.Unlock()
	if due := <-round; len(due) != 0 {
		t.Errorf("%d are due; they have just begun", len(due))
	}
	db.beats.remove(x)
}
