package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// inHashMin is the length from which a constant IN list is looked up by hash.
const inHashMin = 9

func (c *Compiler) in(e *bind.In) (Eval, error) {
	x, err := c.Compile(e.E)
	if err != nil {
		return nil, err
	}
	list, err := c.CompileAll(e.List)
	if err != nil {
		return nil, err
	}
	if len(list) >= inHashMin && allConst(e.List) {
		return inHash(x, e), nil
	}
	negate := e.Negate
	return func(r *Run) (types.Datum, error) {
		d, err := x(r)
		if err != nil || d.IsNull() {
			return types.Null, err
		}
		null := false
		for _, l := range list {
			v, err := l(r)
			if err != nil {
				return types.Null, err
			}
			if v.IsNull() {
				null = true
			} else if types.Compare(d, v) == 0 {
				return types.NewBool(!negate), nil
			}
		}
		if null {
			return types.Null, nil
		}
		return types.NewBool(negate), nil
	}, nil
}

func allConst(es []bind.Expr) bool {
	for _, e := range es {
		if _, ok := e.(*bind.Const); !ok {
			return false
		}
	}
	return true
}

func inHash(x Eval, e *bind.In) Eval {
	m, null, negate := newRowMap(), false, e.Negate
	for _, l := range e.List {
		if d := l.(*bind.Const).D; d.IsNull() {
			null = true
		} else {
			m.add([]types.Datum{d})
		}
	}
	return func(r *Run) (types.Datum, error) {
		d, err := x(r)
		if err != nil || d.IsNull() {
			return types.Null, err
		}
		if m.find([]types.Datum{d}) >= 0 {
			return types.NewBool(!negate), nil
		}
		if null {
			return types.Null, nil
		}
		return types.NewBool(negate), nil
	}
}

func (c *Compiler) quant(e *bind.Quant) (Eval, error) {
	both, err := c.CompileAll([]bind.Expr{e.E, e.Array})
	if err != nil {
		return nil, err
	}
	op, all, elemT, castT := e.Op, e.All, e.ElemT, e.CastElem
	return func(r *Run) (types.Datum, error) {
		x, err := both[0](r)
		if err != nil {
			return types.Null, err
		}
		arr, err := both[1](r)
		if err != nil || arr.IsNull() {
			return types.Null, err
		}
		q := quantifier{all: all}
		for _, el := range arr.Array().Elems {
			if castT.OID != 0 && !el.IsNull() {
				if el, err = types.Cast(el, elemT, castT, false, r.EC.Env); err != nil {
					return types.Null, err
				}
			}
			d, err := op.Call(r.EC, []types.Datum{x, el})
			if err != nil {
				return types.Null, err
			}
			if q.decided(d) {
				break
			}
		}
		return q.result(), nil
	}, nil
}

// quantifier folds the answers of ANY or ALL.
type quantifier struct {
	all, done, null bool
}

func (q *quantifier) decided(d types.Datum) bool {
	if d.IsNull() {
		q.null = true
		return false
	}
	q.done = d.Bool() != q.all
	return q.done
}

func (q *quantifier) result() types.Datum {
	switch {
	case q.done:
		return types.NewBool(!q.all)
	case q.null:
		return types.Null
	}
	return types.NewBool(q.all)
}

// subquery compiles a subquery in an expression. One that depends on nothing outside is computed
// once per execution.
func (c *Compiler) subquery(e *bind.Subquery) (Eval, error) {
	plan, err := c.Plan(e.Rel)
	if err != nil {
		return nil, err
	}
	c.Subplans = append(c.Subplans, plan)
	if (e.Kind == bind.SubAny || e.Kind == bind.SubAll) && e.Cmp != nil {
		return c.subQuantified(e, plan)
	}
	eval, err := c.subValue(e, plan)
	if err != nil || e.Kind == bind.SubRow {
		return eval, err
	}
	if len(bind.OuterRefs(e.Rel)) > 0 {
		return c.memoized(e, eval), nil
	}
	state := c.States
	c.States++
	return func(r *Run) (types.Datum, error) {
		if d, ok := r.state[state].(types.Datum); ok {
			return d, nil
		}
		d, err := eval(r)
		if err == nil {
			r.state[state] = d
		}
		return d, err
	}, nil
}

func (c *Compiler) subValue(e *bind.Subquery, plan Node) (Eval, error) {
	switch e.Kind {
	case bind.SubExists:
		return func(r *Run) (types.Datum, error) {
			cur, err := plan.Open(r)
			if err != nil {
				return types.Null, err
			}
			defer cur.Close()
			ok, err := cur.Next()
			return types.NewBool(ok), err
		}, nil
	case bind.SubArray:
		return subArray(e, plan), nil
	case bind.SubRow:
		cmp, err := c.Compile(e.Cmp)
		return subScalar(plan, cmp), err
	}
	id := e.Cols[0].ID
	return subScalar(plan, func(r *Run) (types.Datum, error) { return r.Slots[id], nil }), nil
}

// subScalar computes value over the one row of a subquery; NULL without a row.
func subScalar(plan Node, value Eval) Eval {
	return func(r *Run) (types.Datum, error) {
		cur, err := plan.Open(r)
		if err != nil {
			return types.Null, err
		}
		defer cur.Close()
		ok, err := cur.Next()
		if err != nil || !ok {
			return types.Null, err
		}
		d, err := value(r)
		if err != nil {
			return types.Null, err
		}
		if more, err := cur.Next(); err != nil || more {
			if err == nil {
				err = sqlerr.New(sqlerr.CardinalityViolation, "more than one row returned by a subquery used as an expression")
			}
			return types.Null, err
		}
		return d, nil
	}
}

func subArray(e *bind.Subquery, plan Node) Eval {
	elem, _ := e.T.Elem()
	stacked := e.Cols[0].T.IsArray()
	l := layout{e.Cols[0].ID}
	return func(r *Run) (types.Datum, error) {
		rows, err := l.drain(r, plan)
		if err != nil {
			return types.Null, err
		}
		out := make([]types.Datum, len(rows))
		for i, row := range rows {
			out[i] = row[0]
		}
		if stacked && len(out) > 0 {
			return types.StackArrays(elem, out, types.ErrSubarrays())
		}
		return types.NewArray(elem, out), nil
	}
}

// subQuantified compares with every row of a subquery; rows that depend on nothing outside are
// kept, and equality with one column is answered by hash.
func (c *Compiler) subQuantified(e *bind.Subquery, plan Node) (Eval, error) {
	cmp, err := c.Compile(e.Cmp)
	if err != nil {
		return nil, err
	}
	l := make(layout, len(e.Cols))
	for i := range e.Cols {
		l[i] = e.Cols[i].ID
	}
	all := e.Kind == bind.SubAll
	if len(bind.OuterRefs(e.Rel)) > 0 {
		return func(r *Run) (types.Datum, error) {
			cur, err := plan.Open(r)
			if err != nil {
				return types.Null, err
			}
			defer cur.Close()
			return foldQuantified(r, cur, cmp, all)
		}, nil
	}
	if e.Equal && len(e.Cols) == 1 && e.Test[0].Type().Kind() == e.Cols[0].T.Kind() {
		return c.subHashed(e, plan, l)
	}
	state := c.States
	c.States++
	return func(r *Run) (types.Datum, error) {
		rows, ok := r.state[state].([]types.Row)
		if !ok {
			var err error
			if rows, err = l.drain(r, plan); err != nil {
				return types.Null, err
			}
			r.state[state] = rows
		}
		return foldQuantified(r, &rowsCursor{r: r, l: l, rows: rows}, cmp, all)
	}, nil
}

func foldQuantified(r *Run, cur Cursor, cmp Eval, all bool) (types.Datum, error) {
	q := quantifier{all: all}
	for {
		ok, err := cur.Next()
		if err != nil {
			return types.Null, err
		}
		if !ok {
			return q.result(), nil
		}
		d, err := cmp(r)
		if err != nil {
			return types.Null, err
		}
		if q.decided(d) {
			return q.result(), nil
		}
	}
}

// hashedSet is the result of a subquery for IN.
type hashedSet struct {
	m    *rowMap
	null bool
}

func (c *Compiler) subHashed(e *bind.Subquery, plan Node, l layout) (Eval, error) {
	test, err := c.Compile(e.Test[0])
	state, all := c.States, e.Kind == bind.SubAll
	c.States++
	return func(r *Run) (types.Datum, error) {
		set, ok := r.state[state].(*hashedSet)
		if !ok {
			var err error
			if set, err = hashRows(r, plan, l); err != nil {
				return types.Null, err
			}
			r.state[state] = set
		}
		d, err := test(r)
		if err != nil {
			return types.Null, err
		}
		return set.quantified(d, all), nil
	}, err
}

func hashRows(r *Run, plan Node, l layout) (*hashedSet, error) {
	rows, err := l.drain(r, plan)
	if err != nil {
		return nil, err
	}
	set := &hashedSet{m: newRowMap()}
	for _, row := range rows {
		if row[0].IsNull() {
			set.null = true
			continue
		}
		set.m.add(row)
	}
	return set, nil
}

// quantified answers d = ANY (set) or d = ALL (set).
func (s *hashedSet) quantified(d types.Datum, all bool) types.Datum {
	n := len(s.m.keys)
	switch {
	case n == 0 && !s.null:
		return types.NewBool(all)
	case d.IsNull():
		return types.Null
	case all && (n > 1 || n == 1 && s.m.find([]types.Datum{d}) < 0):
		return types.NewBool(false)
	case !all && s.m.find([]types.Datum{d}) >= 0:
		return types.NewBool(true)
	case s.null:
		return types.Null
	}
	return types.NewBool(all)
}
