package raftgroup

import (
	"errors"
	"fmt"

	"github.com/cairndb/cairn/kv/kvapi"
)

var (
	// ErrProposalDropped says that a proposal did not enter the log: this
	// replica does not lead, is handing over, or has too much uncommitted.
	ErrProposalDropped = errors.New("raft: proposal dropped")
	// ErrConfChangeRefused says that a conf change was proposed while another
	// is pending, or one the configuration does not allow. An empty entry
	// entered the log in its place.
	ErrConfChangeRefused = errors.New("raft: conf change refused")
	// ErrCompacted is a LogReader's answer for an index that was truncated.
	ErrCompacted = errors.New("raft: log entry was truncated")
	// ErrUnavailable is a LogReader's answer for an index after the last one.
	ErrUnavailable = errors.New("raft: log entry is not there")
	// ErrSnapshotNotReady is a SnapshotFunc's answer when there is none now;
	// Raft asks again.
	ErrSnapshotNotReady = errors.New("raft: snapshot temporarily unavailable")
)

// EntryKind tells what an entry's data is.
type EntryKind uint8

// Entry kinds. Their numbers are on disk and on the wire.
const (
	// EntryEmpty begins a leader's term, or stands where a conf change was
	// refused. It has no data.
	EntryEmpty EntryKind = iota
	// EntryCommand carries what was proposed.
	EntryCommand
	// EntryConfChange carries a conf change, see DecodeConfChange.
	EntryConfChange
	entryKindEnd
)

// Entry is one position of a Raft log.
type Entry struct {
	Index kvapi.LogIndex
	Term  kvapi.Term
	Kind  EntryKind
	Data  []byte
}

// entryOverheadBytes is what an entry costs in memory and on the wire beside
// its data; it keeps floods of empty entries inside the byte limits.
const entryOverheadBytes = 32

// SizeBytes is what the entry counts against limits.
func (e *Entry) SizeBytes() int { return len(e.Data) + entryOverheadBytes }

// HardState is what a replica must remember before it answers anybody. The
// zero HardState means unchanged, in a StorageAppend, or never written.
type HardState struct {
	Term   kvapi.Term      `wire:"1"`
	Vote   kvapi.ReplicaID `wire:"2"`
	Commit kvapi.LogIndex  `wire:"3"`
}

// IsEmpty reports whether the state is unset.
func (h HardState) IsEmpty() bool { return h == HardState{} }

// String prints term 5 vote 2 commit 10.
func (h HardState) String() string {
	return fmt.Sprintf("term %d vote %d commit %d", h.Term, h.Vote, h.Commit)
}

// ConfState is a group's configuration: who votes, who learns. VotersOutgoing
// is not empty exactly in a joint configuration.
type ConfState struct {
	Voters         []kvapi.ReplicaID `wire:"1"`
	Learners       []kvapi.ReplicaID `wire:"2"`
	VotersOutgoing []kvapi.ReplicaID `wire:"3"`
	LearnersNext   []kvapi.ReplicaID `wire:"4"`
}

// IsJoint reports whether decisions need both majorities.
func (c ConfState) IsJoint() bool { return len(c.VotersOutgoing) > 0 }

// ConfStateOf returns the configuration that a descriptor describes. The
// descriptor is the truth; Raft's view is derived from it at every start.
func ConfStateOf(d *kvapi.RangeDescriptor) ConfState {
	var c ConfState
	joint := false
	for _, r := range d.Replicas {
		joint = joint || r.Type == kvapi.VoterIncoming || r.Type == kvapi.VoterOutgoing ||
			r.Type == kvapi.VoterDemotingLearner
	}
	for _, r := range d.Replicas {
		switch r.Type {
		case kvapi.Voter:
			c.Voters = append(c.Voters, r.ReplicaID)
			if joint {
				c.VotersOutgoing = append(c.VotersOutgoing, r.ReplicaID)
			}
		case kvapi.VoterIncoming:
			c.Voters = append(c.Voters, r.ReplicaID)
		case kvapi.VoterOutgoing:
			c.VotersOutgoing = append(c.VotersOutgoing, r.ReplicaID)
		case kvapi.VoterDemotingLearner:
			c.VotersOutgoing = append(c.VotersOutgoing, r.ReplicaID)
			c.LearnersNext = append(c.LearnersNext, r.ReplicaID)
		case kvapi.Learner:
			c.Learners = append(c.Learners, r.ReplicaID)
		}
	}
	return c
}

// Snapshot says where a range snapshot stands; its data travels apart from
// Raft. ID, if set by the SnapshotFunc, names that data.
type Snapshot struct {
	Index     kvapi.LogIndex
	Term      kvapi.Term
	ConfState ConfState
	ID        []byte
}

// LogReader is what a Group reads of its log: entries (first ≤ index ≤ last)
// and the term of the entry before the first. It reflects every append handed
// to the log writer and every truncation.
type LogReader interface {
	// Entries returns entries from lo up to hi (exclusive), at least one and
	// no more than maxBytes of them, else ErrCompacted or ErrUnavailable.
	Entries(lo, hi kvapi.LogIndex, maxBytes uint64) ([]Entry, error)
	// Term returns the term of an entry from FirstIndex()-1 to LastIndex().
	Term(i kvapi.LogIndex) (kvapi.Term, error)
	FirstIndex() kvapi.LogIndex
	LastIndex() kvapi.LogIndex
}

// SnapshotFunc returns where a snapshot for a follower would stand, or
// ErrSnapshotNotReady.
type SnapshotFunc func() (Snapshot, error)

// Role is a replica's part in its term.
type Role uint8

// Roles.
const (
	Follower Role = iota
	Candidate
	Leader
	PreCandidate
)

// String prints the role.
func (r Role) String() string {
	return [...]string{"follower", "candidate", "leader", "pre-candidate"}[r&3]
}

// Status is a group's state at a moment. It is cheap.
type Status struct {
	HardState
	Self ReplicaID
	// Leader is the leader this replica knows in its term, or 0.
	Leader  ReplicaID
	Role    Role
	Applied kvapi.LogIndex
	// TransferTarget is who leadership is being handed to, or 0.
	TransferTarget ReplicaID
}

// IsLeader reports whether this replica leads its term.
func (s Status) IsLeader() bool { return s.Role == Leader }

// ReplicaID is kvapi's.
type ReplicaID = kvapi.ReplicaID

// ProgressState tells how a leader sends to a follower.
type ProgressState uint8

// Progress states.
const (
	// Probing: one append at a time, until the logs are known to match.
	Probing ProgressState = iota
	// Replicating: appends are pipelined.
	Replicating
	// Snapshotting: the follower waits for a snapshot; ReportSnapshot or its
	// acknowledgement ends that.
	Snapshotting
)

// String prints the state.
func (s ProgressState) String() string {
	return [...]string{"probing", "replicating", "snapshotting", "?"}[s&3]
}

// Progress is what a leader knows of a replica's log.
type Progress struct {
	ReplicaID ReplicaID
	// Match is the last index known to be durable there.
	Match kvapi.LogIndex
	// Next is the next index to send.
	Next  kvapi.LogIndex
	State ProgressState
	// PendingSnapshot is the index that a snapshot to the follower should
	// reach, in state Snapshotting.
	PendingSnapshot kvapi.LogIndex
	// RecentActive: heard of within an election timeout.
	RecentActive bool
	IsLearner    bool
	// Paused: nothing is sent until the follower answers.
	Paused bool
}
