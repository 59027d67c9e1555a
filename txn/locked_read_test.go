package txn_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

var forUpdate = txn.GetOptions{Lock: kvapi.LockExclusive}

func lockAndPut(t *testing.T, tx *txn.Txn, key, value string) {
	t.Helper()
	if _, _, err := tx.Get(context.Background(), k(key), forUpdate); err != nil {
		t.Fatal(err)
	}
	must(t, tx.Put(context.Background(), k(key), []byte(value)))
}

// loseLocks takes away all locks in memory, as a lease that moves does.
func loseLocks(env *txntest.Env, key string) {
	for _, n := range []kvapi.NodeID{2, 1} {
		env.Cluster.MoveLease(k(key), n)
	}
}

func TestRowsReadUnderALockAndWrittenMoveWithoutARefresh(t *testing.T) {
	env, ctx := txntest.New(t), context.Background()
	put(t, env, "a", "1", "b", "1", "c", "1")
	tx := env.DB.Begin(txn.Options{})
	lockAndPut(t, tx, "a", "2")
	put(t, env, "b", "newer")
	lockAndPut(t, tx, "b", "2")
	put(t, env, "c", "newer")
	lockAndPut(t, tx, "c", "2")
	must(t, tx.Commit(ctx))
	if s := tx.Stats(); s.Refreshes != 0 || s.Retries != 0 {
		t.Errorf("stats %+v, want no refresh", s)
	}
	wantValue(t, env, "a", "2")
	wantValue(t, env, "c", "2")
}

func TestAWriteChecksWhatWasReadUnderALostLock(t *testing.T) {
	env, ctx := txntest.New(t), context.Background()
	put(t, env, "a", "1", "b", "1")
	tx := env.DB.Begin(txn.Options{})
	lockAndPut(t, tx, "a", "2")
	loseLocks(env, "a")
	put(t, env, "a", "theirs", "b", "newer")
	lockAndPut(t, tx, "b", "2") // moves above theirs
	var r *txn.RetryError
	if err := tx.Commit(ctx); !errors.As(err, &r) || !r.Key.Equal(k("a")) {
		t.Fatalf("commit: %v, want a retry that names a", err)
	}
	wantValue(t, env, "a", "theirs")
	wantValue(t, env, "b", "newer")
}

func TestAReadWhoseWriteWasTakenBackIsRefreshed(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		env, ctx := txntest.New(t), context.Background()
		put(t, env, "a", "1", "b", "1")
		tx := env.DB.Begin(txn.Options{})
		sp := tx.Savepoint()
		lockAndPut(t, tx, "a", "2")
		loseLocks(env, "a")
		put(t, env, "a", "theirs", "b", "newer")
		if _, _, err := tx.Get(ctx, k("b"), forUpdate); err != nil { // moves above theirs
			t.Fatal(err)
		}
		must(t, tx.RollbackTo(sp))
		if !readOnly {
			must(t, tx.Put(ctx, k("b"), []byte("2")))
		}
		var r *txn.RetryError
		if err := tx.Commit(ctx); !errors.As(err, &r) || !r.Key.Equal(k("a")) {
			t.Fatalf("read only %v: commit: %v, want a retry that names a", readOnly, err)
		}
	}
}
