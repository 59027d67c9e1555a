package concurrency

import (
	"context"
	"errors"
	"time"

	"github.com/cairndb/cairn/kv/concurrency/latch"
	"github.com/cairndb/cairn/kv/concurrency/locktable"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Guard is a request's permission to evaluate. Finish ends it. It belongs to
// one goroutine at a time.
type Guard struct {
	req     Request
	latches *latch.Guard
	// place is the request's place in the lock table, nil until it had to look.
	place *locktable.Request
	// rounds counts evaluations that found locks and then did not wait.
	rounds int
	// implicit is the last transaction, committed by its writes, for which the
	// request looked at the table again.
	implicit kvapi.TxnID
	// impatient: the record of such a transaction did not come in time.
	impatient bool
	// yielded: it has waited for another's turn.
	yielded bool
	// patience ends the wait at waitKey, if there is a lock timeout.
	patience time.Time
	waitKey  kvapi.Key
}

// ShouldSkip reports whether a SKIP LOCKED request leaves key out.
func (g *Guard) ShouldSkip(key kvapi.Key) bool { return g.place != nil && g.place.Skipped(key) }

// SequenceRequest blocks until the request may evaluate: its latches are held
// and no conflicting lock is known. On error nothing is held and there is no
// guard. The lease is to be checked after it returned.
func (m *Manager) SequenceRequest(ctx context.Context, req Request) (*Guard, *kvapi.Error) {
	g := &Guard{req: req}
	if _, err := m.sequence(ctx, g); err != nil {
		return nil, err
	}
	return g, nil
}

// HandleLockConflict takes the locks that evaluation under lease seq ran into
// (ErrLockConflict), gives up the latches, waits for the locks and sequences
// the request again. On success the same guard is ready to evaluate again
// (check the lease again); on error the guard is finished.
func (m *Manager) HandleLockConflict(ctx context.Context, g *Guard, seq kvapi.LeaseSequence,
	locks []kvapi.Lock) *kvapi.Error {
	if !g.impatient && m.areSettled(locks) {
		// They do not go into the table: the request may hold the keys itself,
		// as the next in line, and would lose them to whoever waits.
		m.releaseLatches(g) // I2
		g.impatient = !m.awaitRecords(ctx, locks)
	} else {
		added := m.locks.AddDiscovered(seq, locks)
		m.releaseLatches(g)
		if !added {
			m.Finish(g)
			return kvapi.NewError(kvapi.ErrNotLeaseholder, "the lease changed during evaluation")
		}
	}
	waited, err := m.sequence(ctx, g)
	if err != nil {
		return err
	}
	if g.rounds++; waited {
		g.rounds = 0
	}
	if g.rounds > roundsMax {
		m.Finish(g)
		return kvapi.NewError(kvapi.ErrInternal, "evaluation finds locks (%d) that do not conflict with what it declared", len(locks))
	}
	return nil
}

// Finish ends a request: latches and queue places are given up. It is called
// after OnLockAcquired, OnLockUpdated and OnTxnUpdated for the request's
// effects. Calling it twice, or with nil, is allowed.
func (m *Manager) Finish(g *Guard) {
	if g == nil {
		return
	}
	// The queue goes first: whoever is granted now waits a moment for the
	// latch, but nobody who holds the latch is sent to a queue in vain.
	if g.place != nil {
		m.locks.End(g.place)
	}
	m.releaseLatches(g)
}

func (m *Manager) releaseLatches(g *Guard) {
	m.latches.Release(g.latches)
	g.latches = nil
}

// sequence acquires latches and passes the lock table, in as many rounds as
// it takes. It reports whether it had to give way. On error g is finished.
func (m *Manager) sequence(ctx context.Context, g *Guard) (waited bool, _ *kvapi.Error) {
	for {
		l, err := m.latches.Acquire(ctx, g.req.Spans.Latches)
		if errors.Is(err, latch.ErrLost) {
			m.Finish(g)
			return waited, m.available.why()
		}
		if err != nil {
			m.Finish(g)
			return waited, kvapi.NewError(kvapi.ErrCanceled, "waiting for latches: %v", err)
		}
		g.latches = l
		out := m.scan(g)
		if out.Kind == locktable.Free {
			t := m.turns.meet(g)
			if t == nil {
				return waited, nil
			}
			m.Finish(g) // I2, I5
			g.place, waited = nil, true
			if err := m.turns.wait(ctx, g, t); err != nil {
				return waited, err
			}
			continue
		}
		m.releaseLatches(g) // I2
		waited = true
		if err := m.giveWay(ctx, g, out); err != nil {
			m.Finish(g)
			return waited, err
		}
	}
}

func (m *Manager) scan(g *Guard) locktable.Outcome {
	if len(g.req.Spans.Locks) == 0 {
		return locktable.Outcome{}
	}
	if g.place == nil {
		// Whoever inserts a conflicting lock needs a conflicting latch, so a
		// table that is empty now stays without one while we hold ours.
		if m.locks.Empty() {
			return locktable.Outcome{}
		}
		g.place = m.locks.NewRequest(g.req.Txn, g.req.Spans.Locks)
	}
	return m.locks.Scan(g.place)
}

// giveWay does what an outcome other than Free asks for, without latches.
func (m *Manager) giveWay(ctx context.Context, g *Guard, out locktable.Outcome) *kvapi.Error {
	switch out.Kind {
	case locktable.Resolve:
		return m.resolve(ctx, out.Resolve)
	case locktable.Conflict:
		return m.refuse(ctx, g, out.Blocker)
	}
	return m.wait(ctx, g, out.Blocker)
}

func (m *Manager) resolve(ctx context.Context, updates []kvapi.LockUpdate) *kvapi.Error {
	if len(updates) == 0 {
		return nil
	}
	if err := m.cfg.Pusher.ResolveIntents(ctx, updates); err != nil {
		m.locks.Unresolved(updates)
		return err
	}
	m.locks.Resolved(updates)
	return nil
}

// refuse ends a request that will not wait, unless the lock's holder turns
// out to have finished.
func (m *Manager) refuse(ctx context.Context, g *Guard, b locktable.Blocker) *kvapi.Error {
	if b.Held && len(b.Txn.AnchorKey) > 0 {
		pusher, name := pusherOf(g.req.Txn)
		txn, err := m.cfg.Pusher.PushTxn(ctx, pusher, name, b.Txn, kvapi.PushTouch, b.To)
		if err == nil && txn.Status.IsFinal() {
			m.cfg.Txns.Add(txn)
			return nil
		}
		if err != nil && err.Kind != kvapi.ErrPushFailed {
			return err
		}
	}
	e := kvapi.NewError(kvapi.ErrLockConflict, "key %s is locked by transaction %s", b.Key, b.Txn.ID.Short())
	e.Locks, e.Key = []kvapi.Lock{b.Lock}, b.Key
	if !b.Txn.ID.IsZero() {
		e.Other = &b.Txn
	}
	return e
}

// pusherOf is the identity under which a request pushes, and its name for people.
func pusherOf(txn *kvapi.Transaction) (m kvapi.TxnMeta, name string) {
	if txn == nil {
		return kvapi.TxnMeta{Priority: kvapi.PriorityNormal}, ""
	}
	return txn.TxnMeta, txn.Name
}
