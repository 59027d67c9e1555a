package locktable

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Table is the lock table of one range. All methods are safe for concurrent
// use. Lock order: the table's mutex, then the transaction cache's.
type Table struct {
	txns *txncache.Cache
	seq  atomic.Uint64
	// keyCount mirrors mu.keys.Len, so that requests on a range without locks
	// do not take the mutex.
	keyCount atomic.Int64

	mu struct {
		sync.Mutex
		keys *btree.BTreeG[*keyState]
		// held indexes locks in memory: they end with their transaction.
		held map[kvapi.TxnID]map[*keyState]struct{}
		// enabled: this replica holds lease. Otherwise nothing is tracked.
		enabled bool
		lease   kvapi.LeaseSequence
		dropped int64
		// probe is the search key of getLocked, here to not allocate it.
		probe keyState
	}
}

// New returns an empty table, which tracks nothing until SetLease.
func New(txns *txncache.Cache) *Table {
	t := &Table{txns: txns}
	t.mu.keys = btree.NewWithFreeListG(treeDegree, func(a, b *keyState) bool { return a.key.Less(b.key) },
		btree.NewFreeListG[*keyState](freeNodesMax))
	t.mu.held = make(map[kvapi.TxnID]map[*keyState]struct{})
	return t
}

// NewRequest gives a request its place in the order of arrival. End ends it.
func (t *Table) NewRequest(txn *kvapi.Transaction, locks []spanset.LockSpan) *Request {
	return &Request{seq: t.seq.Add(1), txn: txn, locks: locks, signal: make(chan struct{}, 1)}
}

// Empty reports, without the mutex, that no Scan can find a conflict.
func (t *Table) Empty() bool { return t.keyCount.Load() == 0 }

// End takes the request out of its queue, for good. It may be called twice.
func (t *Table) End(r *Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked(r)
}

func (t *Table) leaveLocked(r *Request) {
	ks := r.at
	if ks == nil {
		return
	}
	ks.remove(r)
	r.at, r.granted = nil, false
	t.changedLocked(ks)
}

// changedLocked follows every change of a key's holders or queue.
func (t *Table) changedLocked(ks *keyState) {
	ks.wake()
	if ks.empty() {
		t.mu.keys.Delete(ks)
	}
	t.keyCount.Store(int64(t.mu.keys.Len()))
}

func (t *Table) getLocked(key kvapi.Key) *keyState {
	t.mu.probe.key = key
	ks, _ := t.mu.keys.Get(&t.mu.probe)
	return ks
}

func (t *Table) getOrCreateLocked(key kvapi.Key) *keyState {
	if ks := t.getLocked(key); ks != nil {
		return ks
	}
	t.maybeDropLocked()
	ks := &keyState{key: key.Clone()}
	t.mu.keys.ReplaceOrInsert(ks)
	t.keyCount.Store(int64(t.mu.keys.Len()))
	return ks
}

// maybeDropLocked forgets locks without waiters when there are too many (I5).
// Halving makes the walk pay for keysMax/2 insertions.
func (t *Table) maybeDropLocked() {
	if t.mu.keys.Len() < keysMax {
		return
	}
	var victims []*keyState
	t.mu.keys.Ascend(func(ks *keyState) bool {
		if !ks.contended() {
			victims = append(victims, ks)
		}
		return len(victims) < keysMax/2
	})
	for _, ks := range victims {
		for len(ks.holders) > 0 {
			t.removeHolderLocked(ks, ks.holders[0].txn.ID)
		}
		t.mu.keys.Delete(ks)
	}
	t.mu.dropped += int64(len(victims))
}

// overlapping returns the keys of span that have a state.
func (t *Table) overlappingLocked(span kvapi.Span) []*keyState {
	if span.IsPoint() {
		if ks := t.getLocked(span.Key); ks != nil {
			return []*keyState{ks}
		}
		return nil
	}
	var list []*keyState
	t.mu.keys.AscendRange(&keyState{key: span.Key}, &keyState{key: span.EndKey}, func(ks *keyState) bool {
		list = append(list, ks)
		return true
	})
	return list
}

// --- locks come ---

// Acquired notes that a lock was acquired. A lock on disk is noted only where
// the key is known already; others find it there.
//
// Evaluation has the last word: if it acquired a lock although another
// transaction holds a conflicting one here, then that one is out of date
// (resolved, or lost with a lease) and goes (I1).
func (t *Table) Acquired(l kvapi.Lock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.enabled {
		return
	}
	ks := t.getLocked(l.Key)
	if ks == nil {
		// A locking read may come in after its transaction has finished.
		if l.Replicated || t.txns.HasEnded(l.Txn.ID) {
			return
		}
		ks = t.getOrCreateLocked(l.Key)
	}
	t.holdLocked(ks, l)
	t.changedLocked(ks)
}

// AddDiscovered adds locks that evaluation under lease seq found on disk, and
// reports whether they are of use: not if the lease has changed since (I4).
func (t *Table) AddDiscovered(seq kvapi.LeaseSequence, locks []kvapi.Lock) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.enabled || t.mu.lease != seq {
		return false
	}
	for _, l := range locks {
		l.Replicated = true
		ks := t.getOrCreateLocked(l.Key)
		t.holdLocked(ks, l)
		t.changedLocked(ks)
	}
	return true
}

// holdLocked makes l one of the key's locks.
func (t *Table) holdLocked(ks *keyState, l kvapi.Lock) {
	for i := 0; i < len(ks.holders); {
		o := &ks.holders[i]
		if o.txn.ID != l.Txn.ID && !mayHoldTogether(o.strength(), l.Strength) {
			t.removeHolderLocked(ks, o.txn.ID)
			continue
		}
		i++
	}
	h := ks.holder(l.Txn.ID)
	if h == nil {
		ks.holders = append(ks.holders, holder{txn: l.Txn})
		h = &ks.holders[len(ks.holders)-1]
	}
	if l.Txn.Epoch >= h.txn.Epoch {
		h.txn = l.Txn
	}
	if l.Replicated {
		h.disk = max(h.disk, l.Strength)
		h.intentTS.Forward(l.Txn.WriteTimestamp)
		return
	}
	h.memory = max(h.memory, l.Strength)
	if t.mu.held[l.Txn.ID] == nil {
		t.mu.held[l.Txn.ID] = make(map[*keyState]struct{})
	}
	t.mu.held[l.Txn.ID][ks] = struct{}{}
}

// --- locks go ---

// Updated notes that a transaction's locks in u.Span were resolved.
func (t *Table) Updated(u kvapi.LockUpdate) {
	if t.Empty() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ks := range t.overlappingLocked(u.Span) {
		if h := ks.holder(u.Txn.ID); h != nil {
			t.updateHolderLocked(ks, h, u)
			t.changedLocked(ks)
		}
	}
}

func (t *Table) updateHolderLocked(ks *keyState, h *holder, u kvapi.LockUpdate) {
	switch {
	case u.Status.IsFinal():
		t.removeHolderLocked(ks, h.txn.ID)
	case u.Txn.Epoch > h.txn.Epoch || len(u.IgnoredSeqNums) > 0:
		// The intent may have been removed (an older epoch's, or one rolled
		// back). If it was not, evaluation finds it again.
		t.forgetDiskLocked(ks, h)
	default:
		h.resolving = false
		h.intentTS.Forward(u.Txn.WriteTimestamp)
	}
}

// forgetDiskLocked takes away what the holder has on disk.
func (t *Table) forgetDiskLocked(ks *keyState, h *holder) {
	h.disk, h.intentTS, h.resolving = kvapi.LockNone, hlc.Timestamp{}, false
	if h.memory == kvapi.LockNone {
		t.removeHolderLocked(ks, h.txn.ID)
	}
}

// forgetMemoryLocked takes away what the holder has in memory.
func (t *Table) forgetMemoryLocked(ks *keyState, h *holder) {
	h.memory = kvapi.LockNone
	id := h.txn.ID
	if h.disk == kvapi.LockNone {
		t.removeHolderLocked(ks, id)
		return
	}
	t.unindexLocked(ks, id)
}

func (t *Table) removeHolderLocked(ks *keyState, id kvapi.TxnID) {
	ks.holders = slices.DeleteFunc(ks.holders, func(h holder) bool { return h.txn.ID == id })
	t.unindexLocked(ks, id)
}

func (t *Table) unindexLocked(ks *keyState, id kvapi.TxnID) {
	if set := t.mu.held[id]; set != nil {
		if delete(set, ks); len(set) == 0 {
			delete(t.mu.held, id)
		}
	}
}

// TxnFinished releases the locks in memory of a finished transaction. Those on
// disk stay until they are resolved, by whoever waits for them.
func (t *Table) TxnFinished(id kvapi.TxnID) {
	if t.Empty() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for ks := range t.mu.held[id] {
		if h := ks.holder(id); h != nil {
			t.forgetMemoryLocked(ks, h)
			t.changedLocked(ks)
		}
	}
}

// Resolved notes that r resolved what its Scan gave it to resolve. If
// resolution reached this table as Updated, there is nothing left to do.
func (t *Table) Resolved(updates []kvapi.LockUpdate) {
	t.afterResolve(updates, func(ks *keyState, h *holder) { t.forgetDiskLocked(ks, h) })
}

// Unresolved lets others try.
func (t *Table) Unresolved(updates []kvapi.LockUpdate) {
	t.afterResolve(updates, func(_ *keyState, h *holder) { h.resolving = false })
}

func (t *Table) afterResolve(updates []kvapi.LockUpdate, f func(*keyState, *holder)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range updates {
		ks := t.getLocked(updates[i].Span.Key)
		if ks == nil {
			continue
		}
		if h := ks.holder(updates[i].Txn.ID); h != nil && h.resolving {
			f(ks, h)
			t.changedLocked(ks)
		}
	}
}

// --- the range changes ---

// SetLease forgets everything and sends all waiters back to scan. enabled
// says whether this replica holds the lease seq.
func (t *Table) SetLease(enabled bool, seq kvapi.LeaseSequence) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.enabled, t.mu.lease = enabled, seq
	t.mu.keys.Ascend(func(ks *keyState) bool {
		ks.detachAll()
		return true
	})
	t.mu.keys.Clear(false)
	t.mu.held = make(map[kvapi.TxnID]map[*keyState]struct{})
	t.keyCount.Store(0)
}

// SplitOff removes the locks at or after key at and returns them, for Adopt.
// Those who waited scan again, and find that their keys have moved.
func (t *Table) SplitOff(at kvapi.Key) []kvapi.Lock {
	t.mu.Lock()
	defer t.mu.Unlock()
	var states []*keyState
	t.mu.keys.AscendGreaterOrEqual(&keyState{key: at}, func(ks *keyState) bool {
		states = append(states, ks)
		return true
	})
	var locks []kvapi.Lock
	for _, ks := range states {
		ks.detachAll()
		for len(ks.holders) > 0 {
			h := &ks.holders[0]
			if h.memory != kvapi.LockNone {
				locks = append(locks, kvapi.Lock{Key: ks.key, Txn: h.txn, Strength: h.memory})
			}
			t.removeHolderLocked(ks, h.txn.ID)
		}
		t.changedLocked(ks)
	}
	return locks
}

// Adopt takes over locks in memory that another table split off.
func (t *Table) Adopt(locks []kvapi.Lock) {
	for _, l := range locks {
		t.Acquired(l)
	}
}

// Stats are the table's sizes, and how many keys the limit made it forget.
type Stats struct{ Keys, Waiters, Dropped int64 }

// Stats counts. It walks the table.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stats{Keys: int64(t.mu.keys.Len()), Dropped: t.mu.dropped}
	t.mu.keys.Ascend(func(ks *keyState) bool {
		s.Waiters += int64(len(ks.queue) + len(ks.readers))
		return true
	})
	return s
}
