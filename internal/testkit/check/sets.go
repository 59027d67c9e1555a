package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// SetRules are what a history of sets is held to beyond what every one is.
type SetRules struct {
	// Sessions: what a session added first is seen first.
	Sessions bool
	// RealTime: what was acknowledged before something else was asked for is
	// seen before it, whoever asked (no causal reverse). Only strict
	// serializability promises it.
	RealTime bool
}

// Sets reports whether every read of a set has all that was acknowledged before
// it began, all that a read before it had, and nothing that failed, that nobody
// added, or that is there twice; and whether a counter that is kept along agrees.
func Sets(rules SetRules, ops []history.SetOp) *Violation {
	byKey := map[history.Key][]history.SetOp{}
	for _, o := range ops {
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		if v := oneSet(rules, byKey[k]); v != nil {
			return v
		}
	}
	return nil
}

type setChecker struct {
	adds  map[history.Value]history.SetOp
	reads []history.SetOp
	// has is each read as a set.
	has []map[history.Value]bool
}

func oneSet(rules SetRules, ops []history.SetOp) *Violation {
	c := &setChecker{adds: map[history.Value]history.SetOp{}}
	for _, o := range ops {
		if o.Add != history.Absent {
			if _, ok := c.adds[o.Add]; ok {
				return violation(DuplicateAppend, "the workload added a value twice: the history proves nothing", o.String())
			}
			c.adds[o.Add] = o
		} else if o.Outcome == history.OK {
			c.reads = append(c.reads, o)
		}
	}
	slices.SortFunc(c.reads, func(a, b history.SetOp) int { return int(a.Call - b.Call) })
	for _, step := range []func() *Violation{c.values, c.recency, c.forgotten} {
		if v := step(); v != nil {
			return v
		}
	}
	if rules.RealTime {
		return c.order(CausalReverse, func(a, b *history.SetOp) bool { return a.Before(&b.Op) })
	}
	if rules.Sessions {
		return c.order(SessionOrder, func(a, b *history.SetOp) bool {
			return a.Client == b.Client && a.Session == b.Session && a.Before(&b.Op)
		})
	}
	return nil
}

// values looks at each read alone.
func (c *setChecker) values() *Violation {
	for _, r := range c.reads {
		has := map[history.Value]bool{}
		for _, v := range r.Values {
			w, ok := c.adds[v]
			switch {
			case has[v]:
				return violation(DuplicateAppend, fmt.Sprintf("%s is there twice", v), r.String())
			case !ok:
				return violation(GarbageRead, "nobody added "+v.String(), r.String())
			case w.Outcome == history.Fail:
				return violation(G1a, "added: "+w.String(), "read:  "+r.String())
			}
			has[v] = true
		}
		if r.Count >= 0 && r.Count != len(has) {
			return violation(CountMismatch, fmt.Sprintf("%d entries", len(has)), r.String())
		}
		c.has = append(c.has, has)
	}
	return nil
}

// recency finds reads without what was acknowledged before they began.
func (c *setChecker) recency() *Violation {
	for _, v := range slices.Sorted(maps.Keys(c.adds)) {
		w := c.adds[v]
		if w.Outcome != history.OK {
			continue
		}
		first, later := -1, false
		for i := range c.reads {
			switch {
			case c.has[i][v]:
				later = later || first >= 0
			case first < 0 && w.Before(&c.reads[i].Op):
				first = i
			}
		}
		if first >= 0 {
			a := LostWrite
			if later {
				a = StaleRead
			}
			return violation(a, "acknowledged: "+w.String(), "then read:    "+c.reads[first].String())
		}
	}
	return nil
}

// forgotten finds reads without what an earlier read had; that matters where
// nobody knows whether it was added.
func (c *setChecker) forgotten() *Violation {
	for i := range c.reads {
		for j := i + 1; j < len(c.reads); j++ {
			if !c.reads[i].Before(&c.reads[j].Op) {
				continue
			}
			for v := range c.has[i] {
				if !c.has[j][v] {
					return violation(StaleRead, fmt.Sprintf("%s was seen and then not", v), "before: "+c.reads[i].String(), "after:  "+c.reads[j].String())
				}
			}
			break // what j has, those after it are compared with
		}
	}
	return nil
}

// order finds a read that has a later add and lacks one that came before it.
func (c *setChecker) order(a Anomaly, before func(a, b *history.SetOp) bool) *Violation {
	adds := slices.SortedFunc(maps.Values(c.adds), func(a, b history.SetOp) int { return int(a.Call - b.Call) })
	for i, r := range c.reads {
		for x := range adds {
			if adds[x].Outcome != history.OK || c.has[i][adds[x].Add] {
				continue
			}
			for y := x + 1; y < len(adds); y++ {
				if c.has[i][adds[y].Add] && before(&adds[x], &adds[y]) {
					return violation(a, "first:  "+adds[x].String(), "second: "+adds[y].String(), "read:   "+r.String())
				}
			}
		}
	}
	return nil
}

// Reversed counts the pairs that a read saw in the other order than they were
// acknowledged in: what only strict serializability forbids.
func Reversed(ops []history.SetOp) int {
	n := 0
	for {
		v := Sets(SetRules{RealTime: true}, ops)
		if v == nil || v.Anomaly != CausalReverse {
			return n
		}
		n++
		last := v.Story[len(v.Story)-1]
		ops = slices.DeleteFunc(slices.Clone(ops), func(o history.SetOp) bool { return "read:   "+o.String() == last })
	}
}

// Monotonic reports whether transactions that each read the largest value of
// all and added the next one got values of their own, in the order they ran in.
func Monotonic(ops []history.SetOp) *Violation {
	var adds []history.SetOp
	var reads []history.SetOp
	for _, o := range ops {
		switch {
		case o.Add == history.Absent && o.Outcome == history.OK:
			reads = append(reads, o)
		case o.Add != history.Absent && o.Outcome == history.OK:
			adds = append(adds, o)
		}
	}
	slices.SortFunc(adds, func(a, b history.SetOp) int { return int(a.Add - b.Add) })
	for i := 1; i < len(adds); i++ {
		if adds[i].Add == adds[i-1].Add {
			return violation(LostUpdate, adds[i-1].String(), adds[i].String())
		}
	}
	// From the largest value down: of those seen, the one that ended earliest
	// must not have ended before a smaller one began.
	earliest := -1
	for i := len(adds) - 1; i >= 0; i-- {
		if earliest >= 0 && adds[earliest].Before(&adds[i].Op) {
			return violation(StaleRead, "first:  "+adds[earliest].String(), "second: "+adds[i].String())
		}
		if earliest < 0 || adds[i].Return < adds[earliest].Return {
			earliest = i
		}
	}
	for _, r := range reads {
		seen := map[history.Value]bool{}
		for _, v := range r.Values {
			if seen[v] {
				return violation(LostUpdate, fmt.Sprintf("%s is there twice", v), r.String())
			}
			seen[v] = true
		}
		for _, a := range adds {
			if a.Before(&r.Op) && !seen[a.Add] {
				return violation(LostWrite, "acknowledged: "+a.String(), "then read:    "+r.String())
			}
		}
	}
	return nil
}

// Pairs reports whether of each pair at most one half was inserted: each insert
// saw by a predicate that there was none (Adya's G2 with predicates). Rows that
// are found at the end count as well.
func Pairs(ops []history.PairOp) *Violation {
	first := map[history.Key]history.PairOp{}
	for _, o := range ops {
		if o.Outcome != history.OK || !o.Inserted {
			continue
		}
		if f, ok := first[o.Key]; ok {
			if f.Half == o.Half {
				continue
			}
			return violation(G2, f.String(), o.String(), "each reads where the other inserts, and neither saw the other")
		}
		first[o.Key] = o
	}
	return nil
}

// Index reports whether an index always has the rows of its table.
func Index(reads []history.IndexRead) *Violation {
	for _, r := range reads {
		if r.Outcome == history.OK && len(r.OnlyTable)+len(r.OnlyIndex) > 0 {
			return violation(IndexMismatch, r.String())
		}
	}
	return nil
}
