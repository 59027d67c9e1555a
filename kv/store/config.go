package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// RaftTransport carries Raft messages and snapshots to the stores of other
// nodes. It may lose, repeat and reorder messages.
type RaftTransport interface {
	// SendRaft queues envelopes for a node. It does not block; what does not
	// fit the queue is dropped and reported by false.
	SendRaft(to kvapi.NodeID, envelopes []raftgroup.Envelope) bool
	// SendLiveness queues a message of store liveness, apart from Raft's. It does
	// not block.
	SendLiveness(to kvapi.NodeID, m *LivenessMessage) bool
	// SendSnapshot calls fill with a function that sends one chunk, and returns
	// when the receiver's HandleSnapshot has returned, with its error.
	SendSnapshot(ctx context.Context, to kvapi.NodeID, fill func(send func(chunk []byte) error) error) error
}

// Txn is what a range change needs of a transaction.
type Txn interface {
	Get(ctx context.Context, key kvapi.Key) (value []byte, exists bool, err error)
	Put(ctx context.Context, key kvapi.Key, value []byte) error
	Delete(ctx context.Context, key kvapi.Key) error
	// SetSplitTrigger and SetChangeReplicasTrigger attach the trigger to the
	// commit. The transaction must then anchor on the key given (the left
	// range's descriptor), so that its EndTxn goes to that range.
	SetSplitTrigger(anchor kvapi.Key, t *kvapi.SplitTrigger)
	SetChangeReplicasTrigger(anchor kvapi.Key, t *kvapi.ChangeReplicasTrigger)
	// SetMergeTrigger is set twice: before anything is written, so that the
	// transaction anchors where it must, and again with what is known later.
	SetMergeTrigger(anchor kvapi.Key, t *kvapi.MergeTrigger)
	// Flush writes intents for all that was put so far, and returns the
	// transaction as they name it.
	Flush(ctx context.Context) (kvapi.TxnMeta, error)
}

// PeerSender sends a batch to the store of one node, whoever holds the lease.
type PeerSender interface {
	SendTo(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error)
}

// TxnRunner runs a function in a transaction, again if the transaction must be
// retried, and commits it when the function returns nil.
type TxnRunner interface {
	RunTxn(ctx context.Context, name string, fn func(context.Context, Txn) error) error
}

// NodeLister tells which nodes could hold replicas.
type NodeLister interface {
	// LiveNodes returns the nodes that are up, in any order, own one included.
	LiveNodes() []kvapi.NodeID
	// FullNodes returns those whose disks take no new data.
	FullNodes() []kvapi.NodeID
	// Nodes returns all nodes that were ever heard of, with what they have and
	// whether they stay.
	Nodes() []NodeState
}

// Config is what a store is made of. Engine, Clock and Transport are required;
// the others may be nil where a test does not need them: without Txns there are
// no splits and replica changes, without Sender no pushes of other
// transactions, without Nodes no up-replication.
type Config struct {
	Engine    *storage.Engine
	Clock     *hlc.Clock
	Transport RaftTransport
	Txns      TxnRunner
	Sender    kvapi.Sender
	// Peers reaches replicas without leases; without it there are no merges.
	Peers PeerSender
	Nodes NodeLister
	Log   *slog.Logger
	// Fatal is called when the store must not go on (a failed disk, diverged
	// or corrupt state), before anybody is answered. It must not return
	// normally in production; in tests it may.
	Fatal func(error)
	// OnLease is called when this store acquired or lost a range's lease. Nil
	// is allowed. It must not block.
	OnLease func(desc kvapi.RangeDescriptor, lease kvapi.Lease)
	// OnSpace is called when the disk became fuller, or emptier. Nil is
	// allowed. It must not block.
	OnSpace func(storage.SpaceReport)
	// TickInterval is the length of a Raft tick; 0 means DefaultTickInterval.
	TickInterval time.Duration
	// ReplicationFactor is how many voters the replicate loop gives every
	// range if there are as many live nodes; 0 means 3, 1 turns it off.
	ReplicationFactor int
	// MergeAfter is how long small neighbours must have been quiet to be merged
	// without being asked; 0 means MergeAfterDefault, a negative one never.
	MergeAfter time.Duration
	// JoinRate is how many commits a second across the boundary of two ranges have
	// them merged; 0 means JoinRateDefault, a negative one never.
	JoinRate float64
	// RangeBytesMax is the size beyond which a range splits; 0 means
	// RangeBytesMaxDefault.
	RangeBytesMax int64
	// LoadSplitRate is beyond how many batches a second a range splits; 0 means
	// LoadSplitRateDefault.
	LoadSplitRate float64
	// KeepBoundary reports whether no merge may undo a boundary by itself; nil
	// keeps none.
	KeepBoundary func(ctx context.Context, boundary kvapi.Key) bool
	// RowStart returns the first key of the row that a key belongs to; a range
	// is split at such keys only. It may return its argument. Nil says that
	// every key is a row of its own.
	RowStart func(kvapi.Key) kvapi.Key
	// Programs are those of scans; nil applies none.
	Programs kvapi.Programs
	// Leases says which leases the store takes where it leads.
	Leases LeaseMode
	// Support is for how long nodes hold each other up, which is how long a node
	// that dies is not missed; 0 means liveness.DefaultSupport.
	Support time.Duration
	// GCPolicy says how long old versions are kept; nil keeps them for GCTTL, 0
	// for gc.DefaultTTL. GCInterval is how often old ones are looked for, 0 for
	// the default.
	GCPolicy GCPolicy
	// Placement says what is asked for replicas of tables; nil is nothing.
	Placement  PlacementPolicy
	GCTTL      time.Duration
	GCInterval time.Duration
	// ClosedLag is how far behind the clock timestamps are closed, 0 for
	// ClosedLagDefault; a negative one closes none. ClosedInterval is how often
	// those of idle ranges are, 0 for ClosedIntervalDefault.
	ClosedLag, ClosedInterval time.Duration
	// CheckInterval is how often the replicas of a range are compared; 0 means
	// CheckIntervalDefault.
	CheckInterval time.Duration
	Knobs         TestingKnobs
}

// LeaseMode says which leases a store takes. Stores of different modes work
// together.
type LeaseMode uint8

const (
	// LeaderLeases stand on store liveness. They are the default.
	LeaderLeases LeaseMode = iota
	// ExpirationLeases are renewed by a command per range.
	ExpirationLeases
)
