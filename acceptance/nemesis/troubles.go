package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/internal/testkit/trouble"
)

// StartTroubled is the command that starts a node whose clock and disk obey a
// file.
const StartTroubled = "start-troubled"

// Troubled has a node, when it starts next, obey its trouble file.
func Troubled(n *cluster.Node) {
	n.Verb, n.VerbArgs = StartTroubled, []string{"--trouble", troublePath(n)}
}

// CanTrouble reports whether a binary has that command: those of long ago have not.
func CanTrouble(ctx context.Context, binary string) bool {
	return exec.CommandContext(ctx, binary, StartTroubled, "--help").Run() == nil
}

func troublePath(n *cluster.Node) string { return n.Store + ".trouble" }

func needsTrouble(e *Env) error {
	if !e.Trouble {
		return errors.New("it needs nodes whose clocks and disks can be set off")
	}
	return nil
}

// maxOffset is the default of --max-offset.
const maxOffset = 250 * time.Millisecond

// troubles set clocks and disks off, by the file that a troubled node reads.
func troubles() []Nemesis {
	return []Nemesis{
		{Name: "clock-skew", Does: "clocks differ, by less than --max-offset, and drift", Nodes: 2, Needs: needsTrouble, HoldMin: time.Second,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return skew(e, rng)
			}},
		{Name: "clock-strobe", Does: "a clock steps back and forth by less than half of --max-offset, twenty times a second", Nodes: 2, Needs: needsTrouble, HoldMin: time.Second, Strike: strobe},
		{Name: "clock-jump", Does: "a clock jumps by more than --max-offset: ahead, the node must stop; back, nobody may notice", Nodes: 3, Needs: needsTrouble, HoldMin: time.Second, Strike: jump},
		{Name: "disk-slow", Does: "syncs of a node take 20 to 500 ms longer", Nodes: 1, Needs: needsTrouble,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				d := between(rng, 20*time.Millisecond, 500*time.Millisecond).Round(time.Millisecond)
				return disk(e, rng, fmt.Sprintf("slow %v", d), false)
			}},
		{Name: "disk-stall", Does: "syncs of a node hang", Nodes: 1, Needs: needsTrouble, HoldMin: time.Second, HoldMax: 8 * time.Second,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return disk(e, rng, "stalled", false)
			}},
		{Name: "disk-full", Does: "writes of a node fail with ENOSPC; it may stop", Nodes: 1, Needs: needsTrouble,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return disk(e, rng, "full", true)
			}},
		{Name: "disk-read-only", Does: "writes of a node fail with EROFS; it must stop", Nodes: 1, Needs: needsTrouble,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return disk(e, rng, "read-only", true)
			}},
		{Name: "disk-failing", Does: "syncs of a node fail with EIO; it must stop", Nodes: 1, Needs: needsTrouble,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return disk(e, rng, "failing", true)
			}},
		{Name: "power-cut", Does: "one node, or all at once, ends and loses what its disk was not told to keep", Nodes: 1, Needs: needsTrouble,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return cutPower(e, rng)
			}},
	}
}

// makeTrouble puts a node into trouble; no lines end it.
func makeTrouble(n *cluster.Node, lines ...string) error {
	tmp := troublePath(n) + ".tmp"
	if err := os.WriteFile(tmp, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, troublePath(n))
}

// skew lets every clock be somewhere within half the bound, so that any two
// differ by less than it, and drift a little.
func skew(e *Env, rng *rand.Rand) (*Wound, error) {
	const part = maxOffset * 4 / 10
	nodes := e.take(rng, len(e.Cluster.Nodes))
	if len(nodes) == 0 {
		return nil, nil
	}
	var what []string
	for _, n := range nodes {
		d := (time.Duration(rng.Int64N(int64(2*part))) - part).Round(time.Millisecond)
		if err := makeTrouble(n, fmt.Sprintf("clock %v", d), fmt.Sprintf("drift %d", rng.IntN(600)-300)); err != nil {
			return nil, err
		}
		what = append(what, fmt.Sprintf("%s %+d ms", n.Name, d.Milliseconds()))
	}
	return troubled(e, nodes, strings.Join(what, ", "), false, nil), nil
}

func strobe(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, 1)
	if len(nodes) == 0 {
		return nil, nil
	}
	n := nodes[0]
	// A node stops when it sees a step of half the bound, and steps may add up to
	// its eye: from -d to d in time it did not run.
	d := between(rng, 10*time.Millisecond, maxOffset/6).Round(time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; err == nil && pause(ctx, 25*time.Millisecond); i++ {
			err = makeTrouble(n, fmt.Sprintf("clock %v", d*time.Duration(2*(i%2)-1)))
		}
		done <- err
	}()
	return troubled(e, nodes, fmt.Sprintf("%s ± %v", n.Name, d), false, func() error {
		cancel()
		return <-done
	}), nil
}

// jump sets one clock far off. That the node notices and stops is its duty;
// whether it did is said, and what it answered meanwhile is judged.
func jump(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, 1)
	if len(nodes) == 0 {
		return nil, nil
	}
	n := nodes[0]
	d := between(rng, 2*maxOffset, 20*time.Second).Round(time.Millisecond)
	if rng.IntN(3) == 0 {
		d = time.Duration(1+rng.IntN(10)) * time.Hour
	}
	if rng.IntN(2) == 0 {
		d = -d
	}
	n.ExpectEnd()
	if err := makeTrouble(n, fmt.Sprintf("clock %v", d)); err != nil {
		return nil, err
	}
	return troubled(e, nodes, fmt.Sprintf("%s %+.1f s", n.Name, d.Seconds()), true, nil), nil
}

func disk(e *Env, rng *rand.Rand, line string, mayEnd bool) (*Wound, error) {
	nodes := e.take(rng, 1)
	if len(nodes) == 0 {
		return nil, nil
	}
	if mayEnd {
		nodes[0].ExpectEnd()
	}
	if err := makeTrouble(nodes[0], "disk "+line); err != nil {
		return nil, err
	}
	return troubled(e, nodes, nodes[0].Name+": "+line, mayEnd, nil), nil
}

// cutPower has nodes lose what they have written and not synced, and end; kill keeps
// it, as the kernel writes what a dead process wrote.
func cutPower(e *Env, rng *rand.Rand) (*Wound, error) {
	n := 1
	if rng.IntN(3) == 0 {
		n = len(e.Cluster.Nodes)
	}
	nodes := e.take(rng, n)
	if len(nodes) == 0 {
		return nil, nil
	}
	for _, n := range nodes {
		n.ExpectEnd()
		if err := makeTrouble(n, fmt.Sprintf("disk power-cut %d", 1+rng.Uint64()>>1)); err != nil {
			return nil, err
		}
	}
	w := troubled(e, nodes, "no power: "+names(nodes), true, nil)
	ended := w.Bite
	w.Bite = func() (string, bool) {
		evidence, _ := ended()
		lost := int64(0)
		for _, n := range nodes {
			if f := trouble.ReadFelt(troublePath(n)); !n.Running() {
				lost += f.LostBytes + f.LostNames
			}
		}
		return evidence, lost > 0
	}
	return w, nil
}

// troubled is the wound of nodes whose trouble files say something. Before it is
// healed, before is called. A node that may have ended is started again, after
// its end if it is still there: its end was expected, and would be again.
func troubled(e *Env, nodes []*cluster.Node, what string, mayEnd bool, before func() error) *Wound {
	was := map[*cluster.Node]trouble.Felt{}
	for _, n := range nodes {
		was[n] = trouble.ReadFelt(troublePath(n))
	}
	return &Wound{What: what,
		Bite: func() (evidence string, felt bool) {
			// A busy machine takes its time until a process reads its file.
			for range feltTries {
				if evidence, felt = feltBy(nodes, was); felt {
					break
				}
				time.Sleep(feltPause)
			}
			return evidence, felt
		},
		Heal: func(context.Context) error {
			var errs []error
			if before != nil {
				errs = append(errs, before())
			}
			for _, n := range nodes {
				errs = append(errs, makeTrouble(n))
				if mayEnd && n.Running() {
					_, err := n.End(syscall.SIGKILL)
					errs = append(errs, err)
				}
			}
			if mayEnd {
				return errors.Join(append(errs, restart(e, nodes))...)
			}
			e.give(nodes...)
			return errors.Join(errs...)
		}}
}

// A wound is kept open for a while until it is felt.
const (
	feltTries = 100
	feltPause = 50 * time.Millisecond
)

// feltBy says what nodes have felt since.
func feltBy(nodes []*cluster.Node, since map[*cluster.Node]trouble.Felt) (string, bool) {
	var sum trouble.Felt
	var parts []string
	ended := 0
	for _, n := range nodes {
		f := trouble.ReadFelt(troublePath(n)).Since(since[n])
		sum.Slowed, sum.Failed, sum.ClockReads = sum.Slowed+f.Slowed, sum.Failed+f.Failed, sum.ClockReads+f.ClockReads
		sum.LostBytes, sum.LostNames = sum.LostBytes+f.LostBytes, sum.LostNames+f.LostNames
		if !n.Running() {
			ended++
		}
	}
	for _, p := range []struct {
		n    int64
		what string
	}{{sum.Slowed, "syncs slowed"}, {sum.Failed, "operations failed"}, {sum.ClockReads, "readings of the clock"},
		{sum.LostBytes, "bytes lost that were not synced"}, {sum.LostNames, "files lost whose folder was not synced"}, {int64(ended), "nodes ended by themselves"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		return "nobody noticed", false
	}
	return strings.Join(parts, ", "), true
}
