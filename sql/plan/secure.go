package plan

import (
	"github.com/cairndb/cairn/sql/bind"
)

// secured plans a filter of row-level security (R1 of bind/security.go): conditions of the statement
// join the policies', and so may choose an index, only if they can tell nothing about a row that the
// policies hide. The others are evaluated on what is left.
func (p *planner) secured(r *bind.Filter, preds []bind.Expr, w *wanted) (planned, error) {
	below := p.factored(conjuncts(r.Pred))
	var above []bind.Expr
	for _, e := range preds {
		if leakproof(e) {
			below = append(below, e)
		} else {
			above = append(above, e)
		}
	}
	if len(above) > 0 && w != nil {
		w = &wanted{keys: w.keys} // not all rows that are read are shown
	}
	out, err := p.plan(r.In, below, w)
	if err != nil || len(above) == 0 {
		return out, err
	}
	above, semi := p.splitSemi(above)
	above, costly := splitCostly(above)
	if out, err = p.filter(out, nil, above); err != nil {
		return out, err
	}
	if out, err = p.semiJoins(out, bind.Output(r), semi); err != nil {
		return out, err
	}
	return p.filter(out, bind.Output(r), costly)
}

// comparisons never fail and have no effect.
var comparisons = map[string]bool{"=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true}

// leakproof says that an expression cannot fail, and so tells nothing but its value: columns,
// constants and parameters, compared.
func leakproof(e bind.Expr) bool {
	switch x := e.(type) {
	case *bind.Col, *bind.Const, *bind.Param:
		return true
	case *bind.And:
		return leakproofAll(x.Args...)
	case *bind.Or:
		return leakproofAll(x.Args...)
	case *bind.Not:
		return leakproof(x.E)
	case *bind.IsNull:
		return leakproof(x.E)
	case *bind.BoolTest:
		return leakproof(x.E)
	case *bind.Distinct:
		return leakproofAll(x.L, x.R)
	case *bind.In:
		return leakproof(x.E) && leakproofAll(x.List...)
	case *bind.Cast:
		return x.Relabel && leakproof(x.E)
	case *bind.Call:
		return x.M.Op && comparisons[x.M.Name] && leakproofAll(x.Args...)
	}
	return false
}

func leakproofAll(es ...bind.Expr) bool {
	for _, e := range es {
		if !leakproof(e) {
			return false
		}
	}
	return true
}

// securedBelow says whether a relation that scanBelow sees through is under row-level security.
func securedBelow(r bind.Rel) bool {
	for {
		f, ok := r.(*bind.Filter)
		if !ok {
			return false
		}
		if f.Secure {
			return true
		}
		r = f.In
	}
}
