package node

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// kvTransport carries batches to the stores of nodes (rangecache.Transport).
// Batches for the own node skip the network: same values, same cancellation,
// same errors.
type kvTransport struct {
	self  kvapi.NodeID
	local kvapi.Sender
	net   rpc.Transport
}

// Send implements rangecache.Transport.
func (t *kvTransport) Send(ctx context.Context, to kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if to == t.self {
		return t.local.Send(ctx, ba)
	}
	b, err := t.net.Call(ctx, to, rpc.KV, methodBatch, ba)
	if err != nil {
		return nil, batchError(err)
	}
	br := &kvapi.BatchResponse{}
	if err := br.UnmarshalWire(b); err != nil {
		e := kvapi.NewError(kvapi.ErrInternal, "response of %s: %s", to, err)
		e.MaybeApplied = true
		return nil, e
	}
	if br.Err != nil {
		return nil, br.Err
	}
	return br, nil
}

// SendTo implements store.PeerSender.
func (t *kvTransport) SendTo(ctx context.Context, to kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	return t.Send(ctx, to, ba)
}

// batchError says in the words of the KV layer why a call brought no answer.
func batchError(err error) *kvapi.Error {
	var e *rpc.Error
	if !errors.As(err, &e) {
		e = &rpc.Error{Kind: rpc.Remote, MaybeSent: true, Message: err.Error()}
	}
	kind := kvapi.ErrNodeUnreachable
	switch e.Kind {
	case rpc.Overloaded:
		kind = kvapi.ErrOverloaded
	case rpc.Canceled:
		kind = kvapi.ErrCanceled
	case rpc.Remote:
		kind = kvapi.ErrInternal
	}
	out := kvapi.NewError(kind, "%s", e.Error())
	out.MaybeApplied = e.MaybeSent
	return out
}

// handleBatch serves batches of other nodes. An error of the batch travels in
// the response, so that it keeps its parts.
func handleBatch(store kvapi.Sender) rpc.CallHandler {
	return func(ctx context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
		ba := &kvapi.BatchRequest{}
		if err := ba.UnmarshalWire(payload); err != nil {
			return nil, err
		}
		br, err := store.Send(ctx, ba)
		if err != nil {
			return &kvapi.BatchResponse{Err: err}, nil
		}
		return br, nil
	}
}
