package mvcc

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Uncertainty bounds the versions above a read's timestamp that may have been
// written before the read began: those at or below Global which were written
// when the leaseholder's clock was at or below Local. Zero: none.
type Uncertainty struct {
	Global hlc.Timestamp
	Local  hlc.Timestamp
	// IgnoreLocal is broken on purpose (kv/store, TestingKnobs): it takes a
	// version's own timestamp for the clock when it was written.
	IgnoreLocal bool
}

// ReadOptions says how to read.
type ReadOptions struct {
	// Txn is the reader, nil for none. It sees its own intents of its epoch
	// with a sequence number at or below Txn.Seq.
	Txn         *kvapi.Transaction
	Uncertainty Uncertainty
	// Inconsistent reads pass over locks and see only committed versions.
	Inconsistent bool
	// FailOnMoreRecent makes versions above the read timestamp an
	// ErrWriteTooOld and every foreign lock a conflict: the read is about to
	// lock or to write what it reads.
	FailOnMoreRecent bool
	// Lock, if any, makes durable locks that conflict with it conflicts of the
	// read. NoLocks says that the range has none.
	Lock    kvapi.LockStrength
	NoLocks bool
	// NoIntents says that the range has no intent: none is looked for.
	NoIntents bool
	// SkipLocked leaves out keys that others hold intents on, and those that
	// Skip, if set, says are locked otherwise.
	SkipLocked bool
	Skip       func(kvapi.Key) bool
	// SkipSince, if set, has Get leave out a key with a version above it, which
	// others have locked and changed since it was found. With FailOnMoreRecent.
	SkipSince hlc.Timestamp
	// Finished, if set, lets intents of committed transactions be read as what
	// they will be once resolved.
	Finished FinishedTxns
	// Forgotten, if set, takes resolutions of such intents that are older than
	// ForgottenBefore: nobody seems to be about to resolve them.
	Forgotten       *[]kvapi.LockUpdate
	ForgottenBefore hlc.Timestamp
}

// ScanOptions bounds a scan.
type ScanOptions struct {
	ReadOptions
	Reverse bool
	// MaxKeys and TargetBytes stop the scan, 0 for no bound. A row is never
	// cut: the last one may exceed TargetBytes.
	MaxKeys     int64
	TargetBytes int64
	// KeysOnly leaves values out.
	KeysOnly bool
}

// ScanResult is what a scan read. Rows share one buffer.
type ScanResult struct {
	Rows []kvapi.KeyValue
	// Bytes counts the keys and values of Rows.
	Bytes int64
	// Resume is what the bounds left unread, nil if nothing.
	Resume *kvapi.Span
}

// WriteOptions says how to write.
type WriteOptions struct {
	// Txn makes the write an intent; nil writes a committed version.
	Txn *kvapi.Transaction
	// Seq is the write's sequence number within Txn.
	Seq kvapi.TxnSeq
	// ReadAt, if set, is where the writer read the key before: a newer version
	// is ErrRefreshFailed, not a reason to write above it.
	ReadAt hlc.Timestamp
	// Now is the leaseholder's clock, kept as local timestamp where it is
	// below the version's.
	Now hlc.ClockTimestamp
	// Stats takes what the write changes.
	Stats *kvapi.RangeStatistics
	// Finished, if set, lets a write take the place of a committed
	// transaction's intent, which it resolves on the way. Resolved then takes
	// what it resolved.
	Finished FinishedTxns
	Resolved *[]kvapi.LockUpdate
	// Strength is what the write asks of durable locks: LockIntent, which the
	// zero value means, or LockNoKeyUpdate. NoLocks says that the range has none.
	Strength kvapi.LockStrength
	NoLocks  bool
	// Replaced takes the sequence number of an intent of this epoch that the
	// write replaces, if that is none that was rolled back; of a write that was
	// done before, which is not known any more, a lower one.
	Replaced *kvapi.TxnSeq
	// Sign, unless zero, is kept with the version.
	Sign Signature
	// NoIntents says that the range has no intent: none is looked for.
	NoIntents bool
}

// Condition is what ConditionalPut asks of the key.
type Condition struct {
	// Expected, unless empty, is the value that must be there.
	Expected []byte
	// MustExist without Expected accepts any value; neither: absent.
	MustExist bool
}

// Intent is a provisional write as found in the lock table.
type Intent struct {
	Key kvapi.Key
	// Txn's WriteTimestamp is where the provisional version stands, and Seq
	// the sequence number that wrote it.
	Txn kvapi.TxnMeta
}
