package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// evalRefresh serves Refresh and RefreshRange.
func evalRefresh(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	if ev.txn == nil {
		return kvapi.NewError(kvapi.ErrInternal, "refresh without a transaction")
	}
	return mvcc.CheckUnchanged(ev.rw, r.Span(), r.RefreshFrom, ev.txn.ReadTimestamp, ev.txn, ev.ec.Finished)
}
