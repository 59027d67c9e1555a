package store

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// lock takes a lock for a transaction that nobody coordinates.
func (c *cluster) lock(key string, s kvapi.LockStrength, durable bool) *kvapi.Transaction {
	c.t.Helper()
	now := c.nodes[1].clock.Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(key), WriteTimestamp: now,
		MinTimestamp: now, Priority: kvapi.PriorityNormal}, ReadTimestamp: now,
		GlobalUncertaintyLimit: now.AddNanos(int64(testMaxOffset))}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey(key), Lock: s, Durable: durable})
	if _, err := c.Send(context.Background(), ba); err != nil {
		c.t.Fatal(err)
	}
	return txn
}

func (c *cluster) heartbeat(txn *kvapi.Transaction) {
	c.t.Helper()
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	ba.Add(kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: txn.AnchorKey, Now: c.nodes[1].clock.Now().Timestamp()})
	if _, err := c.Send(context.Background(), ba); err != nil {
		c.t.Fatal(err)
	}
}

// tryLock reports whether another could take the lock without waiting.
func (c *cluster) tryLock(key string, s kvapi.LockStrength) bool {
	c.t.Helper()
	now := c.clockNow()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(key), WriteTimestamp: now,
		MinTimestamp: now, Priority: kvapi.PriorityNormal}, ReadTimestamp: now, GlobalUncertaintyLimit: now}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn, CanForwardReadTimestamp: true}}
	ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey(key), Lock: s, Wait: kvapi.WaitError})
	_, err := c.Send(context.Background(), ba)
	if err != nil && err.Kind != kvapi.ErrLockConflict {
		c.t.Fatal(err)
	}
	end := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	end.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: txn.AnchorKey, EndTxn: &kvapi.EndTxnArgs{LockSpans: []kvapi.Span{{Key: tkey(key)}}}})
	if _, err := c.Send(context.Background(), end); err != nil {
		c.t.Fatal(err)
	}
	return err == nil
}

// clockNow is the clock of a node that is up.
func (c *cluster) clockNow() (ts hlc.Timestamp) {
	for id, n := range c.nodes {
		if c.up(id) != nil {
			ts.Forward(n.clock.Now().Timestamp())
		}
	}
	return ts
}

// lockFaults are what takes a range away from its leader, or a leader its memory.
var lockFaults = map[string]func(c *cluster){
	"lease transfer": func(c *cluster) {
		to := c.followerOf(tkey("n"))
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: to}); err != nil {
			c.t.Fatal(err)
		}
	},
	"split": func(c *cluster) {
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m")}); err != nil {
			c.t.Fatal(err)
		}
	},
	"power cut of the leader": func(c *cluster) {
		n := c.nodes[c.leader(tkey("n"))]
		n.crash(rand.New(rand.NewPCG(1, 1)), 50)
		n.restart()
	},
	"power cut of all": func(c *cluster) {
		for _, n := range c.nodes {
			n.crash(rand.New(rand.NewPCG(1, 2)), 50)
		}
		for _, n := range c.nodes {
			n.restart()
		}
	},
}

func TestDurableLocksSurvive(t *testing.T) {
	for name, fault := range lockFaults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := three(t)
				c.mustPut("n", "1")
				txn := c.lock("n", kvapi.LockExclusive, true)
				share := c.lock("o", kvapi.LockShared, true)
				c.heartbeat(txn)
				c.heartbeat(share)
				fault(c)
				c.heartbeat(txn)
				c.heartbeat(share)
				if c.tryLock("n", kvapi.LockKeyShare) || c.tryLock("o", kvapi.LockNoKeyUpdate) {
					t.Error("another got a lock that is held")
				}
				if !c.tryLock("o", kvapi.LockShared) {
					t.Error("a shared lock excludes another")
				}
				c.mustGet("n", "1")
				done := make(chan error, 1)
				go func() { done <- c.put("n", "2") }()
				time.Sleep(500 * time.Millisecond)
				select {
				case err := <-done:
					t.Fatalf("a write passed the lock: %v", err)
				default:
				}
				if err := c.commit(txn); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if err := c.commit(share); err != nil {
					t.Fatal(err)
				}
				c.mustGet("n", "2")
				if !c.tryLock("n", kvapi.LockExclusive) || !c.tryLock("o", kvapi.LockExclusive) {
					t.Error("a lock is left behind")
				}
				c.checkConsistency()
			})
		})
	}
}

// What TestDurableLocksSurvive would see of a lock in memory.
func TestLocksInMemoryGoWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("n", "1")
		c.heartbeat(c.lock("n", kvapi.LockExclusive, false))
		if c.tryLock("n", kvapi.LockExclusive) {
			t.Error("another got a lock that is held")
		}
		lockFaults["lease transfer"](c)
		if !c.tryLock("n", kvapi.LockExclusive) {
			t.Error("a lock in memory survived its leader: the faults of this test do nothing")
		}
	})
}

// A follower that was away gets the locks by a snapshot, and serves them.
func TestSnapshotCarriesDurableLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("n", "1")
		id := c.followerOf(tkey("n"))
		node := c.nodes[id]
		node.stopNode()
		var txn *kvapi.Transaction
		for i := range (logBytesMax + 12<<20) / (256 << 10) {
			if i == 5 {
				txn = c.lock("n", kvapi.LockExclusive, true)
				c.heartbeat(txn)
			}
			c.mustPut("fill", string(make([]byte, 256<<10)))
		}
		node.restart()
		c.checkConsistency()
		if node.store.metrics.SnapshotsApplied.Load() == 0 {
			t.Error("no snapshot was applied")
		}
		c.heartbeat(txn)
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: id}); err != nil {
			t.Fatal(err)
		}
		if c.tryLock("n", kvapi.LockShared) {
			t.Error("another got a lock that is held")
		}
		if err := c.commit(txn); err != nil {
			t.Fatal(err)
		}
		c.checkConsistency()
	})
}
