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
// The answer comes when the command has applied; it only says that all was
// done.
type deferral struct {
	mu sync.Mutex
	// open takes more requests; nil if there is no group.
	open *deferredGroup
}

// deferredGroup is what one command will do.
type deferredGroup struct {
	reqs []kvapi.Request
	full chan struct{}
	// done is closed after err is set.
	done chan struct{}
	err  *kvapi.Error
}

// isDeferrable reports whether the batch may be held back.
func isDeferrable(ba *kvapi.BatchRequest) bool {
	if !ba.Deferrable || ba.Txn != nil {
		return false
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

// sendDeferred evaluates a deferrable batch with others. The first of a group
// waits and works for all.
func (r *Replica) sendDeferred(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	r.learnFinished(ba)
	if !r.leaseStatus(noTimestamp).IsValid() {
		return r.sendToLease(ctx, ba)
	}
	g, first := r.deferral.join(ba.Requests)
	if first {
		r.runDeferred(g)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
	}
	if g.err != nil {
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
		d.open = g
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

func (r *Replica) runDeferred(g *deferredGroup) {
	t := time.NewTimer(deferFor)
	select {
	case <-t.C:
	case <-g.full:
	case <-r.store.stopping:
	}
	t.Stop()
	r.deferral.close(g)
	// The group is not its first caller's: it goes on without him.
	ctx, cancel := context.WithTimeout(r.store.ctx, deferredTimeout)
	defer cancel()
	ba := &kvapi.BatchRequest{Requests: inOrder(g.reqs)}
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
