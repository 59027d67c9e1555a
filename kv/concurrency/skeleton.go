package concurrency

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Manager orders the requests of one range.
type Manager struct{ cfg Config }

// Guard is a request's permission to evaluate. Finish ends it.
type Guard struct{}

// New returns the manager of one range. It tracks no locks until
// OnLeaseChanged says that this replica holds the lease.
func New(cfg Config) *Manager { return &Manager{cfg: cfg} }

var errTodo = kvapi.NewError(kvapi.ErrInternal, "concurrency: not built yet")

// SequenceRequest blocks until the request may evaluate: its latches are held
// and no conflicting lock is known. On error nothing is held and there is no
// guard. The lease is to be checked after it returned.
func (m *Manager) SequenceRequest(ctx context.Context, req Request) (*Guard, *kvapi.Error) {
	return nil, errTodo
}

// HandleLockConflict takes the locks that evaluation under lease seq ran into
// (ErrLockConflict), gives up the latches, waits for the locks and sequences
// the request again. On success the same guard is ready to evaluate again
// (check the lease again); on error the guard is finished.
func (m *Manager) HandleLockConflict(ctx context.Context, g *Guard, seq kvapi.LeaseSequence,
	locks []kvapi.Lock) *kvapi.Error {
	return errTodo
}

// Finish ends a request: latches and queue places are given up. It is called
// after OnLockAcquired, OnLockUpdated and OnTxnUpdated for the request's
// effects. Calling it twice, or with nil, is allowed.
func (m *Manager) Finish(g *Guard) {}

// ShouldSkip reports whether a SKIP LOCKED request leaves key out.
func (g *Guard) ShouldSkip(key kvapi.Key) bool { return false }

// OnLockAcquired notes a lock that evaluation acquired (unreplicated) or that
// was applied (replicated). Called before Finish of the acquiring request.
func (m *Manager) OnLockAcquired(l kvapi.Lock) {}

// OnLockUpdated notes that locks in u.Span were resolved, whether or not one
// was found on disk. Called while the resolving request holds its latches.
func (m *Manager) OnLockUpdated(u kvapi.LockUpdate) {}

// OnTxnUpdated notes a record's new state (finalised, or pushed): on the
// anchor's range for every change, elsewhere for what is learnt.
func (m *Manager) OnTxnUpdated(txn *kvapi.Transaction) {}

// OnLeaseChanged forgets all locks and wakes all waiters. holder says whether
// this replica now holds the lease seq; without it the manager tracks nothing.
func (m *Manager) OnLeaseChanged(holder bool, seq kvapi.LeaseSequence) {}

// OnSplit moves the locks at or after at to right, the manager of the new
// range, for which OnLeaseChanged has been called.
func (m *Manager) OnSplit(at kvapi.Key, right *Manager) {}

// OnRemoved ends the range here: all waiters are woken.
func (m *Manager) OnRemoved() {}

// MaybeWaitForPush is called before a batch with PushTxn or QueryTxn is
// sequenced. It returns a response if the answer is known already (the
// transaction is finished), else nil: evaluate.
func (m *Manager) MaybeWaitForPush(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	return nil, nil
}

// AfterPush is called after such a batch was evaluated and its guard
// finished, with evaluation's answer. It adds the waiters to QueryTxn's
// responses. If a push failed, it waits until trying again makes sense and
// returns the batch to evaluate then (not always ba: a deadlock's victim is
// pushed by force), or an error. (nil, nil) means: answer with br, pErr.
func (m *Manager) AfterPush(ctx context.Context, ba *kvapi.BatchRequest, br *kvapi.BatchResponse,
	pErr *kvapi.Error) (again *kvapi.BatchRequest, err *kvapi.Error) {
	return nil, nil
}

// Metrics is a snapshot of a manager.
type Metrics struct {
	Latches, Locks, LockWaiters, PushWaiters int64
	// Counters since the start.
	LockWaits, Pushes, LatchWaits, LocksDropped int64
}

// Metrics returns the manager's state in numbers.
func (m *Manager) Metrics() Metrics { return Metrics{} }
