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
}

// Resolver pushes, recovers and resolves over a Sender. All methods are safe
// for concurrent use.
type Resolver struct {
	cfg Config

	recoveries, resolved, dropped, failed atomic.Int64

	// ctx ends with Close.
	ctx    context.Context
	cancel context.CancelFunc
	mu     struct {
		sync.Mutex
		closed  bool
		queue   []kvapi.LockUpdate
		workers int
		done    sync.WaitGroup
	}
}

// New returns a resolver; Close ends its background work.
func New(cfg Config) *Resolver {
	r := &Resolver{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// ResolveAsync resolves in the background. If the queue is full it drops the
// work, counts it and returns false: whoever meets those locks resolves them.
func (r *Resolver) ResolveAsync(updates []kvapi.LockUpdate) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed || len(r.mu.queue)+len(updates) > queueMax {
		r.dropped.Add(int64(len(updates)))
		return false
	}
	if len(updates) == 0 {
		return true
	}
	r.mu.queue = append(r.mu.queue, updates...)
	if r.mu.workers < workersMax {
		r.mu.workers++
		r.mu.done.Go(r.work)
	}
	return true
}

// ResolveTxnAsync is ResolveAsync for the lock spans of a finished transaction.
func (r *Resolver) ResolveTxnAsync(txn *kvapi.Transaction, spans []kvapi.Span) bool {
	updates := make([]kvapi.LockUpdate, len(spans))
	for i, s := range spans {
		updates[i] = kvapi.LockUpdate{Span: s, Txn: txn.TxnMeta, Status: txn.Status, IgnoredSeqNums: txn.IgnoredSeqNums}
	}
	return r.ResolveAsync(updates)
}

// work resolves what is queued, in batches of whatever transactions, until
// nothing is left (I3).
func (r *Resolver) work() {
	for {
		part := r.take()
		if part == nil {
			return
		}
		ctx, cancel := context.WithTimeout(r.ctx, asyncTimeout)
		if err := r.ResolveIntents(ctx, part); err != nil {
			r.failed.Add(int64(len(part)))
		}
		cancel()
	}
}

// take returns the next batch, or nil when the worker is to end.
func (r *Resolver) take() []kvapi.LockUpdate {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(batchMax, len(r.mu.queue))
	if n == 0 || r.mu.closed {
		r.mu.workers--
		return nil
	}
	part := r.mu.queue[:n:n]
	r.mu.queue = r.mu.queue[n:]
	if len(r.mu.queue) == 0 {
		r.mu.queue = nil // lets go of what was resolved
	}
	return part
}

// Close stops the background work and waits for it. What is queued is left to
// whoever meets it.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.queue = nil
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
}

// Metrics returns the resolver's state in numbers.
func (r *Resolver) Metrics() Metrics {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Metrics{
		Recoveries: r.recoveries.Load(), Resolved: r.resolved.Load(),
		Dropped: r.dropped.Load(), Failed: r.failed.Load(), Queued: int64(len(r.mu.queue)),
	}
}
