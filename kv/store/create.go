package store

import (
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// HandleRaft takes messages of other stores. It does not block on disks of
// existing replicas; what does not fit is dropped.
func (s *Store) HandleRaft(envelopes []raftgroup.Envelope) {
	if s.isStopping() {
		return
	}
	for _, e := range envelopes {
		s.metrics.MessagesReceived.Add(1)
		r := s.replicaFor(e)
		if r == nil || !r.inbox.addPeer(e) {
			s.metrics.MessagesDropped.Add(1)
			continue
		}
		if r.isOldNews(&e.Message) {
			s.later.add(r)
			continue
		}
		s.enqueue(e.RangeID)
	}
}

// replicaFor returns the replica that a message is for, and makes one without
// data if there is none: it can vote, and waits for a snapshot or a split.
//
//	message to a replica id   here                      outcome
//	below ours, or tombstoned                           dropped: the past
//	ours                                                 ours
//	above ours                an older replica          ours is removed first
//	new                       nothing                   made, unless an answer
func (s *Store) replicaFor(e raftgroup.Envelope) *Replica {
	if e.To.NodeID != s.ident.NodeID || e.To.ReplicaID == 0 || e.RangeID == 0 {
		return nil
	}
	if r := s.replicas.get(e.RangeID); r != nil {
		switch {
		case r.replicaID == e.To.ReplicaID && r.quarantined.Load() != nil:
			// It takes part in nothing any more.
		case r.replicaID == e.To.ReplicaID:
			return r
		case r.replicaID < e.To.ReplicaID:
			// The range left this node and is coming back; Raft repeats.
			r.removeSoon.Store(uint64(e.To.ReplicaID))
			s.enqueue(e.RangeID)
		}
		return nil
	}
	switch e.Message.Type() {
	case raftgroup.MsgAppend, raftgroup.MsgHeartbeat, raftgroup.MsgVote, raftgroup.MsgPreVote, raftgroup.MsgSnapshot:
		return s.create(e)
	}
	return nil
}

// create makes a replica without data. Its identity is on disk before it can
// vote (the vote's sync follows in the same log).
func (s *Store) create(e raftgroup.Envelope) *Replica {
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if r := s.replicas.get(e.RangeID); r != nil {
		// Made meanwhile, by a split for one: the vote that the message asks for
		// is what the new range waits for.
		if r.replicaID == e.To.ReplicaID {
			return r
		}
		return nil
	}
	var tomb tombstone
	if _, err := loadRecord(s.cfg.Engine, keys.Tombstone(e.RangeID), &tomb); err != nil {
		s.fatal(err)
		return nil
	}
	if e.To.ReplicaID < tomb.NextReplicaID {
		return nil
	}
	if err := s.writeIdentity(e.RangeID, e.To.ReplicaID); err != nil {
		s.fatal(err)
		return nil
	}
	r := newReplica(s, rangeState{desc: kvapi.RangeDescriptor{RangeID: e.RangeID}}, e.To.ReplicaID)
	if err := r.startGroup(); err != nil {
		s.fatal(err)
		return nil
	}
	s.replicas.add(r, kvapi.Span{}, false)
	s.metrics.ReplicasAdded.Add(1)
	return r
}

func (s *Store) writeIdentity(id kvapi.RangeID, replica kvapi.ReplicaID) error {
	b := s.cfg.Engine.NewBatch()
	defer b.Close()
	rec := replicaIdentity{ReplicaID: replica}
	if err := storage.PutUnversioned(b, keys.ReplicaID(id), rec.AppendWire(nil)); err != nil {
		return err
	}
	return s.cfg.Engine.Commit(b, false)
}

// storedReplica is a replica as its identity record names it.
type storedReplica struct {
	rangeID   kvapi.RangeID
	replicaID kvapi.ReplicaID
}

// listReplicas finds the identity records of an engine, hopping from range to
// range.
func listReplicas(r storage.Reader) ([]storedReplica, error) {
	var out []storedReplica
	start, end := keys.AllRangeIDs()
	for {
		it, err := r.AcquireIter(storage.EncodeKey(nil, start), storage.EncodeKey(nil, end))
		if err != nil {
			return nil, err
		}
		found := it.First()
		var id kvapi.RangeID
		if found {
			k, _, err := storage.SplitKey(it.Key())
			if err != nil {
				r.ReleaseIter(it)
				return nil, err
			}
			id, _ = keys.DecodeRangeID(k)
		}
		err = it.Error()
		r.ReleaseIter(it)
		if err != nil || !found {
			return out, err
		}
		var rec replicaIdentity
		ok, err := loadRecord(r, keys.ReplicaID(id), &rec)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, storedReplica{id, rec.ReplicaID})
		}
		start = keys.RangeIDPrefix(id).PrefixEnd()
	}
}
