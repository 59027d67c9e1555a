package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// deferral collects the clean-up of finished transactions that nobody waits
// for, and evaluates it as one command now and then: each transaction would
// otherwise pay a consensus round for every range it touched, and one more to
// forget its record.
//
//	ResolveIntent T1 ─┐
//	ResolveIntent T2 ─┼──▶ group ──deferFor, or deferredMax──▶ one command
//	RecoverTxn    T0 ─┘                                          │
//	       ▲────────────────────── answers ──────────────────────┘
//
// That intents stay a little longer delays nobody. What is in the group is told
// to the transaction cache first: with that, reads take the intents of a
// committed transaction for what they are, writes resolve them in their own
// command (mvcc.FinishedTxns), and whoever waits for one is woken at once. The
// intents of an aborted transaction are resolved by the request that is
// woken, as ever.
//
// Making commits explicit is different: others wait for it, who must not
// replace an intent before; all they may do is read, and lock. So it waits only
// for the command before it, like a group commit: an idle range does it at
// once, a busy one several together.
//
// The answer comes when the command has applied; it only says that all was
// done.
type deferral struct {
	mu sync.Mutex
	// open takes more requests; nil if there is no group.
	open *deferredGroup
	// last is done of the latest group.
	last chan struct{}
}

// deferredGroup is what one command will do.
type deferredGroup struct {
	reqs []kvapi.Request
	// after is done of the group before; nil for none.
	after, full chan struct{}
	// done is closed after err is set.
	done chan struct{}
	err  *kvapi.Error
}

// isDeferrable reports whether the batch may be held back.
func isDeferrable(ba *kvapi.BatchRequest) bool {
	if !ba.Deferrable || ba.Txn != nil {
		return false
	}
	if commits(&ba.Requests[0]) {
		return len(ba.Requests) == 1
	}
	for i := range ba.Requests {
		q := &ba.Requests[i]
		resolves := q.Kind == kvapi.ResolveIntent && q.Resolve != nil && q.Resolve.Status.IsFinal()
		forgets := q.Kind == kvapi.RecoverTxn && q.Recover != nil && q.Recover.Txn.Status.IsFinal()
		if !resolves && !forgets {
			return false
		}
	}
	return true
}

// commits reports whether the request makes a commit explicit.
func commits(q *kvapi.Request) bool {
	return q.Kind == kvapi.RecoverTxn && q.Recover != nil && q.Recover.ImplicitlyCommitted &&
		q.Recover.Txn.Status == kvapi.Staging
}

// sendDeferred evaluates a deferrable batch with others. The first of a group
// waits and works for all.
func (r *Replica) sendDeferred(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	r.learnFinished(ba)
	if !r.leaseStatus(noTimestamp).IsValid() {
		return r.sendToLease(ctx, ba)
	}
	d, urgent := &r.cleanUps, commits(&ba.Requests[0])
	if urgent {
		d = &r.commits
	}
	g, first := d.join(ba.Requests)
	if first {
		r.awaitGroup(g, urgent)
		d.close(g)
		r.runGroup(g)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
	}
	if g.err != nil {
		if g.err.Kind == kvapi.ErrInternal && len(g.reqs) > len(ba.Requests) {
			// What is wrong with another's must not hold up this one.
			return r.sendToLease(ctx, ba)
		}
		e := *g.err
		e.Index = -1
		return nil, &e
	}
	br := &kvapi.BatchResponse{Responses: make([]kvapi.Response, len(ba.Requests))}
	for i := range ba.Requests {
		br.Responses[i].Kind = ba.Requests[i].Kind
	}
	return br, nil
}

// learnFinished tells the transaction cache, and those who wait, which
// transactions the batch says have finished.
func (r *Replica) learnFinished(ba *kvapi.BatchRequest) {
	if q := &ba.Requests[0]; commits(q) {
		r.mgr.OnImplicitCommit(&q.Recover.Txn)
		return
	}
	var last kvapi.TxnID
	for i := range ba.Requests {
		u := ba.Requests[i].Resolve
		if u == nil || u.Txn.ID == last {
			continue
		}
		last = u.Txn.ID
		r.mgr.OnTxnUpdated(&kvapi.Transaction{TxnMeta: u.Txn, Status: u.Status, IgnoredSeqNums: u.IgnoredSeqNums})
	}
}

// join adds requests to the open group; first says that the caller runs it.
func (d *deferral) join(reqs []kvapi.Request) (g *deferredGroup, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g = d.open; g == nil {
		g, first = &deferredGroup{full: make(chan struct{}), done: make(chan struct{})}, true
		g.after, d.last, d.open = d.last, g.done, g
	}
	g.reqs = append(g.reqs, reqs...)
	if len(g.reqs) >= deferredMax {
		close(g.full)
		d.open = nil
	}
	return g, first
}

// close lets no more requests join the group.
func (d *deferral) close(g *deferredGroup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == g {
		d.open = nil
	}
}

// awaitGroup waits for others to join.
func (r *Replica) awaitGroup(g *deferredGroup, urgent bool) {
	var over <-chan time.Time
	after := g.after
	switch {
	case !urgent:
		t := time.NewTimer(deferFor)
		defer t.Stop()
		over, after = t.C, nil
	case after == nil:
		return
	}
	select {
	case <-over:
	case <-after:
	case <-g.full:
	case <-r.store.stopping:
	}
}

// runGroup does the group's work.
func (r *Replica) runGroup(g *deferredGroup) {
	// The group is not its first caller's: it goes on without him.
	ctx, cancel := context.WithTimeout(r.store.ctx, deferredTimeout)
	defer cancel()
	ba := &kvapi.BatchRequest{Requests: inOrder(slices.Clone(g.reqs))}
	ba.Timestamp, ba.Gateway = r.store.cfg.Clock.Now().Timestamp(), r.store.ident.NodeID
	_, g.err = r.sendToLease(ctx, ba)
	close(g.done)
}

// inOrder sorts the requests and leaves out repetitions, which tells
// batcheval.NeedsIndex that none of them reads what another writes.
func inOrder(reqs []kvapi.Request) []kvapi.Request {
	slices.SortFunc(reqs, compareCleanup)
	return slices.CompactFunc(reqs, func(a, b kvapi.Request) bool { return compareCleanup(a, b) == 0 })
}

func compareCleanup(a, b kvapi.Request) int {
	ida, idb := cleanedUp(&a), cleanedUp(&b)
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Key, b.Key), bytes.Compare(ida[:], idb[:]))
}

// cleanedUp is the transaction that a request cleans up after.
func cleanedUp(q *kvapi.Request) kvapi.TxnID {
	if q.Kind == kvapi.RecoverTxn {
		return q.Recover.Txn.ID
	}
	return q.Resolve.Txn.ID
}
