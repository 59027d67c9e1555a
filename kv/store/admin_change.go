package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// A change of replicas goes through steps, each one transaction that writes the
// descriptor and one Raft configuration that its commit carries:
//
//	start       (1)(2)(3)              quorum 2 of 1,2,3
//	learner     (1)(2)(3)(4L)          the same; 4 gets a snapshot and the log
//	joint       (1)(2)(3D)(4I)         2 of 1,2,3 and 2 of 1,2,4
//	left        (1)(2)(3L)(4)          2 of 1,2,4
//	removed     (1)(2)(4)              the same; 3 has learnt of it, or finds out
//
// After a crash anywhere the range has a configuration that works, and whoever
// holds its lease goes on: a joint configuration is left before anything else
// (leaveJoint), a learner is promoted or removed (replicate.go).
//
// A lone addition or removal needs no joint step. A swap does: 3 to 4 to 3
// voters passes through four, where the loss of two at once, of a rack say,
// stops the range.
//
// A voter is never removed at once, but demoted first: it destroys itself when
// it applies its removal, and others, who may not have applied it yet, would
// then still count on its vote.

// adminChangeReplicas adds and removes replicas.
func (r *Replica) adminChangeReplicas(ctx context.Context, c *kvapi.ReplicaChange) error {
	if c == nil {
		return fmt.Errorf("no change given")
	}
	if d := r.Desc(); c.Expected != 0 && c.Expected != d.Generation {
		return fmt.Errorf("%s is not at generation %d: %w", d, c.Expected, errDescriptorChanged)
	}
	select {
	case r.moving <- struct{}{}:
		defer func() { <-r.moving }()
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for another change: %w", r.rangeID, ctx.Err())
	}
	return r.changeReplicas(ctx, c.Add, c.Remove, whyAsked)
}

// whyAsked is the reason of changes by hand.
const whyAsked = "by hand"

// changeReplicas is adminChangeReplicas for one who holds r.moving. why is for
// the range log.
func (r *Replica) changeReplicas(ctx context.Context, add, remove []kvapi.NodeID, why string) error {
	for _, n := range remove {
		switch _, ok := r.Desc().Replica(n); {
		case n == r.store.ident.NodeID:
			// It would have to wait for its own end.
			return fmt.Errorf("%s holds the lease of %s: move the lease first", n, r.rangeID)
		case !ok:
			return fmt.Errorf("%s has no replica of %s", n, r.rangeID)
		case slices.Contains(add, n):
			return fmt.Errorf("%s is to be added and removed", n)
		}
	}
	if err := r.leaveJoint(ctx, why); err != nil {
		return err
	}
	for _, n := range add {
		if err := r.addLearner(ctx, n, why); err != nil {
			return err
		}
	}
	if err := r.changeVoters(ctx, add, remove, why); err != nil {
		return err
	}
	for _, n := range remove {
		if err := r.removeLearner(ctx, n, why); err != nil {
			return err
		}
	}
	return nil
}

// addLearner makes sure that a node has a replica with the range's data, be it
// a voter or a learner.
func (r *Replica) addLearner(ctx context.Context, n kvapi.NodeID, why string) error {
	rep, ok := r.Desc().Replica(n)
	if !ok {
		err := r.changeDescriptor(ctx, why, func(d *kvapi.RangeDescriptor) error {
			if _, ok := d.Replica(n); ok {
				return errDescriptorChanged
			}
			d.Replicas = append(d.Replicas, kvapi.ReplicaDescriptor{NodeID: n, ReplicaID: d.NextReplicaID, Type: kvapi.Learner})
			d.NextReplicaID++
			return nil
		})
		if err != nil {
			return fmt.Errorf("add a learner on %s: %w", n, err)
		}
		if rep, ok = r.Desc().Replica(n); !ok {
			return fmt.Errorf("learner on %s: %w", n, errDescriptorChanged)
		}
	}
	if rep.Type != kvapi.Learner {
		return nil
	}
	if err := r.waitForLearner(ctx, rep.ReplicaID); err != nil {
		return fmt.Errorf("learner %s of %s: %w", rep, r.rangeID, err)
	}
	return nil
}

// changeVoters promotes and demotes in one step, or, if that is more than one
// change, by a joint configuration.
func (r *Replica) changeVoters(ctx context.Context, promote, demote []kvapi.NodeID, why string) error {
	changes := 0
	count := func(d *kvapi.RangeDescriptor) {
		changes = 0
		for i := range d.Replicas {
			if mayBecome(&d.Replicas[i], promote, demote) != d.Replicas[i].Type {
				changes++
			}
		}
	}
	if count(r.Desc()); changes == 0 {
		return nil
	}
	if err := r.checkQuorumAfter(promote, demote); err != nil {
		return err
	}
	err := r.changeDescriptor(ctx, why, func(d *kvapi.RangeDescriptor) error {
		if count(d); changes == 0 {
			return errDescriptorChanged
		}
		for i := range d.Replicas {
			rep := &d.Replicas[i]
			to := mayBecome(rep, promote, demote)
			switch {
			case changes == 1 || to == rep.Type:
			case to == kvapi.Voter:
				to = kvapi.VoterIncoming
			case to == kvapi.Learner:
				to = kvapi.VoterDemotingLearner
			}
			rep.Type = to
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change the voters of %s: %w", r.rangeID, err)
	}
	return r.leaveJoint(ctx, why)
}

// checkQuorumAfter refuses a change after which the replicas that are heard of
// would be no majority: it would be the last one.
func (r *Replica) checkQuorumAfter(promote, demote []kvapi.NodeID) error {
	desc := r.Desc()
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil || !r.raftMu.group.Status().IsLeader() {
		return r.notLeaseholder("not the leader")
	}
	voters, active := 0, 0
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		rep, ok := desc.ReplicaByID(p.ReplicaID)
		if !ok || mayBecome(&rep, promote, demote) != kvapi.Voter {
			return
		}
		voters++
		if p.ReplicaID == r.replicaID || r.isHeardOf(p, rep.NodeID) {
			active++
		}
	})
	if active <= voters/2 {
		return fmt.Errorf("of the %d voters that %s would have, only %d answer", voters, r.rangeID, active)
	}
	return nil
}

// mayBecome is what a replica shall be.
func mayBecome(rep *kvapi.ReplicaDescriptor, promote, demote []kvapi.NodeID) kvapi.ReplicaType {
	switch {
	case rep.Type == kvapi.Learner && slices.Contains(promote, rep.NodeID):
		return kvapi.Voter
	case rep.Type == kvapi.Voter && slices.Contains(demote, rep.NodeID):
		return kvapi.Learner
	}
	return rep.Type
}

// leaveJoint ends a change of voters that has begun, this leaseholder's or an
// earlier one's.
func (r *Replica) leaveJoint(ctx context.Context, why string) error {
	desc := r.Desc()
	if !desc.IsJoint() {
		return nil
	}
	if own := r.own(desc); own.Type == kvapi.VoterDemotingLearner || own.Type == kvapi.VoterOutgoing {
		// It was elected while the change was on, and may not lead after it.
		if err := r.transferAway(ctx, 0); err != nil {
			return fmt.Errorf("hand over before leaving the voters: %w", err)
		}
		return r.notLeaseholder("it leaves the voters")
	}
	err := r.changeDescriptor(ctx, why, func(d *kvapi.RangeDescriptor) error {
		for i := range d.Replicas {
			switch rep := &d.Replicas[i]; rep.Type {
			case kvapi.VoterIncoming:
				rep.Type = kvapi.Voter
			case kvapi.VoterDemotingLearner:
				rep.Type = kvapi.Learner
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leave the joint configuration of %s: %w", r.rangeID, err)
	}
	return nil
}

// removeLearner takes a node's replica, which does not vote, out of the range.
func (r *Replica) removeLearner(ctx context.Context, n kvapi.NodeID, why string) error {
	err := r.changeDescriptor(ctx, why, func(d *kvapi.RangeDescriptor) error {
		for i, rep := range d.Replicas {
			if rep.NodeID == n && rep.Type == kvapi.Learner {
				d.Replicas = append(d.Replicas[:i], d.Replicas[i+1:]...)
				return nil
			}
		}
		return errDescriptorChanged
	})
	if err != nil {
		return fmt.Errorf("remove the learner on %s from %s: %w", n, r.rangeID, err)
	}
	return nil
}

// changeDescriptor runs the transaction that replaces the descriptor and
// carries the trigger.
func (r *Replica) changeDescriptor(ctx context.Context, why string, change func(*kvapi.RangeDescriptor) error) error {
	if r.store.cfg.Txns == nil {
		return errNoTxns
	}
	unlock, err := r.lockDescriptor(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	old := r.Desc()
	next := *old
	next.Replicas = append([]kvapi.ReplicaDescriptor(nil), old.Replicas...)
	next.Generation++
	if err := change(&next); err != nil {
		return err
	}
	if !sameMembers(old, &next) {
		if _, err := confChangeBetween(old, &next); err != nil {
			return err
		}
	}
	err = r.store.cfg.Txns.RunTxn(ctx, "change replicas", func(ctx context.Context, txn Txn) error {
		if err := checkDescriptor(ctx, txn, old); err != nil {
			return err
		}
		if err := putDescriptor(ctx, txn, &next); err != nil {
			return err
		}
		if kind, ok := eventOf(old, &next); ok {
			e := kvapi.RangeEvent{RangeID: next.RangeID, Kind: kind, Why: why + "; replicas " + next.ReplicaList()}
			if err := r.store.logEvent(ctx, txn, e); err != nil {
				return err
			}
		}
		txn.SetChangeReplicasTrigger(next.StartKey, &kvapi.ChangeReplicasTrigger{Desc: next})
		return nil
	})
	if err == nil {
		r.tellRemoved(old, &next)
	}
	return err
}

// tellRemoved tells replicas that are in a descriptor no more that newer ones
// would be served now, so that they go (replicaFor). One that lags behind does
// not get the entry that removes it, for Raft sends it nothing any more, and
// while it sleeps it has no reason to doubt. The message may be lost; collect.go
// comes by later.
func (r *Replica) tellRemoved(old, next *kvapi.RangeDescriptor) {
	from := r.own(next)
	for _, gone := range old.Replicas {
		if _, still := next.ReplicaByID(gone.ReplicaID); still || gone.NodeID == r.store.ident.NodeID {
			continue
		}
		to := kvapi.ReplicaDescriptor{NodeID: gone.NodeID, ReplicaID: next.NextReplicaID}
		env := raftgroup.Envelope{RangeID: r.rangeID, From: from, To: to, StartKey: next.StartKey,
			Message: raftgroup.Notice(from.ReplicaID, to.ReplicaID)}
		r.store.cfg.Transport.SendRaft(to.NodeID, []raftgroup.Envelope{env})
	}
}

// eventOf is what a step is in the range log. A swap is there when it is over,
// and that the demoted replica goes then needs no saying.
func eventOf(old, next *kvapi.RangeDescriptor) (kind kvapi.RangeEventKind, ok bool) {
	switch {
	case sameMembers(old, next), next.IsJoint(), len(next.Replicas) < len(old.Replicas):
		return "", false
	case len(next.Replicas) > len(old.Replicas):
		return kvapi.EventLearner, true
	}
	return kvapi.EventVoters, true
}

// waitForLearner returns when a learner has the range's data and nearly all of
// its log, so that its first vote is worth something.
func (r *Replica) waitForLearner(ctx context.Context, id kvapi.ReplicaID) error {
	ctx, cancel := context.WithTimeout(ctx, learnerTimeout)
	defer cancel()
	t := time.NewTicker(learnerPoll)
	defer t.Stop()
	heard := time.Now()
	for {
		p, leads := r.progressOf(id)
		if p.RecentActive || p.State != raftgroup.Probing {
			heard = time.Now()
		}
		switch {
		case time.Since(heard) > learnerSilentMax:
			// Gossip has yet to notice that its node is gone.
			return fmt.Errorf("its node has not answered for %s", learnerSilentMax)
		case !leads:
			return r.notLeaseholder("deposed while a learner caught up")
		case p.State == raftgroup.Replicating && p.Match+learnerLagMax >= r.appliedIndex():
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("it did not catch up (%s, at %d of %d): %w", p.State, p.Match, r.appliedIndex(), ctx.Err())
		}
	}
}

// progressOf returns what the leader knows of a replica's log.
func (r *Replica) progressOf(id kvapi.ReplicaID) (out raftgroup.Progress, leads bool) {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil || !r.raftMu.group.Status().IsLeader() {
		return out, false
	}
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		if p.ReplicaID == id {
			out = p
		}
	})
	return out, true
}

func (r *Replica) appliedIndex() kvapi.LogIndex {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.applied.Index
}
