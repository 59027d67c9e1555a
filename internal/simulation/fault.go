package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cairndb/cairn/internal/rpc/memnet"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// Fault is one thing that goes wrong, or that an operator does, for a while.
type Fault struct {
	At, For time.Duration
	Kind    FaultKind
	// A and B are the nodes it happens to.
	A, B int
	// Key is the range's.
	Key kvapi.Key
	// Loss is a share of messages, Offset a clock's.
	Loss   float64
	Offset time.Duration
	// Seed decides what a storm does.
	Seed uint64
}

// FaultKind names what goes wrong.
type FaultKind string

// Faults.
const (
	Loss      FaultKind = "lossy network"
	Delay     FaultKind = "slow network"
	OneWay    FaultKind = "one-way partition"
	Isolate   FaultKind = "isolate"
	Ring      FaultKind = "cut one link"
	Crash     FaultKind = "crash"
	CrashAll  FaultKind = "crash all"
	Pause     FaultKind = "pause"
	Stall     FaultKind = "stall disk"
	Clock     FaultKind = "set clock"
	Split     FaultKind = "split"
	Transfer  FaultKind = "transfer lease"
	Rereplica FaultKind = "remove replica"
	// Several at once; see combined.go.
	ClocksApart   FaultKind = "clocks apart"
	TransferCrash FaultKind = "transfer lease, then crash"
	SplitStorm    FaultKind = "split storm"
	// Changes of membership; see churn.go.
	Move         FaultKind = "move replica"
	MoveStorm    FaultKind = "move storm"
	MoveCrash    FaultKind = "move replica, then crash"
	Decommission FaultKind = "decommission"
	// Merge is what storms do (storm.go).
	Merge FaultKind = "merge"
)

// String prints the fault on a line.
func (f Fault) String() string {
	s := fmt.Sprintf("%8s for %7s  %s", f.At.Round(time.Millisecond), f.For.Round(time.Millisecond), f.Kind)
	switch f.Kind {
	case Loss:
		return s + fmt.Sprintf(" of %.0f%%", 100*f.Loss)
	case Delay, CrashAll, LeaseStorm:
		return s
	case OneWay:
		return s + fmt.Sprintf(" n%d -> n%d", f.A+1, f.B+1)
	case Ring:
		return s + fmt.Sprintf(" n%d - n%d", f.A+1, f.B+1)
	case Clock:
		return s + fmt.Sprintf(" of n%d to %s", f.A+1, f.Offset.Round(time.Millisecond))
	case Split, SplitStorm, Merge, RangeStorm:
		return s + fmt.Sprintf(" at %s", f.Key)
	case ClocksApart:
		return s + fmt.Sprintf(": n%d before n%d", f.A+1, f.B+1)
	case MergeCrash:
		return s + fmt.Sprintf(" at %s, crash of n%d", f.Key, f.victim()+1)
	case TransferCrash:
		return s + fmt.Sprintf(": %s to n%d, crash of n%d", f.Key, f.A+1, f.victim()+1)
	case Move, MoveStorm:
		return s + fmt.Sprintf(" of %s from n%d to n%d", f.Key, f.B+1, f.A+1)
	case MoveCrash:
		return s + fmt.Sprintf(" of %s from n%d to n%d, crash of n%d", f.Key, f.B+1, f.A+1, f.victim()+1)
	case Transfer:
		return s + fmt.Sprintf(" of %s to n%d", f.Key, f.A+1)
	case Rereplica:
		return s + fmt.Sprintf(" of %s from n%d", f.Key, f.A+1)
	}
	return s + fmt.Sprintf(" n%d", f.A+1)
}

// weights says how often each fault comes, in parts of their sum.
var weights = []struct {
	kind   FaultKind
	weight int
	// shortest and longest the fault lasts.
	shortest, longest time.Duration
}{
	{Loss, 3, time.Second, 8 * time.Second},
	{Delay, 2, time.Second, 6 * time.Second},
	{OneWay, 3, time.Second, 12 * time.Second},
	{Isolate, 4, time.Second, 12 * time.Second},
	{Ring, 2, time.Second, 10 * time.Second},
	{Crash, 5, 100 * time.Millisecond, 9 * time.Second},
	{CrashAll, 2, 100 * time.Millisecond, 3 * time.Second},
	{Pause, 4, 500 * time.Millisecond, 10 * time.Second},
	{Stall, 2, 500 * time.Millisecond, 5 * time.Second},
	{Clock, 4, 0, 0},
	{Split, 3, 0, 0},
	{Transfer, 5, 0, 0},
	{Rereplica, 2, 0, 0},
}

// lossMean is the mean share of messages that a lossy network loses.
const lossMean = 0.16

// Schedule draws the faults of a run: within the time given, two at once at
// times, all over at its end. only names the kinds; nil allows all.
func Schedule(rng *rand.Rand, nodes int, within time.Duration, splits []kvapi.Key, only []FaultKind) []Fault {
	var out []Fault
	for at := time.Duration(rng.Int64N(int64(time.Second))); at < within; {
		f := draw(rng, nodes, splits)
		for len(only) > 0 && !slices.Contains(only, f.Kind) {
			f = draw(rng, nodes, splits)
		}
		f.At = at
		f.For = min(f.For, within-at)
		out = append(out, f)
		at += time.Duration(rng.Int64N(int64(3 * time.Second)))
	}
	return out
}

func draw(rng *rand.Rand, nodes int, splits []kvapi.Key) Fault {
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	n := rng.IntN(total)
	for _, w := range weights {
		if n -= w.weight; n >= 0 {
			continue
		}
		f := Fault{Kind: w.kind, For: w.shortest}
		if w.longest > w.shortest {
			f.For += time.Duration(rng.Int64N(int64(w.longest - w.shortest)))
		}
		f.A = rng.IntN(nodes)
		f.B = (f.A + 1 + rng.IntN(nodes-1)) % nodes
		f.Key = splits[rng.IntN(len(splits))]
		f.Loss = 2 * lossMean * rng.Float64()
		f.Offset = time.Duration(rng.Int64N(int64(2*skewMax))) - skewMax
		return f
	}
	panic("simulation: weights do not add up")
}

// Inject makes the fault happen, waits, and undoes it. Faults may overlap: what
// two of them set is undone by the first to end, which is as good a fault.
func (c *Cluster) Inject(ctx context.Context, f Fault) {
	a := c.nodes[f.A]
	cut := memnet.Faults{Cut: true}
	switch f.Kind {
	case Loss:
		l := normalLink()
		l.Drop, l.Duplicate, l.Reorder = f.Loss, f.Loss/2, f.Loss/2
		c.net.SetDefault(l)
		defer c.net.SetDefault(normalLink())
	case Delay:
		c.net.SetDefault(memnet.Faults{DelayMin: 20 * time.Millisecond, DelayMax: 400 * time.Millisecond})
		defer c.net.SetDefault(normalLink())
	case OneWay:
		defer c.setLinks(cut, [2]int{f.A, f.B})()
	case Ring:
		defer c.setLinks(cut, [2]int{f.A, f.B}, [2]int{f.B, f.A})()
	case Isolate:
		defer c.setLinks(cut, c.allLinks(f.A)...)()
	case Crash:
		c.slowDisks(f, a)
		a.Crash()
		defer c.restart(ctx, a)
	case CrashAll:
		c.slowDisks(f, c.nodes...)
		c.crashAll()
		for _, n := range c.nodes {
			defer c.restart(ctx, n)
		}
	case Pause:
		a.Pause(f.For)
		defer c.setLinks(normalLink(), c.allLinks(f.A)...)
	case Stall:
		a.StallDisk(300 * time.Millisecond)
		defer a.StallDisk(0)
	case Clock:
		c.turnClock(ctx, a, f.Offset)
	case ClocksApart:
		c.turnApart(ctx, a, c.nodes[f.B])
	case TransferCrash:
		crashed := c.transferAndCrash(ctx, f)
		defer c.restart(ctx, crashed)
	case SplitStorm:
		c.splitStorm(ctx, f)
	case MoveStorm:
		c.moveStorm(ctx, f)
	case MoveCrash:
		crashed := c.moveAndCrash(ctx, f)
		defer c.restart(ctx, crashed)
	case Decommission:
		defer c.decommission(ctx, f)()
	case RangeStorm:
		c.rangeStorm(ctx, f)
		return
	case LeaseStorm:
		c.leaseStorm(ctx, f)
		return
	case MergeCrash:
		crashed := c.mergeAndCrash(ctx, f)
		defer c.restart(ctx, crashed)
	default:
		c.administer(ctx, f)
	}
	select {
	case <-time.After(f.For):
	case <-ctx.Done():
	}
}

// crashAll is a power cut of the whole building.
func (c *Cluster) crashAll() {
	ended := make([]*life, len(c.nodes))
	disks := make([]storagetest.CrashFS, len(c.nodes))
	for _, n := range c.nodes {
		n.turn <- struct{}{}
	}
	for i, n := range c.nodes {
		ended[i], disks[i] = n.cutPower()
	}
	for i, n := range c.nodes {
		n.tearDown(ended[i], disks[i])
		<-n.turn
	}
}

// slowDisks precedes every other power cut, so that it hits syncs under way.
func (c *Cluster) slowDisks(f Fault, nodes ...*Node) {
	if f.Loss < lossMean {
		return
	}
	for _, n := range nodes {
		n.StallDisk(25 * time.Millisecond)
	}
	time.Sleep(250 * time.Millisecond)
}

func (c *Cluster) allLinks(a int) [][2]int {
	var out [][2]int
	for b := range c.nodes {
		if b != a {
			out = append(out, [2]int{a, b}, [2]int{b, a})
		}
	}
	return out
}

// setLinks sets the faults of links, and returns what heals them.
func (c *Cluster) setLinks(f memnet.Faults, links ...[2]int) (heal func()) {
	set := func(f memnet.Faults) {
		for _, l := range links {
			c.net.SetLink(c.nodes[l[0]].id, c.nodes[l[1]].id, f)
		}
	}
	set(f)
	return func() { set(normalLink()) }
}

func (c *Cluster) restart(ctx context.Context, n *Node) {
	if err := n.Start(context.WithoutCancel(ctx)); err != nil {
		c.fail(fmt.Errorf("restart: %w", err))
	}
}

// turnClock slews a clock to an offset: a clock that jumps ends its node. Of
// two that turn one clock the later wins; each holding on to its own aim they
// would turn it for ever.
func (c *Cluster) turnClock(ctx context.Context, n *Node, to time.Duration) {
	const stepMax = 20 * time.Millisecond
	n.setAim(to)
	for ctx.Err() == nil && n.aim() == to && n.skew.Offset() != to {
		step := min(max(to-n.skew.Offset(), -stepMax), stepMax)
		n.skew.SetOffset(n.skew.Offset() + step)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// adminTimeout is the patience of the simulated operator.
const adminTimeout = 20 * time.Second

// administer does what operators do. Under faults it may fail; what it leaves
// behind must be sound either way.
func (c *Cluster) administer(ctx context.Context, f Fault) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	s, err := c.nodes[f.B].Connect(ctx)
	if err != nil {
		return
	}
	defer s.Close()
	ctx, stop := s.Context(ctx)
	defer stop()
	q := kvapi.Request{Key: f.Key}
	switch f.Kind {
	case Split:
		q.Kind = kvapi.AdminSplit
	case Merge:
		q.Kind, q.Key, q.Value = kvapi.AdminMerge, below(f.Key), f.Key
	case Transfer:
		q.Kind, q.Target = kvapi.AdminTransferLease, c.nodes[f.A].id
	case Move:
		if q.Change = c.moveOf(ctx, f); q.Change == nil {
			return
		}
		q.Kind = kvapi.AdminChangeReplicas
	case Rereplica:
		q.Kind, q.Change = kvapi.AdminChangeReplicas, &kvapi.ReplicaChange{Remove: []kvapi.NodeID{c.nodes[f.A].id}}
	}
	_, err = s.DB().Send(ctx, (&kvapi.BatchRequest{}).Add(q))
	c.log.Debug("operator", "what", f.String(), "err", err)
}

// Heal ends every fault: links, pauses, disks, and all nodes run.
func (c *Cluster) Heal(ctx context.Context) error {
	c.net.Heal()
	c.net.SetDefault(normalLink())
	for _, n := range c.nodes {
		n.mu.Lock()
		n.mu.pausedUntil, n.mu.stalled = time.Time{}, 0
		n.mu.Unlock()
		if err := n.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// describe prints a schedule.
func describe(faults []Fault) string {
	out := ""
	for _, f := range slices.SortedFunc(slices.Values(faults), func(a, b Fault) int { return int(a.At - b.At) }) {
		out += f.String() + "\n"
	}
	return out
}
