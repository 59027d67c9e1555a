package mvcc

import (
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// verdict is what an intent means to a reader of its key.
type verdict uint8

const (
	// unaffected: the intent and its version are above everything read, or
	// the version is committed.
	unaffected verdict = iota
	// conflict: the reader must wait for or push the holder.
	conflict
	// readOwn: the provisional value is the answer.
	readOwn
	// passOver: committed versions answer, the provisional one is no version.
	passOver
	// leaveOut: the key is skipped (SKIP LOCKED).
	leaveOut
)

// judge decides between reader and intent.
//
// A foreign intent above the read timestamp still conflicts if it lies in the
// uncertainty interval: its transaction may have committed before the reader
// began. Unless it was written when the leaseholder's clock was past the
// reader's local limit; then it is younger than the reader.
func (o *ReadOptions) judge(key kvapi.Key, l *lockRecord, ts hlc.Timestamp) (verdict, error) {
	if !l.isIntent() {
		return o.judgeDurable(l), nil
	}
	if o.Txn != nil && o.Txn.ID == l.txn.ID {
		return o.judgeOwn(l)
	}
	switch v := o.judgeForeign(l, ts); v {
	case conflict, leaveOut:
		if t := committedIntent(o.Finished, l); t != nil {
			o.noteForgotten(key, t)
			return unaffected, nil
		}
		return v, nil
	default:
		return v, nil
	}
}

func (o *ReadOptions) noteForgotten(key kvapi.Key, t *kvapi.Transaction) {
	if o.Forgotten != nil && t.Status == kvapi.Committed && t.WriteTimestamp.Less(o.ForgottenBefore) && len(*o.Forgotten) < forgottenMax {
		*o.Forgotten = append(*o.Forgotten, kvapi.LockUpdate{Span: kvapi.Span{Key: key.Clone()}, Txn: t.TxnMeta,
			Status: t.Status, IgnoredSeqNums: t.IgnoredSeqNums})
	}
}

func (o *ReadOptions) judgeForeign(l *lockRecord, ts hlc.Timestamp) verdict {
	switch {
	case o.Inconsistent:
		return passOver
	case o.SkipLocked && (o.FailOnMoreRecent || l.at().LessEq(ts)):
		return leaveOut
	case o.FailOnMoreRecent, l.at().LessEq(ts):
		return conflict
	case l.at().LessEq(o.Uncertainty.Global) && l.local.LessEq(o.Uncertainty.Local):
		return conflict
	}
	return unaffected
}

func (o *ReadOptions) judgeDurable(l *lockRecord) verdict {
	var id kvapi.TxnID
	if o.Txn != nil {
		id = o.Txn.ID
	}
	switch {
	case !l.blocks(o.Lock, id, o.Finished):
		return unaffected
	case o.SkipLocked:
		return leaveOut
	}
	return conflict
}

func (o *ReadOptions) judgeOwn(l *lockRecord) (verdict, error) {
	switch {
	case l.txn.Epoch > o.Txn.Epoch:
		return 0, kvapi.NewError(kvapi.ErrTxnRetry,
			"read in epoch %d after a write in epoch %d", o.Txn.Epoch, l.txn.Epoch)
	case l.txn.Epoch < o.Txn.Epoch, isIgnored(o.Txn.IgnoredSeqNums, l.txn.Seq):
		return passOver, nil
	case l.txn.Seq <= o.Txn.Seq:
		return readOwn, nil
	case l.rewritten:
		return 0, kvapi.NewError(kvapi.ErrInternal,
			"read at sequence number %d of a value that %d replaced", o.Txn.Seq, l.txn.Seq)
	}
	return passOver, nil
}

// isIgnored reports whether a savepoint rollback took back seq.
func isIgnored(ranges []kvapi.SeqRange, seq kvapi.TxnSeq) bool {
	for _, r := range ranges {
		if r.Start <= seq && seq <= r.End {
			return true
		}
	}
	return false
}

func isLockConflict(err error) bool {
	var e *kvapi.Error
	return errors.As(err, &e) && e.Kind == kvapi.ErrLockConflict
}

func conflictError(locks ...kvapi.Lock) error {
	e := kvapi.NewError(kvapi.ErrLockConflict, "held by txn %s", locks[0].Txn.ID.Short())
	e.Locks, e.Key = locks, locks[0].Key
	other := locks[0].Txn
	e.Other = &other
	return e
}

func writeTooOld(key kvapi.Key, newest hlc.Timestamp) error {
	e := kvapi.NewError(kvapi.ErrWriteTooOld, "key %s has a version at %s", key, newest)
	e.Key, e.Timestamp, e.Version = key.Clone(), newest.Next(), newest
	return e
}

func uncertain(key kvapi.Key, at hlc.Timestamp) error {
	e := kvapi.NewError(kvapi.ErrUncertain, "key %s has a version at %s", key, at)
	e.Key, e.Timestamp, e.Version = key.Clone(), at, at
	return e
}
