package workload

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// begin starts the record of an operation.
func begin(m *history.Counter, c history.Client, g Gateway) history.Op {
	return history.Op{Client: c, Call: m.Now(), Return: history.Never, Where: g.Where()}
}

// end finishes it with what the product claimed (I1).
func end(m *history.Counter, op *history.Op, g Gateway, err error) {
	switch {
	case g.Crashed():
		op.Outcome, op.Err = history.Info, "the gateway crashed"
		return
	case err == nil:
		op.Outcome = history.OK
	case txn.IsAmbiguous(err):
		op.Outcome, op.Err = history.Info, err.Error()
		return
	default:
		op.Outcome, op.Err = history.Fail, err.Error()
	}
	op.Return = m.Now()
}

// run runs fn as one transaction under the client's patience.
func run(ctx context.Context, g Gateway, o txn.Options, fn func(context.Context, *txn.Txn) error) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	return g.DB().Run(ctx, o, fn)
}

// IsInternal reports whether err is one that no client should ever see.
func IsInternal(err error) bool {
	var e *kvapi.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case kvapi.ErrInternal, kvapi.ErrTxnFinished, kvapi.ErrIndeterminateCommit, kvapi.ErrRangeMismatch,
		kvapi.ErrNotLeaseholder, kvapi.ErrRangeNotFound:
		return !txn.IsAmbiguous(err)
	}
	return false
}
