package kvapi

import (
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// NodeID names a node: one process with one store. It is given out once by
// the cluster and never reused. Zero is no node.
type NodeID uint32

// RangeID names a range. Zero is no range.
type RangeID uint64

// ReplicaID names a range's copy on one node; never reused within a range. It
// is also the replica's id in the range's Raft group.
type ReplicaID uint64

// Generation counts the changes of a range descriptor (splits, merges,
// replica changes).
type Generation uint64

// Term is a Raft term.
type Term uint64

// LogIndex is a position in a range's Raft log.
type LogIndex uint64

// LeaseSequence counts the leases of a range. A command applies with effect
// only under the lease sequence it was evaluated under.
type LeaseSequence uint64

// TxnSeq orders the operations of one transaction epoch, from 1.
type TxnSeq uint32

// Epoch counts the restarts of a transaction that kept its identity.
type Epoch uint32

// Priority decides pushes between transactions; higher wins.
type Priority int32

// Priorities a user can ask for. Normal transactions draw at random between
// PriorityMin+1 and PriorityMax-1.
const (
	PriorityMin    Priority = 0
	PriorityMax    Priority = 1 << 30
	PriorityNormal Priority = 1 << 20
)

// TurnID names what a client does again and again because it loses, whatever
// transactions it does it in; zero for one that has not lost, or not often.
type TurnID uint64

// TxnID is a random (version 4) UUID.
type TxnID [16]byte

// NewTxnID returns a fresh id.
func NewTxnID() TxnID { return TxnID(uuid.New()) }

// IsZero reports whether the id is none.
func (t TxnID) IsZero() bool { return t == TxnID{} }

// String prints the id as a UUID.
func (t TxnID) String() string { return uuid.UUID(t).String() }

// Short prints the first four bytes, enough to tell transactions apart in a log.
func (t TxnID) Short() string { return hex.EncodeToString(t[:4]) }

// ClusterID is the UUID that a cluster's bootstrap draws.
type ClusterID [16]byte

// IsZero reports whether the id is none.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// String prints the id as a UUID.
func (c ClusterID) String() string { return uuid.UUID(c).String() }

// String prints n1.
func (n NodeID) String() string { return fmt.Sprintf("n%d", uint32(n)) }

// String prints r1.
func (r RangeID) String() string { return fmt.Sprintf("r%d", uint64(r)) }
