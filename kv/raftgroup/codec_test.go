package raftgroup

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
)

// message makes a Message by the library's own fields.
func message(typ pb.MessageType, from, to, term uint64, change func(*pb.Message)) Message {
	m := &pb.Message{Type: typ.Enum(), From: &from, To: &to, Term: &term}
	if change != nil {
		change(m)
	}
	return Message{m}
}

func goldenBatch() []Envelope {
	n1, n2 := kvapi.ReplicaDescriptor{NodeID: 1, ReplicaID: 1}, kvapi.ReplicaDescriptor{NodeID: 2, ReplicaID: 3, Type: kvapi.Learner}
	one := uint64(1)
	yes := true
	return []Envelope{
		{RangeID: 7, From: n1, To: n2, Message: message(pb.MsgHeartbeat, 1, 3, 6, func(m *pb.Message) { m.Commit = proto.Uint64(300) })},
		{RangeID: 8, From: n1, To: n2, StartKey: kvapi.Key("k"), Message: message(pb.MsgApp, 1, 3, 6, func(m *pb.Message) {
			m.Index, m.LogTerm, m.Commit = proto.Uint64(10), proto.Uint64(5), proto.Uint64(9)
			m.Entries = libraryEntries([]Entry{
				{Index: 11, Term: 6},
				{Index: 12, Term: 6, Kind: EntryCommand, Data: []byte("command")},
				{Index: 13, Term: 6, Kind: EntryConfChange, Data: []byte{8, 2}},
			})
		})},
		{RangeID: 9, From: n2, To: n1, Message: message(pb.MsgAppResp, 3, 1, 6, func(m *pb.Message) {
			m.Index, m.LogTerm, m.Reject, m.RejectHint = &one, &one, &yes, &one
		})},
		{RangeID: 10, From: n1, To: n2, Message: message(pb.MsgVote, 1, 3, 7, func(m *pb.Message) { m.Context = []byte(campaignTransfer) })},
		{RangeID: 11, From: n1, To: n2, Message: message(pb.MsgSnap, 1, 3, 7, func(m *pb.Message) {
			m.Snapshot = Snapshot{Index: 20, Term: 6, ID: []byte("id"), ConfState: ConfState{Voters: []kvapi.ReplicaID{1, 2}, Learners: []kvapi.ReplicaID{3}}}.library()
		})},
	}
}

const goldenHex = "" +
	"0a1d08071204080110011a060802100318012a0b080810031801200640ac020a4a08081204080110011a0608" +
	"021003180122016b2a3508031003180120062805300a40093a080100060b761b64653a0f0101060cc510c978" +
	"636f6d6d616e643a0a0102060d57619c7308020a22080912060802100318011a04080110012a100804100118" +
	"03200628013001580150010a2c080a1204080110011a060802100318012a1a0805100318012007621043616d" +
	"706169676e5472616e736665720a2c080b1204080110011a060802100318012a1a08071003180120074a1008" +
	"1410061a0608010802100322026964"

// TestGolden pins the encoding: nodes of two versions talk to each other.
func TestGolden(t *testing.T) {
	got := hex.EncodeToString(AppendEnvelopes(nil, goldenBatch()))
	if got != goldenHex {
		t.Fatalf("encoding changed:\n%s", got)
	}
}

func TestEntryGolden(t *testing.T) {
	e := Entry{Index: 300, Term: 6, Kind: EntryCommand, Data: []byte("command")}
	got := hex.EncodeToString(AppendEntry(nil, e))
	if want := "010106ac02" + "933eb15b" + "636f6d6d616e64"; got != want {
		t.Fatalf("encoding changed: %s", got)
	}
	if len(got)/2 != encodedEntryBytes(e) {
		t.Fatalf("%d bytes, said to be %d", len(got)/2, encodedEntryBytes(e))
	}
}

func TestRoundTrip(t *testing.T) {
	batch := goldenBatch()
	got, err := DecodeEnvelopes(AppendEnvelopes(nil, batch))
	if err != nil || len(got) != len(batch) {
		t.Fatalf("%d envelopes, %v", len(got), err)
	}
	for i := range got {
		if got[i].String() != batch[i].String() || !got[i].StartKey.Equal(batch[i].StartKey) {
			t.Errorf("got %s, want %s", got[i], batch[i])
		}
		if !reflect.DeepEqual(entriesOf(got[i].Message.m.Entries), entriesOf(batch[i].Message.m.Entries)) {
			t.Errorf("%s: entries differ", got[i])
		}
	}
	if !got[3].Message.IsTransferCampaign() {
		t.Error("the context is lost")
	}
	if s := got[4].Message.Snapshot(); !reflect.DeepEqual(s, batch[4].Message.Snapshot()) {
		t.Errorf("snapshot %+v", s)
	}
}

func TestDecodeRefuses(t *testing.T) {
	n1, n2 := kvapi.ReplicaDescriptor{NodeID: 1, ReplicaID: 1}, kvapi.ReplicaDescriptor{NodeID: 2, ReplicaID: 3}
	env := func(m Message) []byte {
		return AppendEnvelopes(nil, []Envelope{{RangeID: 7, From: n1, To: n2, Message: m}})
	}
	cases := map[string][]byte{
		"local message":     env(message(pb.MsgStorageAppendResp, 1, 3, 6, nil)),
		"proposal":          env(message(pb.MsgProp, 1, 3, 6, nil)),
		"unknown type":      env(message(pb.MessageType(99), 1, 3, 6, nil)),
		"no term":           env(message(pb.MsgApp, 1, 3, 0, nil)),
		"other's envelope":  env(message(pb.MsgApp, 2, 3, 6, nil)),
		"snapshot missing":  env(message(pb.MsgSnap, 1, 3, 6, nil)),
		"entries elsewhere": env(message(pb.MsgHeartbeat, 1, 3, 6, func(m *pb.Message) { m.Entries = libraryEntries([]Entry{{Index: 1, Term: 1}}) })),
		"gap":               env(message(pb.MsgApp, 1, 3, 6, func(m *pb.Message) { m.Entries = libraryEntries([]Entry{{Index: 5, Term: 1}}) })),
		"entry of future":   env(message(pb.MsgApp, 1, 3, 6, func(m *pb.Message) { m.Entries = libraryEntries([]Entry{{Index: 1, Term: 7}}) })),
		"cut":               AppendEnvelopes(nil, goldenBatch())[:50],
	}
	for name, b := range cases {
		if got, err := DecodeEnvelopes(b); err == nil {
			t.Errorf("%s: accepted %s", name, got)
		}
	}
}

// TestEntryChecksum: every flipped bit of an entry is found.
func TestEntryChecksum(t *testing.T) {
	good := AppendEntry(nil, Entry{Index: 300, Term: 6, Kind: EntryCommand, Data: []byte("command")})
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := DecodeEntry(bad); !errors.Is(err, ErrCorruptEntry) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Index: kvapi.LogIndex(rapid.Uint64().Draw(t, "index")),
			Term:  kvapi.Term(rapid.Uint64().Draw(t, "term")),
			Kind:  EntryKind(rapid.IntRange(0, int(entryKindEnd)-1).Draw(t, "kind")),
		}
		if data := rapid.SliceOf(rapid.Byte()).Draw(t, "data"); len(data) > 0 {
			e.Data = data
		}
		b := AppendEntry(nil, e)
		got, err := DecodeEntry(b)
		if err != nil || !reflect.DeepEqual(got, e) || len(b) != encodedEntryBytes(e) {
			t.Fatalf("%+v became %+v, %v", e, got, err)
		}
	})
}

func FuzzDecodeEnvelopes(f *testing.F) {
	f.Add(AppendEnvelopes(nil, goldenBatch()))
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := DecodeEnvelopes(b)
		if err != nil {
			return
		}
		again, err := DecodeEnvelopes(AppendEnvelopes(nil, batch))
		if err != nil || len(again) != len(batch) {
			t.Fatalf("re-encoding %v: %v", batch, err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(AppendEntry(nil, Entry{Index: 3, Term: 2, Kind: EntryCommand, Data: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := DecodeEntry(b); err == nil && len(e.Data) > len(b) {
			t.Fatal("data from nowhere")
		}
	})
}

func snapMessage(term uint64, s Snapshot) Message {
	return message(pb.MsgSnap, 1, 2, term, func(m *pb.Message) { m.Snapshot = s.library() })
}

func appMessage(term, index, logTerm uint64, ents []Entry, commit uint64) Message {
	return message(pb.MsgApp, 1, 2, term, func(m *pb.Message) {
		m.Index, m.LogTerm, m.Commit, m.Entries = &index, &logTerm, &commit, libraryEntries(ents)
	})
}
