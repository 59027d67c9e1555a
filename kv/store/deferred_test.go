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

// commitLater sends what makes a staged commit explicit.
func (c *cluster) commitLater(txn *kvapi.Transaction) error {
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Deferrable: true}}
	staging := kvapi.Transaction{TxnMeta: txn.TxnMeta, Status: kvapi.Staging}
	ba.Add(kvapi.Request{Kind: kvapi.RecoverTxn, Key: txn.AnchorKey,
		Recover: &kvapi.RecoverArgs{Txn: staging, ImplicitlyCommitted: true}})
	_, err := c.Send(context.Background(), ba)
	return err.AsError()
}

// TestCommitsShareCommands: while one is under way the next ones gather; and
// one that is refused does not take the others with it. A command takes a
// moment of virtual time, in which all come: so there are two.
func TestCommitsShareCommands(t *testing.T) {
	for _, broken := range []int{-1, 7} {
		synctest.Test(t, func(t *testing.T) { commitMany(t, broken) })
	}
}

func commitMany(t *testing.T, broken int) {
	knobs := quiet
	knobs.LogSyncTime = func() time.Duration { return time.Millisecond }
	c := newCluster(t, 1, knobs)
	c.mustPut("warm", "up")
	const n = 30
	var txns []*kvapi.Transaction
	for i := range n {
		txns = append(txns, c.staged(fmt.Sprint("k", i)))
	}
	if broken >= 0 {
		txns[broken].Epoch++ // not what was staged
	}
	before := c.nodes[1].store.Metrics().Proposals.Load()
	var wg sync.WaitGroup
	for i, txn := range txns {
		wg.Go(func() {
			if err := c.commitLater(txn); (err != nil) != (i == broken) {
				t.Errorf("commit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if done := c.nodes[1].store.Metrics().Proposals.Load() - before; broken < 0 && done > 2 {
		t.Errorf("%d commands for %d commits", done, n)
	}
	for i, txn := range txns {
		if rec := c.query(txn); (rec.Status == kvapi.Committed) != (i != broken) {
			t.Errorf("%d: %s", i, rec)
		}
	}
}

// staged leaves a transaction that promises a write elsewhere.
func (c *cluster) staged(key string) *kvapi.Transaction {
	c.t.Helper()
	now := c.nodes[1].clock.Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(key), WriteTimestamp: now,
		MinTimestamp: now, Priority: kvapi.PriorityNormal, Seq: 1}, ReadTimestamp: now,
		GlobalUncertaintyLimit: now.AddNanos(int64(testMaxOffset))}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	ba.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: txn.AnchorKey, Seq: 2, EndTxn: &kvapi.EndTxnArgs{Commit: true,
		LockSpans:      []kvapi.Span{{Key: txn.AnchorKey}},
		InFlightWrites: []kvapi.SequencedWrite{{Key: tkey("elsewhere"), Seq: 1}}}})
	if _, err := c.Send(context.Background(), ba); err != nil {
		c.t.Fatal(err)
	}
	return txn
}

func (c *cluster) query(txn *kvapi.Transaction) *kvapi.Transaction {
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.QueryTxn, Key: txn.AnchorKey,
		Push: &kvapi.PushArgs{Pushee: txn.TxnMeta}})
	br, err := c.Send(context.Background(), ba)
	if err != nil {
		c.t.Fatal(err)
	}
	return br.Responses[0].Pushee
}
