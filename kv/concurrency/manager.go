package concurrency

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Config is what a Manager needs from its store.
type Config struct {
	Clock *hlc.Clock
	// Pusher reaches other ranges; the store passes its *intents.Resolver.
	Pusher Pusher
	// Txns is the store's cache of finished transactions, shared by the
	// managers of all its ranges.
	Txns *txncache.Cache
}

// Pusher moves lock holders out of the way and cleans up after them. Calls go
// through the distributed sender and come back to whichever range is meant,
// this one included.
type Pusher interface {
	// PushTxn returns the pushee's record after the push. pusher may be the
	// zero value but for its priority: a request outside any transaction.
	PushTxn(ctx context.Context, pusher, pushee kvapi.TxnMeta, typ kvapi.PushType,
		to hlc.Timestamp) (*kvapi.Transaction, *kvapi.Error)
	// QueryTxn returns a transaction's record and who waits for it.
	QueryTxn(ctx context.Context, txn kvapi.TxnMeta) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error)
	// ResolveIntents resolves replicated locks and returns when all are.
	ResolveIntents(ctx context.Context, updates []kvapi.LockUpdate) *kvapi.Error
}

// Request is what a batch declares before it may run.
type Request struct {
	// Txn is nil outside a transaction.
	Txn *kvapi.Transaction
	// Spans is what evaluation declared. The manager keeps it until Finish.
	Spans spanset.Spans
}
