package store

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/kvapi"
)

// readFromFollower answers reads of the past from this replica's own copy,
// without a lease and without telling anybody: the leaseholder has promised that
// nothing is written any more at or below all the timestamps that they look at
// (kv/closedts). ok is false if it cannot; the batch then goes the usual way.
//
//	the timestamp is not closed here yet      not leaseholder, go there
//	a lock of another is in the way           the same: it is pushed there
//	an uncertain value                        the same
//	the range was split, merged, replaced by  the same
//	a snapshot or collected meanwhile
//
// What is closed is looked up before the state is pinned, so the state holds at
// least what the promise is about; and at one moment with the statistics, which
// tell evaluation whether there are intents: one that applies later is above it.
func (r *Replica) readFromFollower(ctx context.Context, ba *kvapi.BatchRequest) (br *kvapi.BatchResponse, ok bool) {
	upTo, ok := ba.LooksUpTo(r.store.cfg.Clock.MaxOffset())
	if !ok {
		return nil, false
	}
	now := r.store.cfg.Clock.Now()
	if newest := now.Timestamp().AddNanos(int64(r.store.cfg.Clock.MaxOffset() - r.store.cfg.ClosedLag)); newest.Less(upTo) && !r.store.cfg.Knobs.ReadUnclosed {
		return nil, false // most reads end here: no clock can have closed that
	}
	r.mu.RLock()
	a := admission{desc: r.mu.desc, lease: r.mu.lease, epoch: r.mu.dataEpoch, now: now, stats: r.mu.applied.Stats, gc: r.mu.gcThreshold,
		foreignUntil: hlc.MaxTimestamp} // what a merge brought may have come here by a snapshot, or before a restart (I19)
	serves := r.mu.leads && r.leaseStatusLocked(now, noTimestamp).IsValid()
	closed := r.closedHereLocked()
	r.mu.RUnlock()
	if serves || closed.Less(upTo) && !r.store.cfg.Knobs.ReadUnclosed {
		return nil, false
	}
	view := r.store.cfg.Engine.NewView()
	br, _, err := batcheval.Evaluate(ctx, batcheval.ReadOnly(view), r.evalContext(ba, a, nil), ba)
	if e := view.Close(); e != nil || err != nil || upTo.Less(br.Timestamp) {
		return nil, false
	}
	if r.checkStill(&a, ba) != nil || r.checkBounds(ba) != nil {
		return nil, false
	}
	br.FollowerReads = 1
	r.store.metrics.FollowerReads.Add(1)
	return br, true
}
