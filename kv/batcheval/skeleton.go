package batcheval

import (
	"context"

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

// EvalContext is what evaluation knows of its replica.
type EvalContext struct {
	Desc   *kvapi.RangeDescriptor
	NodeID kvapi.NodeID
	// Now is the replica's clock, read after the latches were held.
	Now hlc.ClockTimestamp
	// Lease is the one the batch evaluates under.
	Lease       kvapi.Lease
	GCThreshold hlc.Timestamp
	// Stats are the range's applied statistics.
	Stats   kvapi.RangeStatistics
	Records TxnRecords
	// Uncertainty is what Uncertainty(batch, lease) computed.
	Uncertainty mvcc.Uncertainty
}

// Result is what a batch changes besides the engine.
type Result struct {
	Local      LocalResult
	Replicated ReplicatedResult
}

// EndTxn is a transaction that this batch finished.
type EndTxn struct {
	Txn *kvapi.Transaction
	// LockSpans were not resolved by the batch.
	LockSpans []kvapi.Span
}

// TxnMark is a mark on a transaction without record that the store keeps in
// its timestamp cache, before latches are dropped.
type TxnMark struct {
	ID     kvapi.TxnID
	Anchor kvapi.Key
	// Finished: no record may be created any more. Otherwise the transaction
	// must commit at or above Timestamp.
	Finished  bool
	Timestamp hlc.Timestamp
}

// LocalResult is for the evaluating replica only.
type LocalResult struct {
	// AcquiredLocks are the unreplicated locks that locking reads took, also
	// on absent keys, and the intents that were written.
	AcquiredLocks []kvapi.Lock
	// ResolvedLocks were resolved by this batch.
	ResolvedLocks []kvapi.LockUpdate
	// UpdatedTxns were finished or pushed; waiters want to know.
	UpdatedTxns []*kvapi.Transaction
	EndTxns     []EndTxn
	TxnMarks    []TxnMark
	// MissingIntents are the keys that QueryIntent found without the intent:
	// they must enter the timestamp cache at Timestamp, with no owner, before
	// the reply and before latches are dropped.
	MissingIntents []spanset.ReadSpan
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
}

// Evaluate runs a batch. Reads go to rw, and writes are collected in it; on
// an error nothing of rw may be used. For read-only batches rw may be a
// reader without writes (ReadOnly).
func Evaluate(ctx context.Context, rw storage.ReadWriter, ec *EvalContext, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, Result, *kvapi.Error) {
	return nil, Result{}, kvapi.NewError(kvapi.ErrInternal, "evaluation is not there yet")
}

// ReadOnly makes a reader a ReadWriter that refuses writes.
func ReadOnly(r storage.Reader) storage.ReadWriter { return readOnly{r} }

type readOnly struct{ storage.Reader }

func (readOnly) SetRaw(_, _ []byte) error         { panic("batcheval: write by a read-only batch") }
func (readOnly) DeleteRaw(_ []byte) error         { panic("batcheval: write by a read-only batch") }
func (readOnly) DeleteRangeRaw(_, _ []byte) error { panic("batcheval: write by a read-only batch") }

// NeedsIndex reports whether the batch reads what it writes, so that rw must
// be an indexed batch.
func NeedsIndex(ba *kvapi.BatchRequest) bool { return true }

// DeclareSpans returns what the batch latches and which locks it respects.
func DeclareSpans(ba *kvapi.BatchRequest, desc *kvapi.RangeDescriptor) spanset.Spans {
	return spanset.Spans{}
}

// ReadSpans returns what the batch read and must be kept in the timestamp
// cache before its latches are dropped: after success (err nil) with the
// response's resume spans taken off, and after an error which reveals what
// was read (ConditionFailed).
func ReadSpans(ba *kvapi.BatchRequest, br *kvapi.BatchResponse, err *kvapi.Error) []spanset.ReadSpan {
	return nil
}

// ReadTimestamp returns where the batch reads; WriteTimestamp where it writes.
func ReadTimestamp(ba *kvapi.BatchRequest) hlc.Timestamp {
	if ba.Txn != nil {
		return ba.Txn.ReadTimestamp
	}
	return ba.Timestamp
}

// WriteTimestamp returns where the batch's writes go, unless they are pushed.
func WriteTimestamp(ba *kvapi.BatchRequest) hlc.Timestamp {
	if ba.Txn != nil {
		return ba.Txn.WriteTimestamp
	}
	return ba.Timestamp
}

// Uncertainty computes the uncertainty interval of a batch on a replica whose
// clock showed observed at the transaction's first visit of the node.
func Uncertainty(ba *kvapi.BatchRequest, lease kvapi.Lease) mvcc.Uncertainty {
	return mvcc.Uncertainty{}
}
