package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/spanset"
)

// evalQueryIntent looks for an in-flight write. One that is not there, at or
// below the transaction's timestamp, is kept from appearing (I5).
func evalQueryIntent(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	q := r.Query
	if q == nil {
		return kvapi.NewError(kvapi.ErrInternal, "query without arguments")
	}
	in, ok, err := mvcc.GetIntent(ev.rw, r.Key)
	if err != nil {
		return err
	}
	resp.Found = ok && in.Txn.ID == q.Txn.ID && in.Txn.Epoch == q.Txn.Epoch && in.Txn.Seq >= q.Seq &&
		in.Txn.WriteTimestamp.LessEq(q.Txn.WriteTimestamp)
	if !resp.Found {
		ev.res.Local.MissingIntents = append(ev.res.Local.MissingIntents,
			spanset.ReadSpan{Span: kvapi.Span{Key: r.Key}, Timestamp: q.Txn.WriteTimestamp})
	}
	return nil
}
