package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// ask reads a key as many times from a gateway.
func (c *cluster) ask(from kvapi.NodeID, times int) {
	c.t.Helper()
	holder := c.nodes[c.leader(tkey("a"))].store
	for range times {
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: from}}
		if _, err := holder.Send(context.Background(), ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})); err != nil {
			c.t.Fatal(err)
		}
	}
}

// followOnce ends a window when a node could take the lease, were it to: Raft
// hands over only to a follower it has heard of lately and is not probing.
func (c *cluster) followOnce(able kvapi.NodeID) {
	c.t.Helper()
	holder := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a"))
	c.eventually("the follower is up to date", 20*time.Second, func() error {
		_, err := holder.transferTarget(able)
		return err
	})
	for _, id := range c.LiveNodes() {
		c.nodes[id].store.FollowOnce(context.Background())
	}
}

func TestLeaseFollowsItsRequests(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *cluster{"the range of a table": threeWithTable, "the range that tables share": three} {
		t.Run(name, func(t *testing.T) { leaseFollowsItsRequests(t, start) })
	}
}

func leaseFollowsItsRequests(t *testing.T, start func(*testing.T) *cluster) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		c.mustPut("a", "1")
		holder := c.leader(tkey("a"))
		other := c.followerOf(tkey("a"))

		// Requests from everywhere, too few, or for one window only, move nothing.
		for _, w := range []map[kvapi.NodeID]int{
			{other: followBatchesMin, holder: followBatchesMin},
			{other: followBatchesMin - 1},
			{other: followBatchesMin},
			{holder: followBatchesMin},
			{other: followBatchesMin},
		} {
			for from, times := range w {
				c.ask(from, times)
			}
			c.followOnce(other)
			if now := c.leader(tkey("a")); now != holder {
				t.Fatalf("after %v the lease is at %s", w, now)
			}
		}
		c.ask(other, followBatchesMin)
		c.followOnce(other)
		if now := c.leader(tkey("a")); now != other {
			t.Errorf("the lease is at %s, the requests come from %s", now, other)
		}
		c.mustGet("a", "1")
		c.mustPut("a", "2")
		c.checkConsistency()
	})
}
