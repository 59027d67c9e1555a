package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// adminChangeReplicas adds replicas, each first as a learner that counts in no
// quorum until it has the range's data, and then removes replicas. One step is
// one transaction and one Raft configuration; after any crash the range has a
// configuration that works, and the replicate loop goes on from there.
func (r *Replica) adminChangeReplicas(ctx context.Context, c *kvapi.ReplicaChange) error {
	if c == nil {
		return fmt.Errorf("no change given")
	}
	if d := r.Desc(); c.Expected != 0 && c.Expected != d.Generation {
		return fmt.Errorf("%s is not at generation %d: %w", d, c.Expected, errDescriptorChanged)
	}
	for _, n := range c.Add {
		if err := r.addReplica(ctx, n); err != nil {
			return err
		}
	}
	for _, n := range c.Remove {
		if err := r.removeReplica(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// addReplica brings a node's replica to be a voter, from wherever it is.
func (r *Replica) addReplica(ctx context.Context, n kvapi.NodeID) error {
	rep, ok := r.Desc().Replica(n)
	if !ok {
		err := r.changeDescriptor(ctx, func(d *kvapi.RangeDescriptor) error {
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
	if rep.Type == kvapi.Voter {
		return nil
	}
	if err := r.waitForLearner(ctx, rep.ReplicaID); err != nil {
		return fmt.Errorf("learner %s of %s: %w", rep, r.rangeID, err)
	}
	return r.changeDescriptor(ctx, func(d *kvapi.RangeDescriptor) error {
		for i := range d.Replicas {
			if d.Replicas[i].ReplicaID == rep.ReplicaID {
				d.Replicas[i].Type = kvapi.Voter
				return nil
			}
		}
		return errDescriptorChanged
	})
}

// removeReplica takes a node's replica out of the range. The leaseholder does
// not remove itself: it would have to wait for its own end.
func (r *Replica) removeReplica(ctx context.Context, n kvapi.NodeID) error {
	if n == r.store.ident.NodeID {
		return fmt.Errorf("%s holds the lease of %s: move the lease first", n, r.rangeID)
	}
	return r.changeDescriptor(ctx, func(d *kvapi.RangeDescriptor) error {
		for i := range d.Replicas {
			if d.Replicas[i].NodeID == n {
				d.Replicas = append(d.Replicas[:i], d.Replicas[i+1:]...)
				return nil
			}
		}
		return fmt.Errorf("%s has no replica of %s", n, r.rangeID)
	})
}

// changeDescriptor runs the transaction that replaces the descriptor and
// carries the trigger.
func (r *Replica) changeDescriptor(ctx context.Context, change func(*kvapi.RangeDescriptor) error) error {
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
	if _, err := confChangeBetween(old, &next); err != nil {
		return err
	}
	return r.store.cfg.Txns.RunTxn(ctx, "change replicas", func(ctx context.Context, txn Txn) error {
		if err := checkDescriptor(ctx, txn, old); err != nil {
			return err
		}
		if err := putDescriptor(ctx, txn, &next); err != nil {
			return err
		}
		txn.SetChangeReplicasTrigger(next.StartKey, &kvapi.ChangeReplicasTrigger{Desc: next})
		return nil
	})
}

// waitForLearner returns when a learner has the range's data and nearly all of
// its log, so that its first vote is worth something.
func (r *Replica) waitForLearner(ctx context.Context, id kvapi.ReplicaID) error {
	ctx, cancel := context.WithTimeout(ctx, learnerTimeout)
	defer cancel()
	t := time.NewTicker(learnerPoll)
	defer t.Stop()
	for {
		p, leads := r.progressOf(id)
		switch {
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
