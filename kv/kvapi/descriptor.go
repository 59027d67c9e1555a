package kvapi

import (
	"fmt"
	"strings"

	"github.com/cairndb/cairn/hlc"
)

// ReplicaType is a replica's part in its Raft group.
type ReplicaType uint8

// Replica types. The joint ones exist only while a configuration changes.
const (
	Voter ReplicaType = iota
	Learner
	VoterIncoming
	VoterOutgoing
	VoterDemotingLearner
)

// Votes reports whether a replica of the type votes in the configuration that
// stands, or, while it changes, in the one to come.
func (t ReplicaType) Votes() bool { return t == Voter || t == VoterIncoming }

// IsTransient reports whether the type exists only in a joint configuration.
func (t ReplicaType) IsTransient() bool { return t > Learner }

// ReplicaDescriptor says where one replica lives.
type ReplicaDescriptor struct {
	NodeID    NodeID      `wire:"1"`
	ReplicaID ReplicaID   `wire:"2"`
	Type      ReplicaType `wire:"3"`
}

// IsVoter reports whether the replica votes, in a configuration that is on its
// way to another at least in one of the two.
func (r ReplicaDescriptor) IsVoter() bool { return r.Type != Learner }

// String prints (n1,2) or (n1,2L) for a learner.
func (r ReplicaDescriptor) String() string {
	s := fmt.Sprintf("(%s,%d", r.NodeID, r.ReplicaID)
	if r.Type != Voter {
		s += [...]string{"", "L", "I", "O", "D"}[r.Type]
	}
	return s + ")"
}

// RangeDescriptor is the record of a range: its span and replicas. It is a
// value: whoever changes it makes a copy with a higher generation.
type RangeDescriptor struct {
	RangeID       RangeID             `wire:"1"`
	StartKey      Key                 `wire:"2"`
	EndKey        Key                 `wire:"3"`
	Replicas      []ReplicaDescriptor `wire:"4"`
	NextReplicaID ReplicaID           `wire:"5"`
	Generation    Generation          `wire:"6"`
	// StickyUntil is until when no merge joins the range to its left neighbour
	// by itself.
	StickyUntil hlc.Timestamp `wire:"10"`
}

// IsInitialized reports whether the descriptor has a span; a replica that was
// created by a Raft message has none until its first snapshot or its split.
func (d *RangeDescriptor) IsInitialized() bool { return len(d.EndKey) > 0 }

// Span returns the range's user keys.
func (d *RangeDescriptor) Span() Span { return Span{Key: d.StartKey, EndKey: d.EndKey} }

// ContainsKey reports whether the addressed user key k is in the range.
func (d *RangeDescriptor) ContainsKey(k Key) bool {
	return !k.Less(d.StartKey) && k.Less(d.EndKey)
}

// ContainsSpan reports whether all of s is in the range.
func (d *RangeDescriptor) ContainsSpan(s Span) bool {
	if s.IsPoint() {
		return d.ContainsKey(s.Key)
	}
	return !s.Key.Less(d.StartKey) && !d.EndKey.Less(s.EndKey)
}

// Replica returns the replica on a node.
func (d *RangeDescriptor) Replica(n NodeID) (ReplicaDescriptor, bool) {
	for _, r := range d.Replicas {
		if r.NodeID == n {
			return r, true
		}
	}
	return ReplicaDescriptor{}, false
}

// ReplicaByID returns the replica with an id.
func (d *RangeDescriptor) ReplicaByID(id ReplicaID) (ReplicaDescriptor, bool) {
	for _, r := range d.Replicas {
		if r.ReplicaID == id {
			return r, true
		}
	}
	return ReplicaDescriptor{}, false
}

// IsJoint reports whether two configurations decide together: a change of
// voters has begun and is not over.
func (d *RangeDescriptor) IsJoint() bool {
	for _, r := range d.Replicas {
		if r.Type.IsTransient() {
			return true
		}
	}
	return false
}

// Voters counts the replicas that vote when a change under way is over.
func (d *RangeDescriptor) Voters() int {
	n := 0
	for _, r := range d.Replicas {
		if r.Type.Votes() {
			n++
		}
	}
	return n
}

// String prints r5 [a, b) gen 3 (n1,1)(n2,2).
func (d *RangeDescriptor) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s [%s, %s) gen %d ", d.RangeID, d.StartKey, d.EndKey, d.Generation)
	b.WriteString(d.ReplicaList())
	return b.String()
}

// ReplicaList prints (n1,1)(n2,2).
func (d *RangeDescriptor) ReplicaList() string {
	var b strings.Builder
	for _, r := range d.Replicas {
		b.WriteString(r.String())
	}
	return b.String()
}

// Lease gives one replica the right to serve reads and to evaluate writes of
// a range, for MVCC timestamps in [Start, Expiration). It is replicated state,
// changed only by a Raft command that names the lease it replaces. What it is
// worth at a moment is answered by lease.Status alone.
type Lease struct {
	Sequence   LeaseSequence     `wire:"1"`
	Holder     ReplicaDescriptor `wire:"2"`
	Start      hlc.Timestamp     `wire:"3"`
	Expiration hlc.Timestamp     `wire:"4"`
	// Term is the Raft term in which the holder, then leader, proposed it; for
	// the lease that a split's right side inherits, the first one of its own.
	// The lease is worth something only while the holder leads that term.
	Term Term `wire:"5"`
	// ProposedAt is the holder's clock when it was proposed: a lease from
	// before the holder's last start is never used again.
	ProposedAt hlc.ClockTimestamp `wire:"6"`
	// Kind says what ends the lease.
	Kind LeaseKind `wire:"7"`
}

// LeaseKind says what ends a lease.
type LeaseKind uint8

// Kinds of leases. Their numbers are on disk.
const (
	// ExpirationLease ends at its Expiration, and is renewed by commands.
	ExpirationLease LeaseKind = iota
	// LeaderLease lasts for as long as its holder leads Term and a quorum holds
	// it up (kv/liveness). Its Expiration is empty.
	LeaderLease
)

// IsEmpty reports whether the range never had a lease.
func (l *Lease) IsEmpty() bool { return l.Sequence == 0 }

// String prints the lease on one line.
func (l *Lease) String() string {
	if l.Kind == LeaderLease {
		return fmt.Sprintf("lease %d %s [%s, while it leads) term %d", l.Sequence, l.Holder, l.Start, l.Term)
	}
	return fmt.Sprintf("lease %d %s [%s, %s) term %d", l.Sequence, l.Holder, l.Start, l.Expiration, l.Term)
}

// RangeInfo is what a node knows of a range's place; responses and routing
// errors carry it so that caches learn. The zero Lease means unknown.
type RangeInfo struct {
	Desc  RangeDescriptor `wire:"1"`
	Lease Lease           `wire:"2"`
}
