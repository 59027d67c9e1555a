package concurrency

import (
	"context"
	"errors"
	"time"

	"github.com/cairndb/cairn/kv/concurrency/locktable"
	"github.com/cairndb/cairn/kv/kvapi"
)

// wait returns nil when the request should scan again: it was granted, sent
// back, or something was learnt about who is in its way.
func (m *Manager) wait(ctx context.Context, g *Guard, b locktable.Blocker) *kvapi.Error {
	m.lockWaits.Add(1)
	if g.req.LockTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = g.limitWait(ctx, b.Key)
		defer cancel()
	}
	w := &lockWait{m: m, g: g, news: make(chan struct{}, 1), candidate: b.Txn.ID}
	defer w.stop()
	if w.watch(b) {
		return nil
	}
	delay := pushDelay
	if mayPreempt(g.req.Txn, b.Txn) {
		delay = 0
	}
	return w.run(ctx, delay)
}

// errLockTimeout is why a wait's context ended when it was its lock timeout.
var errLockTimeout = errors.New("lock timeout")

// limitWait ends ctx when the request has waited for the lock of a key for its
// lock timeout, however often it was sent back to look again meanwhile.
func (g *Guard) limitWait(ctx context.Context, key kvapi.Key) (context.Context, context.CancelFunc) {
	if g.waitKey == nil || !g.waitKey.Equal(key) {
		g.waitKey, g.patience = key, time.Now().Add(g.req.LockTimeout)
	}
	return context.WithDeadlineCause(ctx, g.patience, errLockTimeout)
}

// mayPreempt reports whether a push will succeed by priority alone.
func mayPreempt(txn *kvapi.Transaction, holder kvapi.TxnMeta) bool {
	return txn != nil && (txn.Priority == kvapi.PriorityMax && holder.Priority < kvapi.PriorityMax ||
		holder.Priority == kvapi.PriorityMin && txn.Priority > kvapi.PriorityMin)
}

// lockWait is one request's wait at one key.
type lockWait struct {
	m *Manager
	g *Guard
	// news is signalled when something is learnt of the watched holder.
	news    chan struct{}
	watched kvapi.TxnID
	// candidate is who was in the way at the last tick: only who is there for
	// a whole tick is pushed, so under steady traffic nobody is.
	candidate kvapi.TxnID
	// The push in flight, if cancel is set.
	pushed kvapi.TxnID
	ticks  int
	cancel context.CancelFunc
	result chan pushResult
	// turn rotates among several holders.
	turn   int
	errors int
}

type pushResult struct {
	blocker locktable.Blocker
	txn     *kvapi.Transaction
	err     *kvapi.Error
}

func (w *lockWait) run(ctx context.Context, delay time.Duration) *kvapi.Error {
	tick := time.NewTimer(delay)
	defer tick.Stop()
	for {
		select {
		case <-w.g.place.Signal():
			return nil
		case <-w.news:
			return nil
		case r := <-w.result:
			if done, err := w.onPushed(ctx, r); done || err != nil {
				return err
			}
		case <-tick.C:
			if w.onTick(ctx, w.m.locks.Blockers(w.g.place)) {
				return nil
			}
			tick.Reset(pushDelay)
		case <-ctx.Done():
			return w.canceled(ctx)
		}
	}
}

func (w *lockWait) canceled(ctx context.Context) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrCanceled, "waiting for a lock: %v", context.Cause(ctx))
	if context.Cause(ctx) == errLockTimeout {
		e.Kind = kvapi.ErrLockTimeout
	}
	if b := w.m.locks.Blockers(w.g.place); len(b) > 0 {
		e.Key, e.Other = b[0].Key, &b[0].Txn
	}
	return e
}

// watch has the wait end when the holder's end is learnt by anybody in the
// store. Only the one who is next watches, so that a commit wakes one waiter.
// It reports whether the holder's end is known already and up to us to act on.
func (w *lockWait) watch(b locktable.Blocker) bool {
	if !b.First || b.Txn.ID.IsZero() || w.watched == b.Txn.ID {
		return false
	}
	w.unwatch()
	w.watched = b.Txn.ID
	w.m.cfg.Txns.Watch(w.watched, w.news)
	if !b.Held || b.Resolving {
		return false
	}
	if w.m.cfg.Txns.GetFinal(w.watched) != nil {
		return true
	}
	// Of an implicit commit only another scan can tell whether it is in the
	// way, once.
	if w.g.implicit == w.watched || w.m.cfg.Txns.GetCommitted(w.watched) == nil {
		return false
	}
	w.g.implicit = w.watched
	return true
}

func (w *lockWait) unwatch() {
	if !w.watched.IsZero() {
		w.m.cfg.Txns.Unwatch(w.watched, w.news)
		w.watched = kvapi.TxnID{}
	}
}

func (w *lockWait) stop() {
	w.unwatch()
	w.stopPush()
}

func (w *lockWait) stopPush() {
	if w.cancel != nil {
		w.cancel()
		w.cancel, w.result = nil, nil
	}
}

// onTick decides whom to push. It reports whether to scan again at once.
func (w *lockWait) onTick(ctx context.Context, blockers []locktable.Blocker) bool {
	if len(blockers) == 0 {
		return false // granted or sent back: the signal is on its way
	}
	if w.watch(blockers[0]) {
		return true
	}
	if w.cancel != nil {
		w.ticks++
		turned := len(blockers) > 1 && w.ticks >= rotateAfter
		if isAmong(blockers, w.pushed) && !turned {
			return false
		}
		w.stopPush()
		w.turn++
	}
	b := blockers[w.turn%len(blockers)]
	if !isAmong(blockers, w.candidate) {
		w.candidate = b.Txn.ID
		return false
	}
	w.push(ctx, b)
	return false
}

func isAmong(blockers []locktable.Blocker, id kvapi.TxnID) bool {
	for i := range blockers {
		if blockers[i].Txn.ID == id {
			return true
		}
	}
	return false
}

// push starts a push in the background. A request outside any transaction, or
// a transaction without anchor, cannot be pushed; it cannot deadlock either,
// since it holds nothing, and will finish.
func (w *lockWait) push(ctx context.Context, b locktable.Blocker) {
	if len(b.Txn.AnchorKey) == 0 {
		w.turn++
		return
	}
	w.m.pushCount.Add(1)
	pusher, name := pusherOf(w.g.req.Txn)
	ctx, w.cancel = context.WithCancel(ctx)
	w.pushed, w.ticks = b.Txn.ID, 0
	result := make(chan pushResult, 1)
	w.result = result
	go func() {
		txn, err := w.m.cfg.Pusher.PushTxn(ctx, pusher, name, b.Txn, b.Push, b.To)
		result <- pushResult{blocker: b, txn: txn, err: err}
	}()
}

// onPushed takes in a push's answer. done asks for another scan.
func (w *lockWait) onPushed(ctx context.Context, r pushResult) (done bool, _ *kvapi.Error) {
	w.stopPush()
	w.turn++
	if r.err == nil {
		w.errors = 0
		return w.learn(r), nil
	}
	switch r.err.Kind {
	case kvapi.ErrPushFailed:
		w.errors = 0
		return false, nil
	case kvapi.ErrTxnAborted, kvapi.ErrDeadlock:
		return true, w.ended(r)
	}
	if ctx.Err() != nil {
		return true, w.canceled(ctx)
	}
	if w.errors++; w.errors >= pushErrorsMax {
		return true, r.err
	}
	return false, nil
}

// learn keeps what the push found for this and other requests, and reports
// whether it gets the request further.
func (w *lockWait) learn(r pushResult) bool {
	pushed := r.blocker.Push == kvapi.PushTimestamp && r.blocker.To.Less(r.txn.WriteTimestamp)
	if !r.txn.Status.IsFinal() && !pushed {
		return false
	}
	w.m.cfg.Txns.Add(r.txn)
	// A request ahead in the queue is not out of the way yet when its
	// transaction is: it goes when it notices.
	return r.blocker.Held
}

// ended is the error for a request whose own transaction was aborted, or is
// the victim of a deadlock.
func (w *lockWait) ended(r pushResult) *kvapi.Error {
	e := *r.err
	e.Key, e.Other = r.blocker.Key, &r.blocker.Txn
	e.Txn = nil
	if w.g.req.Txn != nil && e.Kind == kvapi.ErrTxnAborted {
		e.Txn = w.g.req.Txn.Clone()
		e.Txn.Status = kvapi.Aborted
	}
	return &e
}

// areSettled reports whether all locks are intents that stand where their
// transactions are known to have committed. Evaluation conflicts with them only
// while a record does not say so; it may do so by now.
func (m *Manager) areSettled(locks []kvapi.Lock) bool {
	for i := range locks {
		l := &locks[i]
		t := m.cfg.Txns.GetCommitted(l.Txn.ID)
		if t == nil || l.Strength != kvapi.LockIntent || t.Epoch != l.Txn.Epoch ||
			t.WriteTimestamp != l.Txn.WriteTimestamp || len(t.IgnoredSeqNums) > 0 {
			return false
		}
	}
	return true
}

// awaitRecords waits until the records of such transactions say so, at most a
// consensus round: their intents may not be replaced before (txncache's
// I4). It reports false if that takes too long; their coordinator may be gone.
func (m *Manager) awaitRecords(ctx context.Context, locks []kvapi.Lock) bool {
	late := time.NewTimer(implicitMax)
	defer late.Stop()
	for i := range locks {
		if !m.awaitRecord(ctx, locks[i].Txn.ID, late.C) {
			return false
		}
	}
	return true
}

func (m *Manager) awaitRecord(ctx context.Context, id kvapi.TxnID, late <-chan time.Time) bool {
	news := make(chan struct{}, 1)
	m.cfg.Txns.Watch(id, news)
	defer m.cfg.Txns.Unwatch(id, news)
	for m.cfg.Txns.GetFinal(id) == nil {
		select {
		case <-news:
		case <-late:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
