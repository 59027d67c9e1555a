package txn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

func get(t *testing.T, tx *txn.Txn, key, want string, o txn.GetOptions) {
	t.Helper()
	v, _, err := tx.Get(context.Background(), k(key), o)
	must(t, err)
	if string(v) != want {
		t.Errorf("%s = %q, want %q", key, v, want)
	}
}

func wantRetry(t *testing.T, err error, key string) {
	t.Helper()
	var r *txn.RetryError
	if !errors.As(err, &r) || !r.Key.Equal(k(key)) {
		t.Errorf("%v, want a conflict on %s", err, key)
	}
}

var weak = map[string]txn.Isolation{"snapshot": txn.Snapshot, "read committed": txn.ReadCommitted}

// push has the commit of whoever writes key move above the present.
func push(t *testing.T, env *txntest.Env, key string) {
	t.Helper()
	_, _, err := env.DB.Begin(txn.Options{}).Get(context.Background(), k(key), txn.GetOptions{})
	must(t, err)
}

// atWeakLevels runs a test at each of them, over a and b.
func atWeakLevels(t *testing.T, test func(*testing.T, *txntest.Env, *txn.Txn)) {
	for name, level := range weak {
		t.Run(name, func(t *testing.T) {
			env := txntest.New(t)
			put(t, env, "a", "1", "b", "1")
			tx := env.DB.Begin(txn.Options{Isolation: level})
			tx.BeginStatement()
			test(t, env, tx)
		})
	}
}

func TestPlainReadsNeedNotHoldAtTheCommit(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", txn.GetOptions{})
		put(t, env, "a", "2")
		must(t, tx.Put(t.Context(), k("b"), []byte("2")))
		must(t, tx.Commit(t.Context()))
		if n := tx.Stats().Refreshes; n != 0 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestALostLockIsNoticedByTheWriteOfItsKey(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", forUpdate)
		loseLocks(env, "a")
		put(t, env, "a", "2")
		tx.BeginStatement()
		must(t, tx.Put(t.Context(), k("a"), []byte("3")))
		wantRetry(t, tx.Commit(t.Context()), "a")
		wantValue(t, env, "a", "2")
	})
}

func TestALostLockOfAKeyThatIsOnlyLockedIsNoticed(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", forUpdate)
		loseLocks(env, "a")
		put(t, env, "a", "2")
		push(t, env, "b")
		tx.BeginStatement()
		must(t, tx.Put(t.Context(), k("b"), []byte("3")))
		wantRetry(t, tx.Commit(t.Context()), "a")
		wantValue(t, env, "b", "1")
	})
}

func TestALostLockIsNoticedWithoutAWrite(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", forUpdate)
		loseLocks(env, "a")
		put(t, env, "a", "2")
		wantRetry(t, tx.Commit(t.Context()), "a")
	})
}

func TestALockOnAnAbsentKeyIsNoticedToo(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "new", "", forUpdate)
		must(t, tx.Put(t.Context(), k("new"), []byte("mine")))
		loseLocks(env, "a")
		put(t, env, "new", "theirs")
		wantRetry(t, tx.Commit(t.Context()), "new")
		wantValue(t, env, "new", "theirs")
	})
}

func TestALockedKeyIsCheckedUpToWhereTheCommitEndsUp(t *testing.T) {
	// After the locked key was checked, and before the commit arrives, somebody
	// writes it, and then has the commit pushed above that write.
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", forUpdate)
		loseLocks(env, "a")
		tx.BeginStatement()
		must(t, tx.Put(t.Context(), k("b"), []byte("3")))
		raced := false
		env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
			if !raced && ba.EndTxnRequest() != nil && ba.Txn != nil && ba.Txn.ID == tx.ID() {
				raced = true
				put(t, env, "a", "2")
				push(t, env, "b")
			}
			return memkv.Fault{}
		})
		wantRetry(t, tx.Commit(t.Context()), "a")
		if !raced {
			t.Fatal("no race")
		}
		wantValue(t, env, "b", "1")
	})
}

func TestLockingAndWritingAKeyNeedsNoRefresh(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", forUpdate)
		tx.BeginStatement()
		must(t, tx.Put(t.Context(), k("a"), []byte("2")))
		before := tx.Stats().Batches
		must(t, tx.Commit(t.Context()))
		if s := tx.Stats(); s.Refreshes != 0 || s.Batches != before+1 {
			t.Errorf("commit cost %+v", s)
		}
	})
}

func TestTheFirstCommitterWinsAlsoOverBlindWrites(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "b", "1", txn.GetOptions{})
		must(t, tx.Put(t.Context(), k("a"), []byte("2")))
		put(t, env, "a", "3")
		wantRetry(t, tx.Commit(t.Context()), "a")
		wantValue(t, env, "a", "3")
	})
}

func TestASnapshotStaysAndAStatementSeesThePresent(t *testing.T) {
	for level, want := range map[txn.Isolation]string{txn.Serializable: "1", txn.Snapshot: "1", txn.ReadCommitted: "2"} {
		env := txntest.New(t)
		put(t, env, "a", "1", "b", "1")
		tx := env.DB.Begin(txn.Options{Isolation: level})
		tx.BeginStatement()
		get(t, tx, "b", "1", txn.GetOptions{})
		put(t, env, "a", "2")
		tx.BeginStatement()
		get(t, tx, "a", want, txn.GetOptions{})
	}
}

func TestAStatementOfReadCommittedRunsAgain(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "1", "b", "1")
	ctx := t.Context()
	tx := env.DB.Begin(txn.Options{Isolation: txn.ReadCommitted})
	tx.BeginStatement()
	must(t, tx.Put(ctx, k("c"), []byte("first")))

	st := tx.BeginStatement()
	must(t, tx.Put(ctx, k("d"), []byte("second")))
	get(t, tx, "a", "1", txn.GetOptions{})
	put(t, env, "a", "2")
	_, _, err := tx.Get(ctx, k("a"), forUpdate)
	wantRetry(t, err, "a")
	must(t, tx.RetryStatement(st, err))
	get(t, tx, "d", "", txn.GetOptions{})
	get(t, tx, "a", "2", forUpdate)
	must(t, tx.Commit(ctx))
	wantValue(t, env, "c", "first")
	wantValue(t, env, "d", "")
}

func TestAStatementDoesNotRunAgainWhereThatIsNotEnough(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "1")
	conflict := func(tx *txn.Txn) error {
		get(t, tx, "a", "1", txn.GetOptions{})
		put(t, env, "a", "1")
		_, _, err := tx.Get(t.Context(), k("a"), forUpdate)
		wantRetry(t, err, "a")
		return err
	}
	for _, level := range []txn.Isolation{txn.Serializable, txn.Snapshot} {
		tx := env.DB.Begin(txn.Options{Isolation: level})
		st := tx.BeginStatement()
		if err := conflict(tx); tx.RetryStatement(st, err) != err {
			t.Errorf("level %d runs a statement again", level)
		}
		must(t, tx.Rollback(t.Context())) // it has the lock that it came too late for
	}
	tx := env.DB.Begin(txn.Options{Isolation: txn.ReadCommitted})
	st := tx.BeginStatement()
	err := conflict(tx)
	must(t, tx.PrepareForRetry(err))
	if tx.RetryStatement(st, err) == nil {
		t.Error("a statement of before a restart runs again")
	}
	_ = tx.Rollback(t.Context())
	if tx.RetryStatement(st, err) == nil {
		t.Error("a statement runs again after the end")
	}
}

func TestWhatWasLockedHoldsInATransactionThatBecomesSerializable(t *testing.T) {
	atWeakLevels(t, func(t *testing.T, env *txntest.Env, tx *txn.Txn) {
		get(t, tx, "a", "1", forUpdate)
		tx.BeginStatement()
		must(t, tx.MakeSerializable(t.Context()))
		get(t, tx, "b", "1", txn.GetOptions{})
		loseLocks(env, "a")
		put(t, env, "a", "2")
		push(t, env, "c")
		must(t, tx.Put(t.Context(), k("c"), []byte("3")))
		wantRetry(t, tx.Commit(t.Context()), "a")
	})
}

func TestManyLocksAreRememberedInBoundedMemoryAndStillHold(t *testing.T) {
	env := txntest.New(t)
	ctx := t.Context()
	tx := env.DB.Begin(txn.Options{Isolation: txn.ReadCommitted})
	tx.BeginStatement()
	const n, written = 60_000, 10_000
	sp := tx.Savepoint()
	keys := make([]kvapi.Key, n)
	for i := range keys {
		keys[i] = k(fmt.Sprintf("row-%020d", i))
	}
	for i := 0; i < n; i += 1000 {
		_, err := tx.GetMany(ctx, keys[i:i+1000], forUpdate)
		must(t, err)
		if i < written {
			for _, key := range keys[i : i+1000] {
				must(t, tx.Put(ctx, key, nil))
			}
		}
	}
	if b := tx.HeldBytes(); b > 5<<20 {
		t.Errorf("%d bytes of locks", b)
	}
	// The locks stay when the writes go.
	must(t, tx.RollbackTo(sp))
	loseLocks(env, "a")
	put(t, env, fmt.Sprintf("row-%020d", 77), "theirs")
	push(t, env, "z")
	must(t, tx.Put(ctx, k("z"), nil))
	wantRetry(t, tx.Commit(ctx), fmt.Sprintf("row-%020d", 77))
}
