package plan

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
)

func (p *planner) merge(r *bind.Merge) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	n := &exec.Merge{In: in.node, InCols: p.layout(r.In), Old: r.Old, New: r.New, Unlocked: p.unlocked, OwnRowID: r.Table.HasRowID()}
	if n.Target, err = p.target(r.Table, r.Checks, r.Generated); err != nil {
		return in, err
	}
	for _, a := range r.Actions {
		x := exec.MergeAction{Matched: a.Matched, Delete: a.Delete}
		if x.Cond, err = p.c.Compile(a.Cond); err != nil {
			return in, err
		}
		if x.Set, err = p.setItems(a.Set, r.New); err != nil {
			return in, err
		}
		if len(a.Vals) > 0 {
			if x.Vals, err = p.c.CompileAll(a.Vals); err != nil {
				return in, err
			}
		}
		n.Actions = append(n.Actions, x)
	}
	return p.done(n, in.rows, in.cost+in.rows*pointCost), nil
}
