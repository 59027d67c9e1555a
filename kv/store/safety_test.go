package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// writeBelowRead reads a key now, writes it a second ago, and returns where the
// write went.
func writeBelowRead(t *testing.T, knobs TestingKnobs) (read, wrote hlc.Timestamp) {
	c := newCluster(t, 1, knobs)
	c.mustPut("other", "1")
	s := c.nodes[1].store
	now := c.nodes[1].clock.Now().Timestamp()
	get := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: now}}
	if _, err := s.Send(context.Background(), get.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})); err != nil {
		t.Fatal(err)
	}
	put := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: now.AddNanos(-1000)}}
	br, err := s.Send(context.Background(), put.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("x")}))
	if err != nil {
		t.Fatal(err)
	}
	return now, br.Timestamp
}

func TestWriteLandsAboveReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if read, wrote := writeBelowRead(t, quiet); wrote.LessEq(read) {
			t.Errorf("wrote at %s, read at %s", wrote, read)
		}
	})
}

func TestBrokenTimestampCacheIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := quiet
		broken.DisableTimestampCache = true
		if read, wrote := writeBelowRead(t, broken); read.Less(wrote) {
			t.Errorf("the broken build wrote at %s, above the read at %s", wrote, read)
		}
	})
}

// A restarted or new leaseholder does not know what was read before it; the
// floor of its cache does.
func TestWriteLandsAboveReadsOfFormerLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("other", "1")
		n := c.nodes[1]
		now := n.clock.Now().Timestamp()
		get := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: now}}
		if _, err := n.store.Send(context.Background(), get.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})); err != nil {
			t.Fatal(err)
		}
		n.stopNode()
		n.restart()
		put := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: now.AddNanos(-1000)}}
		br, err := c.Send(context.Background(), put.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("x")}))
		if err != nil {
			t.Fatal(err)
		}
		if br.Timestamp.LessEq(now) {
			t.Errorf("wrote at %s, read at %s", br.Timestamp, now)
		}
	})
}

// staleReads cuts the leader off, writes through its successor, and then asks
// the old leader.
func staleRead(t *testing.T, knobs TestingKnobs) bool {
	c := newCluster(t, 3, knobs)
	c.replicateEverywhere()
	c.mustPut("a", "1")
	id := c.leader(tkey("a"))
	c.isolate(id, true)
	old := c.nodes[id]
	c.mu.Lock()
	c.hidden = id
	c.mu.Unlock()
	c.mustPut("a", "2")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	br, err := old.store.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")}))
	return err == nil && string(br.Responses[0].Value) == "1"
}

func TestBrokenLeaseCheckIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if staleRead(t, quiet) {
			t.Error("stale read")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		broken := quiet
		broken.DisableLeaseCheck = true
		if !staleRead(t, broken) {
			t.Error("the broken build served nothing stale")
		}
	})
}

// A caller that leaves does not let anybody see the key before the fate of its
// write is known.
func TestCanceledWriteIsAmbiguousAndKeepsItsLatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.leader(tkey("a"))
		s := c.nodes[id].store
		c.isolate(id, true)
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err := s.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("2")}))
		if err == nil || err.Kind != kvapi.ErrAmbiguous || !err.MaybeApplied {
			t.Fatalf("%v", err)
		}
		rctx, done := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer done()
		get := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
		if br, err := s.Send(rctx, get); err == nil {
			t.Fatalf("read %q beside a write in flight", br.Responses[0].Value)
		}
		c.isolate(id, false)
		c.mustPut("b", "1")
		if v, err := c.get("a"); err != nil || (v != "1" && v != "2") {
			t.Fatalf("%q %v", v, err)
		}
		c.checkConsistency()
	})
}

// A batch for keys of two ranges is sent back with what is known of both.
func TestMismatchTeaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("a", "1")
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m")}); err != nil {
			t.Fatal(err)
		}
		c.mustPut("z", "1")
		ba := &kvapi.BatchRequest{Header: kvapi.Header{RangeID: 3}}
		_, err := c.nodes[1].store.Send(context.Background(), ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("z")}))
		if err == nil || err.Kind != kvapi.ErrRangeMismatch || len(err.Infos) != 2 {
			t.Fatalf("%v", err)
		}
		if got := err.Infos[1].Desc; !got.ContainsKey(tkey("z")) {
			t.Errorf("%s", &got)
		}
	})
}

// Without a quorum a write without deadline does not hang for ever.
func TestWriteWithoutQuorumBecomesAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.leader(tkey("a"))
		c.isolate(id, true)
		began := time.Now()
		_, err := c.nodes[id].store.Send(context.Background(),
			(&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("2")}))
		if err == nil || err.Kind != kvapi.ErrAmbiguous {
			t.Fatalf("%v", err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %s", took)
		}
		c.isolate(id, false)
	})
}

// What a deposed leader had proposed, and its successor's log does not have,
// ends with the successor's first entry. It must not wait for the next lease:
// the request for that may be among it, and while that is pending the replica
// asks for no other, even when it leads again.
func TestLostProposalsEndWithTheTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.leader(tkey("a"))
		r := c.nodes[id].store.replicas.lookup(tkey("a"))
		// A lease so long that no other comes in this test.
		if o, err := c.askForLease(r, time.Minute).wait(t.Context()); o != applied || err != nil {
			t.Fatalf("long lease: %d, %v", o, err)
		}
		c.isolate(id, true)
		began := time.Now()
		lost := c.askForLease(r, 2*time.Minute)
		answer := make(chan *kvapi.Error, 1)
		go func() {
			ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("2")})
			_, err := c.nodes[id].store.Send(t.Context(), ba)
			answer <- err
		}()
		// Mostly within four seconds. A follower that stands before the other has
		// missed the leader for ten ticks is refused, and may stand again only after
		// as long once more.
		c.eventually("another leads", 20*time.Second, func() error {
			for _, n := range c.nodes {
				if o := n.store.replicas.lookup(tkey("a")); n.id != id && o.isLeading() {
					return nil
				}
			}
			return errors.New("nobody does")
		})
		// By then its caller may have been told that nobody knows.
		late := time.Since(began) > stuckTicks*DefaultTickInterval-2*time.Second
		c.isolate(id, false)
		time.Sleep(2 * time.Second)
		select {
		case err := <-answer:
			if err == nil || err.Kind != kvapi.ErrNotLeaseholder && !(late && err.Kind == kvapi.ErrAmbiguous) {
				t.Errorf("the lost write: %v", err)
			}
		default:
			t.Error("the lost write is still pending")
		}
		select {
		case <-lost.done:
			if lost.result != neverApplied {
				t.Errorf("the lost lease: %d", lost.result)
			}
		default:
			t.Error("the lost lease is still pending")
		}
	})
}

func (r *Replica) isLeading() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.leads
}

// askForLease has the holder of a lease ask for more of it.
func (c *cluster) askForLease(r *Replica, more time.Duration) *proposal {
	c.t.Helper()
	var p *proposal
	c.eventually("no request for a lease is in flight", time.Second, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.mu.leaseAsked {
			return errors.New("one is")
		}
		next := r.mu.lease
		next.Expiration = next.Expiration.AddNanos(int64(more))
		r.mu.leaseAsked = true
		p = r.newLeaseProposal(r.mu.lease, next, nil)
		r.bufferLocked(p)
		return nil
	})
	r.store.enqueue(r.rangeID)
	return p
}
