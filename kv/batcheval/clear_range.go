package batcheval

import (
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalClearRange(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	if keys.IsLocal(r.Key) {
		return kvapi.NewError(kvapi.ErrInternal, "%s of local keys", r.Kind)
	}
	if err := ev.removes(r.Span()); err != nil {
		return err
	}
	return mvcc.ClearRange(ev.rw, r.Span(), ev.stats())
}
