package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/spanset"
)

// errNobodyToTransferTo says that no other voter is up to date.
var errNobodyToTransferTo = errors.New("no other voter is up to date")

// transferAway hands lease and leadership to the replica on a node, or with
// node 0 to whichever voter is the most up to date:
//
//  1. latch the whole range: everything in evaluation ends first;
//  2. stop serving, and write a lease that ends now, with what was read
//     (handover.go): whatever was served lies below a reading of the clock
//     taken after it (waitForClock), and that reading is the end that the
//     successor must have passed;
//  3. ask Raft to hand over. The successor takes a lease at once.
//
// If the successor does not come within transferPatience this replica takes a
// lease of a new sequence. A message of the failed transfer that arrives late
// may still elect the successor; it then waits for that lease like anybody.
func (r *Replica) transferAway(ctx context.Context, node kvapi.NodeID) error {
	target, err := r.transferTarget(node)
	if err != nil {
		return err
	}
	if target == r.replicaID {
		return nil
	}
	desc := r.Desc()
	guard, kerr := r.mgr.SequenceRequest(ctx, concurrency.Request{Spans: wholeRange(desc)})
	if kerr != nil {
		return kerr
	}
	defer r.mgr.Finish(guard)
	now := r.Desc()
	if !desc.ContainsSpan(now.Span()) {
		// The latches waited for a merge: they are not of the whole range.
		return fmt.Errorf("%s is now %s: %w", desc, now, errDescriptorChanged)
	}
	p, err := r.abandonLease(ctx, r.summarizeReads(now))
	if err != nil {
		return err
	}
	r.store.enqueue(r.rangeID)
	if fate, err := p.wait(ctx); err != nil || fate != applied {
		return fmt.Errorf("%s: the lease could not be given up", r.rangeID)
	}
	r.raftMu.Lock()
	if r.raftMu.group != nil {
		r.raftMu.group.TransferLeader(target)
	}
	r.raftMu.Unlock()
	r.store.sched.EnqueueReady(r.rangeID)
	return r.waitForLeadership(ctx, false)
}

// wholeRange latches everything of a range, the threshold of collection included:
// whoever is told that something is protected was told before.
func wholeRange(desc *kvapi.RangeDescriptor) spanset.Spans {
	var s spanset.Spans
	s.Latch(spanset.Write, desc.Span(), hlc.Timestamp{})
	start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
	s.Latch(spanset.Write, kvapi.Span{Key: start, EndKey: end}, hlc.Timestamp{})
	s.Latch(spanset.Write, kvapi.Span{Key: keys.GCThreshold(desc.RangeID)}, hlc.Timestamp{})
	return s
}

// transferTarget picks the successor: a voter whose log is at most
// transferLagMax behind, for proposals wait while it catches up.
func (r *Replica) transferTarget(node kvapi.NodeID) (kvapi.ReplicaID, error) {
	desc := r.Desc()
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil || !r.raftMu.group.Status().IsLeader() {
		if node == 0 {
			return r.replicaID, nil // nothing of ours to hand over
		}
		return 0, r.notLeaseholder("not the leader")
	}
	if node == r.store.ident.NodeID {
		return r.replicaID, nil
	}
	last := r.raftMu.log.LastIndex()
	var best raftgroup.Progress
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		rep, ok := desc.ReplicaByID(p.ReplicaID)
		if !ok || p.ReplicaID == r.replicaID || !rep.Type.Votes() || !r.isHeardOf(p, rep.NodeID) ||
			p.State != raftgroup.Replicating || p.Match+transferLagMax < last || (node != 0 && rep.NodeID != node) {
			return
		}
		if p.Match > best.Match {
			best = p
		}
	})
	if best.ReplicaID == 0 {
		return 0, errNobodyToTransferTo
	}
	return best.ReplicaID, nil
}

// abandonLease proposes the lease that ends now, after a renewal in flight. From
// here on this replica serves nothing under the old one.
func (r *Replica) abandonLease(ctx context.Context, reads *handedOver) (*proposal, error) {
	for {
		now := r.store.cfg.Clock.Now()
		r.mu.Lock()
		valid, busy, changed := r.leaseStatusLocked(now, noTimestamp).IsValid(), r.mu.leaseAsked, r.mu.leaseChanged
		if valid && !busy {
			p := r.abandonLeaseLocked(now, reads)
			r.mu.Unlock()
			return p, nil
		}
		r.mu.Unlock()
		if !busy {
			return nil, r.notLeaseholder("nothing to transfer")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: a renewal is in flight: %w", r.rangeID, ctx.Err())
		}
	}
}

func (r *Replica) abandonLeaseLocked(now hlc.ClockTimestamp, reads *handedOver) *proposal {
	r.mu.minProposedAt = now
	r.mu.transferUntil = now.WallTime + int64(transferPatience)
	prev := r.mu.lease
	next := prev
	next.Sequence++
	// A leader lease, too, has an end from now on. The followers' promises do
	// not stand against the successor's campaign, however late; so there is no
	// such lease again in this term.
	next.Kind, r.mu.spent = kvapi.ExpirationLease, r.mu.term
	next.Expiration = now.Timestamp().Next()
	r.mu.leaseAsked = true
	// Nothing is closed any more but what commands before this one carry.
	r.closing.Leave()
	reads.Closed = r.closing.Closed()
	p := r.newLeaseProposal(prev, next, reads)
	r.bufferLocked(p)
	return p
}

// waitForLeadership returns when this replica leads, or leads no more, as is
// wanted; or, within transferPatience, with an error.
func (r *Replica) waitForLeadership(ctx context.Context, want bool) error {
	ctx, cancel := context.WithTimeout(ctx, transferPatience)
	defer cancel()
	for {
		r.mu.RLock()
		leads, changed := r.mu.leads, r.mu.leaseChanged
		r.mu.RUnlock()
		if leads == want {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: the successor did not take over: %w", r.rangeID, ctx.Err())
		}
	}
}
