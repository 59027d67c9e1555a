package txnwait

import (
	"context"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Querier asks for a transaction's record, and who waits for it, wherever
// that is; unless known is zero, when there is something else to tell.
type Querier interface {
	QueryTxn(ctx context.Context, txn kvapi.TxnMeta, known kvapi.WaitsSum) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error)
}

// Queue holds the waiting pushes of one range. All methods are safe for
// concurrent use.
type Queue struct {
	txns    *txncache.Cache
	querier Querier
	clock   *hlc.Clock

	mu struct {
		sync.Mutex
		// waiters is by pushee.
		waiters map[kvapi.TxnID]map[*waiter]struct{}
		count   int64
		// listeners are the queries that wait for the edges that lead to a
		// transaction to change, or for its record to.
		listeners map[kvapi.TxnID]map[*listener]struct{}
	}
}

// waiter is one push that waits.
type waiter struct {
	pusher kvapi.TxnMeta
	name   string
	pushee kvapi.TxnID
	wake   chan struct{}
	// edges lead to the pusher; guarded by the queue's mutex.
	edges []kvapi.TxnWait
	// suspect is the cycle that the last polls showed, seen times in a row.
	suspect []member
	seen    int
}

// listener is one query that waits.
type listener struct{ news chan struct{} }

// New returns an empty queue.
func New(txns *txncache.Cache, querier Querier, clock *hlc.Clock) *Queue {
	q := &Queue{txns: txns, querier: querier, clock: clock}
	q.mu.waiters = make(map[kvapi.TxnID]map[*waiter]struct{})
	q.mu.listeners = make(map[kvapi.TxnID]map[*listener]struct{})
	return q
}

// MaybeAnswer answers a batch of pushes and queries of transactions that are
// known to have finished; nil if it must be evaluated. A query is answered
// only with "committed", which the record may no longer show; about an aborted
// transaction it may want to know whether there is a record.
func (q *Queue) MaybeAnswer(ba *kvapi.BatchRequest) *kvapi.BatchResponse {
	var br *kvapi.BatchResponse
	for i := range ba.Requests {
		r := &ba.Requests[i]
		if r.Kind != kvapi.PushTxn && r.Kind != kvapi.QueryTxn {
			return nil
		}
		txn := q.txns.GetFinal(r.Push.Pushee.ID)
		if txn == nil || r.Kind == kvapi.QueryTxn && txn.Status != kvapi.Committed {
			return nil
		}
		if br == nil {
			br = &kvapi.BatchResponse{Timestamp: ba.Timestamp}
		}
		br.Responses = append(br.Responses, kvapi.Response{Kind: r.Kind, Pushee: txn})
	}
	if br != nil {
		br.Now = q.clock.Now()
	}
	return br
}

// After follows the evaluation of pushes and queries. It adds the waiters to
// answered queries, which wait while they have nothing new to tell. A failed
// push waits here until it makes sense to evaluate
// the batch it returns (ba itself, or one that pushes by force). With neither
// batch nor error, evaluation's answer stands.
func (q *Queue) After(ctx context.Context, ba *kvapi.BatchRequest, br *kvapi.BatchResponse,
	pErr *kvapi.Error) (*kvapi.BatchRequest, *kvapi.Error) {
	if pErr == nil {
		if again, err := q.listen(ctx, ba); again != nil || err != nil {
			return again, err
		}
		q.addWaiters(ba, br)
		return nil, nil
	}
	if pErr.Kind != kvapi.ErrPushFailed || len(ba.Requests) != 1 || ba.Requests[0].Kind != kvapi.PushTxn {
		return nil, nil
	}
	push := ba.Requests[0].Push
	if push.Type == kvapi.PushTouch || push.Force {
		return nil, nil
	}
	return q.wait(ctx, ba, push)
}

func (q *Queue) addWaiters(ba *kvapi.BatchRequest, br *kvapi.BatchResponse) {
	for i := range ba.Requests {
		if ba.Requests[i].Kind != kvapi.QueryTxn || br == nil || i >= len(br.Responses) {
			continue
		}
		resp := &br.Responses[i]
		resp.Waits = q.edgesTo(ba.Requests[i].Push.Pushee.ID)
		for _, e := range resp.Waits {
			resp.Waiting = append(resp.Waiting, e.Waiter)
		}
	}
}

// listen holds up a query while it would say what its asker knows. It returns
// the query to evaluate then: what is to be told may be in the record.
func (q *Queue) listen(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchRequest, *kvapi.Error) {
	if len(ba.Requests) != 1 || ba.Requests[0].Kind != kvapi.QueryTxn || ba.Requests[0].Push.Known == 0 {
		return nil, nil
	}
	id, known := ba.Requests[0].Push.Pushee.ID, ba.Requests[0].Push.Known
	l := &listener{news: make(chan struct{}, 1)}
	q.addListener(id, l)
	defer q.removeListener(id, l)
	end := time.NewTimer(waitMax)
	defer end.Stop()
	for kvapi.SumOfWaits(q.edgesTo(id)) == known && q.txns.GetFinal(id) == nil {
		select {
		case <-l.news:
			continue
		case <-end.C:
		case <-ctx.Done():
			return nil, kvapi.NewError(kvapi.ErrCanceled, "waiting for news of transaction %s: %v", id.Short(), context.Cause(ctx))
		}
		break
	}
	push := *ba.Requests[0].Push
	push.Known = 0
	return withPush(ba, &push), nil
}

func (q *Queue) addListener(id kvapi.TxnID, l *listener) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.listeners[id] == nil {
		q.mu.listeners[id] = make(map[*listener]struct{})
	}
	q.mu.listeners[id][l] = struct{}{}
}

func (q *Queue) removeListener(id kvapi.TxnID, l *listener) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delete(q.mu.listeners[id], l); len(q.mu.listeners[id]) == 0 {
		delete(q.mu.listeners, id)
	}
}

// tellLocked wakes those who listen for news of a transaction.
func (q *Queue) tellLocked(id kvapi.TxnID) {
	for l := range q.mu.listeners[id] {
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
}

// edgesTo returns the known edges that lead to a transaction.
func (q *Queue) edgesTo(id kvapi.TxnID) []kvapi.TxnWait {
	q.mu.Lock()
	defer q.mu.Unlock()
	var edges []kvapi.TxnWait
	seen := map[kvapi.TxnWait]bool{}
	add := func(e kvapi.TxnWait) {
		if len(edges) < edgesMax && !seen[e] {
			seen[e] = true
			edges = append(edges, e)
		}
	}
	for w := range q.mu.waiters[id] {
		if !w.pusher.ID.IsZero() {
			add(kvapi.TxnWait{Waiter: w.pusher.ID, Priority: w.pusher.Priority, Holder: id, Name: w.name})
		}
	}
	for w := range q.mu.waiters[id] {
		for _, e := range w.edges {
			add(e)
		}
	}
	return edges
}

// OnTxnUpdated wakes the pushes of a transaction whose record changed: they
// are evaluated again.
func (q *Queue) OnTxnUpdated(id kvapi.TxnID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := range q.mu.waiters[id] {
		w.signal()
	}
	q.tellLocked(id)
}

// Clear wakes all: the lease or the range has changed.
func (q *Queue) Clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, set := range q.mu.waiters {
		for w := range set {
			w.signal()
		}
	}
	for id := range q.mu.listeners {
		q.tellLocked(id)
	}
}

// Count returns how many pushes wait.
func (q *Queue) Count() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mu.count
}

func (w *waiter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (q *Queue) enter(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.waiters[w.pushee] == nil {
		q.mu.waiters[w.pushee] = make(map[*waiter]struct{})
	}
	q.mu.waiters[w.pushee][w] = struct{}{}
	q.mu.count++
	q.tellLocked(w.pushee)
}

func (q *Queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delete(q.mu.waiters[w.pushee], w); len(q.mu.waiters[w.pushee]) == 0 {
		delete(q.mu.waiters, w.pushee)
	}
	q.mu.count--
	q.tellLocked(w.pushee)
}

// changedSince reports whether the push may do better than when it failed.
func (q *Queue) changedSince(push *kvapi.PushArgs) bool {
	txn := q.txns.Get(push.Pushee.ID)
	return txn != nil && (txn.Status.IsFinal() ||
		push.Type == kvapi.PushTimestamp && push.To.Less(txn.WriteTimestamp))
}

func (q *Queue) wait(ctx context.Context, ba *kvapi.BatchRequest, push *kvapi.PushArgs) (*kvapi.BatchRequest, *kvapi.Error) {
	w := &waiter{pusher: push.Pusher, name: push.Name, pushee: push.Pushee.ID, wake: make(chan struct{}, 1)}
	q.enter(w)
	defer q.leave(w)
	if q.changedSince(push) { // between evaluation and enter
		return ba, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	end := time.NewTimer(waitMax)
	defer end.Stop()
	var polls <-chan poll
	if !w.pusher.ID.IsZero() && len(w.pusher.AnchorKey) > 0 {
		// A pusher that never locked anything cannot be waited for.
		polls = q.pollPusher(ctx, w)
	}
	for {
		select {
		case <-w.wake:
			return ba, nil
		case <-end.C:
			return nil, nil
		case <-ctx.Done():
			return nil, kvapi.NewError(kvapi.ErrCanceled, "waiting to push transaction %s: %v",
				w.pushee.Short(), context.Cause(ctx))
		case p := <-polls:
			if next, err := q.onPoll(w, ba, p); next != nil || err != nil {
				return next, err
			}
		}
	}
}

// poll is the pusher's own record, the edges that lead to it, and the cycle
// that they close.
type poll struct {
	txn   *kvapi.Transaction
	edges []kvapi.TxnWait
	cycle []member
}

// pollPusher asks until ctx ends. The answers wait for news; only while they
// show a cycle, or do not come, is there a pause, after which an answer is
// asked for whatever it says.
func (q *Queue) pollPusher(ctx context.Context, w *waiter) <-chan poll {
	ch := make(chan poll)
	go func() {
		var known kvapi.WaitsSum
		for {
			pause := pollInterval
			txn, edges, err := q.querier.QueryTxn(ctx, w.pusher, known)
			known = 0
			if err == nil {
				p := poll{txn: txn, edges: edges, cycle: findCycle(member{id: w.pusher.ID, priority: w.pusher.Priority, name: w.name}, w.pushee, edges)}
				if p.cycle == nil {
					known, pause = kvapi.SumOfWaits(edges), pollPause
				}
				select {
				case ch <- p:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// onPoll looks at what became of the pusher, and for a deadlock.
func (q *Queue) onPoll(w *waiter, ba *kvapi.BatchRequest, p poll) (*kvapi.BatchRequest, *kvapi.Error) {
	if p.txn != nil && p.txn.Status == kvapi.Aborted {
		e := kvapi.NewError(kvapi.ErrTxnAborted, "aborted while waiting for transaction %s", w.pushee.Short())
		e.Txn, e.Other = p.txn, &ba.Requests[0].Push.Pushee
		return nil, e
	}
	q.mu.Lock()
	if kvapi.SumOfWaits(w.edges) != kvapi.SumOfWaits(p.edges) {
		q.tellLocked(w.pushee)
	}
	w.edges = p.edges
	q.mu.Unlock()
	return q.onCycle(w, ba, p.cycle)
}

// onCycle acts on the cycle that a poll showed, or nil. The victim ends its
// own wait, with an error that says why. If it does not (its polls do not get
// through), whoever pushes it stops being patient.
func (q *Queue) onCycle(w *waiter, ba *kvapi.BatchRequest, cycle []member) (*kvapi.BatchRequest, *kvapi.Error) {
	if cycle == nil || !sameCycle(cycle, w.suspect) {
		w.suspect, w.seen = cycle, 0
	}
	if cycle == nil {
		return nil, nil
	}
	w.seen++
	if w.seen < seenMin && len(cycle) > 2 {
		return nil, nil
	}
	switch victim := victimOf(cycle); {
	case victim == w.pusher.ID:
		e := kvapi.NewError(kvapi.ErrDeadlock, "transactions wait for each other: %s", describe(cycle))
		e.Other, e.Cycle = &ba.Requests[0].Push.Pushee, waitsOf(cycle)
		return nil, e
	case victim == w.pushee && w.seen >= seenToForce:
		return forced(ba), nil
	}
	return nil, nil
}

// forced returns the push ba as one that succeeds whatever the priorities.
func forced(ba *kvapi.BatchRequest) *kvapi.BatchRequest {
	push := *ba.Requests[0].Push
	push.Force = true
	return withPush(ba, &push)
}

// withPush returns a batch of one request with other arguments.
func withPush(ba *kvapi.BatchRequest, push *kvapi.PushArgs) *kvapi.BatchRequest {
	r := ba.Requests[0]
	r.Push = push
	return (&kvapi.BatchRequest{Header: ba.Header}).Add(r)
}
