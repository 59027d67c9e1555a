package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// bomb cuts a node's power before its k-th write to the disk after it was lit.
type bomb struct {
	n    *testNode
	keep int
	rng  *rand.Rand
	left atomic.Int64
	once sync.Once
	gone chan struct{}
	fs   storagetest.CrashFS
}

// light makes the node lose its power at the k-th write from now, 1 being the
// next.
func (b *bomb) light(k int) { b.left.Store(int64(k)) }

func (b *bomb) onWrite() {
	if b.left.Load() <= 0 || b.left.Add(-1) != 0 {
		return
	}
	b.once.Do(func() {
		b.n.c.mu.Lock()
		b.n.down = true // what it says from now on nobody hears
		b.n.c.mu.Unlock()
		b.fs = b.n.fs.Crash(b.keep, b.rng)
		close(b.gone)
	})
}

// wentOff takes the process down if the bomb went off, and starts it again on
// what is left of its disk.
func (b *bomb) wentOff() bool {
	b.left.Store(0)
	select {
	case <-b.gone:
	default:
		return false
	}
	b.n.close()
	b.n.fs = b.fs
	b.n.onWrite = nil
	b.n.restart()
	return true
}

// crashCase is an operation on ranges and what holds when it is over.
type crashCase struct {
	name    string
	nodes   int
	victims []crashVictim
	prepare func(c *cluster)
	op      func(c *cluster) error
	// ranges are how many there may be at the end: fewest, most.
	fewest, most int
	// every how many writes one is taken.
	every int
}

// crashVictim is the node that loses its power.
type crashVictim struct {
	name string
	node func(c *cluster) kvapi.NodeID
}

var (
	leads   = crashVictim{"leader", func(c *cluster) kvapi.NodeID { return c.leader(tkey("a")) }}
	follows = crashVictim{"follower", func(c *cluster) kvapi.NodeID { return c.followerOf(tkey("a")) }}
	// leaves and joins are those of swapOfReplicas.
	leaves = crashVictim{"leaver", func(c *cluster) kvapi.NodeID { return c.followerOf3(tkey("a")) }}
	joins  = crashVictim{"newcomer", func(c *cluster) kvapi.NodeID { return 4 }}
)

var crashCases = []crashCase{
	{"split", 3, []crashVictim{leads, follows}, func(*cluster) {}, func(c *cluster) error { return c.split("m") }, 3, 4, 9},
	{"merge", 3, []crashVictim{leads, follows}, func(c *cluster) {
		if err := c.split("m"); err != nil {
			c.t.Fatal(err)
		}
		c.mustPut("n", "right")
		c.checkConsistency()
	}, func(c *cluster) error { return c.merge("m") }, 3, 4, 9},
	{"swap", 4, []crashVictim{leads, leaves, joins}, func(*cluster) {}, swapOfReplicas, 3, 3, 9},
	{"snapshot over a merged neighbour", 3, []crashVictim{lags}, mergeWithoutOne, letCatchUp, 3, 3, 1},
	{"truncation", 3, []crashVictim{leads, follows}, func(*cluster) {}, truncation, 3, 3, 9},
}

// lags is who still has the right range that mergeWithoutOne has merged.
var lags = crashVictim{"laggard", func(c *cluster) kvapi.NodeID {
	merged := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("n")).rangeID
	for id, n := range c.nodes {
		if n.store.replicas.lookup(tkey("n")).rangeID != merged {
			return id
		}
	}
	c.t.Fatal("all have merged")
	return 0
}}

// mergeWithoutOne merges two ranges while one follower has the right one's
// freeze, but not the left one's merge, and never will by log.
func mergeWithoutOne(c *cluster) {
	c.t.Helper()
	if err := c.split("m"); err != nil {
		c.t.Fatal(err)
	}
	c.mustPut("n", "right")
	c.checkConsistency()
	late := c.followerOf(tkey("a"))
	left, right := c.nodes[late].store.replicas.lookup(tkey("a")).rangeID, c.nodes[late].store.replicas.lookup(tkey("n"))
	var frozen atomic.Bool
	c.mu.Lock()
	c.lose = func(e raftgroup.Envelope) bool {
		if e.To.NodeID != late || e.RangeID != left {
			return false
		}
		if !frozen.Load() && right.mu.TryRLock() {
			frozen.Store(right.mu.freeze != nil)
			right.mu.RUnlock()
		}
		return frozen.Load()
	}
	c.mu.Unlock()
	if err := c.merge("m"); err != nil {
		c.t.Fatal(err)
	}
	c.mustPut("n", "merged")
	r := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("n"))
	if o, err := r.forgetLog().wait(c.t.Context()); o != applied || err != nil {
		c.t.Fatalf("the log is not forgotten: %d, %v", o, err)
	}
}

// forgetLog has the leader truncate its log, whoever still needs it.
func (r *Replica) forgetLog() *proposal {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	to := r.truncateTarget(true)
	term, err := r.raftMu.log.Term(to)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := newProposal(r.store.nextCommandID(), commandHeader{
		LeaseSequence: r.mu.lease.Sequence, Term: r.mu.term, Proposer: r.replicaID, TruncateTo: to, TruncateTerm: term,
	}, nil)
	r.bufferLocked(p)
	r.store.enqueue(r.rangeID)
	return p
}

// letCatchUp lets the follower be sent what it needs, a snapshot.
func letCatchUp(c *cluster) error {
	late := lags.node(c)
	c.mu.Lock()
	c.lose = nil
	c.mu.Unlock()
	merged := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("n")).rangeID
	for range 200 {
		n := c.up(late)
		if n == nil {
			return nil
		}
		if n.store.replicas.lookup(tkey("n")).rangeID == merged {
			if n.store.metrics.SnapshotsApplied.Load() == 0 {
				return errors.New("it caught up without a snapshot")
			}
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the follower did not catch up")
}

// swapOfReplicas moves a replica to node 4: a learner with its snapshot, the
// joint configuration and its end, and the removal of what has left.
func swapOfReplicas(c *cluster) error {
	from := c.followerOf3(tkey("a"))
	if err := c.change("a", kvapi.ReplicaChange{Add: []kvapi.NodeID{4}, Remove: []kvapi.NodeID{from}}); err != nil {
		return err
	}
	time.Sleep(time.Second)
	if n := c.up(from); n != nil {
		if r := n.store.replicas.lookup(tkey("a")); r != nil {
			return fmt.Errorf("%s was not removed", r.Desc())
		}
	}
	return nil
}

// collected lets the stores work until nothing is left of replicas that were
// removed: one that sleeps, and was not told, doubts only after a while
// (doubtVoterEvery).
func (c *cluster) collected() {
	c.t.Helper()
	c.eventually("every range has three voters, and nothing is left of others", 3*doubtVoterEvery, func() error {
		for id := range c.nodes {
			c.nodes[id].store.ReplicateOnce(context.Background())
		}
		err := c.threeVoters()
		if err != nil {
			time.Sleep(5 * time.Second)
		}
		return err
	})
}

// truncation writes until the log is forgotten, and goes on for a while.
func truncation(c *cluster) error {
	value := strings.Repeat("v", logBytesMin/4)
	for i := range 6 {
		if err := c.put(fmt.Sprintf("b%d", i), value); err != nil {
			return err
		}
	}
	time.Sleep(time.Second)
	n := int64(0)
	for id := range c.nodes {
		if node := c.up(id); node != nil {
			n += node.store.metrics.LogTruncations.Load()
		}
	}
	if n == 0 {
		return errors.New("no log was truncated")
	}
	return c.put("c", "after")
}

// crashRun runs a case in which a node loses its power before write k, and
// reports whether the operation got that far.
func crashRun(t *testing.T, cc crashCase, v crashVictim, k, keep int) (crashed bool) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(uint64(k), uint64(keep)))
		c := newCluster(t, cc.nodes, quiet)
		bombs := map[kvapi.NodeID]*bomb{}
		for id, n := range c.nodes {
			b := &bomb{n: n, keep: keep, rng: rng, gone: make(chan struct{})}
			bombs[id] = b
			n.stopNode()
			n.onWrite = b.onWrite
			n.restart()
		}
		if cc.nodes == 3 {
			c.replicateEverywhere()
		} else {
			c.hideNode(4, true)
			c.replicate()
			c.hideNode(4, false)
		}
		c.mustPut("a", "1")
		cc.prepare(c)
		b := bombs[v.node(c)]
		b.light(k)
		done := make(chan error, 1)
		go func() { done <- cc.op(c) }()
		var err error
		ended := false
		select {
		case err = <-done:
			ended = true
			// What followers learn from the next heartbeats is of it too.
			time.Sleep(time.Second)
		case <-b.gone:
			// The operation goes on elsewhere, or hears nothing more.
			time.Sleep(time.Second)
		}
		crashed = b.wentOff()
		// Both sides serve, whatever became of it.
		c.mustPut("a", "2")
		c.mustPut("n", "3")
		c.mustGet("a", "2")
		c.mustGet("n", "3")
		c.eventually("nothing is frozen", 60*time.Second, func() error {
			for _, n := range c.nodes {
				for _, r := range n.store.replicas.all() {
					r.mu.RLock()
					f, d := r.mu.freeze, r.mu.desc
					r.mu.RUnlock()
					if f != nil {
						return fmt.Errorf("%s at %s", d, n.id)
					}
				}
			}
			return nil
		})
		if !ended {
			<-done
		}
		if cc.nodes > 3 {
			c.collected()
		}
		c.checkConsistency()
		if got := len(c.tiles()); got < cc.fewest || got > cc.most {
			t.Errorf("%d ranges", got)
		}
		if err != nil && !crashed {
			t.Errorf("nothing was done to it, and: %v", err)
		}
	})
	return crashed
}

// TestCrashInRangeChanges cuts the power of a node before each of its writes
// during a split, a merge, a snapshot that takes the place of a merged
// neighbour, a move of a replica and a truncation of the log. It
// takes every 9th write of most; CAIRN_ALL_CRASHES=1 takes all.
func TestCrashInRangeChanges(t *testing.T) {
	for _, cc := range crashCases {
		step := cc.every
		if os.Getenv("CAIRN_ALL_CRASHES") != "" {
			step = 1
		}
		for _, v := range cc.victims {
			for i, keep := range []int{0, 50, 100} {
				name := fmt.Sprintf("%s/%s/keep=%d", cc.name, v.name, keep)
				t.Run(name, func(t *testing.T) {
					last := 0
					for k := 1 + i*step/3; ; k += step {
						if !crashRun(t, cc, v, k, keep) {
							break
						}
						last = k
					}
					if last < 3 {
						t.Errorf("there were only %d writes", last)
					}
					t.Logf("crashed before writes up to %d", last)
				})
			}
		}
	}
}
