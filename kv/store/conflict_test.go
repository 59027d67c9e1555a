package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// intent leaves an intent of a transaction that nobody coordinates.
func (c *cluster) intent(key, value string) *kvapi.Transaction {
	c.t.Helper()
	now := c.nodes[1].clock.Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(key), WriteTimestamp: now,
		MinTimestamp: now, Priority: kvapi.PriorityNormal, Seq: 1}, ReadTimestamp: now,
		GlobalUncertaintyLimit: now.AddNanos(int64(testMaxOffset))}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey(key), Value: []byte(value), Seq: 1})
	if _, err := c.Send(context.Background(), ba); err != nil {
		c.t.Fatal(err)
	}
	return txn
}

func (c *cluster) commit(txn *kvapi.Transaction) error {
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn.Clone()}}
	ba.Txn.Seq = 2
	ba.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: txn.AnchorKey, Seq: 2,
		EndTxn: &kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{{Key: txn.AnchorKey}}}})
	_, err := c.Send(context.Background(), ba)
	return err.AsError()
}

func TestReaderClearsAbandonedIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		txn := c.intent("a", "2")
		began := time.Now()
		c.mustPut("a", "3")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		c.mustGet("a", "3")
		if err := c.commit(txn); err == nil {
			t.Error("an aborted transaction committed")
		}
		c.checkConsistency()
	})
}

func TestWriterWaitsForCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		txn := c.intent("a", "2")
		done := make(chan error, 1)
		go func() { done <- c.put("a", "3") }()
		time.Sleep(500 * time.Millisecond)
		select {
		case err := <-done:
			t.Fatalf("the write passed an intent: %v", err)
		default:
		}
		if err := c.commit(txn); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the lock was handed over after %s", took)
		}
		c.mustGet("a", "3")
		c.checkConsistency()
	})
}

// Intents and the record of a transaction go where their keys go.
func TestSplitMovesIntents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		txn := c.intent("n", "2")
		c.splitWithin("m", c.leader(tkey("a")), DefaultTickInterval)
		if err := c.commit(txn); err != nil {
			t.Fatal(err)
		}
		c.mustGet("n", "2")
		c.checkConsistency()
	})
}

// The left's leader leads the right from the beginning, under the same lease, so
// transactions without a record go on; whatever the left's term is.
func TestSplitKeepsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		to := c.followerOf(tkey("a"))
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("a"), Target: to}); err != nil {
			t.Fatal(err)
		}
		c.mustGet("n", "")           // the new holder has its lease
		time.Sleep(time.Millisecond) // and its clock is not the transaction's
		txn := c.intent("n", "2")
		c.splitWithin("m", to, DefaultTickInterval)
		left, right := c.nodes[to].store.replicas.lookup(tkey("a")), c.nodes[to].store.replicas.lookup(tkey("n"))
		if l, r := left.leaseSequence(), right.leaseSequence(); l != r {
			t.Errorf("lease sequences: left %d, right %d", l, r)
		}
		if err := c.commit(txn); err != nil {
			t.Fatal(err)
		}
		c.mustGet("n", "2")
		c.checkConsistency()
	})
}

// Lost requests for votes are repeated before another replica stands, which
// would have to wait for the end of the lease.
func TestSplitElectsTheLeftsLeaderThoughVotesAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		leader := c.leader(tkey("a"))
		lost := 0
		c.mu.Lock()
		c.lose = func(e raftgroup.Envelope) bool {
			if e.Message.Type() != raftgroup.MsgPreVote || lost == 2 {
				return false
			}
			lost++
			return true
		}
		c.mu.Unlock()
		c.splitWithin("m", leader, electionTicks*DefaultTickInterval/2)
		if lost != 2 {
			t.Errorf("%d messages were lost", lost)
		}
		c.checkConsistency()
	})
}

// splitWithin splits, and wants the right range served by a node soon.
func (c *cluster) splitWithin(at string, by kvapi.NodeID, limit time.Duration) {
	c.t.Helper()
	began := time.Now()
	if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey(at)}); err != nil {
		c.t.Fatal(err)
	}
	c.mustGet(at, "")
	if took := time.Since(began); took >= limit {
		c.t.Errorf("the right range was served after %s", took)
	}
	if id := c.leader(tkey(at)); id != by {
		c.t.Errorf("%s leads the right range, not %s", id, by)
	}
}

// A timestamp ahead of the node's clock, within the maximum offset, is waited
// for; one far ahead is refused.
func TestFutureTimestamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("a", "1")
		s, clock := c.nodes[1].store, c.nodes[1].clock
		get := func(ahead time.Duration) *kvapi.Error {
			ba := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: clock.Now().Timestamp().AddNanos(int64(ahead))}}
			_, err := s.Send(context.Background(), ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")}))
			return err
		}
		began := time.Now()
		if err := get(200 * time.Millisecond); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("answered after %s", took)
		}
		if err := get(time.Hour); err == nil {
			t.Error("a read of the far future was answered")
		}
	})
}

// A replica that missed both its removal and its return is replaced.
func TestReplicaReturnsWithoutHavingHeardItLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.followerOf(tkey("a"))
		old := c.nodes[id].store.replicas.lookup(tkey("a")).replicaID
		c.isolate(id, true)
		remove := &kvapi.ReplicaChange{Remove: []kvapi.NodeID{id}}
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"), Change: remove}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			add := &kvapi.ReplicaChange{Add: []kvapi.NodeID{id}}
			done <- c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"), Change: add})
		}()
		time.Sleep(time.Second)
		c.isolate(id, false)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if r := c.nodes[id].store.replicas.lookup(tkey("a")); r == nil || r.replicaID == old {
			t.Errorf("%v", r)
		}
		c.checkConsistency()
	})
}
