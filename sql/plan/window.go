package plan

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
)

func (p *planner) window(r *bind.Window) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	n := &exec.Window{In: in.node, Cols: p.layout(r.In)}
	for i := range r.Calls {
		c := &r.Calls[i]
		f := exec.WindowFunc{ID: c.ID, Name: c.Name, Part: c.Part, Order: c.Order, Frame: c.Frame, Star: c.Star}
		if f.Args, err = p.c.CompileAll(c.Args); err != nil {
			return in, err
		}
		if f.Filter, err = p.c.Compile(c.Filter); err != nil {
			return in, err
		}
		bounds, err := p.c.CompileAll([]bind.Expr{c.Frame.StartOff, c.Frame.EndOff, c.Frame.StartBound, c.Frame.EndBound, c.Frame.RangeKey})
		if err != nil {
			return in, err
		}
		f.StartOff, f.EndOff, f.StartBound, f.EndBound, f.RangeKey = bounds[0], bounds[1], bounds[2], bounds[3], bounds[4]
		if c.Agg != nil {
			f.ArgTypes, f.New, f.Strict = exprTypes(c.Args), c.Agg.NewAgg, c.Agg.Strict
			f.Star = c.Star && c.Agg.Name == "count"
		}
		n.Funcs = append(n.Funcs, f)
	}
	return p.done(n, in.rows, in.cost+sortedCost(in.rows)), nil
}
