package sql

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// advisory are a session's advisory locks. Below they are durable locks on keys of their own
// (keys.Advisory), held by one txn.Locker, so they end with the session or its node. What Postgres
// counts is counted here: a lock taken n times must be given up n times, shared and exclusive
// apart, and those of the transaction go with it.
//
// Stricter than Postgres: a session that has a lock both ways and gives up the exclusive one keeps
// it exclusively until the shared one goes, too; and a lock of a transaction stays until the end of
// it, also past ROLLBACK TO. Weaker: a deadlock between advisory locks and rows is not found, since
// the two are held by different transactions of the store; lock_timeout ends it.
type advisory struct {
	s      *Session
	locker *txn.Locker
	held   map[builtins.AdvisoryKey]*advisoryLock
	// attempt lists what the present attempt of the transaction took for the session: an attempt
	// that starts over gives it back.
	attempt []heldOnce
}

type heldOnce struct {
	key    builtins.AdvisoryKey
	shared bool
}

// advisoryLock counts how often a lock is held: by the session and by the transaction, exclusive
// (0) and shared (1).
type advisoryLock struct {
	session, txn [2]int
	token        int64
}

// advisoryLocksMax bounds a session's locks, as max_locks_per_transaction does in Postgres.
const advisoryLocksMax = 1000

func (l *advisoryLock) free() bool { return l.session == [2]int{} && l.txn == [2]int{} }

func modeIndex(shared bool) int {
	if shared {
		return 1
	}
	return 0
}

func (a *advisory) key(k builtins.AdvisoryKey) kvapi.Key {
	return keys.Advisory(uint32(a.s.db.ID), kindOf(k), k.Number)
}

func kindOf(k builtins.AdvisoryKey) byte {
	if k.Pair {
		return 2
	}
	return 1
}

// Lock implements builtins.Advisory.
func (a *advisory) Lock(ctx context.Context, key builtins.AdvisoryKey, m builtins.AdvisoryMode) (bool, error) {
	l := a.held[key]
	if l == nil {
		if len(a.held) >= advisoryLocksMax {
			return false, sqlerr.New(sqlerr.OutOfMemory, "out of shared memory").
				WithDetail("A session holds at most %d advisory locks.", advisoryLocksMax)
		}
		l = &advisoryLock{}
	}
	if a.locker == nil {
		a.locker = a.s.srv.cfg.DB.NewLocker("advisory locks")
		a.s.noteLocker(a.locker)
	}
	strength, wait := kvapi.LockExclusive, kvapi.WaitBlock
	if m.Shared {
		strength = kvapi.LockShared
	}
	if m.Try {
		wait = kvapi.WaitError
	}
	if err := a.locker.Lock(ctx, a.key(key), strength, wait, a.s.vars.lockTimeout); err != nil {
		return false, a.failed(ctx, err)
	}
	if a.held == nil {
		a.held = map[builtins.AdvisoryKey]*advisoryLock{}
	}
	a.held[key] = l
	if m.Txn {
		l.txn[modeIndex(m.Shared)]++
	} else {
		l.session[modeIndex(m.Shared)]++
		a.attempt = append(a.attempt, heldOnce{key, m.Shared})
	}
	return true, nil
}

// failed is the error of a lock that was not had: nil if that was only tried. None of them is tried
// again in secret, as a transaction would be: the other locks of the session stay as they are.
func (a *advisory) failed(ctx context.Context, err error) error {
	var (
		busy     *txn.LockConflictError
		late     *txn.LockTimeoutError
		deadlock *txn.DeadlockError
		retry    *txn.RetryError
	)
	switch {
	case errors.As(err, &busy):
		return nil
	case errors.As(err, &late):
		return sqlerr.New(sqlerr.LockNotAvailable, "canceling statement due to lock timeout")
	case errors.As(err, &deadlock):
		return sqlerr.New(sqlerr.DeadlockDetected, "deadlock detected").
			WithDetail("Sessions wait for each other's advisory locks.")
	case errors.As(err, new(txn.LocksLostError)):
		return a.lost()
	case errors.As(err, &retry):
		return sqlerr.New(sqlerr.LockNotAvailable, "could not obtain the advisory lock").WithDetail("%s.", capital(retry.Reason))
	}
	return withCause(ctx, err)
}

// lost forgets the locks, and is the error that says so, once.
func (a *advisory) lost() error {
	a.held, a.attempt = nil, nil
	a.locker.Close(context.Background())
	return sqlerr.New(sqlerr.LockNotAvailable, "the advisory locks of this session were lost").
		WithDetail("Its node could not renew them for some seconds, and others may hold them now.")
}

// check finds out, without asking anybody, that the locks are gone.
func (a *advisory) check() error {
	if a.locker == nil || !a.locker.Lost() {
		return nil
	}
	return a.lost()
}

// Unlock implements builtins.Advisory.
func (a *advisory) Unlock(ctx context.Context, key builtins.AdvisoryKey, shared bool) (bool, error) {
	l := a.held[key]
	if l == nil || l.session[modeIndex(shared)] == 0 {
		return false, nil
	}
	l.session[modeIndex(shared)]--
	return true, a.maybeRelease(ctx, key, l)
}

func (a *advisory) maybeRelease(ctx context.Context, key builtins.AdvisoryKey, l *advisoryLock) error {
	if !l.free() {
		return nil
	}
	delete(a.held, key)
	return a.locker.Unlock(ctx, a.key(key))
}

// UnlockAll implements builtins.Advisory.
func (a *advisory) UnlockAll(ctx context.Context) error {
	a.attempt = nil
	return a.releaseAll(ctx, func(l *advisoryLock) { l.session = [2]int{} })
}

// endTxn gives up the locks of the transaction. committed or not is the same; startedOver takes
// back, too, what the attempt took for the session.
func (a *advisory) endTxn(ctx context.Context, startedOver bool) {
	attempt := a.attempt
	a.attempt = nil
	if len(a.held) == 0 {
		return
	}
	if startedOver {
		for _, o := range attempt {
			if l := a.held[o.key]; l != nil && l.session[modeIndex(o.shared)] > 0 {
				l.session[modeIndex(o.shared)]--
			}
		}
	}
	if err := a.releaseAll(ctx, func(l *advisoryLock) { l.txn = [2]int{} }); err != nil {
		a.s.srv.log.Warn("giving up advisory locks", "err", err)
	}
}

func (a *advisory) releaseAll(ctx context.Context, take func(*advisoryLock)) error {
	var errs []error
	for key, l := range a.held {
		take(l)
		errs = append(errs, a.maybeRelease(ctx, key, l))
	}
	return errors.Join(errs...)
}

func (a *advisory) close() {
	if a.locker != nil {
		a.locker.Close(context.Background())
	}
	a.held = nil
}

// Token implements builtins.Advisory. A number is drawn while the lock is held, and given out when
// the lock was held still afterwards; so whoever held it before had drawn before, and whoever comes
// after will draw after. A holder that was taken for dead gets none.
func (a *advisory) Token(ctx context.Context, key builtins.AdvisoryKey) (int64, error) {
	l := a.held[key]
	if l == nil || l.session[0]+l.txn[0] == 0 {
		return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "the session does not hold this advisory lock exclusively")
	}
	if l.token != 0 {
		return l.token, nil
	}
	at := keys.AdvisoryToken(uint32(a.s.db.ID), kindOf(key), key.Number)
	var n uint64
	err := a.s.srv.cfg.DB.Run(ctx, txn.Options{Name: "fencing token"}, func(ctx context.Context, t *txn.Txn) error {
		v, ok, err := t.Get(ctx, at, txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil {
			return err
		}
		n = 1
		if ok && len(v) == 8 {
			n += binary.BigEndian.Uint64(v)
		}
		return t.Put(ctx, at, binary.BigEndian.AppendUint64(nil, n))
	})
	if err == nil {
		err = a.locker.Check(ctx)
	}
	if err != nil {
		return 0, a.failed(ctx, err)
	}
	l.token = int64(n)
	return l.token, nil
}
