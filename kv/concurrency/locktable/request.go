package locktable

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Request is one request's place in the table.
type Request struct {
	// seq orders requests by arrival; queues are in this order (I2).
	seq    uint64
	txn    *kvapi.Transaction
	locks  []spanset.LockSpan
	signal chan struct{}

	// Below: guarded by the table's mutex.

	// at is the one key where the request is queued or granted, nil if none.
	at      *keyState
	want    kvapi.LockStrength
	ts      hlc.Timestamp
	granted bool
	// since is the wall clock when it began to wait at the key.
	since   int64
	skipped map[string]struct{}
}

// Signal is signalled when the request should scan again.
func (r *Request) Signal() chan struct{} { return r.signal }

// Seq is the request's number in order of arrival.
func (r *Request) Seq() uint64 { return r.seq }

func (r *Request) txnID() kvapi.TxnID {
	if r.txn == nil {
		return kvapi.TxnID{}
	}
	return r.txn.ID
}

// sameTxn reports whether id is the request's own transaction.
func (r *Request) sameTxn(id kvapi.TxnID) bool { return r.txn != nil && r.txn.ID == id }

// wake signals without blocking.
func (r *Request) wake() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// Skipped reports whether the last Scan left key out (WaitSkip). Only the
// goroutine that scanned may ask.
func (r *Request) Skipped(key kvapi.Key) bool {
	_, ok := r.skipped[string(key)]
	return ok
}

// OutcomeKind says what a Scan found.
type OutcomeKind uint8

// Outcomes, see doc.go.
const (
	Free OutcomeKind = iota
	Resolve
	Wait
	Conflict
)

// Outcome is the answer of a Scan.
type Outcome struct {
	Kind OutcomeKind
	// Resolve lists locks of finished transactions (or, for a reader, of
	// transactions known to be above it). The caller resolves them and calls
	// Resolved, or Unresolved if it could not.
	Resolve []kvapi.LockUpdate
	// Blocker is what Wait waits for and Conflict met.
	Blocker Blocker
}

// Blocker is what stands in a request's way.
type Blocker struct {
	Key kvapi.Key
	// Txn is zero for a request outside any transaction that is ahead.
	Txn kvapi.TxnMeta
	// Held tells a lock's holder from a request ahead in the queue.
	Held bool
	// Resolving says that somebody is resolving the lock right now.
	Resolving bool
	Lock      kvapi.Lock
	// Push is what the waiter needs of Txn, and To the timestamp it must be
	// pushed above (PushTimestamp).
	Push kvapi.PushType
	To   hlc.Timestamp
	// First says that the waiter is the one to act when the holder ends: a
	// reader, or the head of the queue.
	First bool
}
