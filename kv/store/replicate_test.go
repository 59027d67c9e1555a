package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/kvapi"
)

// turns lets all queues turn until f is content.
func (c *cluster) turns(what string, f func() error) {
	c.t.Helper()
	c.eventually(what, 5*time.Minute, func() error {
		for id := range c.nodes {
			if n := c.up(id); n != nil {
				n.store.ReplicateOnce(context.Background())
			}
		}
		time.Sleep(time.Second)
		return f()
	})
}

// noneOn checks that no range has a replica on a node.
func (c *cluster) noneOn(id kvapi.NodeID) error {
	if err := c.threeVoters(); err != nil {
		return err
	}
	for o := range c.nodes {
		if n := c.up(o); n != nil && o != id {
			for _, in := range n.store.RangeInfos() {
				if _, ok := in.Desc.Replica(id); ok && in.LeaseValid {
					return errors.New(in.Desc.String())
				}
			}
		}
	}
	return nil
}

// A node that is silent keeps its replicas; once it counts as dead they are
// made anew elsewhere, and if it comes back after all it gives its copies up.
func TestQueueRepairsAfterANodeIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		lost := c.followerOf3(tkey("a"))
		c.nodes[lost].stopNode()
		for range 5 {
			for id := range c.nodes {
				if n := c.up(id); n != nil {
					n.store.ReplicateOnce(context.Background())
				}
			}
			time.Sleep(time.Second)
		}
		if got, _ := c.voters(tkey("a")); !slices.Contains(got, lost) {
			t.Errorf("voters %v: %s was given up at once", got, lost)
		}
		c.mu.Lock()
		c.silence = allocator.Dead
		c.mu.Unlock()
		c.turns("the ranges are whole again", func() error { return c.noneOn(lost) })
		c.mustPut("a", "2")
		c.nodes[lost].restart()
		c.turns("what came back is collected", c.threeVoters)
		c.mustGet("a", "2")
		c.checkConsistency()
	})
}

// A node that is decommissioned loses its leases and then its replicas.
func TestQueueEmptiesADecommissionedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		leaving := c.leader(tkey("a"))
		c.mu.Lock()
		c.membership = map[kvapi.NodeID]allocator.Membership{leaving: allocator.Decommissioning}
		c.mu.Unlock()
		c.turns("it is empty", func() error { return c.noneOn(leaving) })
		c.mustPut("a", "2")
		c.turns("and has forgotten all", c.threeVoters)
		c.checkConsistency()
	})
}

// With three nodes there is nowhere to go, and that is said; nothing is lost.
func TestQueueSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		leader := c.leader(tkey("a"))
		leaving := c.followerOf3(tkey("a"))
		c.mu.Lock()
		c.membership = map[kvapi.NodeID]allocator.Membership{leaving: allocator.Decommissioning}
		c.mu.Unlock()
		s := c.nodes[leader].store
		s.ReplicateOnce(context.Background())
		want := fmt.Sprintf("%s is leaving the cluster: needs a fourth node", leaving)
		if got := s.Blocked()[s.replicas.lookup(tkey("a")).rangeID]; !strings.Contains(got, want) {
			t.Errorf("blocked: %q, want %q", got, want)
		}
		if got, _ := c.voters(tkey("a")); len(got) != 3 {
			t.Errorf("voters %v", got)
		}
		c.mu.Lock()
		c.membership = nil
		c.mu.Unlock()
		s.ReplicateOnce(context.Background())
		if got := s.Blocked(); len(got) != 0 {
			t.Errorf("blocked: %v", got)
		}
	})
}

// A node that does not take a replica is not asked again and again.
func TestQueueLeavesANodeThatRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 5, quiet)
		c.hideNode(4, true)
		c.hideNode(5, true)
		c.replicate()
		c.hideNode(4, false)
		c.mustPut("a", "1")
		leader := c.leader(tkey("a"))
		s := c.nodes[leader].store
		s.recent.refused(4)
		lost := c.followerOf3(tkey("a"))
		c.mu.Lock()
		c.silence = allocator.Dead
		c.mu.Unlock()
		c.nodes[lost].stopNode()
		s.ReplicateOnce(context.Background())
		if got := s.Blocked()[s.replicas.lookup(tkey("a")).rangeID]; !strings.Contains(got, "n4 did not take a replica just now") {
			t.Errorf("blocked: %q", got)
		}
		time.Sleep(refusedFor)
		c.turns("it is tried again", func() error { return c.noneOn(lost) })
		c.checkConsistency()
	})
}

// A node that gossip still takes for live does not answer: the move is given up
// soon, and made to another node.
func TestQueueGivesUpALearnerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		c.isolate(4, true)
		r := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a"))
		began := time.Now()
		err := r.changeReplicas(context.Background(), []kvapi.NodeID{4}, []kvapi.NodeID{c.followerOf3(tkey("a"))}, "test")
		if in := time.Since(began); err == nil || in > 3*learnerSilentMax {
			t.Errorf("%v after %s", err, in)
		}
		c.isolate(4, false)
		c.replicate()
		c.checkConsistency()
	})
}
