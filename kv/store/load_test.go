package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// busy sends the gets that key draws, 400 a second of virtual time, for a while.
func (c *cluster) busy(within time.Duration, key func() string) {
	for began := time.Now(); time.Since(began) < within; time.Sleep(10 * time.Millisecond) {
		for range 4 {
			if _, err := c.get(key()); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func busyCluster(t *testing.T) *cluster {
	c := newClusterWith(t, 3, quiet, func(cfg *Config) { cfg.LoadSplitRate, cfg.MergeAfter = 100, MergeAfterDefault })
	c.replicateEverywhere()
	if err := c.split("0"); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestABusyRangeSplitsWhereItsLoadDivides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := busyCluster(t)
		rng := rand.New(rand.NewPCG(1, 1))
		// Nine tenths of the keys are above 900, nine tenths of the load below 100.
		c.busy(30*time.Second, func() string {
			if rng.IntN(10) == 0 {
				return fmt.Sprintf("%03d", 100+rng.IntN(900))
			}
			return fmt.Sprintf("%03d", rng.IntN(100))
		})
		log := c.cutLog()
		if len(log) < 2 || !strings.HasPrefix(log[1].Why, "load: ") {
			t.Fatalf("range log: %+v", log)
		}
		if at := log[1].Key; at.Less(tkey("040")) || tkey("070").Less(at) {
			t.Errorf("split at %s", at)
		}
		// A quiet range does not split, and what load has split stays while it pauses.
		time.Sleep(30 * time.Second)
		n := len(c.tiles())
		for range 3 {
			c.mergeScan()
		}
		if now := len(c.tiles()); now != n {
			t.Errorf("%d ranges, there were %d", now, n)
		}
		c.checkConsistency()
	})
}

func TestALoadOfOneKeyIsSaidAndNotSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := busyCluster(t)
		c.mustPut("hot", "1")
		n := 0
		c.busy(30*time.Second, func() string {
			if n++; n%10 == 0 {
				return fmt.Sprint(n % 1000)
			}
			return "hot"
		})
		log := c.cutLog()
		if len(log) != 2 || log[1].Kind != kvapi.EventHotKey || !log[1].Key.Equal(tkey("hot")) {
			t.Errorf("range log: %+v", log)
		}
	})
}

// A cut that would make distributed transactions of one-phase commits is made
// only if one leader cannot bear the load.
func TestLoadSplitsNoOnePhaseCommits(t *testing.T) {
	desc := &kvapi.RangeDescriptor{StartKey: tkey(""), EndKey: tkey("z")}
	for _, c := range []struct {
		spanning   int // of a hundred batches
		overloaded bool
		want       bool
	}{{0, false, true}, {1, false, true}, {10, false, false}, {10, true, true}} {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			s := newSampler()
			for i := range 10 * samplesMin {
				k := tkey(fmt.Sprintf("%04d", rng.IntN(1000)))
				if i%100 < c.spanning {
					s.note(kvapi.Span{Key: tkey(""), EndKey: tkey("2000")}, true)
				} else {
					s.note(kvapi.Span{Key: k, EndKey: k}, false)
				}
			}
			time.Sleep(sampleFor)
			v, ready := s.judge(desc, nil, c.overloaded)
			if !ready || len(v.hot) > 0 || (len(v.key) > 0) != c.want {
				t.Errorf("%d of 100 go across, overloaded %t: ready %t, hot %q, cut at %q, want a cut: %t",
					c.spanning, c.overloaded, ready, v.hot, v.key, c.want)
			}
		})
	}
}

// Scans across everything leave no key at which a split would help.
func TestALoadOfScansIsNotSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := busyCluster(t)
		scan := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Scan, Key: tkey("0"), EndKey: tkey("9")})
		for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(2 * time.Millisecond) {
			if _, err := c.Send(context.Background(), scan); err != nil {
				t.Fatal(err)
			}
		}
		if log := c.cutLog(); len(log) != 1 {
			t.Errorf("range log: %+v", log)
		}
	})
}

// mergeScan lets every store look for neighbours to merge.
func (c *cluster) mergeScan() {
	time.Sleep(time.Second)
	for id := range c.nodes {
		if n := c.up(id); n != nil {
			n.store.MergeOnce(context.Background())
		}
	}
}

func TestSmallNeighboursMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := tkey("")
		knobs := quiet
		knobs.DisableMergeLoop = true
		c := newClusterWith(t, 3, knobs, func(cfg *Config) {
			cfg.RangeBytesMax, cfg.MergeAfter = testRangeBytes, 30*time.Second
			cfg.KeepBoundary = func(_ context.Context, k kvapi.Key) bool { return k.Equal(kept) }
		})
		c.replicateEverywhere()
		for _, at := range []string{"", "c", "e", "g"} {
			if err := c.split(at); err != nil {
				t.Fatal(err)
			}
		}
		sticky := kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("k"), StickyUntil: c.clockNow().AddNanos(int64(10 * time.Minute))}
		if err := c.admin(sticky); err != nil {
			t.Fatal(err)
		}
		for i := range testRangeBytes / 4 / 1000 { // not small any more
			c.mustPut(fmt.Sprintf("e%02d", i), strings.Repeat("x", 1000))
		}
		starts := func() (out []string) {
			for _, d := range c.tiles()[3:] {
				out = append(out, string(d.StartKey[len(kept):]))
			}
			return out
		}
		c.mergeScan()
		if got := starts(); len(got) != 5 {
			t.Errorf("before they were quiet for long: %q", got)
		}
		time.Sleep(time.Minute)
		for range 10 {
			c.mergeScan()
		}
		if got := fmt.Sprintf("%q", starts()); got != `["" "e" "g" "k"]` {
			t.Errorf("ranges begin at %s", got)
		}
		time.Sleep(10 * time.Minute)
		for range 10 {
			c.mergeScan()
		}
		if got := fmt.Sprintf("%q", starts()); got != `["" "e" "g"]` {
			t.Errorf("after its time ranges begin at %s", got)
		}
		c.checkConsistency()
	})
}

func TestTheRangeLogForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("c"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := c.split("e"); err != nil {
			t.Fatal(err)
		}
		for id := range c.nodes {
			if err := c.nodes[id].store.trimRangeLog(context.Background(), 5*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if log := c.cutLog(); len(log) != 1 || !log[0].Key.Equal(tkey("e")) {
			t.Errorf("range log: %+v", log)
		}
	})
}

func BenchmarkLoadNote(b *testing.B) {
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
	for _, hot := range []bool{false, true} {
		b.Run(fmt.Sprintf("hot=%t", hot), func(b *testing.B) {
			var l load
			if hot {
				l.sampler.Store(newSampler())
			}
			b.ReportAllocs()
			for b.Loop() {
				l.note(ba)
			}
		})
	}
}
