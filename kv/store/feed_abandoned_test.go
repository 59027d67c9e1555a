package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/kvapi"
)

// abandoned stages the commit of a transaction that writes each key, of which lost
// ones never arrive. Whoever coordinated it is gone: nobody goes on.
func (c *cluster) abandoned(value string, written, lost []string) *kvapi.Transaction {
	c.t.Helper()
	now := c.now()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(written[0]), WriteTimestamp: now,
		MinTimestamp: now, Priority: kvapi.PriorityNormal}, ReadTimestamp: now, GlobalUncertaintyLimit: now.AddNanos(int64(testMaxOffset))}
	end := kvapi.EndTxnArgs{Commit: true}
	send := func(q kvapi.Request) {
		c.t.Helper()
		if _, err := c.Send(context.Background(), (&kvapi.BatchRequest{Header: kvapi.Header{Txn: txn.Clone()}}).Add(q)); err != nil {
			c.t.Fatal(err)
		}
	}
	for i, key := range append(written, lost...) {
		txn.Seq++
		end.LockSpans = append(end.LockSpans, kvapi.Span{Key: tkey(key)})
		end.InFlightWrites = append(end.InFlightWrites, kvapi.SequencedWrite{Key: tkey(key), Seq: txn.Seq})
		if i < len(written) {
			send(kvapi.Request{Kind: kvapi.Put, Key: tkey(key), Value: []byte(value), Seq: txn.Seq})
		}
	}
	txn.Seq++
	send(kvapi.Request{Kind: kvapi.EndTxn, Key: txn.AnchorKey, Seq: txn.Seq, EndTxn: &end})
	if rec := c.query(txn); rec.Status != kvapi.Staging {
		c.t.Fatalf("the record is %s", rec)
	}
	return txn
}

// settledWithin is how long what nobody goes on with may hold up who meets it: until
// it counts as abandoned, which is noticed a second late at most, and some for
// finding out.
const settledWithin = batcheval.TxnExpiration + 3*time.Second

// A gateway dies between the STAGING record of a commit in two ranges and the rest.
// Feeds of both, on leaders and followers, by themselves find out what became of
// it: they tell all of it or nothing, go on, and in time. So do readers. The same if
// the leader of the record dies with the gateway.
func TestAStagedCommitOfADeadGatewayHoldsNobodyUp(t *testing.T) {
	for _, all := range []bool{true, false} {
		for _, leaderDies := range []bool{false, true} {
			for _, first := range []string{"a feed", "a watch", "a reader"} {
				t.Run(fmt.Sprintf("all written %t, the record's leader dies %t, %s is first", all, leaderDies, first), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testStagedAndDead(t, all, leaderDies, first) })
				})
			}
		}
	}
}

func testStagedAndDead(t *testing.T, all, leaderDies bool, first string) {
	c := three(t)
	if err := c.split("m"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "n", "z"} {
		c.mustPut(key, "old")
	}
	time.Sleep(time.Second)
	after := c.now()
	written, lost := []string{"a", "n", "z"}, []string(nil)
	if !all {
		written, lost = []string{"a", "n"}, []string{"z"}
	}
	dies := c.leader(tkey("a"))
	var feeds []*feedReader
	for id := range c.nodes {
		if leaderDies && id == dies {
			continue
		}
		for i, span := range []kvapi.Span{{Key: tkey("a"), EndKey: tkey("m")}, {Key: tkey("m"), EndKey: tkey("zz")}} {
			f := &feedReader{c: c, node: id, span: span, args: kvapi.FeedArgs{ID: uint64(10*int(id) + i), After: after}}
			if first == "a watch" {
				f.args.PushAge = 300 * time.Millisecond
			}
			feeds = append(feeds, f)
		}
	}
	for _, f := range feeds[:len(feeds)-2] { // those left find the intents on the disk
		if _, err := f.next(); err != nil {
			t.Fatal(err)
		}
	}
	txn := c.abandoned("new", written, lost)
	if leaderDies {
		c.nodes[dies].crash(rand.New(rand.NewPCG(1, 2)), 0)
	}
	began := time.Now()
	limit := settledWithin
	want := "old"
	if all {
		want = "new"
	}
	switch first {
	case "a reader":
		for _, key := range []string{"z", "n", "a"} {
			c.mustGet(key, want)
		}
		if d := time.Since(began); d > settledWithin {
			t.Errorf("readers were held up for %v", d)
		}
	case "a feed":
		limit += feedPushAge
	}
	// All is resolved that is older than now, and so the transaction.
	events := make([][]kvapi.FeedEvent, len(feeds))
	done := make(chan int)
	for i, f := range feeds {
		go func() {
			events[i] = f.until(txn.WriteTimestamp)
			done <- i
		}()
	}
	for range feeds {
		<-done
	}
	if d := time.Since(began); d > limit+ClosedLagDefault {
		t.Errorf("feeds were held up for %v", d)
	}
	upTo := c.now()
	for i, f := range feeds {
		c.sameAsFeed(events[i], c.versionsOn(f.node, f.span, after, txn.WriteTimestamp), upTo)
		told := 0
		for _, e := range events[i] {
			if string(e.Value) != "new" || e.At.Less(txn.WriteTimestamp) {
				t.Errorf("a feed tells %s = %q at %s", e.Key, e.Value, e.At)
			}
			told++
		}
		keys := map[bool]int{true: 1, false: 2}[f.span.Key.Equal(tkey("a"))]
		if !all {
			keys = 0
		}
		if told != keys {
			t.Errorf("a feed of %s on n%d tells %d changes of %d", f.span, f.node, told, keys)
		}
	}

	for _, key := range []string{"a", "n", "z"} {
		c.mustGet(key, want)
	}
	if rec := c.query(txn); rec.Status == kvapi.Staging {
		t.Errorf("the record is %s", rec)
	}
	if leaderDies {
		c.nodes[dies].restart()
	}
	c.checkConsistency()
}

// A gateway that dies leaves all that it was about to commit: that is found out
// together, not one after the other.
func TestManyAbandonedCommitsHoldAFeedUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("k", "old")
		f := &feedReader{c: c, node: c.leader(tkey("k")), span: kvapi.Span{Key: tkey("k"), EndKey: tkey("l")},
			args: kvapi.FeedArgs{ID: 1, After: c.now()}}
		var last hlc.Timestamp
		const txns = 40
		for i := range txns {
			last = c.abandoned("new", []string{fmt.Sprintf("k%d", i)}, nil).WriteTimestamp
		}
		began := time.Now()
		if events := f.until(last); len(events) != txns {
			t.Errorf("%d changes of %d", len(events), txns)
		}
		if d := time.Since(began); d > settledWithin+feedPushAge+ClosedLagDefault {
			t.Errorf("it was held up for %v", d)
		}
	})
}
