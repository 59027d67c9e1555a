package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// TestBrokenBuildsAreSeen runs a question about a store twice: as the store is,
// nothing is wrong; with a fault put in, the same question finds it.
func TestBrokenBuildsAreSeen(t *testing.T) {
	for _, b := range []struct {
		name  string
		knobs TestingKnobs
		wrong func(*cluster) bool
	}{
		{"a write where two have read", TestingKnobs{IgnoreReaders: true}, (*cluster).writesWhereOthersRead},
		{"a write below what the former leaseholder served", TestingKnobs{KeepFloor: true}, (*cluster).writesBelowFormerLease},
		{"a write below what was not handed over", TestingKnobs{DropReads: true}, (*cluster).writesBelowFormerLease},
		{"a write after recovery has missed it", TestingKnobs{NoPrevention: true}, (*cluster).writesWhatIsMissing},
		{"a value that moved up is not seen", TestingKnobs{IgnoreLocalTimestamps: true}, (*cluster).missesMovedValue},
	} {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if b.wrong(newThree(t, quiet)) {
					t.Error("the store is wrong")
				}
			})
			synctest.Test(t, func(t *testing.T) {
				broken := quiet
				broken.IgnoreReaders = b.knobs.IgnoreReaders
				broken.KeepFloor = b.knobs.KeepFloor
				broken.DropReads = b.knobs.DropReads
				broken.NoPrevention = b.knobs.NoPrevention
				broken.IgnoreLocalTimestamps = b.knobs.IgnoreLocalTimestamps
				if !b.wrong(newThree(t, broken)) {
					t.Error("the fault is not seen")
				}
			})
		})
	}
}

func newThree(t *testing.T, knobs TestingKnobs) *cluster {
	c := newCluster(t, 3, knobs)
	c.replicateEverywhere()
	return c
}

func (c *cluster) transaction(anchor string, at hlc.Timestamp) *kvapi.Transaction {
	return &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(anchor), WriteTimestamp: at,
		MinTimestamp: at, Priority: kvapi.PriorityNormal, Seq: 1}, ReadTimestamp: at,
		GlobalUncertaintyLimit: at.AddNanos(int64(testMaxOffset))}
}

// send sends one request of a transaction, which may be nil.
func (c *cluster) send(txn *kvapi.Transaction, q kvapi.Request) (*kvapi.BatchResponse, *kvapi.Error) {
	return c.Send(context.Background(), (&kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}).Add(q))
}

func (c *cluster) mustSend(txn *kvapi.Transaction, q kvapi.Request) *kvapi.BatchResponse {
	c.t.Helper()
	br, err := c.send(txn, q)
	if err != nil {
		c.t.Fatal(err)
	}
	return br
}

// wroteAt puts a key and returns where.
func (c *cluster) wroteAt(txn *kvapi.Transaction, key string) hlc.Timestamp {
	c.t.Helper()
	br := c.mustSend(txn, kvapi.Request{Kind: kvapi.Put, Key: tkey(key), Value: []byte("2"), Seq: 1})
	if br.Txn == nil {
		return txn.WriteTimestamp
	}
	return br.Txn.WriteTimestamp
}

// Two transactions read a key at one timestamp; then one of them writes it.
func (c *cluster) writesWhereOthersRead() bool {
	c.mustPut("a", "1")
	now := c.nodes[c.leader(tkey("a"))].clock.Now().Timestamp()
	one, two := c.transaction("a", now), c.transaction("b", now)
	for _, txn := range []*kvapi.Transaction{one, two} {
		c.mustSend(txn, kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
	}
	return c.wroteAt(one, "a").LessEq(now)
}

// A read at the leaseholder, a transfer, and a write at the new one, as of
// before the read.
func (c *cluster) writesBelowFormerLease() bool {
	c.mustPut("other", "1")
	now := c.nodes[c.leader(tkey("a"))].clock.Now().Timestamp()
	c.mustSend(c.transaction("a", now), kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
	to := c.followerOf(tkey("a"))
	if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("a"), Target: to}); err != nil {
		c.t.Fatal(err)
	}
	return c.wroteAt(c.transaction("a", now.AddNanos(-1000)), "a").LessEq(now)
}

// Recovery asks for a write that is not there; then it comes.
func (c *cluster) writesWhatIsMissing() bool {
	c.mustPut("other", "1")
	txn := c.transaction("a", c.nodes[c.leader(tkey("a"))].clock.Now().Timestamp())
	br := c.mustSend(nil, kvapi.Request{Kind: kvapi.QueryIntent, Key: tkey("a"), Query: &kvapi.QueryArgs{Txn: txn.TxnMeta, Seq: 1}})
	if br.Responses[0].Found {
		c.t.Fatal("found what was never written")
	}
	return c.wroteAt(txn, "a").LessEq(txn.WriteTimestamp)
}

// A write that has ended before the reader began commits above the reader's
// timestamp, for the reader's clock is slow; the reader has observed the clock
// of the leaseholder after that write.
func (c *cluster) missesMovedValue() bool {
	c.mustPut("a", "1")
	time.Sleep(testMaxOffset) // virtual: the old value is certain
	leader := c.leader(tkey("a"))
	writer := c.intent("a", "2")
	observed := c.nodes[leader].clock.Now()
	reader := c.transaction("b", observed.Timestamp().AddNanos(-int64(testMaxOffset)/4))
	reader.ObservedTimestamps = []kvapi.ObservedTimestamp{{NodeID: leader, Timestamp: observed}}
	writer.WriteTimestamp = observed.Timestamp().AddNanos(int64(testMaxOffset) / 4)
	writer.ReadTimestamp = writer.WriteTimestamp
	if err := c.commit(writer); err != nil {
		c.t.Fatal(err)
	}
	br, err := c.send(reader, kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
	return err == nil && string(br.Responses[0].Value) == "1"
}
