package store

import (
	"fmt"

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
		!desc.EndKey.Equal(old.EndKey) || change == nil {
		return fmt.Errorf("replica change from %s to %s", old, desc)
	}
	if err := storage.PutUnversioned(a.batch, descriptorKey(desc.RangeID), desc.AppendWire(nil)); err != nil {
		return err
	}
	if err := a.flush(func() { r.mu.desc = desc }); err != nil {
		return err
	}
	cs := r.raftMu.group.ApplyConfChange(*change)
	if want := raftgroup.ConfStateOf(desc); len(cs.Voters) != len(want.Voters) || len(cs.Learners) != len(want.Learners) {
		return fmt.Errorf("configuration is %v, the descriptor says %v", cs, want)
	}
	if _, ok := desc.ReplicaByID(r.replicaID); !ok {
		return r.removeLocked(desc.NextReplicaID)
	}
	return nil
}

// confChangeBetween returns the Raft change that leads from one descriptor to
// the other. Only one step at a time is made: a learner added, promoted, or a
// replica removed. (A swap in one step, by a joint configuration, is not made
// yet.)
func confChangeBetween(from, to *kvapi.RangeDescriptor) (raftgroup.ConfChange, error) {
	var c raftgroup.ConfChange
	add := func(op raftgroup.ConfChangeOp, id kvapi.ReplicaID) {
		c.Changes = append(c.Changes, raftgroup.ReplicaChange{Op: op, ReplicaID: id})
	}
	for _, n := range to.Replicas {
		old, was := from.ReplicaByID(n.ReplicaID)
		switch {
		case was && old.Type == n.Type:
		case n.Type == kvapi.Voter && (!was || old.Type == kvapi.Learner):
			add(raftgroup.AddVoter, n.ReplicaID)
		case n.Type == kvapi.Learner && !was:
			add(raftgroup.AddLearner, n.ReplicaID)
		default:
			return c, fmt.Errorf("change of %s into %s needs a joint configuration", old, n)
		}
	}
	for _, o := range from.Replicas {
		if _, still := to.ReplicaByID(o.ReplicaID); !still {
			add(raftgroup.RemoveReplica, o.ReplicaID)
		}
	}
	if len(c.Changes) != 1 {
		return c, fmt.Errorf("%d changes at once need a joint configuration", len(c.Changes))
	}
	return c, nil
}
