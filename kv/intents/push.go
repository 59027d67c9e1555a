package intents

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// PushTxn pushes pushee and returns its record afterwards: finished, or with a
// write timestamp above to (PushTimestamp), or as it is (PushTouch). It waits
// at the record while the pushee is alive, for a bounded time, and then fails
// with ErrPushFailed. A staging pushee whose coordinator is gone is recovered.
//
// The pusher's own end comes as ErrTxnAborted or ErrDeadlock. A pusher with
// zero id is a request outside any transaction. name is what people are told of
// it should there be a deadlock.
func (r *Resolver) PushTxn(ctx context.Context, pusher kvapi.TxnMeta, name string, pushee kvapi.TxnMeta,
	typ kvapi.PushType, to hlc.Timestamp) (*kvapi.Transaction, *kvapi.Error) {
	args := &kvapi.PushArgs{Pushee: pushee, Pusher: pusher, Name: name, Type: typ, To: to}
	var last *kvapi.Error
	for range pushesMax {
		resp, err := r.sendOne(ctx, kvapi.Request{Kind: kvapi.PushTxn, Key: pushee.AnchorKey, Push: args})
		switch {
		case err == nil && resp.Pushee == nil:
			return nil, kvapi.NewError(kvapi.ErrInternal, "push of transaction %s: no record in the answer", pushee.ID)
		case err == nil:
			return resp.Pushee, nil
		case err.Kind != kvapi.ErrIndeterminateCommit || err.Pushee == nil:
			return nil, err
		}
		last = err
		r.recoveries.Add(1)
		txn, err := r.Recover(ctx, err.Pushee)
		if err != nil {
			return nil, err
		}
		if txn.Status.IsFinal() {
			return txn, nil
		}
		// The coordinator is alive after all: it moved the record on.
	}
	return nil, last
}

// QueryTxn returns a transaction's record and the edges of the wait-for graph
// that lead to it.
func (r *Resolver) QueryTxn(ctx context.Context, txn kvapi.TxnMeta, known kvapi.WaitsSum) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error) {
	resp, err := r.sendOne(ctx, kvapi.Request{
		Kind: kvapi.QueryTxn, Key: txn.AnchorKey, Push: &kvapi.PushArgs{Pushee: txn, Known: known},
	})
	if err != nil {
		return nil, nil, err
	}
	return resp.Pushee, resp.Waits, nil
}

// newBatch returns an empty batch outside any transaction.
func (r *Resolver) newBatch() *kvapi.BatchRequest {
	ba := &kvapi.BatchRequest{}
	ba.Gateway = r.cfg.NodeID
	ba.Now = r.cfg.Clock.Now()
	return ba
}

func (r *Resolver) sendOne(ctx context.Context, req kvapi.Request) (*kvapi.Response, *kvapi.Error) {
	br, err := r.cfg.Sender.Send(ctx, r.newBatch().Add(req))
	if err != nil {
		return nil, err
	}
	if len(br.Responses) != 1 {
		return nil, kvapi.NewError(kvapi.ErrInternal, "%s: %d responses", req.Kind, len(br.Responses))
	}
	return &br.Responses[0], nil
}
