package simulation

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Faults of ranges that come and go. Like the combined ones they have a source of
// their own.
const (
	// RangeStorm splits and merges ranges at a handful of keys, several at a
	// time, for as long as it lasts.
	RangeStorm FaultKind = "split and merge storm"
	// MergeCrash cuts a node's power in the middle of a merge.
	MergeCrash FaultKind = "merge, then crash"
	// LeaseStorm moves leases on and on, for as long as it lasts.
	LeaseStorm FaultKind = "lease storm"
)

// stormEvery is the mean time between storms, stormPause the longest pause
// between two operations of one.
const (
	stormEvery = 8 * time.Second
	stormPause = 150 * time.Millisecond
)

// smallRanges is the size beyond which ranges split by themselves in every
// other run: workloads write some hundred kilobytes.
const smallRanges = 24 << 10

// mergeAfter is how long small neighbours are quiet before they are merged by
// themselves, in three of four runs: what the workloads ask of a range counts as
// quiet, so ranges that split are merged again while clients use them.
const mergeAfter = 3 * time.Second

// joinRate has ranges that a workload commits in together merged while it goes on.
const joinRate = 1

// Storms draws storms. Every other seed has some.
func Storms(rng *rand.Rand, nodes int, within time.Duration, splits []kvapi.Key) []Fault {
	if rng.IntN(2) == 0 {
		return nil
	}
	after := func() time.Duration { return time.Duration(rng.Int64N(int64(2 * stormEvery))) }
	var out []Fault
	for at := after(); at < within; at += after() {
		f := draw(rng, nodes, splits)
		f.Kind, f.At = [...]FaultKind{RangeStorm, RangeStorm, MergeCrash}[rng.IntN(3)], at
		f.For = min(time.Duration(rng.Int64N(int64(6*time.Second))), within-at)
		f.Seed = rng.Uint64()
		out = append(out, f)
	}
	return out
}

// rangeStorm splits and merges at the storm's keys, in an order that the seed
// decides, without waiting for one to be over.
func (c *Cluster) rangeStorm(ctx context.Context, f Fault) {
	rng := rand.New(rand.NewPCG(f.Seed, 1))
	keys := append(stormKeys(f)[:3], f.Key)
	var working sync.WaitGroup
	defer working.Wait()
	for began := time.Now(); time.Since(began) < f.For && ctx.Err() == nil; {
		op := f
		op.Kind, op.Key, op.B = Split, keys[rng.IntN(len(keys))], rng.IntN(len(c.nodes))
		if rng.IntN(2) == 0 {
			op.Kind = Merge
		}
		working.Go(func() { c.administer(ctx, op) })
		time.Sleep(time.Duration(rng.Int64N(int64(stormPause))))
	}
}

// LeaseStorms draws storms of leases. Two seeds of three have some.
func LeaseStorms(rng *rand.Rand, nodes int, within time.Duration, splits []kvapi.Key) []Fault {
	if rng.IntN(3) == 0 {
		return nil
	}
	after := func() time.Duration { return time.Duration(rng.Int64N(int64(2 * stormEvery))) }
	var out []Fault
	for at := after(); at < within; at += after() {
		f := draw(rng, nodes, splits)
		f.Kind, f.At = LeaseStorm, at
		f.For = min(time.Duration(rng.Int64N(int64(6*time.Second))), within-at)
		f.Seed = rng.Uint64()
		out = append(out, f)
	}
	return out
}

// leaseStorm asks for transfers of the workloads' ranges, in an order that the
// seed decides, without waiting for one to be over.
func (c *Cluster) leaseStorm(ctx context.Context, f Fault) {
	rng := rand.New(rand.NewPCG(f.Seed, 1))
	var working sync.WaitGroup
	defer working.Wait()
	for began := time.Now(); time.Since(began) < f.For && ctx.Err() == nil; {
		op := f
		op.Kind, op.Key = Transfer, c.splits[rng.IntN(len(c.splits))]
		op.A, op.B = rng.IntN(len(c.nodes)), rng.IntN(len(c.nodes))
		working.Go(func() { c.administer(ctx, op) })
		time.Sleep(time.Duration(rng.Int64N(int64(stormPause))))
	}
}

// mergeAndCrash cuts a node's power some milliseconds after a merge has begun,
// and returns the node.
func (c *Cluster) mergeAndCrash(ctx context.Context, f Fault) *Node {
	const delayMax = 60 * time.Millisecond
	op := f
	op.Kind = Split
	c.administer(ctx, op)
	op.Kind = Merge
	var asking sync.WaitGroup
	asking.Go(func() { c.administer(ctx, op) })
	time.Sleep((f.Offset + skewMax) * delayMax / (2 * skewMax))
	n := c.nodes[f.victim()]
	n.Crash()
	asking.Wait()
	return n
}

// below is a key in the range that ends at k, unless that is very small.
func below(k kvapi.Key) kvapi.Key {
	b := k.Clone()
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] > 0 {
			b[i]--
			return append(b[:i+1], 0xff)
		}
	}
	return b
}
