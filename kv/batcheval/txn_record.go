package batcheval

import (
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/storage"
)

// loadRecord returns a transaction's record, nil if it has none.
func (ev *evaluator) loadRecord(m *kvapi.TxnMeta) (*kvapi.Transaction, error) {
	b, ok, err := storage.GetUnversioned(ev.rw, keys.TxnRecord(m.AnchorKey, m.ID))
	if err != nil || !ok {
		return nil, err
	}
	t := new(kvapi.Transaction)
	return t, t.UnmarshalWire(b)
}

func (ev *evaluator) putRecord(t *kvapi.Transaction) error {
	return mvcc.PutInline(ev.rw, keys.TxnRecord(t.AnchorKey, t.ID), t.AppendWire(nil), ev.stats())
}

func (ev *evaluator) deleteRecord(t *kvapi.Transaction) error {
	return mvcc.DeleteInline(ev.rw, keys.TxnRecord(t.AnchorKey, t.ID), ev.stats())
}

// mayCreate asks whether a transaction without a record can still get one. A
// no means that it was finished, here or by a pusher, or is so old that this
// cannot be told any more. The minimum it returns was demanded by pushes.
func (ev *evaluator) mayCreate(m *kvapi.TxnMeta) (ok bool, min timestamps) {
	ok, ts := ev.ec.Records.CanCreateTxnRecord(m.ID, m.AnchorKey, m.MinTimestamp)
	return ok, timestamps{write: ts}
}

func txnError(kind kvapi.ErrorKind, t *kvapi.Transaction, format string, args ...any) error {
	e := kvapi.NewError(kind, format, args...)
	e.Txn = t
	return e
}

// abortedError says that somebody aborted the transaction.
func abortedError(t *kvapi.Transaction) error {
	a := t.Clone()
	a.Status = kvapi.Aborted
	return txnError(kvapi.ErrTxnAborted, a, "%s", t.ID.Short())
}

// updated tells waiters about a transaction.
func (ev *evaluator) updated(t *kvapi.Transaction) {
	ev.res.Local.UpdatedTxns = append(ev.res.Local.UpdatedTxns, t)
}

// markFinished keeps a record from being created again (I7).
func (ev *evaluator) markFinished(m *kvapi.TxnMeta) {
	ev.res.Local.TxnMarks = append(ev.res.Local.TxnMarks,
		TxnMark{ID: m.ID, Anchor: m.AnchorKey, Finished: true, Timestamp: m.WriteTimestamp.Max(m.MinTimestamp)})
}
