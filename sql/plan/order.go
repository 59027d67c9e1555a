package plan

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// limit pushes the number of rows wanted down.
func (p *planner) limit(r *bind.Limit) (planned, error) {
	n := &exec.Limit{Ties: r.WithTies}
	var err error
	if n.Count, err = p.c.Compile(r.Count); err != nil {
		return planned{}, err
	}
	if n.Offset, err = p.c.Compile(r.Offset); err != nil {
		return planned{}, err
	}
	var w *wanted
	if n.Count != nil && len(r.WithTies) == 0 {
		w = &wanted{limit: sum(n.Count, n.Offset)}
	}
	in, err := p.plan(r.In, nil, w)
	if err != nil {
		return in, err
	}
	n.In = in.node
	rows := limited(in.rows, r)
	out := p.done(n, rows, in.cost)
	out.ordered = in.ordered
	return out, nil
}

// limited are the rows that a LIMIT lets through.
func limited(rows float64, r *bind.Limit) float64 {
	if c, ok := r.Count.(*bind.Const); ok && !c.D.IsNull() {
		return max(min(rows, float64(c.D.Int())), 1)
	}
	return min(rows, 100)
}

// sum adds LIMIT and OFFSET; NULL is no limit.
func sum(count, offset exec.Eval) exec.Eval {
	if offset == nil {
		return count
	}
	return func(r *exec.Run) (types.Datum, error) {
		a, err := count(r)
		if err != nil || a.IsNull() {
			return a, err
		}
		b, err := offset(r)
		if err != nil || b.IsNull() {
			return a, err
		}
		return types.NewInt(a.Int() + max(b.Int(), 0)), nil
	}
}

// sort asks the input for the order and sorts if it cannot give it.
func (p *planner) sort(r *bind.Sort, above *wanted) (planned, error) {
	w := &wanted{keys: r.Keys}
	if above != nil && len(above.keys) == 0 {
		w.limit = above.limit
	}
	in, err := p.plan(r.In, nil, w)
	if err != nil || in.ordered {
		return in, err
	}
	n := &exec.Sort{In: in.node, Keys: r.Keys, Cols: p.layout(r.In), Top: w.limit}
	names := p.names(r.In)
	for _, k := range r.Keys {
		n.Text = append(n.Text, exec.SortText(names[k.ID], k))
	}
	return p.done(n, in.rows, in.cost+sortedCost(in.rows)), nil
}

// names gives the registers of a relation their names, for EXPLAIN.
func (p *planner) names(r bind.Rel) map[bind.ColID]string {
	out := map[bind.ColID]string{}
	bind.WalkRel(r, func(r bind.Rel) {
		switch r := r.(type) {
		case *bind.Project:
			for _, it := range r.Items {
				out[it.ID] = bind.Format(it.E)
			}
		case *bind.Scan:
			for i, c := range r.Table.Columns {
				out[r.Base+bind.ColID(i)] = tablekv.ColumnText(&c)
			}
		case *bind.Agg:
			for _, a := range r.Aggs {
				out[a.ID] = a.M.Name
			}
		}
	}, func(bind.Expr) {})
	return out
}
