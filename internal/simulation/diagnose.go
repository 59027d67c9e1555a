package simulation

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// lateAfter is when clients that should all be done are looked at: late
// enough that nothing slow but sound is mistaken for a hang.
const lateAfter = livenessTimeout - 2*time.Second

// stacksMax bounds the stacks of a report.
const stacksMax = 40

// diagnose says what the cluster is busy with: leases, locks and proposals of
// each store, and where requests wait. A hang cannot be told from its error
// alone, and goes away with the next run.
func (c *Cluster) diagnose() string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s:\n", c.Elapsed().Round(time.Millisecond))
	for _, n := range c.nodes {
		core := n.Core()
		if core == nil {
			fmt.Fprintf(&b, "%s is down\n", n.id)
			continue
		}
		fmt.Fprintf(&b, "%s, clock %d, offset %s\n%s", n.id, core.DB.Clock().Now().WallTime, n.skew.Offset(), core.Store.Describe())
	}
	b.WriteString(waitingStacks())
	return b.String()
}

// waitingStacks returns the stacks of goroutines that are in the middle of a
// request, once each.
func waitingStacks() string {
	buf := make([]byte, 16<<20)
	buf = buf[:runtime.Stack(buf, true)]
	times := map[string]int{}
	var order []string
	for _, g := range strings.Split(string(buf), "\n\n") {
		head, frames, _ := strings.Cut(g, "\n")
		if !strings.Contains(head, "synctest bubble") || !isOfRequest(frames) {
			continue
		}
		key := functions(frames)
		if times[key]++; times[key] == 1 {
			order = append(order, key)
		}
	}
	var b strings.Builder
	for i, key := range order {
		if i == stacksMax {
			fmt.Fprintf(&b, "... and %d more\n", len(order)-i)
			break
		}
		fmt.Fprintf(&b, "%d of:\n%s", times[key], key)
	}
	return b.String()
}

func isOfRequest(frames string) bool {
	for _, s := range []string{"internal/workload.", "kv/store.(*Replica).Send(", "kv/concurrency.", "kv/intents.", "rangecache.", "txn."} {
		if strings.Contains(frames, s) {
			return true
		}
	}
	return false
}

// functions leaves out of a stack what differs between goroutines at one place.
func functions(frames string) string {
	const module = "github.com/cairndb/cairn/"
	var b strings.Builder
	lines := strings.Split(frames, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		name, place := lines[i], lines[i+1]
		if j := strings.LastIndexByte(name, '('); j > 0 {
			name = name[:j]
		}
		at := place[strings.LastIndexByte(place, ':')+1:]
		at, _, _ = strings.Cut(at, " ")
		fmt.Fprintf(&b, "    %s:%s\n", strings.TrimPrefix(name, module), at)
	}
	return b.String()
}
