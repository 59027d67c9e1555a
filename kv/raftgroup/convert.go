package raftgroup

import (
	"errors"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/cairndb/cairn/kv/kvapi"
)

// The library's entries are pointers to structs of pointers. Here they are
// made a slice at a time, one allocation for all of a slice's fields.
type entrySlab struct {
	e     pb.Entry
	term  uint64
	index uint64
	typ   pb.EntryType
}

func libraryEntries(in []Entry) []*pb.Entry {
	slab := make([]entrySlab, len(in))
	out := make([]*pb.Entry, len(in))
	for i := range in {
		s := &slab[i]
		s.term, s.index, s.typ = uint64(in[i].Term), uint64(in[i].Index), pb.EntryNormal
		if in[i].Kind == EntryConfChange {
			s.typ = pb.EntryConfChangeV2
		}
		s.e.Term, s.e.Index, s.e.Type, s.e.Data = &s.term, &s.index, &s.typ, in[i].Data
		out[i] = &s.e
	}
	return out
}

func commandEntries(cmds [][]byte) []*pb.Entry {
	slab := make([]pb.Entry, len(cmds))
	out := make([]*pb.Entry, len(cmds))
	for i := range cmds {
		slab[i].Data = cmds[i]
		out[i] = &slab[i]
	}
	return out
}

func entriesOf(in []*pb.Entry) []Entry {
	if len(in) == 0 {
		return nil
	}
	out := make([]Entry, len(in))
	for i, e := range in {
		out[i] = entryOf(e)
	}
	return out
}

func entryOf(e *pb.Entry) Entry {
	return Entry{
		Index: kvapi.LogIndex(e.GetIndex()),
		Term:  kvapi.Term(e.GetTerm()),
		Kind:  kindOf(e),
		Data:  e.Data,
	}
}

func kindOf(e *pb.Entry) EntryKind {
	switch {
	case e.GetType() != pb.EntryNormal:
		return EntryConfChange
	case len(e.Data) == 0:
		return EntryEmpty
	}
	return EntryCommand
}

func hardStateOf(h *pb.HardState) HardState {
	return HardState{
		Term:   kvapi.Term(h.GetTerm()),
		Vote:   ReplicaID(h.GetVote()),
		Commit: kvapi.LogIndex(h.GetCommit()),
	}
}

func snapshotOf(s *pb.Snapshot) Snapshot {
	md := s.GetMetadata()
	return Snapshot{
		Index:     kvapi.LogIndex(md.GetIndex()),
		Term:      kvapi.Term(md.GetTerm()),
		ConfState: confStateOf(md.GetConfState()),
		ID:        s.GetData(),
	}
}

func (s Snapshot) library() *pb.Snapshot {
	index, term := uint64(s.Index), uint64(s.Term)
	return &pb.Snapshot{
		Data:     s.ID,
		Metadata: &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: s.ConfState.library()},
	}
}

func appendOf(m *pb.Message) *StorageAppend {
	a := &StorageAppend{
		Entries: entriesOf(m.Entries),
		HardState: HardState{
			Term:   kvapi.Term(m.GetTerm()),
			Vote:   ReplicaID(m.GetVote()),
			Commit: kvapi.LogIndex(m.GetCommit()),
		},
		Responses: messagesOf(m.Responses),
	}
	if !raft.IsEmptySnap(m.Snapshot) {
		s := snapshotOf(m.Snapshot)
		a.Snapshot = &s
	}
	return a
}

func messagesOf(in []*pb.Message) []Message {
	if len(in) == 0 {
		return nil
	}
	out := make([]Message, len(in))
	for i, m := range in {
		out[i] = Message{m}
	}
	return out
}

// storageAdapter shows a LogReader to the library as its Storage.
type storageAdapter struct {
	log      LogReader
	snapshot SnapshotFunc
	hs       HardState
	cs       ConfState
}

func (s *storageAdapter) InitialState() (*pb.HardState, *pb.ConfState, error) {
	term, vote, commit := uint64(s.hs.Term), uint64(s.hs.Vote), uint64(s.hs.Commit)
	return &pb.HardState{Term: &term, Vote: &vote, Commit: &commit}, s.cs.library(), nil
}

func (s *storageAdapter) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	ents, err := s.log.Entries(kvapi.LogIndex(lo), kvapi.LogIndex(hi), maxSize)
	if err != nil {
		return nil, libraryError(err)
	}
	return libraryEntries(ents), nil
}

func (s *storageAdapter) Term(i uint64) (uint64, error) {
	t, err := s.log.Term(kvapi.LogIndex(i))
	return uint64(t), libraryError(err)
}

func (s *storageAdapter) LastIndex() (uint64, error)  { return uint64(s.log.LastIndex()), nil }
func (s *storageAdapter) FirstIndex() (uint64, error) { return uint64(s.log.FirstIndex()), nil }

func (s *storageAdapter) Snapshot() (*pb.Snapshot, error) {
	if s.snapshot == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	snap, err := s.snapshot()
	if err != nil {
		return nil, libraryError(err)
	}
	return snap.library(), nil
}

// libraryError maps our sentinels to the ones the library compares with ==.
func libraryError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrCompacted):
		return raft.ErrCompacted
	case errors.Is(err, ErrUnavailable):
		return raft.ErrUnavailable
	case errors.Is(err, ErrSnapshotNotReady):
		return raft.ErrSnapshotTemporarilyUnavailable
	}
	return err
}
