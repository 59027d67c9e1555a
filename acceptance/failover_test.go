package acceptance

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// silenceMax is the promise: clients of live nodes go on within it.
const silenceMax = 10 * time.Second

// plan is how long the phases of a run are.
type plan struct {
	scale                 int
	before, during, after time.Duration
}

// paced returns the short plan, or the promised one under -long.
func paced(short, promised plan) plan {
	if *long {
		return promised
	}
	return short
}

func TestClientsOfLiveNodesGoOnWhenTheLeaderIsKilled(t *testing.T) {
	c := start(t, 3)
	p := paced(plan{1, 4 * time.Second, 8 * time.Second, 6 * time.Second},
		plan{10, 15 * time.Second, 20 * time.Second, 25 * time.Second})
	run := startTPCB(t, c, p)

	time.Sleep(p.before)
	run.victim.Kill9()
	time.Sleep(p.during)
	t.Logf("%s was ready %v after its restart", run.victim.Name, run.victim.Restart().Round(time.Millisecond))
	time.Sleep(p.after)

	run.judge(t)
	// That the restarted node has caught up shows when it must carry the
	// cluster together with one other.
	gone := c.Others(run.victim)[0]
	gone.Kill9()
	run.judgeTables(t, run.victim)
}

func TestAPausedLeaderGivesNoWrongAnswerAndLosesNothing(t *testing.T) {
	c := start(t, 3)
	p := paced(plan{1, 4 * time.Second, 15 * time.Second, 4 * time.Second},
		plan{10, 20 * time.Second, 15 * time.Second, 25 * time.Second})
	run := startTPCB(t, c, p)

	time.Sleep(p.before)
	run.victim.Pause()
	time.Sleep(p.during)
	run.victim.Resume()
	time.Sleep(p.after)

	run.judge(t)
}

// tpcbRun is pgbench's transaction on all nodes: by pgbench itself on one that
// will live, and by clients with a memory on all three.
type tpcbRun struct {
	c      *cluster.Cluster
	victim *cluster.Node
	// gone are the nodes that do not come back.
	gone   []*cluster.Node
	bench  load.TPCB
	pulse  *load.Pulse
	stop   context.CancelFunc
	ours   chan struct{}
	theirs chan pgbenchRun
}

// clientsEach is the number of our clients on each node, pgbenchClients those
// of pgbench on one.
const (
	clientsEach    = 2
	pgbenchClients = 8
)

// startTPCB loads the tables and starts all clients. The victim is the leader
// of the range that every transaction writes to.
func startTPCB(t *testing.T, c *cluster.Cluster, p plan) *tpcbRun {
	t.Helper()
	initPgbench(t, c, p.scale)
	replicated(t, c)
	r := &tpcbRun{c: c, bench: load.TPCB{Scale: p.scale}, ours: make(chan struct{}), theirs: make(chan pgbenchRun, 1)}
	busiest := c.Busiest(c.Nodes[0])
	r.victim = c.ByID(busiest.Lease)
	t.Logf("the victim is %s, leader of range %s at %s with %d rows", r.victim.Name, busiest.ID, busiest.Start, busiest.Rows)

	all := targets(c.Nodes...)
	r.pulse = load.NewPulse(all)
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	t.Cleanup(cancel)
	go func() { defer close(r.ours); r.bench.Run(ctx, all, clientsEach, r.pulse) }()
	seconds := (p.before + p.during + p.after).Seconds()
	go func() {
		r.theirs <- pgbench(t, c, c.Others(r.victim)[0], "-n", "-c", itoa(pgbenchClients), "-j", "2", "-T", itoa(int(seconds)), "-M", "prepared", "-P", "1")
	}()
	return r
}

// survivors are the nodes that ran all the time.
func (r *tpcbRun) survivors() []*cluster.Node {
	return slices.DeleteFunc(r.c.Others(r.victim), func(n *cluster.Node) bool { return slices.Contains(r.gone, n) })
}

// judge ends the run and compares everything with everything.
func (r *tpcbRun) judge(t *testing.T) {
	t.Helper()
	r.stop()
	<-r.ours
	r.pulse.End()
	theirs := <-r.theirs
	t.Logf("our clients: %d acknowledged, %d refused, %d unknown\n%s", r.bench.Count(history.OK), r.bench.Count(history.Fail),
		r.bench.Count(history.Info), r.pulse)
	t.Logf("pgbench: %d processed, %d failed, status %d, longest silence %d s\n%s%s", theirs.Processed, theirs.Failed, theirs.Code,
		longestZeroTPS(theirs.Stderr), theirs.Stdout, notProgress(theirs.Stderr))
	if !gotThrough(theirs) {
		t.Errorf("pgbench did not get through")
	}
	for _, n := range r.survivors() {
		if d := r.pulse.Longest(n.Name); d > silenceMax {
			t.Errorf("clients of %s waited %v, promised are %v", n.Name, d, silenceMax)
		}
	}
	if d := longestZeroTPS(theirs.Stderr); d > int(silenceMax.Seconds()) {
		t.Errorf("pgbench waited %d s", d)
	}
	for _, n := range r.c.Nodes {
		if slices.Contains(r.gone, n) {
			continue
		}
		unnamed := r.judgeTables(t, n)
		if unnamed < theirs.Processed || unnamed > theirs.Processed+pgbenchClients {
			t.Errorf("%s: pgbench was told of %d transactions, %d are there", n.Name, theirs.Processed, unnamed)
		}
	}
}

// gotThrough reports whether pgbench's clients went on to the end. Also those
// whose COMMIT was under way to the node that went away: their gateway finds
// out what became of it.
func gotThrough(r pgbenchRun) bool {
	return r.Code == 0 && !strings.Contains(r.Stderr, " aborted in command ")
}

// judgeTables compares the tables, seen through a node, with what our clients
// were told. It returns how many entries are pgbench's.
func (r *tpcbRun) judgeTables(t *testing.T, via *cluster.Node) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := connect(t, via.URL())
	sums, err := load.ReadSums(ctx, conn)
	if err != nil {
		t.Errorf("%s: sums: %v", via.Name, err)
	}
	if !sums.Agree() {
		t.Errorf("%s: the sums disagree: %+v", via.Name, sums)
	}
	unnamed, problems, err := r.bench.Compare(ctx, conn)
	if err != nil {
		t.Errorf("%s: history: %v", via.Name, err)
	}
	slices.Sort(problems)
	for _, p := range problems[:min(len(problems), 10)] {
		t.Errorf("%s: %s", via.Name, p)
	}
	return unnamed
}

// longestZeroTPS returns for how many reports in a row pgbench -P 1 made no
// progress.
func longestZeroTPS(progress string) int {
	longest, now := 0, 0
	for line := range strings.Lines(progress) {
		switch {
		case strings.Contains(line, " 0.0 tps"):
			now++
			longest = max(longest, now)
		case strings.HasPrefix(line, "progress:"):
			now = 0
		}
	}
	return longest
}

// notProgress leaves out the lines of a good run.
func notProgress(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "progress:") {
			out.WriteString(line)
		}
	}
	return out.String()
}
