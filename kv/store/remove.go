package store

import (
	"context"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// retire takes a replica out of use in memory: nobody is served by it any more,
// and what it had proposed is unknown. raftMu is held. Its data is untouched.
func (r *Replica) retire() {
	r.mu.Lock()
	r.mu.removed = true
	r.mu.dataEpoch++
	r.setLeadsLocked(false)
	dead := r.takeLocked(func(*proposal) bool { return true })
	r.leaseMovedLocked()
	r.mu.Unlock()
	for _, p := range dead {
		p.finish(unknown)
	}
	r.loseFeeds(nil, "the replica is out of use")
	if r.raftMu.log != nil {
		r.raftMu.log.Forget()
	}
	r.dropPrepared()
	r.raftMu.group = nil
	r.sleep()
	r.mgr.OnRemoved()
}

// removeLocked removes a replica that is in no descriptor any more: first from
// use, then, in one durable step, its data, its log and its votes, leaving a
// tombstone so that no late message makes it again (I8). raftMu is held.
func (r *Replica) removeLocked(next kvapi.ReplicaID) error {
	st := r.store
	desc := r.Desc()
	r.retire()
	r.quarantined.Store(nil)
	// Appends under way would write the log anew behind the clearing.
	if err := st.logWriter.Barrier(context.Background()); err != nil {
		return err
	}
	batch := st.cfg.Engine.NewBatch()
	defer batch.Close()
	if desc.IsInitialized() {
		if err := clearUserData(batch, desc); err != nil {
			return err
		}
	}
	p := keys.RangeIDPrefix(r.rangeID)
	if err := storage.ClearSpan(batch, p, p.PrefixEnd()); err != nil {
		return err
	}
	next = max(next, r.replicaID+1)
	tomb := tombstone{NextReplicaID: next}
	if err := storage.PutUnversioned(batch, keys.Tombstone(r.rangeID), tomb.AppendWire(nil)); err != nil {
		return err
	}
	if err := st.cfg.Engine.Commit(batch, true); err != nil {
		return fmt.Errorf("%s: remove: %w", r.rangeID, err)
	}
	st.replicas.remove(r)
	st.metrics.ReplicasRemoved.Add(1)
	st.cfg.Log.Info("replica removed", "range", r.rangeID, "replica", r.replicaID)
	return nil
}

// userSpans are the spans of a range's user data: the keys, what is kept beside
// them by key, and the locks on both.
func userSpans(desc *kvapi.RangeDescriptor) [4]kvapi.Span {
	localStart, localEnd := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
	lockStart, lockEnd := keys.LockTableSpan(desc.StartKey, desc.EndKey)
	localLockStart, localLockEnd := keys.LockTableSpan(localStart, localEnd)
	return [4]kvapi.Span{
		{Key: localStart, EndKey: localEnd}, {Key: localLockStart, EndKey: localLockEnd},
		{Key: lockStart, EndKey: lockEnd}, desc.Span(),
	}
}

// clearUserData removes a range's user data.
func clearUserData(w storage.Writer, desc *kvapi.RangeDescriptor) error {
	for _, sp := range userSpans(desc) {
		if err := storage.ClearSpan(w, sp.Key, sp.EndKey); err != nil {
			return err
		}
	}
	return nil
}
