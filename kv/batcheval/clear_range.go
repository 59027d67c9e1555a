package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalClearRange(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	return mvcc.ClearRange(ev.rw, r.Span(), ev.stats())
}
