package intents

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Recover settles a staging transaction whose record was seen as staging: it
// queries every in-flight write, which prevents those that are missing, and
// then commits or aborts the record. It returns the record afterwards, which
// is not final if the coordinator has moved it on in the meantime (a higher
// epoch or timestamp): then nothing was decided.
func (r *Resolver) Recover(ctx context.Context, staging *kvapi.Transaction) (*kvapi.Transaction, *kvapi.Error) {
	if staging.Status != kvapi.Staging {
		return staging, nil
	}
	committed, err := r.queryWrites(ctx, staging)
	if err != nil {
		return nil, err
	}
	resp, err := r.sendOne(ctx, kvapi.Request{
		Kind:    kvapi.RecoverTxn,
		Key:     staging.AnchorKey,
		Recover: &kvapi.RecoverArgs{Txn: *staging, ImplicitlyCommitted: committed},
	})
	if err != nil {
		return nil, err
	}
	if resp.Pushee == nil {
		return nil, kvapi.NewError(kvapi.ErrInternal, "recovery of transaction %s: no record in the answer", staging.ID)
	}
	return resp.Pushee, nil
}

// errMissing ends the queries early: one missing write decides.
var errMissing = errors.New("an in-flight write is missing")

// queryWrites reports whether all in-flight writes are in place (I1).
func (r *Resolver) queryWrites(ctx context.Context, staging *kvapi.Transaction) (bool, *kvapi.Error) {
	var missing atomic.Bool
	err := inBatches(ctx, staging.InFlightWrites, func(ctx context.Context, part []kvapi.SequencedWrite) error {
		ba := r.newBatch()
		for _, w := range part {
			ba.Add(kvapi.Request{
				Kind: kvapi.QueryIntent, Key: w.Key,
				Query: &kvapi.QueryArgs{Txn: staging.TxnMeta, Seq: w.Seq},
			})
		}
		br, err := r.cfg.Sender.Send(ctx, ba)
		if err != nil {
			return err
		}
		if len(br.Responses) != len(part) {
			return kvapi.NewError(kvapi.ErrInternal, "QueryIntent: %d responses to %d requests", len(br.Responses), len(part))
		}
		for i := range br.Responses {
			if !br.Responses[i].Found {
				missing.Store(true)
				return errMissing
			}
		}
		return nil
	})
	if missing.Load() {
		// Other batches may have failed or been cancelled: it does not matter.
		return false, nil
	}
	return err == nil, err
}

// inBatches calls f with parts of list, several at a time, until one fails.
func inBatches[T any](ctx context.Context, list []T, f func(context.Context, []T) error) *kvapi.Error {
	if len(list) <= batchMax {
		if len(list) == 0 {
			return nil
		}
		return asError(f(ctx, list))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelMax)
	for len(list) > 0 && ctx.Err() == nil {
		part := list[:min(batchMax, len(list))]
		list = list[len(part):]
		g.Go(func() error { return f(ctx, part) })
	}
	if err := g.Wait(); err != nil {
		return asError(err)
	}
	if len(list) > 0 {
		return kvapi.NewError(kvapi.ErrCanceled, "%v", context.Cause(ctx))
	}
	return nil
}

func asError(err error) *kvapi.Error {
	var e *kvapi.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return kvapi.NewError(kvapi.ErrCanceled, "%v", err)
	}
	return kvapi.NewError(kvapi.ErrInternal, "%v", err)
}
