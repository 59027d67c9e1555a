package store

import (
	"context"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/lease"
)

// ensureLease returns when this replica holds a lease that is good for ts (the
// empty one: for now). It asks for a lease if this replica leads the range; if
// another leads it says so; if nobody does it says so too, at once, because the
// sender may find the new leader elsewhere sooner.
func (r *Replica) ensureLease(ctx context.Context, ts hlc.Timestamp) (kvapi.Lease, *kvapi.Error) {
	if r.store.cfg.Knobs.DisableLeaseCheck {
		if l, ok := r.uncheckedLease(); ok {
			return l, nil
		}
	}
	var deadline, again time.Time
	for {
		now := r.store.cfg.Clock.Now()
		r.mu.Lock()
		st := r.leaseStatusLocked(now, ts)
		leads, removed, changed := r.mu.leads, r.mu.removed, r.mu.leaseChanged
		switch {
		case st.IsValid():
			l := r.mu.lease
			r.mu.Unlock()
			return l, nil
		case removed:
			r.mu.Unlock()
			return kvapi.Lease{}, kvapi.NewError(kvapi.ErrRangeNotFound, "%s was removed", r.rangeID)
		case !leads || r.mu.transferUntil > now.WallTime:
			r.mu.Unlock()
			if !leads && !r.awake.Load() {
				r.askSoon.Store(true)
				r.store.enqueue(r.rangeID)
			}
			return kvapi.Lease{}, r.notLeaseholder("not the leader")
		}
		// Raft may refuse at once (a transfer of leadership it has not given up
		// yet); asking in a loop until it does not would keep a core busy.
		asked := time.Now().After(again) && r.maybeAskForLeaseLocked(st, now)
		r.mu.Unlock()
		if asked {
			again = time.Now().Add(leaseAskAgain)
			r.store.enqueue(r.rangeID)
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(leaseWaitMax)
		}
		if err := r.waitForLease(ctx, st, changed, deadline, again); err != nil {
			return kvapi.Lease{}, err
		}
	}
}

// waitForLease returns when the lease is worth another look, at the latest
// when it may be asked for again.
func (r *Replica) waitForLease(ctx context.Context, st lease.Status, changed <-chan struct{}, deadline, again time.Time) *kvapi.Error {
	wait := time.Until(deadline)
	if wait <= 0 {
		return r.notLeaseholder("no lease for " + leaseWaitMax.String() + ": " + st.Why)
	}
	if st.Lease.Kind == kvapi.LeaderLease && !st.MayAcquire() {
		// Support that comes, or leadership that goes, is told.
		wait = min(wait, leaseAskAgain)
	} else if !st.MayAcquire() {
		// Another's lease, or ours in its stasis: its end is an event too.
		if left := time.Duration(st.Lease.Expiration.WallTime - r.store.cfg.Clock.PhysicalNow()); left < wait {
			wait = max(left, time.Millisecond)
		}
	} else if left := time.Until(again); left > 0 {
		wait = min(wait, left+time.Millisecond)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-t.C:
		return nil
	case <-r.store.stopping:
		return kvapi.NewError(kvapi.ErrUnavailable, "the node is stopping")
	case <-ctx.Done():
		return kvapi.NewError(kvapi.ErrCanceled, "%s: waiting for the lease: %v", r.rangeID, ctx.Err())
	}
}

// uncheckedLease is the broken build's: whoever believes to lead serves.
func (r *Replica) uncheckedLease() (kvapi.Lease, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.lease, r.mu.lease.Holder.ReplicaID == r.replicaID
}

// maybeAskForLeaseLocked proposes a new lease or an extension of ours, unless
// one is in flight, and reports whether it did.
func (r *Replica) maybeAskForLeaseLocked(st lease.Status, now hlc.ClockTimestamp) bool {
	if r.mu.leaseAsked || !r.mu.leads || r.mu.transferUntil > now.WallTime {
		return false
	}
	prev := r.mu.lease
	next := kvapi.Lease{
		Holder:     r.own(r.mu.desc),
		Term:       r.mu.term,
		ProposedAt: now,
	}
	if r.store.cfg.Leases == LeaderLeases && r.mu.spent != r.mu.term {
		next.Kind = kvapi.LeaderLease
	} else {
		next.Expiration = now.Timestamp().AddNanos(int64(lease.Duration))
	}
	switch {
	case st.MayAcquire():
		// Start is a reading after the old lease's end, or after our own last
		// use of it (I1 of package lease).
		next.Sequence, next.Start = prev.Sequence+1, now.Timestamp()
	case st.Owned && prev.Kind == kvapi.ExpirationLease && next.Kind == prev.Kind && prev.Term == r.mu.term && !prev.ProposedAt.Timestamp().Less(r.mu.minProposedAt.Timestamp()):
		next.Sequence, next.Start = prev.Sequence, prev.Start
	default:
		return false
	}
	r.mu.leaseAsked = true
	r.store.metrics.LeaseRequests.Add(1)
	r.bufferLocked(r.newLeaseProposal(prev, next, nil))
	return true
}

// newLeaseProposal makes the command that replaces prev by next; reads are what
// it hands over.
func (r *Replica) newLeaseProposal(prev, next kvapi.Lease, reads *handedOver) *proposal {
	p := newProposal(r.store.nextCommandID(), commandHeader{
		Term: next.Term, Proposer: r.replicaID, PrevLease: &prev, Lease: &next,
		LeaseSequence: prev.Sequence, WriteTimestamp: next.Start, Reads: reads,
	}, nil)
	p.onDone = func(outcome) {
		r.mu.Lock()
		r.mu.leaseAsked = false
		r.leaseMovedLocked()
		r.mu.Unlock()
	}
	return p
}

// tickLease keeps the lease of a led range alive, idle or not: a renewal is one
// small command per range and half lease, and a range whose lease is kept
// answers its next request without a round of consensus.
func (r *Replica) tickLease() {
	now := r.store.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.leads || r.mu.removed {
		return
	}
	st := r.leaseStatusLocked(now, hlc.Timestamp{})
	if st.IsValid() && (r.mu.lease.Kind == kvapi.LeaderLease ||
		now.Timestamp().LessEq(r.mu.lease.Expiration.AddNanos(-int64(lease.RenewBefore)))) {
		return
	}
	r.maybeAskForLeaseLocked(st, now)
}

// notLeaseholder is the error that sends the caller to the leader.
func (r *Replica) notLeaseholder(why string) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrNotLeaseholder, "%s at %s: %s", r.rangeID, r.store.ident.NodeID, why)
	e.Infos = []kvapi.RangeInfo{r.info()}
	return e
}
