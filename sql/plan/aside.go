package plan

import "slices"

// aside plans something that may not be used in the end. The plans of its subqueries, which EXPLAIN
// lists, are put away until keepSubplans.
func (p *planner) aside(build func() (planned, error)) (planned, int, error) {
	mark := len(p.c.Subplans)
	out, err := build()
	p.away = append(p.away, slices.Clone(p.c.Subplans[mark:]))
	p.c.Subplans = p.c.Subplans[:mark]
	return out, len(p.away) - 1, err
}

// keepSubplans lists the subqueries of what was planned aside.
func (p *planner) keepSubplans(at int) { p.c.Subplans = append(p.c.Subplans, p.away[at]...) }

func (p *planner) dropSubplans(at int) { p.away[at] = nil }
