package store

import (
	"context"
	"fmt"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/snapshot"
)

// A replica of a range that was merged into its left neighbour goes in one of
// three ways:
//
//	the left replica here applies the merge        applyMerge
//	the left replica here gets a snapshot instead  it takes the span of both
//	                                               (lockSubsumed)
//	the left replica here was removed first        nothing comes for it any more:
//	                                               it is collected (collectMerged)
//
// That a replica is from before a snapshot is told by generations. Of the
// descriptors that a key has been under, each has a higher generation than the
// one before: a split, a merge and a change of replicas add one to the highest
// they touch. So a replica within the span of a snapshot with a higher
// generation holds what the snapshot's range has swallowed. One with a higher
// generation is younger than the snapshot: it was split off since, and it is
// the snapshot that must not come.
//
// Whose left neighbour swallowed it is another question. The range may have been
// split off from that since:
//
//	there   r1 [a ── m)  r7 [m ── z)      r1 [a ────────── z)      r1 [a ── m)  r9 [m ── z)
//	here    r1 [a ── m)  r7 [m ── z)      has applied neither; r9 has no data yet
//
// The replica of r1 here will apply the merge by its log, and needs that of r7
// then. So a snapshot takes the place of what lies to the right of a replica that
// has data, as a merge would; for one without data it waits until what is in its
// place has gone, one way or the other
// (TestASnapshotLeavesWhatAMergeHereNeeds).

// lockSubsumed returns the replicas that a snapshot takes the place of, with
// their raftMu held until release. It refuses the snapshot if it overlaps with
// others: one that has yet to split, say.
func (s *Store) lockSubsumed(r *Replica, snap *kvapi.RangeDescriptor) (gone []*Replica, release func(), err error) {
	release = func() {
		for _, o := range gone {
			o.raftMu.Unlock()
		}
	}
	own := r.Desc()
	for _, o := range s.replicas.overlapping(snap.Span()) { // from left to right
		if o == r {
			continue
		}
		o.raftMu.Lock()
		gone = append(gone, o)
		d := o.Desc()
		if o.raftMu.group == nil || !snap.ContainsSpan(d.Span()) || d.Generation >= snap.Generation ||
			!own.IsInitialized() || d.StartKey.Less(own.EndKey) {
			return gone, release, fmt.Errorf("%s overlaps %s here", snap, d)
		}
	}
	return gone, release, nil
}

// tombstones are what a snapshot leaves of the replicas it takes the place of.
func tombstones(gone []*Replica) []snapshot.Subsumed {
	tomb := tombstone{NextReplicaID: mergedReplicaID}
	var out []snapshot.Subsumed
	for _, o := range gone {
		out = append(out, snapshot.Subsumed{RangeID: o.rangeID, Tombstone: tomb.AppendWire(nil)})
	}
	return out
}

// collectMerged removes a replica without a leader whose range was merged away,
// if nothing here can need it any more: the range that has its keys now is led
// elsewhere under another id, and the replica to the left of this one, which
// would need its data to apply the merge, knows all that its range knows.
func (r *Replica) collectMerged(ctx context.Context) error {
	desc := r.Desc()
	owner, err := r.store.ownerOf(ctx, desc.StartKey)
	if err != nil || owner.RangeID == desc.RangeID || owner.Generation <= desc.Generation {
		return err
	}
	if left := r.store.replicas.endingAt(desc.StartKey); left != nil {
		here := left.Desc()
		now, err := r.store.ownerOf(ctx, here.StartKey)
		if err != nil || now.RangeID != here.RangeID || now.Generation != here.Generation {
			return err
		}
	}
	r.removeSoon.Store(uint64(mergedReplicaID))
	r.store.enqueue(r.rangeID)
	return nil
}

// ownerOf returns the range that has a key, as its leaseholder says.
func (s *Store) ownerOf(ctx context.Context, key kvapi.Key) (*kvapi.RangeDescriptor, error) {
	br, err := s.cfg.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.LeaseInfo, Key: key}))
	switch {
	case err != nil:
		return nil, err
	case br.Responses[0].Info == nil:
		return nil, fmt.Errorf("nobody says which range has %s", key)
	}
	return &br.Responses[0].Info.Desc, nil
}
