package link

import "sync"

// ways are the directions of all links by who is at their ends. The zero value has
// none; one is there as soon as it is asked for.
type ways struct {
	mu sync.Mutex
	m  map[Way]*direction
}

func (n *ways) way(w Way) *direction {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.m[w]
	if d == nil {
		d = newDirection()
		if n.m == nil {
			n.m = map[Way]*direction{}
		}
		n.m[w] = d
	}
	return d
}

// Shape changes the ways given, for connections that exist as well.
func (n *ways) Shape(s Shape, ways ...Way) {
	for _, w := range ways {
		n.way(w).set(s)
	}
}

// Measure returns a function that says what the ways have done since (I3).
func (n *ways) Measure(ways ...Way) func() Counts {
	before := make([]Counts, len(ways))
	for i, w := range ways {
		before[i] = n.way(w).counts()
	}
	return func() Counts {
		var sum Counts
		for i, w := range ways {
			sum = sum.plus(n.way(w).counts().minus(before[i]))
		}
		return sum
	}
}

// Heal lets everything pass.
func (n *ways) Heal() {
	n.mu.Lock()
	all := make([]*direction, 0, len(n.m))
	for _, d := range n.m {
		all = append(all, d)
	}
	n.mu.Unlock()
	for _, d := range all {
		d.set(Shape{})
	}
}
