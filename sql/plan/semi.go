package plan

import (
	"github.com/cairndb/cairn/sql/bind"
)

// semi is a subquery condition that is planned as a join: EXISTS, NOT EXISTS, IN.
type semi struct {
	sub  *bind.Subquery
	anti bool
}

// refs are the registers that it reads of the rows it is joined to.
func (s *semi) refs() bind.Set { return bind.Refs(s.sub) }

// splitSemi takes the conditions that can be joins out of a list. NOT IN stays a condition: a NULL
// among its rows makes it NULL, which no anti join says.
func (p *planner) splitSemi(preds []bind.Expr) (rest []bind.Expr, semis []semi) {
	if p.o.Avoid.Rewrites {
		return preds, nil
	}
	for _, e := range preds {
		anti := false
		x := e
		if n, ok := e.(*bind.Not); ok {
			anti, x = true, n.E
		}
		s, ok := x.(*bind.Subquery)
		switch {
		case ok && s.Kind == bind.SubExists && joinable(s.Rel) && len(bind.OuterRefs(s.Rel)) > 0:
			semis = append(semis, semi{s, anti})
		case ok && s.Kind == bind.SubAny && s.Equal && !anti && len(bind.OuterRefs(s.Rel)) == 0 && len(s.Test) == 1 &&
			len(bind.Refs(s.Test[0])) > 0:
			semis = append(semis, semi{s, false})
		default:
			rest = append(rest, e)
		}
	}
	return rest, semis
}

// joinable says that a subquery's conditions can move into a join: there is nothing between them
// and the top but projections.
func joinable(r bind.Rel) bool {
	for {
		switch x := r.(type) {
		case *bind.Project:
			r = x.In
		case *bind.Filter:
			return !x.Secure && len(bind.OuterRefs(x.In)) == 0
		default:
			return false
		}
	}
}

// semiJoins puts semi and anti joins above an operator.
func (p *planner) semiJoins(out planned, lset bind.Set, semis []semi) (planned, error) {
	for _, s := range semis {
		in := joinInput{kind: bind.JoinSemi, l: out, lset: lset}
		if s.anti {
			in.kind = bind.JoinAnti
		}
		p.semiSides(&in, s)
		var err error
		if out, err = p.joinTwo(in); err != nil {
			return out, err
		}
		out.ordered = false
	}
	return out, nil
}

func (p *planner) semiSides(in *joinInput, s semi) {
	in.r = s.sub.Rel
	if s.sub.Kind == bind.SubAny {
		in.rset = bind.Output(in.r)
		in.conds = conjuncts(s.sub.Cmp)
		return
	}
	var f *bind.Filter
	for f == nil {
		switch x := in.r.(type) {
		case *bind.Project:
			in.r = x.In
		case *bind.Filter:
			f, in.r = x, x.In
		}
	}
	in.rset = bind.Output(in.r)
	for _, e := range conjuncts(f.Pred) {
		refs := bind.Refs(e)
		local := true
		for id := range refs {
			local = local && in.rset.Has(id)
		}
		if local {
			in.rpreds = append(in.rpreds, e)
		} else {
			in.conds = append(in.conds, e)
		}
	}
}
