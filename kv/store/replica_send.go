package store

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Send evaluates a batch on this replica and waits until its writes have
// applied here. The batch is not changed.
func (r *Replica) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if ba.Txn == nil && ba.Timestamp.IsEmpty() {
		c := *ba
		c.Timestamp = r.store.cfg.Clock.Now().Timestamp()
		ba = &c
	}
	if err := r.checkBounds(ba); err != nil {
		return nil, err
	}
	if ba.IsAdmin() {
		return r.sendAdmin(ctx, ba)
	}
	switch ba.Requests[0].Kind {
	case kvapi.WaitApplied:
		return r.waitApplied(ctx, ba)
	case kvapi.CollectChecksum:
		return r.collectChecksum(ctx, ba)
	case kvapi.FeedRange:
		return r.pollFeed(ctx, ba)
	case kvapi.QuarantineReplica:
		return r.quarantineAsked(ba)
	}
	if br, ok := r.readFromFollower(ctx, ba); ok {
		return br, nil
	}
	if asksForPush(ba) {
		return r.sendPush(ctx, ba)
	}
	if isDeferrable(ba) {
		return r.sendDeferred(ctx, ba)
	}
	return r.sendToLease(ctx, ba)
}

// asksForPush reports whether the batch may have to wait for a transaction.
func asksForPush(ba *kvapi.BatchRequest) bool {
	for i := range ba.Requests {
		if k := ba.Requests[i].Kind; k == kvapi.PushTxn || k == kvapi.QueryTxn {
			return true
		}
	}
	return false
}

// sendPush evaluates pushes, again and again while the queue of the pushed
// transaction says that it makes sense.
func (r *Replica) sendPush(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	for {
		if br, err := r.mgr.MaybeWaitForPush(ctx, ba); br != nil || err != nil {
			return br, err
		}
		br, pErr := r.sendToLease(ctx, ba)
		again, err := r.mgr.AfterPush(ctx, ba, br, pErr)
		if err != nil {
			return nil, err
		}
		if again == nil {
			return br, pErr
		}
		ba = again
	}
}

// sendToLease makes sure that this replica holds the lease, orders the batch
// among the others, and evaluates it until no lock is in its way.
func (r *Replica) sendToLease(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if r.store.cfg.Knobs.LocksInMemory {
		ba = inMemory(ba)
	}
	if err := r.breaker.check(); err != nil {
		return nil, err
	}
	// Asking before queueing saves the queue from those that cannot be served.
	if _, err := r.ensureLease(ctx, hlc.Timestamp{}); err != nil {
		return nil, err
	}
	if err := r.waitForRoom(ctx, ba); err != nil {
		return nil, err
	}
	desc := r.Desc()
	req := concurrency.Request{Txn: ba.Txn, Spans: declareSpans(ba, desc), LockTimeout: ba.LockTimeout, Turn: ba.Turn, Holds: ba.Holds}
	if r.store.cfg.Knobs.NoTurns {
		req.Turn = 0
	}
	guard, err := r.mgr.SequenceRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	for attempt := 0; attempt < attemptsMax; attempt++ {
		br, held, err := r.evaluateOnce(ctx, ba, guard)
		switch {
		case held:
			// The guard now belongs to a proposal in flight.
			return br, err
		case err == nil:
			if ba.Turn != 0 && ba.EndTxnRequest() != nil {
				r.mgr.OnTurnEnded(ba.Turn)
			}
			r.mgr.Finish(guard)
			return br, nil
		case err.Kind == kvapi.ErrLockConflict && len(err.Locks) > 0:
			seq := r.leaseSequence()
			if err := r.mgr.HandleLockConflict(ctx, guard, seq, err.Locks); err != nil {
				return nil, err
			}
		case err == errLeaseMoved:
			// Latches are held: let go of them before waiting for a lease.
			r.mgr.Finish(guard)
			if _, err := r.ensureLease(ctx, batcheval.ReadTimestamp(ba)); err != nil {
				return nil, err
			}
			if err := r.checkBounds(ba); err != nil {
				return nil, err
			}
			if guard, err = r.mgr.SequenceRequest(ctx, req); err != nil {
				return nil, err
			}
		case err == errFrozen:
			r.mgr.Finish(guard)
			if err := r.waitForThaw(ctx); err != nil {
				return nil, err
			}
			if guard, err = r.mgr.SequenceRequest(ctx, req); err != nil {
				return nil, err
			}
		default:
			r.mgr.Finish(guard)
			return nil, err
		}
	}
	r.mgr.Finish(guard)
	return nil, kvapi.NewError(kvapi.ErrUnavailable, "%s: no progress in %d attempts", r.rangeID, attemptsMax)
}

// declareSpans is batcheval's, and for a command that changes the range itself
// the whole range: a split must not run beside a write of what it moves.
func declareSpans(ba *kvapi.BatchRequest, desc *kvapi.RangeDescriptor) spanset.Spans {
	s := batcheval.DeclareSpans(ba, desc)
	if et := ba.EndTxnRequest(); et != nil && (et.Split != nil || et.Merge != nil) {
		s.Latch(spanset.Write, desc.Span(), hlc.Timestamp{})
		start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
		s.Latch(spanset.Write, kvapi.Span{Key: start, EndKey: end}, hlc.Timestamp{})
	}
	return s
}

// checkBounds refuses a batch whose keys are not all in the range.
func (r *Replica) checkBounds(ba *kvapi.BatchRequest) *kvapi.Error {
	r.mu.RLock()
	desc, removed := r.mu.desc, r.mu.removed
	r.mu.RUnlock()
	if removed || !desc.IsInitialized() {
		return kvapi.NewError(kvapi.ErrRangeNotFound, "%s has no replica with data here", r.rangeID)
	}
	for i := range ba.Requests {
		q := &ba.Requests[i]
		sp, err := addressedSpan(q)
		if err != nil {
			return kvapi.NewError(kvapi.ErrInternal, "%s of %s: %v", q.Kind, q.Key, err)
		}
		if !desc.ContainsSpan(sp) {
			return r.mismatch(sp)
		}
	}
	return nil
}

// addressedSpan returns the request's span in addressed keys. Lower bounds of
// range-local spans are not used by requests.
func addressedSpan(q *kvapi.Request) (kvapi.Span, error) {
	if !keys.IsLocal(q.Key) {
		if !q.Kind.IsRange() {
			return kvapi.Span{Key: q.Key}, nil
		}
		return q.Span(), nil
	}
	k, err := keys.Addr(q.Key)
	return kvapi.Span{Key: k}, err
}

// mismatch says which ranges hold the keys, as far as this store knows.
func (r *Replica) mismatch(sp kvapi.Span) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrRangeMismatch, "%s is not all in %s", sp, r.Desc())
	e.Infos = append(e.Infos, r.info())
	for _, o := range r.store.replicas.overlapping(sp) {
		if o != r {
			e.Infos = append(e.Infos, o.info())
		}
	}
	return e
}

func (r *Replica) leaseSequence() kvapi.LeaseSequence {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.lease.Sequence
}
