package allocator

import (
	"fmt"
	"strings"
)

// Tier is one level of where a node is.
type Tier struct{ Key, Value string }

// String prints region=eu.
func (t Tier) String() string { return t.Key + "=" + t.Value }

// Locality is where a node is, the widest tier first. Two nodes fail together
// the sooner the more leading tiers they share.
type Locality []Tier

// ParseLocality reads region=eu,zone=b.
func ParseLocality(s string) (Locality, error) {
	if s == "" {
		return nil, nil
	}
	var out Locality
	seen := map[string]bool{}
	for _, part := range strings.Split(s, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !ok || key == "" || value == "":
			return nil, fmt.Errorf("%q is no locality tier; write region=eu,zone=b, the widest first", part)
		case seen[key]:
			return nil, fmt.Errorf("tier %q is given twice", key)
		case len(out) == tiersMax:
			return nil, fmt.Errorf("more than %d tiers", tiersMax)
		}
		seen[key] = true
		out = append(out, Tier{key, value})
	}
	return out, nil
}

// String is what ParseLocality reads.
func (l Locality) String() string {
	parts := make([]string, len(l))
	for i, t := range l {
		parts[i] = t.String()
	}
	return strings.Join(parts, ",")
}

// Shared is how many leading tiers two localities have in common. Nodes without
// a locality share nothing with anybody: nothing is known.
func (l Locality) Shared(o Locality) int {
	n := 0
	for n < len(l) && n < len(o) && l[n] == o[n] {
		n++
	}
	return n
}

// crowding counts, by tier, the pairs of replicas that share it: the fewer, the
// better, and the widest tier first.
//
//	3 replicas in eu/a, eu/b, us/a   {1, 0}: one pair shares a region
//	3 replicas in eu/a, us/a, us/a   {1, 1}: and a zone
type crowding [tiersMax]int

// less reports whether c is better than o.
func (c crowding) less(o crowding) bool {
	for i := range c {
		if c[i] != o[i] {
			return c[i] < o[i]
		}
	}
	return false
}

// crowdingOf is the crowding of nodes, one of them left out, and another added;
// nil for neither.
func crowdingOf(nodes []*Node, without, with *Node) (c crowding) {
	add := func(a, b *Node) {
		for i := range a.Locality.Shared(b.Locality) {
			c[i]++
		}
	}
	for i, a := range nodes {
		if a == without {
			continue
		}
		for _, b := range nodes[i+1:] {
			if b != without {
				add(a, b)
			}
		}
		if with != nil {
			add(a, with)
		}
	}
	return c
}

// crowdedTier is the first tier in which before is worse than after, as a word.
func crowdedTier(n *Node, before, after crowding) string {
	for i := range before {
		if before[i] != after[i] {
			if i < len(n.Locality) {
				return n.Locality[i].String()
			}
			break
		}
	}
	return "a locality"
}
