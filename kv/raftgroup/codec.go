package raftgroup

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/cairndb/cairn/internal/wire"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/liveness"
)

// Envelopes are written by hand in the Protocol Buffers wire format: the
// library's own codec works by reflection and allocates for every field. A
// field that is zero is left out; an unknown one is skipped.
const (
	fieldEnvelope = 1 // of a batch

	fieldRangeID   = 1 // of an envelope
	fieldFrom      = 2
	fieldTo        = 3
	fieldStartKey  = 4
	fieldMessage   = 5
	fieldPromise   = 6
	fieldCommitted = 7

	fieldType       = 1 // of a message: numbers as in the library's raft.proto
	fieldMsgTo      = 2
	fieldMsgFrom    = 3
	fieldTerm       = 4
	fieldLogTerm    = 5
	fieldIndex      = 6
	fieldEntry      = 7 // encoded by AppendEntry
	fieldCommit     = 8
	fieldSnapshot   = 9
	fieldReject     = 10
	fieldRejectHint = 11
	fieldContext    = 12
	fieldVote       = 13

	fieldSnapIndex     = 1 // of a snapshot
	fieldSnapTerm      = 2
	fieldSnapConfState = 3
	fieldSnapID        = 4
)

var errBadMessage = errors.New("raft: malformed message")

// AppendEnvelopes appends the encoding of a batch of envelopes to dst.
func AppendEnvelopes(dst []byte, batch []Envelope) []byte {
	for i := range batch {
		var at int
		dst, at = wire.Begin(dst, fieldEnvelope)
		dst = appendEnvelope(dst, &batch[i])
		dst = wire.End(dst, at)
	}
	return dst
}

func appendEnvelope(b []byte, e *Envelope) []byte {
	b = wire.AppendUint(b, fieldRangeID, uint64(e.RangeID))
	b = appendReplica(b, fieldFrom, &e.From)
	b = appendReplica(b, fieldTo, &e.To)
	if len(e.StartKey) > 0 {
		b = wire.AppendBytes(b, fieldStartKey, e.StartKey)
	}
	b, at := wire.Begin(b, fieldMessage)
	b = wire.End(appendMessage(b, e.Message.m), at)
	b = appendNonZero(b, fieldPromise, uint64(e.Promise))
	return appendNonZero(b, fieldCommitted, uint64(e.Committed))
}

func appendReplica(b []byte, field int, r *kvapi.ReplicaDescriptor) []byte {
	b, at := wire.Begin(b, field)
	return wire.End(r.AppendWire(b), at)
}

func appendMessage(b []byte, m *pb.Message) []byte {
	b = appendNonZero(b, fieldType, uint64(m.GetType()))
	b = appendNonZero(b, fieldMsgTo, m.GetTo())
	b = appendNonZero(b, fieldMsgFrom, m.GetFrom())
	b = appendNonZero(b, fieldTerm, m.GetTerm())
	b = appendNonZero(b, fieldLogTerm, m.GetLogTerm())
	b = appendNonZero(b, fieldIndex, m.GetIndex())
	b = appendNonZero(b, fieldCommit, m.GetCommit())
	b = appendNonZero(b, fieldVote, m.GetVote())
	b = appendNonZero(b, fieldRejectHint, m.GetRejectHint())
	if m.GetReject() {
		b = wire.AppendUint(b, fieldReject, 1)
	}
	if len(m.Context) > 0 {
		b = wire.AppendBytes(b, fieldContext, m.Context)
	}
	if m.Snapshot != nil {
		b = appendSnapshot(b, snapshotOf(m.Snapshot))
	}
	for _, e := range m.Entries {
		b = appendMessageEntry(b, entryOf(e))
	}
	return b
}

func appendNonZero(b []byte, field int, v uint64) []byte {
	if v == 0 {
		return b
	}
	return wire.AppendUint(b, field, v)
}

func appendMessageEntry(b []byte, e Entry) []byte {
	b = wire.AppendTag(b, fieldEntry, wire.Bytes)
	b = binary.AppendUvarint(b, uint64(encodedEntryBytes(e)))
	return AppendEntry(b, e)
}

func appendSnapshot(b []byte, s Snapshot) []byte {
	b, at := wire.Begin(b, fieldSnapshot)
	b = appendNonZero(b, fieldSnapIndex, uint64(s.Index))
	b = appendNonZero(b, fieldSnapTerm, uint64(s.Term))
	b, cs := wire.Begin(b, fieldSnapConfState)
	b = wire.End(s.ConfState.AppendWire(b), cs)
	if len(s.ID) > 0 {
		b = wire.AppendBytes(b, fieldSnapID, s.ID)
	}
	return wire.End(b, at)
}

// DecodeEnvelopes is the inverse of AppendEnvelopes. Keys and entries' data
// alias b. A message that no peer may send is an error, as is an entry whose
// checksum is wrong.
func DecodeEnvelopes(b []byte) ([]Envelope, error) {
	var out []Envelope
	for len(b) > 0 {
		num, typ, rest, err := wire.Tag(b)
		if err != nil {
			return nil, fmt.Errorf("raftgroup: %w", err)
		}
		if num != fieldEnvelope || typ != wire.Bytes {
			if b, err = wire.Skip(rest, typ); err != nil {
				return nil, fmt.Errorf("raftgroup: %w", err)
			}
			continue
		}
		var body []byte
		if body, b, err = wire.Cut(rest); err != nil {
			return nil, fmt.Errorf("raftgroup: %w", err)
		}
		if len(out) == EnvelopesMax {
			return nil, fmt.Errorf("raftgroup: more than %d messages in a batch", EnvelopesMax)
		}
		var e Envelope
		if err := decodeEnvelope(&e, body); err != nil {
			return nil, fmt.Errorf("raftgroup: message %d of a batch: %w", len(out), err)
		}
		out = append(out, e)
	}
	return out, nil
}

func decodeEnvelope(e *Envelope, b []byte) error {
	var msg []byte
	err := eachField(b, func(field int, v uint64, body []byte) error {
		switch field {
		case fieldRangeID:
			e.RangeID = kvapi.RangeID(v)
		case fieldFrom:
			return e.From.UnmarshalWire(body)
		case fieldTo:
			return e.To.UnmarshalWire(body)
		case fieldStartKey:
			e.StartKey = body
		case fieldMessage:
			msg = body
		case fieldPromise:
			e.Promise = liveness.Epoch(v)
		case fieldCommitted:
			e.Committed = kvapi.LogIndex(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if e.Message, err = decodeMessage(msg); err != nil {
		return err
	}
	if e.Message.From() != e.From.ReplicaID || e.Message.To() != e.To.ReplicaID {
		return fmt.Errorf("%w: %s in an envelope of %s to %s", errBadMessage, e.Message, e.From, e.To)
	}
	return nil
}

// eachField calls f with every varint (in v) and every byte field (in body).
func eachField(b []byte, f func(field int, v uint64, body []byte) error) error {
	for len(b) > 0 {
		num, typ, rest, err := wire.Tag(b)
		if err != nil {
			return err
		}
		var v uint64
		var body []byte
		switch typ {
		case wire.Varint:
			v, b, err = wire.Uint(rest)
		case wire.Bytes:
			body, b, err = wire.Cut(rest)
		default:
			b, err = wire.Skip(rest, typ)
			num = 0
		}
		if err == nil && num != 0 {
			err = f(num, v, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// messageSlab is a message with room for what its fields point to.
type messageSlab struct {
	m                                 pb.Message
	typ                               pb.MessageType
	to, from, term, logTerm           uint64
	index, commit, vote, rejectedHint uint64
	reject                            bool
}

func decodeMessage(b []byte) (Message, error) {
	s := &messageSlab{}
	s.m.Type, s.m.To, s.m.From, s.m.Term, s.m.LogTerm = &s.typ, &s.to, &s.from, &s.term, &s.logTerm
	s.m.Index, s.m.Commit, s.m.Vote = &s.index, &s.commit, &s.vote
	s.m.RejectHint, s.m.Reject = &s.rejectedHint, &s.reject
	var ents []Entry
	err := eachField(b, func(field int, v uint64, body []byte) (err error) {
		switch field {
		case fieldType:
			s.typ = pb.MessageType(min(v, 1<<20))
		case fieldMsgTo:
			s.to = v
		case fieldMsgFrom:
			s.from = v
		case fieldTerm:
			s.term = v
		case fieldLogTerm:
			s.logTerm = v
		case fieldIndex:
			s.index = v
		case fieldCommit:
			s.commit = v
		case fieldVote:
			s.vote = v
		case fieldRejectHint:
			s.rejectedHint = v
		case fieldReject:
			s.reject = v != 0
		case fieldContext:
			s.m.Context = body
		case fieldSnapshot:
			s.m.Snapshot, err = decodeSnapshot(body)
		case fieldEntry:
			var e Entry
			if e, err = DecodeEntry(body); err == nil {
				ents = append(ents, e)
			}
		}
		return err
	})
	if err != nil {
		return Message{}, err
	}
	if len(ents) > 0 {
		s.m.Entries = libraryEntries(ents)
	}
	return Message{&s.m}, checkFromPeer(Message{&s.m}, ents)
}

// checkFromPeer refuses what a peer never sends and what the library would
// panic on.
func checkFromPeer(m Message, ents []Entry) error {
	_, known := pb.MessageType_name[int32(m.Type())]
	switch {
	case !known || isLocal(m.m.GetType()):
		return fmt.Errorf("%w: type %d is not for peers", errBadMessage, m.m.GetType())
	case m.Term() == 0 || m.From() == 0 || m.To() == 0:
		return fmt.Errorf("%w: %s lacks term, sender or addressee", errBadMessage, m)
	case (m.Type() == MsgSnapshot) != (m.m.Snapshot != nil):
		return fmt.Errorf("%w: %s and a snapshot do not go together", errBadMessage, m)
	case len(ents) > 0 && m.Type() != MsgAppend:
		return fmt.Errorf("%w: %s carries entries", errBadMessage, m)
	}
	for i, e := range ents {
		if e.Index != m.Index()+kvapi.LogIndex(i)+1 || e.Term > m.Term() {
			return fmt.Errorf("%w: %s has entry %d of term %d at place %d", errBadMessage, m, e.Index, e.Term, i)
		}
	}
	return nil
}

func decodeSnapshot(b []byte) (*pb.Snapshot, error) {
	var s Snapshot
	err := eachField(b, func(field int, v uint64, body []byte) error {
		switch field {
		case fieldSnapIndex:
			s.Index = kvapi.LogIndex(v)
		case fieldSnapTerm:
			s.Term = kvapi.Term(v)
		case fieldSnapConfState:
			return s.ConfState.UnmarshalWire(body)
		case fieldSnapID:
			s.ID = body
		}
		return nil
	})
	return s.library(), err
}
