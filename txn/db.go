package txn

import (
	"context"
	"log/slog"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Config is what a DB is made of.
type Config struct {
	// Sender routes batches to ranges (rangecache.Sender).
	Sender kvapi.Sender
	Clock  *hlc.Clock
	// NodeID is the gateway's.
	NodeID kvapi.NodeID
	// Logger gets rare warnings; nil discards them.
	Logger *slog.Logger
}

// DB is the client's side of the key-value store: it runs transactions. All
// methods are safe for concurrent use.
type DB struct{ cfg Config }

// NewDB returns a DB; Close stops its goroutines.
func NewDB(cfg Config) *DB { return &DB{cfg: cfg} }

// Close stops the heartbeats and waits, while ctx lasts, for background
// commits and clean-up.
func (db *DB) Close(ctx context.Context) error { return nil }

// Begin starts a transaction. It does no I/O.
func (db *DB) Begin(o Options) *Txn { return &Txn{db: db} }

// Run runs fn in a transaction and commits it, and does so again while the
// error is retryable and ctx lasts. fn must have no other effects and must
// return the errors it gets.
func (db *DB) Run(ctx context.Context, o Options, fn func(context.Context, *Txn) error) error {
	return errNotBuilt
}

// Split makes key the start of a range, if it is not already.
func (db *DB) Split(ctx context.Context, key kvapi.Key) error { return errNotBuilt }

// Send sends a batch outside any transaction.
func (db *DB) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, error) {
	return nil, errNotBuilt
}

// Clock returns the clock of the DB's node.
func (db *DB) Clock() *hlc.Clock { return db.cfg.Clock }

// TriggerTxn is what the store needs of a transaction that changes ranges.
type TriggerTxn interface {
	Get(ctx context.Context, key kvapi.Key) ([]byte, bool, error)
	Put(ctx context.Context, key kvapi.Key, value []byte) error
	Delete(ctx context.Context, key kvapi.Key) error
	ConditionalPut(ctx context.Context, key kvapi.Key, value, expected []byte) error
	SetSplitTrigger(*kvapi.SplitTrigger)
	SetChangeReplicas(*kvapi.ChangeReplicasTrigger)
}

// RunTxn is Run in the words of the store: it lets internal/node hand a DB to
// the layer below as its runner of range-changing transactions.
func (db *DB) RunTxn(ctx context.Context, name string, fn func(context.Context, TriggerTxn) error) error {
	return errNotBuilt
}
