package acceptance

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// blockedMax is the promise: nobody who asks a running node waits for longer than
// the default of --failover, three seconds, and five more.
const blockedMax = 8 * time.Second

// Nodes are killed, stopped, drained, taken out and replaced, ranges are split, merged
// and led from elsewhere, all while pgbench runs on every node that lives: the
// sums are those of what was acknowledged, and nobody is blocked for longer than a
// fail-over and some.
func TestRangesLiveWhileNodesComeAndGo(t *testing.T) {
	c := startWith(t, 5, func(i int) []string {
		return []string{"--dead-after", deadAfter.String(), "--range-size", "16MiB",
			"--locality", fmt.Sprintf("region=here,zone=%c", 'a'+i)}
	})
	scale, lasts, limit := 1, 30*time.Second, silenceMax
	if *long {
		scale, lasts, limit = 10, 10*time.Minute, blockedMax
	}
	initPgbench(t, c, scale)
	replicated(t, c)

	seed := uint64(time.Now().UnixNano())
	t.Logf("faults of seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	all := targets(c.Nodes...)
	run := &tpcbRun{c: c, bench: load.TPCB{Scale: scale}, pulse: load.NewPulse(all)}
	run.pulse.Pace = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ours := make(chan struct{})
	go func() { defer close(ours); run.bench.Run(ctx, all, 1, run.pulse) }()
	end := time.Now().Add(lasts)
	theirs := startBenches(t, c, 1, end)
	w := &wear{t: t, c: c, rng: rng, began: time.Now(), left: map[string]bool{}}
	storm := startRangeStorm(ctx, t, c, rng.Uint64(), scale)

	acts := []func(){w.kill, w.pause, w.replace}
	for _, act := range acts {
		act()
	}
	if *long {
		acts = append(acts, w.restart, w.leaveDead)
		for time.Until(end) > 30*time.Second {
			acts[rng.IntN(len(acts))]()
		}
	}
	time.Sleep(max(time.Until(end)-time.Second, 0))
	for _, n := range c.Nodes {
		before := run.pulse.Count(n.Name)
		eventually(t, 3*silenceMax, n.Name+" serves", func() error {
			if run.pulse.Count(n.Name) < before+5 {
				return context.DeadlineExceeded
			}
			return nil
		})
	}
	cancel()
	<-ours
	t.Logf("%s; %s", w.tally(), storm.tally())

	acknowledged, unknown, waits := theirs.end(t)
	for _, s := range run.pulse.Samples() {
		from := run.pulse.Start().Add(s.At)
		waits = append(waits, wait{"client at " + s.Target, from, from.Add(s.Took)})
	}
	t.Logf("our clients: %d acknowledged, %d refused, %d unknown\n%s", run.bench.Count(history.OK), run.bench.Count(history.Fail),
		run.bench.Count(history.Info), run.pulse)
	for _, x := range longest(waits, w.naps, 5) {
		d := x.blocked(w.naps)
		t.Logf("%s was blocked for %v, from %v on, while %s", x.who, d.Round(time.Millisecond),
			x.from.Sub(w.began).Round(time.Millisecond), w.during(x))
		if d > limit {
			t.Errorf("%s was blocked for %v, promised are %v", x.who, d.Round(time.Millisecond), limit)
		}
	}
	for _, n := range c.Nodes {
		if got := run.judgeTables(t, n); got < acknowledged || got > acknowledged+unknown {
			t.Errorf("%s: pgbench was told of %d transactions, and not of %d; %d are there", n.Name, acknowledged, unknown, got)
		}
	}
	eventually(t, time.Minute, "every range has three replicas, none where a node has left", func() error {
		ranges, err := c.Ranges(c.Nodes[0])
		for _, r := range ranges {
			if len(r.Replicas) != 3 || slices.ContainsFunc(r.Replicas, func(id string) bool { return w.left[id] }) {
				return fmt.Errorf("range %s has replicas %v", r.ID, r.Replicas)
			}
		}
		return err
	})
	if r := c.Cairn("range", "check", "--host", c.Nodes[0].RPC); r.Code != 0 || strings.Contains(r.Stdout, "repaired") {
		t.Errorf("range check: status %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// wear does to nodes what happens to them in years, one node at a time.
type wear struct {
	t     *testing.T
	c     *cluster.Cluster
	rng   *rand.Rand
	began time.Time
	// naps are when nodes were stopped.
	naps []nap
	// acts are what was done, and when.
	acts []nap
	// left are the ids of nodes that were taken out.
	left map[string]bool
}

// between draws a time.
func (w *wear) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
}

// act does something to a node, and gives the cluster some time after it: who is
// blocked by one fault is not to be met by the next, for then it is the sum of two that
// is measured.
func (w *wear) act(what string, n *cluster.Node, do func()) {
	w.t.Helper()
	from := time.Now()
	do()
	defer func() { time.Sleep(max(time.Until(from.Add(blockedMax)), 0)) }()
	w.acts = append(w.acts, nap{what + " " + n.Name, from, time.Now()})
	w.t.Logf("%v: %s %s (node %s): %v", from.Sub(w.began).Round(time.Millisecond), what, n.Name, n.ID, time.Since(from).Round(time.Millisecond))
	time.Sleep(w.between(time.Second, 3*time.Second))
}

func (w *wear) any() *cluster.Node { return w.c.Nodes[w.rng.IntN(len(w.c.Nodes))] }

func (w *wear) kill() { w.killFor(w.any(), w.between(500*time.Millisecond, 6*time.Second)) }

// leaveDead leaves a node dead until its replicas have been made anew.
func (w *wear) leaveDead() { w.killFor(w.any(), w.between(deadAfter, 2*deadAfter)) }

func (w *wear) killFor(n *cluster.Node, d time.Duration) {
	w.act(fmt.Sprintf("kill, for %v,", d.Round(time.Millisecond)), n, func() {
		n.Kill9()
		time.Sleep(d)
		n.Restart()
	})
}

func (w *wear) pause() { w.pauseFor(w.any(), w.between(500*time.Millisecond, 8*time.Second)) }

func (w *wear) pauseFor(n *cluster.Node, d time.Duration) {
	w.act(fmt.Sprintf("pause, for %v,", d.Round(time.Millisecond)), n, func() {
		from := time.Now()
		n.Pause()
		time.Sleep(d)
		n.Resume()
		w.naps = append(w.naps, nap{n.Name, from, time.Now()})
	})
}

func (w *wear) restart() {
	n := w.any()
	w.act("restart", n, func() {
		n.Stop()
		n.Restart()
	})
}

// leaveMax bounds how long a node may take to leave the cluster.
const leaveMax = 2 * time.Minute

// replace decommissions a node, while now and then something happens to another,
// and has a new one join at its SQL address, with other addresses for nodes or the same.
func (w *wear) replace() {
	n := w.any()
	was := n.ID
	w.act("replace", n, func() {
		done := make(chan cluster.Result, 1)
		n.ExpectEnd()
		go func() { done <- w.decommission(n, was) }()
		if others := w.c.Others(n); *long && w.rng.IntN(2) == 0 {
			o := others[w.rng.IntN(len(others))]
			if d := w.between(500*time.Millisecond, 4*time.Second); w.rng.IntN(2) == 0 {
				w.killFor(o, d)
			} else {
				w.pauseFor(o, d)
			}
		}
		if r := <-done; r.Code != 0 {
			w.t.Fatalf("decommissioning %s: status %d: %s%s", n.Name, r.Code, r.Stdout, r.Stderr)
		}
		if code := n.WaitEnd(30 * time.Second); code != 0 {
			w.t.Errorf("%s was decommissioned and ended with status %d", n.Name, code)
		}
		w.left[was] = true
		n.Store = fmt.Sprintf("%s-after-%s", n.Store, was)
		if w.rng.IntN(2) == 0 {
			if err := w.c.Readdress(n); err != nil {
				w.t.Fatal(err)
			}
		}
		n.Restart()
		if w.left[n.ID] {
			w.t.Errorf("the node at %s got the id of one that left, %s", n.Name, n.ID)
		}
	})
}

// decommission asks one node after the other until one has seen it through.
func (w *wear) decommission(n *cluster.Node, id string) (r cluster.Result) {
	ctx, cancel := context.WithTimeout(w.t.Context(), leaveMax)
	defer cancel()
	for i := 0; ctx.Err() == nil; i++ {
		via := w.c.Others(n)[i%(len(w.c.Nodes)-1)]
		if r = w.c.RunContext(ctx, "", *cairn, "node", "decommission", id, "--host", via.Told()); r.Code == 0 {
			return r
		}
		time.Sleep(time.Second)
	}
	return r
}

// during says what was done while somebody waited.
func (w *wear) during(x wait) string {
	var out []string
	for _, a := range w.acts {
		if a.from.Before(x.to) && x.from.Before(a.to.Add(time.Second)) {
			out = append(out, fmt.Sprintf("%s (%v to %v)", a.node, a.from.Sub(w.began).Round(time.Millisecond), a.to.Sub(w.began).Round(time.Millisecond)))
		}
	}
	if len(out) == 0 {
		return "nothing was done"
	}
	return strings.Join(out, ", ")
}

// tally counts what was done.
func (w *wear) tally() string {
	count := map[string]int{}
	for _, a := range w.acts {
		verb, _, _ := strings.Cut(a.node, " ")
		count[strings.TrimSuffix(verb, ",")]++
	}
	var out []string
	for _, verb := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%d × %s", count[verb], verb))
	}
	return strings.Join(out, ", ")
}

// rangeStorm splits, merges and hands over ranges of pgbench's tables. That an act
// is refused, because another one is under way or a node is away, is part of it.
type rangeStorm struct {
	done [3]atomic.Int64
	not  atomic.Int64
	last atomic.Pointer[string]
}

// stormPause is between two acts: each is a process of its own.
const stormPause = 400 * time.Millisecond

func startRangeStorm(ctx context.Context, t *testing.T, c *cluster.Cluster, seed uint64, scale int) *rangeStorm {
	t.Helper()
	var keys []string
	conn := connect(t, c.Nodes[0].URL())
	for table, rows := range map[string]int{"accounts": 100_000 * scale, "tellers": 10 * scale, "branches": scale} {
		at := one[string](t, conn, `SELECT '/table/' || indrelid || '/' || indexrelid FROM pg_index WHERE indisprimary AND indrelid = $1::regclass::oid`,
			"pgbench_"+table)
		for i := range 10 {
			keys = append(keys, fmt.Sprintf("%s/=%d", at, 1+i*rows/10))
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	s := &rangeStorm{}
	rng := rand.New(rand.NewPCG(seed, 1))
	go func() {
		for ctx.Err() == nil {
			s.act(ctx, c, rng, keys[rng.IntN(len(keys))])
			select {
			case <-ctx.Done():
			case <-time.After(stormPause):
			}
		}
	}()
	return s
}

// act splits a range at a key, or merges a range with its left neighbour, or has
// another of its nodes lead it.
func (s *rangeStorm) act(ctx context.Context, c *cluster.Cluster, rng *rand.Rand, key string) {
	ctx, cancel := context.WithTimeout(ctx, commandMax)
	defer cancel()
	via := c.Nodes[rng.IntN(len(c.Nodes))]
	i := []int{0, 0, 1, 2}[rng.IntN(4)]
	args := []string{"split", key}
	if i > 0 {
		ranges, err := c.Ranges(via)
		if err != nil {
			s.refused(err)
			return
		}
		ranges = slices.DeleteFunc(ranges, func(r cluster.Range) bool { return !strings.HasPrefix(r.Start, "/table/") || len(r.Replicas) == 0 })
		if len(ranges) == 0 {
			return // tables begin in one range
		}
		r := ranges[rng.IntN(len(ranges))]
		args = [][]string{1: {"merge", r.Start}, 2: {"lease", r.Start, r.Replicas[rng.IntN(len(r.Replicas))]}}[i]
	}
	if err := c.Try(ctx, append(append([]string{"range"}, args...), "--host", via.Told())...); err != nil {
		s.refused(err)
		return
	}
	s.done[i].Add(1)
}

func (s *rangeStorm) refused(err error) {
	s.not.Add(1)
	text := err.Error()
	s.last.Store(&text)
}

// commandMax bounds an act of the storm.
const commandMax = 10 * time.Second

func (s *rangeStorm) tally() string {
	text := fmt.Sprintf("%d splits, %d merges, %d leases moved, %d refused", s.done[0].Load(), s.done[1].Load(), s.done[2].Load(), s.not.Load())
	if last := s.last.Load(); last != nil {
		text += ", the last because: " + *last
	}
	return text
}
