package store

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// closedEverywhere says which replica is not closed up to a timestamp.
func (c *cluster) closedEverywhere(key string, at hlc.Timestamp) error {
	for id := range c.nodes {
		n := c.up(id)
		if n == nil {
			continue
		}
		r := n.store.replicas.lookup(tkey(key))
		if r == nil {
			return fmt.Errorf("%s has no replica", id)
		}
		closed := r.closedHere()
		if r.leaseStatus(noTimestamp).IsValid() {
			closed = closed.Max(r.closing.Closed())
		}
		if closed.Less(at) {
			return fmt.Errorf("%s is closed up to %s on %s", r.Desc(), closed, id)
		}
	}
	return nil
}

// allInCrowds says which range costs a look each time although it is idle.
func (c *cluster) allInCrowds() error {
	for id := range c.nodes {
		if n := c.up(id); n != nil && len(n.store.leaders.all()) > 0 {
			return fmt.Errorf("on %s no crowd closes for %s", id, n.store.leaders.all()[0].Desc())
		}
	}
	return nil
}

func (c *cluster) now() hlc.Timestamp { return c.nodes[1].clock.Now().Timestamp() }

// putAt writes at a timestamp of the past, if the range lets it, and returns
// where it came to stand.
func (c *cluster) putAt(key string, at hlc.Timestamp) hlc.Timestamp {
	c.t.Helper()
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Timestamp: at}}
	br, err := c.Send(context.Background(), ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey(key), Value: []byte("late")}))
	if err != nil {
		c.t.Fatal(err)
	}
	return br.Timestamp
}

// Idle or busy, asleep or not, a range is closed on all its replicas some seconds
// after.
func TestTimestampsAreClosedEverywhere(t *testing.T) {
	for name, mode := range map[string]LeaseMode{"expiration": ExpirationLeases, "leader": LeaderLeases} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				knobs := quiet
				knobs.DisableCheckLoop, knobs.DisableGCLoop = true, true
				c := newClusterWith(t, 3, knobs, func(cfg *Config) { cfg.Leases = mode })
				c.replicateEverywhere()
				c.mustPut("a", "1")
				written := c.now()
				if got := c.putAt("b", written.AddNanos(-int64(ClosedLagDefault/2))); !got.Less(written) {
					t.Errorf("a write that is hardly late was moved to %s", got)
				}
				time.Sleep(ClosedLagDefault + 2*ClosedIntervalDefault)
				if err := c.closedEverywhere("a", written); err != nil {
					t.Error(err)
				}
				if got := c.putAt("a", written.AddNanos(-1)); !written.Less(got) {
					t.Errorf("written at %s, %s was closed", got, written)
				}
				if mode == LeaderLeases {
					c.eventually("all sleep", 10*time.Second, c.allAsleep)
				}
				time.Sleep(time.Minute)
				if err := c.closedEverywhere("a", c.now().AddNanos(-int64(ClosedLagDefault+2*ClosedIntervalDefault))); err != nil {
					t.Error(err)
				}
				if mode == LeaderLeases {
					if err := c.allAsleep(); err != nil {
						t.Error(err)
					}
				}
				if mode == LeaderLeases {
					if err := c.allInCrowds(); err != nil {
						t.Error(err)
					}
				}
				// An idle cluster says so with one small message per pair of nodes.
				before := c.nodes[c.leader(tkey("a"))].store.metrics.ClosedUpdates.Load()
				time.Sleep(time.Minute)
				if n := c.nodes[c.leader(tkey("a"))].store.metrics.ClosedUpdates.Load() - before; n > 2*60 {
					t.Errorf("%d updates in a minute", n)
				}
			})
		})
	}
}

// What was closed before a lease moved, a range split or two merged stays closed.
func TestWhatIsClosedStaysClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		c.mustPut("n", "1")
		closed := func(what string) hlc.Timestamp {
			t.Helper()
			at := c.now()
			c.eventually(what, 10*time.Second, func() error { return c.closedEverywhere("n", at) })
			return at
		}
		late := func(what string, at hlc.Timestamp) {
			t.Helper()
			if got := c.putAt("n", at); got.LessEq(at) {
				t.Errorf("after %s: written at %s, %s was closed", what, got, at)
			}
		}
		at := closed("the beginning")
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		late("a split", at)
		at = closed("after the split")
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: c.followerOf(tkey("n"))}); err != nil {
			t.Fatal(err)
		}
		late("a transfer", at)
		at = closed("after the transfer")
		c.mergeSoon("m")
		late("a merge", at)
		at = closed("after the merge")
		old := c.leader(tkey("n"))
		c.nodes[old].stopNode()
		c.eventually("another leads", 30*time.Second, func() error {
			if id := c.leader(tkey("n")); id == old {
				return fmt.Errorf("%s", id)
			}
			return nil
		})
		late("a failover", at)
		c.nodes[old].restart()
		c.checkConsistency()
	})
}

// Updates that are lost are noticed, and told again.
func TestLostUpdatesAreToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, quiet, func(cfg *Config) { cfg.Leases = LeaderLeases })
		c.replicateEverywhere()
		c.mustPut("a", "1")
		var lose atomic.Bool
		c.mu.Lock()
		c.loseAsks = func(_, _ kvapi.NodeID) bool { return lose.Load() }
		c.mu.Unlock()
		time.Sleep(10 * time.Second)
		lose.Store(true)
		time.Sleep(10 * time.Second)
		at := c.now().AddNanos(-int64(ClosedLagDefault))
		if err := c.closedEverywhere("a", at); err == nil {
			t.Error("somebody has heard of it")
		}
		lose.Store(false)
		time.Sleep(5 * time.Second)
		if err := c.closedEverywhere("a", at); err != nil {
			t.Error(err)
		}
	})
}

// The assertion that finds a leaseholder which breaks its promise.
func TestAWriteBelowWhatIsClosedStopsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fatal atomic.Pointer[error]
		c := newClusterWith(t, 1, quiet, func(cfg *Config) { cfg.Fatal = func(err error) { fatal.Store(&err) } })
		c.mustPut("a", "1")
		time.Sleep(10 * time.Second)
		c.mustPut("a", "2") // carries what is closed
		r := c.nodes[1].store.replicas.lookup(tkey("a"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		low := c.now().AddNanos(-int64(5 * time.Second))
		_ = r.proposeNow(ctx, func(h *commandHeader) {
			h.LowestWrite, h.StatsDelta.LiveBytes = low, 1
		})
		if err := fatal.Load(); err == nil || !strings.Contains((*err).Error(), "is closed") {
			t.Errorf("the node goes on: %v", err)
		}
	})
}

// A command that is just being applied, and is in neither pending nor the applied
// state, is under way (I5 of kv/closedts).
func TestNothingIsClosedWhileACommandApplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *cluster
		var wrong atomic.Pointer[string]
		looked := 0
		knobs := quiet
		knobs.Wrote = func(id kvapi.RangeID, index kvapi.LogIndex, at hlc.Timestamp) {
			r := c.nodes[1].store.replicas.get(id)
			if r == nil || !r.holdsLease() {
				return
			}
			looked++
			// As it is a moment later, when its fate is decided and not shown.
			r.mu.Lock()
			pending := r.mu.pending
			r.mu.pending = nil
			r.mu.Unlock()
			defer func() {
				r.mu.Lock()
				r.mu.pending = pending
				r.mu.Unlock()
			}()
			if now, ok := r.closeIdle(at, nil); ok && now.index < index {
				why := fmt.Sprintf("%s is closed from %d on, and %d writes there", at, now.index, index)
				wrong.Store(&why)
			}
		}
		c = newClusterWith(t, 1, knobs, func(cfg *Config) { cfg.ClosedLag = time.Millisecond })
		for i := range 20 {
			at := c.now()
			time.Sleep(10 * time.Millisecond)
			c.putAt(fmt.Sprint("k", i), at)
		}
		if why := wrong.Load(); why != nil {
			t.Error(*why)
		}
		if looked == 0 {
			t.Error("nobody has looked")
		}
	})
}
