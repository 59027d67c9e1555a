package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Snapshots judges reads of the past: each has an At, and whichever replica
// answered it and when, it is a read of the state at that time. So of two reads of
// a set, the one of the later time has all that the other one has; and two of one
// time have the same. Reads without an At are of the present: they have what was
// acknowledged before them, and what reads of the past have that ended before them.
//
// That reads of different sets can be put in one order is not looked at: their
// times are that order.
func Snapshots(ops []history.SetOp) *Violation {
	byKey := map[history.Key][]history.SetOp{}
	for _, o := range ops {
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		if v := pastOf(byKey[k]); v != nil {
			return v
		}
	}
	return nil
}

func pastOf(ops []history.SetOp) *Violation {
	c := &setChecker{adds: map[history.Value]history.SetOp{}}
	var present []history.SetOp
	for _, o := range ops {
		switch {
		case o.Add != history.Absent:
			c.adds[o.Add] = o
		case o.Outcome != history.OK:
		case o.At == 0:
			present = append(present, o)
		default:
			c.reads = append(c.reads, o)
		}
	}
	slices.SortStableFunc(c.reads, func(a, b history.SetOp) int { return cmp.Compare(a.At, b.At) })
	if v := c.values(); v != nil {
		return v
	}
	for i := 1; i < len(c.reads); i++ {
		if v := c.ordered(i-1, i); v != nil {
			return v
		}
	}
	for _, p := range present {
		if v := c.before(p); v != nil {
			return v
		}
	}
	return nil
}

// ordered compares two reads that follow each other in time.
func (c *setChecker) ordered(i, j int) *Violation {
	lacks, more := missing(c.has[i], c.has[j]), missing(c.has[j], c.has[i])
	a, b := &c.reads[i], &c.reads[j]
	story := []string{"earlier: " + a.String(), "later:   " + b.String()}
	switch {
	case a.At == b.At && len(lacks)+len(more) > 0:
		return violation(ChangedPast, append(story, fmt.Sprintf("only the first has %v, only the second %v", lacks, more))...)
	case len(lacks) > 0 && len(more) > 0:
		return violation(LongFork, append(story, fmt.Sprintf("the earlier has %v and not %v, the later has it the other way round", lacks, more))...)
	case len(lacks) > 0:
		return violation(StaleRead, append(story, fmt.Sprintf("the later lacks %v", lacks))...)
	}
	return nil
}

// before compares a read of the present with what came before it.
func (c *setChecker) before(p history.SetOp) *Violation {
	has := map[history.Value]bool{}
	for _, v := range p.Values {
		has[v] = true
	}
	for _, v := range slices.Sorted(maps.Keys(c.adds)) {
		if w := c.adds[v]; w.Outcome == history.OK && w.Before(&p.Op) && !has[v] {
			return violation(LostWrite, "acknowledged: "+w.String(), "then read:    "+p.String())
		}
	}
	for i := range c.reads {
		if lacks := missing(c.has[i], has); c.reads[i].Before(&p.Op) && len(lacks) > 0 {
			return violation(StaleRead, "past:    "+c.reads[i].String(), "present: "+p.String(), fmt.Sprintf("the present lacks %v", lacks))
		}
	}
	return nil
}

// missing are the values that a has and b has not.
func missing(a, b map[history.Value]bool) []history.Value {
	var out []history.Value
	for _, v := range slices.Sorted(maps.Keys(a)) {
		if !b[v] {
			out = append(out, v)
		}
	}
	return out
}
