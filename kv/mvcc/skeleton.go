package mvcc

import (
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

var errTodo = errors.New("mvcc: not there yet")

// Get reads a key at ts. The value is a copy.
func Get(r storage.Reader, key kvapi.Key, ts hlc.Timestamp, o ReadOptions) (value []byte, ok bool, err error) {
	return nil, false, errTodo
}

// Scan reads a span at ts.
func Scan(r storage.Reader, sp kvapi.Span, ts hlc.Timestamp, o ScanOptions) (ScanResult, error) {
	return ScanResult{}, errTodo
}

// Put writes a value at ts, or above if the transaction's intent on the key
// was pushed; it returns where.
func Put(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, value []byte, o WriteOptions) (hlc.Timestamp, error) {
	return ts, errTodo
}

// Delete writes a tombstone, also where there is nothing to delete.
func Delete(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, o WriteOptions) (hlc.Timestamp, error) {
	return ts, errTodo
}

// ConditionalPut writes a value if the key is as the condition says at the
// read timestamp (ts without a transaction); otherwise ErrConditionFailed.
func ConditionalPut(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, value []byte, c Condition, o WriteOptions) (hlc.Timestamp, error) {
	return ts, errTodo
}

// DeleteRange deletes the keys that are there, at most maxKeys (0: all).
func DeleteRange(rw storage.ReadWriter, sp kvapi.Span, ts hlc.Timestamp, maxKeys int64, o WriteOptions) (keys int64, resume *kvapi.Span, at hlc.Timestamp, err error) {
	return 0, nil, ts, errTodo
}

// ResolveIntent does to the transaction's intent on a key what u says; it
// reports whether there was one. ok to repeat.
func ResolveIntent(rw storage.ReadWriter, key kvapi.Key, u *kvapi.LockUpdate, stats *kvapi.RangeStatistics) (bool, error) {
	return false, errTodo
}

// ResolveIntentRange does so for all keys of u.Span, at most maxKeys (0: all).
func ResolveIntentRange(rw storage.ReadWriter, u *kvapi.LockUpdate, maxKeys int64, stats *kvapi.RangeStatistics) (keys int64, resume *kvapi.Span, err error) {
	return 0, nil, errTodo
}

// GetIntent returns the intent on a key, if there is one.
func GetIntent(r storage.Reader, key kvapi.Key) (Intent, bool, error) {
	return Intent{}, false, errTodo
}

// ScanIntents lists at most max intents of a span (0: all).
func ScanIntents(r storage.Reader, sp kvapi.Span, max int) ([]Intent, error) {
	return nil, errTodo
}

// CheckUnchanged returns ErrRefreshFailed if anybody but txn wrote sp in
// (from, to].
func CheckUnchanged(r storage.Reader, sp kvapi.Span, from, to hlc.Timestamp, txn *kvapi.Transaction) error {
	return errTodo
}

// PutInline and DeleteInline write unversioned range-local keys and count them.
func PutInline(rw storage.ReadWriter, key kvapi.Key, value []byte, stats *kvapi.RangeStatistics) error {
	return errTodo
}

// DeleteInline removes an unversioned key.
func DeleteInline(rw storage.ReadWriter, key kvapi.Key, stats *kvapi.RangeStatistics) error {
	return errTodo
}

// Recompute counts the statistics of the range [start, end) anew: its user
// keys, their locks and its range-local keys.
func Recompute(r storage.Reader, start, end kvapi.Key) (kvapi.RangeStatistics, error) {
	return kvapi.RangeStatistics{}, errTodo
}
