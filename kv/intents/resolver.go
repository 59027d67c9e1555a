package intents

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Config is what a Resolver needs.
type Config struct {
	Sender kvapi.Sender
	Clock  *hlc.Clock
	NodeID kvapi.NodeID
}

// Resolver pushes, recovers and resolves over a Sender.
type Resolver struct{ cfg Config }

// New returns a resolver; Close ends its background work.
func New(cfg Config) *Resolver { return &Resolver{cfg: cfg} }

var errTodo = kvapi.NewError(kvapi.ErrInternal, "intents: not built yet")

// PushTxn pushes pushee and returns its record. A staging pushee whose
// coordinator is gone is recovered first.
func (r *Resolver) PushTxn(ctx context.Context, pusher, pushee kvapi.TxnMeta, typ kvapi.PushType,
	to hlc.Timestamp) (*kvapi.Transaction, *kvapi.Error) {
	return nil, errTodo
}

// QueryTxn returns a transaction's record and who waits for it.
func (r *Resolver) QueryTxn(ctx context.Context, txn kvapi.TxnMeta) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error) {
	return nil, nil, errTodo
}

// Recover settles a staging transaction: it queries every in-flight write,
// preventing what is missing, and then commits or aborts the record.
func (r *Resolver) Recover(ctx context.Context, staging *kvapi.Transaction) (*kvapi.Transaction, *kvapi.Error) {
	return nil, errTodo
}

// ResolveIntents resolves in batches and returns when all are resolved.
func (r *Resolver) ResolveIntents(ctx context.Context, updates []kvapi.LockUpdate) *kvapi.Error {
	return errTodo
}

// ResolveAsync resolves in the background. If the queue is full it drops the
// work, counts it and returns false: whoever meets those locks resolves them.
func (r *Resolver) ResolveAsync(updates []kvapi.LockUpdate) bool { return false }

// ResolveTxnAsync is ResolveAsync for the lock spans of a finished transaction.
func (r *Resolver) ResolveTxnAsync(txn *kvapi.Transaction, spans []kvapi.Span) bool { return false }

// Close stops the background work and waits for it.
func (r *Resolver) Close() {}
