package plan

import (
	"slices"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/types"
)

// A scalar subquery that aggregates the rows equal to the outer row's in some columns
//
//	x < (SELECT 0.2 * avg(b.q) FROM b WHERE b.k = a.k)
//
// runs once for each outer row, or for each different a.k. It may instead be computed for all groups at
// once and joined:
//
//	a LEFT JOIN (SELECT k, avg(q) AS v FROM b GROUP BY k) ON b.k = a.k,   x < 0.2 * v
//
// An outer row without partner sees what the aggregates give for no rows: NULL, or the 0 of count, which
// the expression above computes with. Which of both is better, costs decide.
type correlated struct {
	sub *bind.Subquery
	// agg is the aggregation by groups, on are the equalities with the outer row.
	agg *bind.Agg
	on  []bind.Expr
	// value is the subquery's value above the join.
	value bind.Expr
}

// decorrelate joins what is worth it and returns the conditions that are left, over the joined rows.
func (p *planner) decorrelate(in planned, below bind.Set, preds []bind.Expr) (planned, []bind.Expr, error) {
	out := slices.Clone(preds)
	lset := below
	for i := range out {
		for _, c := range p.correlatedIn(out[i]) {
			once, subs, err := p.aside(func() (planned, error) { return p.plan(c.sub.Rel, nil, nil) })
			if err != nil {
				return in, nil, err
			}
			p.dropSubplans(subs)
			groups, subs, err := p.aside(func() (planned, error) { return p.plan(c.agg, nil, nil) })
			if err != nil {
				return in, nil, err
			}
			p.dropSubplans(subs)
			runs := min(in.rows, p.outerValues(c, in.rows))
			if runs*(once.cost+callCost) < groups.cost+groups.rows*buildCost+in.rows*probeCost {
				continue
			}
			rset := bind.Output(c.agg)
			if in, err = p.joinTwo(joinInput{kind: bind.JoinLeft, l: in, lset: lset, r: c.agg, rset: rset, conds: c.on, rows: in.rows}); err != nil {
				return in, nil, err
			}
			lset = union(lset, rset)
			out[i] = bind.Rewrite(out[i], func(e bind.Expr) bind.Expr {
				if s, ok := e.(*bind.Subquery); ok && s == c.sub {
					return c.value
				}
				return nil
			})
		}
	}
	return in, out, nil
}

// decorrelateItems does the same for the subqueries of a target list. It is for inputs of which neither
// order nor only the first rows are wanted.
func (p *planner) decorrelateItems(in planned, below bind.Set, items []bind.Item) (planned, []bind.Item, error) {
	if p.o.Avoid.Rewrites || !slices.ContainsFunc(items, func(it bind.Item) bool { return hasSubquery(it.E) }) {
		return in, items, nil
	}
	es := make([]bind.Expr, len(items))
	for i, it := range items {
		es[i] = it.E
	}
	in, es, err := p.decorrelate(in, below, es)
	if err != nil {
		return in, items, err
	}
	out := slices.Clone(items)
	for i := range out {
		out[i].E = es[i]
	}
	return in, out, nil
}

// outerValues guesses how many different values of the outer row the subquery is run for.
func (p *planner) outerValues(c *correlated, rows float64) float64 {
	n := 1.0
	for _, e := range c.on {
		call := e.(*bind.Call)
		outer := call.Args[0]
		if intersects(bind.Refs(outer), bind.Output(c.agg)) {
			outer = call.Args[1]
		}
		n *= p.distinctOf(outer, rows)
	}
	return min(n, rows)
}

func (p *planner) correlatedIn(e bind.Expr) (out []*correlated) {
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		if s, ok := x.(*bind.Subquery); ok && s.Kind == bind.SubScalar {
			if c := p.asGroups(s); c != nil {
				out = append(out, c)
			}
		}
	})
	return out
}

// asGroups takes a subquery apart; nil if it is not of the form above.
func (p *planner) asGroups(s *bind.Subquery) *correlated {
	items := map[bind.ColID]bind.Expr{}
	r := s.Rel
	for {
		x, ok := r.(*bind.Project)
		if !ok {
			break
		}
		for _, it := range x.Items {
			if isVolatile(it.E) || hasSubquery(it.E) {
				return nil
			}
			items[it.ID] = it.E
		}
		r = x.In
	}
	agg, ok := r.(*bind.Agg)
	if !ok || !agg.Global || len(agg.Groups) > 0 || agg.Sets != nil || len(bind.OuterRefs(s.Rel)) == 0 {
		return nil
	}
	inner := bind.Output(agg.In)
	for _, e := range bind.RelExprs(agg) {
		if !subset(bind.Refs(e), inner) || isVolatile(e) {
			return nil
		}
	}
	c := &correlated{sub: s, agg: &bind.Agg{Aggs: agg.Aggs}}
	if c.agg.In = c.split(agg.In, inner); c.agg.In == nil || len(c.on) == 0 || len(bind.OuterRefs(c.agg.In)) > 0 {
		return nil
	}
	if c.value = p.emptyAware(agg, items, s.Cols[0]); c.value == nil {
		return nil
	}
	return c
}

// split takes the equalities with outer values out of the filter below an aggregation.
func (c *correlated) split(r bind.Rel, inner bind.Set) bind.Rel {
	switch x := r.(type) {
	case *bind.Project:
		in := c.split(x.In, inner)
		if in == nil {
			return nil
		}
		return &bind.Project{In: in, Items: x.Items, Out: x.Out}
	case *bind.Filter:
		if x.Secure {
			return nil
		}
		var local []bind.Expr
		for _, e := range conjuncts(x.Pred) {
			if subset(bind.Refs(e), inner) {
				local = append(local, e)
			} else if !c.equality(e, inner) {
				return nil
			}
		}
		if len(local) == 0 {
			return x.In
		}
		return &bind.Filter{In: x.In, Pred: all(local)}
	}
	return nil
}

// equality notes inner column = outer value.
func (c *correlated) equality(e bind.Expr, inner bind.Set) bool {
	eq := equality2(e)
	if eq == nil || isVolatile(e) || hasSubquery(e) {
		return false
	}
	for i, a := range eq.Args {
		id, ok := plainCol(a)
		if !ok || !inner.Has(id) || intersects(bind.Refs(eq.Args[1-i]), inner) {
			continue
		}
		c.on = append(c.on, e)
		for _, g := range c.agg.Groups {
			if g.ID == id {
				return true
			}
		}
		c.agg.Groups = append(c.agg.Groups, bind.Item{ID: id, E: readColumn(a)})
		return true
	}
	return false
}

// readColumn is the column that an expression merely reads.
func readColumn(e bind.Expr) bind.Expr {
	for {
		x, ok := e.(*bind.Cast)
		if !ok {
			return e
		}
		e = x.E
	}
}

// emptyAware is the subquery's value from the registers of the groups, which are NULL where there is no
// group.
func (p *planner) emptyAware(agg *bind.Agg, items map[bind.ColID]bind.Expr, col bind.Col) bind.Expr {
	ok := true
	empty := map[bind.ColID]bind.Expr{}
	for i := range agg.Aggs {
		a := &agg.Aggs[i]
		read := &bind.Col{ID: a.ID, T: a.M.Ret, Name: a.M.Name, Pos: -1}
		empty[a.ID] = read
		if p.o.Eval == nil {
			return nil
		}
		d, err := a.M.NewAgg(exprTypes(a.Args)).Result(p.o.Eval)
		if err != nil {
			return nil
		}
		if !d.IsNull() {
			empty[a.ID] = &bind.Coalesce{Args: []bind.Expr{read, &bind.Const{D: d, T: a.M.Ret, Pos: -1}}, T: a.M.Ret}
		}
	}
	var value func(e bind.Expr) bind.Expr
	value = func(e bind.Expr) bind.Expr {
		return bind.Rewrite(e, func(x bind.Expr) bind.Expr {
			c, isCol := x.(*bind.Col)
			if !isCol {
				return nil
			}
			if it := items[c.ID]; it != nil {
				return value(it)
			}
			if it := empty[c.ID]; it != nil {
				return it
			}
			ok = false
			return x
		})
	}
	out := value(&bind.Col{ID: col.ID, T: col.T, Name: col.Name, Pos: -1})
	if !ok {
		return nil
	}
	return out
}

// minMax answers SELECT min(x), max(y) from the ends of indexes, where there are such.
func (p *planner) minMax(r *bind.Agg, preds []bind.Expr) (planned, bool, error) {
	if p.o.Avoid.Index || !r.Global || r.Sets != nil || len(r.Aggs) == 0 || len(r.Aggs) > minMaxMax || len(preds) > 0 {
		return planned{}, false, nil
	}
	n := &exec.IndexEnds{}
	cost := 0.0
	var subs []int
	for i := range r.Aggs {
		a := &r.Aggs[i]
		if a.M.Name != "min" && a.M.Name != "max" || len(a.Args) != 1 || a.Filter != nil {
			return planned{}, false, nil
		}
		id, ok := plainCol(a.Args[0])
		if !ok || p.cols[id] == nil || !chainToScan(r.In) {
			return planned{}, false, nil
		}
		col := &bind.Col{ID: id, T: p.cols[id].typ, Name: p.cols[id].table.Columns[p.cols[id].ord].Name, Pos: -1}
		key := bind.SortKey{ID: id, Desc: a.M.Name == "max", NullsFirst: a.M.Name == "max", T: col.T}
		w := &wanted{keys: []bind.SortKey{key}, limit: one}
		var extra []bind.Expr
		if !p.cols[id].table.Columns[p.cols[id].ord].NotNull {
			extra = []bind.Expr{&bind.IsNull{E: col, Negate: true}}
		}
		out, at, err := p.aside(func() (planned, error) { return p.plan(r.In, extra, w) })
		if err != nil || !out.ordered {
			return out, false, err
		}
		subs = append(subs, at)
		cost += out.cost
		n.In = append(n.In, out.node)
		n.From, n.To = append(n.From, id), append(n.To, a.ID)
		n.Text = append(n.Text, a.M.Name+"("+col.Name+")")
	}
	for _, at := range subs {
		p.keepSubplans(at)
	}
	return p.done(n, 1, cost), true, nil
}

// one is a limit of one row.
func one(*exec.Run) (types.Datum, error) { return types.NewInt(1), nil }

// chainToScan says that r is a table under filters.
func chainToScan(r bind.Rel) bool {
	s, _ := scanBelow(r, nil)
	return s != nil
}
