package kvapi

import "context"

// Sender sends a batch to where its keys are and returns the answer. It is
// the spine of the system: a replica, a node's store, the distributed sender
// and the transaction coordinator all implement it, each adding one concern.
//
// The batch is read-only after the call and may be referenced by others until
// long after it returned (Raft holds proposals); callers build a new one.
type Sender interface {
	Send(ctx context.Context, ba *BatchRequest) (*BatchResponse, *Error)
}

// SenderFunc adapts a function to Sender.
type SenderFunc func(ctx context.Context, ba *BatchRequest) (*BatchResponse, *Error)

// Send implements Sender.
func (f SenderFunc) Send(ctx context.Context, ba *BatchRequest) (*BatchResponse, *Error) {
	return f(ctx, ba)
}
