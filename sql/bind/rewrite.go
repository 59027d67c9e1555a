package bind

// Rewrite copies an expression, replacing what f replaces: where f returns a non-nil expression
// that takes the place of the node with all below it. Relations of subqueries are shared, not
// copied.
func Rewrite(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	if r := f(e); r != nil {
		return r
	}
	all := func(es []Expr) []Expr {
		out := make([]Expr, len(es))
		for i, x := range es {
			out[i] = Rewrite(x, f)
		}
		return out
	}
	one := func(x Expr) Expr { return Rewrite(x, f) }
	switch e := e.(type) {
	case *Call:
		return &Call{M: e.M, Args: all(e.Args)}
	case *Cast:
		c := *e
		c.E = one(e.E)
		return &c
	case *DomainCheck:
		c := *e
		c.E = one(e.E)
		return &c
	case *And:
		return &And{Args: all(e.Args)}
	case *Or:
		return &Or{Args: all(e.Args)}
	case *Not:
		return &Not{E: one(e.E)}
	case *IsNull:
		return &IsNull{E: one(e.E), Negate: e.Negate}
	case *BoolTest:
		return &BoolTest{E: one(e.E), Want: e.Want, Negate: e.Negate}
	case *Case:
		c := &Case{T: e.T, Else: one(e.Else)}
		for _, w := range e.Whens {
			c.Whens = append(c.Whens, When{Cond: one(w.Cond), Result: one(w.Result)})
		}
		return c
	case *Coalesce:
		return &Coalesce{Args: all(e.Args), T: e.T}
	case *Attempt:
		return &Attempt{E: one(e.E), Also: all(e.Also)}
	case *Settled:
		return &Settled{E: one(e.E), By: e.By}
	case *MinMax:
		return &MinMax{Args: all(e.Args), Least: e.Least, T: e.T}
	case *NullIf:
		return &NullIf{A: one(e.A), Eq: one(e.Eq), TypeA: e.TypeA}
	case *Distinct:
		return &Distinct{L: one(e.L), R: one(e.R), Negate: e.Negate}
	case *In:
		return &In{E: one(e.E), List: all(e.List), Negate: e.Negate}
	case *Quant:
		q := *e
		q.E, q.Array = one(e.E), one(e.Array)
		return &q
	case *Array:
		return &Array{Elems: all(e.Elems), T: e.T}
	case *Row:
		return &Row{Elems: all(e.Elems), Names: e.Names, T: e.T, Optional: e.Optional, Key: e.Key}
	case *RowCompare:
		return &RowCompare{Op: e.Op, L: all(e.L), R: all(e.R)}
	case *Subscript:
		s := *e
		s.E, s.Subs = one(e.E), subs(e.Subs, one)
		return &s
	case *SetPart:
		s := *e
		s.E, s.Subs, s.Path, s.Value = one(e.E), subs(e.Subs, one), all(e.Path), one(e.Value)
		return &s
	case *Field:
		return &Field{E: one(e.E), Idx: e.Idx, T: e.T}
	case *Subquery:
		s := *e
		s.Test, s.Cmp = all(e.Test), one(e.Cmp)
		return &s
	}
	return e
}

func subs(in []Sub, one func(Expr) Expr) []Sub {
	out := make([]Sub, len(in))
	for i, s := range in {
		out[i] = Sub{Lo: one(s.Lo), Hi: one(s.Hi), Slice: s.Slice}
	}
	return out
}
