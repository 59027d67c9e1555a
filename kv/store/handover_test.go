package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// transfer hands the lease of a key's range over.
func (c *cluster) transfer(key string, to kvapi.NodeID) {
	c.t.Helper()
	if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey(key), Target: to}); err != nil {
		c.t.Fatal(err)
	}
	c.get(key + "~") // the new holder has its lease
	if got := c.leader(tkey(key)); got != to {
		c.t.Fatalf("%s leads, not %s", got, to)
	}
}

// A transaction without a record, with a read and an intent, goes on where it was
// when the range's lease moves: here and there, and from there on; and so it does
// when the range was split, or joined to its neighbour, before. Writes of others
// still land above what it has read.
func TestReadsAreHandedOver(t *testing.T) {
	for name, mode := range map[string]LeaseMode{"expiration": ExpirationLeases, "leader": LeaderLeases} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testHandOver(t, mode) })
		})
	}
}

func testHandOver(t *testing.T, mode LeaseMode) {
	c := newClusterWith(t, 3, quiet, func(cfg *Config) { cfg.Leases = mode })
	c.replicateEverywhere()
	c.mustPut("a", "1")
	c.mustPut("n", "1")
	from, to := c.leader(tkey("n")), c.followerOf(tkey("n"))
	moves := []struct {
		how  string
		move func()
	}{
		{"a transfer", func() { c.transfer("n", to) }},
		{"a transfer back", func() { c.transfer("n", from) }},
		{"two transfers", func() { c.transfer("n", to); c.transfer("n", from) }},
		{"a split and a transfer", func() {
			if err := c.split("m"); err != nil {
				t.Fatal(err)
			}
			c.transfer("n", to)
		}},
		{"a merge", func() { c.mergeSoon("m") }},
		{"a transfer after that", func() { c.transfer("n", c.followerOf(tkey("n"))) }},
	}
	for i, m := range moves {
		time.Sleep(time.Millisecond)
		now := c.now()
		key := string(rune('n' + i))
		txn := c.transaction(key, now)
		c.mustSend(txn, kvapi.Request{Kind: kvapi.Get, Key: tkey("read")})
		if at := c.wroteAt(txn, key); at != now {
			t.Fatalf("before %s: moved to %s from %s", m.how, at, now)
		}
		time.Sleep(time.Millisecond)
		m.move()
		// The transaction's own write above its own read, and others' above it.
		if at := c.wroteAt(txn, "read"); at != now {
			t.Errorf("after %s its write moved from %s to %s", m.how, now, at)
		}
		if err := c.commitBoth(txn, "read"); err != nil {
			t.Errorf("after %s: %v", m.how, err)
		}
		c.checkConsistency()
	}
}

// commitBoth ends a transaction that has written its anchor and a key.
func (c *cluster) commitBoth(txn *kvapi.Transaction, key string) error {
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn.Clone()}}
	ba.Txn.Seq = 2
	ba.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: txn.AnchorKey, Seq: 2,
		EndTxn: &kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{{Key: txn.AnchorKey}, {Key: tkey(key)}}}})
	_, err := c.Send(context.Background(), ba)
	return err.AsError()
}

// What others have read keeps a write above it after each of these, and what was
// finished stays so.
func TestWhatWasReadAndFinishedIsKnownAfter(t *testing.T) {
	for _, m := range []struct {
		how  string
		move func(c *cluster)
		// floor: the new holder was told nothing.
		floor bool
	}{
		{how: "a transfer", move: func(c *cluster) { c.transfer("n", c.followerOf(tkey("n"))) }},
		{how: "a transfer and one back", move: func(c *cluster) {
			from := c.leader(tkey("n"))
			c.transfer("n", c.followerOf(tkey("n")))
			c.transfer("n", from)
		}},
		{how: "a split and a transfer", move: func(c *cluster) {
			if err := c.split("m"); err != nil {
				c.t.Fatal(err)
			}
			c.transfer("n", c.followerOf(tkey("n")))
		}},
		{how: "a merge", move: func(c *cluster) {
			if err := c.split("m"); err != nil {
				c.t.Fatal(err)
			}
			c.mergeSoon("m")
		}},
		{how: "a transfer of the right half, and a merge", move: func(c *cluster) {
			if err := c.split("m"); err != nil {
				c.t.Fatal(err)
			}
			c.transfer("n", c.followerOf(tkey("a")))
			c.mergeSoon("m")
		}},
		{how: "a transfer that came to nothing", move: (*cluster).transferInVain},
		{how: "a restart", floor: true, move: func(c *cluster) {
			n := c.nodes[c.leader(tkey("n"))]
			n.stopNode()
			n.restart()
			c.serves("n")
		}},
		{how: "a fail-over", floor: true, move: func(c *cluster) { c.nodes[c.leader(tkey("n"))].stopNode(); c.serves("n") }},
		{how: "a transfer to nobody, and restarts", floor: true, move: (*cluster).transferToNobody},
	} {
		t.Run(m.how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := three(t)
				c.mustPut("a", "1")
				c.mustPut("n", "1")
				time.Sleep(time.Millisecond)
				now := c.now()
				reader, late := c.transaction("x", now), c.transaction("n", now.AddNanos(-1000))
				c.mustSend(reader, kvapi.Request{Kind: kvapi.Get, Key: tkey("p")})
				c.mustSend(reader, kvapi.Request{Kind: kvapi.Scan, Key: tkey("q"), EndKey: tkey("s")})
				// Somebody aborts a transaction that has no record.
				aborted := c.transaction("n", now)
				push := kvapi.Request{Kind: kvapi.PushTxn, Key: tkey("n"), Push: &kvapi.PushArgs{Pushee: aborted.TxnMeta,
					Type: kvapi.PushAbort, Force: true}, Now: now}
				c.mustSend(nil, push)
				time.Sleep(time.Millisecond)
				m.move(c)
				for _, key := range []string{"p", "q", "r"} {
					if at := c.wroteAt(late, key); at.LessEq(now) {
						t.Errorf("%s was read at %s, and written at %s", key, now, at)
					}
				}
				c.wroteAt(aborted, "u")
				if err := c.commit(aborted); err == nil {
					t.Error("what was aborted committed")
				}
				if at := c.wroteAt(c.transaction("n", now), "v"); m.floor == (at == now) {
					t.Errorf("written at %s, where nobody has read: %s", at, now)
				}
				c.checkConsistency()
			})
		})
	}
}

// loseTransfers loses the messages by which Raft hands leadership over.
func (c *cluster) loseTransfers(off bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose = nil
	if off {
		c.lose = func(e raftgroup.Envelope) bool { return e.Message.Type() == raftgroup.MsgTimeoutNow }
	}
}

func (c *cluster) serves(key string) {
	c.t.Helper()
	c.eventually("it is served", 20*time.Second, func() error { _, err := c.get(key + "~"); return err })
}

// transferInVain begins to hand over, and nobody comes.
func (c *cluster) transferInVain() {
	c.loseTransfers(true)
	r := c.nodes[c.leader(tkey("n"))].store.replicas.lookup(tkey("n"))
	if err := r.transferAway(context.Background(), c.followerOf(tkey("n"))); err == nil {
		c.t.Error("the lease was handed over")
	}
	c.loseTransfers(false)
	c.serves("n")
}

// transferToNobody hands over, and dies; the others restart before one of them
// has the lease.
func (c *cluster) transferToNobody() {
	c.loseTransfers(true)
	from := c.leader(tkey("n"))
	r := c.nodes[from].store.replicas.lookup(tkey("n"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.transferAway(context.Background(), 0)
	}()
	var others []kvapi.NodeID
	for id, n := range c.nodes {
		if id == from {
			continue
		}
		others = append(others, id)
		o := n.store.replicas.lookup(tkey("n"))
		c.eventually("the reads are there", time.Second, func() error {
			o.mu.RLock()
			defer o.mu.RUnlock()
			if o.mu.handed == nil {
				return errors.New("they are not")
			}
			return nil
		})
	}
	c.nodes[from].stopNode()
	<-done
	for _, id := range others {
		c.nodes[id].stopNode()
		c.nodes[id].restart()
	}
	c.loseTransfers(false)
	c.serves("n")
}

// A summary is bounded, whatever was read.
func TestHandedOverReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("a", "1")
		st := c.nodes[1].store
		r := st.replicas.lookup(tkey("a"))
		for i := range 20_000 {
			key := append(tkey("k"), byte(i>>8), byte(i))
			id := kvapi.NewTxnID()
			at := st.cfg.Clock.Now().Timestamp()
			st.tscache.Add(kvapi.Span{Key: key}, at, id)
			st.tscache.Add(kvapi.Span{Key: markKey(key, id, true)}, at, id)
		}
		h := r.summarizeReads(r.Desc())
		if n := len(h.AppendWire(nil)); n > 2*summaryBytesMax {
			t.Errorf("%d bytes", n)
		}
		if len(h.Keys.Reads) < 5000 || len(h.Local.Reads) < 3000 {
			t.Errorf("%d reads and %d marks", len(h.Keys.Reads), len(h.Local.Reads))
		}
		for _, rd := range h.Local.Reads {
			if !keys.IsLocal(rd.Key) {
				t.Fatalf("%s among the marks", rd.Key)
			}
		}
	})
}
