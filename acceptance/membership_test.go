package acceptance

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// startWith starts nodes with arguments of their own.
func startWith(t *testing.T, nodes int, args func(i int) []string) *cluster.Cluster {
	t.Helper()
	c := cluster.New(t, *cairn, nodes)
	for i, n := range c.Nodes {
		n.Args = args(i)
		n.Launch()
	}
	c.Init()
	for _, n := range c.Nodes {
		n.WaitReady()
	}
	return c
}

// deadAfter is the least that --dead-after allows.
const deadAfter = 15 * time.Second

// withReplicas is the node with the most replicas: quiet tables share a range, and
// there are fewer replicas than there is room for.
func withReplicas(t *testing.T, c *cluster.Cluster, among []*cluster.Node) *cluster.Node {
	t.Helper()
	ranges, err := c.Ranges(among[0])
	if err != nil {
		t.Fatal(err)
	}
	held := func(n *cluster.Node) (count int) {
		for _, r := range ranges {
			if slices.Contains(r.Replicas, n.ID) {
				count++
			}
		}
		return count
	}
	return slices.MaxFunc(among, func(a, b *cluster.Node) int { return cmp.Compare(held(a), held(b)) })
}

// Of five nodes one is killed for good, and another is decommissioned, while
// pgbench runs: the three that are left get all replicas, nobody waits for longer
// than a fail-over and some, and the sums are right.
func TestNodesLeaveForGoodUnderPgbench(t *testing.T) {
	c := startWith(t, 5, func(i int) []string {
		return []string{"--dead-after", deadAfter.String(), "--locality", fmt.Sprintf("region=here,zone=%c", 'a'+i)}
	})
	p := paced(plan{1, 3 * time.Second, 20 * time.Second, 6 * time.Second},
		plan{10, 20 * time.Second, 10 * time.Minute, 30 * time.Second})
	run := startTPCB(t, c, p)
	began := time.Now()
	via := c.Others(run.victim)[0] // pgbench's
	leaver := withReplicas(t, c, c.Others(run.victim)[1:])
	run.gone = []*cluster.Node{run.victim, leaver}

	time.Sleep(p.before)
	run.victim.Kill9()
	leaver.ExpectEnd()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r := c.RunContext(ctx, "", *cairn, "node", "decommission", leaver.ID, "--host", via.RPC)
	t.Logf("decommissioning took %v:\n%s%s", time.Since(began).Round(time.Millisecond), r.Stdout, r.Stderr)
	if r.Code != 0 || !strings.HasSuffix(r.Stdout, fmt.Sprintf("node %s is decommissioned\n", leaver.ID)) {
		t.Errorf("status %d", r.Code)
	}
	if code := leaver.WaitEnd(30 * time.Second); code != 0 {
		t.Errorf("the decommissioned node ended with status %d", code)
	}
	d := eventually(t, time.Minute, "the others have all replicas", func() error {
		ranges, err := c.Ranges(via)
		for _, r := range ranges {
			if len(r.Replicas) != 3 || slices.Contains(r.Replicas, leaver.ID) || slices.Contains(r.Replicas, run.victim.ID) {
				return fmt.Errorf("range %s has replicas %v", r.ID, r.Replicas)
			}
		}
		return err
	})
	t.Logf("all replicas were made anew after %v more", d.Round(time.Millisecond))
	if rest := p.before + p.during + p.after - time.Since(began); rest > 0 {
		time.Sleep(rest)
	}
	run.judge(t)

	// Every decision has its reason.
	conn := connect(t, via.URL())
	for _, why := range []string{
		fmt.Sprintf("repair: n%s has been silent for too long", run.victim.ID),
		fmt.Sprintf("decommission: n%s is leaving the cluster", leaver.ID),
	} {
		if n := one[int](t, conn, "SELECT count(*) FROM cairn.range_log WHERE event = 'voters' AND why LIKE $1 || '%'", why); n == 0 {
			t.Errorf("cairn.range_log does not say %q", why)
		}
	}

	states, err := c.NodeStates(via)
	if err != nil || states[leaver.ID] != "decommissioned" || states[run.victim.ID] != "dead" {
		t.Errorf("states %v, %v", states, err)
	}
	// It may not come back; a new node at its address may.
	leaver.Launch()
	leaver.ExpectEnd()
	if code := leaver.WaitEnd(20 * time.Second); code != 1 {
		t.Errorf("a decommissioned node came back: status %d", code)
	}
	if log := leaver.LogTail(3); !strings.Contains(log, "has been decommissioned: start it with an empty store") {
		t.Errorf("it says %s", log)
	}
	was := leaver.ID
	leaver.Store += "-new"
	leaver.Launch()
	leaver.WaitReady()
	if leaver.ID == was {
		t.Errorf("the new node got the old id %s", was)
	}
	if got := one[int](t, connect(t, leaver.URL()), "SELECT count(*) FROM pgbench_branches"); got != p.scale {
		t.Errorf("%d branches", got)
	}
}

// A folder that was copied, or brought back from a backup, while its node runs:
// the copy is refused in one line, and the node goes on.
func TestACopyOfARunningNodesStoreIsRefused(t *testing.T) {
	c := start(t, 3)
	replicated(t, c)
	n := c.Nodes[2]
	n.Stop()
	if out, err := exec.Command("cp", "-r", n.Store, n.Store+"-copy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.Restart()
	allLive(t, c)
	other := cluster.New(t, *cairn, 1)
	o := other.Nodes[0]
	o.Store = n.Store + "-copy"
	o.Args = []string{"--join", c.Nodes[0].RPC, "--log-level", "error"}
	o.Launch()
	o.ExpectEnd()
	if code := o.WaitEnd(20 * time.Second); code != 1 {
		t.Errorf("status %d, want 1", code)
	}
	isOneLine(t, o.Log(), fmt.Sprintf("node %s is running at %s: this store is a copy of its store", n.ID, n.RPC))
	mustExec(t, connect(t, n.URL()), "CREATE TABLE t (k int PRIMARY KEY)")
}

// A node whose disk was wiped comes back at the same addresses: it is another
// node, and the cluster serves on.
func TestAWipedNodeIsANewNode(t *testing.T) {
	c := startWith(t, 3, func(int) []string { return []string{"--dead-after", deadAfter.String()} })
	conn := connect(t, c.Nodes[0].URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY)")
	replicated(t, c)
	n := c.Nodes[2]
	old := n.ID
	n.Kill9()
	n.Store += "-wiped"
	n.Launch()
	n.WaitReady()
	if n.ID == old {
		t.Fatalf("it is node %s again", old)
	}
	mustExec(t, connect(t, n.URL()), "INSERT INTO t VALUES (1)")
	if !*long {
		return // a dead node's replicas are made anew in the test above
	}
	d := eventually(t, time.Minute, "the new node has the old one's replicas", func() error {
		ranges, err := c.Ranges(n)
		for _, r := range ranges {
			if !slices.Contains(r.Replicas, n.ID) || slices.Contains(r.Replicas, old) || len(r.Replicas) != 3 {
				return fmt.Errorf("range %s has replicas %v", r.ID, r.Replicas)
			}
		}
		return err
	})
	t.Logf("node %s had node %s's replicas after %v", n.ID, old, d.Round(time.Millisecond))
	c.Nodes[0].Kill9()
	mustExec(t, connect(t, n.URL()), "INSERT INTO t VALUES (2)")
}
