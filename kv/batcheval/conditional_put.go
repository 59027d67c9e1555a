package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalConditionalPut(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	c := mvcc.Condition{Expected: r.Expected, MustExist: r.MustExist}
	o, err := ev.pointOptions(r)
	if err != nil {
		return err
	}
	at, err := mvcc.ConditionalPut(ev.rw, r.Key, ev.at.write, r.Value, c, o)
	if err == nil {
		ev.wrote(r.Key, r.Seq, at)
	}
	return err
}
