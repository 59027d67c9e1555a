package txn_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

func TestHeartbeatsKeepTheLocksOfALongTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, ctx := txntest.New(t), context.Background()
		tx := env.DB.Begin(txn.Options{})
		_, _, err := tx.Get(ctx, k("a"), txn.GetOptions{Lock: kvapi.LockExclusive})
		must(t, err)
		time.Sleep(30 * time.Second)
		other := env.DB.Begin(txn.Options{})
		var lc *txn.LockConflictError
		_, _, err = other.Get(ctx, k("a"), txn.GetOptions{Lock: kvapi.LockExclusive, Wait: kvapi.WaitError})
		if !errors.As(err, &lc) {
			t.Fatalf("after 30 s the lock was gone: %v", err)
		}
		must(t, tx.Put(ctx, k("a"), []byte("1")))
		must(t, tx.Commit(ctx))
		wantValue(t, env, "a", "1")
	})
}

func TestLocksOfADeadCoordinatorExpireAndItsCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, ctx := txntest.New(t), context.Background()
		dead := txntest.Over(t, env.Cluster, env.Clock)
		tx := dead.DB.Begin(txn.Options{})
		_, _, err := tx.Get(ctx, k("a"), txn.GetOptions{Lock: kvapi.LockExclusive})
		must(t, err)
		must(t, tx.Put(ctx, k("a"), []byte("dead")))
		must(t, dead.DB.Close(ctx)) // no more heartbeats
		start := time.Now()
		put(t, env, "a", "alive")
		if d := time.Since(start); d > 7*time.Second {
			t.Errorf("waited %s", d)
		}
		if err := tx.Commit(ctx); !txn.IsRetryable(err) {
			t.Fatalf("commit of the dead: %v", err)
		}
		wantValue(t, env, "a", "alive")
	})
}

func TestReaderFinishesTheCommitOfADeadCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, ctx := txntest.New(t), context.Background()
		env.Cluster.Split(k("m"))
		dead := txntest.Over(t, env.Cluster, env.Clock)
		put(t, env, "b", "0")
		tx := dead.DB.Begin(txn.Options{})
		must(t, tx.Put(ctx, k("a"), []byte("1")))
		must(t, tx.Put(ctx, k("z"), []byte("1")))
		failExplicit(env, kvapi.ErrNodeUnreachable) // it never arrives
		must(t, tx.Commit(ctx))
		must(t, env.DB.Run(ctx, txn.Options{}, func(ctx context.Context, r *txn.Txn) error {
			v, ok, err := r.Get(ctx, k("z"), txn.GetOptions{})
			if err == nil && (!ok || string(v) != "1") {
				t.Errorf("z = %q, %v after recovery", v, ok)
			}
			return err
		}))
		wantValue(t, env, "a", "1")
		if n := env.Cluster.Intents(); n != 0 {
			t.Errorf("%d intents left", n)
		}
		must(t, dead.DB.Close(ctx))
	})
}

// failExplicit makes explicit commits fail, which nobody waits for.
func failExplicit(env *txntest.Env, kind kvapi.ErrorKind) (tries *atomic.Int32) {
	tries = new(atomic.Int32)
	env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if ba.Deferrable && ba.Requests[0].Kind == kvapi.RecoverTxn && ba.Requests[0].Recover.Txn.Status == kvapi.Staging {
			tries.Add(1)
			return memkv.Fault{Before: kvapi.NewError(kind, "no")}
		}
		return memkv.Fault{}
	})
	return tries
}

// TestRefusedExplicitCommitChangesNothing: others may have recovered the
// transaction, resolved its locks and forgotten its record.
func TestRefusedExplicitCommitChangesNothing(t *testing.T) {
	env, ctx := txntest.New(t), context.Background()
	env.Cluster.Split(k("m"))
	tries := failExplicit(env, kvapi.ErrTxnAborted)
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	must(t, tx.Put(ctx, k("z"), []byte("1")))
	must(t, tx.Commit(ctx))
	must(t, env.DB.Close(ctx))
	if n := tries.Load(); n != 1 || !tx.Stats().Parallel || env.DB.Metrics().Committed.Load() != 1 {
		t.Errorf("%d explicit commits, stats %+v", n, tx.Stats())
	}
}

func TestDeadlockHasOneVictimAndBothFinish(t *testing.T) {
	env, ctx := txntest.New(t), context.Background()
	put(t, env, "a", "0", "b", "0")
	done := make(chan error, 2)
	ready := make(chan struct{}, 2)
	lock := txn.GetOptions{Lock: kvapi.LockExclusive}
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		go func() {
			first := true
			done <- env.DB.Run(ctx, txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
				if _, _, err := tx.Get(ctx, k(order[0]), lock); err != nil {
					return err
				}
				if first {
					first = false
					ready <- struct{}{}
					for len(ready) < 2 {
						time.Sleep(time.Millisecond)
					}
				}
				if _, _, err := tx.Get(ctx, k(order[1]), lock); err != nil {
					return err
				}
				return errors.Join(tx.Put(ctx, k(order[0]), []byte("1")), tx.Put(ctx, k(order[1]), []byte("1")))
			})
		}()
	}
	must(t, <-done)
	must(t, <-done)
	if n := env.DB.Metrics().Restarts.Load(); n == 0 {
		t.Error("nobody was a victim")
	}
}
