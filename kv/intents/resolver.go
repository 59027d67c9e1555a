package intents

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Config is what a Resolver needs.
type Config struct {
	Sender kvapi.Sender
	Clock  *hlc.Clock
	NodeID kvapi.NodeID
	// Go runs a function on another goroutine; nil for a new one each time.
	Go func(func())
}

// Resolver pushes, recovers and resolves over a Sender. All methods are safe
// for concurrent use.
type Resolver struct {
	cfg Config

	recoveries, resolved, dropped, failed atomic.Int64
	forgotten, unforgotten                atomic.Int64

	// ctx ends with Close.
	ctx    context.Context
	cancel context.CancelFunc
	mu     struct {
		sync.Mutex
		closed bool
		queue  []job
		// queued counts the updates in queue.
		queued  int
		workers int
		// forget holds finished transactions whose locks are all resolved.
		forget     []kvapi.Transaction
		forgetting bool
		done       sync.WaitGroup
	}
}

// New returns a resolver; Close ends its background work.
func New(cfg Config) *Resolver {
	if cfg.Go == nil {
		cfg.Go = func(fn func()) { go fn() }
	}
	r := &Resolver{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// ResolveAsync resolves in the background. If the queue is full it drops the
// work, counts it and returns false: whoever meets those locks resolves them.
func (r *Resolver) ResolveAsync(updates []kvapi.LockUpdate) bool {
	return r.enqueue(job{updates: updates})
}

// ResolveTxnAsync is ResolveAsync for the lock spans of a finished
// transaction, which must be all it has left: then its record is forgotten.
// Without any it is forgotten soon.
func (r *Resolver) ResolveTxnAsync(txn *kvapi.Transaction, spans []kvapi.Span) bool {
	updates := make([]kvapi.LockUpdate, len(spans))
	for i, s := range spans {
		updates[i] = kvapi.LockUpdate{Span: s, Txn: txn.TxnMeta, Status: txn.Status, IgnoredSeqNums: txn.IgnoredSeqNums}
	}
	return r.enqueue(job{updates: updates, txn: kvapi.Transaction{TxnMeta: txn.TxnMeta, Status: txn.Status}})
}

func (r *Resolver) enqueue(j job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed || r.mu.queued+len(j.updates) > queueMax {
		r.dropped.Add(int64(len(j.updates)))
		return false
	}
	if len(j.updates) == 0 {
		r.forgetLaterLocked([]job{j})
		return true
	}
	r.mu.queue = append(r.mu.queue, j)
	r.mu.queued += len(j.updates)
	if r.mu.workers < workersMax {
		r.mu.workers++
		r.mu.done.Add(1)
		r.cfg.Go(func() {
			defer r.mu.done.Done()
			r.work()
		})
	}
	return true
}

// Close stops the background work and waits for it. What is queued is left to
// whoever meets it.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.queue, r.mu.queued, r.mu.forget = nil, 0, nil
	r.mu.Unlock()
	r.cancel()
	r.mu.done.Wait()
}

// Metrics is a snapshot of a resolver.
type Metrics struct {
	Recoveries int64
	// Resolved locks; Dropped and Failed are left to whoever meets them.
	Resolved, Dropped, Failed int64
	Queued                    int64
	// Forgotten records of finished transactions; Unforgotten ones stay.
	Forgotten, Unforgotten int64
}

// Metrics returns the resolver's state in numbers.
func (r *Resolver) Metrics() Metrics {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Metrics{
		Recoveries: r.recoveries.Load(), Resolved: r.resolved.Load(),
		Dropped: r.dropped.Load(), Failed: r.failed.Load(), Queued: int64(r.mu.queued),
		Forgotten: r.forgotten.Load(), Unforgotten: r.unforgotten.Load(),
	}
}
