package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// dependency says why one transaction comes before another.
type dependency uint8

// Dependencies: a write over a write, a read of a write, a write over what was
// read, a beginning after an end.
const (
	ww dependency = 1 << iota
	wr
	rw
	rt
)

var dependencyNames = map[dependency]string{ww: "ww", wr: "wr", rw: "rw", rt: "rt"}

// edge goes from a transaction to one that must come later.
type edge struct {
	to   int
	kind dependency
	why  string
}

// graph is who depends on whom.
type graph struct{ out [][]edge }

func (g *graph) add(from, to int, kind dependency, why string) {
	if from != to {
		g.out[from] = append(g.out[from], edge{to, kind, why})
	}
}

// dependencies builds the graph from the order of each list. Elements that
// were acknowledged but never read come after all that were.
func (c *listChecker) dependencies() *graph {
	g := &graph{out: make([][]edge, len(c.txns))}
	unread := map[history.Key][]element{}
	for _, e := range c.sortedElements() {
		if c.txns[c.writer[e]].Outcome == history.OK && !slices.Contains(c.order[e.key], e.value) {
			unread[e.key] = append(unread[e.key], e)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.order)) {
		all := c.order[k]
		for i := 1; i < len(all); i++ {
			g.add(c.writer[element{k, all[i-1]}], c.writer[element{k, all[i]}], ww,
				fmt.Sprintf("%s was appended to %s right before %s", all[i-1], k, all[i]))
		}
		if len(all) > 0 {
			last := all[len(all)-1]
			for _, e := range unread[k] {
				g.add(c.writer[element{k, last}], c.writer[e], ww,
					fmt.Sprintf("%s was appended to %s before %s, which nobody read", last, k, e.value))
			}
		}
	}
	_ = c.reads(func(i int, m history.Micro) *Violation {
		c.readDependencies(g, i, m, unread[m.Key])
		return nil
	})
	return g
}

func (c *listChecker) readDependencies(g *graph, i int, m history.Micro, unread []element) {
	// What the transaction itself appended is not what it read of others.
	n := len(m.List)
	for n > 0 && c.writer[element{m.Key, m.List[n-1]}] == i {
		n--
	}
	if n > 0 {
		g.add(c.writer[element{m.Key, m.List[n-1]}], i, wr, fmt.Sprintf("read %s in %s", m.List[n-1], m.Key))
	}
	if all := c.order[m.Key]; n < len(all) {
		g.add(i, c.writer[element{m.Key, all[n]}], rw, fmt.Sprintf("did not read %s in %s", all[n], m.Key))
		return
	}
	for _, e := range unread {
		g.add(i, c.writer[e], rw, fmt.Sprintf("did not read %s in %s", e.value, m.Key))
	}
}

// cycles looks for cycles, the worst first.
func (c *listChecker) cycles() *Violation {
	g := c.dependencies()
	if path := g.shortest(ww, 0); path != nil {
		return c.cycle(G0, path)
	}
	if path := g.shortest(ww|wr, 0); path != nil {
		return c.cycle(G1c, path)
	}
	if c.level == ReadCommitted {
		return nil
	}
	if path := g.shortest(ww|wr, rw); path != nil {
		return c.cycle(GSingle, path)
	}
	if c.level == Snapshot {
		return nil
	}
	if path := g.shortest(ww|wr|rw, 0); path != nil {
		return c.cycle(G2, path)
	}
	if c.level == Serializable {
		return nil
	}
	c.realTime(g)
	if path := g.shortest(ww|wr|rw|rt, 0); path != nil {
		return c.cycle(GRealTime, path)
	}
	return nil
}

// hop is one step of a cycle.
type hop struct {
	from int
	edge
}

// shortest returns a shortest cycle of edges of the kinds given, with exactly
// one edge of the kind once if that is not 0.
func (g *graph) shortest(kinds, once dependency) []hop {
	component := g.components(kinds | once)
	var best []hop
	for from, edges := range g.out {
		if best != nil && len(best) == 2 {
			break
		}
		if once == 0 {
			if component[from] >= 0 {
				best = shorter(best, g.path(from, from, kinds, component))
			}
			continue
		}
		for _, e := range edges {
			if e.kind == once && component[from] >= 0 && component[from] == component[e.to] {
				if p := g.path(e.to, from, kinds, component); p != nil {
					best = shorter(best, append([]hop{{from, e}}, p...))
				}
			}
		}
	}
	return best
}

func shorter(a, b []hop) []hop {
	if a == nil || (b != nil && len(b) < len(a)) {
		return b
	}
	return a
}

// path finds a shortest path of at least one edge within one component.
func (g *graph) path(from, to int, kinds dependency, component []int) []hop {
	came := map[int]hop{}
	queue := []int{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range g.out[at] {
			if e.kind&kinds == 0 || component[e.to] != component[from] {
				continue
			}
			if _, seen := came[e.to]; seen {
				continue
			}
			came[e.to] = hop{at, e}
			if e.to == to {
				return walkBack(came, from, to)
			}
			queue = append(queue, e.to)
		}
	}
	return nil
}

func walkBack(came map[int]hop, from, to int) []hop {
	out := []hop{came[to]}
	for at := came[to].from; at != from; at = came[at].from {
		out = append(out, came[at])
	}
	slices.Reverse(out)
	return out
}

// components numbers the strongly connected components of more than one
// member; -1 is alone (Tarjan 1972, without recursion).
func (g *graph) components(kinds dependency) []int {
	n := len(g.out)
	t := tarjan{g: g, kinds: kinds, index: make([]int, n), low: make([]int, n), onStack: make([]bool, n), component: make([]int, n)}
	for i := range t.component {
		t.component[i] = -1
	}
	for i := range n {
		if t.index[i] == 0 {
			t.visit(i)
		}
	}
	return t.component
}

type tarjan struct {
	g          *graph
	kinds      dependency
	next       int
	found      int
	index, low []int
	onStack    []bool
	component  []int
	stack      []int
}

type frame struct{ node, edge int }

func (t *tarjan) enter(i int) {
	t.next++
	t.index[i], t.low[i] = t.next, t.next
	t.stack, t.onStack[i] = append(t.stack, i), true
}

func (t *tarjan) visit(root int) {
	t.enter(root)
	calls := []frame{{node: root}}
	for len(calls) > 0 {
		f := &calls[len(calls)-1]
		if f.edge < len(t.g.out[f.node]) {
			e := t.g.out[f.node][f.edge]
			f.edge++
			switch {
			case e.kind&t.kinds == 0:
			case t.index[e.to] == 0:
				t.enter(e.to)
				calls = append(calls, frame{node: e.to})
			case t.onStack[e.to]:
				t.low[f.node] = min(t.low[f.node], t.index[e.to])
			}
			continue
		}
		done := f.node
		calls = calls[:len(calls)-1]
		if len(calls) > 0 {
			up := calls[len(calls)-1].node
			t.low[up] = min(t.low[up], t.low[done])
		}
		if t.low[done] == t.index[done] {
			t.pop(done)
		}
	}
}

func (t *tarjan) pop(root int) {
	at := slices.Index(t.stack, root)
	members := t.stack[at:]
	for _, m := range members {
		t.onStack[m] = false
		if len(members) > 1 {
			t.component[m] = t.found
		}
	}
	t.found++
	t.stack = t.stack[:at]
}

// cycle tells a cycle: its transactions first, then why each comes before the
// next.
func (c *listChecker) cycle(a Anomaly, path []hop) *Violation {
	name := map[int]string{}
	v := violation(a)
	for i, h := range path {
		name[h.from] = fmt.Sprintf("T%d", i+1)
		v.Story = append(v.Story, fmt.Sprintf("%s = %s", name[h.from], c.txns[h.from]))
	}
	for _, h := range path {
		subject := map[dependency]string{ww: "", wr: name[h.to] + " ", rw: name[h.from] + " "}[h.kind]
		v.Story = append(v.Story, fmt.Sprintf("%s -%s-> %s: %s%s", name[h.from], dependencyNames[h.kind], name[h.to], subject, h.why))
	}
	return v
}
