package raftgroup

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/liveness"
)

// MessageType is the kind of a Raft message. The numbers are the library's,
// hence stable on the wire.
type MessageType uint8

// The message types that owners tell apart.
const (
	MsgAppend            = MessageType(pb.MsgApp)
	MsgAppendResponse    = MessageType(pb.MsgAppResp)
	MsgVote              = MessageType(pb.MsgVote)
	MsgVoteResponse      = MessageType(pb.MsgVoteResp)
	MsgSnapshot          = MessageType(pb.MsgSnap)
	MsgHeartbeat         = MessageType(pb.MsgHeartbeat)
	MsgHeartbeatResponse = MessageType(pb.MsgHeartbeatResp)
	MsgTimeoutNow        = MessageType(pb.MsgTimeoutNow)
	MsgPreVote           = MessageType(pb.MsgPreVote)
	MsgPreVoteResponse   = MessageType(pb.MsgPreVoteResp)
)

// String prints the type.
func (t MessageType) String() string { return pb.MessageType(t).String() }

// Message is a Raft message. It is immutable and may be shared by goroutines.
type Message struct{ m *pb.Message }

// Type returns what the message is.
func (m Message) Type() MessageType { return MessageType(m.m.GetType()) }

// From returns the sender; for storage responses it is not a replica.
func (m Message) From() ReplicaID { return ReplicaID(m.m.GetFrom()) }

// To returns the addressee.
func (m Message) To() ReplicaID { return ReplicaID(m.m.GetTo()) }

// Term returns the term the message was sent in.
func (m Message) Term() kvapi.Term { return kvapi.Term(m.m.GetTerm()) }

// Index returns the index the message is about; see the library for each type.
func (m Message) Index() kvapi.LogIndex { return kvapi.LogIndex(m.m.GetIndex()) }

// Commit returns the sender's commit index in appends and heartbeats.
func (m Message) Commit() kvapi.LogIndex { return kvapi.LogIndex(m.m.GetCommit()) }

// Rejects reports whether the message refuses a vote or an append.
func (m Message) Rejects() bool { return m.m.GetReject() }

// EntryCount returns the number of entries an append carries.
func (m Message) EntryCount() int { return len(m.m.Entries) }

// AnyEntry reports whether an entry that the message carries is one that is
// looked for.
func (m Message) AnyEntry(looked func(Entry) bool) bool {
	for _, e := range m.m.Entries {
		if looked(entryOf(e)) {
			return true
		}
	}
	return false
}

// IsTransferCampaign reports whether a vote is asked for because the leader
// handed leadership over, so that an existing promise to it does not stand
// against the vote.
func (m Message) IsTransferCampaign() bool {
	return m.Type() == MsgVote && string(m.m.Context) == campaignTransfer
}

// Notice is a message that says nothing but whom it is for: an answer, of a term
// long past, that no group waits for.
func Notice(from, to ReplicaID) Message {
	t, f, r, term := pb.MsgHeartbeatResp, uint64(from), uint64(to), uint64(1)
	return Message{&pb.Message{Type: &t, From: &f, To: &r, Term: &term}}
}

// campaignTransfer is what the library puts in such a vote's context.
const campaignTransfer = "CampaignTransfer"

// Snapshot returns where the snapshot of a MsgSnapshot stands.
func (m Message) Snapshot() Snapshot { return snapshotOf(m.m.GetSnapshot()) }

// SizeBytes estimates the encoded size.
func (m Message) SizeBytes() int {
	n := 64
	for _, e := range m.m.Entries {
		n += len(e.Data) + entryOverheadBytes
	}
	return n
}

// String prints the message on one line, without data.
func (m Message) String() string {
	s := fmt.Sprintf("%s %d->%d term %d", m.Type(), m.From(), m.To(), m.Term())
	if i := m.Index(); i != 0 || m.Type() == MsgAppend {
		s += fmt.Sprintf(" log %d/%d", m.m.GetLogTerm(), i)
	}
	if n := m.EntryCount(); n > 0 {
		s += fmt.Sprintf(" entries %d..%d", m.m.Entries[0].GetIndex(), m.m.Entries[n-1].GetIndex())
	}
	if c := m.Commit(); c != 0 {
		s += fmt.Sprintf(" commit %d", c)
	}
	if m.Rejects() {
		s += " reject"
	}
	if m.m.Snapshot != nil {
		s += fmt.Sprintf(" snapshot %d", m.Snapshot().Index)
	}
	return s
}

// isLocal reports whether only this process may have made the message.
func isLocal(t pb.MessageType) bool {
	return raft.IsLocalMsg(t) || t == pb.MsgProp || t == pb.MsgTransferLeader ||
		t == pb.MsgForgetLeader || t == pb.MsgReadIndex || t == pb.MsgReadIndexResp
}

// Envelope is a message on its way between nodes. One batch of envelopes
// carries the messages of many ranges, heartbeats included.
type Envelope struct {
	RangeID kvapi.RangeID
	From    kvapi.ReplicaDescriptor
	To      kvapi.ReplicaDescriptor
	// StartKey is the sender's start key; an uninitialised receiver uses it
	// to see whether a split it has yet to apply will create the replica.
	StartKey kvapi.Key
	Message  Message
	// Promise is, in an answer to a leader, the epoch of store liveness under
	// which the sender promises that leader its vote; 0 promises nothing.
	Promise liveness.Epoch
	// Committed is, in an answer to a leader, how far the sender knows the log
	// to be committed.
	Committed kvapi.LogIndex
}

// String prints r1 (n1,1)->(n2,2) and the message.
func (e Envelope) String() string {
	return fmt.Sprintf("%s %s->%s %s", e.RangeID, e.From, e.To, e.Message)
}
