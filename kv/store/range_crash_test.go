package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
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
	prepare func(c *cluster)
	op      func(c *cluster) error
	// ranges are how many there may be at the end: fewest, most.
	fewest, most int
}

var crashCases = []crashCase{
	{"split", func(*cluster) {}, func(c *cluster) error { return c.split("m") }, 3, 4},
	{"merge", func(c *cluster) {
		if err := c.split("m"); err != nil {
			c.t.Fatal(err)
		}
		c.mustPut("n", "right")
		c.checkConsistency()
	}, func(c *cluster) error { return c.merge("m") }, 3, 4},
}

// crashRun runs a case in which a node loses its power before write k, and
// reports whether the operation got that far.
func crashRun(t *testing.T, cc crashCase, leader bool, k, keep int) (crashed bool) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(uint64(k), uint64(keep)))
		c := newCluster(t, 3, quiet)
		bombs := map[kvapi.NodeID]*bomb{}
		for id, n := range c.nodes {
			b := &bomb{n: n, keep: keep, rng: rng, gone: make(chan struct{})}
			bombs[id] = b
			n.stopNode()
			n.onWrite = b.onWrite
			n.restart()
		}
		c.replicateEverywhere()
		c.mustPut("a", "1")
		cc.prepare(c)
		victim := c.leader(tkey("a"))
		if !leader {
			victim = c.followerOf(tkey("a"))
		}
		b := bombs[victim]
		b.light(k)
		done := make(chan error, 1)
		go func() { done <- cc.op(c) }()
		var err error
		select {
		case err = <-done:
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
		c.checkConsistency()
		if got := len(c.tiles()); got < cc.fewest || got > cc.most {
			t.Errorf("%d ranges", got)
		}
		_ = err
	})
	return crashed
}

// TestCrashInRangeChanges cuts the power of a leader or a follower before each
// of its writes during a split and a merge. It takes every 9th write of each;
// CAIRN_ALL_CRASHES=1 takes all.
func TestCrashInRangeChanges(t *testing.T) {
	step := 9
	if os.Getenv("CAIRN_ALL_CRASHES") != "" {
		step = 1
	}
	for _, cc := range crashCases {
		for _, leader := range []bool{true, false} {
			for i, keep := range []int{0, 50, 100} {
				name := fmt.Sprintf("%s/leader=%t/keep=%d", cc.name, leader, keep)
				t.Run(name, func(t *testing.T) {
					last := 0
					for k := 1 + i*step/3; ; k += step {
						if !crashRun(t, cc, leader, k, keep) {
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
