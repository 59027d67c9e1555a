package batcheval

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalDelete(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	return ev.blindWrite(r, func(at hlc.Timestamp, o mvcc.WriteOptions) (hlc.Timestamp, error) {
		return mvcc.Delete(ev.rw, r.Key, at, o)
	})
}
