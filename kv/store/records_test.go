package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// twoTableRanges are three stores with ranges [a, m) and [m, …) of a table.
func twoTableRanges(t *testing.T) *cluster {
	c := threeWithTable(t)
	if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m")}); err != nil {
		t.Fatal(err)
	}
	return c
}

// leave writes intents of a transaction on both ranges, and ends it as said,
// with nobody left to clean up.
func (c *cluster) leave(i int, end func(t *kvapi.Transaction, writes []kvapi.SequencedWrite) *kvapi.Request) {
	c.t.Helper()
	now := c.nodes[1].clock.Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: now, MinTimestamp: now,
		Priority: kvapi.PriorityNormal, AnchorKey: tkey(fmt.Sprint("a", i))}, ReadTimestamp: now}
	send := func(q kvapi.Request) {
		ba := &kvapi.BatchRequest{}
		ba.Txn = txn.Clone()
		br, err := c.Send(context.Background(), ba.Add(q))
		if err != nil {
			c.t.Fatalf("%s: %v", q.Kind, err)
		}
		if br.Txn != nil {
			txn.WriteTimestamp.Forward(br.Txn.WriteTimestamp)
			txn.ReadTimestamp = txn.WriteTimestamp
		}
	}
	var writes []kvapi.SequencedWrite
	for _, k := range []kvapi.Key{txn.AnchorKey, tkey(fmt.Sprint("z", i))} {
		txn.Seq++
		writes = append(writes, kvapi.SequencedWrite{Key: k, Seq: txn.Seq})
		send(kvapi.Request{Kind: kvapi.Put, Key: k, Value: []byte("new"), Seq: txn.Seq})
	}
	if q := end(txn, writes); q != nil {
		txn.Seq++
		q.Key, q.Seq = txn.AnchorKey, txn.Seq
		send(*q)
	}
}

func spansOf(writes []kvapi.SequencedWrite) (out []kvapi.Span) {
	for _, w := range writes {
		out = append(out, kvapi.Span{Key: w.Key})
	}
	return out
}

// leftBehind counts records and intents on a node.
func (n *testNode) leftBehind() (records, intents int) {
	n.c.t.Helper()
	_, end := keys.RangeLocalSpan(keys.Min, keys.Max)
	start, _ := keys.RangeLocalSpan(keys.Min, keys.Max)
	err := eachPair(n.engine, kvapi.Span{Key: start, EndKey: end}, func(k, _ []byte) error {
		if key, ts, err := storage.DecodeMVCCKey(k); err == nil && ts.IsEmpty() && keys.IsTxnRecord(key) {
			records++
		}
		return nil
	})
	if err != nil {
		n.c.t.Fatal(err)
	}
	for _, r := range n.store.replicas.all() {
		in, ok, err := n.store.Inspect(r.rangeID, nil)
		if err != nil {
			n.c.t.Fatal(err)
		}
		if ok {
			intents += int(in.Counted.IntentCount)
		}
	}
	return records, intents
}

// TestRecordsOfTheDeadAreCollected: the leaseholder of the anchor dies between
// the end of some transactions and their clean-up. Nobody touches a key of
// theirs; in the end neither records nor intents are left, and what was
// committed is there.
func TestRecordsOfTheDeadAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := twoTableRanges(t)
		dead := c.leader(tkey("a"))
		time.Sleep(time.Second) // the splits' records go
		for _, n := range c.nodes {
			n.store.resolver.Close() // nobody cleans up
		}
		commit := func(_ *kvapi.Transaction, w []kvapi.SequencedWrite) *kvapi.Request {
			return &kvapi.Request{Kind: kvapi.EndTxn, EndTxn: &kvapi.EndTxnArgs{Commit: true, LockSpans: spansOf(w)}}
		}
		stage := func(_ *kvapi.Transaction, w []kvapi.SequencedWrite) *kvapi.Request {
			return &kvapi.Request{Kind: kvapi.EndTxn, EndTxn: &kvapi.EndTxnArgs{Commit: true, LockSpans: spansOf(w), InFlightWrites: w}}
		}
		// One of the promised writes is not there.
		stageMore := func(_ *kvapi.Transaction, w []kvapi.SequencedWrite) *kvapi.Request {
			more := append(w, kvapi.SequencedWrite{Key: tkey("y"), Seq: 9})
			return &kvapi.Request{Kind: kvapi.EndTxn, EndTxn: &kvapi.EndTxnArgs{Commit: true, LockSpans: spansOf(more), InFlightWrites: more}}
		}
		heartbeat := func(t *kvapi.Transaction, _ []kvapi.SequencedWrite) *kvapi.Request {
			return &kvapi.Request{Kind: kvapi.HeartbeatTxn, Now: t.WriteTimestamp}
		}
		for i, end := range []func(*kvapi.Transaction, []kvapi.SequencedWrite) *kvapi.Request{commit, stage, stageMore, heartbeat} {
			c.leave(i, end)
		}
		time.Sleep(time.Second) // followers apply
		if records, intents := c.nodes[dead].leftBehind(); records != 4 || intents != 7 {
			t.Fatalf("%d records and %d intents are left behind, not as planned", records, intents)
		}
		// All restart with resolvers, the leaseholder stays away.
		for id, n := range c.nodes {
			n.crash(rand.New(rand.NewPCG(1, uint64(id))), 0)
		}
		for id, n := range c.nodes {
			if id != dead {
				n.restart()
			}
		}
		time.Sleep(recordAge + 2*recordInterval + 10*time.Second)
		collected := int64(0)
		for id, n := range c.nodes {
			if id == dead {
				continue
			}
			records, intents := n.leftBehind()
			// The heartbeat's record names no locks; they are left to whoever meets
			// them, who finds the transaction aborted.
			if records != 0 || intents != 2 {
				t.Errorf("node %d: %d records, %d intents are left", id, records, intents)
			}
			collected += n.store.metrics.RecordsCollected.Load()
		}
		if collected < 4 { // a slow one may be looked at twice
			t.Errorf("%d records were collected", collected)
		}
		for i, want := range []string{"new", "new", "", ""} {
			c.mustGet(fmt.Sprint("a", i), want)
			c.mustGet(fmt.Sprint("z", i), want)
		}
		// Nothing to do costs nothing.
		for id, n := range c.nodes {
			if id == dead {
				continue
			}
			for _, r := range n.store.replicas.all() {
				if r.leaseStatus(noTimestamp).IsValid() {
					r.collectRecords(context.Background())
					if _, any, err := r.oldRecords(r.Desc()); any || err != nil || r.noRecordsAt.Load() == 0 {
						t.Errorf("%s of node %d: records %v, %v", r.rangeID, id, any, err)
					}
				}
			}
		}
		c.nodes[dead].restart()
		c.checkConsistency()
	})
}
