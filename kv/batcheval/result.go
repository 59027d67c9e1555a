package batcheval

import (
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/spanset"
	"github.com/cairndb/cairn/kv/storage"
)

// TxnRecords answers, from the timestamp cache of the replica, whether the
// record of a transaction may be created.
type TxnRecords interface {
	// CanCreateTxnRecord is asked before a record that is not there is
	// written. ok is false if the transaction was finished or aborted before
	// (its record may have been removed). minCommitTS is the timestamp that
	// pushes of the record-less transaction demand; empty if none.
	CanCreateTxnRecord(id kvapi.TxnID, anchor kvapi.Key, minTS hlc.Timestamp) (ok bool, minCommitTS hlc.Timestamp)
}

// HeldLocks answers, from the replica's lock table in memory, whether another
// transaction holds or awaits a lock that conflicts with strength. A request
// that skips locked keys asks it.
type HeldLocks interface {
	IsLockedByOther(key kvapi.Key, strength kvapi.LockStrength) bool
}

// EvalContext is what evaluation knows of its replica.
type EvalContext struct {
	Desc   *kvapi.RangeDescriptor
	NodeID kvapi.NodeID
	// Now is the replica's clock, read after the latches were held.
	Now hlc.ClockTimestamp
	// Lease is the one the batch evaluates under.
	Lease       kvapi.Lease
	GCThreshold hlc.Timestamp
	// ProtectedAsOf is the highest timestamp of a record of protection that this
	// node was asked about.
	ProtectedAsOf hlc.Timestamp
	// Removed, if set, is told of versions that are collected; for tests.
	Removed mvcc.Removed
	// Stats are the range's applied statistics.
	Stats   kvapi.RangeStatistics
	Records TxnRecords
	// Rate is how many batches a second the range gets.
	Rate float64
	// QuietFor is for how long it has got few.
	QuietFor time.Duration
	// Locks may be nil if no request of the batch skips locked keys.
	Locks HeldLocks
	// Finished is what the store knows of transactions that have ended; nil
	// for nothing.
	Finished mvcc.FinishedTxns
	// Programs are of scans; nil knows none.
	Programs kvapi.Programs
	// Uncertainty is what Uncertainty(batch, lease) computed.
	Uncertainty mvcc.Uncertainty
}

// Result is what a batch changes besides the engine.
type Result struct {
	Local      LocalResult
	Replicated ReplicatedResult
}

// EndTxn is a transaction that is finished: LockSpans were not resolved by
// the batch and are to be resolved in the background.
type EndTxn struct {
	Txn       *kvapi.Transaction
	LockSpans []kvapi.Span
}

// TxnMark is a mark on a transaction without record that the store keeps in
// its timestamp cache, before latches are dropped.
type TxnMark struct {
	ID     kvapi.TxnID
	Anchor kvapi.Key
	// Finished: no record may be created any more; Timestamp is then at or
	// above the transaction's first one, which creation is compared with.
	// Otherwise the transaction must commit at or above Timestamp.
	Finished  bool
	Timestamp hlc.Timestamp
}

// LocalResult is for the evaluating replica only. After an error only EndTxns
// and AcquiredLocks are set.
type LocalResult struct {
	// AcquiredLocks are the unreplicated locks that locking reads took, also
	// on absent keys, and the intents that were written.
	AcquiredLocks []kvapi.Lock
	// ResolvedLocks were resolved by this batch.
	ResolvedLocks []kvapi.LockUpdate
	// ForgottenLocks are intents of committed transactions that the batch read
	// as committed and that should have been resolved long ago.
	ForgottenLocks []kvapi.LockUpdate
	// UpdatedTxns were finished or pushed; waiters want to know.
	UpdatedTxns []*kvapi.Transaction
	EndTxns     []EndTxn
	TxnMarks    []TxnMark
	// MissingIntents are the keys that QueryIntent found without the intent:
	// they must enter the timestamp cache at Timestamp, with no owner, before
	// the reply and before latches are dropped.
	MissingIntents []spanset.ReadSpan
	// ProtectedAsOf must be in the EvalContext of later batches.
	ProtectedAsOf hlc.Timestamp
}

// ReplicatedResult is applied with the batch on every replica.
type ReplicatedResult struct {
	StatsDelta     kvapi.RangeStatistics        `wire:"1"`
	Split          *kvapi.SplitTrigger          `wire:"2"`
	ChangeReplicas *kvapi.ChangeReplicasTrigger `wire:"3"`
	Lease          *kvapi.Lease                 `wire:"4"`
	PrevLease      *kvapi.Lease                 `wire:"5"`
	TruncateTo     kvapi.LogIndex               `wire:"6"`
	TruncateTerm   kvapi.Term                   `wire:"7"`
	GCThreshold    hlc.Timestamp                `wire:"8"`
	// WriteTimestamp is the highest version written.
	WriteTimestamp hlc.Timestamp `wire:"9"`
	// LowestWrite is the lowest version written, empty if there is none. Intents
	// that are resolved are no new versions.
	LowestWrite hlc.Timestamp `wire:"13"`
	// Removes spans the keys, or for local keys their addresses, of which
	// versions are removed, outside of all transactions: those at or below
	// RemovesUpTo, or if that is empty all.
	Removes     *kvapi.Span         `wire:"10"`
	RemovesUpTo hlc.Timestamp       `wire:"11"`
	Merge       *kvapi.MergeTrigger `wire:"12"`
}

// wroteAt takes note of a version.
func (r *ReplicatedResult) wroteAt(at hlc.Timestamp) {
	r.WriteTimestamp.Forward(at)
	if r.LowestWrite.IsEmpty() || at.Less(r.LowestWrite) {
		r.LowestWrite = at
	}
}

// ReadOnly makes a reader a ReadWriter that refuses writes.
func ReadOnly(r storage.Reader) storage.ReadWriter { return readOnly{r} }

type readOnly struct{ storage.Reader }

func (readOnly) SetRaw(_, _ []byte) error         { panic("batcheval: write by a read-only batch") }
func (readOnly) DeleteRaw(_ []byte) error         { panic("batcheval: write by a read-only batch") }
func (readOnly) DeleteRangeRaw(_, _ []byte) error { panic("batcheval: write by a read-only batch") }
