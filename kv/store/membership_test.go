package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// four starts four stores, with all ranges on the first three.
func four(t testing.TB) *cluster {
	c := newCluster(t, 4, quiet)
	c.hideNode(4, true)
	c.replicate()
	c.hideNode(4, false)
	return c
}

// hideNode takes a node out of the list of those that may get replicas.
func (c *cluster) hideNode(id kvapi.NodeID, hide bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unlisted == nil {
		c.unlisted = map[kvapi.NodeID]bool{}
	}
	c.unlisted[id] = hide
}

// replicate lets the stores work until every range has three voters and nothing
// else.
func (c *cluster) replicate() {
	c.t.Helper()
	c.eventually("every range has three voters", 60*time.Second, func() error {
		for id := range c.nodes {
			if n := c.up(id); n != nil {
				n.store.ReplicateOnce(context.Background())
			}
		}
		return c.threeVoters()
	})
}

// threeVoters checks the newest descriptor of each range.
func (c *cluster) threeVoters() error {
	newest := map[kvapi.RangeID]kvapi.RangeDescriptor{}
	for id := range c.nodes {
		n := c.up(id)
		if n == nil {
			continue
		}
		for _, in := range n.store.RangeInfos() {
			if in.Desc.IsInitialized() && in.Desc.Generation >= newest[in.Desc.RangeID].Generation {
				newest[in.Desc.RangeID] = in.Desc
			}
		}
	}
	for id := range c.nodes {
		n := c.up(id)
		if n == nil {
			continue
		}
		for _, r := range n.store.replicas.all() {
			d := newest[r.rangeID]
			if _, ok := d.ReplicaByID(r.replicaID); !ok {
				return fmt.Errorf("%s has a replica of %s", id, &d)
			}
		}
	}
	if len(newest) < 3 {
		return fmt.Errorf("only %d ranges", len(newest))
	}
	for _, d := range newest {
		if len(d.Replicas) != 3 || d.Voters() != 3 || d.IsJoint() {
			return errors.New(d.String())
		}
	}
	return nil
}

func (c *cluster) change(key string, ch kvapi.ReplicaChange) error {
	return c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey(key), Change: &ch})
}

// voters returns the nodes of a range's voters, and whether that is all it has,
// as the leaseholder knows it.
func (c *cluster) voters(key kvapi.Key) (nodes []kvapi.NodeID, settled bool) {
	c.t.Helper()
	d := c.nodes[c.leader(key)].store.replicas.lookup(key).Desc()
	settled = true
	for _, rep := range d.Replicas {
		if rep.Type == kvapi.Voter {
			nodes = append(nodes, rep.NodeID)
		} else {
			settled = false
		}
	}
	slices.Sort(nodes)
	return nodes, settled
}

// A replica moves to another node while the range is written to; the range has
// three voters before and after, and the old copy is gone.
func TestSwapMovesAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		from := c.followerOf3(tkey("a"))
		if err := c.change("a", kvapi.ReplicaChange{Add: []kvapi.NodeID{4}, Remove: []kvapi.NodeID{from}}); err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc([]kvapi.NodeID{1, 2, 3, 4}, func(n kvapi.NodeID) bool { return n == from })
		if got, settled := c.voters(tkey("a")); !slices.Equal(got, want) || !settled {
			t.Errorf("voters %v, want %v", got, want)
		}
		c.gone(from, tkey("a"))
		c.mustPut("a", "2")
		c.mustGet("a", "2")
		c.checkConsistency()
	})
}

// followerOf3 is a node with a replica that does not lead.
func (c *cluster) followerOf3(key kvapi.Key) kvapi.NodeID {
	c.t.Helper()
	leader := c.leader(key)
	for _, rep := range c.nodes[leader].store.replicas.lookup(key).Desc().Replicas {
		if rep.NodeID != leader {
			return rep.NodeID
		}
	}
	c.t.Fatalf("%s has one replica only", key)
	return 0
}

// gone waits until a node has no replica of the range and its tombstone.
func (c *cluster) gone(id kvapi.NodeID, key kvapi.Key) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("%s forgets its replica", id), 2*time.Minute, func() error {
		s := c.nodes[id].store
		s.ReplicateOnce(context.Background())
		if r := s.replicas.lookup(key); r != nil {
			return errors.New(r.Desc().String())
		}
		return nil
	})
}

// A swap whose driver is cut off in the middle of it is ended by whoever holds
// the lease next: with the lease at the voter that leaves, too.
func TestSwapIsEndedByTheNextLeaseholder(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 4))
				c := four(t)
				c.mustPut("a", "1")
				driver := c.leader(tkey("a"))
				from := c.followerOf3(tkey("a"))
				r := c.nodes[driver].store.replicas.lookup(tkey("a"))
				moved := make(chan error, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					moved <- r.adminChangeReplicas(ctx, &kvapi.ReplicaChange{Add: []kvapi.NodeID{4}, Remove: []kvapi.NodeID{from}})
				}()
				stage := []func(*kvapi.RangeDescriptor) bool{
					func(d *kvapi.RangeDescriptor) bool { return len(d.Replicas) == 4 },
					(*kvapi.RangeDescriptor).IsJoint,
					func(d *kvapi.RangeDescriptor) bool {
						return !d.IsJoint() && len(d.Replicas) == 4 && d.Replicas[3].Type == kvapi.Voter
					},
				}[seed%3]
				for !stage(r.Desc()) && len(moved) == 0 {
					time.Sleep(time.Millisecond)
				}
				c.nodes[driver].crash(rng, []int{0, 50, 100}[rng.IntN(3)])
				<-moved
				c.mustPut("a", "2")
				c.replicateAmong(driver)
				c.nodes[driver].restart()
				c.replicate()
				c.mustGet("a", "2")
				c.checkConsistency()
			})
		})
	}
}

// replicateAmong lets those that are up end what was begun.
func (c *cluster) replicateAmong(except kvapi.NodeID) {
	c.t.Helper()
	c.eventually("no range is between configurations", 60*time.Second, func() error {
		for id := range c.nodes {
			if n := c.up(id); n != nil && id != except {
				n.store.ReplicateOnce(context.Background())
			}
		}
		for id := range c.nodes {
			if n := c.up(id); n != nil {
				for _, in := range n.store.RangeInfos() {
					if in.LeaseValid && in.Desc.IsJoint() {
						return errors.New(in.Desc.String())
					}
				}
			}
		}
		return nil
	})
}

// A voter that is elected while it is being demoted hands over before the
// configuration is left.
func TestLeaseholderThatIsBeingDemotedHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		leader := c.leader(tkey("a"))
		from := c.followerOf3(tkey("a"))
		r := c.nodes[leader].store.replicas.lookup(tkey("a"))
		ctx := context.Background()
		if err := r.addLearner(ctx, 4, "test"); err != nil {
			t.Fatal(err)
		}
		err := r.changeDescriptor(ctx, "test", func(d *kvapi.RangeDescriptor) error {
			for i := range d.Replicas {
				switch d.Replicas[i].NodeID {
				case from:
					d.Replicas[i].Type = kvapi.VoterDemotingLearner
				case 4:
					d.Replicas[i].Type = kvapi.VoterIncoming
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		demoted := c.nodes[from].store.replicas.lookup(tkey("a"))
		c.eventually("the voter that leaves leads", 60*time.Second, func() error {
			leads := c.leader(tkey("a"))
			if leads == from {
				return nil
			}
			c.isolate(leads, true)
			for range 10 {
				demoted.campaignSoon.Store(true)
				c.nodes[from].store.enqueue(demoted.rangeID)
				time.Sleep(300 * time.Millisecond)
			}
			c.isolate(leads, false)
			return errors.New("it does not")
		})
		c.replicate()
		if got, _ := c.voters(tkey("a")); slices.Contains(got, from) {
			t.Errorf("voters %v with %s", got, from)
		}
		c.gone(from, tkey("a"))
		c.mustGet("a", "1")
		c.checkConsistency()
	})
}

// A replica that was removed while its node was away finds out, whatever it was
// when it went: it deletes itself and leaves a tombstone.
func TestReplicaRemovedWhileAwayFindsOut(t *testing.T) {
	for _, as := range []kvapi.ReplicaType{kvapi.Voter, kvapi.Learner} {
		t.Run(fmt.Sprint(as), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := four(t)
				c.mustPut("a", "1")
				away := c.followerOf3(tkey("a"))
				if as == kvapi.Learner {
					away = 4
					leader := c.leader(tkey("a"))
					if err := c.nodes[leader].store.replicas.lookup(tkey("a")).addLearner(context.Background(), away, "test"); err != nil {
						t.Fatal(err)
					}
				}
				id := c.nodes[away].store.replicas.lookup(tkey("a")).rangeID
				c.isolate(away, true)
				if err := c.change("a", kvapi.ReplicaChange{Remove: []kvapi.NodeID{away}}); err != nil {
					t.Fatal(err)
				}
				c.mustPut("a", "2")
				time.Sleep(time.Minute)
				c.isolate(away, false)
				c.gone(away, tkey("a"))
				var tomb tombstone
				if ok, err := loadRecord(c.nodes[away].engine, keys.Tombstone(id), &tomb); !ok || err != nil || tomb.NextReplicaID < 2 {
					t.Errorf("tombstone %+v, %t, %v", tomb, ok, err)
				}
				start, end := keys.Table(100), keys.Table(101)
				left, err := mvccCount(c.nodes[away].engine, kvapi.Span{Key: start, EndKey: end})
				if err != nil || left != 0 {
					t.Errorf("%d keys are left, %v", left, err)
				}
			})
		})
	}
}

// A replica that lagged behind when it was removed is told so: it does not get
// the entry that removes it, and, asleep, would not ask for minutes.
func TestARemovedReplicaIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		away := c.followerOf3(tkey("a"))
		c.isolate(away, true)
		r := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a"))
		old := r.Desc()
		if err := c.change("a", kvapi.ReplicaChange{Remove: []kvapi.NodeID{away}}); err != nil {
			t.Fatal(err)
		}
		c.isolate(away, false)
		r = c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a"))
		r.tellRemoved(old, r.Desc())
		time.Sleep(50 * time.Millisecond)
		if c.nodes[away].store.replicas.lookup(tkey("a")) != nil {
			t.Errorf("n%d still has its replica", away)
		}
		// There is none to be told twice, and none is made by it.
		r.tellRemoved(old, r.Desc())
		time.Sleep(50 * time.Millisecond)
		if c.nodes[away].store.replicas.get(r.rangeID) != nil {
			t.Errorf("n%d has a replica again", away)
		}
	})
}

func mvccCount(eng *storage.Engine, sp kvapi.Span) (n int, err error) {
	err = eachPair(eng, sp, func(_, _ []byte) error { n++; return nil })
	return n, err
}

// Replica ids are never given twice, whatever comes and goes.
func TestReplicaIDsAreNeverReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := four(t)
		c.mustPut("a", "1")
		seen := map[kvapi.ReplicaID]kvapi.NodeID{}
		for range 4 {
			from := c.followerOf3(tkey("a"))
			voters, _ := c.voters(tkey("a"))
			var to kvapi.NodeID
			for id := range c.nodes {
				if !slices.Contains(voters, id) {
					to = id
				}
			}
			if err := c.change("a", kvapi.ReplicaChange{Add: []kvapi.NodeID{to}, Remove: []kvapi.NodeID{from}}); err != nil {
				t.Fatal(err)
			}
			rep, _ := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a")).Desc().Replica(to)
			if was, ok := seen[rep.ReplicaID]; ok {
				t.Fatalf("replica id %d of %s is given to %s", rep.ReplicaID, was, to)
			}
			seen[rep.ReplicaID] = to
		}
		c.mustGet("a", "1")
		c.checkConsistency()
	})
}

// A voter that slept while it was removed, and heard neither of the change nor the
// notice, finds out all the same: its leader closes no timestamps for it any more.
// One that is a member is named, however long it sleeps, and in no doubt.
func TestAVoterThatSleptThroughItsRemovalFindsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 4, quiet, func(cfg *Config) { cfg.Leases = LeaderLeases })
		c.hideNode(4, true)
		c.replicate()
		c.hideNode(4, false)
		c.mustPut("a", "1")
		var removed kvapi.NodeID
		for id := kvapi.NodeID(1); id <= 3; id++ {
			if id != c.leader(tkey("a")) {
				removed = id
			}
		}
		passes := func(d time.Duration) {
			for began := time.Now(); time.Since(began) < d; time.Sleep(replicateEvery) {
				for id := range c.nodes {
					c.nodes[id].store.collectPass(context.Background(), c.nodes[id].store.replicas.all())
				}
			}
		}
		passes(5 * time.Minute)
		r := c.nodes[removed].store.replicas.lookup(tkey("a"))
		if r.awake.Load() || !r.isNamed() {
			t.Fatalf("a member: awake %t, named %t", r.awake.Load(), r.isNamed())
		}
		c.lose = func(e raftgroup.Envelope) bool { return e.To.NodeID == removed && e.RangeID == r.rangeID }
		err := c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"),
			Change: &kvapi.ReplicaChange{Add: []kvapi.NodeID{4}, Remove: []kvapi.NodeID{removed}}})
		if err != nil {
			t.Fatal(err)
		}
		if c.nodes[removed].store.replicas.get(r.rangeID) == nil {
			t.Fatal("it heard of it")
		}
		passes(2 * doubtVoterEvery)
		if c.nodes[removed].store.replicas.get(r.rangeID) != nil {
			t.Errorf("it is still there after %s", 2*doubtVoterEvery)
		}
		c.checkConsistency()
	})
}
