package txn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

func TestProvingFindsADuplicateBeforeTheCommit(t *testing.T) {
	env := txntest.New(t)
	ctx := context.Background()
	put(t, env, "k0700", "1")
	tx := env.DB.Begin(txn.Options{})
	for i := range 1000 {
		must(t, tx.PutIfAbsent(ctx, k(fmt.Sprintf("k%04d", i)), []byte("2")))
	}
	err := tx.ProveConditions(ctx)
	var c *txn.ConditionFailedError
	if !errors.As(err, &c) || string(c.Actual) != "1" || !c.Exists || !c.Key.Equal(k("k0700")) {
		t.Fatalf("%v, want condition failed on k0700", err)
	}
	must(t, tx.Rollback(ctx))
	wantValue(t, env, "k0700", "1")
	wantValue(t, env, "k0000", "")
}

// TestWhatIsProvenHolds: the key is locked, so another's insert waits until the
// commit, and what the transaction itself does to the key afterwards is decided
// without asking again.
func TestWhatIsProvenHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := txntest.New(t)
		ctx := context.Background()
		tx := env.DB.Begin(txn.Options{})
		must(t, tx.PutIfAbsent(ctx, k("b"), []byte("2")))
		must(t, tx.ProveConditions(ctx))
		must(t, tx.ProveConditions(ctx))
		done := make(chan error)
		go func() {
			other := env.DB.Begin(txn.Options{})
			done <- errors.Join(other.PutIfAbsent(ctx, k("b"), []byte("3")), other.Commit(ctx))
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("another's insert did not wait: %v", err)
		default:
		}
		must(t, tx.Delete(ctx, k("b")))
		must(t, tx.PutIfAbsent(ctx, k("b"), []byte("4")))
		must(t, tx.Commit(ctx))
		var c *txn.ConditionFailedError
		if err := <-done; !errors.As(err, &c) {
			t.Errorf("%v, want another's insert to find the row", err)
		}
		wantValue(t, env, "b", "4")
	})
}
