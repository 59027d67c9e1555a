package plan

import (
	"github.com/cairndb/cairn/sql/bind"
)

// factored takes what all branches of an OR have in common out of it:
// (a AND x) OR (a AND y) is a AND (x OR y). A join condition that stands in every branch is found so.
func (p *planner) factored(preds []bind.Expr) []bind.Expr {
	if p.o.Avoid.Rewrites {
		return preds
	}
	var out []bind.Expr
	for _, e := range preds {
		or, ok := e.(*bind.Or)
		if !ok {
			out = append(out, e)
			continue
		}
		out = append(out, factorOr(or)...)
	}
	return out
}

func factorOr(or *bind.Or) []bind.Expr {
	branches := make([][]bind.Expr, len(or.Args))
	counts := map[string]int{}
	for i, b := range or.Args {
		branches[i] = conjuncts(b)
		seen := map[string]bool{}
		for _, e := range branches[i] {
			if k := bind.Key(e); !seen[k] && !hasSubquery(e) {
				seen[k] = true
				counts[k]++
			}
		}
	}
	var common []bind.Expr
	taken := map[string]bool{}
	for _, e := range branches[0] {
		if k := bind.Key(e); counts[k] == len(branches) && !taken[k] && !isVolatile(e) {
			common, taken[k] = append(common, e), true
		}
	}
	if len(common) == 0 {
		return []bind.Expr{or}
	}
	rest := &bind.Or{}
	for _, b := range branches {
		var left []bind.Expr
		for _, e := range b {
			if !taken[bind.Key(e)] {
				left = append(left, e)
			}
		}
		if len(left) == 0 {
			return common // a branch that asks for nothing more
		}
		rest.Args = append(rest.Args, all(left))
	}
	return append(common, rest)
}

// simplifyOuter makes outer joins inner ones where a condition above drops the rows that the join
// filled with NULLs; notNull are registers that conditions above want not to be NULL.
func simplifyOuter(r bind.Rel, notNull bind.Set) {
	switch x := r.(type) {
	case *bind.Filter:
		simplifyOuter(x.In, union(notNull, rejected(x.Pred)))
		return
	case *bind.Project:
		simplifyOuter(x.In, notNull)
		return
	case *bind.Sort:
		simplifyOuter(x.In, notNull)
		return
	case *bind.Join:
		simplifyJoin(x, notNull)
		return
	}
	for _, in := range bind.Inputs(r) {
		simplifyOuter(in, nil)
	}
}

func simplifyJoin(x *bind.Join, notNull bind.Set) {
	wantsL, wantsR := intersects(notNull, bind.Output(x.L)), intersects(notNull, bind.Output(x.R))
	switch {
	case x.Kind == bind.JoinLeft && wantsR, x.Kind == bind.JoinRight && wantsL, x.Kind == bind.JoinFull && wantsL && wantsR:
		x.Kind = bind.JoinInner
	case x.Kind == bind.JoinFull && wantsL:
		x.Kind = bind.JoinLeft
	case x.Kind == bind.JoinFull && wantsR:
		x.Kind = bind.JoinRight
	}
	var on bind.Set
	if x.On != nil {
		on = rejected(x.On)
	}
	l, r := notNull, notNull
	switch x.Kind {
	case bind.JoinInner, bind.JoinSemi:
		l, r = union(notNull, on), union(notNull, on)
	case bind.JoinLeft:
		r = on
	case bind.JoinRight:
		l = on
	case bind.JoinFull:
		l, r = nil, nil
	case bind.JoinAnti:
		r = on
	}
	simplifyOuter(x.L, l)
	simplifyOuter(x.R, r)
}

func union(a, b bind.Set) bind.Set {
	out := bind.Set{}
	for id := range a {
		out[id] = struct{}{}
	}
	for id := range b {
		out[id] = struct{}{}
	}
	return out
}

// rejected are the registers for whose NULL a condition is not true.
func rejected(e bind.Expr) bind.Set {
	switch e := e.(type) {
	case *bind.And:
		out := bind.Set{}
		for _, a := range e.Args {
			out = union(out, rejected(a))
		}
		return out
	case *bind.Or:
		var out bind.Set
		for i, a := range e.Args {
			x := rejected(a)
			if i == 0 {
				out = x
				continue
			}
			for id := range out {
				if !x.Has(id) {
					delete(out, id)
				}
			}
		}
		return out
	case *bind.IsNull:
		if e.Negate {
			return strictIn(e.E)
		}
		return nil
	}
	return strictIn(e)
}

// strictIn are the registers whose NULL makes an expression NULL.
func strictIn(e bind.Expr) bind.Set {
	switch e := e.(type) {
	case *bind.Col:
		return bind.Set{e.ID: {}}
	case *bind.Cast:
		return strictIn(e.E)
	case *bind.Not:
		return strictIn(e.E)
	case *bind.In:
		return strictIn(e.E)
	case *bind.Call:
		out := bind.Set{}
		if e.M.Overload != nil && e.M.Strict {
			for _, a := range e.Args {
				out = union(out, strictIn(a))
			}
		}
		return out
	}
	return nil
}
