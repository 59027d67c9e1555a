package txn

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// The errors of this package are typed by what the caller can do about them;
// callers ask errors.As. What none of these types fits is a bug or a refusal
// of the KV layer and arrives as a wrapped *kvapi.Error.

// RetryError says that the transaction lost to another one (or that the time
// it was allowed to commit in has passed) and had no effect. The same Txn may
// be run again after PrepareForRetry, which every path to here allows.
type RetryError struct {
	// Reason is a short phrase for people: "refresh failed", ...
	Reason string
	// Key is where the conflict was, if known.
	Key kvapi.Key
	// Other is the transaction the conflict was with, if known.
	Other *kvapi.TxnMeta
	// Version is where the version stands that was in the way, if it was one:
	// the commit timestamp of the transaction that wrote it.
	Version hlc.Timestamp
	// Kind is what the KV layer said.
	Kind kvapi.ErrorKind
	// minTimestamp is where the next attempt must read at the earliest.
	minTimestamp hlc.Timestamp
	// aborted says that the record is gone: the next attempt needs a new id.
	aborted bool
}

// Error implements error.
func (e *RetryError) Error() string {
	s := "transaction must be retried: " + e.Reason
	if e.Key != nil {
		s += fmt.Sprintf(" on key %s", e.Key)
	}
	if e.Other != nil {
		s += fmt.Sprintf(" by transaction %s", e.Other.ID.Short())
	}
	return s
}

// Retryable reports true: running the transaction again may succeed.
func (e *RetryError) Retryable() bool { return true }

// DeadlockError says that the transaction was chosen as a deadlock's victim.
// It had no effect and, like after a RetryError, may be run again.
type DeadlockError struct {
	Key   kvapi.Key
	Other *kvapi.TxnMeta
	// Cycle are the waits, each for the next; the first is the victim's.
	Cycle []kvapi.TxnWait
}

// Error implements error.
func (e *DeadlockError) Error() string {
	return fmt.Sprintf("deadlock detected on key %s", e.Key)
}

// Retryable reports true.
func (e *DeadlockError) Retryable() bool { return true }

// AmbiguousError says that a commit's fate is unknown: it may have happened,
// may still happen, or never will. It is never retried by anyone but the
// user, who alone can look at the data.
type AmbiguousError struct{ Cause error }

// Error implements error.
func (e *AmbiguousError) Error() string { return "result is ambiguous: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *AmbiguousError) Unwrap() error { return e.Cause }

// Ambiguous reports true.
func (e *AmbiguousError) Ambiguous() bool { return true }

// ConditionFailedError says that a conditional write found another value.
type ConditionFailedError struct {
	Key    kvapi.Key
	Actual []byte
	Exists bool
}

// Error implements error.
func (e *ConditionFailedError) Error() string {
	if !e.Exists {
		return fmt.Sprintf("condition failed on key %s: no value", e.Key)
	}
	return fmt.Sprintf("condition failed on key %s: value exists", e.Key)
}

// LockConflictError says that a request with kvapi.WaitError met a lock.
type LockConflictError struct {
	Key    kvapi.Key
	Holder *kvapi.TxnMeta
}

// Error implements error.
func (e *LockConflictError) Error() string { return fmt.Sprintf("key %s is locked", e.Key) }

// LockTimeoutError says that a lock was not released in time (SetLockTimeout).
type LockTimeoutError struct {
	Key    kvapi.Key
	Holder *kvapi.TxnMeta
}

// Error implements error.
func (e *LockTimeoutError) Error() string {
	return fmt.Sprintf("the lock on key %s was not released in time", e.Key)
}

// UnavailableError says that some range could not be reached in time. What
// was asked had no effect.
type UnavailableError struct{ Cause error }

// Error implements error.
func (e *UnavailableError) Error() string { return "unavailable: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Cause }

// DiskFullError says that disks are nearly full and take no new data. What
// was asked had no effect.
type DiskFullError struct{ Cause *kvapi.Error }

// Error implements error.
func (e *DiskFullError) Error() string { return e.Cause.Message }

// OverloadedError says that a queue is full; nothing was done.
type OverloadedError struct{ Cause error }

// Error implements error.
func (e *OverloadedError) Error() string { return "overloaded: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *OverloadedError) Unwrap() error { return e.Cause }

// CanceledError says that the caller's context ended; nothing was committed.
// errors.Is sees the context's error through it.
type CanceledError struct{ Cause error }

// Error implements error.
func (e *CanceledError) Error() string { return "canceled: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *CanceledError) Unwrap() error { return e.Cause }

// TooLargeError says that a transaction passed a hard limit of limits.go.
type TooLargeError struct {
	What     string
	MaxBytes int64
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("transaction too large: %s exceed %d bytes", e.What, e.MaxBytes)
}

// RollbackUnsupportedError says that what was flushed before a savepoint is not
// there any more (savepoint.go), or that too many parts of the transaction were
// rolled back. The transaction can only be rolled back as a whole.
type RollbackUnsupportedError struct{ FlushedBytes int64 }

// Error implements error.
func (e *RollbackUnsupportedError) Error() string {
	return fmt.Sprintf("cannot roll back to a savepoint from before %d bytes of writes were flushed", e.FlushedBytes)
}

// FinishedError says that a finished transaction was used.
type FinishedError struct{ Committed bool }

// Error implements error.
func (e *FinishedError) Error() string {
	if e.Committed {
		return "transaction is already committed"
	}
	return "transaction is already rolled back"
}

// ReadOnlyError says that a read-only transaction was asked to write or lock.
type ReadOnlyError struct{}

// Error implements error.
func (ReadOnlyError) Error() string { return "cannot write in a read-only transaction" }

// FixedError says that a transaction would have to read above the timestamp
// that its user chose.
type FixedError struct{}

// Error implements error.
func (FixedError) Error() string { return "the transaction reads at a fixed timestamp" }

// SnapshotTooOldError says that the transaction's read timestamp is below
// what garbage collection has kept.
type SnapshotTooOldError struct{ Cause error }

// Error implements error.
func (e *SnapshotTooOldError) Error() string { return "snapshot too old: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *SnapshotTooOldError) Unwrap() error { return e.Cause }

// IsRetryable reports whether running the transaction again may succeed.
func IsRetryable(err error) bool {
	var r interface{ Retryable() bool }
	return errors.As(err, &r) && r.Retryable()
}

// IsAmbiguous reports whether err leaves the fate of a commit open.
func IsAmbiguous(err error) bool {
	var a *AmbiguousError
	return errors.As(err, &a)
}

// retryReasons are the phrases for the kinds that become a RetryError.
var retryReasons = map[kvapi.ErrorKind]string{
	kvapi.ErrWriteTooOld:      "a newer version was written",
	kvapi.ErrUncertain:        "read within the uncertainty interval",
	kvapi.ErrRefreshFailed:    "a value that was read has been written since",
	kvapi.ErrTxnRetry:         "the write timestamp was pushed",
	kvapi.ErrTxnAborted:       "aborted by another transaction",
	kvapi.ErrDeadlineExceeded: "the commit deadline has passed",
	kvapi.ErrPushFailed:       "another transaction is in the way",
}

// wrapError turns what the KV layer said into this package's types.
func wrapError(ctx context.Context, e *kvapi.Error) error {
	switch e.Kind {
	case kvapi.ErrWriteTooOld, kvapi.ErrUncertain, kvapi.ErrRefreshFailed, kvapi.ErrTxnRetry,
		kvapi.ErrTxnAborted, kvapi.ErrDeadlineExceeded, kvapi.ErrPushFailed:
		return &RetryError{Reason: retryReasons[e.Kind], Key: e.Key, Other: e.Other, Version: e.Version, Kind: e.Kind,
			minTimestamp: retryTimestamp(e), aborted: e.Kind == kvapi.ErrTxnAborted}
	case kvapi.ErrDeadlock:
		return &DeadlockError{Key: e.Key, Other: e.Other, Cycle: e.Cycle}
	case kvapi.ErrAmbiguous:
		return &AmbiguousError{Cause: e}
	case kvapi.ErrConditionFailed:
		return &ConditionFailedError{Key: e.Key, Actual: e.Actual, Exists: e.ActualExists}
	case kvapi.ErrLockConflict:
		return lockConflict(e)
	case kvapi.ErrLockTimeout:
		return &LockTimeoutError{Key: e.Key, Holder: e.Other}
	case kvapi.ErrUnavailable, kvapi.ErrNodeUnreachable:
		return &UnavailableError{Cause: e}
	case kvapi.ErrOverloaded:
		return &OverloadedError{Cause: e}
	case kvapi.ErrDiskFull:
		return &DiskFullError{Cause: e}
	case kvapi.ErrBelowGCThreshold:
		return &SnapshotTooOldError{Cause: e}
	case kvapi.ErrCanceled:
		if ctx.Err() != nil {
			return &CanceledError{Cause: context.Cause(ctx)}
		}
		return &UnavailableError{Cause: e}
	}
	return fmt.Errorf("kv: %w", e)
}

func lockConflict(e *kvapi.Error) error {
	c := &LockConflictError{Key: e.Key, Holder: e.Other}
	if len(e.Locks) > 0 {
		c.Key, c.Holder = e.Locks[0].Key, &e.Locks[0].Txn
	}
	return c
}

// retryTimestamp is the first timestamp at which what failed may succeed.
func retryTimestamp(e *kvapi.Error) hlc.Timestamp {
	ts := e.Timestamp
	if e.Txn != nil {
		ts.Forward(e.Txn.WriteTimestamp)
	}
	return ts
}
