package check

import (
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Level is what a history is held to. Each level forbids what the one before
// forbids, and more.
type Level uint8

// Levels: read committed forbids G0 and G1; snapshot isolation also cycles with
// one anti-dependency; serializability all cycles of dependencies; strict
// serializability also those that go through real time.
const (
	ReadCommitted Level = iota
	Snapshot
	Serializable
	Strict
)

// realTime adds an edge from each transaction to those that began after it had
// ended, but for those that other edges lead to: where a transaction ended
// before another began that itself ended before a third, the way to the third
// leads over the second.
//
//	a ──┤      ├── c ──┤        a→b, a→c, b→d, c→d; not a→d
//	      ├── b ─┤        ├── d
func (c *listChecker) realTime(g *graph) {
	order := make([]int, 0, len(c.txns))
	for i := range c.txns {
		if c.txns[i].Outcome != history.Fail {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return int(c.txns[a].Call - c.txns[b].Call) })
	ended := slices.Clone(order)
	slices.SortFunc(ended, func(a, b int) int { return int(c.txns[a].Return - c.txns[b].Return) })
	// last are those that have ended and that no other edge leads from to what
	// begins now: nobody began after them who has ended.
	var last []int
	next := 0
	for _, i := range order {
		for ; next < len(ended) && c.txns[ended[next]].Return < c.txns[i].Call; next++ {
			e := ended[next]
			last = slices.DeleteFunc(last, func(l int) bool { return c.txns[l].Return < c.txns[e].Call })
			last = append(last, e)
		}
		for _, l := range last {
			g.add(l, i, rt, "ended before "+c.txns[i].Body()+" began")
		}
	}
}
