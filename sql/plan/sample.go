package plan

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
)

func (p *planner) sample(r *bind.Sample, preds []bind.Expr, w *wanted) (planned, error) {
	in, err := p.plan(r.In, preds, w)
	if err != nil {
		return in, err
	}
	n := &exec.Sample{In: in.node, Table: p.codec(r.Scan.Table), Base: r.Scan.Base, Text: "bernoulli (" + bind.Format(r.Percent) + ")"}
	if n.Percent, err = p.c.Compile(r.Percent); err != nil {
		return in, err
	}
	if n.Seed, err = p.c.Compile(r.Seed); err != nil {
		return in, err
	}
	rows := in.rows
	if c, ok := r.Percent.(*bind.Const); ok && !c.D.IsNull() {
		rows = max(rows*c.D.Float()/100, 1)
	}
	out := p.done(n, rows, in.cost+in.rows*evalCost)
	out.ordered = in.ordered
	return out, nil
}
