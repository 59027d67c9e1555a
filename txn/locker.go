package txn

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Locker holds durable locks for something that lives longer than a
// transaction, as a session does, and gives them up one by one:
//
//	Lock a ──▶ Lock b ──▶ Unlock a ──▶ Close
//	└──────── one transaction, kept alive by heartbeats ────────┘
//
// Its transaction writes nothing and never commits. If its node dies, the
// heartbeats end, and five seconds later whoever wants a lock aborts it. The
// same happens to a node that is cut off, which learns of it (Lost) at the
// latest when it can speak again: a lock of this kind is advice, and who needs
// more passes on a fencing token.
//
// A transaction for each lock would be simpler, but a deadlock of two lockers
// would then be four transactions of which none waits for itself.
//
// It is for one goroutine at a time.
type Locker struct {
	db   *DB
	name string
	// t is nil while nothing is held.
	t *Txn
	// shown is t for TxnID.
	shown atomic.Pointer[Txn]
	held  map[string]kvapi.LockStrength
}

// LocksLostError says that a Locker was taken for dead: its locks may be held
// by others already.
type LocksLostError struct{}

// Error implements error.
func (LocksLostError) Error() string { return "the locks were lost: their holder was taken for dead" }

// NewLocker returns a Locker that holds nothing.
func (db *DB) NewLocker(name string) *Locker {
	return &Locker{db: db, name: name, held: map[string]kvapi.LockStrength{}}
}

// Lock takes a lock, or strengthens one. With WaitError it fails with a
// LockConflictError rather than wait; otherwise it waits for timeout (0: for
// ever). After an error it holds what it held before.
func (l *Locker) Lock(ctx context.Context, key kvapi.Key, s kvapi.LockStrength, w kvapi.WaitPolicy, timeout time.Duration) error {
	if l.held[string(key)] >= s {
		return nil
	}
	if l.t == nil {
		l.t = l.db.Begin(Options{Name: l.name})
		l.t.outlives = true
		l.shown.Store(l.t)
	}
	t := l.t
	t.SetLockTimeout(timeout)
	// What it has read means nothing: it reads on at the present.
	now := l.db.cfg.Clock.Now().Timestamp()
	t.failed = nil
	t.refresher.reset()
	t.update(func(p *kvapi.Transaction) {
		p.ReadTimestamp.Forward(now)
		p.WriteTimestamp.Forward(now)
	})
	_, _, err := t.Get(ctx, key, GetOptions{Lock: s, Wait: w, Durable: true})
	if err == nil {
		l.held[string(key)] = s
		return nil
	}
	if l.Lost() {
		l.drop(ctx)
		return LocksLostError{}
	}
	if l.held[string(key)] == kvapi.LockNone {
		// The lock may be there, or come yet, though the answer did not.
		_ = l.release(context.WithoutCancel(ctx), key)
	}
	return err
}

// Unlock gives up a lock, and returns when others can have it.
func (l *Locker) Unlock(ctx context.Context, key kvapi.Key) error {
	if l.held[string(key)] == kvapi.LockNone {
		return nil
	}
	delete(l.held, string(key))
	return l.release(ctx, key)
}

// release takes the lock of a key off, and ends the transaction when it holds
// nothing more: a lock that a late request still leaves then is nobody's, and
// the next to want it finds that out.
func (l *Locker) release(ctx context.Context, key kvapi.Key) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupMax)
	defer cancel()
	u := kvapi.LockUpdate{Span: kvapi.Span{Key: key}, Txn: l.t.snapshot().TxnMeta, Status: kvapi.Aborted}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: l.db.cfg.NodeID}}
	_, err := l.db.Send(ctx, ba.Add(kvapi.Request{Kind: kvapi.ResolveIntent, Key: key, Resolve: &u}))
	if len(l.held) == 0 {
		l.drop(ctx)
	}
	return err
}

// Lost reports whether the locks are known to have been lost.
func (l *Locker) Lost() bool { return l.t != nil && l.t.recordAborted() }

// Check asks the transaction's record whether the locks are still held, as of
// now. It fails with LocksLostError if not.
func (l *Locker) Check(ctx context.Context) error {
	if l.t == nil {
		return LocksLostError{}
	}
	p := l.t.snapshot()
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: p, Gateway: l.db.cfg.NodeID}}
	ba.Add(kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: p.AnchorKey, Now: l.db.cfg.Clock.Now().Timestamp()})
	br, err := l.db.cfg.Sender.Send(ctx, ba)
	switch {
	case err != nil && err.Kind == kvapi.ErrTxnAborted,
		err == nil && br.Responses[0].Pushee != nil && br.Responses[0].Pushee.Status == kvapi.Aborted:
		l.t.onRecordAborted(p.ID)
		return LocksLostError{}
	case err != nil:
		return wrapError(ctx, err)
	}
	return nil
}

// TxnID is the transaction that holds the locks, or waits for one; zero if
// there is none. Unlike the rest, any goroutine may ask.
func (l *Locker) TxnID() kvapi.TxnID {
	if t := l.shown.Load(); t != nil {
		return t.ID()
	}
	return kvapi.TxnID{}
}

// Close gives up everything.
func (l *Locker) Close(ctx context.Context) { l.drop(ctx) }

func (l *Locker) drop(ctx context.Context) {
	if l.t != nil {
		_ = l.t.Rollback(context.WithoutCancel(ctx))
	}
	l.t = nil
	l.shown.Store(nil)
	clear(l.held)
}
