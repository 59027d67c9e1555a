package acceptance

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/load"
)

func start(t *testing.T, nodes int) *cluster.Cluster {
	t.Helper()
	return cluster.Start(t, *cairn, nodes)
}

// connect opens a connection that lives as long as the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, stmt string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), stmt, args...); err != nil {
		t.Fatalf("%s: %v", stmt, err)
	}
}

// one returns the one value of a query.
func one[T any](t *testing.T, conn *pgx.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func targets(nodes ...*cluster.Node) []load.Target {
	var out []load.Target
	for _, n := range nodes {
		out = append(out, load.Target{Name: n.Name, URL: n.URL()})
	}
	return out
}

// eventually waits for a claim to become true.
func eventually(t *testing.T, limit time.Duration, claim string, holds func() error) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		err := holds()
		if err == nil {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %v: %v", claim, limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// replicated waits until every range has three replicas: before that, a fault
// of one node is one too many.
func replicated(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	d := eventually(t, 30*time.Second, "every range has three replicas", func() error {
		ranges, err := c.Ranges(c.Nodes[0])
		for _, r := range ranges {
			if len(r.Replicas) < 3 {
				return fmt.Errorf("range %s %s has replicas %v", r.ID, r.Start, r.Replicas)
			}
		}
		return err
	})
	t.Logf("every range had three replicas after %v", d.Round(time.Millisecond))
}

// pgbenchRun is what pgbench said.
type pgbenchRun struct {
	cluster.Result
	Processed, Failed int
}

// pgbench runs the tool, unmodified, against a node.
func pgbench(t *testing.T, c *cluster.Cluster, n *cluster.Node, args ...string) pgbenchRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	full := append([]string{"-h", n.Host(), "-p", n.Port(), "-U", "root"}, args...)
	r := pgbenchRun{Result: c.RunContext(ctx, "", "pgbench", append(full, "defaultdb")...)}
	r.Processed = numberAfter(r.Stdout, `number of transactions actually processed: (\d+)`)
	r.Failed = numberAfter(r.Stdout, `number of failed transactions: (\d+)`)
	return r
}

func numberAfter(text, pattern string) int {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// initPgbench loads pgbench's tables as its manual says.
func initPgbench(t *testing.T, c *cluster.Cluster, scale int) {
	t.Helper()
	start := time.Now()
	r := pgbench(t, c, c.Nodes[0], "-i", "-q", "-s", strconv.Itoa(scale))
	if r.Code != 0 {
		t.Fatalf("pgbench -i: %s%s", r.Stdout, r.Stderr)
	}
	t.Logf("pgbench -i -s %d: %v", scale, time.Since(start).Round(time.Millisecond))
}

// isOneLine fails unless the text is one line, and has all the parts.
func isOneLine(t *testing.T, text string, parts ...string) {
	t.Helper()
	text = strings.TrimSpace(text)
	if strings.Contains(text, "\n") || strings.Contains(text, "goroutine ") {
		t.Errorf("more than one clear line:\n%s", text)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}
