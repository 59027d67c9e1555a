package txn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

// privateSpan holds the keys "p…".
func privateSpan() kvapi.Span { return kvapi.Span{Key: k("p"), EndKey: k("q")} }

// big is a value of which a few make a flush.
func big(s string) []byte { return append(bytes.Repeat([]byte("x"), 300<<10), s...) }

func pkey(i int) kvapi.Key { return k(fmt.Sprintf("p%03d", i)) }

func count(t *testing.T, tx *txn.Txn) int {
	t.Helper()
	rows, resume, err := tx.Scan(context.Background(), privateSpan(), txn.ScanOptions{})
	must(t, err)
	if resume != nil {
		t.Fatal("scan stopped early")
	}
	return len(rows)
}

func TestALoadIntoAPrivateSpanLeavesNoIntents(t *testing.T) {
	env := txntest.New(t)
	env.Cluster.Split(pkey(20))
	ctx := context.Background()
	announced := 0
	tx := env.DB.Begin(txn.Options{})
	tx.SetPrivate(privateSpan(), func(context.Context) error { announced++; return nil })
	for i := range 60 {
		must(t, tx.PutIfAbsent(ctx, pkey(i), big("")))
		if i%10 == 0 {
			if n := count(t, tx); n != i+1 {
				t.Fatalf("after row %d the transaction sees %d rows", i, n)
			}
		}
		_, ok, err := tx.Get(ctx, pkey(i), txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	if announced != 1 || env.DB.Metrics().Aside.Load() == 0 {
		t.Fatalf("announced %d times, %d batches written aside", announced, env.DB.Metrics().Aside.Load())
	}
	if n := env.Cluster.Intents(); n != 0 {
		t.Errorf("%d intents before the commit", n)
	}
	must(t, tx.Put(ctx, k("descriptor"), []byte("v2")))
	must(t, tx.Commit(ctx))
	after := env.DB.Begin(txn.Options{Causality: tx.CommitTimestamp()})
	if n := count(t, after); n != 60 {
		t.Errorf("%d rows after the commit", n)
	}
	must(t, after.Rollback(ctx))
}

func TestAKeyThatIsThereTwiceFailsALoad(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	tx.SetPrivate(privateSpan(), func(context.Context) error { return nil })
	var err error
	for i := range 60 {
		// The first of the pair has left the buffer when the second comes.
		if err = tx.PutIfAbsent(ctx, pkey(i%40), big("")); err != nil {
			break
		}
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	var c *txn.ConditionFailedError
	if !errors.As(err, &c) || !c.Exists {
		t.Fatalf("%v, want a failed condition", err)
	}
	must(t, tx.Rollback(ctx))
}

func TestASavepointBeforeWritesAsideCannotBeRolledBackTo(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	tx.SetPrivate(privateSpan(), func(context.Context) error { return nil })
	sp := tx.Savepoint()
	for i := range 30 {
		must(t, tx.Put(ctx, pkey(i), big("")))
	}
	var u *txn.RollbackUnsupportedError
	if err := tx.RollbackTo(sp); !errors.As(err, &u) {
		t.Errorf("%v, want a refusal", err)
	}
	must(t, tx.Rollback(ctx))
}

func TestATransactionThatReadSpansWritesIntents(t *testing.T) {
	env := txntest.New(t)
	put(t, env, "a", "1")
	ctx := context.Background()
	tx := env.DB.Begin(txn.Options{})
	tx.SetPrivate(privateSpan(), func(context.Context) error { return nil })
	_, _, err := tx.Scan(ctx, kvapi.Span{Key: k("a"), EndKey: k("c")}, txn.ScanOptions{})
	must(t, err)
	for i := range 30 {
		must(t, tx.Put(ctx, pkey(i), big("")))
	}
	if env.Cluster.Intents() == 0 || env.DB.Metrics().Aside.Load() != 0 {
		t.Error("written aside, which moves the transaction past what it has read")
	}
	put(t, env, "a", "2")
	must(t, tx.Put(ctx, k("z"), nil))
	err = tx.Commit(ctx)
	if err != nil && !txn.IsRetryable(err) {
		t.Error(err)
	}
	if n := count(t, env.DB.Begin(txn.Options{})); err == nil && n != 30 {
		t.Errorf("%d rows", n)
	}
	_ = tx.Rollback(ctx)
}

func TestAWriteAsideOfUnknownFateIsRetried(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) (f memkv.Fault) {
		if ba.Txn == nil && !ba.IsReadOnly() {
			f.After = kvapi.NewError(kvapi.ErrAmbiguous, "lost")
		}
		return f
	})
	tx := env.DB.Begin(txn.Options{})
	tx.SetPrivate(privateSpan(), func(context.Context) error { return nil })
	var err error
	for i := 0; i < 30 && err == nil; i++ {
		err = tx.Put(ctx, pkey(i), big(""))
	}
	if !txn.IsRetryable(err) || txn.IsAmbiguous(err) {
		t.Errorf("%v, want a retryable error", err)
	}
	must(t, tx.Rollback(ctx))
}

// TestPrivateSpanAgainstAMap compares random writes and reads, in a private
// span and beside it, with a map.
func TestPrivateSpanAgainstAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		env := txntest.New(t)
		env.Cluster.Split(pkey(5))
		ctx := context.Background()
		tx := env.DB.Begin(txn.Options{})
		tx.SetPrivate(privateSpan(), func(context.Context) error { return nil })
		want := map[string]string{}
		for n := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			key := pkey(rapid.IntRange(0, 9).Draw(rt, "key"))
			if rapid.IntRange(0, 4).Draw(rt, "beside") == 0 {
				key = append(k("b"), key...)
			}
			v := fmt.Sprint(n)
			old, there := want[string(key)]
			switch rapid.SampledFrom([]string{"put", "put", "new", "delete", "get", "scan"}).Draw(rt, "op") {
			case "put":
				must(t, tx.Put(ctx, key, big(v)))
				want[string(key)] = v
			case "new":
				// What the server would check is checked here: a failed
				// flush ends the transaction.
				if !there {
					must(t, tx.PutIfAbsent(ctx, key, big(v)))
					want[string(key)] = v
				}
			case "delete":
				must(t, tx.Delete(ctx, key))
				delete(want, string(key))
			case "get":
				lock := rapid.SampledFrom([]kvapi.LockStrength{kvapi.LockNone, kvapi.LockExclusive}).Draw(rt, "lock")
				got, ok, err := tx.Get(ctx, key, txn.GetOptions{Lock: lock})
				must(t, err)
				if ok != there || ok && string(got[300<<10:]) != old {
					rt.Fatalf("%s: there %v, want %q %v", key, ok, old, there)
				}
			case "scan":
				sameRows(rt, tx, want)
			}
		}
		sameRows(rt, tx, want)
		must(t, tx.Put(ctx, k("descriptor"), nil))
		must(t, tx.Commit(ctx))
		want[string(k("descriptor"))] = ""
		sameRows(rt, env.DB.Begin(txn.Options{Causality: tx.CommitTimestamp()}), want)
	})
}

func sameRows(rt *rapid.T, tx *txn.Txn, want map[string]string) {
	rows, _, err := tx.Scan(context.Background(), kvapi.Span{Key: k("a"), EndKey: k("z")}, txn.ScanOptions{})
	if err != nil {
		rt.Fatal(err)
	}
	var got []string
	for _, kv := range rows {
		got = append(got, string(kv.Key))
		if tail := kv.Value[min(len(kv.Value), 300<<10):]; string(tail) != want[string(kv.Key)] {
			rt.Fatalf("%s ends in %q, want %q", kv.Key, tail, want[string(kv.Key)])
		}
	}
	if keys := slices.Sorted(maps.Keys(want)); !slices.Equal(got, keys) {
		rt.Fatalf("keys %q, want %q", got, keys)
	}
}
