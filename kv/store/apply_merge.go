package store

import (
	"context"
	"fmt"
	"math"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// mergedReplicaID is in the tombstone of a range that was merged: none of its
// replicas may come back.
const mergedReplicaID = kvapi.ReplicaID(math.MaxInt64)

// evalMerge takes from the right range's replica here what the trigger does not
// know. The replica is frozen, so every replica of the left range's finds the
// same when it applies the merge.
func (r *Replica) evalMerge(left *kvapi.RangeDescriptor, t *kvapi.MergeTrigger) (*mergeResult, *kvapi.Error) {
	if err := checkMerge(left, t); err != nil {
		return nil, kvapi.NewError(kvapi.ErrInternal, "%v", err)
	}
	rr := r.store.replicas.get(t.Right.RangeID)
	if rr == nil {
		return nil, kvapi.NewError(kvapi.ErrInternal, "%s has no replica here", &t.Right)
	}
	rr.mu.RLock()
	defer rr.mu.RUnlock()
	if f := rr.mu.freeze; f == nil || f.At != t.FrozenAt || rr.mu.removed {
		return nil, kvapi.NewError(kvapi.ErrInternal, "%s is not frozen for this merge", &t.Right)
	}
	return &mergeResult{Trigger: *t, RightStats: rr.mu.applied.Stats, RightGCThreshold: rr.mu.gcThreshold,
		RightClosed: rr.mu.applied.Closed}, nil
}

// checkMerge asserts that the trigger fits the range (I7).
func checkMerge(old *kvapi.RangeDescriptor, t *kvapi.MergeTrigger) error {
	m, right := &t.Merged, &t.Right
	if m.RangeID != old.RangeID || !m.StartKey.Equal(old.StartKey) || !old.EndKey.Equal(right.StartKey) ||
		!m.EndKey.Equal(right.EndKey) || m.Generation <= old.Generation || m.Generation <= right.Generation ||
		!sameReplicas(old, right) || !sameReplicas(old, m) {
		return fmt.Errorf("merge of %s and %s into %s", old, right, m)
	}
	return nil
}

// applyMerge makes one range of two, on every replica of the left one, in one
// engine batch:
//
//	before   r1 [a ──────── m)  r7 [m ───── z) frozen
//	batch    bytes of the command: the left descriptor and what of the intents
//	         is in r1; r1's state with both spans and both statistics; r7's own
//	         state cleared, log and votes with it, and a tombstone
//	after    r1 [a ─────────────────── z)
//
// The right replica is here, complete, and frozen by the very command that the
// trigger names: the merge was committed after every one had said so, durably,
// and nothing removes a frozen replica but this, or a snapshot of the merged
// range. If it is not so the store must not go on: the merged range would lack
// data here.
//
// The leaseholder's timestamp cache knows all that was read in the right range,
// or takes it for read at ReadsUntil, its range-local keys included: they say
// which transactions are over (learnReadsOf; CockroachDB #36022). A protected
// timestamp may have been confirmed there until then, too. And nothing above
// ReadsUntil was closed there but by commands before the freeze, which RightClosed
// tells: so this range, which has closed what it has, writes above that, too
// (CockroachDB #60929). What is there was written below ReadsUntil as well, under
// the clocks of other leaseholders (I19).
func (a *applier) applyMerge(m *mergeResult) error {
	r, st := a.r, a.r.store
	t := &m.Trigger
	if err := checkMerge(r.Desc(), t); err != nil {
		return err
	}
	rr := st.replicas.get(t.Right.RangeID)
	if rr == nil {
		return fmt.Errorf("merge of %s, which has no replica here", &t.Right)
	}
	if !r.raftMu.staged.holds(rr) {
		rr.raftMu.Lock()
		defer rr.raftMu.Unlock()
	}
	if q := rr.quarantined.Load(); q != nil {
		// Its data must not become this replica's.
		return r.quarantine("its right neighbour, which it was to swallow, was: " + q.Why)
	}
	if err := rr.checkMergeable(m); err != nil {
		return err
	}
	r.learnReadsOf(rr, m)
	// What neither evaluates nor waits there any more has these locks, which a new
	// holder of the lease would forget.
	r.mgr.OnMerge(rr.mgr)
	rr.retire()
	// Appends under way would write its log anew behind the clearing.
	if err := st.logWriter.Barrier(context.Background()); err != nil {
		return err
	}
	if err := a.stageMerge(m); err != nil {
		return err
	}
	st.noteProtected(t.ReadsUntil)
	r.loseFeeds(nil, "the range has swallowed its right neighbour")
	merged := t.Merged
	var err error
	st.replicas.subsume(r, []*Replica{rr}, merged.Span(), func() {
		err = a.flush(func() {
			r.mu.desc = &merged
			r.mu.gcThreshold.Forward(m.RightGCThreshold)
			r.mu.foreignUntil.Forward(t.ReadsUntil)
		})
	})
	if err != nil {
		return err
	}
	r.noRecordsAt.Store(0)
	// The keys that divide the load of one do not divide that of both.
	r.load.sampler.Store(nil)
	st.metrics.Merges.Add(1)
	return nil
}

// checkMergeable asserts that the replica is what the trigger says. raftMu is
// held.
func (r *Replica) checkMergeable(m *mergeResult) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := &m.Trigger
	own, ok := t.Right.Replica(r.store.ident.NodeID)
	switch f := r.mu.freeze; {
	case !ok || own.ReplicaID != r.replicaID || r.mu.removed:
		return fmt.Errorf("merge of %s: replica %d is here", &t.Right, r.replicaID)
	case f == nil || f.At != t.FrozenAt || r.mu.desc.Generation != t.Right.Generation:
		return fmt.Errorf("merge of %s: it is not frozen at %d here (%s, applied %d)", &t.Right, t.FrozenAt, r.mu.desc, r.mu.applied.Index)
	case r.mu.applied.Stats != m.RightStats || r.mu.gcThreshold != m.RightGCThreshold || r.mu.applied.Closed != m.RightClosed:
		return fmt.Errorf("merge of %s: its statistics are %+v here, %+v at the leaseholder", &t.Right, r.mu.applied.Stats, m.RightStats)
	}
	return nil
}

// stageMerge adds to the batch what of the merge is beside the command's bytes.
func (a *applier) stageMerge(m *mergeResult) error {
	t := &m.Trigger
	a.state.Stats.Add(m.RightStats)
	if err := storage.PutUnversioned(a.batch, descriptorKey(t.Merged.RangeID), t.Merged.AppendWire(nil)); err != nil {
		return err
	}
	a.r.mu.RLock()
	gc := a.r.mu.gcThreshold
	a.r.mu.RUnlock()
	if gc.Less(m.RightGCThreshold) {
		v := m.RightGCThreshold.AppendWire(nil)
		if err := storage.PutUnversioned(a.batch, keys.GCThreshold(t.Merged.RangeID), v); err != nil {
			return err
		}
	}
	p := keys.RangeIDPrefix(t.Right.RangeID)
	if err := storage.ClearSpan(a.batch, p, p.PrefixEnd()); err != nil {
		return err
	}
	tomb := tombstone{NextReplicaID: mergedReplicaID}
	return storage.PutUnversioned(a.batch, keys.Tombstone(t.Right.RangeID), tomb.AppendWire(nil))
}
