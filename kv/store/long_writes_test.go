package store

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func TestALongWriteHoldsClosingBack(t *testing.T) {
	at := func(s float64) hlc.Timestamp { return hlc.Timestamp{WallTime: int64(s * 1e9)} }
	clock := func(s float64) hlc.ClockTimestamp { return hlc.ClockTimestamp{WallTime: int64(s * 1e9)} }
	txn := func(id byte, s float64) *kvapi.Transaction {
		return &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{id}, WriteTimestamp: at(s)}, HasFlushed: true}
	}
	var l longWrites
	below := func(now float64) hlc.Timestamp { return l.below(at(now-3), clock(now)) }
	short := txn(9, 100)
	short.HasFlushed = false
	l.note(short, clock(100))
	l.note(nil, clock(100))
	if got := below(104); got != at(101) {
		t.Errorf("a short transaction holds closing back, at %s", got)
	}
	l.note(txn(1, 100), clock(100))
	l.note(txn(2, 102), clock(102))
	if got := below(102); got != at(99) {
		t.Errorf("what is below both is not closed, only %s", got)
	}
	for s := 102.0; s < 110; s++ {
		l.note(txn(1, 100), clock(s))
	}
	if got := below(110); got != at(100).Prev() {
		t.Errorf("closed at %s beside a transaction that writes at 100", got)
	}
	for s := 110.0; s < 112.5; s++ {
		l.note(txn(2, 102), clock(s))
	}
	if got := below(112.5); got != at(102).Prev() {
		t.Errorf("closed at %s when the first has paused, and the second writes at 102", got)
	}
	long := longWriteMax.Seconds()
	for s := 113.0; s < 104+long; s++ {
		l.note(txn(2, 102), clock(s))
		_ = below(s)
	}
	if got := below(104 + long); got != at(101+long) {
		t.Errorf("closed at %s beside a transaction that has taken %s", got, longWriteMax+2*time.Second)
	}
	if n := l.count.Load(); n != 0 {
		t.Errorf("%d are still remembered", n)
	}
}
