package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// A merge joins a range to its right neighbour. The left range's leaseholder
// drives it:
//
//	0 the right range's replicas are brought to the left one's nodes (together.go)
//	1 both have voters on the same nodes, all of them up to date; the right
//	  range's lease is brought here
//	2 transaction: new left descriptor, the right one deleted, their addressing
//	  records, an entry of the range log; written as intents at once, so that a
//	  split or a change of either range that is under way meets them
//	3 the right range is frozen (freeze.go)
//	4 every replica of the right range has applied the freeze, durably: its data
//	  are complete on every store on which the merge will apply
//	5 commit, with the trigger that every replica of the left range applies
//	  (apply_merge.go)
//
// What goes wrong, and what it comes to:
//
//	a replica is away, or behind          no merge (1, or 4 after
//	                                      freezeWaitMax), then a thaw
//	the driver dies before 5              its transaction expires; whoever holds
//	                                      the right range's lease thaws it
//	the driver dies in 5                  the same, or the merge is committed:
//	                                      the addressing record tells
//	the right range's lease moves         frozen it stays: the freeze is in its log
//	the left range's lease moves          5 reaches the next leaseholder, which
//	                                      has the frozen right replica, too (4)
//	a store is behind when 5 commits      its right replica waits, frozen and
//	                                      without a quorum, for the left to apply
//	… and gets a snapshot of the left     the snapshot takes the place of both
//	late messages for the right range     a tombstone refuses them
//
// A transaction that must be repeated is not: a second attempt under the same
// transaction would find the right range frozen by the first. The whole merge is
// tried again instead.

// errReplicasDiffer says that two neighbours cannot be merged before replicas
// have been moved.
var errReplicasDiffer = errors.New("the two ranges' replicas are not on the same nodes, or not all voters")

// errMergeAgain says that the merge's transaction lost a conflict.
var errMergeAgain = errors.New("another transaction was in the way of the merge")

// mergeByHand merges at a boundary, again if something was in the way. If the ranges
// are on different nodes the right one's replicas are moved first.
func (r *Replica) mergeByHand(ctx context.Context, boundary kvapi.Key, why string) (err error) {
	for range mergeAttemptsMax {
		if left := r.Desc(); mayMergeAt(left, boundary) == nil {
			if err = r.store.bringTogether(ctx, left); err != nil {
				return err
			}
		}
		if err = r.adminMerge(ctx, boundary, why); !errors.Is(err, errMergeAgain) && !errors.Is(err, errDescriptorChanged) {
			return err
		}
	}
	return err
}

// adminMerge makes the range swallow its right neighbour, which begins at
// boundary.
func (r *Replica) adminMerge(ctx context.Context, boundary kvapi.Key, why string) error {
	s := r.store
	if s.cfg.Txns == nil || s.cfg.Peers == nil || s.cfg.Sender == nil {
		return errNoTxns
	}
	ctx, cancel := context.WithTimeout(ctx, mergeTimeout)
	defer cancel()
	unlock, err := r.lockDescriptor(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	left := r.Desc()
	if left.ContainsKey(boundary) && !boundary.Equal(left.StartKey) {
		return nil // it is merged there already
	}
	if err := mayMergeAt(left, boundary); err != nil {
		return err
	}
	rr := s.replicas.lookup(boundary)
	if rr == nil {
		return fmt.Errorf("the range at %s: %w", boundary, errReplicasDiffer)
	}
	if err := s.bringLease(ctx, rr); err != nil {
		return err
	}
	unlockRight, err := rr.lockDescriptor(ctx)
	if err != nil {
		return err
	}
	defer unlockRight()
	right := rr.Desc()
	switch {
	case !right.StartKey.Equal(boundary):
		return fmt.Errorf("%s does not begin at %s: %w", right, boundary, errDescriptorChanged)
	case !sameReplicas(left, right):
		return fmt.Errorf("%s and %s: %w", left, right, errReplicasDiffer)
	}
	for _, x := range []*Replica{r, rr} {
		if err := x.awaitUpToDate(ctx); err != nil {
			return err
		}
	}
	m := &merge{r: r, right: rr, leftDesc: left, rightDesc: right, why: why}
	return m.run(ctx)
}

// mayMergeAt refuses boundaries that are for ever.
func mayMergeAt(left *kvapi.RangeDescriptor, boundary kvapi.Key) error {
	switch {
	case !boundary.Equal(left.EndKey):
		return fmt.Errorf("%s is not where %s ends: %w", boundary, left, errDescriptorChanged)
	case boundary.Equal(keys.MetaMax), boundary.Equal(keys.SystemMax), boundary.Equal(keys.Max):
		return fmt.Errorf("ranges do not merge at %s", boundary)
	}
	return nil
}

// sameReplicas reports whether two ranges have voters, and nothing else, on the
// same nodes.
func sameReplicas(a, b *kvapi.RangeDescriptor) bool {
	if len(a.Replicas) != len(b.Replicas) {
		return false
	}
	for _, rep := range a.Replicas {
		if o, ok := b.Replica(rep.NodeID); !ok || o.Type != kvapi.Voter || rep.Type != kvapi.Voter {
			return false
		}
	}
	return true
}

// bringLease makes this store's replica of a range its leaseholder. That the old
// leader has stepped down, and so the transfer is over, says that somebody
// campaigns, not that votes have come.
func (s *Store) bringLease(ctx context.Context, r *Replica) error {
	if !r.leaseStatus(noTimestamp).IsValid() {
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: r.Desc().StartKey, Target: s.ident.NodeID})
		if _, err := s.cfg.Sender.Send(ctx, ba); err != nil {
			return fmt.Errorf("bring the lease of %s here: %w", r.rangeID, err)
		}
		if err := r.waitForLeadership(ctx, true); err != nil {
			return err
		}
	}
	if _, err := r.ensureLease(ctx, noTimestamp); err != nil {
		return fmt.Errorf("bring the lease of %s here: %w", r.rangeID, err)
	}
	return nil
}

// awaitUpToDate gives a leader that has just come to be a moment to find out
// where its followers are.
func (r *Replica) awaitUpToDate(ctx context.Context) error {
	t := time.NewTicker(learnerPoll)
	defer t.Stop()
	for deadline := time.Now().Add(upToDateWaitMax); ; {
		err := r.allUpToDate()
		if err == nil || !errors.Is(err, errFollowersBehind) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return err
		}
	}
}

// allUpToDate reports, on the leader, what is wrong with the followers' logs.
func (r *Replica) allUpToDate() error {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil || !r.raftMu.group.Status().IsLeader() {
		return r.notLeaseholder("not the leader")
	}
	last := r.raftMu.log.LastIndex()
	desc := r.Desc()
	var err error
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		if p.ReplicaID == r.replicaID {
			return
		}
		if rep, ok := desc.ReplicaByID(p.ReplicaID); !ok || !r.isHeardOf(p, rep.NodeID) || p.State != raftgroup.Replicating || p.Match+learnerLagMax < last {
			err = fmt.Errorf("replica %d of %s, at %d of %d: %w", p.ReplicaID, r.rangeID, p.Match, last, errFollowersBehind)
		}
	})
	return err
}

// merge is one attempt.
type merge struct {
	r, right            *Replica
	leftDesc, rightDesc *kvapi.RangeDescriptor
	why                 string
	begun               bool
}

func (m *merge) run(ctx context.Context) error {
	s := m.r.store
	err := s.cfg.Txns.RunTxn(ctx, "merge", m.txn)
	if err == nil {
		return nil
	}
	// The transaction may have committed all the same; settling finds out.
	if m.begun {
		ctx, cancel := context.WithTimeout(s.ctx, freezeWaitMax)
		defer cancel()
		if e := m.right.settleFreeze(ctx); e != nil {
			s.cfg.Log.Debug("a merge's freeze is left to others", "range", m.right.rangeID, "err", e)
		}
	}
	return fmt.Errorf("merge %s and %s: %w", m.leftDesc, m.rightDesc, err)
}

func (m *merge) txn(ctx context.Context, txn Txn) error {
	if m.begun {
		return errMergeAgain
	}
	m.begun = true
	merged := *m.leftDesc
	merged.EndKey = m.rightDesc.EndKey
	merged.Generation = max(m.leftDesc.Generation, m.rightDesc.Generation) + 1
	trigger := kvapi.MergeTrigger{Merged: merged, Right: *m.rightDesc}
	txn.SetMergeTrigger(merged.StartKey, &trigger)
	if err := checkDescriptor(ctx, txn, m.leftDesc); err != nil {
		return err
	}
	if err := checkDescriptor(ctx, txn, m.rightDesc); err != nil {
		return err
	}
	if err := m.put(ctx, txn, &merged); err != nil {
		return err
	}
	meta, err := txn.Flush(ctx)
	if err != nil {
		return err
	}
	f, err := m.right.freezeFor(ctx, meta, m.rightDesc)
	if err != nil {
		return err
	}
	if err := m.awaitFreeze(ctx, f); err != nil {
		return err
	}
	trigger.FrozenAt, trigger.ReadsUntil = f.At, f.ReadsUntil
	txn.SetMergeTrigger(merged.StartKey, &trigger)
	return nil
}

func (m *merge) put(ctx context.Context, txn Txn, merged *kvapi.RangeDescriptor) error {
	if err := putDescriptor(ctx, txn, merged); err != nil {
		return err
	}
	if err := txn.Delete(ctx, keys.RangeDescriptor(m.rightDesc.StartKey)); err != nil {
		return err
	}
	if err := txn.Delete(ctx, keys.RangeMetaKey(m.rightDesc.StartKey)); err != nil {
		return err
	}
	return m.r.store.logEvent(ctx, txn, kvapi.RangeEvent{RangeID: merged.RangeID, Kind: kvapi.EventMerge,
		Other: m.rightDesc.RangeID, Key: m.rightDesc.StartKey, Why: m.why})
}

// awaitFreeze returns when every replica of the right range has applied the
// freeze, durably.
func (m *merge) awaitFreeze(ctx context.Context, f *freeze) error {
	ctx, cancel := context.WithTimeout(ctx, freezeWaitMax)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(m.rightDesc.Replicas))
	for i, rep := range m.rightDesc.Replicas {
		wg.Go(func() {
			ba := &kvapi.BatchRequest{Header: kvapi.Header{RangeID: m.rightDesc.RangeID}}
			ba.Add(kvapi.Request{Kind: kvapi.WaitApplied, Key: m.rightDesc.StartKey, AppliedTo: f.At})
			if _, err := m.r.store.cfg.Peers.SendTo(ctx, rep.NodeID, ba); err != nil {
				errs[i] = fmt.Errorf("%s of the right range: %w", rep, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
