package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// The steps that bring the right range to the left one's nodes, from each
// configuration and leaseholder, as told: an asterisk marks the lease.
func TestStepsThatBringRangesTogether(t *testing.T) {
	for _, c := range []struct{ left, right, steps string }{
		{"1 2 3", "1* 2 3", ""},
		{"1 2 3", "1* 4 5", "+2-4 +3-5"},
		{"1 2 3", "4* 2 3", "+1 lease>2 -4"},
		{"1 2 3", "4* 5 6", "+1-5 +2-6 +3 lease>1 -4"},
		{"1 2 3", "1* 2", "+3"},
		{"1 2 3", "1* 2 3 4", "-4"},
		{"1", "2*", "+1 lease>1 -2"},
	} {
		left, _ := parseRange(c.left)
		right, holder := parseRange(c.right)
		info := &kvapi.RangeInfo{Desc: *right}
		info.Lease.Holder.NodeID = holder
		var steps []string
		for range bringStepsMax {
			q, ok := stepTowards(left, info)
			if !ok {
				break
			}
			steps = append(steps, takeStep(t, info, &q))
		}
		if got := strings.Join(steps, " "); got != c.steps || !sameReplicas(left, &info.Desc) {
			t.Errorf("%s to %s: %q, want %q; at the end %s", c.right, c.left, got, c.steps, &info.Desc)
		}
	}
}

func parseRange(s string) (d *kvapi.RangeDescriptor, holder kvapi.NodeID) {
	d = &kvapi.RangeDescriptor{RangeID: 7, StartKey: tkey("m"), EndKey: tkey("z")}
	for i, f := range strings.Fields(s) {
		id := kvapi.NodeID(f[0] - '0')
		if strings.HasSuffix(f, "*") {
			holder = id
		}
		d.Replicas = append(d.Replicas, kvapi.ReplicaDescriptor{NodeID: id, ReplicaID: kvapi.ReplicaID(i + 1), Type: kvapi.Voter})
	}
	return d, holder
}

// takeStep does what a step asks for, and tells it.
func takeStep(t *testing.T, r *kvapi.RangeInfo, q *kvapi.Request) (told string) {
	if q.Kind == kvapi.AdminTransferLease {
		r.Lease.Holder.NodeID = q.Target
		return fmt.Sprintf("lease>%d", q.Target)
	}
	for _, n := range q.Change.Add {
		told += fmt.Sprintf("+%d", n)
		r.Desc.Replicas = append(r.Desc.Replicas, kvapi.ReplicaDescriptor{NodeID: n, ReplicaID: 100 + kvapi.ReplicaID(n), Type: kvapi.Voter})
	}
	for _, n := range q.Change.Remove {
		if n == r.Lease.Holder.NodeID {
			t.Errorf("%s: the leaseholder is to be removed", &r.Desc)
		}
		told += fmt.Sprintf("-%d", n)
		for i, rep := range r.Desc.Replicas {
			if rep.NodeID == n {
				r.Desc.Replicas = append(r.Desc.Replicas[:i:i], r.Desc.Replicas[i+1:]...)
				break
			}
		}
	}
	return told
}

// Small neighbours on different nodes are brought together, and merged.
func TestNeighboursOnDifferentNodesMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 5, quiet, func(cfg *Config) { cfg.MergeAfter = time.Minute })
		c.hideNode(4, true)
		c.hideNode(5, true)
		c.replicate()
		c.hideNode(4, false)
		c.hideNode(5, false)
		for _, at := range []string{"", "m"} {
			if err := c.split(at); err != nil {
				t.Fatal(err)
			}
		}
		c.mustPut("a", "1")
		c.mustPut("n", "2")
		for _, to := range []struct{ add, remove kvapi.NodeID }{{4, 2}, {5, 3}} {
			c.eventually(fmt.Sprintf("%d for %d", to.add, to.remove), 30*time.Second, func() error {
				if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: 1}); err != nil {
					return err
				}
				return c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("n"),
					Change: &kvapi.ReplicaChange{Add: []kvapi.NodeID{to.add}, Remove: []kvapi.NodeID{to.remove}}})
			})
		}
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("n"), Target: 5}); err != nil {
			t.Fatal(err)
		}
		n := len(c.tiles())
		c.eventually("the ranges are merged", 10*time.Minute, func() error {
			if now := len(c.tiles()); now != n-1 {
				return fmt.Errorf("%d ranges, there were %d", now, n)
			}
			return nil
		})
		c.mustGet("a", "1")
		c.mustGet("n", "2")
		c.checkConsistency()
	})
}

// A load that comes and goes, and data that do, split ranges and merge them no
// more often than they change: in each wave once, and only if it is over for long.
func TestSplitsAndMergesDoNotOscillate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, quiet, func(cfg *Config) {
			cfg.LoadSplitRate, cfg.RangeBytesMax, cfg.MergeAfter = 100, testRangeBytes, 5*time.Minute
		})
		c.replicateEverywhere()
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey(""), StickyUntil: hlc.MaxTimestamp}); err != nil {
			t.Fatal(err)
		}
		changes := func() (splits, merges int) {
			for _, e := range c.cutLog() {
				switch e.Kind {
				case kvapi.EventSplit:
					splits++
				case kvapi.EventMerge:
					merges++
				}
			}
			return splits, merges
		}
		n := 0
		keys := func() string { n++; return fmt.Sprintf("%03d", n*37%1000) }
		// A load with pauses shorter than MergeAfter: once split, it stays so.
		c.busy(40*time.Second, keys)
		first, _ := changes()
		if first < 2 {
			t.Fatalf("a busy range was not split: %+v", c.cutLog())
		}
		for range 4 {
			time.Sleep(4 * time.Minute)
			c.busy(30*time.Second, keys)
		}
		settled, merges := changes()
		if merges != 0 {
			t.Errorf("%d merges while the load paused: %+v", merges, c.cutLog())
		}
		// A trickle, which is no load, and then nothing: merged to one, and left so.
		for range 60 {
			time.Sleep(30 * time.Second)
			c.busy(10*time.Millisecond, keys)
		}
		splits, merges := changes()
		if splits != settled || merges != settled-1 {
			t.Errorf("after half an hour of quiet %d splits, of which %d are of the quiet time, and %d merges: %+v",
				splits, splits-settled, merges, c.cutLog())
		}
		// Data that make a range too large, and stay: split, and never merged.
		for i := range 3 * testRangeBytes / 1000 {
			c.mustPut(fmt.Sprintf("%05d", i), strings.Repeat("x", 1000))
		}
		time.Sleep(time.Minute)
		full, before := changes()
		time.Sleep(time.Hour)
		if s, m := changes(); s != full || m != before || full < splits+2 {
			t.Errorf("in an hour without change %d splits and %d merges; %d splits by size", s-full, m-before, full-splits)
		}
		c.checkConsistency()
	})
}

// A boundary that load has made stays if somebody asks for it.
func TestASplitAskedForAtABoundaryKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, quiet, func(cfg *Config) { cfg.MergeAfter = time.Minute })
		c.replicateEverywhere()
		for _, at := range []string{"", "m"} {
			if err := c.split(at); err != nil {
				t.Fatal(err)
			}
		}
		keep := kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m"), StickyUntil: hlc.MaxTimestamp}
		if err := c.admin(keep); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := c.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.RangeStats, Key: tkey("m")})); err != nil {
			t.Fatal(err)
		}
		tiles := c.tiles()
		if last := tiles[len(tiles)-1]; !last.StartKey.Equal(tkey("m")) || last.StickyUntil != hlc.MaxTimestamp {
			t.Errorf("the last range is %s, kept until %s", &last, last.StickyUntil)
		}
		c.checkConsistency()
	})
}
