package exec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Compiler turns expressions into closures. Plan plans the relation of a subquery.
type Compiler struct {
	Plan func(bind.Rel) (Node, error)
	// States counts the caches that a Run needs.
	States int
	// Subplans collects the plans of subqueries, for EXPLAIN.
	Subplans []Node
}

// Compile compiles an expression. A nil expression gives a nil Eval.
func (c *Compiler) Compile(e bind.Expr) (Eval, error) {
	switch e := e.(type) {
	case nil:
		return nil, nil
	case *bind.Const:
		d := e.D
		return func(*Run) (types.Datum, error) { return d, nil }, nil
	case *bind.Param:
		i := e.Idx
		return func(r *Run) (types.Datum, error) { return r.Params[i], nil }, nil
	case *bind.Col:
		id := e.ID
		return func(r *Run) (types.Datum, error) { return r.Slots[id], nil }, nil
	case *bind.Call:
		return c.call(e)
	case *bind.Cast:
		return c.cast(e)
	case *bind.DomainCheck:
		return c.domainCheck(e)
	case *bind.DomainValue:
		return func(r *Run) (types.Datum, error) { return r.domain, nil }, nil
	case *bind.And:
		return c.and(e)
	case *bind.Or:
		return c.or(e)
	case *bind.Not:
		return c.not(e)
	case *bind.IsNull:
		return c.isNull(e)
	case *bind.BoolTest:
		return c.boolTest(e)
	case *bind.Case:
		return c.caseOf(e)
	case *bind.Coalesce:
		return c.coalesce(e)
	case *bind.Attempt:
		return c.attempt(e)
	case *bind.Settled:
		return c.settled(e)
	case *bind.MinMax:
		return c.minMax(e)
	case *bind.NullIf:
		return c.nullIf(e)
	case *bind.Distinct:
		return c.distinct(e)
	case *bind.In:
		return c.in(e)
	case *bind.Quant:
		return c.quant(e)
	case *bind.Array:
		return c.array(e)
	case *bind.Row:
		return c.row(e)
	case *bind.Field:
		return c.field(e)
	case *bind.RowCompare:
		return c.rowCompare(e)
	case *bind.Subscript:
		return c.subscript(e)
	case *bind.SetPart:
		return c.setPart(e)
	case *bind.Subquery:
		return c.subquery(e)
	}
	return nil, fmt.Errorf("exec: no way to compute %T", e)
}

// CompileAll compiles several expressions.
func (c *Compiler) CompileAll(es []bind.Expr) ([]Eval, error) {
	out := make([]Eval, len(es))
	for i, e := range es {
		f, err := c.Compile(e)
		if err != nil {
			return nil, err
		}
		out[i] = f
	}
	return out, nil
}

func (c *Compiler) call(e *bind.Call) (Eval, error) {
	f, err := c.callFunction(e)
	if err != nil || !e.M.Overload.IsDraw() {
		return f, err
	}
	name := e.M.Name
	return func(r *Run) (types.Datum, error) {
		if r.EC == nil || r.EC.Draws == nil || !r.EC.Draws.Watching() {
			return f(r)
		}
		return r.EC.Draws.Draw(name, func() (types.Datum, error) { return f(r) })
	}, nil
}

func (c *Compiler) callFunction(e *bind.Call) (Eval, error) {
	if e.M.Strict && e.M.Class == builtins.Scalar && slices.ContainsFunc(e.Args, isNullConst) && !slices.ContainsFunc(e.Args, isConstant) {
		// What the other arguments are does not matter, so neither do their errors, as in Postgres, but
		// for errors of constants, which it folds first.
		return func(*Run) (types.Datum, error) { return types.Null, nil }, nil
	}
	args, err := c.CompileAll(e.Args)
	if err != nil {
		return nil, err
	}
	o := e.M.Overload
	switch {
	case len(args) == 2 && o.Fn2 != nil:
		return call2(args[0], args[1], o.Fn2, o.Strict), nil
	case len(args) == 1 && o.Fn1 != nil:
		return call1(args[0], o.Fn1, o.Strict), nil
	case e.M.Call == nil:
		return nil, sqlerr.Unsupported("calling %s here", e.M.Name)
	}
	fn := e.M.Call
	return func(r *Run) (types.Datum, error) {
		base := len(r.stack)
		for _, a := range args {
			d, err := a(r)
			if err != nil {
				r.stack = r.stack[:base]
				return types.Null, err
			}
			r.stack = append(r.stack, d)
		}
		out, err := fn(r.EC, r.stack[base:len(r.stack):len(r.stack)])
		r.stack = r.stack[:base]
		return out, err
	}, nil
}

func isNullConst(e bind.Expr) bool {
	c, ok := e.(*bind.Const)
	return ok && c.D.IsNull()
}

// isConstant says that e is the same for every row and no constant yet: computing it failed.
func isConstant(e bind.Expr) bool {
	c, ok := e.(*bind.Call)
	return ok && c.M.Vol == builtins.Immutable && len(bind.Refs(c)) == 0
}

func call1(a Eval, fn builtins.Fn1, strict bool) Eval {
	return func(r *Run) (types.Datum, error) {
		x, err := a(r)
		if err != nil || strict && x.IsNull() {
			return types.Null, err
		}
		return fn(r.EC, x)
	}
}

func call2(a, b Eval, fn builtins.Fn2, strict bool) Eval {
	return func(r *Run) (types.Datum, error) {
		x, err := a(r)
		if err != nil || strict && x.IsNull() {
			return types.Null, err
		}
		y, err := b(r)
		if err != nil || strict && y.IsNull() {
			return types.Null, err
		}
		return fn(r.EC, x, y)
	}
}

func (c *Compiler) cast(e *bind.Cast) (Eval, error) {
	in, err := c.Compile(e.E)
	if err != nil || e.Relabel {
		return in, err
	}
	from, to, explicit := e.E.Type(), e.To, e.Explicit
	if from.OID == to.OID {
		return func(r *Run) (types.Datum, error) {
			d, err := in(r)
			if err != nil || d.IsNull() {
				return d, err
			}
			return types.Coerce(d, to, explicit)
		}, nil
	}
	return func(r *Run) (types.Datum, error) {
		d, err := in(r)
		if err != nil || d.IsNull() {
			return d, err
		}
		return types.Cast(d, from, to, explicit, r.EC.Env)
	}, nil
}

func (c *Compiler) and(e *bind.And) (Eval, error) { return c.connective(e.Args, false) }
func (c *Compiler) or(e *bind.Or) (Eval, error)   { return c.connective(e.Args, true) }

// connective is AND (decided by false) or OR (decided by true).
func (c *Compiler) connective(es []bind.Expr, decider bool) (Eval, error) {
	args, err := c.CompileAll(es)
	if err != nil {
		return nil, err
	}
	return func(r *Run) (types.Datum, error) {
		null := false
		for _, a := range args {
			d, err := a(r)
			if err != nil {
				return types.Null, err
			}
			if d.IsNull() {
				null = true
			} else if d.Bool() == decider {
				return d, nil
			}
		}
		if null {
			return types.Null, nil
		}
		return types.NewBool(!decider), nil
	}, nil
}

func (c *Compiler) not(e *bind.Not) (Eval, error) {
	in, err := c.Compile(e.E)
	return func(r *Run) (types.Datum, error) {
		d, err := in(r)
		if err != nil || d.IsNull() {
			return d, err
		}
		return types.NewBool(!d.Bool()), nil
	}, err
}

func (c *Compiler) isNull(e *bind.IsNull) (Eval, error) {
	if row, ok := e.E.(*bind.Row); ok {
		return c.rowIsNull(row, e.Negate)
	}
	in, err := c.Compile(e.E)
	negate := e.Negate
	return func(r *Run) (types.Datum, error) {
		d, err := in(r)
		if d.Kind() == types.KindRecord {
			return types.NewBool(recordIsNull(d.Record(), negate)), err
		}
		return types.NewBool(d.IsNull() != negate), err
	}, err
}

// recordIsNull says that all of a row's values are NULL, or with negate that none is.
func recordIsNull(r *types.RecordValue, negate bool) bool {
	for _, d := range r.Vals {
		if d.IsNull() == negate {
			return false
		}
	}
	return true
}

func (c *Compiler) field(e *bind.Field) (Eval, error) {
	in, err := c.Compile(e.E)
	at := e.Idx
	return func(r *Run) (types.Datum, error) {
		d, err := in(r)
		if err != nil || d.IsNull() {
			return types.Null, err
		}
		return d.Record().Vals[at], nil
	}, err
}

func (c *Compiler) rowIsNull(row *bind.Row, negate bool) (Eval, error) {
	args, err := c.CompileAll(row.Elems)
	return func(r *Run) (types.Datum, error) {
		for _, a := range args {
			d, err := a(r)
			if err != nil {
				return types.Null, err
			}
			if d.IsNull() == negate {
				return types.NewBool(false), nil
			}
		}
		return types.NewBool(true), nil
	}, err
}

func (c *Compiler) boolTest(e *bind.BoolTest) (Eval, error) {
	in, err := c.Compile(e.E)
	want, negate := e.Want, e.Negate
	return func(r *Run) (types.Datum, error) {
		d, err := in(r)
		same := d.IsNull() == want.IsNull() && (d.IsNull() || d.Bool() == want.Bool())
		return types.NewBool(same != negate), err
	}, err
}

func (c *Compiler) caseOf(e *bind.Case) (Eval, error) {
	type branch struct{ cond, result Eval }
	var branches []branch
	for _, w := range e.Whens {
		both, err := c.CompileAll([]bind.Expr{w.Cond, w.Result})
		if err != nil {
			return nil, err
		}
		branches = append(branches, branch{both[0], both[1]})
	}
	els, err := c.Compile(e.Else)
	return func(r *Run) (types.Datum, error) {
		for i := range branches {
			ok, err := evalBool(r, branches[i].cond)
			if err != nil {
				return types.Null, err
			}
			if ok {
				return branches[i].result(r)
			}
		}
		if els == nil {
			return types.Null, nil
		}
		return els(r)
	}, err
}

func (c *Compiler) coalesce(e *bind.Coalesce) (Eval, error) {
	args, err := c.CompileAll(e.Args)
	return func(r *Run) (types.Datum, error) {
		for _, a := range args {
			if d, err := a(r); err != nil || !d.IsNull() {
				return d, err
			}
		}
		return types.Null, nil
	}, err
}

func (c *Compiler) attempt(e *bind.Attempt) (Eval, error) {
	all, err := c.CompileAll(append(slices.Clone(e.Also), e.E))
	return func(r *Run) (d types.Datum, err error) {
		for _, f := range all {
			if d, err = f(r); err != nil {
				if isDataError(err) {
					err = nil
				}
				return types.Null, err
			}
		}
		return d, nil
	}, err
}

func (c *Compiler) settled(e *bind.Settled) (Eval, error) {
	f, err := c.Compile(e.E)
	return func(r *Run) (types.Datum, error) {
		session := r.EC
		r.EC = e.By.Context(session)
		d, err := f(r)
		r.EC = session
		return d, err
	}, err
}

// isDataError says that an error comes from the values alone: the same ones give it again, at any
// time and on any node.
func isDataError(err error) bool {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code[:2] {
	case "40", "53", "57", "58", "08", "XX":
		return false
	}
	return true
}

func (c *Compiler) minMax(e *bind.MinMax) (Eval, error) {
	args, err := c.CompileAll(e.Args)
	want := 1
	if e.Least {
		want = -1
	}
	return func(r *Run) (types.Datum, error) {
		best := types.Null
		for _, a := range args {
			d, err := a(r)
			if err != nil {
				return types.Null, err
			}
			if !d.IsNull() && (best.IsNull() || types.Compare(d, best) == want) {
				best = d
			}
		}
		return best, nil
	}, err
}

func (c *Compiler) nullIf(e *bind.NullIf) (Eval, error) {
	both, err := c.CompileAll([]bind.Expr{e.A, e.Eq})
	if err != nil {
		return nil, err
	}
	return func(r *Run) (types.Datum, error) {
		eq, err := evalBool(r, both[1])
		if err != nil || eq {
			return types.Null, err
		}
		return both[0](r)
	}, nil
}

func (c *Compiler) distinct(e *bind.Distinct) (Eval, error) {
	both, err := c.CompileAll([]bind.Expr{e.L, e.R})
	if err != nil {
		return nil, err
	}
	negate := e.Negate
	return func(r *Run) (types.Datum, error) {
		a, err := both[0](r)
		if err != nil {
			return types.Null, err
		}
		b, err := both[1](r)
		same := a.IsNull() == b.IsNull() && (a.IsNull() || types.Compare(a, b) == 0)
		return types.NewBool(same == negate), err
	}, nil
}

func (c *Compiler) row(e *bind.Row) (Eval, error) {
	args, err := c.CompileAll(e.Elems)
	ts := make([]types.T, len(e.Elems))
	for i, x := range e.Elems {
		ts[i] = x.Type()
	}
	names := e.Names
	if e.T.IsComposite() {
		names, ts = e.T.Fields()
	}
	return func(r *Run) (types.Datum, error) {
		out := make([]types.Datum, len(args))
		for i, a := range args {
			d, err := a(r)
			if err != nil {
				return types.Null, err
			}
			out[i] = d
		}
		if e.Optional && absent(out, e.Key) {
			return types.Null, nil
		}
		return types.NewRecord(names, ts, out), nil
	}, err
}

// absent says that a row is none, see bind.Row.
func absent(row []types.Datum, key int) bool {
	if key >= 0 {
		return row[key].IsNull()
	}
	return !slices.ContainsFunc(row, func(d types.Datum) bool { return !d.IsNull() })
}

// rowCompare orders rows by their first unequal column; a NULL there makes it NULL.
func (c *Compiler) rowCompare(e *bind.RowCompare) (Eval, error) {
	l, err := c.CompileAll(e.L)
	if err != nil {
		return nil, err
	}
	rs, err := c.CompileAll(e.R)
	op := e.Op
	return func(r *Run) (types.Datum, error) {
		cmp := 0
		for i := range l {
			a, err := l[i](r)
			if err != nil {
				return types.Null, err
			}
			b, err := rs[i](r)
			if err != nil {
				return types.Null, err
			}
			if a.IsNull() || b.IsNull() {
				return types.Null, nil
			}
			if cmp = types.Compare(a, b); cmp != 0 {
				break
			}
		}
		return types.NewBool(orderHolds(op, cmp)), nil
	}, err
}

func orderHolds(op string, cmp int) bool {
	switch op {
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	}
	return cmp >= 0
}
