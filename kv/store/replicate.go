package store

import (
	"context"
	"errors"
	"slices"
	"sort"
	"time"

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
	if v := d.Voters(); v < s.cfg.ReplicationFactor || v < len(d.Replicas) {
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
	select {
	case r.moving <- struct{}{}:
		defer func() { <-r.moving }()
	default:
		return nil // an operator is changing it
	}
	if err := r.leaveJoint(ctx); err != nil {
		return err
	}
	desc := r.Desc()
	want := min(s.cfg.ReplicationFactor, len(live))
	for _, rep := range desc.Replicas {
		if rep.Type == kvapi.Learner {
			return s.finishLearner(ctx, r, rep, desc.Voters() < want, live)
		}
	}
	for _, n := range s.candidates(desc, live) {
		if r.Desc().Voters() >= want {
			break
		}
		if err := r.changeReplicas(ctx, []kvapi.NodeID{n}, nil); err != nil {
			return err
		}
		s.cfg.Log.Info("replica added", "range", r.rangeID, "node", n)
	}
	return nil
}

// finishLearner promotes a learner that an interrupted change left, or removes
// it where its node is gone.
func (s *Store) finishLearner(ctx context.Context, r *Replica, rep kvapi.ReplicaDescriptor, wanted bool, live []kvapi.NodeID) error {
	if wanted && slices.Contains(live, rep.NodeID) {
		return r.changeReplicas(ctx, []kvapi.NodeID{rep.NodeID}, nil)
	}
	return r.removeLearner(ctx, rep.NodeID)
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
