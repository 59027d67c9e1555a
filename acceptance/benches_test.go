package acceptance

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// benches runs pgbench on every node, for as long as the node lives and again when it
// is back, and keeps the log that pgbench writes of each transaction.
type benches struct {
	dir     string
	clients int
	until   time.Time
	wg      sync.WaitGroup
	mu      struct {
		sync.Mutex
		runs []benchRun
	}
}

// benchRun is one pgbench from its start to its end.
type benchRun struct {
	pgbenchRun
	node string
	// waits are its transactions that were acknowledged, failed those that were not.
	waits  []wait
	failed int
	err    error
}

// wait is how long a client waited for a transaction.
type wait struct {
	who      string
	from, to time.Time
}

// benchTail is what a pgbench must have left to be worth its start.
const benchTail = 2 * time.Second

// startBenches runs so many clients on each node until a time.
func startBenches(t *testing.T, c *cluster.Cluster, clients int, until time.Time) *benches {
	t.Helper()
	b := &benches{dir: t.TempDir(), clients: clients, until: until}
	for _, n := range c.Nodes {
		name, host, port := n.Name, n.Host(), n.Port()
		b.wg.Go(func() {
			for i := 0; time.Until(b.until) > benchTail; i++ {
				b.run(t, c, name, host, port, filepath.Join(b.dir, fmt.Sprintf("%s-%d", name, i)))
			}
		})
	}
	return b
}

// run is one pgbench. Its clients give up when their node goes away, and it ends
// with the last of them.
func (b *benches) run(t *testing.T, c *cluster.Cluster, node, host, port, log string) {
	left := int(time.Until(b.until).Seconds())
	ctx, cancel := context.WithTimeout(t.Context(), time.Until(b.until)+time.Minute)
	defer cancel()
	r := benchRun{node: node, pgbenchRun: pgbenchRun{Result: c.RunContext(ctx, "", "pgbench", "-h", host, "-p", port, "-U", "root",
		"-n", "-c", itoa(b.clients), "-T", itoa(max(left, 1)), "-M", "prepared", "-l", "--log-prefix", log, "defaultdb")}}
	r.Processed = numberAfter(r.Stdout, `number of transactions actually processed: (\d+)`)
	r.Failed = numberAfter(r.Stdout, `number of failed transactions: (\d+)`)
	r.err = r.read(log)
	if len(r.waits) == 0 {
		time.Sleep(100 * time.Millisecond) // nobody was there
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.runs = append(b.mu.runs, r)
}

// read reads the logs that pgbench wrote, one a process: client, transaction,
// microseconds or why it failed, script, and when it ended in seconds and microseconds.
func (r *benchRun) read(prefix string) error {
	files, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var client, number, script int
			var took string
			var sec, usec int64
			if _, err := fmt.Sscan(lines.Text(), &client, &number, &took, &script, &sec, &usec); err != nil {
				return fmt.Errorf("%s: %q: %w", name, lines.Text(), err)
			}
			var us int64
			if _, err := fmt.Sscan(took, &us); err != nil {
				r.failed++
				continue
			}
			end := time.UnixMicro(sec*1e6 + usec)
			r.waits = append(r.waits, wait{"pgbench at " + r.node, end.Add(-time.Duration(us) * time.Microsecond), end})
		}
		if err := lines.Err(); err != nil {
			return err
		}
	}
	return nil
}

// end waits for the last pgbench. It returns what all of them were told of, how many
// more may have happened, and every wait.
func (b *benches) end(t *testing.T) (acknowledged, unknown int, waits []wait) {
	t.Helper()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := 0
	for _, r := range b.mu.runs {
		if r.err != nil {
			t.Errorf("pgbench at %s: its log: %v", r.node, r.err)
		}
		// A client that lost its node does not know of its last transaction.
		lost := 0
		if r.Code != 0 && !strings.Contains(r.Stderr, "could not create connection") {
			lost = b.clients
		}
		acknowledged, unknown, failed = acknowledged+len(r.waits), unknown+lost, failed+r.failed
		waits = append(waits, r.waits...)
	}
	t.Logf("pgbench: %d transactions acknowledged, %d failed, at most %d unknown", acknowledged, failed, unknown)
	if failed > 0 {
		t.Errorf("%d transactions of pgbench failed", failed)
	}
	return acknowledged, unknown, waits
}

// nap is when a node was stopped: who waits for it is not to be served.
type nap struct {
	node     string
	from, to time.Time
}

// blocked is how long of the wait the node was not stopped.
func (w wait) blocked(naps []nap) time.Duration {
	d := w.to.Sub(w.from)
	for _, n := range naps {
		if strings.HasSuffix(w.who, n.node) {
			from, to := w.from, w.to
			if n.from.After(from) {
				from = n.from
			}
			if n.to.Before(to) {
				to = n.to
			}
			d -= max(0, to.Sub(from))
		}
	}
	return d
}

// longest are the waits in which a client was blocked for the longest, the worst first.
func longest(waits []wait, naps []nap, most int) []wait {
	slices.SortFunc(waits, func(a, b wait) int { return cmp.Compare(b.blocked(naps), a.blocked(naps)) })
	return waits[:min(most, len(waits))]
}
