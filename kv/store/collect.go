package store

import (
	"context"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// A replica that was removed while it was away has nobody who tells it: its
// range talks to it no more. So a replica that has reason to doubt reads its
// range's descriptor, consistently, from whoever has it, and goes if it is not
// named there. Only a removed replica can be left out of a descriptor of a
// later generation.
//
//	reason to doubt                          looked at
//	a voter without a leader                 on each turn of the replicate loop
//	a learner, or one without data, that     every doubtEvery: Raft's learners
//	has heard nothing since the last look    keep their leader for ever
//	a voter that has heard nothing, and      every doubtVoterEvery
//	that its leader closes no time for
//
// Idle groups are silent when all is well; but each node tells every other which of
// the ranges that it leads it closes timestamps for there (closed.go), and names
// those to the nodes in their descriptors only. So a voter that is named is in no
// doubt, for two look-ups a pass, and one that was removed, and missed both the
// entry and the notice (tellRemoved), is named no more.
type doubt struct {
	mu    sync.Mutex
	heard bool
	// since is when something was heard, or asked, last.
	since time.Time
	// start is a key of the range, as peers have told; for one without data.
	start kvapi.Key
}

// note says that a peer has sent something.
func (d *doubt) note(start kvapi.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = true
	if d.start == nil && start != nil {
		d.start = start.Clone()
	}
}

// isDue reports whether it is time for a look.
func (d *doubt) isDue(every time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.heard || d.since.IsZero() {
		d.heard, d.since = false, now
		return false
	}
	if now.Sub(d.since) < every {
		return false
	}
	d.since = now
	return true
}

// isNamed reports whether the leaseholder's node closes timestamps for this
// replica.
func (r *Replica) isNamed() bool {
	r.mu.RLock()
	holder := r.mu.lease.Holder.NodeID
	r.mu.RUnlock()
	_, _, named := r.store.closedIn.Closed(holder, r.rangeID)
	return named
}

// startKey is a key of the range.
func (d *doubt) startKey(desc *kvapi.RangeDescriptor) kvapi.Key {
	if desc.IsInitialized() {
		return desc.StartKey
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.start
}

// collectLoop looks for forgotten replicas. It has a goroutine of its own: what
// it asks of a range without quorum waits.
func (s *Store) collectLoop() {
	t := time.NewTicker(replicateEvery)
	defer t.Stop()
	var looked turns
	for {
		select {
		case <-t.C:
			s.collectPass(s.ctx, looked.next(s.replicas, collectMax))
		case <-s.stopping:
			return
		}
	}
}

// collectPass looks once at those of some replicas that do not lead.
func (s *Store) collectPass(ctx context.Context, replicas []*Replica) {
	if s.cfg.Txns == nil {
		return
	}
	for _, r := range replicas {
		if s.isStopping() {
			return
		}
		if r.hasDoubt() {
			cctx, cancel := context.WithTimeout(ctx, collectTimeout)
			if err := r.maybeCollect(cctx); err != nil && !s.isStopping() {
				s.cfg.Log.Debug("collect", "range", r.rangeID, "err", err)
			}
			cancel()
		}
		r.maybeAskToBeReplaced()
	}
}

// hasDoubt reports whether a replica should look whether it still is one. It is
// asked of very many, and cheap.
func (r *Replica) hasDoubt() bool {
	r.mu.RLock()
	desc, leader, leads := r.mu.desc, r.mu.leader, r.mu.leads
	r.mu.RUnlock()
	if leads && r.leaseStatus(noTimestamp).IsValid() {
		return false
	}
	switch voter := r.own(desc).Type == kvapi.Voter && desc.IsInitialized(); {
	case voter && leader == 0:
		return true
	case voter && r.isNamed():
		r.doubt.note(nil)
		return false
	case voter:
		return r.doubt.isDue(doubtVoterEvery)
	}
	return r.doubt.isDue(doubtEvery)
}

// maybeCollect removes a replica that its range has forgotten.
func (r *Replica) maybeCollect(ctx context.Context) error {
	desc := r.Desc()
	start := r.doubt.startKey(desc)
	if start == nil {
		return nil
	}
	var now kvapi.RangeDescriptor
	found := false
	err := r.store.cfg.Txns.RunTxn(ctx, "replica collection", func(ctx context.Context, txn Txn) error {
		b, ok, err := txn.Get(ctx, keys.RangeDescriptor(start))
		if err != nil || !ok {
			return err
		}
		found = true
		return now.UnmarshalWire(b)
	})
	if err == nil && desc.IsInitialized() && (!found || now.RangeID != r.rangeID) {
		return r.collectMerged(ctx)
	}
	if err != nil || !found || now.RangeID != r.rangeID || now.Generation <= desc.Generation || now.NextReplicaID <= r.replicaID {
		return err
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
