package txn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

func k(s string) kvapi.Key { return txntest.Key(s) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, env *txntest.Env, kvs ...string) {
	t.Helper()
	must(t, env.DB.Run(context.Background(), txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
		for i := 0; i < len(kvs); i += 2 {
			if err := tx.Put(ctx, k(kvs[i]), []byte(kvs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}))
}

func wantValue(t *testing.T, env *txntest.Env, key, want string) {
	t.Helper()
	v, ok := env.Cluster.Value(k(key))
	if got := string(v); got != want || ok != (want != "") {
		t.Errorf("%s = %q (%v), want %q", key, got, ok, want)
	}
}

func TestOneRowInsertIsOneBatchInOnePhase(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "warm", "up")
	before := env.Sender.Metrics().Attempts.Load()
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.PutIfAbsent(context.Background(), k("a"), []byte("1")))
	must(t, tx.Commit(context.Background()))
	if n := env.Sender.Metrics().Attempts.Load() - before; n != 1 {
		t.Errorf("took %d calls, want 1", n)
	}
	if s := tx.Stats(); !s.OnePhase || s.Batches != 1 {
		t.Errorf("stats %+v, want one batch in one phase", s)
	}
	wantValue(t, env, "a", "1")
}

func TestDuplicateInsertFailsAtCommitAndLeavesNothing(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "1")
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.PutIfAbsent(context.Background(), k("a"), []byte("2")))
	err := tx.Commit(context.Background())
	var c *txn.ConditionFailedError
	if !errors.As(err, &c) || string(c.Actual) != "1" || !c.Exists || !c.Key.Equal(k("a")) {
		t.Fatalf("commit: %v, want condition failed on a", err)
	}
	wantValue(t, env, "a", "1")
}

func TestUpdateByKeyIsALockingReadAndACommit(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "1")
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	v, ok, err := tx.Get(ctx, k("a"), txn.GetOptions{Lock: kvapi.LockExclusive})
	if err != nil || !ok || string(v) != "1" {
		t.Fatal(string(v), ok, err)
	}
	must(t, tx.Put(ctx, k("a"), []byte("2")))
	must(t, tx.Commit(ctx))
	if s := tx.Stats(); s.Batches != 2 || !s.OnePhase || s.Refreshes != 0 {
		t.Errorf("stats %+v, want two batches, one phase", s)
	}
}

func TestCommitOverRangesIsParallelAndBecomesExplicit(t *testing.T) {
	env := txntest.New(t)
	env.Cluster.Split(k("m"))
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	must(t, tx.Put(ctx, k("z"), []byte("2")))
	must(t, tx.Commit(ctx))
	if s := tx.Stats(); !s.Parallel || s.Batches != 1 {
		t.Errorf("stats %+v, want one batch, parallel", s)
	}
	must(t, env.DB.Close(ctx))
	wantValue(t, env, "a", "1")
	wantValue(t, env, "z", "2")
	if n := env.Cluster.Intents(); n != 0 {
		t.Errorf("%d intents left", n)
	}
	// Close is called again by the cleanup; that must do no harm.
}

func TestPushedParallelCommitRefreshesAndCommitsAlone(t *testing.T) {
	env := txntest.New(t)
	env.Cluster.Split(k("m"))
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	_, _, err := tx.Get(ctx, k("c"), txn.GetOptions{})
	must(t, err)
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	must(t, tx.Put(ctx, k("z"), []byte("2")))
	// A later reader of z pushes the write there.
	other := env.DB.Begin(txn.Options{})
	_, _, err = other.Get(ctx, k("z"), txn.GetOptions{})
	must(t, err)
	must(t, other.Commit(ctx))
	must(t, tx.Commit(ctx))
	if s := tx.Stats(); s.Refreshes != 1 || s.Parallel {
		t.Errorf("stats %+v, want one refresh and an explicit commit", s)
	}
	wantValue(t, env, "z", "2")
}

func TestRefreshFailureIsARetryableErrorThatNamesTheKey(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	_, _, err := tx.Get(ctx, k("a"), txn.GetOptions{})
	must(t, err)
	put(t, env, "a", "other", "b", "other")
	must(t, tx.Put(ctx, k("b"), []byte("mine")))
	err = tx.Commit(ctx)
	var r *txn.RetryError
	if !errors.As(err, &r) || !r.Key.Equal(k("a")) {
		t.Fatalf("commit: %v, want a retry error on a", err)
	}
	if _, _, err := tx.Get(ctx, k("a"), txn.GetOptions{}); !txn.IsRetryable(err) {
		t.Fatalf("get after a retry error: %v", err)
	}
	must(t, tx.PrepareForRetry(err))
	v, _, err := tx.Get(ctx, k("a"), txn.GetOptions{})
	must(t, err)
	must(t, tx.Put(ctx, k("b"), append(v, '!')))
	must(t, tx.Commit(ctx))
	wantValue(t, env, "b", "other!")
}

func TestSavepointTakesBackWrites(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "0", "b", "0")
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	sp := tx.Savepoint()
	must(t, tx.Put(ctx, k("a"), []byte("2")))
	must(t, tx.Delete(ctx, k("b")))
	must(t, tx.RollbackTo(sp))
	must(t, tx.Put(ctx, k("c"), []byte("3")))
	must(t, tx.RollbackTo(sp))
	must(t, tx.Commit(ctx))
	wantValue(t, env, "a", "1")
	wantValue(t, env, "b", "0")
	wantValue(t, env, "c", "")
}

func TestInsertThenDeleteStillChecksThatTheKeyWasFree(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "1")
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.PutIfAbsent(ctx, k("a"), []byte("2")))
	must(t, tx.Delete(ctx, k("a")))
	must(t, tx.PutIfAbsent(ctx, k("a"), []byte("3")))
	must(t, tx.Delete(ctx, k("a")))
	var c *txn.ConditionFailedError
	if err := tx.Commit(ctx); !errors.As(err, &c) {
		t.Fatalf("commit: %v, want condition failed", err)
	}
	wantValue(t, env, "a", "1")
}

func TestLargeTransactionFlushesAndCommits(t *testing.T) {
	env := txntest.New(t)
	env.Cluster.Split(k("500"))
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	big := make([]byte, 16<<10)
	for i := range 700 {
		must(t, tx.PutIfAbsent(ctx, k(fmt.Sprintf("%03d", i)), big))
	}
	if tx.Stats().Flushes == 0 {
		t.Fatal("nothing was flushed")
	}
	rows, resume, err := tx.Scan(ctx, kvapi.Span{Key: k("0"), EndKey: k("9")}, txn.ScanOptions{})
	if err != nil || resume != nil || len(rows) != 700 {
		t.Fatalf("scan of own writes: %d rows, %v, %v", len(rows), resume, err)
	}
	must(t, tx.Commit(ctx))
	if _, ok := env.Cluster.Value(k("699")); !ok || env.Cluster.Intents() != 0 {
		t.Errorf("last row there: %v, intents %d", ok, env.Cluster.Intents())
	}
}

// A savepoint holds past flushes: intents of what was rolled back count as
// absent for the transaction, and go with its commit.
func TestSavepointsHoldPastAFlush(t *testing.T) {
	env := txntest.New(t)
	env.Cluster.Split(k("m"))
	put(t, env, "b", "old", "n", "old")
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{BufferMaxBytes: 1}) // every write is flushed
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	sp := tx.Savepoint()
	must(t, tx.Put(ctx, k("b"), []byte("2")))
	must(t, tx.Delete(ctx, k("n")))
	must(t, tx.PutIfAbsent(ctx, k("z"), []byte("2")))
	must(t, tx.RollbackTo(sp))
	for key, want := range map[string]string{"a": "1", "b": "old", "n": "old", "z": ""} {
		if v, _, err := tx.Get(ctx, k(key), txn.GetOptions{}); err != nil || string(v) != want {
			t.Errorf("%s reads as %q, %v", key, v, err)
		}
	}
	must(t, tx.PutIfAbsent(ctx, k("z"), []byte("3")))
	must(t, tx.RollbackTo(sp))
	must(t, tx.PutIfAbsent(ctx, k("z"), []byte("4")))
	must(t, tx.Commit(ctx))
	must(t, env.DB.Close(ctx))
	wantValue(t, env, "a", "1")
	wantValue(t, env, "b", "old")
	wantValue(t, env, "n", "old")
	wantValue(t, env, "z", "4")
	if n := env.Cluster.Intents(); n != 0 {
		t.Errorf("%d intents are left", n)
	}
}

// So is what a later value of the same flush replaced before it was sent.
func TestAValueReplacedInTheBufferCannotBeRolledBackTo(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{BufferMaxBytes: 1000})
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	sp := tx.Savepoint()
	must(t, tx.Put(ctx, k("a"), []byte("2")))
	must(t, tx.Put(ctx, k("b"), make([]byte, 1000)))
	var u *txn.RollbackUnsupportedError
	if err := tx.RollbackTo(sp); tx.Stats().Flushes != 1 || !errors.As(err, &u) {
		t.Errorf("rolled back to what is gone: %v, %d flushes", err, tx.Stats().Flushes)
	}
	_ = tx.Rollback(ctx)
}

// What was flushed before a savepoint and replaced by a flush after it is gone.
func TestAReplacedIntentCannotBeRolledBackTo(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{BufferMaxBytes: 1})
	first := tx.Savepoint()
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	sp := tx.Savepoint()
	must(t, tx.Put(ctx, k("a"), []byte("2")))
	var u *txn.RollbackUnsupportedError
	if err := tx.RollbackTo(sp); !errors.As(err, &u) {
		t.Errorf("rolled back to what is gone: %v", err)
	}
	must(t, tx.RollbackTo(first))
	must(t, tx.Put(ctx, k("b"), []byte("3")))
	must(t, tx.Commit(ctx))
	must(t, env.DB.Close(ctx))
	wantValue(t, env, "a", "")
	wantValue(t, env, "b", "3")
}

func TestRollbackReleasesLocks(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	a := env.DB.Begin(txn.Options{})
	_, _, err := a.Get(ctx, k("a"), txn.GetOptions{Lock: kvapi.LockExclusive})
	must(t, err)
	b := env.DB.Begin(txn.Options{})
	var lc *txn.LockConflictError
	nowait := txn.GetOptions{Lock: kvapi.LockExclusive, Wait: kvapi.WaitError}
	if _, _, err := b.Get(ctx, k("a"), nowait); !errors.As(err, &lc) || !lc.Key.Equal(k("a")) {
		t.Fatalf("nowait: %v, want a lock conflict", err)
	}
	must(t, a.Rollback(ctx))
	_, _, err = b.Get(ctx, k("a"), txn.GetOptions{Lock: kvapi.LockExclusive})
	must(t, err)
	must(t, b.Commit(ctx))
}

func TestDeadlineStopsACommit(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	tx.SetDeadline(tx.ReadTimestamp())
	if err := tx.Commit(ctx); !txn.IsRetryable(err) {
		t.Fatalf("commit at the deadline: %v", err)
	}
	must(t, tx.Rollback(ctx))
	wantValue(t, env, "a", "")
}

func TestReadOnlyTransactionRefusesWrites(t *testing.T) {
	env := txntest.New(t)
	tx := env.DB.Begin(txn.Options{ReadOnly: true})
	var ro txn.ReadOnlyError
	if err := tx.Put(context.Background(), k("a"), nil); !errors.As(err, &ro) {
		t.Fatalf("put: %v", err)
	}
	must(t, tx.Commit(context.Background()))
}

func TestHistoricalReadSeesTheOldValue(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	put(t, env, "a", "old")
	then := env.Clock.Now().Timestamp()
	put(t, env, "a", "new")
	tx := env.DB.Begin(txn.Options{ReadOnly: true, ReadTimestamp: then})
	v, _, err := tx.Get(ctx, k("a"), txn.GetOptions{})
	if err != nil || string(v) != "old" {
		t.Fatalf("read %q, %v", v, err)
	}
	must(t, tx.Commit(ctx))
}

func TestSplitTransactionAnchorsWhereItsTriggerRuns(t *testing.T) {
	env, ctx := txntest.New(t), context.Background()
	env.Cluster.Split(k("b"))
	env.Cluster.Split(k("y"))
	must(t, env.DB.RunTxn(ctx, "split", func(ctx context.Context, tx txn.TriggerTxn) error {
		left := kvapi.RangeDescriptor{StartKey: k("b"), EndKey: k("m")}
		right := kvapi.RangeDescriptor{StartKey: k("m"), EndKey: k("y")}
		// Written first, in another range, and local keys beside.
		if err := tx.Put(ctx, k("a"), []byte("meta")); err != nil {
			return err
		}
		for _, d := range []*kvapi.RangeDescriptor{&left, &right} {
			if err := tx.Put(ctx, keys.RangeDescriptor(d.StartKey), d.AppendWire(nil)); err != nil {
				return err
			}
		}
		tx.SetSplitTrigger(&kvapi.SplitTrigger{Left: left, Right: right})
		return nil
	}))
	wantValue(t, env, "a", "meta")
	if n := len(env.Cluster.Ranges()); n != 5 {
		t.Errorf("%d ranges, want 5", n)
	}
	if n := env.Cluster.Intents(); n != 0 {
		t.Errorf("%d intents left", n)
	}
}
