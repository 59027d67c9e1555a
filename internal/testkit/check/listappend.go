package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// ListAppend reports whether a history of transactions over lists is
// serializable, and whether each list shows what was acknowledged before it
// was read. The first anomaly of this order is told: a transaction at odds
// with itself, impossible values, orders that disagree, lost and stale data,
// cycles from G0 to G2.
func ListAppend(txns []history.Txn) *Violation { return ListAppendAt(Serializable, txns) }

// ListAppendAt is ListAppend for a history of another level.
func ListAppendAt(level Level, txns []history.Txn) *Violation {
	c := &listChecker{level: level, txns: txns, writer: map[element]int{}, final: map[element]bool{}, order: map[history.Key][]history.Value{},
		longest: map[history.Key]int{}}
	for _, step := range []func() *Violation{c.indexAppends, c.internal, c.values, c.orders, c.recency, c.cycles} {
		if v := step(); v != nil {
			return v
		}
	}
	return nil
}

// element is a value in the list at a key. Values are never appended twice to
// a key, so an element names its append.
type element struct {
	key   history.Key
	value history.Value
}

type listChecker struct {
	level Level
	txns  []history.Txn
	// writer is who appended an element; final marks the last append of a
	// transaction to a key.
	writer map[element]int
	final  map[element]bool
	// order is the longest list read of each key, longest who read it.
	order   map[history.Key][]history.Value
	longest map[history.Key]int
}

func (c *listChecker) indexAppends() *Violation {
	for i, t := range c.txns {
		last := map[history.Key]element{}
		for _, m := range t.Steps {
			if !m.Append {
				continue
			}
			e := element{m.Key, m.Value}
			if other, ok := c.writer[e]; ok {
				return violation(DuplicateAppend, "the workload appended a value twice: the history proves nothing",
					c.txns[other].String(), t.String())
			}
			c.writer[e], last[m.Key] = i, e
		}
		for _, e := range last {
			c.final[e] = true
		}
	}
	return nil
}

// internal compares each transaction with itself: a read shows the last read
// of the key with the own appends since. Below snapshot isolation only what it
// appended itself must stay.
func (c *listChecker) internal() *Violation {
	for _, t := range c.txns {
		if t.Outcome != history.OK {
			continue
		}
		known := map[history.Key][]history.Value{}
		seen := map[history.Key]bool{}
		wrote := map[history.Key]bool{}
		for _, m := range t.Steps {
			if c.level == ReadCommitted && !m.Append && !wrote[m.Key] {
				known[m.Key], seen[m.Key] = m.List, true
				continue
			}
			switch {
			case m.Append && c.level == ReadCommitted && !wrote[m.Key]:
				// It read the list anew.
				known[m.Key], seen[m.Key], wrote[m.Key] = []history.Value{m.Value}, false, true
			case m.Append:
				known[m.Key] = append(slices.Clone(known[m.Key]), m.Value)
			case seen[m.Key] && !slices.Equal(known[m.Key], m.List), !hasSuffix(m.List, known[m.Key]):
				return violation(Internal, fmt.Sprintf("expected %s to end in %v", m.Key, known[m.Key]), t.String())
			default:
				known[m.Key], seen[m.Key] = m.List, true
			}
		}
	}
	return nil
}

func hasSuffix(list, suffix []history.Value) bool {
	return len(list) >= len(suffix) && slices.Equal(list[len(list)-len(suffix):], suffix)
}

// reads calls f with every list that a committed transaction read.
func (c *listChecker) reads(f func(i int, m history.Micro) *Violation) *Violation {
	for i, t := range c.txns {
		if t.Outcome != history.OK {
			continue
		}
		for _, m := range t.Steps {
			if !m.Append {
				if v := f(i, m); v != nil {
					return v
				}
			}
		}
	}
	return nil
}

// values looks at each list alone: repeated, unknown, aborted and intermediate
// elements.
func (c *listChecker) values() *Violation {
	return c.reads(func(i int, m history.Micro) *Violation {
		seen := map[history.Value]bool{}
		for at, value := range m.List {
			if seen[value] {
				return violation(DuplicateAppend, fmt.Sprintf("%s is twice in %s", value, m), c.txns[i].String())
			}
			seen[value] = true
			e := element{m.Key, value}
			w, ok := c.writer[e]
			if !ok {
				return violation(GarbageRead, fmt.Sprintf("nobody appended %s to %s", value, m.Key), c.txns[i].String())
			}
			if c.txns[w].Outcome == history.Fail {
				return violation(G1a, "written: "+c.txns[w].String(), "read:    "+c.txns[i].String())
			}
			if w != i && !c.final[e] && !c.continues(m, at, w) {
				return violation(G1b, "written: "+c.txns[w].String(), "read:    "+c.txns[i].String())
			}
		}
		return nil
	})
}

// continues reports whether the element after at is of the same transaction.
func (c *listChecker) continues(m history.Micro, at, writer int) bool {
	if at+1 == len(m.List) {
		return false
	}
	w, ok := c.writer[element{m.Key, m.List[at+1]}]
	return ok && w == writer
}

// orders finds each list's order and reads that are no prefix of it.
func (c *listChecker) orders() *Violation {
	_ = c.reads(func(i int, m history.Micro) *Violation {
		if len(m.List) > len(c.order[m.Key]) {
			c.order[m.Key], c.longest[m.Key] = m.List, i
		}
		return nil
	})
	return c.reads(func(i int, m history.Micro) *Violation {
		if all := c.order[m.Key]; !slices.Equal(m.List, all[:len(m.List)]) {
			return violation(IncompatibleOrder, fmt.Sprintf("%s was read as %v and as %v", m.Key, m.List, all),
				c.txns[i].String(), c.txns[c.longest[m.Key]].String())
		}
		return nil
	})
}

// recency finds reads that lack what was acknowledged before they began: lost,
// if no later list has it either. This is each key's own order in real time;
// the order of different keys is the business of strict serializability.
func (c *listChecker) recency() *Violation {
	position := map[element]int{}
	for k, all := range c.order {
		for i, v := range all {
			position[element{k, v}] = i
		}
	}
	appends := map[history.Key][]element{}
	for _, e := range c.sortedElements() {
		if c.txns[c.writer[e]].Outcome == history.OK {
			appends[e.key] = append(appends[e.key], e)
		}
	}
	return c.reads(func(i int, m history.Micro) *Violation {
		for _, e := range appends[m.Key] {
			w := &c.txns[c.writer[e]]
			at, known := position[e]
			switch {
			case !w.Before(&c.txns[i].Op) || (known && at < len(m.List)):
			case known:
				return violation(StaleRead, "acknowledged: "+w.String(), "then read:    "+c.txns[i].String())
			default:
				return violation(LostAppend, "acknowledged: "+w.String(), "then read:    "+c.txns[i].String())
			}
		}
		return nil
	})
}

func (c *listChecker) sortedElements() []element {
	return slices.SortedFunc(maps.Keys(c.writer), func(a, b element) int {
		if a.key != b.key {
			if a.key < b.key {
				return -1
			}
			return 1
		}
		return int(a.value - b.value)
	})
}
