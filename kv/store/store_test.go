package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

func TestOneStorePutGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, quiet)
		c.mustPut("a", "1")
		c.mustGet("a", "1")
		c.checkConsistency()
	})
}

// quiet leaves replica changes to the test.
var quiet = TestingKnobs{DisableReplicateLoop: true}

func three(t *testing.T) *cluster {
	c := newCluster(t, 3, quiet)
	c.replicateEverywhere()
	return c
}

func (c *cluster) mustPut(key, value string) {
	c.t.Helper()
	if err := c.put(key, value); err != nil {
		c.t.Fatalf("put %s: %v", key, err)
	}
}

func (c *cluster) mustGet(key, want string) {
	c.t.Helper()
	if v, err := c.get(key); err != nil || v != want {
		c.t.Fatalf("get %s: %q, %v; want %q", key, v, err, want)
	}
}

func TestThreeReplicasAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		for i := range 50 {
			c.mustPut(fmt.Sprintf("k%02d", i), fmt.Sprint(i))
		}
		c.checkConsistency()
	})
}

func TestReplicateLoopGivesThreeReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, TestingKnobs{})
		c.eventually("three voters", 20*time.Second, func() error {
			for _, r := range c.nodes[1].store.RangeInfos() {
				if len(r.Desc.Replicas) < 3 || r.Desc.Replicas[2].Type != kvapi.Voter {
					return errors.New(r.Desc.String())
				}
			}
			return nil
		})
		c.checkConsistency()
	})
}

func TestLeaderCrashFailsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		old := c.nodes[c.leader(tkey("a"))]
		old.crash(rand.New(rand.NewPCG(1, 1)), 0)
		began := time.Now()
		c.mustPut("a", "2")
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("fail-over took %s", took)
		} else {
			t.Logf("fail-over took %s", took)
		}
		c.mustGet("a", "2")
		old.restart()
		c.checkConsistency()
	})
}

// A leader that is cut off goes on believing in itself; it must not answer from
// before what its successor wrote.
func TestDeposedLeaderServesNothingStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.leader(tkey("a"))
		old := c.nodes[id].store
		c.isolate(id, true)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		var wrote atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("2")})
			for ctx.Err() == nil {
				for _, n := range c.nodes {
					if n.id != id {
						if _, err := n.store.Send(ctx, ba); err == nil {
							wrote.Store(true)
							return
						}
					}
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
		served := 0
		for range 1000 {
			// The read begins after the write was acknowledged, or it does not count.
			after := wrote.Load()
			ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
			rctx, done := context.WithTimeout(ctx, 20*time.Millisecond)
			br, err := old.Send(rctx, ba)
			done()
			if err == nil {
				served++
				if after && string(br.Responses[0].Value) != "2" {
					t.Fatalf("stale read of %q", br.Responses[0].Value)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if served == 0 || !wrote.Load() {
			t.Errorf("served %d reads, wrote: %v", served, wrote.Load())
		}
		c.isolate(id, false)
		c.mustGet("a", "2")
		c.checkConsistency()
	})
}

func TestFollowerCatchesUpByLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		id := c.followerOf(tkey("a"))
		c.isolate(id, true)
		for i := range 20 {
			c.mustPut("a", fmt.Sprint(i))
		}
		c.isolate(id, false)
		c.checkConsistency()
		if n := c.nodes[id].store.metrics.SnapshotsApplied.Load(); n > 3 {
			t.Errorf("%d snapshots", n)
		}
	})
}

// followerOf returns a node that does not lead the range of a key.
func (c *cluster) followerOf(key kvapi.Key) kvapi.NodeID {
	leader := c.leader(key)
	for id := range c.nodes {
		if id != leader {
			return id
		}
	}
	return 0
}

func TestFollowerCatchesUpBySnapshot(t *testing.T) {
	for _, valueBytes := range []int{4 << 10, 128 << 10} {
		t.Run(fmt.Sprint(valueBytes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSnapshotCatchUp(t, valueBytes) })
		})
	}
}

func testSnapshotCatchUp(t *testing.T, valueBytes int) {
	c := three(t)
	id := c.followerOf(tkey("a"))
	node := c.nodes[id]
	behind := node.store.replicas.lookup(tkey("a")).appliedIndex()
	node.stopNode()
	value := string(make([]byte, valueBytes))
	for i := range (logBytesMax + 12<<20) / valueBytes / 64 {
		var ba kvapi.BatchRequest
		for j := range 64 {
			ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey(fmt.Sprintf("a%d-%02d", i%2, j)), Value: []byte(value)})
		}
		if _, err := c.Send(context.Background(), &ba); err != nil {
			t.Fatal(err)
		}
	}
	c.eventually("the leader truncates", 20*time.Second, func() error {
		r := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a"))
		r.raftMu.Lock()
		defer r.raftMu.Unlock()
		if at := r.raftMu.log.Truncated().Index; at <= behind+2 {
			return fmt.Errorf("log begins after %d", at)
		}
		return nil
	})
	node.restart()
	c.checkConsistency()
	if node.store.metrics.SnapshotsApplied.Load() == 0 {
		t.Error("no snapshot was applied")
	}
}

func TestSplitWithConcurrentWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		var acked [4]int
		for w := range 4 {
			wg.Go(func() {
				for i := 1; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := c.put(fmt.Sprintf("%c/%d", 'a'+i%8, w), fmt.Sprint(i)); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					acked[w] = i
					time.Sleep(time.Millisecond)
				}
			})
		}
		for _, at := range []string{"d", "b", "f", "h"} {
			time.Sleep(100 * time.Millisecond)
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey(at)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
		close(stop)
		wg.Wait()
		for w := range 4 {
			for i := max(1, acked[w]-7); i <= acked[w]; i++ {
				c.mustGet(fmt.Sprintf("%c/%d", 'a'+i%8, w), fmt.Sprint(i))
			}
		}
		if n := len(c.nodes[1].store.RangeInfos()); n != 7 {
			t.Errorf("%d ranges", n)
		}
		c.checkConsistency()
	})
}

func TestTransferMovesLeaseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		to := c.followerOf(tkey("a"))
		began := time.Now()
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("a"), Target: to}); err != nil {
			t.Fatal(err)
		}
		c.mustGet("a", "1")
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
		if now := c.leader(tkey("a")); now != to {
			t.Errorf("%s serves, not %s", now, to)
		}
		c.checkConsistency()
	})
}

func TestReplicaIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.followerOf(tkey("a"))
		err := c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"),
			Change: &kvapi.ReplicaChange{Remove: []kvapi.NodeID{id}}})
		if err != nil {
			t.Fatal(err)
		}
		c.eventually("it is gone", 30*time.Second, func() error {
			c.nodes[id].store.ReplicateOnce(context.Background())
			if r := c.nodes[id].store.replicas.lookup(tkey("a")); r != nil {
				return errors.New("still there")
			}
			return nil
		})
		c.mustPut("a", "2")
		// It may come back, with another id.
		err = c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"),
			Change: &kvapi.ReplicaChange{Add: []kvapi.NodeID{id}}})
		if err != nil {
			t.Fatal(err)
		}
		c.checkConsistency()
	})
}

// A node hears of its removal only after the range was given back to it: the
// old replica goes, and must not keep the new one out.
func TestReplicaComesBackBeforeItsRemovalIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.followerOf(tkey("a"))
		c.isolate(id, true)
		change := func(ch kvapi.ReplicaChange) error {
			return c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"), Change: &ch})
		}
		if err := change(kvapi.ReplicaChange{Remove: []kvapi.NodeID{id}}); err != nil {
			t.Fatal(err)
		}
		added := make(chan error, 1)
		go func() { added <- change(kvapi.ReplicaChange{Add: []kvapi.NodeID{id}}) }()
		c.eventually("the old replica is collected", 30*time.Second, func() error {
			c.nodes[id].store.ReplicateOnce(context.Background())
			if r := c.nodes[id].store.replicas.lookup(tkey("a")); r != nil {
				return errors.New(r.Desc().String())
			}
			return nil
		})
		c.isolate(id, false)
		if err := <-added; err != nil {
			t.Fatal(err)
		}
		c.checkConsistency()
	})
}

// Acknowledged writes survive crashes of any node at any time.
func TestCrashesLoseNoAcknowledgedWrite(t *testing.T) {
	for seed := range crashSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testCrashes(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func testCrashes(t *testing.T, rng *rand.Rand) {
	c := three(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	// Each writer counts up on its own key: what is read must be the last
	// acknowledged number, or one that was tried after it.
	const writers = 3
	var acked, tried [writers]atomic.Int64
	for w := range writers {
		wg.Go(func() {
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				tried[w].Store(i)
				if err := c.put(fmt.Sprintf("w%d", w), fmt.Sprintf("%06d", i)); err == nil {
					acked[w].Store(i)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	for round := range 5 {
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		c.disturb(rng, round)
	}
	close(stop)
	wg.Wait()
	for w := range writers {
		v, err := c.get(fmt.Sprintf("w%d", w))
		if err != nil {
			t.Fatal(err)
		}
		lo, hi := fmt.Sprintf("%06d", acked[w].Load()), fmt.Sprintf("%06d", tried[w].Load())
		if v < lo || v > hi {
			t.Errorf("writer %d: read %s, acknowledged %s, tried %s", w, v, lo, hi)
		}
	}
	c.checkConsistency()
}

// disturb does one thing to the cluster, beside the writers, and undoes it.
func (c *cluster) disturb(rng *rand.Rand, round int) {
	pause := func() { time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond) }
	id := kvapi.NodeID(1 + rng.IntN(3))
	n, at := c.nodes[id], tkey(fmt.Sprintf("w%d", round%3))
	var wg sync.WaitGroup
	if rng.IntN(2) == 0 {
		split := tkey(fmt.Sprintf("w%d%d", rng.IntN(3), round))
		wg.Go(func() { _ = c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: split}) })
	}
	switch rng.IntN(5) {
	case 0, 1:
		time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		n.crash(rng, []int{0, 50, 100}[rng.IntN(3)])
		pause()
		n.restart()
	case 2:
		c.isolate(id, true)
		pause()
		c.isolate(id, false)
	case 3:
		_ = c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: at, Target: id})
	case 4:
		change := &kvapi.ReplicaChange{Remove: []kvapi.NodeID{id}, Add: []kvapi.NodeID{}}
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: at, Change: change}); err == nil {
			pause()
			_ = c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: at,
				Change: &kvapi.ReplicaChange{Add: []kvapi.NodeID{id}}})
		}
	}
	pause()
	wg.Wait()
}

// crashSeeds is how many seeds of the crash test run; CAIRN_SEEDS asks for more.
func crashSeeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("CAIRN_SEEDS"), 10, 32); err == nil {
		return n
	}
	return 6
}

func TestDrainHandsEverythingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		id := c.leader(tkey("a"))
		s := c.nodes[id].store
		began := time.Now()
		if err := s.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, r := range s.RangeInfos() {
			if r.Leads {
				t.Errorf("still leads %s", &r.Desc)
			}
		}
		c.mustPut("a", "2")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		c.nodes[id].stopNode()
		c.mustGet("a", "2")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("a stop after a drain cost %s", took)
		}
		c.checkConsistency()
	})
}
