package plan

import (
	"math/bits"
	"slices"

	"github.com/cairndb/cairn/sql/bind"
)

// The order of inner joins.
//
//	a ⋈ b ⋈ c ⋈ d          leaves, each planned alone under its own conditions
//	a.x = b.x, b.x = c.x   one class of equal columns: {a.x, b.x, c.x}; a join of two sets of leaves
//	                       asks for one equality of each class that reaches into both
//	a.y < d.y, …           conditions on several leaves
//
// Up to joinOrderMax leaves, the best plan of every set of leaves is found from those of its parts
// (Selinger's dynamic programming, over bushy trees); beyond that, the two parts that give the fewest
// rows are joined again and again. Parts that nothing connects are joined only where nothing else is
// left.
//
// The rows of a set do not depend on the order: the product of the leaves' rows, divided for each
// class by the numbers of different values of all its members but the least, times what each condition
// keeps. A composite unique key is no product of independent columns, so a leaf with one counts by its
// rows (keyCorrection).
type joinGraph struct {
	p       *planner
	leaves  []*leaf
	classes []*class
	conds   []*joinCond
	rows    map[leafSet]float64
	best    map[leafSet]*joinStep
	probes  map[[2]leafSet]probe
}

// leafSet is a set of leaves, a bit each.
type leafSet uint64

func (s leafSet) has(i int) bool { return s&(1<<i) != 0 }

func (s leafSet) each(f func(i int)) {
	for x := s; x != 0; x &= x - 1 {
		f(bits.TrailingZeros64(uint64(x)))
	}
}

func (s leafSet) single() bool { return s&(s-1) == 0 }

func (s leafSet) first() int { return bits.TrailingZeros64(uint64(s)) }

// leaf is one side of a flattened inner join.
type leaf struct {
	rel   bind.Rel
	out   bind.Set
	outer bind.Set // what it reads of the others (lateral)
	preds []bind.Expr
	semis []semi  // subqueries that read nothing else
	needs leafSet // the leaves it reads
	plan  planned
	// pinned: its plan is more than its scan, so no index is probed in its place.
	pinned bool
	subs   int // where its subqueries' plans stand among those kept aside
}

// class is a set of columns that conditions make equal.
type class struct {
	eq      *bind.Call // one of the conditions, for its operator
	members []member
	// value is a constant or an outer value that all equal, nil for none.
	value bind.Expr
}

type member struct {
	e    bind.Expr
	id   bind.ColID
	leaf int
}

// joinCond is a condition on several leaves.
type joinCond struct {
	e    bind.Expr
	set  leafSet
	keep float64
}

// joinStep says how a set of leaves is joined; a single leaf has no parts.
type joinStep struct {
	l, r       leafSet
	method     joinMethod
	cost, rows float64
}

type joinMethod uint8

const (
	byHash joinMethod = iota
	byLookup
	byLookupMany
	byIndexLoop
	byPairs
)

// probe is what reading a leaf by an index costs for each row that is joined to it.
type probe struct {
	ok     bool
	method joinMethod
	cost   float64
}

func newJoinGraph(p *planner, leaves []*leaf) *joinGraph {
	return &joinGraph{p: p, leaves: leaves, rows: map[leafSet]float64{}, best: map[leafSet]*joinStep{}, probes: map[[2]leafSet]probe{}}
}

// setOf are the leaves whose columns some registers are.
func (g *joinGraph) setOf(refs bind.Set) leafSet {
	var s leafSet
	for i, l := range g.leaves {
		if intersects(refs, l.out) {
			s |= 1 << i
		}
	}
	return s
}

// addConditions sorts conditions into leaves, classes and the rest; those that read no leaf are returned.
func (g *joinGraph) addConditions(preds []bind.Expr) (above []bind.Expr) {
	var bound []*bind.Call // column = value
	for _, e := range preds {
		if isVolatile(e) {
			above = append(above, e)
			continue
		}
		set := g.setOf(bind.Refs(e))
		switch {
		case set == 0:
			above = append(above, e)
		case set.single():
			l := g.leaves[set.first()]
			l.preds = append(l.preds, e)
			if c := equality2(e); c != nil {
				bound = append(bound, c)
			}
		case hasSubquery(e):
			above = append(above, e)
		case !g.addEqual(e):
			g.conds = append(g.conds, &joinCond{e: e, set: set, keep: g.p.sel(e)})
			g.implied(g.conds[len(g.conds)-1])
		}
	}
	for _, c := range bound {
		g.bindClass(c)
	}
	for _, c := range g.classes {
		g.withinLeaves(c)
	}
	return above
}

// equality2 is e as a comparison for equality of two values of one form.
func equality2(e bind.Expr) *bind.Call {
	c, ok := e.(*bind.Call)
	if !ok || !c.M.Op || c.M.Name != "=" || len(c.Args) != 2 || c.Args[0].Type().Kind() != c.Args[1].Type().Kind() {
		return nil
	}
	return c
}

// addEqual adds column = column to a class.
func (g *joinGraph) addEqual(e bind.Expr) bool {
	c := equality2(e)
	if c == nil {
		return false
	}
	var ms [2]member
	var in [2]*class
	for i, a := range c.Args {
		id, ok := plainCol(a)
		if !ok {
			return false
		}
		set := g.setOf(bind.Set{id: {}})
		if !set.single() || set == 0 {
			return false
		}
		ms[i] = member{e: a, id: id, leaf: set.first()}
		in[i] = g.classOf(id)
	}
	switch {
	case in[0] == nil && in[1] == nil:
		g.classes = append(g.classes, &class{eq: c, members: ms[:]})
	case in[0] == nil:
		in[1].members = append(in[1].members, ms[0])
	case in[1] == nil:
		in[0].members = append(in[0].members, ms[1])
	case in[0] != in[1]:
		in[0].members = append(in[0].members, in[1].members...)
		g.classes = slices.DeleteFunc(g.classes, func(x *class) bool { return x == in[1] })
	}
	return true
}

func (g *joinGraph) classOf(id bind.ColID) *class {
	for _, c := range g.classes {
		for _, m := range c.members {
			if m.id == id {
				return c
			}
		}
	}
	return nil
}

// bindClass spreads column = value to all columns equal to it.
func (g *joinGraph) bindClass(eq *bind.Call) {
	for i, a := range eq.Args {
		id, ok := plainCol(a)
		if !ok {
			continue
		}
		v := eq.Args[1-i]
		c := g.classOf(id)
		if c == nil || c.value != nil || g.setOf(bind.Refs(v)) != 0 || hasSubquery(v) || v.Type().Kind() != c.eq.Args[0].Type().Kind() {
			continue
		}
		c.value = v
		for _, m := range c.members {
			if m.id != id {
				l := g.leaves[m.leaf]
				l.preds = append(l.preds, &bind.Call{M: eq.M, Args: []bind.Expr{m.e, v}})
			}
		}
	}
}

// withinLeaves has columns of one leaf that a class makes equal be compared there: joins ask for one
// equality of a class only.
func (g *joinGraph) withinLeaves(c *class) {
	if c.value != nil {
		return
	}
	first := map[int]member{}
	for _, m := range c.members {
		f, ok := first[m.leaf]
		if !ok {
			first[m.leaf] = m
			continue
		}
		if f.id != m.id {
			l := g.leaves[m.leaf]
			l.preds = append(l.preds, &bind.Call{M: c.eq.M, Args: []bind.Expr{f.e, m.e}})
		}
	}
}

// implied gives leaves what an OR over several of them says of each alone:
// (a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4) keeps of a only rows with x = 1 or x = 3.
func (g *joinGraph) implied(c *joinCond) {
	or, ok := c.e.(*bind.Or)
	if !ok {
		return
	}
	c.set.each(func(i int) {
		var branches []bind.Expr
		for _, branch := range or.Args {
			var own []bind.Expr
			for _, e := range conjuncts(branch) {
				if g.setOf(bind.Refs(e)) == 1<<i && !hasSubquery(e) {
					own = append(own, e)
				}
			}
			if len(own) == 0 {
				return
			}
			branches = append(branches, all(own))
		}
		e := &bind.Or{Args: branches}
		g.leaves[i].preds = append(g.leaves[i].preds, e)
		c.keep = min(c.keep/max(g.p.sel(e), 1e-6), 1)
	})
}

// rowsOf guesses the rows of a set of leaves.
func (g *joinGraph) rowsOf(s leafSet) float64 {
	if n, ok := g.rows[s]; ok {
		return n
	}
	n := 1.0
	s.each(func(i int) { n *= g.leaves[i].plan.rows })
	for _, c := range g.classes {
		if c.value == nil {
			n /= g.spread(c, s)
		}
	}
	for _, c := range g.conds {
		if c.set&^s == 0 {
			n *= c.keep
		}
	}
	if !s.single() {
		n *= g.keyCorrection(s)
		n = max(n, 1)
	}
	g.rows[s] = n
	return n
}

// spread is by how much a class divides the product of a set's rows.
func (g *joinGraph) spread(c *class, s leafSet) float64 {
	product, least := 1.0, 0.0
	seen := leafSet(0)
	for _, m := range c.members {
		if !s.has(m.leaf) || seen.has(m.leaf) {
			continue
		}
		seen |= 1 << m.leaf
		d := g.p.distinctValues(m.id, g.leaves[m.leaf].plan.rows)
		product *= d
		if least == 0 || d < least {
			least = d
		}
	}
	if least == 0 {
		return 1
	}
	return product / least
}

// keyCorrection undoes the assumption that the columns of a composite unique key are independent,
// where all of them are joined.
func (g *joinGraph) keyCorrection(s leafSet) float64 {
	f := 1.0
	s.each(func(i int) {
		scan, _ := scanBelow(g.leaves[i].rel, nil)
		if scan == nil || len(scan.Table.Primary.Columns) < 2 {
			return
		}
		product := 1.0
		for _, k := range scan.Table.Primary.Columns {
			id := scan.Base + bind.ColID(scan.Table.ColumnOrdinal(k.ID))
			c := g.classOf(id)
			if c == nil || c.value != nil {
				return
			}
			others := false
			for _, m := range c.members {
				others = others || m.leaf != i && s.has(m.leaf)
			}
			if !others {
				return
			}
			product *= g.p.distinctValues(id, g.leaves[i].plan.rows)
		}
		f *= max(product/max(g.leaves[i].plan.rows, 1), 1)
	})
	return f
}

// conditions are those that joining two sets adds.
func (g *joinGraph) conditions(l, r leafSet) (out []bind.Expr) {
	for _, c := range g.classes {
		if c.value != nil {
			continue
		}
		var a, b *member
		for i := range c.members {
			m := &c.members[i]
			if a == nil && l.has(m.leaf) {
				a = m
			}
			if b == nil && r.has(m.leaf) {
				b = m
			}
		}
		if a != nil && b != nil {
			out = append(out, &bind.Call{M: c.eq.M, Args: []bind.Expr{a.e, b.e}})
		}
	}
	for _, c := range g.conds {
		if c.set&^(l|r) == 0 && c.set&^l != 0 && c.set&^r != 0 {
			out = append(out, c.e)
		}
	}
	return out
}

func (g *joinGraph) connected(l, r leafSet) bool {
	for _, c := range g.classes {
		var inL, inR bool
		for _, m := range c.members {
			inL = inL || l.has(m.leaf)
			inR = inR || r.has(m.leaf)
		}
		if inL && inR {
			return true
		}
	}
	for _, c := range g.conds {
		if c.set&^(l|r) == 0 && c.set&l != 0 && c.set&r != 0 {
			return true
		}
	}
	lateral := false
	r.each(func(i int) { lateral = lateral || g.leaves[i].needs&l != 0 })
	return lateral
}

// possible says that r can be joined to l: what r reads of others is there.
func (g *joinGraph) possible(l, r leafSet) bool {
	var needs leafSet
	l.each(func(i int) { needs |= g.leaves[i].needs &^ l })
	if needs != 0 {
		return false
	}
	r.each(func(i int) { needs |= g.leaves[i].needs &^ r })
	return needs == 0 || r.single() && needs&^l == 0
}

// join returns the cheapest way to join two sets, the right one to the left; nil if there is none.
func (g *joinGraph) join(l, r leafSet) *joinStep {
	a, b := g.best[l], g.best[r]
	if a == nil || b == nil || !g.possible(l, r) {
		return nil
	}
	out := &joinStep{l: l, r: r, rows: g.rowsOf(l | r)}
	emit := out.rows * emitCost
	lateral := r.single() && g.leaves[r.first()].needs != 0
	if lateral {
		out.method, out.cost = byIndexLoop, a.cost+a.rows*b.cost+emit
		return out
	}
	if !g.hashable(l, r) {
		out.method, out.cost = byPairs, a.cost+b.cost+a.rows*b.rows*pairCost+b.rows*buildCost+emit
	} else {
		build, stream := min(a.rows, b.rows), max(a.rows, b.rows)
		out.method, out.cost = byHash, a.cost+b.cost+build*buildCost+stream*probeCost+emit
		if pairs := a.cost + b.cost + a.rows*b.rows*pairCost + b.rows*buildCost + emit; g.p.o.Avoid.Hash && !g.p.o.Avoid.Loop {
			out.method, out.cost = byPairs, pairs
		}
	}
	if r.single() {
		if pr := g.probe(l, r); pr.ok {
			if cost := a.cost + a.rows*pr.cost + callCost*0.5 + emit + avoided(g.p.o.Avoid.Loop); cost < out.cost {
				out.method, out.cost = pr.method, cost
			}
		}
	}
	return out
}

// hashable says that joining two sets asks for an equality.
func (g *joinGraph) hashable(l, r leafSet) bool {
	for _, c := range g.classes {
		var inL, inR bool
		for _, m := range c.members {
			inL = inL || l.has(m.leaf)
			inR = inR || r.has(m.leaf)
		}
		if inL && inR && c.value == nil {
			return true
		}
	}
	for _, c := range g.conds {
		if c.set&^(l|r) == 0 && c.set&^l != 0 && c.set&^r != 0 && equality2(c.e) != nil {
			return true
		}
	}
	return false
}

// probe finds what reading the leaf r by an index with values of l would cost a row.
func (g *joinGraph) probe(l, r leafSet) probe {
	near := leafSet(0)
	g.leavesNear(r, func(i int) {
		if l.has(i) {
			near |= 1 << i
		}
	})
	k := [2]leafSet{near, r}
	if p, ok := g.probes[k]; ok {
		return p
	}
	leaf := g.leaves[r.first()]
	if leaf.pinned {
		return probe{}
	}
	in := joinInput{kind: bind.JoinInner, lset: g.output(l), r: leaf.rel, rset: leaf.out, rpreds: leaf.preds, conds: g.conditions(near, r)}
	p := g.p.probeOf(in)
	g.probes[k] = p
	return p
}

func (g *joinGraph) leavesNear(r leafSet, on func(i int)) {
	for _, c := range g.classes {
		mine := false
		for _, m := range c.members {
			mine = mine || r.has(m.leaf)
		}
		for _, m := range c.members {
			if mine && !r.has(m.leaf) {
				on(m.leaf)
			}
		}
	}
	for _, c := range g.conds {
		if c.set&r != 0 {
			(c.set &^ r).each(on)
		}
	}
}

func (g *joinGraph) output(s leafSet) bind.Set {
	out := bind.Set{}
	s.each(func(i int) {
		for id := range g.leaves[i].out {
			out[id] = struct{}{}
		}
	})
	return out
}

// solve finds the cheapest plan of all leaves.
func (g *joinGraph) solve() *joinStep {
	clear(g.rows)
	clear(g.best)
	for i, l := range g.leaves {
		g.best[1<<i] = &joinStep{rows: l.plan.rows, cost: l.plan.cost}
	}
	everything := leafSet(1)<<len(g.leaves) - 1
	if g.p.o.Avoid.Rewrites {
		for i := 1; i < len(g.leaves); i++ {
			g.consider(leafSet(1)<<i-1, 1<<i)
		}
	} else if len(g.leaves) <= joinOrderMax {
		g.enumerate(everything)
	}
	if g.best[everything] == nil {
		g.greedy()
	}
	return g.best[everything]
}

// enumerate fills in the best plan of every set, smaller sets first: a set's number is greater than
// those of its parts.
func (g *joinGraph) enumerate(everything leafSet) {
	for s := leafSet(1); s <= everything; s++ {
		if s.single() {
			continue
		}
		for _, wantConnected := range []bool{true, false} {
			for l := (s - 1) & s; l != 0; l = (l - 1) & s {
				if r := s &^ l; g.connected(l, r) == wantConnected {
					g.consider(l, r)
				}
			}
			if g.best[s] != nil {
				break
			}
		}
	}
}

func (g *joinGraph) consider(l, r leafSet) {
	if x := g.join(l, r); x != nil && (g.best[l|r] == nil || x.cost < g.best[l|r].cost) {
		g.best[l|r] = x
	}
}

// greedy joins the two parts whose join has the fewest rows, until one is left.
func (g *joinGraph) greedy() {
	var parts []leafSet
	for i := range g.leaves {
		parts = append(parts, 1<<i)
	}
	for len(parts) > 1 {
		bi, bj, found := 0, 0, false
		bestRows, bestConnected := 0.0, false
		for i := range parts {
			for j := range parts {
				if i == j || !g.possible(parts[i], parts[j]) {
					continue
				}
				connected := g.connected(parts[i], parts[j])
				rows := g.rowsOf(parts[i] | parts[j])
				if !found || connected && !bestConnected || connected == bestConnected && rows < bestRows {
					bi, bj, found, bestRows, bestConnected = i, j, true, rows, connected
				}
			}
		}
		l, r := parts[bi], parts[bj]
		g.consider(l, r)
		g.consider(r, l)
		parts[bi] = l | r
		parts = slices.Delete(parts, bj, bj+1)
	}
}

// build makes the operators of the best plan of a set.
func (g *joinGraph) build(s leafSet) (planned, error) {
	if s.single() {
		return g.leafPlan(s.first()), nil
	}
	x := g.best[s]
	l, err := g.build(x.l)
	if err != nil {
		return l, err
	}
	in := joinInput{kind: bind.JoinInner, l: l, lset: g.output(x.l), rset: g.output(x.r), conds: g.conditions(x.l, x.r), rows: x.rows}
	if x.r.single() {
		leaf := g.leaves[x.r.first()]
		in.r, in.router, in.rpreds = leaf.rel, leaf.outer, leaf.preds
	}
	eqs, rest := in.equis()
	switch x.method {
	case byLookup:
		n, _, err := g.p.lookup(in, eqs)
		return n, err
	case byLookupMany:
		n, _, err := g.p.lookupMany(in, eqs)
		return n, err
	case byIndexLoop:
		return g.p.loop(in, false)
	}
	r, err := g.build(x.r)
	if err != nil {
		return r, err
	}
	in.right = &r
	if x.method == byHash {
		return g.p.hash(in, eqs, rest)
	}
	return g.p.loop(in, true)
}

// leafPlan uses the plan that a leaf was given at first, with the plans of its subqueries.
func (g *joinGraph) leafPlan(i int) planned {
	l := g.leaves[i]
	g.p.keepSubplans(l.subs)
	return l.plan
}
