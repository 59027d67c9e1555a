package txn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

func isBusy(err error) bool {
	var busy *txn.LockConflictError
	return errors.As(err, &busy)
}

func TestLockerGivesLocksUpOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, ctx := txntest.New(t), context.Background()
		env.Cluster.Split(k("b"))
		a, b := env.DB.NewLocker("a"), env.DB.NewLocker("b")
		try := func(l *txn.Locker, key string, s kvapi.LockStrength) error {
			return l.Lock(ctx, k(key), s, kvapi.WaitError, 0)
		}
		must(t, try(a, "a", kvapi.LockExclusive))
		must(t, try(a, "b", kvapi.LockShared))
		must(t, try(b, "b", kvapi.LockShared))
		if !isBusy(try(b, "a", kvapi.LockShared)) || !isBusy(try(b, "b", kvapi.LockExclusive)) {
			t.Fatal("another got a lock that is held")
		}
		time.Sleep(time.Hour)
		must(t, a.Check(ctx))
		must(t, a.Unlock(ctx, k("b")))
		must(t, try(b, "b", kvapi.LockExclusive))
		if !isBusy(try(b, "a", kvapi.LockShared)) {
			t.Fatal("giving up one lock gave up another")
		}
		must(t, a.Unlock(ctx, k("a")))
		must(t, try(b, "a", kvapi.LockExclusive))
		var late *txn.LockTimeoutError
		if err := a.Lock(ctx, k("a"), kvapi.LockExclusive, kvapi.WaitError, 0); !isBusy(err) || errors.As(err, &late) {
			t.Fatal(err)
		}
		b.Close(ctx)
		must(t, a.Lock(ctx, k("a"), kvapi.LockExclusive, kvapi.WaitBlock, 0))
		a.Close(ctx)
	})
}

// Whoever waits for a lock of a node that died has it within seconds, and the
// dead one, should it only have been away, is told.
func TestLocksOfADeadLockerGoToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, ctx := txntest.New(t), context.Background()
		dead := txntest.Over(t, env.Cluster, env.Clock)
		a, b := dead.DB.NewLocker("a"), env.DB.NewLocker("b")
		must(t, a.Lock(ctx, k("a"), kvapi.LockExclusive, kvapi.WaitBlock, 0))
		time.Sleep(time.Minute)
		must(t, a.Check(ctx))
		must(t, dead.DB.Close(ctx)) // no more heartbeats
		start := time.Now()
		must(t, b.Lock(ctx, k("a"), kvapi.LockExclusive, kvapi.WaitBlock, 0))
		if d := time.Since(start); d > 7*time.Second {
			t.Errorf("waited %s", d)
		}
		if err := a.Check(ctx); !errors.As(err, new(txn.LocksLostError)) || !a.Lost() {
			t.Errorf("the dead one was told: %v", err)
		}
		b.Close(ctx)
	})
}

// Two lockers wait for each other: one is told so, and keeps what it had.
func TestDeadlockOfLockersCostsTheVictimOneLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, ctx := txntest.New(t), context.Background()
		ls := []*txn.Locker{env.DB.NewLocker("a"), env.DB.NewLocker("b")}
		for i, key := range []string{"a", "b"} {
			must(t, ls[i].Lock(ctx, k(key), kvapi.LockExclusive, kvapi.WaitBlock, 0))
		}
		errs := make(chan error, 2)
		for i, key := range []string{"b", "a"} {
			go func() {
				err := ls[i].Lock(ctx, k(key), kvapi.LockExclusive, kvapi.WaitBlock, 0)
				if err != nil {
					if own := k([]string{"a", "b"}[i]); !isBusy(env.DB.NewLocker("c").Lock(ctx, own, kvapi.LockShared, kvapi.WaitError, 0)) {
						t.Error("the victim lost the lock that it had")
					}
					ls[i].Close(ctx)
				}
				errs <- err
			}()
		}
		var deadlock *txn.DeadlockError
		if err := <-errs; !errors.As(err, &deadlock) {
			t.Fatalf("first: %v", err)
		}
		must(t, <-errs)
		for _, l := range ls {
			l.Close(ctx)
		}
	})
}
