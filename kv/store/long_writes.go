package store

import (
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// longWrites are the transactions that write more to a range than their
// coordinator keeps back until the commit. While one of them goes on, the range
// closes nothing at or above where it writes.
//
// Otherwise it would be moved up with all that it writes from its fourth second
// on, and its commit would have to write everything before that anew, at its
// last timestamp: for a large COPY twice the work. What is lost by it: the
// range's followers serve reads that are some seconds old, and feeds come
// forward, only when the transaction has ended, or after longWriteMax. Feeds
// would wait for its intents anyway.
//
// Nobody relies on what is held back: a leaseholder that has just got the lease
// knows of none.
type longWrites struct {
	count atomic.Int32
	mu    sync.Mutex
	byID  map[kvapi.TxnID]longWrite
}

// longWrite is the lowest timestamp of a transaction's writes, and the clock at
// its last.
type longWrite struct {
	at   hlc.Timestamp
	seen int64
}

// note takes in that a batch is about to write versions.
func (l *longWrites) note(txn *kvapi.Transaction, now hlc.ClockTimestamp) {
	if txn == nil || !txn.HasFlushed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.byID[txn.ID]
	if !ok || w.isOver(now) {
		w = longWrite{at: txn.WriteTimestamp}
	}
	w.seen = now.WallTime
	if l.byID == nil {
		l.byID = map[kvapi.TxnID]longWrite{}
	}
	l.byID[txn.ID] = w
	l.count.Store(int32(len(l.byID)))
}

// below returns the highest timestamp at or below target that is below all of
// them, and forgets those that are over.
func (l *longWrites) below(target hlc.Timestamp, now hlc.ClockTimestamp) hlc.Timestamp {
	if l.count.Load() == 0 {
		return target
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, w := range l.byID {
		if w.isOver(now) {
			delete(l.byID, id)
			continue
		}
		target = target.Min(w.at.Prev())
	}
	l.count.Store(int32(len(l.byID)))
	return target
}

// isOver reports whether the transaction has written nothing for a while, or
// takes too long to be waited for.
func (w longWrite) isOver(now hlc.ClockTimestamp) bool {
	return now.WallTime-w.seen > int64(longWritePause) || now.WallTime-w.at.WallTime > int64(longWriteMax)
}
