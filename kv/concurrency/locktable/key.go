package locktable

import (
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// keyState is a key's holders and waiters. At most one transaction holds it
// exclusively or with an intent; several may share it (I1).
type keyState struct {
	key     kvapi.Key
	holders []holder
	// queue is the lockers in order of arrival (I2), granted ones included.
	queue []*Request
	// head is the first of the queue that knows that it is.
	head *Request
	// readers wait for intents; they have no order.
	readers []*Request
}

// holder is one transaction's locks on a key: memory and disk apart, since
// they end apart.
type holder struct {
	txn    kvapi.TxnMeta
	memory kvapi.LockStrength
	disk   kvapi.LockStrength
	// intentTS is where the intent stands, if disk is LockIntent.
	intentTS hlc.Timestamp
	// resolving says that some request is resolving the lock right now.
	resolving bool
}

func (h *holder) strength() kvapi.LockStrength { return max(h.memory, h.disk) }

func (h *holder) lock(key kvapi.Key) kvapi.Lock {
	return kvapi.Lock{Key: key, Txn: h.txn, Strength: h.strength(), Replicated: h.disk != kvapi.LockNone}
}

// conflictsWithHolder is the rule between a request and a lock that another
// transaction holds. A plain read waits for intents at or below it alone: a
// lock in memory has written nothing yet, and its write will be pushed above
// the read by the timestamp cache.
func conflictsWithHolder(want kvapi.LockStrength, ts hlc.Timestamp, h *holder) bool {
	if want == kvapi.LockNone {
		return h.disk == kvapi.LockIntent && h.intentTS.LessEq(ts)
	}
	return want.ConflictsWith(h.strength())
}

// mayHoldTogether reports whether two transactions may hold a key with these
// strengths. An intent may have been written past those who hold KEY SHARE
// (kvapi.LockStrength), so these two are no contradiction (I1).
func mayHoldTogether(a, b kvapi.LockStrength) bool {
	return !a.ConflictsWith(b) || min(a, b) == kvapi.LockKeyShare && max(a, b) == kvapi.LockIntent
}

func (ks *keyState) holder(id kvapi.TxnID) *holder {
	for i := range ks.holders {
		if ks.holders[i].txn.ID == id {
			return &ks.holders[i]
		}
	}
	return nil
}

// blockedBy calls f for everything that keeps r, wanting the key with a
// strength, waiting, until f returns false. Holders come first.
func (ks *keyState) blockedBy(r *Request, want kvapi.LockStrength, ts hlc.Timestamp, f func(*holder, *Request) bool) {
	own := false
	for i := range ks.holders {
		h := &ks.holders[i]
		if r.sameTxn(h.txn.ID) {
			own = true
		} else if conflictsWithHolder(want, ts, h) && !f(h, nil) {
			return
		}
	}
	// Who holds the key already (and strengthens the lock) goes before those
	// who wait for it: queueing behind them would be a deadlock at once.
	if want == kvapi.LockNone || own {
		return
	}
	for _, q := range ks.queue {
		if q.seq >= r.seq {
			return
		}
		if want.ConflictsWith(q.want) && (q.txn == nil || !r.sameTxn(q.txn.ID)) && !f(nil, q) {
			return
		}
	}
}

func (ks *keyState) blocked(r *Request) bool {
	found := false
	ks.blockedBy(r, r.want, r.ts, func(*holder, *Request) bool { found = true; return false })
	return found
}

// enqueue puts r where it waits for the key.
func (ks *keyState) enqueue(r *Request) {
	if r.want == kvapi.LockNone {
		ks.readers = append(ks.readers, r)
		return
	}
	i, _ := slices.BinarySearchFunc(ks.queue, r.seq, func(q *Request, seq uint64) int {
		switch {
		case q.seq < seq:
			return -1
		case q.seq > seq:
			return 1
		}
		return 0
	})
	ks.queue = slices.Insert(ks.queue, i, r)
}

// remove takes r out, granted or not.
func (ks *keyState) remove(r *Request) {
	is := func(q *Request) bool { return q == r }
	ks.queue = slices.DeleteFunc(ks.queue, is)
	ks.readers = slices.DeleteFunc(ks.readers, is)
}

// wake grants the key to everybody whom nothing blocks any more (I3).
func (ks *keyState) wake() {
	ks.readers = slices.DeleteFunc(ks.readers, func(r *Request) bool {
		if ks.blocked(r) {
			return false
		}
		r.at = nil
		r.wake()
		return true
	})
	for _, r := range ks.queue {
		if !r.granted && !ks.blocked(r) {
			r.granted = true
			r.wake()
		}
	}
	ks.tellHead()
}

// tellHead has a request that has become the first of the queue scan again: it
// is the one who has to watch the holder from now on (Blocker.First).
func (ks *keyState) tellHead() {
	if len(ks.queue) == 0 {
		ks.head = nil
		return
	}
	if r := ks.queue[0]; r != ks.head {
		ks.head = r
		r.wake()
	}
}

// detachAll sends every waiter back to scan, wherever its key is now.
func (ks *keyState) detachAll() {
	for _, list := range [][]*Request{ks.queue, ks.readers} {
		for _, r := range list {
			r.at, r.granted = nil, false
			r.wake()
		}
	}
	ks.queue, ks.readers = nil, nil
}

func (ks *keyState) empty() bool {
	return len(ks.holders) == 0 && len(ks.queue) == 0 && len(ks.readers) == 0
}

func (ks *keyState) contended() bool { return len(ks.queue)+len(ks.readers) > 0 }
