package txn

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

var errNotBuilt = errors.New("txn: not built yet")

// Txn is a serializable transaction. It is for one goroutine at a time.
//
// After a RetryError or DeadlockError only PrepareForRetry and Rollback may
// be called. After any other error the transaction goes on, except that a
// failed Commit has ended it.
type Txn struct{ db *DB }

// Get reads a key. The value must not be changed.
func (t *Txn) Get(ctx context.Context, key kvapi.Key, o GetOptions) ([]byte, bool, error) {
	return nil, false, errNotBuilt
}

// GetMany reads keys in one batch; the result is in the order of keys.
func (t *Txn) GetMany(ctx context.Context, keys []kvapi.Key, o GetOptions) ([]Value, error) {
	return nil, errNotBuilt
}

// Scan reads the rows of a span in key order (or against it), the
// transaction's own writes included. resume is what the bounds left unread;
// nil if all was read.
func (t *Txn) Scan(ctx context.Context, span kvapi.Span, o ScanOptions) (rows []kvapi.KeyValue, resume *kvapi.Span, err error) {
	return nil, nil, errNotBuilt
}

// Put writes a key blindly. Key and value must not be changed afterwards.
func (t *Txn) Put(ctx context.Context, key kvapi.Key, value []byte) error { return errNotBuilt }

// Delete removes a key blindly.
func (t *Txn) Delete(ctx context.Context, key kvapi.Key) error { return errNotBuilt }

// PutIfAbsent writes a key that must be absent. Unless the transaction wrote
// the key itself, that is found out at commit (or flush), in the same batch
// that writes: ConditionFailedError may come from there.
func (t *Txn) PutIfAbsent(ctx context.Context, key kvapi.Key, value []byte) error { return errNotBuilt }

// ConditionalPut writes a key that must hold expected; like PutIfAbsent the
// condition may be checked at commit.
func (t *Txn) ConditionalPut(ctx context.Context, key kvapi.Key, value, expected []byte) error {
	return errNotBuilt
}

// Savepoint marks this moment.
func (t *Txn) Savepoint() Savepoint { return Savepoint{} }

// RollbackTo takes back all writes since sp; locks stay.
func (t *Txn) RollbackTo(sp Savepoint) error { return errNotBuilt }

// Release forgets a savepoint and keeps its writes.
func (t *Txn) Release(sp Savepoint) error { return nil }

// Commit commits. A nil error is a durable commit; AmbiguousError may be one;
// after any other error nothing was committed. Only after a retryable error
// may the Txn be used again, by PrepareForRetry.
func (t *Txn) Commit(ctx context.Context) error { return errNotBuilt }

// Rollback ends the transaction without effect. Locks are released in the
// background. It is a no-op on a finished transaction.
func (t *Txn) Rollback(ctx context.Context) error { return errNotBuilt }

// PrepareForRetry makes the transaction as new after a retryable error: empty
// buffer, later timestamps; locks are kept where that is possible. Cause is
// the error that made it necessary.
func (t *Txn) PrepareForRetry(cause error) error { return errNotBuilt }

// SetDeadline sets the first timestamp the commit must not reach; an earlier
// deadline stays.
func (t *Txn) SetDeadline(ts hlc.Timestamp) {}

// ReadTimestamp returns where the transaction reads. It may rise until the
// transaction ends.
func (t *Txn) ReadTimestamp() hlc.Timestamp { return hlc.Timestamp{} }

// CommitTimestamp returns where the transaction committed.
func (t *Txn) CommitTimestamp() hlc.Timestamp { return hlc.Timestamp{} }

// IsReadOnlySoFar reports whether the transaction has neither written nor locked.
func (t *Txn) IsReadOnlySoFar() bool { return false }

// ID returns the transaction's id; PrepareForRetry may change it.
func (t *Txn) ID() kvapi.TxnID { return kvapi.TxnID{} }

// Stats returns what the transaction cost so far.
func (t *Txn) Stats() Stats { return Stats{} }

// SetSplitTrigger makes the commit split a range. The commit is then never
// parallel.
func (t *Txn) SetSplitTrigger(s *kvapi.SplitTrigger) {}

// SetChangeReplicas makes the commit change a range's replicas.
func (t *Txn) SetChangeReplicas(c *kvapi.ChangeReplicasTrigger) {}
