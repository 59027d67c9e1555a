package plan

import (
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
	preds, semi := splitSemi(preds)
	out, err := p.joinKind(r, preds)
	if err != nil {
		return out, err
	}
	return p.semiJoins(out, r, semi)
}

func (p *planner) joinKind(r *bind.Join, preds []bind.Expr) (planned, error) {
	switch r.Kind {
	case bind.JoinInner:
		return p.innerJoin(r, preds)
	case bind.JoinRight:
		return p.outerJoin(bind.JoinLeft, r.R, r.L, r.On, preds)
	case bind.JoinFull:
		return p.filtered(preds, func() (planned, error) { return p.fullJoin(r) })
	}
	return p.outerJoin(r.Kind, r.L, r.R, r.On, preds)
}

// leaf is one side of a flattened inner join.
type leaf struct {
	rel   bind.Rel
	out   bind.Set
	outer bind.Set // what it reads of the others (lateral)
	preds []bind.Expr
	used  bool
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

// innerJoin joins the sides one after the other, beginning with the one that yields fewest rows,
// and each time taking the one that the conditions make cheapest to add.
func (p *planner) innerJoin(r *bind.Join, preds []bind.Expr) (planned, error) {
	leaves, preds := flatten(r, nil, append([]bind.Expr(nil), preds...))
	preds, semi := splitSemi(preds)
	every := bind.Output(r)
	var conds []bind.Expr
	for _, e := range preds {
		if !p.giveToLeaf(e, leaves, every) {
			conds = append(conds, e)
		}
	}
	out, have, conds, err := p.firstLeaf(leaves, conds, every)
	for err == nil {
		next := p.nextLeaf(leaves, have, conds, every)
		if next == nil {
			break
		}
		var use []bind.Expr
		use, conds = ready(conds, have, next.out, every)
		out, err = p.addLeaf(out, have, next, use)
		next.used = true
		for id := range next.out {
			have[id] = struct{}{}
		}
	}
	if err != nil {
		return out, err
	}
	if out, err = p.filter(out, nil, conds); err != nil {
		return out, err
	}
	return p.semiJoins(out, r, semi)
}

// giveToLeaf pushes a condition to the one side it reads.
func (p *planner) giveToLeaf(e bind.Expr, leaves []*leaf, every bind.Set) bool {
	if isVolatile(e) {
		return false
	}
	refs := bind.Refs(e)
	for _, l := range leaves {
		mine := true
		for id := range refs {
			mine = mine && (l.out.Has(id) || !every.Has(id))
		}
		if mine && intersects(refs, l.out) {
			l.preds = append(l.preds, e)
			return true
		}
	}
	return false
}

func (p *planner) firstLeaf(leaves []*leaf, conds []bind.Expr, every bind.Set) (planned, bind.Set, []bind.Expr, error) {
	best := -1
	var bestRows float64
	for i, l := range leaves {
		if intersects(l.outer, every) {
			continue
		}
		rows := p.estimate(l)
		if best < 0 || len(leaves) <= joinOrderMax && rows < bestRows {
			best, bestRows = i, rows
		}
	}
	if best < 0 {
		best = 0
	}
	l := leaves[best]
	l.used = true
	out, err := p.plan(l.rel, l.preds, nil)
	have := bind.Set{}
	for id := range l.out {
		have[id] = struct{}{}
	}
	return out, have, conds, err
}

// estimate guesses a side's rows under its own conditions.
func (p *planner) estimate(l *leaf) float64 {
	rel, preds := l.rel, l.preds
	for {
		switch x := rel.(type) {
		case *bind.Filter:
			preds = append(conjuncts(x.Pred), preds...)
			rel = x.In
			continue
		case *bind.Project:
			rel = x.In
			continue
		case *bind.Scan:
			c := p.choose(x, preds, nil)
			rows := c.rows
			for range len(preds) - len(c.eq) {
				rows *= filterFraction
			}
			return max(rows, 1)
		case *bind.Values:
			return float64(len(x.Rows))
		case *bind.Limit, *bind.FuncScan:
			return 100
		}
		return EstimateRows
	}
}

// nextLeaf prefers a side that conditions connect to what is there, then the smaller one.
func (p *planner) nextLeaf(leaves []*leaf, have bind.Set, conds []bind.Expr, every bind.Set) *leaf {
	var best *leaf
	var bestCost float64
	for _, l := range leaves {
		if l.used || !availableOuter(l, have, every) {
			continue
		}
		if len(leaves) > joinOrderMax {
			return l
		}
		cost := p.estimate(l)
		if use, _ := ready(conds, have, l.out, every); len(use) == 0 && len(l.outer) == 0 {
			cost = (cost + 1) * 1e6
		}
		if best == nil || cost < bestCost {
			best, bestCost = l, cost
		}
	}
	return best
}

func availableOuter(l *leaf, have, every bind.Set) bool {
	for id := range l.outer {
		if every.Has(id) && !have.Has(id) {
			return false
		}
	}
	return true
}

// ready splits conditions into those that the sides present answer, and the others.
func ready(conds []bind.Expr, have, next, every bind.Set) (use, rest []bind.Expr) {
	for _, e := range conds {
		ok := true
		for id := range bind.Refs(e) {
			ok = ok && (have.Has(id) || next.Has(id) || !every.Has(id))
		}
		if ok {
			use = append(use, e)
		} else {
			rest = append(rest, e)
		}
	}
	return use, rest
}

func (p *planner) addLeaf(l planned, have bind.Set, next *leaf, conds []bind.Expr) (planned, error) {
	return p.joinTwo(joinInput{kind: bind.JoinInner, l: l, lset: have, r: next.rel, rset: next.out,
		router: next.outer, rpreds: next.preds, conds: conds})
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
		for _, e := range conjuncts(on) {
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
}

// equi is a condition left = right.
type equi struct {
	l, r bind.Expr
	cond bind.Expr
}

func (in *joinInput) layouts(p *planner) (l, r []bind.ColID) {
	return exec.NewLayout(in.lset, p.st.Used), exec.NewLayout(in.rset, p.st.Used)
}

// joinTwo chooses the method.
func (p *planner) joinTwo(in joinInput) (planned, error) {
	if intersects(in.router, in.lset) {
		return p.loop(in, false)
	}
	eqs, rest := in.equis()
	if len(eqs) == 0 {
		return p.loop(in, true)
	}
	if n, ok, err := p.lookup(in, eqs); ok || err != nil {
		return n, err
	}
	if in.l.rows <= loopRowsMax && p.indexable(in) {
		return p.loop(in, false)
	}
	return p.hash(in, eqs, rest)
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
	c, ok := e.(*bind.Call)
	if !ok || !c.M.Op || c.M.Name != "=" || len(c.Args) != 2 || c.Args[0].Type().Kind() != c.Args[1].Type().Kind() {
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

// loop is the nested loop. The conditions are part of the right side's, so that it may use an index
// with the left row's values; materialised, it is read once and they are checked pair by pair.
func (p *planner) loop(in joinInput, materialize bool) (planned, error) {
	n := &exec.NestedLoop{Kind: in.kind, L: in.l.node, Materialize: materialize}
	_, n.RCols = in.layouts(p)
	rpreds := in.rpreds
	if !materialize {
		rpreds = append(append([]bind.Expr(nil), rpreds...), in.conds...)
	} else if len(in.conds) > 0 {
		on, err := p.c.Compile(all(in.conds))
		if err != nil {
			return planned{}, err
		}
		n.On, n.Text = on, bind.Format(all(in.conds))
	}
	r, err := p.plan(in.r, rpreds, nil)
	if err != nil {
		return r, err
	}
	n.R = r.node
	rows := in.l.rows * r.rows
	if len(in.conds) > 0 && materialize {
		rows *= filterFraction
	}
	return planned{node: p.wrap(n), rows: joinRows(in.kind, in.l.rows, rows)}, nil
}

func joinRows(k bind.JoinKind, l, rows float64) float64 {
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
			preds = append(conjuncts(x.Pred), preds...)
			r = x.In
		case *bind.Scan:
			return x, preds
		default:
			return nil, nil
		}
	}
}

// indexable says that the left row's values would pick an index of the right side.
func (p *planner) indexable(in joinInput) bool {
	s, preds := scanBelow(in.r, append(append([]bind.Expr(nil), in.rpreds...), in.conds...))
	if s == nil {
		return false
	}
	return len(p.choose(s, preds, nil).eq) > 0
}

// lookup joins by batches of keys, where the conditions give a unique key of the right side.
func (p *planner) lookup(in joinInput, eqs []equi) (planned, bool, error) {
	s, preds := scanBelow(in.r, append([]bind.Expr(nil), in.rpreds...))
	if s == nil || in.l.rows > lookupRowsMax && in.l.rows*2 > tableRows(s.Table) {
		return planned{}, false, nil
	}
	codec := p.codec(s.Table)
	for i := -1; i < len(codec.Indexes); i++ {
		ic := &codec.Primary
		if i >= 0 {
			ic = &codec.Indexes[i]
		}
		if !ic.Index.IsPublic() {
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
		return planned{node: p.wrap(n), rows: joinRows(in.kind, in.l.rows, in.l.rows)}, true, nil
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
	if !ic.IsPrimary() && !ic.Index.Unique || ic.Index.State != 0 || ic.Index.Where != 0 {
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

// hash joins by a table of the right side; of an inner join the smaller side is the right one.
func (p *planner) hash(in joinInput, eqs []equi, rest []bind.Expr) (planned, error) {
	r, err := p.plan(in.r, in.rpreds, nil)
	if err != nil {
		return r, err
	}
	n := &exec.HashJoin{Kind: in.kind, L: in.l.node, R: r.node}
	n.LCols, n.RCols = in.layouts(p)
	lk, rk := make([]bind.Expr, len(eqs)), make([]bind.Expr, len(eqs))
	for i, q := range eqs {
		lk[i], rk[i] = q.l, q.r
		n.Text = append(n.Text, bind.Format(q.cond))
	}
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
	if in.kind == bind.JoinInner && in.l.rows < r.rows {
		n.L, n.R, n.LKeys, n.RKeys, n.LCols, n.RCols = n.R, n.L, n.RKeys, n.LKeys, n.RCols, n.LCols
	}
	return planned{node: p.wrap(n), rows: joinRows(in.kind, in.l.rows, max(in.l.rows, r.rows))}, nil
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
