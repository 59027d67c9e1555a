package txn

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Recoverer settles a staging transaction the way any other reader would:
// look for every promised write, prevent what is missing, then finish the
// record (kv/intents does).
type Recoverer interface {
	Recover(ctx context.Context, staging *kvapi.Transaction) (*kvapi.Transaction, *kvapi.Error)
}

// Config is what a DB is made of.
type Config struct {
	// Sender routes batches to ranges (rangecache.Sender).
	Sender kvapi.Sender
	Clock  *hlc.Clock
	// NodeID is the gateway's.
	NodeID kvapi.NodeID
	// Recoverer turns some unknown commits into known ones; nil for none.
	Recoverer Recoverer
	// Knobs break the coordinator for tests.
	Knobs TestingKnobs
	// Logger gets rare warnings; nil discards them.
	Logger *slog.Logger
	// Go runs a function on another goroutine; nil for a new one each time.
	Go func(func())
}

// Metrics counts what the transactions of a DB did and cost.
type Metrics struct {
	Begun, Committed, RolledBack, Ambiguous atomic.Int64
	// ReadOnly, OnePhase, Parallel and Explicit say how they committed.
	ReadOnly, OnePhase, Parallel, Explicit atomic.Int64
	// Batches counts batches of transactions handed to the sender; Refreshes,
	// Heartbeats and Background are further ones.
	Batches, Refreshes, Heartbeats, Background atomic.Int64
	// RefreshFailures and Restarts count conflicts that cost work.
	RefreshFailures, Restarts atomic.Int64
	// StatementRetries counts statements of ReadCommitted that ran again.
	StatementRetries atomic.Int64
	Flushes          atomic.Int64
	// Aside counts the batches that flushes wrote aside (private.go).
	Aside atomic.Int64
	// StrictWaits counts commits that waited for the clocks (strict.go).
	StrictWaits atomic.Int64
	// Settled counts unknown commits that recovery made known.
	Settled atomic.Int64
}

// DB is the client's side of the key-value store: it runs transactions. All
// methods are safe for concurrent use.
type DB struct {
	cfg     Config
	metrics Metrics
	beats   *heartbeats
	tasks   tasks
}

// NewDB returns a DB; Close stops its goroutines.
func NewDB(cfg Config) *DB {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Go == nil {
		cfg.Go = func(fn func()) { go fn() }
	}
	db := &DB{cfg: cfg, tasks: tasks{slots: make(chan struct{}, backgroundMax), start: cfg.Go}}
	db.beats = startHeartbeats(db)
	return db
}

// Close stops the heartbeats and waits, while ctx lasts, for background
// commits and clean-up.
func (db *DB) Close(ctx context.Context) error {
	db.beats.stop()
	return db.tasks.wait(ctx)
}

// Metrics returns the DB's counters.
func (db *DB) Metrics() *Metrics { return &db.metrics }

// Clock returns the clock of the DB's node.
func (db *DB) Clock() *hlc.Clock { return db.cfg.Clock }

// Sender is what routes the database's batches, for those who send some outside of
// transactions and want to know how they fail.
func (db *DB) Sender() kvapi.Sender { return db.cfg.Sender }

// Begin starts a transaction. It does no I/O.
func (db *DB) Begin(o Options) *Txn {
	db.metrics.Begun.Add(1)
	return newTxn(db, o)
}

func drawPriority(p kvapi.Priority) kvapi.Priority {
	if p != 0 {
		return p
	}
	return kvapi.PriorityMin + 1 + kvapi.Priority(rand.Int32N(int32(kvapi.PriorityMax-1)))
}

// Run runs fn in a transaction and commits it, and does so again while the
// error is retryable and ctx lasts. fn must have no other effects and must
// return the errors it gets.
func (db *DB) Run(ctx context.Context, o Options, fn func(context.Context, *Txn) error) error {
	t := db.Begin(o)
	for attempt := 0; ; attempt++ {
		err := fn(ctx, t)
		if err == nil && !t.finished() {
			err = t.Commit(ctx)
		}
		if err == nil {
			return nil
		}
		if !IsRetryable(err) || ctx.Err() != nil {
			_ = t.Rollback(ctx)
			return err
		}
		sleep(ctx, retryPause(attempt))
		if perr := t.PrepareForRetry(err); perr != nil {
			return fmt.Errorf("%w (after %v)", perr, err)
		}
	}
}

// retryPause is how long to wait after losing attempt+1 times. The first
// losers go on at once: whoever was in the way is mostly done.
func retryPause(attempt int) time.Duration {
	if attempt < 3 {
		return 0
	}
	return rand.N(min(time.Millisecond<<min(attempt-2, 10), retryPauseMax))
}

// Split makes key the start of a range, if it is not already.
func (db *DB) Split(ctx context.Context, key kvapi.Key) error {
	ba := &kvapi.BatchRequest{}
	ba.Add(kvapi.Request{Kind: kvapi.AdminSplit, Key: key})
	_, err := db.Send(ctx, ba)
	return err
}

// Send sends a batch outside any transaction.
func (db *DB) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, error) {
	br, err := db.cfg.Sender.Send(ctx, ba)
	if err != nil {
		return nil, wrapError(ctx, err)
	}
	return br, nil
}

// TriggerTxn is what the store needs of a transaction that changes ranges.
type TriggerTxn interface {
	Get(ctx context.Context, key kvapi.Key) ([]byte, bool, error)
	Put(ctx context.Context, key kvapi.Key, value []byte) error
	Delete(ctx context.Context, key kvapi.Key) error
	ConditionalPut(ctx context.Context, key kvapi.Key, value, expected []byte) error
	SetSplitTrigger(*kvapi.SplitTrigger)
	SetChangeReplicas(*kvapi.ChangeReplicasTrigger)
	SetMerge(*kvapi.MergeTrigger)
	// Flush writes intents for all that was put so far, and returns what they
	// say of the transaction.
	Flush(ctx context.Context) (kvapi.TxnMeta, error)
}

// RunTxn is Run in the words of the store: it lets internal/node hand a DB to
// the layer below as its runner of range-changing transactions.
func (db *DB) RunTxn(ctx context.Context, name string, fn func(context.Context, TriggerTxn) error) error {
	return db.Run(ctx, Options{Name: name}, func(ctx context.Context, t *Txn) error {
		return fn(ctx, triggerTxn{t})
	})
}

type triggerTxn struct{ *Txn }

// Get implements TriggerTxn.
func (t triggerTxn) Get(ctx context.Context, key kvapi.Key) ([]byte, bool, error) {
	return t.Txn.Get(ctx, key, GetOptions{})
}

// Flush implements TriggerTxn.
func (t triggerTxn) Flush(ctx context.Context) (kvapi.TxnMeta, error) {
	if err := t.flush(ctx); err != nil {
		return kvapi.TxnMeta{}, err
	}
	return t.snapshot().TxnMeta, nil
}

// tasks runs what nobody waits for: explicit commits and clean-up.
type tasks struct {
	slots chan struct{}
	start func(func())
	wg    sync.WaitGroup
}

// run runs fn in the background, or here if all slots are busy: whoever makes
// more work than the background can do is slowed down.
func (ts *tasks) run(ctx context.Context, fn func(context.Context)) {
	ctx = context.WithoutCancel(ctx)
	do := func() {
		ctx, cancel := context.WithTimeout(ctx, cleanupMax)
		defer cancel()
		fn(ctx)
	}
	select {
	case ts.slots <- struct{}{}:
	default:
		do()
		return
	}
	ts.wg.Add(1)
	ts.start(func() {
		defer ts.wg.Done()
		defer func() { <-ts.slots }()
		do()
	})
}

func (ts *tasks) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { ts.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
