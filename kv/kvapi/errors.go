package kvapi

import (
	"fmt"

	"github.com/cairndb/cairn/hlc"
)

// ErrorKind says what went wrong, in terms a caller can act on.
type ErrorKind uint8

// Error kinds, by who handles them.
const (
	// ErrInternal: a bug or an unexpected failure; final.
	ErrInternal ErrorKind = iota

	// Routing, handled by the distributed sender.

	// ErrNotLeaseholder: Info.Lease may say who is.
	ErrNotLeaseholder
	// ErrRangeMismatch: the keys are not all in the range; Infos help.
	ErrRangeMismatch
	// ErrRangeNotFound: the node has no replica of the range.
	ErrRangeNotFound
	// ErrNodeUnreachable: the request could not be delivered. Ambiguous says
	// whether it may have been.
	ErrNodeUnreachable

	// Concurrency, handled on the range.

	// ErrLockConflict: Locks were found. Reaches a client only with
	// WaitError (SQL's NOWAIT).
	ErrLockConflict
	// ErrPushFailed: the pushee is alive and stronger; Pushee is its record.
	ErrPushFailed
	// ErrIndeterminateCommit: the pushee is Staging; recover it first.
	ErrIndeterminateCommit

	// Transaction, handled by the coordinator: refresh or restart.

	// ErrWriteTooOld: a newer version exists; write at or above Timestamp.
	ErrWriteTooOld
	// ErrUncertain: a value in the uncertainty interval; read at Timestamp.
	ErrUncertain
	// ErrRefreshFailed: a refreshed span was written.
	ErrRefreshFailed
	// ErrTxnRetry: the write timestamp moved and reads must be refreshed.
	ErrTxnRetry
	// ErrTxnAborted: somebody aborted the transaction; begin a new one.
	ErrTxnAborted
	// ErrDeadlineExceeded: the commit timestamp reached the deadline.
	ErrDeadlineExceeded

	// Results the user asked about.

	// ErrConditionFailed: Actual holds the value found (nil: absent).
	ErrConditionFailed
	// ErrBelowGCThreshold: the versions asked for may be gone.
	ErrBelowGCThreshold

	// Faults of the world.

	// ErrAmbiguous: the write may or may not have happened; never retried.
	ErrAmbiguous
	// ErrUnavailable: no leader, no quorum, or the node is stopping.
	ErrUnavailable
	// ErrCanceled: the caller's context ended.
	ErrCanceled
	// ErrOverloaded: a queue is full; nothing was done.
	ErrOverloaded
	// ErrTxnFinished: EndTxn met a record that is already committed.
	ErrTxnFinished
	// ErrDeadlock: the transaction was chosen as a deadlock's victim.
	ErrDeadlock
	// ErrDiskFull: a disk is nearly full and takes no new data; nothing was
	// done. Deletes go on.
	ErrDiskFull
	// ErrLockTimeout: a lock was not released within the header's LockTimeout;
	// Key is where, Other who holds it. Nothing was done.
	ErrLockTimeout
	// ErrRangeUnavailable: the range has no quorum, or the replica hangs, and has
	// for longer than a fail-over takes; nothing was done. The message is for
	// people.
	ErrRangeUnavailable
	// ErrFeedLost: a feed cannot go on here (its range changed, the replica moved,
	// or its reader was too slow); begin a new one at what was resolved.
	ErrFeedLost
	errKindEnd
)

var errorNames = [errKindEnd]string{
	ErrInternal:            "internal error",
	ErrNotLeaseholder:      "not leaseholder",
	ErrRangeMismatch:       "range mismatch",
	ErrRangeNotFound:       "range not found",
	ErrNodeUnreachable:     "node unreachable",
	ErrLockConflict:        "lock conflict",
	ErrPushFailed:          "push failed",
	ErrIndeterminateCommit: "indeterminate commit",
	ErrWriteTooOld:         "write too old",
	ErrUncertain:           "read within uncertainty interval",
	ErrRefreshFailed:       "refresh failed",
	ErrTxnRetry:            "transaction must refresh",
	ErrTxnAborted:          "transaction aborted",
	ErrDeadlineExceeded:    "commit deadline exceeded",
	ErrConditionFailed:     "condition failed",
	ErrBelowGCThreshold:    "below garbage collection threshold",
	ErrAmbiguous:           "result is ambiguous",
	ErrUnavailable:         "unavailable",
	ErrCanceled:            "canceled",
	ErrOverloaded:          "overloaded",
	ErrTxnFinished:         "transaction already finished",
	ErrDeadlock:            "deadlock",
	ErrDiskFull:            "disk full",
	ErrLockTimeout:         "lock timeout",
	ErrRangeUnavailable:    "range unavailable",
	ErrFeedLost:            "feed lost",
}

// String prints the kind in words.
func (k ErrorKind) String() string {
	if k >= errKindEnd {
		return "unknown error"
	}
	return errorNames[k]
}

// Error is the error of a batch. Fields beside Kind are set as the kind's
// comment says. Every error answers whether the batch may have had effects.
type Error struct {
	Kind    ErrorKind `wire:"1"`
	Message string    `wire:"2"`
	// MaybeApplied says that the batch may have had effects.
	MaybeApplied bool `wire:"3"`
	// Index is the position of the request that failed, -1 if unknown.
	Index int32 `wire:"4"`
	// Txn is the batch's transaction as the server last saw it (timestamps
	// moved, or ABORTED), nil if unchanged.
	Txn       *Transaction  `wire:"5"`
	Timestamp hlc.Timestamp `wire:"6"`
	Locks     []Lock        `wire:"7"`
	Infos     []RangeInfo   `wire:"8"`
	Pushee    *Transaction  `wire:"9"`
	Actual    []byte        `wire:"10"`
	// ActualExists tells an empty value from an absent one.
	ActualExists bool `wire:"11"`
	// Key is the key the conflict was on, for people and for hints.
	Key Key `wire:"12"`
	// Other is the transaction the conflict was with, if known.
	Other *TxnMeta `wire:"13"`
	// Now is the server's clock.
	Now hlc.ClockTimestamp `wire:"14"`
	// Cycle are the waits of a deadlock, each for the next.
	Cycle []TxnWait `wire:"15"`
	// Version is where the version stands that was in the way, if it was one.
	Version hlc.Timestamp `wire:"16"`
}

// NewError returns an error of a kind with a message.
func NewError(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Index: -1}
}

// Error implements error.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Kind.String()
	}
	return e.Kind.String() + ": " + e.Message
}

// AsError returns nil as a nil error interface.
func (e *Error) AsError() error {
	if e == nil {
		return nil
	}
	return e
}
