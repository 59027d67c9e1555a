package locktable

import (
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Scan looks for locks in the request's way. The caller holds the request's
// latches, so after Free no conflicting lock can come before it releases them.
// After Wait the caller releases its latches and waits for Signal.
func (t *Table) Scan(r *Request) Outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := scan{t: t, r: r}
	clear(r.skipped)
	for i := range r.locks {
		s.span(&r.locks[i])
	}
	return s.finish()
}

// scan is one pass over a request's lock spans.
type scan struct {
	t       *Table
	r       *Request
	resolve []kvapi.LockUpdate
	// First conflict with a live transaction, if any.
	ks   *keyState
	lock *spanset.LockSpan
	// changed keys lost the lock of a finished transaction.
	changed []*keyState
}

func (s *scan) span(l *spanset.LockSpan) {
	if l.Span.IsPoint() {
		if ks := s.t.getLocked(l.Span.Key); ks != nil {
			s.key(ks, l)
		}
		return
	}
	s.t.mu.keys.AscendRange(&keyState{key: l.Span.Key}, &keyState{key: l.Span.EndKey}, func(ks *keyState) bool {
		s.key(ks, l)
		return len(s.resolve) < resolveMax
	})
}

// key looks at one key, unless a live conflict was found: then only what can
// be resolved on the way is of interest.
func (s *scan) key(ks *keyState, l *spanset.LockSpan) {
	blocked := false
	var released []kvapi.TxnID
	ks.blockedBy(s.r, l.Strength, l.Timestamp, func(h *holder, q *Request) bool {
		if h == nil {
			blocked = true
			return false
		}
		u, known := s.known(ks, h, l)
		switch {
		case s.isImplicit(h, l):
			// Read as committed; its intent is not in the way of a read.
		case known && isCommitted(h, &u):
			// Evaluation reads it as committed, or resolves it on the way.
		case !known || h.resolving:
			blocked = true
		case h.disk == kvapi.LockNone:
			released = append(released, h.txn.ID)
		default:
			h.resolving = true
			s.resolve = append(s.resolve, u)
		}
		return true
	})
	for _, id := range released {
		s.t.removeHolderLocked(ks, id)
		s.changed = append(s.changed, ks)
	}
	if !blocked {
		return
	}
	if l.Wait == kvapi.WaitSkip {
		if s.r.skipped == nil {
			s.r.skipped = make(map[string]struct{})
		}
		s.r.skipped[string(ks.key)] = struct{}{}
		return
	}
	if s.ks == nil {
		s.ks, s.lock = ks, l
	}
}

// known returns what to do about a lock if it is known to be out of the way
// of l once resolved: its transaction has finished, or l reads below it.
func (s *scan) known(ks *keyState, h *holder, l *spanset.LockSpan) (kvapi.LockUpdate, bool) {
	txn := s.t.txns.Get(h.txn.ID)
	if txn == nil {
		return kvapi.LockUpdate{}, false
	}
	pushed := l.Strength == kvapi.LockNone && l.Timestamp.Less(txn.WriteTimestamp) && txn.Epoch >= h.txn.Epoch
	if !txn.Status.IsFinal() && !pushed {
		return kvapi.LockUpdate{}, false
	}
	u := kvapi.LockUpdate{Span: kvapi.Span{Key: ks.key}, Txn: txn.TxnMeta, Status: txn.Status}
	if txn.Status == kvapi.Staging {
		u.Status = kvapi.Pending
	}
	if txn.Status.IsFinal() {
		u.IgnoredSeqNums = txn.IgnoredSeqNums
	}
	return u, true
}

// isImplicit reports whether the lock is of a transaction that is committed by
// its writes, and l only reads, or locks what it reads (txncache's I4).
func (s *scan) isImplicit(h *holder, l *spanset.LockSpan) bool {
	if l.Write || l.Strength == kvapi.LockIntent {
		return false
	}
	t := s.t.txns.GetCommitted(h.txn.ID)
	return t != nil && t.Status == kvapi.Staging && (h.disk != kvapi.LockIntent ||
		len(t.IgnoredSeqNums) == 0 && h.txn.Epoch == t.Epoch && h.intentTS == t.WriteTimestamp)
}

// isCommitted reports whether the intent stands where its transaction has
// committed: it is a committed version in all but name.
func isCommitted(h *holder, u *kvapi.LockUpdate) bool {
	return u.Status == kvapi.Committed && h.disk == kvapi.LockIntent && len(u.IgnoredSeqNums) == 0 &&
		h.txn.Epoch == u.Txn.Epoch && h.intentTS == u.Txn.WriteTimestamp
}

func (s *scan) finish() Outcome {
	for _, ks := range s.changed {
		s.t.changedLocked(ks)
	}
	switch {
	case len(s.resolve) > 0:
		return Outcome{Kind: Resolve, Resolve: s.resolve}
	case s.ks == nil:
		return Outcome{Kind: Free}
	case s.lock.Wait == kvapi.WaitError:
		if b := blockersOf(s.ks, s.r, s.lock.Strength, s.lock.Timestamp, 1); len(b) > 0 {
			return Outcome{Kind: Conflict, Blocker: b[0]}
		}
		return Outcome{Kind: Resolve} // it gave way during this scan: scan again
	}
	return s.wait()
}

// wait queues the request at the key of its first conflict.
func (s *scan) wait() Outcome {
	r, ks := s.r, s.ks
	if r.at != nil && (r.at != ks || (r.want == kvapi.LockNone) != (s.lock.Strength == kvapi.LockNone)) {
		s.t.leaveLocked(r)
	}
	stay := r.at == ks
	r.at, r.granted, r.want, r.ts = ks, false, s.lock.Strength, s.lock.Timestamp
	if !stay {
		s.t.mu.keys.ReplaceOrInsert(ks) // in case it was empty for a moment
		r.since = time.Now().UnixNano()
		ks.enqueue(r)
	}
	if len(ks.queue) > 0 && ks.queue[0] == r {
		ks.head = r // its Blocker will say so
	}
	select {
	case <-r.signal: // from before; this scan has seen it all
	default:
	}
	out := Outcome{Kind: Wait}
	if b := blockersOf(ks, r, r.want, r.ts, 1); len(b) > 0 {
		out.Blocker = b[0]
	}
	s.t.changedLocked(ks) // signals r at once if its conflict went away
	return out
}

// Blockers returns what a waiting request waits for now; none if it was
// granted, or sent back to scan.
func (t *Table) Blockers(r *Request) []Blocker {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.at == nil || r.granted {
		return nil
	}
	return blockersOf(r.at, r, r.want, r.ts, blockersMax)
}

func blockersOf(ks *keyState, r *Request, want kvapi.LockStrength, ts hlc.Timestamp, limit int) []Blocker {
	var list []Blocker
	first := want == kvapi.LockNone || len(ks.queue) == 0 || ks.queue[0] == r
	ks.blockedBy(r, want, ts, func(h *holder, q *Request) bool {
		b := Blocker{Key: ks.key, First: first, Push: kvapi.PushAbort}
		if h != nil {
			b.Txn, b.Held, b.Resolving, b.Lock = h.txn, true, h.resolving, h.lock(ks.key)
		} else if q.txn != nil {
			b.Txn = q.txn.TxnMeta
			b.Lock = kvapi.Lock{Key: ks.key, Txn: b.Txn, Strength: q.want}
		}
		if want == kvapi.LockNone {
			b.Push, b.To = kvapi.PushTimestamp, ts
		}
		list = append(list, b)
		return len(list) < limit
	})
	return list
}
