package batcheval

import (
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalPut(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	return ev.blindWrite(r, func(at hlc.Timestamp, o mvcc.WriteOptions) (hlc.Timestamp, error) {
		o.Strength = writeStrength(r)
		return mvcc.Put(ev.rw, r.Key, at, r.Value, o)
	})
}

// blindWrite writes without having read. In a transaction a newer version
// only moves the write above it: the commit refreshes what was read, and the
// intent is in place. Not so in one phase, where the timestamp is the
// commit's, nor in a second attempt, which must not move.
func (ev *evaluator) blindWrite(r *kvapi.Request, write func(hlc.Timestamp, mvcc.WriteOptions) (hlc.Timestamp, error)) error {
	o, err := ev.pointOptions(r)
	if err != nil {
		return err
	}
	at, err := write(ev.at.write, o)
	var e *kvapi.Error
	if errors.As(err, &e) && e.Kind == kvapi.ErrWriteTooOld && o.Txn != nil && !ev.ba.AmbiguousReplay {
		at, err = write(e.Timestamp, o)
	}
	if err == nil {
		ev.wrote(r.Key, r.Seq, at)
	}
	return err
}
