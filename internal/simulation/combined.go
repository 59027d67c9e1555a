package simulation

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// combinedEvery is the mean time between combined faults: two in a run of
// the usual length.
const combinedEvery = 15 * time.Second

// stormOrder is in which order a split storm cuts its ranges.
var stormOrder = [...]byte{3, 1, 5, 0, 4, 2}

// Combined draws faults that are several at a time, each aimed at what single
// ones hit by luck only: the largest difference of clocks, a power cut in the
// middle of a lease's transfer, and ranges that split again while their
// addresses are still being written. They have a source of their own, so that
// schedules of single faults stay what they were.
func Combined(rng *rand.Rand, nodes int, within time.Duration, splits []kvapi.Key) []Fault {
	kinds := []FaultKind{ClocksApart, TransferCrash, SplitStorm}
	var out []Fault
	for at := combinedAfter(rng); at < within; at += combinedAfter(rng) {
		f := draw(rng, nodes, splits)
		f.Kind, f.At = kinds[rng.IntN(len(kinds))], at
		f.For = min(time.Duration(rng.Int64N(int64(6*time.Second))), within-at)
		out = append(out, f)
	}
	return out
}

func combinedAfter(rng *rand.Rand) time.Duration {
	return time.Duration(rng.Int64N(int64(2 * combinedEvery)))
}

// inOrder merges schedules by time.
func inOrder(a, b []Fault) []Fault {
	return slices.SortedStableFunc(slices.Values(append(a, b...)), func(a, b Fault) int { return int(a.At - b.At) })
}

// turnApart turns two clocks as far apart as the bound allows.
func (c *Cluster) turnApart(ctx context.Context, ahead, behind *Node) {
	var turning sync.WaitGroup
	turning.Go(func() { c.turnClock(ctx, ahead, skewMax) })
	turning.Go(func() { c.turnClock(ctx, behind, -skewMax) })
	turning.Wait()
}

// victim is the node that crashes while a lease goes to A: A itself, or
// another, which may be the one that gives it up.
func (f Fault) victim() int {
	if f.Loss < lossMean {
		return f.A
	}
	return f.B
}

// transferAndCrash cuts a node's power some milliseconds after a transfer has
// begun, and returns the node.
func (c *Cluster) transferAndCrash(ctx context.Context, f Fault) *Node {
	const delayMax = 30 * time.Millisecond
	transfer := f
	transfer.Kind = Transfer
	var asking sync.WaitGroup
	asking.Go(func() { c.administer(ctx, transfer) })
	time.Sleep((f.Offset + skewMax) * delayMax / (2 * skewMax))
	n := c.nodes[f.victim()]
	n.Crash()
	asking.Wait()
	return n
}

// splitStorm splits a range, the range that this makes, and so on, without
// waiting for one split to be over.
func (c *Cluster) splitStorm(ctx context.Context, f Fault) {
	var splitting sync.WaitGroup
	for _, k := range stormKeys(f) {
		split := f
		split.Kind, split.Key = Split, k
		splitting.Go(func() { c.administer(ctx, split) })
		time.Sleep(5 * time.Millisecond)
	}
	splitting.Wait()
}

// stormKeys are the keys at which a storm splits.
func stormKeys(f Fault) []kvapi.Key {
	var out []kvapi.Key
	for _, b := range stormOrder {
		out = append(out, append(f.Key.Clone(), b))
	}
	return out
}
