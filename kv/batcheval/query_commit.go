package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// evalQueryCommit looks for the committed version that a transaction signed. It
// is for a coordinator that found no record of its own transaction, and has
// kept one from appearing (evalPushTxn): the transaction has then ended, with
// all its locks resolved if it was committed, and what it signed says how. An
// intent says nothing, or that it was not committed.
//
// The batch's timestamp must not lie above the transaction's first one, so that
// versions that may have been collected are an error and not an answer.
func evalQueryCommit(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if r.Push == nil || ev.at.read.IsEmpty() || r.Push.Pushee.MinTimestamp.Less(ev.at.read) {
		return kvapi.NewError(kvapi.ErrInternal, "query of a commit without arguments, or at no timestamp below it")
	}
	m := r.Push.Pushee
	at, ok, err := mvcc.FindSigned(ev.rw, r.Key, m.ID, m.MinTimestamp)
	if err != nil || !ok {
		return err
	}
	resp.Pushee = &kvapi.Transaction{TxnMeta: m, Status: kvapi.Committed}
	resp.Pushee.WriteTimestamp = at
	return nil
}
