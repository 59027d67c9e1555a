package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// resolveLater sends the deferrable resolution of a committed transaction.
func (c *cluster) resolveLater(txn *kvapi.Transaction) error {
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Deferrable: true}}
	ba.Add(kvapi.Request{Kind: kvapi.ResolveIntent, Key: txn.AnchorKey,
		Resolve: &kvapi.LockUpdate{Txn: txn.TxnMeta, Status: kvapi.Committed}})
	_, err := c.Send(context.Background(), ba)
	return err.AsError()
}

// TestCleanUpOfManyIsOneCommand: and what waits for it is seen as committed
// meanwhile.
func TestCleanUpOfManyIsOneCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("warm", "up")
		const n = 20
		var txns []*kvapi.Transaction
		for i := range n {
			txns = append(txns, c.intent(fmt.Sprint("k", i), "v"))
		}
		before := c.nodes[1].store.Metrics().Proposals.Load()
		var wg sync.WaitGroup
		for i, txn := range txns {
			wg.Go(func() {
				if err := c.resolveLater(txn); err != nil {
					t.Error(err)
				}
			})
			// The repetition of a request changes nothing.
			if i == 0 {
				wg.Go(func() { _ = c.resolveLater(txn) })
			}
		}
		synctest.Wait()
		if v, err := c.get("k7"); v != "v" || err != nil {
			t.Errorf("before the command: %q, %v", v, err)
		}
		if done := c.nodes[1].store.Metrics().Proposals.Load() - before; done != 0 {
			t.Errorf("%d commands before the time was over", done)
		}
		wg.Wait()
		if done := c.nodes[1].store.Metrics().Proposals.Load() - before; done != 1 {
			t.Errorf("%d commands for %d transactions", done, n)
		}
		c.checkConsistency()
	})
}

// TestWriteResolvesOnTheWay: the next writer of a key pays no round for the
// intent of the one before.
func TestWriteResolvesOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("k", "0")
		txn := c.intent("k", "1")
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.resolveLater(txn) })
		synctest.Wait()
		before := c.nodes[1].store.Metrics().Proposals.Load()
		next := c.intent("k", "2")
		if done := c.nodes[1].store.Metrics().Proposals.Load() - before; done != 1 {
			t.Errorf("%d commands for a write over a committed intent", done)
		}
		wg.Wait()
		if err := c.commit(next); err != nil {
			t.Fatal(err)
		}
		if v, err := c.get("k"); v != "2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		c.checkConsistency()
	})
}

// TestReaderHasForgottenIntentsResolved: nothing else would, once their
// transaction's clean-up was lost with a node.
func TestReaderHasForgottenIntentsResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("k", "0")
		txn := c.intent("k", "1")
		r := c.nodes[1].store.replicas.lookup(tkey("k"))
		r.learnFinished((&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.ResolveIntent,
			Resolve: &kvapi.LockUpdate{Txn: txn.TxnMeta, Status: kvapi.Committed}}))
		for _, left := range []int64{1, 0} {
			if v, err := c.get("k"); v != "1" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			time.Sleep(2 * time.Second)
			r.mu.RLock()
			if n := r.mu.applied.Stats.IntentCount; n != left {
				t.Errorf("%d intents, not %d", n, left)
			}
			r.mu.RUnlock()
		}
	})
}
