package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// applyChange installs a descriptor with other replicas, and in the same step
// the Raft configuration that goes with it: both come from one entry, so they
// never disagree.
func (a *applier) applyChange(desc *kvapi.RangeDescriptor, change *raftgroup.ConfChange) error {
	r := a.r
	old := r.Desc()
	if desc.RangeID != old.RangeID || desc.Generation <= old.Generation || !desc.StartKey.Equal(old.StartKey) ||
		!desc.EndKey.Equal(old.EndKey) || (change == nil) != sameMembers(old, desc) {
		return fmt.Errorf("replica change from %s to %s", old, desc)
	}
	if err := storage.PutUnversioned(a.batch, descriptorKey(desc.RangeID), desc.AppendWire(nil)); err != nil {
		return err
	}
	if err := a.flush(func() { r.mu.desc = desc }); err != nil || change == nil {
		return err
	}
	r.store.replicas.version.Add(1) // it has other peers
	cs := r.raftMu.group.ApplyConfChange(*change)
	if want := raftgroup.ConfStateOf(desc); !sameConfig(cs, want) {
		return fmt.Errorf("configuration is %v, the descriptor says %v", cs, want)
	}
	if _, ok := desc.ReplicaByID(r.replicaID); !ok {
		return r.removeLocked(desc.NextReplicaID)
	}
	return nil
}

// sameMembers reports whether two descriptors have the same replicas: the change
// from one to the other then is no change of Raft's.
func sameMembers(a, b *kvapi.RangeDescriptor) bool { return slices.Equal(a.Replicas, b.Replicas) }

// sameConfig compares configurations; neither is in any order.
func sameConfig(a, b raftgroup.ConfState) bool {
	same := func(x, y []kvapi.ReplicaID) bool {
		x, y = slices.Clone(x), slices.Clone(y)
		slices.Sort(x)
		slices.Sort(y)
		return slices.Equal(x, y)
	}
	return same(a.Voters, b.Voters) && same(a.Learners, b.Learners) &&
		same(a.VotersOutgoing, b.VotersOutgoing) && same(a.LearnersNext, b.LearnersNext)
}

// confChangeBetween returns the Raft change that leads from one descriptor to
// the other, which is one step:
//
//	a learner added or removed,      simple: one change, effective at once
//	a learner promoted,
//	a voter demoted or removed
//	learners to VoterIncoming and    joint: both majorities decide from now on
//	voters to VoterDemotingLearner
//	the transient types to what      leaves the joint configuration
//	they end in, all of them
func confChangeBetween(from, to *kvapi.RangeDescriptor) (raftgroup.ConfChange, error) {
	var c raftgroup.ConfChange
	var left, stay int
	for _, n := range to.Replicas {
		old, was := from.ReplicaByID(n.ReplicaID)
		if !was {
			old.Type = absent
		}
		if was && old.Type.IsTransient() {
			if n.Type.IsTransient() {
				stay++
			} else {
				left++
			}
		}
		op, joint, err := changeOf(old.Type, n.Type)
		if err != nil {
			return c, fmt.Errorf("%s cannot become %s: %w", old, n, err)
		}
		if op != nil {
			c.Changes = append(c.Changes, raftgroup.ReplicaChange{Op: *op, ReplicaID: n.ReplicaID})
			c.Joint = c.Joint || joint
		}
	}
	for _, o := range from.Replicas {
		if _, still := to.ReplicaByID(o.ReplicaID); !still {
			if o.Type.IsTransient() {
				return c, fmt.Errorf("%s is in a joint configuration and cannot be removed", o)
			}
			c.Changes = append(c.Changes, raftgroup.ReplicaChange{Op: raftgroup.RemoveReplica, ReplicaID: o.ReplicaID})
		}
	}
	return c, checkStep(c, from.IsJoint(), left, stay)
}

// absent stands for the type of a replica that is in no descriptor.
const absent = ^kvapi.ReplicaType(0)

// changeOf is one replica's part in a change; a nil op is none.
func changeOf(from, to kvapi.ReplicaType) (op *raftgroup.ConfChangeOp, joint bool, err error) {
	add, demote := raftgroup.AddVoter, raftgroup.AddLearner
	switch {
	case from == to,
		from == kvapi.VoterIncoming && to == kvapi.Voter,
		from == kvapi.VoterDemotingLearner && to == kvapi.Learner:
		return nil, false, nil
	case from == absent && to == kvapi.Learner, from == kvapi.Voter && to == kvapi.Learner:
		return &demote, false, nil
	case to == kvapi.Voter && (from == absent || from == kvapi.Learner):
		return &add, false, nil
	case from == kvapi.Learner && to == kvapi.VoterIncoming:
		return &add, true, nil
	case from == kvapi.Voter && to == kvapi.VoterDemotingLearner:
		return &demote, true, nil
	}
	return nil, false, errNotOneStep
}

var errNotOneStep = errors.New("that is not one step")

// checkStep refuses mixtures of steps.
func checkStep(c raftgroup.ConfChange, wasJoint bool, left, stay int) error {
	switch {
	case wasJoint && (left == 0 || stay > 0 || len(c.Changes) > 0):
		return fmt.Errorf("a joint configuration is left first, as a whole: %w", errNotOneStep)
	case wasJoint:
		return nil
	case len(c.Changes) == 0:
		return fmt.Errorf("nothing changes: %w", errNotOneStep)
	case len(c.Changes) > 1 && !c.Joint:
		return fmt.Errorf("%d changes at once need a joint configuration: %w", len(c.Changes), errNotOneStep)
	}
	return nil
}
