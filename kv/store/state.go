package store

import (
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// appliedState is the part of a range's replicated state that every command
// changes, written in the batch of the command itself.
type appliedState struct {
	Index         kvapi.LogIndex        `wire:"1"`
	Term          kvapi.Term            `wire:"2"`
	LeaseSequence kvapi.LeaseSequence   `wire:"3"`
	Stats         kvapi.RangeStatistics `wire:"4"`
	// Closed: no command from here on writes at or below it.
	Closed hlc.Timestamp `wire:"5"`
}

// Ident says whose store this is; written once.
type Ident struct {
	ClusterID kvapi.ClusterID `wire:"1"`
	NodeID    kvapi.NodeID    `wire:"2"`
}

// replicaIdentity is written when a replica comes to be, also by a message
// (CockroachDB #75761: without it a restart forgets that the replica existed,
// and with it the votes it cast).
type replicaIdentity struct {
	ReplicaID kvapi.ReplicaID `wire:"1"`
}

// tombstone remembers a removed replica: none below NextReplicaID may come back.
type tombstone struct {
	NextReplicaID kvapi.ReplicaID `wire:"1"`
}

// quarantine is the mark on a replica that must not be used again: it was found
// to differ from the others.
type quarantine struct {
	ReplicaID kvapi.ReplicaID `wire:"1"`
	Why       string          `wire:"2"`
	WallNanos int64           `wire:"3"`
}

// wireRecord is a struct with a generated codec.
type wireRecord interface{ UnmarshalWire([]byte) error }

// loadRecord reads an unversioned record and reports whether it is there.
func loadRecord(r storage.Reader, key kvapi.Key, into wireRecord) (bool, error) {
	b, ok, err := storage.GetUnversioned(r, key)
	if err != nil || !ok {
		return false, err
	}
	if err := into.UnmarshalWire(b); err != nil {
		return false, fmt.Errorf("record %s: %w", key, err)
	}
	return true, nil
}

// descriptorKey holds the descriptor as the replica applied it, so that a
// restart needs no versioned reads to know its ranges. It is replicated state:
// it changes with the command that changes the range.
func descriptorKey(id kvapi.RangeID) kvapi.Key {
	return append(keys.RangeIDReplicatedPrefix(id), "desc"...)
}

// freezeKey holds the freeze of a range that is being merged: replicated state.
func freezeKey(id kvapi.RangeID) kvapi.Key {
	return append(keys.RangeIDReplicatedPrefix(id), "freeze"...)
}

// rangeState is what a replica loads at its start and keeps in memory.
type rangeState struct {
	desc    kvapi.RangeDescriptor
	lease   kvapi.Lease
	applied appliedState
	// gcThreshold is where versions may be gone, and below.
	gcThreshold hlc.Timestamp
	// freeze is nil unless the range is being merged into its left neighbour.
	freeze *freeze
}

// loadRangeState reads the replicated state of a range; an uninitialized
// replica has an empty one.
func loadRangeState(r storage.Reader, id kvapi.RangeID) (rangeState, error) {
	var s rangeState
	if ok, err := loadRecord(r, descriptorKey(id), &s.desc); err != nil || !ok {
		s.desc.RangeID = id
		return s, err
	}
	if _, err := loadRecord(r, keys.Lease(id), &s.lease); err != nil {
		return s, err
	}
	if _, err := loadRecord(r, keys.GCThreshold(id), &s.gcThreshold); err != nil {
		return s, err
	}
	if ok, err := loadRecord(r, keys.AppliedState(id), &s.applied); err != nil || !ok {
		if err == nil {
			err = fmt.Errorf("%s has a descriptor but no applied state", id)
		}
		return s, err
	}
	var f freeze
	if ok, err := loadRecord(r, freezeKey(id), &f); err != nil || !ok {
		return s, err
	}
	s.freeze = &f
	return s, nil
}

// writeRangeState writes all of a range's state, for bootstrap and splits.
func writeRangeState(w storage.Writer, s rangeState) error {
	id := s.desc.RangeID
	if err := storage.PutUnversioned(w, descriptorKey(id), s.desc.AppendWire(nil)); err != nil {
		return err
	}
	if !s.lease.IsEmpty() {
		if err := storage.PutUnversioned(w, keys.Lease(id), s.lease.AppendWire(nil)); err != nil {
			return err
		}
	}
	if !s.gcThreshold.IsEmpty() {
		if err := storage.PutUnversioned(w, keys.GCThreshold(id), s.gcThreshold.AppendWire(nil)); err != nil {
			return err
		}
	}
	return storage.PutUnversioned(w, keys.AppliedState(id), s.applied.AppendWire(nil))
}

// Initial log position of a new range. It does not start at zero, so that a
// blank replica can never catch up by log alone: it needs the split or a
// snapshot that made the range.
const (
	initialIndex kvapi.LogIndex = 10
	initialTerm  kvapi.Term     = 5
)
