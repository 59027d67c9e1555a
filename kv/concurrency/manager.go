package concurrency

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/latch"
	"github.com/cairndb/cairn/kv/concurrency/locktable"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/concurrency/txnwait"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Config is what a Manager needs from its store.
type Config struct {
	Clock *hlc.Clock
	// Pusher reaches other ranges; the store passes its *intents.Resolver.
	// Without one (a store that is alone, in tests) waiters only wait.
	Pusher Pusher
	// Txns is the store's cache of finished transactions, shared by the
	// managers of all its ranges.
	Txns *txncache.Cache
}

// Pusher moves lock holders out of the way and cleans up after them. Calls go
// through the distributed sender and come back to whichever range is meant,
// this one included.
type Pusher interface {
	// PushTxn returns the pushee's record after the push. pusher may be the
	// zero value but for its priority: a request outside any transaction. name
	// is the pusher's, for people.
	PushTxn(ctx context.Context, pusher kvapi.TxnMeta, name string, pushee kvapi.TxnMeta, typ kvapi.PushType,
		to hlc.Timestamp) (*kvapi.Transaction, *kvapi.Error)
	// QueryTxn returns a transaction's record and who waits for it, unless
	// known is zero when that has changed (kvapi.PushArgs.Known).
	QueryTxn(ctx context.Context, txn kvapi.TxnMeta, known kvapi.WaitsSum) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error)
	// ResolveIntents resolves replicated locks and returns when all are.
	ResolveIntents(ctx context.Context, updates []kvapi.LockUpdate) *kvapi.Error
}

// Request is what a batch declares before it may run.
type Request struct {
	// Txn is nil outside a transaction.
	Txn *kvapi.Transaction
	// Spans is what evaluation declared. The manager keeps it until Finish.
	Spans spanset.Spans
	// LockTimeout, if positive, bounds the wait for one lock.
	LockTimeout time.Duration
	// Turn and Holds are the header's.
	Turn  kvapi.TurnID
	Holds bool
}

// Manager orders the requests of one range. All methods are safe for
// concurrent use.
type Manager struct {
	cfg     Config
	latches *latch.Manager
	locks   *locktable.Table
	pushes  *txnwait.Queue
	turns   turns

	available availability
	lockWaits atomic.Int64
	pushCount atomic.Int64
}

// New returns the manager of one range. It tracks no locks until
// OnLeaseChanged says that this replica holds the lease.
func New(cfg Config) *Manager {
	if cfg.Pusher == nil {
		cfg.Pusher = alone{}
	}
	if cfg.Txns == nil {
		cfg.Txns = txncache.New()
	}
	m := &Manager{
		cfg:     cfg,
		latches: latch.New(),
		locks:   locktable.New(cfg.Txns),
		pushes:  txnwait.New(cfg.Txns, cfg.Pusher, cfg.Clock),
	}
	m.turns.txns = cfg.Txns
	m.available.lost = make(chan struct{})
	m.latches.Lost = m.available.wait
	return m
}

// alone is the Pusher of a manager that reaches nobody.
type alone struct{}

func (alone) PushTxn(context.Context, kvapi.TxnMeta, string, kvapi.TxnMeta, kvapi.PushType,
	hlc.Timestamp) (*kvapi.Transaction, *kvapi.Error) {
	return nil, kvapi.NewError(kvapi.ErrPushFailed, "no way to other ranges")
}

func (alone) QueryTxn(context.Context, kvapi.TxnMeta, kvapi.WaitsSum) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error) {
	return nil, nil, kvapi.NewError(kvapi.ErrUnavailable, "no way to other ranges")
}

func (alone) ResolveIntents(context.Context, []kvapi.LockUpdate) *kvapi.Error {
	return kvapi.NewError(kvapi.ErrUnavailable, "no way to other ranges")
}

// OnLockAcquired notes a lock that evaluation acquired (unreplicated) or that
// was applied (replicated). Called before Finish of the acquiring request.
func (m *Manager) OnLockAcquired(l kvapi.Lock) { m.locks.Acquired(l) }

// OnLockUpdated notes that locks in u.Span were resolved, whether or not one
// was found on disk. Called while the resolving request holds its latches.
func (m *Manager) OnLockUpdated(u kvapi.LockUpdate) { m.locks.Updated(u) }

// OnTxnUpdated notes a record's new state (finalised, or pushed): on the
// anchor's range for every change, elsewhere for what is learnt. It releases
// the transaction's unreplicated locks on this range and wakes those who wait
// for it here, or, by the shared cache, anywhere in the store. txn must not
// change later.
func (m *Manager) OnTxnUpdated(txn *kvapi.Transaction) {
	m.cfg.Txns.Add(txn)
	if txn.Status.IsFinal() {
		m.locks.TxnFinished(txn.ID)
	}
	m.pushes.OnTxnUpdated(txn.ID)
}

// OnImplicitCommit notes that a staging transaction is committed by its writes,
// as its coordinator knows before its record does: whoever waits to read what
// it wrote, or to lock it, goes on now. txn must not change later.
func (m *Manager) OnImplicitCommit(staging *kvapi.Transaction) { m.cfg.Txns.AddImplicit(staging) }

// OnLeaseChanged forgets all locks and wakes all waiters. holder says whether
// this replica now holds the lease seq; without it the manager tracks nothing.
// It is not for extensions, which keep the sequence.
func (m *Manager) OnLeaseChanged(holder bool, seq kvapi.LeaseSequence) {
	m.locks.SetLease(holder, seq)
	m.pushes.Clear()
	m.turns.clear()
}

// OnTurnEnded notes that the transaction with a turn has sent all that it had to
// send to this range.
func (m *Manager) OnTurnEnded(id kvapi.TurnID) { m.turns.finish(id) }

// OnSplit moves the locks at or after at to right, the manager of the new
// range, for which OnLeaseChanged has been called. Waiters for them are woken
// and find that their range has changed.
func (m *Manager) OnSplit(at kvapi.Key, right *Manager) {
	right.locks.Adopt(m.locks.SplitOff(at))
	m.pushes.Clear()
	m.turns.clear()
}

// OnMerge takes over the locks of right, the manager of a range that this one's
// swallows: nothing evaluates there any more. It tracks none of them if this
// replica does not hold the lease. Those who waited there find that their range
// is gone.
func (m *Manager) OnMerge(right *Manager) {
	m.locks.Adopt(right.locks.SplitOff(nil))
}

// OnRemoved ends the range here: all waiters are woken.
func (m *Manager) OnRemoved() { m.OnLeaseChanged(false, 0) }

// MaybeWaitForPush is called before a batch with PushTxn or QueryTxn is
// sequenced. It returns a response if the answer is known already (the
// transaction is finished), else nil: evaluate. Call AfterPush then.
func (m *Manager) MaybeWaitForPush(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	return m.pushes.MaybeAnswer(ba), nil
}

// AfterPush is called after such a batch was evaluated and its guard
// finished, with evaluation's answer. It adds the waiters to QueryTxn's
// responses. If a push failed, it waits until trying again makes sense and
// returns the batch to evaluate then (not always ba: a deadlock's victim is
// pushed by force), or an error. (nil, nil) means: answer with br, pErr.
func (m *Manager) AfterPush(ctx context.Context, ba *kvapi.BatchRequest, br *kvapi.BatchResponse,
	pErr *kvapi.Error) (again *kvapi.BatchRequest, err *kvapi.Error) {
	return m.pushes.After(ctx, ba, br, pErr)
}

// Metrics is a snapshot of a manager.
type Metrics struct {
	Latches, Locks, LockWaiters, PushWaiters int64
	// Counters since the start.
	LockWaits, Pushes, LatchWaits, LocksDropped, Turns, TurnWaits int64
}

// Metrics returns the manager's state in numbers. It walks the lock table.
func (m *Manager) Metrics() Metrics {
	s := m.locks.Stats()
	return Metrics{
		Latches:      m.latches.Count(),
		Locks:        s.Keys,
		LockWaiters:  s.Waiters,
		PushWaiters:  m.pushes.Count(),
		LockWaits:    m.lockWaits.Load(),
		Pushes:       m.pushCount.Load(),
		LatchWaits:   m.latches.Waits(),
		LocksDropped: s.Dropped,
		Turns:        m.turns.given.Load(),
		TurnWaits:    m.turns.waits.Load(),
	}
}

// Locks lists at most max of the locks that are known and of the requests that
// wait for them, for people. Not every lock on disk is known.
func (m *Manager) Locks(max int) []kvapi.LockState { return m.locks.List(max) }

// DescribeLocks prints the lock table, a key a line, for people.
func (m *Manager) DescribeLocks() string {
	return m.locks.String(func(r *locktable.Request) string { return fmt.Sprintf("#%d", r.Seq()) },
		func(id kvapi.TxnID) string {
			if t := m.cfg.Txns.Get(id); t != nil {
				return fmt.Sprintf("%s (known as %s)", id.Short(), t.Status)
			}
			return id.Short()
		})
}
