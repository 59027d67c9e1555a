package acceptance

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

func TestANodeToldToStopDrainsAndEndsWithStatusZero(t *testing.T) {
	c := start(t, 3)
	conn := connect(t, c.Nodes[0].URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY, v text)")
	mustExec(t, conn, "INSERT INTO t VALUES (1, 'one')")
	replicated(t, c)
	for i, n := range c.Nodes {
		t.Logf("%s stopped in %v", n.Name, n.Stop().Round(time.Millisecond))
		other := connect(t, c.Nodes[(i+1)%3].URL())
		begin := time.Now()
		if got := one[string](t, other, "SELECT v FROM t WHERE k = 1"); got != "one" {
			t.Errorf("without %s: %q", n.Name, got)
		}
		mustExec(t, other, "INSERT INTO t VALUES ($1, 'more')", i+10)
		t.Logf("the others answered after %v; %s was ready again %v after its restart", time.Since(begin).Round(time.Millisecond),
			n.Name, n.Restart().Round(time.Millisecond))
	}
}

func TestAConnectionIsToldWhyItEnds(t *testing.T) {
	c := start(t, 1)
	conn := connect(t, c.Nodes[0].URL())
	mustExec(t, conn, "SELECT 1")
	c.Nodes[0].Stop()
	_, err := conn.Exec(t.Context(), "SELECT 1")
	wantCode(t, err, "57P01")
}

func TestARestartedNodeKeepsItsDataAndItsPlace(t *testing.T) {
	c := start(t, 3)
	conn := connect(t, c.Nodes[0].URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY)")
	mustExec(t, conn, "INSERT INTO t SELECT generate_series(1, 1000)")
	replicated(t, c)
	ids := map[string]string{}
	for _, n := range c.Nodes {
		ids[n.Name] = n.ID
		n.Kill9()
	}
	// All at once: nobody is there to be asked.
	for _, n := range c.Nodes {
		n.Launch()
	}
	for _, n := range c.Nodes {
		n.WaitReady()
		if n.ID != ids[n.Name] {
			t.Errorf("%s was node %s and is now node %s", n.Name, ids[n.Name], n.ID)
		}
		if got := one[int](t, connect(t, n.URL()), "SELECT count(*) FROM t"); got != 1000 {
			t.Errorf("%s: %d rows of 1000", n.Name, got)
		}
	}
	allLive(t, c)
}

func TestANodeAtANewAddressIsFoundAgain(t *testing.T) {
	c := start(t, 3)
	conn := connect(t, c.Nodes[0].URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY)")
	replicated(t, c)
	moved := c.Nodes[2]
	before := moved.ID
	moved.Stop()
	mustExec(t, conn, "INSERT INTO t SELECT generate_series(1, 100)")
	moved.Move()
	moved.Restart()
	if moved.ID != before {
		t.Errorf("node %s came back as node %s", before, moved.ID)
	}
	allLive(t, c)
	// The moved node carries its share: without another it is half of what is left.
	c.Nodes[1].Kill9()
	if got := one[int](t, connect(t, moved.URL()), "SELECT count(*) FROM t"); got != 100 {
		t.Errorf("%d rows of 100", got)
	}
	mustExec(t, connect(t, moved.URL()), "INSERT INTO t VALUES (101)")
}

func TestTwoNodesThatSwapAddressesAreFoundAgain(t *testing.T) {
	c := start(t, 3)
	conn := connect(t, c.Nodes[0].URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY)")
	replicated(t, c)
	a, b := c.Nodes[1], c.Nodes[2]
	a.Kill9()
	b.Kill9()
	a.SQL, b.SQL, a.RPC, b.RPC, a.HTTP, b.HTTP = b.SQL, a.SQL, b.RPC, a.RPC, b.HTTP, a.HTTP
	a.Launch()
	b.Launch()
	a.WaitReady()
	b.WaitReady()
	allLive(t, c)
	for _, n := range c.Nodes {
		mustExec(t, connect(t, n.URL()), "INSERT INTO t SELECT count(*) FROM t")
	}
}

func TestASingleNodeKeepsItsDataOverRestarts(t *testing.T) {
	c := cluster.New(t, *cairn, 1)
	n := c.Nodes[0]
	n.Launch()
	c.Init()
	n.WaitReady()
	mustExec(t, connect(t, n.URL()), "CREATE TABLE t (k int PRIMARY KEY)")
	for i := range 4 {
		mustExec(t, connect(t, n.URL()), "INSERT INTO t VALUES ($1)", i)
		if i%2 == 0 {
			n.Stop()
		} else {
			n.Kill9()
		}
		n.Restart()
		if got := one[int](t, connect(t, n.URL()), "SELECT count(*) FROM t"); got != i+1 {
			t.Fatalf("after restart %d: %d rows", i+1, got)
		}
	}
}

// allLive waits until every node sees every node as live.
func allLive(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	d := eventually(t, 20*time.Second, "all nodes see all nodes", func() error {
		for _, via := range c.Nodes {
			states, err := c.NodeStates(via)
			if err != nil {
				return err
			}
			for _, n := range c.Nodes {
				if states[n.ID] != "live" {
					return fmt.Errorf("%s sees %v", via.Name, states)
				}
			}
		}
		return nil
	})
	t.Logf("all nodes saw all nodes after %v", d.Round(time.Millisecond))
}

func TestAnIdleClusterIsIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	c := start(t, 3)
	replicated(t, c)
	// Promised is less than 3 % on a machine that does nothing else. The short
	// run only finds what is far off: it shares the machine, for ten seconds, and
	// what shares it makes the same work dearer. So the least of three counts.
	settle, span, percentMax := 3*time.Second, 10*time.Second, 6.0
	if *long {
		span, percentMax = 30*time.Second, 3
	}
	cpu := func() (sum time.Duration) {
		for _, n := range c.Nodes {
			sum += n.CPU()
		}
		return sum
	}
	time.Sleep(settle)
	percent := 100.0
	for range 3 {
		before := cpu()
		time.Sleep(span)
		used := cpu() - before
		percent = min(percent, 100*used.Seconds()/span.Seconds())
		t.Logf("three idle nodes used %v in %v", used, span)
		if percent < percentMax {
			break
		}
	}
	if percent >= percentMax {
		t.Errorf("three idle nodes use %.2f %% of one core; at most %.0f are allowed here", percent, percentMax)
	}
}
