package store

import (
	"context"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// A replica that differs from the others must not answer again: not as a
// leaseholder, not by a snapshot, not after a restart. It is taken out of use
// at once, like one that was removed, but for its data, which stay for whoever
// wants to know what happened, and a mark on the disk:
//
//	                    retire, then mark            removed from the range
//	in use ──────────────────────────▶ quarantined ────────────────────────▶ gone
//	                                    │      ▲
//	                                    └──────┘ restart: the mark is read
//	                                             before the replica may start
//
// To its range it is a replica on a node that is down, and it lacks one vote
// from then on. Its store asks for it to be removed, again and again, for only
// it knows for sure: the leaseholder that found the difference may be this very
// replica. Then the replicate queue adds a replica as it does for any range that
// has too few, here or elsewhere, and the data come from the others.
//
// A crash between retiring and marking brings a replica back that differs; the
// next check finds it again.

// quarantine takes the replica out of use, durably. raftMu is held.
func (r *Replica) quarantine(why string) error {
	s := r.store
	r.retire()
	r.mu.Lock()
	r.mu.leader = 0
	r.mu.Unlock()
	q := quarantine{ReplicaID: r.replicaID, Why: why, WallNanos: s.cfg.Clock.PhysicalNow()}
	b := s.cfg.Engine.NewBatch()
	defer b.Close()
	if err := storage.PutUnversioned(b, keys.Quarantine(r.rangeID), q.AppendWire(nil)); err != nil {
		return err
	}
	if err := s.cfg.Engine.Commit(b, true); err != nil {
		return fmt.Errorf("%s: quarantine: %w", r.rangeID, err)
	}
	r.quarantined.Store(&q)
	s.metrics.ReplicasQuarantined.Add(1)
	s.cfg.Log.Error("a replica was taken out of use", "range", r.rangeID, "replica", r.replicaID, "why", why)
	return nil
}

// quarantineAsked does so at a leaseholder's word.
func (r *Replica) quarantineAsked(ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	q := ba.Requests[0].Quarantine
	if q == nil || q.ReplicaID != r.replicaID {
		return nil, kvapi.NewError(kvapi.ErrInternal, "replica %d of %s is not the one to quarantine", r.replicaID, r.rangeID)
	}
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group != nil {
		if err := r.quarantine(q.Why); err != nil {
			r.store.fatal(err)
			return nil, kvapi.NewError(kvapi.ErrUnavailable, "%v", err)
		}
	}
	return &kvapi.BatchResponse{Responses: []kvapi.Response{{Kind: kvapi.QuarantineReplica}}}, nil
}

func (r *Replica) sendQuarantine(ctx context.Context, desc *kvapi.RangeDescriptor, bad kvapi.ReplicaDescriptor, why string) error {
	q := kvapi.Request{Kind: kvapi.QuarantineReplica, Key: desc.StartKey, Quarantine: &kvapi.QuarantineArgs{ReplicaID: bad.ReplicaID, Why: why}}
	_, err := r.sendToReplica(ctx, bad, q)
	return err.AsError()
}

// maybeAskToBeReplaced asks the range to remove a replica that is quarantined.
// When it has, maybeCollect finds that out.
func (r *Replica) maybeAskToBeReplaced() {
	s := r.store
	if r.quarantined.Load() == nil || s.cfg.Sender == nil {
		return
	}
	desc := r.Desc()
	if !desc.IsInitialized() || r.removeSoon.Load() != 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, quarantineAsk)
	defer cancel()
	now, err := s.ownerOf(ctx, desc.StartKey)
	if err == nil && now.RangeID == r.rangeID {
		if rep, ok := now.Replica(s.ident.NodeID); ok && rep.ReplicaID == r.replicaID {
			ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: desc.StartKey,
				Change: &kvapi.ReplicaChange{Remove: []kvapi.NodeID{s.ident.NodeID}, Expected: now.Generation}})
			_, kerr := s.cfg.Sender.Send(ctx, ba)
			err = kerr.AsError()
		}
	}
	if err != nil && !s.isStopping() {
		s.cfg.Log.Warn("a replica that is out of use is not replaced yet", "range", r.rangeID, "err", err)
	}
}
