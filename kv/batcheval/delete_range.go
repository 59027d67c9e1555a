package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalDeleteRange(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if ev.limitReached() {
		resp.Resume = &kvapi.Span{Key: r.Key, EndKey: r.EndKey}
		return nil
	}
	n, resume, at, err := mvcc.DeleteRange(ev.rw, r.Span(), ev.at.write, max(0, ev.keysLeft), ev.writeOptions(r))
	if err != nil {
		return err
	}
	resp.Keys, resp.Resume = n, resume
	ev.spend(n, 0)
	if n > 0 {
		ev.at.write.Forward(at)
		ev.res.Replicated.wroteAt(at)
		if ev.txn != nil && ev.txn.WriteTimestamp.Less(at) {
			ev.own().WriteTimestamp = at
		}
	}
	return nil
}
