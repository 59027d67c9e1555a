package store

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// replicateLoop gives every range whose lease is here as many voters as
// Config.ReplicationFactor and the live nodes allow, and removes replicas here
// that their ranges have forgotten. It is the least that keeps data safe;
// where replicas should be is the business of a later allocator.
func (s *Store) replicateLoop() {
	t := time.NewTimer(replicateEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-s.kick:
		case <-t.C:
		}
		if s.ReplicateOnce(s.ctx) {
			t.Reset(replicateEvery)
		} else {
			t.Reset(replicateAgain)
		}
	}
}

// KickReplicate makes the replicate loop look now: a node joined, or a range
// was made.
func (s *Store) KickReplicate() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// maybeKickReplicate looks soon at a range whose lease or leadership came here
// and that lacks voters: one that a split made while its left side lacked them too, or
// one whose last leaseholder was lost in the middle of a change.
func (s *Store) maybeKickReplicate(d *kvapi.RangeDescriptor) {
	voters := 0
	for _, rep := range d.Replicas {
		if rep.Type == kvapi.Voter {
			voters++
		}
	}
	if voters < s.cfg.ReplicationFactor || voters < len(d.Replicas) {
		s.KickReplicate()
	}
}

// ReplicateOnce looks once at every range here. It reports whether all that it
// began succeeded.
func (s *Store) ReplicateOnce(ctx context.Context) (ok bool) {
	if s.cfg.Txns == nil {
		return true
	}
	ok = true
	var live []kvapi.NodeID
	if s.cfg.Nodes != nil {
		live = s.cfg.Nodes.LiveNodes()
	}
	for _, r := range s.replicas.all() {
		if s.isStopping() {
			return ok
		}
		rctx, cancel := context.WithTimeout(ctx, replicateTimeout)
		err := s.replicateRange(rctx, r, live)
		cancel()
		ok = ok && err == nil
		if err != nil && !errors.Is(err, errDescriptorChanged) && !s.isStopping() {
			s.cfg.Log.Info("replicate", "range", r.rangeID, "err", err)
		}
	}
	return ok
}

func (s *Store) replicateRange(ctx context.Context, r *Replica, live []kvapi.NodeID) error {
	if !r.leaseStatus(noTimestamp).IsValid() {
		return r.maybeCollect(ctx)
	}
	desc := r.Desc()
	want := min(s.cfg.ReplicationFactor, len(live))
	voters := 0
	for _, rep := range desc.Replicas {
		if rep.Type == kvapi.Voter {
			voters++
		}
	}
	for _, rep := range desc.Replicas {
		if rep.Type == kvapi.Learner {
			return s.finishLearner(ctx, r, rep, voters < want, live)
		}
	}
	if voters >= want {
		return nil
	}
	for _, n := range s.candidates(desc, live) {
		if err := r.addReplica(ctx, n); err != nil {
			return err
		}
		s.cfg.Log.Info("replica added", "range", r.rangeID, "node", n)
		if voters++; voters >= want {
			break
		}
	}
	return nil
}

// finishLearner promotes a learner that an interrupted change left, or removes
// it where its node is gone.
func (s *Store) finishLearner(ctx context.Context, r *Replica, rep kvapi.ReplicaDescriptor, wanted bool, live []kvapi.NodeID) error {
	for _, n := range live {
		if n == rep.NodeID && wanted {
			return r.addReplica(ctx, rep.NodeID)
		}
	}
	return r.removeReplica(ctx, rep.NodeID)
}

// candidates are the live nodes without a replica whose disks are not full, the
// one with the fewest known replicas first.
func (s *Store) candidates(desc *kvapi.RangeDescriptor, live []kvapi.NodeID) []kvapi.NodeID {
	load := map[kvapi.NodeID]int{}
	for _, r := range s.replicas.all() {
		for _, rep := range r.Desc().Replicas {
			load[rep.NodeID]++
		}
	}
	var out []kvapi.NodeID
	for _, n := range live {
		if _, ok := desc.Replica(n); !ok && !s.isFull(n) {
			out = append(out, n)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return load[out[i]] < load[out[j]] || (load[out[i]] == load[out[j]] && out[i] < out[j])
	})
	return out
}

// maybeCollect removes a replica that its range has forgotten: it has not heard
// of a leader, and a consistent read of the descriptor, from whoever has it,
// does not name it. Only a removed replica can be left out of a descriptor of
// a later generation.
func (r *Replica) maybeCollect(ctx context.Context) error {
	r.mu.RLock()
	desc, leaderless := r.mu.desc, r.mu.leader == 0
	r.mu.RUnlock()
	if !leaderless || !desc.IsInitialized() {
		return nil
	}
	var now kvapi.RangeDescriptor
	found := false
	err := r.store.cfg.Txns.RunTxn(ctx, "replica collection", func(ctx context.Context, txn Txn) error {
		b, ok, err := txn.Get(ctx, keys.RangeDescriptor(desc.StartKey))
		if err != nil || !ok {
			return err
		}
		found = true
		return now.UnmarshalWire(b)
	})
	if err != nil {
		return err
	}
	if !found || now.RangeID != desc.RangeID {
		return r.collectMerged(ctx)
	}
	if now.Generation <= desc.Generation {
		return nil
	}
	if _, ok := now.ReplicaByID(r.replicaID); ok {
		return nil
	}
	next := now.NextReplicaID
	if back, ok := now.Replica(r.store.ident.NodeID); ok {
		next = back.ReplicaID // the range came back; a later tombstone would keep it out for ever
	}
	r.removeSoon.Store(uint64(next))
	r.store.enqueue(r.rangeID)
	return nil
}
