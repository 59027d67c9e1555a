package concurrency

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// turns keep a transaction from being overtaken for ever. One that reads the
// highest number and inserts the next loses as long as others do so in less time
// than its own way to the range takes: it holds nothing for which they would
// have to queue, and each new attempt is too late again. After some attempts its
// requests carry a kvapi.TurnID, and what they read is its for a while:
//
//	far   read max ─────────────── insert 8 ──▶ committed: the turn is over
//	        │ turn on what it read    ▲
//	near    ▼      insert 8 ··· waits ┴──▶ goes on, finds 8, reads again
//
// A turn begins under the latches of the read, so nobody gets in between, and
// ends when its transaction does, when turnIdleMax went by without a request of
// it, or turnMax after it began. Who arrives first goes first, of those who have
// the right to a turn, too. Turns that came to nothing are followed by a rest of
// the same length, so that they cost others half of the time at most, whatever
// those do who ask for them.
//
// A turn is a delay and no lock (I5): nobody fails for it, nobody pushes its
// holder, and deadlock detection does not know it. It need not: who waits has
// neither latches nor a place in a queue, and if he may hold locks, for which the
// turn's holder might wait in vain, waits turnHeldMax at most, any other until
// the turn is over; and each request once.
//
// Simpler would be that an attempt which has lost locks what it reads, but that
// locks no key between those which are there, and it is there that the next
// number goes; and to have such a gap locked, and every write look for that, the
// price of which all would pay.
type turns struct {
	txns *txncache.Cache
	// some says that there is a turn, or was until a moment ago: whoever is in
	// nobody's way pays for looking at it.
	some atomic.Bool
	// given and waits count.
	given, waits atomic.Int64

	mu struct {
		sync.Mutex
		// list is in order of arrival, at most turnsMax.
		list []*turn
		// restUntil is when the next may begin.
		restUntil time.Time
	}
}

type turn struct {
	id kvapi.TurnID
	// txn is the transaction of its last request.
	txn   kvapi.TxnID
	spans []kvapi.Span
	began time.Time
	used  time.Time
	// over is closed when it ends before its time.
	over chan struct{}
}

// end is when the turn is over if nothing more is heard of it.
func (t *turn) end() time.Time {
	idle, all := t.used.Add(turnIdleMax), t.began.Add(turnMax)
	if idle.Before(all) {
		return idle
	}
	return all
}

// meet gives a request the turn that it has a right to, or returns the one that
// it must wait for. The request's latches are held.
func (ts *turns) meet(g *Guard) *turn {
	if !ts.some.Load() && g.req.Turn == 0 || g.req.Txn == nil {
		return nil
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	now := time.Now()
	ts.pruneLocked(now)
	if !g.yielded {
		if t := ts.inTheWayLocked(&g.req); t != nil {
			return t
		}
	}
	if g.req.Turn != 0 {
		ts.takeLocked(&g.req, now)
	}
	return nil
}

// inTheWayLocked is the first turn of another that the request conflicts with.
func (ts *turns) inTheWayLocked(req *Request) *turn {
	for _, t := range ts.mu.list {
		if t.id == req.Turn {
			return nil // those behind it wait
		}
		if slices.ContainsFunc(req.Spans.Locks, func(l spanset.LockSpan) bool {
			return yields(req, &l) && slices.ContainsFunc(t.spans, l.Span.Overlaps)
		}) {
			return t
		}
	}
	return nil
}

// yields reports whether what a request wants of a span has it wait for a turn:
// whatever may change the span, or leads to that, and what wants a turn there. Who
// will not wait for locks does not wait here either.
func yields(req *Request, l *spanset.LockSpan) bool {
	return l.Wait == kvapi.WaitBlock && (l.Write || l.Strength != kvapi.LockNone || req.Turn != 0)
}

func (ts *turns) takeLocked(req *Request, now time.Time) {
	i := slices.IndexFunc(ts.mu.list, func(t *turn) bool { return t.id == req.Turn })
	if i < 0 {
		if len(ts.mu.list) == turnsMax || now.Before(ts.mu.restUntil) {
			return
		}
		t := &turn{id: req.Turn, began: now, over: make(chan struct{})}
		if t.read(req); len(t.spans) == 0 {
			return
		}
		i, ts.mu.list = len(ts.mu.list), append(ts.mu.list, t)
		ts.given.Add(1)
		ts.some.Store(true)
	}
	t := ts.mu.list[i]
	t.read(req)
	t.txn, t.used = req.Txn.ID, now
}

// read adds what a request reads, as far as there is room. A request's keys are
// its own only while it lasts.
func (t *turn) read(req *Request) {
	for i := range req.Spans.Locks {
		l := &req.Spans.Locks[i]
		if l.Write || len(t.spans) == turnSpansMax ||
			slices.ContainsFunc(t.spans, func(sp kvapi.Span) bool { return covers(sp, l.Span) }) {
			continue
		}
		t.spans = append(t.spans, kvapi.Span{Key: slices.Clone(l.Span.Key), EndKey: slices.Clone(l.Span.EndKey)})
	}
}

func covers(sp, o kvapi.Span) bool { return sp.Contains(o.Key) && !sp.End().Less(o.End()) }

// pruneLocked drops the turns that are over.
func (ts *turns) pruneLocked(now time.Time) {
	ts.mu.list = slices.DeleteFunc(ts.mu.list, func(t *turn) bool {
		switch {
		case ts.txns.GetCommitted(t.txn) != nil:
		case ts.txns.HasEnded(t.txn), !now.Before(t.end()):
			if until := now.Add(min(now.Sub(t.began), turnMax)); ts.mu.restUntil.Before(until) {
				ts.mu.restUntil = until
			}
		default:
			return false
		}
		close(t.over)
		return true
	})
	ts.some.Store(len(ts.mu.list) > 0)
}

// finish ends a turn: its transaction has done what it had to do here.
func (ts *turns) finish(id kvapi.TurnID) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.mu.list = slices.DeleteFunc(ts.mu.list, func(t *turn) bool {
		if t.id != id {
			return false
		}
		close(t.over)
		return true
	})
	ts.some.Store(len(ts.mu.list) > 0)
}

// clear ends all turns: the range is another, or another's.
func (ts *turns) clear() {
	if !ts.some.Load() {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.mu.list {
		close(t.over)
	}
	ts.mu.list = nil
	ts.some.Store(false)
}

// wait returns when a turn is over or the request has waited for long enough. The
// request has neither latches nor a place in a queue.
func (ts *turns) wait(ctx context.Context, g *Guard, t *turn) *kvapi.Error {
	ts.waits.Add(1)
	g.yielded = true
	limit := turnMax
	if g.req.Holds {
		limit = turnHeldMax
	}
	if d := g.req.LockTimeout; d > 0 {
		limit = min(limit, d)
	}
	news := make(chan struct{}, 1)
	ts.mu.Lock()
	txn := t.txn
	ts.mu.Unlock()
	ts.txns.Watch(txn, news)
	defer ts.txns.Unwatch(txn, news)
	enough := time.NewTimer(limit)
	defer enough.Stop()
	for spent := false; ; {
		left, over := ts.left(t)
		if over || spent {
			return nil
		}
		idle := time.NewTimer(left)
		select {
		case <-t.over:
		case <-news:
		case <-idle.C:
		case <-enough.C:
			spent = true
		case <-ctx.Done():
			idle.Stop()
			return kvapi.NewError(kvapi.ErrCanceled, "waiting for another's turn: %v", context.Cause(ctx))
		}
		idle.Stop()
	}
}

// left is how long a turn may last yet.
func (ts *turns) left(t *turn) (left time.Duration, over bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	now := time.Now()
	ts.pruneLocked(now)
	if !slices.Contains(ts.mu.list, t) {
		return 0, true
	}
	return t.end().Sub(now), false
}
