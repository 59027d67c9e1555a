package store

import (
	"context"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// errLeaseMoved says that the lease is not usable for the batch, after latches
// were taken. It never leaves the package.
var errLeaseMoved = kvapi.NewError(kvapi.ErrNotLeaseholder, "the lease moved")

// evaluateOnce runs a batch under its latches. held says that the guard was
// handed on, to be finished when the batch's proposal has ended.
func (r *Replica) evaluateOnce(ctx context.Context, ba *kvapi.BatchRequest, g *concurrency.Guard) (
	br *kvapi.BatchResponse, held bool, err *kvapi.Error) {
	if ba.IsReadOnly() {
		br, err = r.read(ctx, ba, g)
		return br, false, err
	}
	return r.write(ctx, ba, g)
}

// admission is what was found under the latches.
type admission struct {
	desc  *kvapi.RangeDescriptor
	lease kvapi.Lease
	// leaseEnd is where the lease ends as far as is known.
	leaseEnd hlc.Timestamp
	term     kvapi.Term
	epoch    uint64
	now      hlc.ClockTimestamp
	stats    kvapi.RangeStatistics
	gc       hlc.Timestamp
	// foreignUntil is Replica.mu's.
	foreignUntil hlc.Timestamp
}

// admit checks under the latches, with a fresh reading of the clock, that the
// batch may evaluate here (I1): a request may have waited for seconds, and a
// paused process wakes up anywhere.
func (r *Replica) admit(ctx context.Context, ba *kvapi.BatchRequest, ts hlc.Timestamp) (admission, *kvapi.Error) {
	now, err := r.waitForClock(ctx, ts)
	if err != nil {
		return admission{}, err
	}
	r.mu.RLock()
	st := r.leaseStatusLocked(now, ts)
	a := admission{desc: r.mu.desc, lease: r.mu.lease, leaseEnd: st.End, term: r.mu.term, epoch: r.mu.dataEpoch, now: now,
		stats: r.mu.applied.Stats, gc: r.mu.gcThreshold, foreignUntil: r.mu.foreignUntil}
	frozen := r.mu.freeze.stops(ba)
	removed, transferring := r.mu.removed, r.mu.transferUntil > now.WallTime
	r.mu.RUnlock()
	if removed {
		return a, kvapi.NewError(kvapi.ErrRangeNotFound, "%s was removed", r.rangeID)
	}
	if f := r.store.cfg.Knobs.AfterAdmit; f != nil {
		f(ba)
	}
	unchecked := r.store.cfg.Knobs.DisableLeaseCheck && st.Owned
	if !unchecked && (!st.IsValid() || transferring) {
		return a, errLeaseMoved
	}
	if frozen {
		return a, errFrozen
	}
	return a, r.checkBounds(ba)
}

// waitForClock lets the clock pass ts, and returns a reading of it, so that
// whatever this replica has ever served lies below one; a lease that starts at a
// later reading, of this node or of one that heard of it, then starts above all
// of it. Timestamps ahead of the clock come from other nodes' clocks, within the
// maximum offset, and from pushes a tick above those.
func (r *Replica) waitForClock(ctx context.Context, ts hlc.Timestamp) (hlc.ClockTimestamp, *kvapi.Error) {
	clock := r.store.cfg.Clock
	for {
		now := clock.Now()
		ahead := ts.WallTime - now.WallTime
		if ahead <= 0 {
			return now, nil
		}
		if limit := clock.MaxOffset(); limit > 0 && time.Duration(ahead) > 2*limit {
			return now, kvapi.NewError(kvapi.ErrInternal, "timestamp %s is %s ahead of this node's clock", ts, time.Duration(ahead))
		}
		t := time.NewTimer(time.Duration(ahead))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return now, kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
		}
	}
}

// read evaluates a batch that writes nothing, on one state of the engine, and
// remembers what it read before the latches go.
func (r *Replica) read(ctx context.Context, ba *kvapi.BatchRequest, g *concurrency.Guard) (*kvapi.BatchResponse, *kvapi.Error) {
	a, err := r.admit(ctx, ba, batcheval.ReadTimestamp(ba))
	if err != nil {
		return nil, err
	}
	view := r.store.cfg.Engine.NewView()
	br, res, err := batcheval.Evaluate(ctx, batcheval.ReadOnly(view), r.evalContext(ba, a, g), ba)
	if e := view.Close(); e != nil && err == nil {
		err = kvapi.NewError(kvapi.ErrInternal, "%s: %v", r.rangeID, e)
	}
	if err == nil && a.now.Timestamp().Less(br.Timestamp) {
		// Evaluation moved the read up, past an uncertain value.
		if _, err := r.admit(ctx, ba, br.Timestamp); err != nil {
			return nil, err
		}
	}
	if e := r.checkStill(&a, ba); e != nil {
		return nil, e
	}
	r.rememberReads(batcheval.ReadSpans(ba, br, err))
	r.onLocalResult(&res)
	r.resolveRest(&res)
	return br, err
}

// checkStill makes a read start over if the data was replaced below it, and
// fail if what it read may have been collected: the view may have been opened
// after that.
func (r *Replica) checkStill(a *admission, ba *kvapi.BatchRequest) *kvapi.Error {
	r.mu.RLock()
	moved := r.mu.removed || r.mu.dataEpoch != a.epoch
	r.mu.RUnlock()
	if moved {
		return errLeaseMoved
	}
	if r.store.cfg.Knobs.ForgetThreshold {
		return nil
	}
	return r.stillAbove(a, ba)
}

func (r *Replica) evalContext(ba *kvapi.BatchRequest, a admission, g *concurrency.Guard) *batcheval.EvalContext {
	u := batcheval.Uncertainty(ba, a.lease, a.foreignUntil, r.store.cfg.Clock.MaxOffset())
	u.IgnoreLocal = r.store.cfg.Knobs.IgnoreLocalTimestamps
	if r.store.cfg.Knobs.ForgetThreshold && ba.IsReadOnly() {
		a.gc = hlc.Timestamp{}
	}
	return &batcheval.EvalContext{
		Desc: a.desc, NodeID: r.store.ident.NodeID, Now: a.now, Lease: a.lease, GCThreshold: a.gc,
		Stats: a.stats, Rate: r.load.peak(), QuietFor: r.load.quietFor(), Records: txnRecords{r}, Locks: heldLocks{g}, Finished: r.store.txns,
		Uncertainty: u, ProtectedAsOf: r.store.protectedAsOf(), Removed: r.store.cfg.Knobs.Removed,
		Programs: r.store.cfg.Programs,
	}
}

// heldLocks tells a request that skips locked keys which are.
type heldLocks struct{ g *concurrency.Guard }

// IsLockedByOther implements batcheval.HeldLocks; the guard knows the strength
// from the spans that were declared.
func (h heldLocks) IsLockedByOther(key kvapi.Key, _ kvapi.LockStrength) bool {
	return h.g.ShouldSkip(key)
}

// rememberReads puts spans into the timestamp cache (I2).
func (r *Replica) rememberReads(spans []spanset.ReadSpan) {
	if r.store.cfg.Knobs.DisableTimestampCache {
		return
	}
	for _, s := range spans {
		r.store.tscache.Add(s.Span, s.Timestamp, s.TxnID)
	}
}

// onLocalResult tells the lock table and the waiters what a batch did.
// Latches are still held.
func (r *Replica) onLocalResult(res *batcheval.Result) {
	l := &res.Local
	for _, m := range l.TxnMarks {
		r.store.markTxn(m)
	}
	for _, s := range l.MissingIntents {
		if r.store.cfg.Knobs.NoPrevention {
			break
		}
		r.store.tscache.Add(s.Span, s.Timestamp, s.TxnID)
	}
	r.store.noteProtected(l.ProtectedAsOf)
	for _, lock := range l.AcquiredLocks {
		r.mgr.OnLockAcquired(lock)
	}
	for _, u := range l.ResolvedLocks {
		r.mgr.OnLockUpdated(u)
	}
	for _, t := range l.UpdatedTxns {
		r.mgr.OnTxnUpdated(t)
	}
}

// resolveRest resolves, in the background, the locks of transactions that the
// batch finished which are not on this range, and what others left behind.
func (r *Replica) resolveRest(res *batcheval.Result) {
	if r.store.resolver == nil {
		return
	}
	if l := res.Local.ForgottenLocks; len(l) > 0 {
		r.store.resolver.ResolveAsync(l)
	}
	for _, e := range res.Local.EndTxns {
		if len(e.LockSpans) > 0 {
			r.store.resolver.ResolveTxnAsync(e.Txn, e.LockSpans)
		}
	}
}

// markKey is where the timestamp cache keeps what is known of a transaction
// that has no record: pushes of it, or that it is finished.
func markKey(anchor kvapi.Key, id kvapi.TxnID, finished bool) kvapi.Key {
	k := keys.TxnRecord(anchor, id)
	if finished {
		return append(k, 'f')
	}
	return append(k, 'p')
}

// markTxn keeps a mark. A finished transaction is marked at the clock, which is
// above its first timestamp: that is what creation compares with.
func (s *Store) markTxn(m batcheval.TxnMark) {
	ts := m.Timestamp
	if m.Finished {
		ts.Forward(s.cfg.Clock.Now().Timestamp())
	}
	s.tscache.Add(kvapi.Span{Key: markKey(m.Anchor, m.ID, m.Finished)}, ts, m.ID)
}

// txnRecords answers batcheval from the timestamp cache.
type txnRecords struct{ r *Replica }

// CanCreateTxnRecord refuses if the transaction was finished, or could have
// been finished where this replica does not know of it: before the cache's
// floor, which a lease that nobody handed over raises (handover.go, CockroachDB
// #34025). The latter aborts some living transactions that began before the
// lease did and have no record yet.
func (t txnRecords) CanCreateTxnRecord(id kvapi.TxnID, anchor kvapi.Key, minTS hlc.Timestamp) (bool, hlc.Timestamp) {
	if finished, _ := t.r.store.tscache.Get(kvapi.Span{Key: markKey(anchor, id, true)}); minTS.LessEq(finished) {
		return false, hlc.Timestamp{}
	}
	// Pushes that a former leaseholder answered are below the floor, too.
	pushed, _ := t.r.store.tscache.Get(kvapi.Span{Key: markKey(anchor, id, false)})
	return true, pushed
}
