package plan

import (
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// join plans a join under conditions from above.
func (p *planner) join(r *bind.Join, preds []bind.Expr) (planned, error) {
	if r.Kind == bind.JoinInner {
		return p.innerJoin(r, preds)
	}
	cheap, costly := splitCostly(preds)
	costly, semi := p.splitSemi(costly)
	out, err := p.joinKind(r, cheap)
	if err != nil {
		return out, err
	}
	own := bind.Output(r)
	if out, err = p.semiJoins(out, own, semi); err != nil {
		return out, err
	}
	return p.filter(out, own, costly)
}

func (p *planner) joinKind(r *bind.Join, preds []bind.Expr) (planned, error) {
	switch r.Kind {
	case bind.JoinRight:
		return p.outerJoin(bind.JoinLeft, r.R, r.L, r.On, preds)
	case bind.JoinFull:
		return p.filtered(r, preds, func() (planned, error) { return p.fullJoin(r) })
	}
	return p.outerJoin(r.Kind, r.L, r.R, r.On, preds)
}

// flatten collects the sides and conditions of nested inner joins.
func flatten(r bind.Rel, leaves []*leaf, preds []bind.Expr) ([]*leaf, []bind.Expr) {
	switch x := r.(type) {
	case *bind.Filter:
		if _, ok := x.In.(*bind.Join); ok {
			return flatten(x.In, leaves, append(preds, conjuncts(x.Pred)...))
		}
	case *bind.Join:
		if x.Kind == bind.JoinInner {
			leaves, preds = flatten(x.L, leaves, preds)
			leaves, preds = flatten(x.R, leaves, preds)
			if x.On != nil {
				preds = append(preds, conjuncts(x.On)...)
			}
			return leaves, preds
		}
	}
	return append(leaves, &leaf{rel: r, out: bind.Output(r), outer: bind.OuterRefs(r)}), preds
}

// flattenMax is flatten for at most joinLeavesMax sides: of a join of more, each part is ordered by itself.
func flattenMax(r *bind.Join, preds []bind.Expr) ([]*leaf, []bind.Expr) {
	if leaves, all := flatten(r, nil, slices.Clone(preds)); len(leaves) <= joinLeavesMax {
		return leaves, all
	}
	if r.On != nil {
		preds = append(preds, conjuncts(r.On)...)
	}
	var leaves []*leaf
	for _, side := range []bind.Rel{r.L, r.R} {
		leaves = append(leaves, &leaf{rel: side, out: bind.Output(side), outer: bind.OuterRefs(side)})
	}
	return leaves, preds
}

// innerJoin finds the order of nested inner joins. Subqueries that can be joins and read one side only
// are joined to that side or above all, whichever makes the whole cheaper.
func (p *planner) innerJoin(r *bind.Join, preds []bind.Expr) (planned, error) {
	leaves, preds := flattenMax(r, slices.Clone(preds))
	preds = p.factored(preds)
	preds, semi := p.splitSemi(preds)
	g := newJoinGraph(p, leaves)
	above := g.addConditions(preds)
	var top, early []semiOf
	for _, s := range semi {
		if set := g.setOf(s.refs()); set != 0 && set.single() {
			early = append(early, semiOf{s, set.first()})
		} else {
			top = append(top, semiOf{s, -1})
		}
	}
	if err := g.planLeaves(); err != nil {
		return planned{}, err
	}
	out, err := g.placeSemis(early)
	if err != nil {
		return out, err
	}
	own := bind.Output(r)
	if out, err = p.semiJoins(out, own, semisOf(top)); err != nil {
		return out, err
	}
	cheap, costly := splitCostly(above)
	if out, err = p.filter(out, own, cheap); err != nil {
		return out, err
	}
	return p.filter(out, own, costly)
}

// semiOf is a subquery that is joined, and the only leaf it reads.
type semiOf struct {
	semi
	leaf int
}

func semisOf(list []semiOf) (out []semi) {
	for _, s := range list {
		out = append(out, s.semi)
	}
	return out
}

func (g *joinGraph) planLeaves() error {
	for _, l := range g.leaves {
		for i, o := range g.leaves {
			if o != l && intersects(l.outer, o.out) {
				l.needs |= 1 << i
			}
		}
		var err error
		if l.plan, l.subs, err = g.p.aside(func() (planned, error) { return g.p.plan(l.rel, l.preds, nil) }); err != nil {
			return err
		}
	}
	return nil
}

// placeSemis builds the join with the given subqueries above it, and with them at their leaves, and
// takes the cheaper.
func (g *joinGraph) placeSemis(semis []semiOf) (planned, error) {
	everything := leafSet(1)<<len(g.leaves) - 1
	everywhere := g.output(everything)
	late := g.solve()
	if len(semis) == 0 {
		return g.build(everything)
	}
	above, subsLate, err := g.p.aside(func() (planned, error) {
		return g.p.semiJoins(planned{node: g.leaves[0].plan.node, rows: late.rows, cost: late.cost}, everywhere, semisOf(semis))
	})
	if err != nil {
		return above, err
	}
	g.p.dropSubplans(subsLate)
	before := make([]leaf, len(g.leaves))
	for i, l := range g.leaves {
		before[i] = *l
	}
	for _, s := range semis {
		l := g.leaves[s.leaf]
		kept := l.subs
		if l.plan, l.subs, err = g.p.aside(func() (planned, error) {
			g.p.keepSubplans(kept)
			return g.p.semiJoins(l.plan, l.out, []semi{s.semi})
		}); err != nil {
			return l.plan, err
		}
		l.pinned = true
	}
	clear(g.probes)
	if early := g.solve(); early.cost < above.cost {
		return g.build(everything)
	}
	for i, l := range g.leaves {
		*l = before[i]
	}
	clear(g.probes)
	g.solve()
	out, err := g.build(everything)
	if err != nil {
		return out, err
	}
	return g.p.semiJoins(out, everywhere, semisOf(semis))
}

// outerJoin plans left, semi and anti joins. Conditions from above go to the left side if they
// read nothing else; those in ON go to the right side if they read nothing else.
func (p *planner) outerJoin(kind bind.JoinKind, l, r bind.Rel, on bind.Expr, preds []bind.Expr) (planned, error) {
	lset, rset := bind.Output(l), bind.Output(r)
	var lpreds, above, rpreds, conds []bind.Expr
	for _, e := range preds {
		if intersects(bind.Refs(e), rset) || isVolatile(e) {
			above = append(above, e)
		} else {
			lpreds = append(lpreds, e)
		}
	}
	if on != nil {
		for _, e := range p.factored(conjuncts(on)) {
			refs := bind.Refs(e)
			if intersects(refs, rset) && !intersects(refs, lset) && !isVolatile(e) {
				rpreds = append(rpreds, e)
			} else {
				conds = append(conds, e)
			}
		}
	}
	left, err := p.plan(l, lpreds, nil)
	if err != nil {
		return left, err
	}
	out, err := p.joinTwo(joinInput{kind: kind, l: left, lset: lset, r: r, rset: rset,
		router: bind.OuterRefs(r), rpreds: rpreds, conds: conds})
	if err != nil {
		return out, err
	}
	return p.filter(out, nil, above)
}

// joinInput is a planned left side and a right side to be joined to it.
type joinInput struct {
	kind   bind.JoinKind
	l      planned
	lset   bind.Set
	r      bind.Rel
	rset   bind.Set
	router bind.Set
	rpreds []bind.Expr // over the right side alone
	conds  []bind.Expr // over both
	// right is the right side's plan, if it has been made.
	right *planned
	// rows are those of the join, if they are known; 0: not.
	rows float64
}

// equi is a condition left = right.
type equi struct {
	l, r bind.Expr
	cond bind.Expr
}

func (in *joinInput) layouts(p *planner) (l, r []bind.ColID) {
	return exec.NewLayout(in.lset, p.st.Used), exec.NewLayout(in.rset, p.st.Used)
}

// joinTwo chooses the method by its cost.
func (p *planner) joinTwo(in joinInput) (planned, error) {
	if intersects(in.router, in.lset) {
		return p.loop(in, false)
	}
	eqs, rest := in.equis()
	right, subs, err := p.aside(func() (planned, error) { return p.plan(in.r, in.rpreds, nil) })
	if err != nil {
		return right, err
	}
	in.right = &right
	hash := in.l.rows*probeCost + right.rows*buildCost
	if in.swappable() {
		hash = min(hash, right.rows*probeCost+in.l.rows*buildCost)
	}
	hash += right.cost
	if len(eqs) == 0 {
		hash = right.cost + right.rows*buildCost + in.l.rows*right.rows*pairCost
	}
	hash += avoided(p.o.Avoid.Hash && len(eqs) > 0)
	if pr := p.probeOf(in); pr.ok && in.l.rows*pr.cost+callCost*0.5+avoided(p.o.Avoid.Loop) < hash {
		p.dropSubplans(subs)
		switch pr.method {
		case byLookup:
			n, _, err := p.lookup(in, eqs)
			return n, err
		case byLookupMany:
			n, _, err := p.lookupMany(in, eqs)
			return n, err
		}
		return p.loop(in, false)
	}
	p.keepSubplans(subs)
	if len(eqs) == 0 || p.o.Avoid.Hash && !p.o.Avoid.Loop {
		return p.loop(in, true)
	}
	return p.hash(in, eqs, rest)
}

// probeOf says whether the right side is a table that an index gives the rows of for each left row,
// and what that costs a row.
func (p *planner) probeOf(in joinInput) probe {
	if v, preds := virtualBelow(in.r, in.rpreds); v != nil {
		if p.virtualKey(v, preds) != nil || p.virtualKey(v, in.conds) == nil {
			return probe{}
		}
		return probe{ok: true, method: byIndexLoop, cost: virtualKeyCost}
	}
	s, preds := scanBelow(in.r, slices.Clone(in.rpreds))
	if s == nil || p.o.Avoid.Index {
		return probe{}
	}
	eqs, _ := in.equis()
	codec := p.codec(s.Table)
	for i := -1; i < len(codec.Indexes); i++ {
		ic := &codec.Primary
		if i >= 0 {
			ic = &codec.Indexes[i]
		}
		if keys, _, _ := p.lookupKeys(s, codec, ic, eqs); keys != nil {
			cost := float64(pointCost)
			if !ic.IsPrimary() && !p.covers(s, ic) {
				cost *= 2
			}
			return probe{ok: true, method: byLookup, cost: cost}
		}
	}
	if len(in.conds) == 0 {
		return probe{}
	}
	many, ok := p.manyBy(s, codec, eqs, preds)
	before := p.choose(s, preds, nil)
	c := p.choose(s, append(preds, in.conds...), nil)
	loop := len(c.eq) > 0 && (len(c.eq) > len(before.eq) || c.ic != before.ic)
	switch {
	case ok && (!loop || many.cost <= c.cost):
		return probe{ok: true, method: byLookupMany, cost: many.cost}
	case loop:
		return probe{ok: true, method: byIndexLoop, cost: c.cost}
	}
	return probe{}
}

// manyLookup is a way to find the right rows by the first columns of an index.
type manyLookup struct {
	ic    *tablekv.IndexCodec
	keys  []bind.Expr
	texts []string
	used  map[bind.Expr]bool // the conditions that the index answers
	cover bool
	cost  float64 // of a left row
}

// manyBy finds the cheapest: each of the columns equals a value of the left row, or one that all have.
func (p *planner) manyBy(s *bind.Scan, codec *tablekv.Codec, eqs []equi, preds []bind.Expr) (best manyLookup, ok bool) {
	if s.Lock != kvapi.LockNone {
		return best, false
	}
	conds := p.conditions(s, codec, preds)
	consider := func(ic *tablekv.IndexCodec) {
		if !ic.IsPrimary() && (!ic.Index.IsPublic() || ic.Index.Where != 0 || ic.Index.Inverted != "") {
			return
		}
		m := manyLookup{ic: ic, used: map[bind.Expr]bool{}, cover: ic.IsPrimary() || p.covers(s, ic)}
		var used []bind.Expr
		outer := false
		for _, k := range ic.Keys {
			e, cond, left := p.keyValue(s, codec, k, eqs, conds, preds)
			if e == nil {
				break
			}
			outer = outer || left
			m.keys, m.texts, used = append(m.keys, e), append(m.texts, bind.Format(cond)), append(used, cond)
			m.used[cond] = true
		}
		if !outer {
			return
		}
		rows := max(p.tableRows(s.Table)*p.selectivity(used), 0.5)
		m.cost = 1.5*pointCost + rows*indexCost
		if !m.cover {
			m.cost += rows * pointCost
		}
		if !ok || m.cost < best.cost {
			best, ok = m, true
		}
	}
	consider(&codec.Primary)
	for i := range codec.Indexes {
		consider(&codec.Indexes[i])
	}
	return best, ok
}

// keyValue is what an index's column equals: a value of the left row, or one of no row.
func (p *planner) keyValue(s *bind.Scan, codec *tablekv.Codec, k tablekv.KeyCol, eqs []equi, conds []condition, preds []bind.Expr) (e, cond bind.Expr, left bool) {
	for _, q := range eqs {
		if ord, ok := p.column(s, codec, q.r); ok && ord == k.Ordinal && q.l.Type().Kind() == k.Type.Kind() {
			return q.l, q.cond, true
		}
	}
	if c := equality(conds, k.Ordinal); c != nil && c.op == "=" {
		return c.vals[0], preds[c.pred], false
	}
	return nil, nil, false
}

// lookupMany joins by batches of the first columns of an index.
func (p *planner) lookupMany(in joinInput, eqs []equi) (planned, bool, error) {
	s, preds := scanBelow(in.r, slices.Clone(in.rpreds))
	if s == nil {
		return planned{}, false, nil
	}
	codec := p.codec(s.Table)
	m, ok := p.manyBy(s, codec, eqs, preds)
	if !ok {
		return planned{}, false, nil
	}
	var rest []bind.Expr
	for _, e := range append(slices.Clone(in.conds), preds...) {
		if !m.used[e] {
			rest = append(rest, e)
		}
	}
	n, err := p.lookupJoin(in, s, codec, m.ic, m.keys, rest)
	if err != nil {
		return planned{}, true, err
	}
	n.Many, n.Text = true, m.texts
	rows := p.joinRows(&in, max(p.tableRows(s.Table)*p.selectivity(preds), 1))
	return p.done(n, rows, in.l.cost+in.l.rows*m.cost+callCost*0.5+rows*emitCost), true, nil
}

// equis finds the conditions that a hash table can answer.
func (in *joinInput) equis() (eqs []equi, rest []bind.Expr) {
	for _, e := range in.conds {
		if q, ok := in.equi(e); ok {
			eqs = append(eqs, q)
		} else {
			rest = append(rest, e)
		}
	}
	return eqs, rest
}

func (in *joinInput) equi(e bind.Expr) (equi, bool) {
	c := equality2(e)
	if c == nil {
		return equi{}, false
	}
	for i := 0; i < 2; i++ {
		l, r := bind.Refs(c.Args[i]), bind.Refs(c.Args[1-i])
		if !intersects(l, in.rset) && intersects(r, in.rset) && !intersects(r, in.lset) && intersects(l, in.lset) {
			return equi{l: c.Args[i], r: c.Args[1-i], cond: e}, true
		}
	}
	return equi{}, false
}

// joinRows guesses the rows of a join with a right side of so many rows.
func (p *planner) joinRows(in *joinInput, right float64) float64 {
	if in.rows > 0 {
		return in.rows
	}
	eqs, rest := in.equis()
	keep, matched := 1.0, 1.0
	for _, q := range eqs {
		dl, dr := p.distinctOf(q.l, in.l.rows), p.distinctOf(q.r, right)
		keep /= max(dl, dr)
		matched = min(matched, dr/dl)
	}
	for _, e := range rest {
		keep *= p.sel(e)
	}
	inner := in.l.rows * right * keep
	switch in.kind {
	case bind.JoinLeft:
		return max(in.l.rows, inner)
	case bind.JoinFull:
		return max(in.l.rows, right, inner)
	case bind.JoinSemi:
		return max(in.l.rows*matched, 1)
	case bind.JoinAnti:
		return max(in.l.rows*max(1-matched, 0.1), 1)
	}
	return max(inner, 1)
}

func (p *planner) distinctOf(e bind.Expr, rows float64) float64 {
	if id, ok := plainCol(e); ok {
		return p.distinctValues(id, rows)
	}
	return max(min(rows, distinctDefault), 1)
}

// loop is the nested loop. The conditions are part of the right side's, so that it may use an index
// with the left row's values; materialised, it is read once and they are checked pair by pair.
func (p *planner) loop(in joinInput, materialize bool) (planned, error) {
	n := &exec.NestedLoop{Kind: in.kind, L: in.l.node, Materialize: materialize}
	_, n.RCols = in.layouts(p)
	rpreds := in.rpreds
	if !materialize {
		rpreds = append(slices.Clone(rpreds), in.conds...)
	} else if len(in.conds) > 0 {
		on, err := p.c.Compile(all(in.conds))
		if err != nil {
			return planned{}, err
		}
		n.On, n.Text = on, bind.Format(all(in.conds))
	}
	var r planned
	if materialize && in.right != nil {
		r = *in.right
	} else {
		var err error
		if r, err = p.plan(in.r, rpreds, nil); err != nil {
			return r, err
		}
	}
	n.R = r.node
	if !materialize {
		rows := in.rows
		if rows == 0 {
			rows = loopRows(in.kind, in.l.rows, in.l.rows*r.rows)
		}
		return p.done(n, rows, in.l.cost+in.l.rows*r.cost+rows*emitCost), nil
	}
	rows := p.joinRows(&in, r.rows)
	return p.done(n, rows, in.l.cost+r.cost+r.rows*buildCost+in.l.rows*r.rows*pairCost+rows*emitCost), nil
}

func loopRows(k bind.JoinKind, l, rows float64) float64 {
	switch k {
	case bind.JoinLeft:
		return max(l, rows)
	case bind.JoinSemi, bind.JoinAnti:
		return max(l*0.5, 1)
	}
	return max(rows, 1)
}

// scanBelow finds the scan of a right side that is a table under conditions.
func scanBelow(r bind.Rel, preds []bind.Expr) (*bind.Scan, []bind.Expr) {
	for {
		switch x := r.(type) {
		case *bind.Filter:
			if x.Secure && !leakproofAll(preds...) {
				return nil, nil
			}
			preds = append(conjuncts(x.Pred), preds...)
			r = x.In
		case *bind.Scan:
			return x, preds
		default:
			return nil, nil
		}
	}
}

// lookup joins by batches of keys, where the conditions give a unique key of the right side.
func (p *planner) lookup(in joinInput, eqs []equi) (planned, bool, error) {
	s, preds := scanBelow(in.r, slices.Clone(in.rpreds))
	if s == nil || securedBelow(in.r) && !leakproofAll(in.conds...) {
		return planned{}, false, nil
	}
	codec := p.codec(s.Table)
	for i := -1; i < len(codec.Indexes); i++ {
		ic := &codec.Primary
		if i >= 0 {
			ic = &codec.Indexes[i]
		}
		if !ic.Index.IsPublic() || ic.Index.Inverted != "" {
			continue
		}
		keys, texts, rest := p.lookupKeys(s, codec, ic, eqs)
		if keys == nil {
			continue
		}
		for _, e := range in.conds {
			if !isEqui(eqs, e) {
				rest = append(rest, e)
			}
		}
		n, err := p.lookupJoin(in, s, codec, ic, keys, append(rest, preds...))
		if err != nil {
			return planned{}, true, err
		}
		n.Text = texts
		rows := p.joinRows(&in, max(p.tableRows(s.Table)*p.selectivity(preds), 1))
		cost := float64(pointCost)
		if n.Fetch != nil {
			cost *= 2
		}
		return p.done(n, rows, in.l.cost+in.l.rows*cost+callCost*0.5+rows*emitCost), true, nil
	}
	return planned{}, false, nil
}

func isEqui(eqs []equi, e bind.Expr) bool {
	for _, q := range eqs {
		if q.cond == e {
			return true
		}
	}
	return false
}

// lookupKeys finds a left expression for each column of a unique key; rest are the equalities that
// the key does not answer.
func (p *planner) lookupKeys(s *bind.Scan, codec *tablekv.Codec, ic *tablekv.IndexCodec, eqs []equi) (keys []bind.Expr, texts []string, rest []bind.Expr) {
	if !ic.IsPrimary() && !ic.Index.Unique || !ic.Index.IsPublic() || ic.Index.Where != 0 {
		return nil, nil, nil
	}
	used := map[int]bool{}
	for _, k := range ic.Keys {
		found := false
		for i, q := range eqs {
			ord, ok := p.column(s, codec, q.r)
			if ok && ord == k.Ordinal && q.l.Type().Kind() == k.Type.Kind() && !used[i] {
				keys, texts = append(keys, q.l), append(texts, bind.Format(q.cond))
				used[i], found = true, true
				break
			}
		}
		if !found {
			return nil, nil, nil
		}
	}
	for i, q := range eqs {
		if !used[i] {
			rest = append(rest, q.cond)
		}
	}
	return keys, texts, rest
}

func (p *planner) lookupJoin(in joinInput, s *bind.Scan, codec *tablekv.Codec, ic *tablekv.IndexCodec, keys, conds []bind.Expr) (*exec.LookupJoin, error) {
	n := &exec.LookupJoin{Kind: in.kind, L: in.l.node, Table: codec, Index: ic, Base: s.Base, Alias: s.Alias,
		Opts: txn.GetOptions{Lock: s.Lock, Wait: s.Wait, Durable: s.Explicit}}
	n.LCols, n.RCols = in.layouts(p)
	var err error
	if n.Keys, err = p.c.CompileAll(keys); err != nil {
		return nil, err
	}
	c := &candidate{ic: ic, cover: ic.IsPrimary() || s.Lock == kvapi.LockNone && p.covers(s, ic)}
	n.Dec, n.Fetch = p.decoders(s, codec, c)
	if ic.IsPrimary() || n.Fetch != nil {
		if n.Virtual, err = p.computed(s); err != nil {
			return nil, err
		}
	}
	if len(conds) > 0 {
		n.On, err = p.c.Compile(all(conds))
	}
	return n, err
}

// swappable says that a hash join may build its table of the left side.
func (in *joinInput) swappable() bool {
	switch in.kind {
	case bind.JoinInner, bind.JoinLeft, bind.JoinSemi, bind.JoinAnti:
		return true
	}
	return false
}

// hash joins by a table of one side, of the smaller one if the kind of join allows.
func (p *planner) hash(in joinInput, eqs []equi, rest []bind.Expr) (planned, error) {
	var r planned
	if in.right != nil {
		r = *in.right
	} else {
		var err error
		if r, err = p.plan(in.r, in.rpreds, nil); err != nil {
			return r, err
		}
	}
	n := &exec.HashJoin{Kind: in.kind, L: in.l.node, R: r.node}
	n.LCols, n.RCols = in.layouts(p)
	lk, rk := make([]bind.Expr, len(eqs)), make([]bind.Expr, len(eqs))
	for i, q := range eqs {
		lk[i], rk[i] = q.l, q.r
		n.Text = append(n.Text, bind.Format(q.cond))
	}
	var err error
	if n.LKeys, err = p.c.CompileAll(lk); err != nil {
		return r, err
	}
	if n.RKeys, err = p.c.CompileAll(rk); err != nil {
		return r, err
	}
	if len(rest) > 0 {
		if n.On, err = p.c.Compile(all(rest)); err != nil {
			return r, err
		}
	}
	build, stream := r.rows, in.l.rows
	if in.swappable() && in.l.rows < r.rows {
		build, stream = stream, build
		p.swap(n)
	}
	rows := p.joinRows(&in, r.rows)
	return p.done(n, rows, in.l.cost+r.cost+build*buildCost+stream*probeCost+rows*emitCost), nil
}

// swap has the table be built of what was the left side.
func (p *planner) swap(n *exec.HashJoin) {
	n.L, n.R, n.LKeys, n.RKeys, n.LCols, n.RCols = n.R, n.L, n.RKeys, n.LKeys, n.RCols, n.LCols
	switch n.Kind {
	case bind.JoinLeft:
		n.Kind = bind.JoinRight
	case bind.JoinSemi, bind.JoinAnti:
		n.Mark = true
	}
}

func (p *planner) fullJoin(r *bind.Join) (planned, error) {
	l, err := p.plan(r.L, nil, nil)
	if err != nil {
		return l, err
	}
	in := joinInput{kind: bind.JoinFull, l: l, lset: bind.Output(r.L), r: r.R, rset: bind.Output(r.R)}
	if r.On != nil {
		in.conds = conjuncts(r.On)
	}
	eqs, rest := in.equis()
	if len(eqs) == 0 {
		if len(in.conds) == 0 || len(in.conds) == 1 && isTrue(in.conds[0]) {
			return p.hash(in, nil, nil)
		}
		return l, sqlerr.New(sqlerr.FeatureNotSupported, "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions")
	}
	return p.hash(in, eqs, rest)
}

func isTrue(e bind.Expr) bool {
	c, ok := e.(*bind.Const)
	return ok && c.T == types.Bool && c.D.Bool()
}
