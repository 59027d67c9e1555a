package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

func (c *cluster) split(key string) error {
	return c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey(key)})
}

// merge joins what meets at a key.
func (c *cluster) merge(key string) error {
	q := kvapi.Request{Kind: kvapi.AdminMerge, Key: leftOf(key), Value: tkey(key)}
	_, err := c.nodes[c.leader(q.Key)].store.Send(context.Background(), (&kvapi.BatchRequest{}).Add(q))
	return err.AsError()
}

// mergeSoon merges, again while followers are behind.
func (c *cluster) mergeSoon(key string) {
	c.t.Helper()
	c.eventually("merge at "+key, 30*time.Second, func() error { return c.merge(key) })
}

// leftOf is a key just below another.
func leftOf(key string) kvapi.Key {
	k := tkey(key)
	k[len(k)-1]--
	return append(k, 0xff)
}

func TestMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		for i := range 26 {
			c.mustPut(string(rune('a'+i)), fmt.Sprint(i))
		}
		before := c.tiles()
		c.mergeSoon("m")
		if after := c.tiles(); len(after) != len(before)-1 {
			t.Errorf("%d ranges, there were %d", len(after), len(before))
		}
		for i := range 26 {
			c.mustGet(string(rune('a'+i)), fmt.Sprint(i))
			c.mustPut(string(rune('a'+i)), fmt.Sprint(-i))
		}
		c.checkConsistency()
		// And again, at the same key: generations tell the ranges apart.
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		c.mergeSoon("m")
		c.mustGet("z", "-25")
		c.checkConsistency()
		log := c.cutLog()
		if e := log[1]; len(log) != 4 || e.Kind != kvapi.EventMerge || !e.Key.Equal(tkey("m")) {
			t.Errorf("range log: %+v", log)
		}
		if err := c.merge("m"); err != nil {
			t.Errorf("merging what is merged: %v", err)
		}
	})
}

// Clients at work while the ranges beneath them come and go.
func TestMergesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var acked [4]int
		for w := range 4 {
			wg.Go(func() {
				for i := 1; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					key := fmt.Sprintf("%c/%d", 'a'+i%8, w)
					if err := c.put(key, fmt.Sprint(i)); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					if v, err := c.get(key); err != nil || v != fmt.Sprint(i) {
						t.Errorf("get %s: %q, %v; want %d", key, v, err, i)
						return
					}
					acked[w] = i
					time.Sleep(time.Millisecond)
				}
			})
		}
		for range 5 {
			for _, at := range strings.Split("c e g", " ") {
				if err := c.split(at); err != nil {
					t.Fatal(err)
				}
			}
			for _, at := range strings.Split("e c g", " ") {
				c.mergeSoon(at)
			}
		}
		close(stop)
		wg.Wait()
		for w := range 4 {
			for i := max(1, acked[w]-7); i <= acked[w]; i++ {
				c.mustGet(fmt.Sprintf("%c/%d", 'a'+i%8, w), fmt.Sprint(i))
			}
		}
		if n := len(c.tiles()); n != 3 {
			t.Errorf("%d ranges", n)
		}
		c.checkConsistency()
	})
}

func TestMergeWhatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		away := c.followerOf(tkey("n"))
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("n"),
			Change: &kvapi.ReplicaChange{Remove: []kvapi.NodeID{away}}}); err != nil {
			t.Fatal(err)
		}
		c.eventually("a replica is added for the merge", 30*time.Second, func() error { return c.merge("m") })
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminMerge, Key: kvapi.Key("\x04x"), Value: kvapi.Key("\x05")}); err == nil {
			t.Error("the system's range and the tables' were merged")
		}
		if err := c.merge("q"); err != nil {
			t.Errorf("no range begins at q: %v", err)
		}
	})
}

// A merged range has what others wrote under other clocks, though its lease is
// older than that: what a transaction has seen of the leaseholder's clock says
// nothing of it, also when the range is split again (I19).
func TestAMergeBringsWhatWasWrittenUnderAnotherClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		left := c.leader(tkey("a"))
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: c.followerOf(tkey("n"))}); err != nil {
			t.Fatal(err)
		}
		began := c.now()
		time.Sleep(time.Millisecond)
		c.mustPut("n", "1")
		read := func(when string) {
			t.Helper()
			x := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: began}, ReadTimestamp: began,
				GlobalUncertaintyLimit: began.AddNanos(int64(testMaxOffset)),
				ObservedTimestamps:     []kvapi.ObservedTimestamp{{NodeID: left, Timestamp: hlc.ClockTimestamp(began)}}}
			ba := (&kvapi.BatchRequest{Header: kvapi.Header{Txn: x}}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("n")})
			br, err := c.Send(context.Background(), ba)
			if err == nil || err.Kind != kvapi.ErrUncertain {
				t.Errorf("%s: %v, %v", when, br, err)
			}
		}
		read("before the merge")
		c.mergeSoon("m")
		if got := c.leader(tkey("n")); got != left {
			t.Fatalf("%s leads, and it was %s", got, left)
		}
		read("after the merge")
		if err := c.split("k"); err != nil {
			t.Fatal(err)
		}
		read("after another split")
	})
}

// The lease of the right range comes with an election, and the old leader steps down
// before it is decided: the merge waits for the votes.
func TestAMergeWaitsForTheLeaseItAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		left := c.leader(tkey("a"))
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: c.followerOf(tkey("n"))}); err != nil {
			t.Fatal(err)
		}
		c.mustPut("n", "1")
		var late atomic.Int32
		c.mu.Lock()
		c.lose = func(e raftgroup.Envelope) bool {
			if e.Message.Type() != raftgroup.MsgVoteResponse || e.To.NodeID != left {
				return false
			}
			late.Add(1)
			inbox := c.nodes[left].inbox
			time.AfterFunc(50*time.Millisecond, func() { inbox <- raftgroup.AppendEnvelopes(nil, []raftgroup.Envelope{e}) })
			return true
		}
		c.mu.Unlock()
		if err := c.merge("m"); err != nil {
			t.Error(err)
		}
		if late.Load() == 0 {
			t.Error("no vote was late")
		}
		c.mustGet("n", "1")
		c.checkConsistency()
	})
}

// Who is told that something is protected in a range was told before the range was
// frozen: what swallows the range takes all until then for protected.
func TestAFreezeWaitsForProtections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, goOn := make(chan struct{}, 10), make(chan struct{})
		c := newCluster(t, 3, TestingKnobs{AfterAdmit: func(ba *kvapi.BatchRequest) {
			if ba.Requests[0].Kind == kvapi.CheckProtection {
				asked <- struct{}{}
				<-goOn
			}
		}})
		c.replicateEverywhere()
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		c.mustPut("n", "1")
		protected := make(chan *kvapi.Error, 1)
		go func() {
			ba := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: c.now()}}
			_, err := c.Send(context.Background(), ba.Add(kvapi.Request{Kind: kvapi.CheckProtection, Key: tkey("n"), EndKey: tkey("o"),
				GC: &kvapi.GCArgs{Threshold: c.now(), ProtectedAsOf: ba.Timestamp}}))
			protected <- err
		}()
		<-asked
		merged := make(chan error, 1)
		go func() { merged <- c.merge("m") }()
		time.Sleep(time.Second)
		if len(merged) > 0 {
			t.Error("merged meanwhile")
		}
		close(goOn)
		if err := <-protected; err != nil {
			t.Error(err)
		}
		if err := <-merged; err != nil {
			t.Error(err)
		}
	})
}

// What a follower knows of the clocks under which the range's data were written it
// may have forgotten, or never have known: it takes no reading for a bound (I19).
func TestAFollowerTakesNoClockForABound(t *testing.T) {
	for _, how := range []string{"restarted", "by a snapshot"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := three(t)
				if err := c.split("m"); err != nil {
					t.Fatal(err)
				}
				left := c.leader(tkey("a"))
				if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: c.followerOf(tkey("n"))}); err != nil {
					t.Fatal(err)
				}
				began := c.now()
				time.Sleep(time.Millisecond)
				c.mustPut("n", "1")
				c.mergeSoon("m")
				follower := c.followerOf(tkey("n"))
				if how == "restarted" {
					c.nodes[follower].stopNode()
					c.nodes[follower].restart()
				} else {
					rr := c.nodes[follower].store.replicas.lookup(tkey("n"))
					rr.mu.Lock()
					rr.mu.foreignUntil = hlc.Timestamp{} // as reload leaves it
					rr.mu.Unlock()
				}
				time.Sleep(2 * FollowerReadLag)
				if got := c.leader(tkey("n")); got != left {
					t.Fatalf("%s leads, and it was %s", got, left)
				}
				x := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: began}, ReadTimestamp: began,
					GlobalUncertaintyLimit: began.AddNanos(int64(testMaxOffset)),
					ObservedTimestamps:     []kvapi.ObservedTimestamp{{NodeID: left, Timestamp: hlc.ClockTimestamp(began)}}}
				ba := (&kvapi.BatchRequest{Header: kvapi.Header{Txn: x}}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("n")})
				br, err := c.nodes[follower].store.Send(context.Background(), ba)
				if err == nil || err.Kind != kvapi.ErrNotLeaseholder {
					t.Errorf("%v, %v", br, err)
				}
			})
		})
	}
}

// A replica of the left range is behind: it has not applied a merge, nor the split
// after it at the same key. The new right range has no data there, and gets a
// snapshot; that must not take the place of the replica that the merge needs.
func TestASnapshotLeavesWhatAMergeHereNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		c.mustPut("a", "1")
		c.mustPut("n", "1")
		late := c.followerOf(tkey("a"))
		left := c.nodes[late].store.replicas.lookup(tkey("a"))
		right := c.nodes[late].store.replicas.lookup(tkey("n"))
		frozen := func() bool {
			right.mu.RLock()
			defer right.mu.RUnlock()
			return right.mu.freeze != nil
		}
		var behind, caughtUp atomic.Bool
		c.mu.Lock()
		c.lose = func(e raftgroup.Envelope) bool {
			if e.RangeID != left.rangeID || e.To.NodeID != late || caughtUp.Load() {
				return false
			}
			if frozen() {
				behind.Store(true)
			}
			return behind.Load()
		}
		c.mu.Unlock()
		c.mergeSoon("m")
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		if !behind.Load() || left.Desc().Generation == c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a")).Desc().Generation {
			t.Fatal("nobody is behind")
		}
		c.mustPut("n", "2")
		time.Sleep(20 * time.Second) // snapshots of the new right range are sent, again and again
		caughtUp.Store(true)
		c.eventually("the late replicas catch up", time.Minute, func() error {
			if r := c.nodes[late].store.replicas.lookup(tkey("n")); r == nil || r == right || !r.Desc().IsInitialized() {
				return fmt.Errorf("n%d has no replica of the new right range", late)
			}
			return nil
		})
		c.mustGet("a", "1")
		c.mustGet("n", "2")
		c.checkConsistency()
	})
}

// A change of replicas that was under way when its range was frozen has its record in
// there and its intent on the range's addressing record: what ends the freeze of a merge
// that came to nothing does not wait for it.
func TestAFreezeEndsDespiteAnIntentOfTheFrozenRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		rr := c.nodes[c.leader(tkey("n"))].store.replicas.lookup(tkey("n"))
		desc := rr.Desc()
		change := c.transaction("n", c.now())
		c.mustSend(change, kvapi.Request{Kind: kvapi.Put, Key: keys.RangeMetaKey(desc.EndKey), Value: desc.AppendWire(nil), Seq: 1})
		gone := c.transaction("a", c.now()) // it has no record
		if _, err := rr.freezeFor(t.Context(), gone.TxnMeta, desc); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // nobody hears of either transaction any more
		ctx, cancel := context.WithTimeout(t.Context(), settleTimeout)
		defer cancel()
		if err := rr.settleFreeze(ctx); err != nil {
			t.Fatal(err)
		}
		c.mustPut("n", "served again")
	})
}
