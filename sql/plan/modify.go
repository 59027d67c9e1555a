package plan

import (
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
)

func (p *planner) target(t *schema.Table, checks []bind.CheckExpr, generated []bind.Item) (exec.Target, error) {
	out := exec.Target{Codec: p.codec(t), Referential: len(t.ForeignKeys)+len(t.ReferencedBy) > 0}
	for _, c := range checks {
		e, err := p.c.Compile(c.E)
		if err != nil {
			return out, err
		}
		out.Checks = append(out.Checks, exec.Check{Name: c.Name, View: c.View, E: e})
	}
	var err error
	out.Generated, err = p.items(generated)
	return out, err
}

// policies compiles those of row-level security.
func (p *planner) policies(checks []bind.PolicyCheck) (out []exec.PolicyCheck, err error) {
	for _, c := range checks {
		e, err := p.c.Compile(c.E)
		if err != nil {
			return nil, err
		}
		out = append(out, exec.PolicyCheck{Name: c.Name, Using: c.Using, E: e})
	}
	return out, nil
}

func (p *planner) insert(r *bind.Insert) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	n := &exec.Insert{In: in.node, New: r.New, Final: r.Final, InCols: p.layout(r.In),
		Stream: !reads(r, r.Table), OwnRowID: r.Table.HasRowID()}
	if n.Target, err = p.target(r.Table, r.Checks, r.Generated); err != nil {
		return in, err
	}
	if n.Policies, err = p.policies(r.Policies); err != nil {
		return in, err
	}
	if n.Vals, err = p.c.CompileAll(r.Vals); err != nil {
		return in, err
	}
	if r.Conflict != nil {
		if n.Conflict, err = p.conflict(r, n); err != nil {
			return in, err
		}
	}
	n.Returning, err = p.items(r.Returning)
	return p.done(n, in.rows, in.cost+in.rows*pointCost), err
}

// reads says whether an insert's sources, subqueries included, read a table.
func reads(r *bind.Insert, t *schema.Table) bool {
	found := false
	onRel := func(x bind.Rel) {
		switch x := x.(type) {
		case *bind.Scan:
			found = found || x.Table.ID == t.ID
		case *bind.CTERef:
			found = true // whatever it reads, it may be read late
		}
	}
	bind.WalkRel(r.In, onRel, func(bind.Expr) {})
	for _, v := range r.Vals {
		bind.WalkExpr(v, onRel, func(bind.Expr) {})
	}
	return found
}

func (p *planner) conflict(r *bind.Insert, n *exec.Insert) (*exec.Conflict, error) {
	c := &exec.Conflict{Update: r.Conflict.Update, Again: r.Conflict.Again, Old: r.Conflict.Old}
	if r.Conflict.Index != nil {
		c.Index = n.Codec.IndexByID(r.Conflict.Index.ID)
	}
	if !c.Update {
		return c, nil
	}
	at := make([]int, len(r.Table.Columns))
	for i := range at {
		at[i] = int(c.Old) + i
	}
	c.OldDec = n.Codec.Primary.NewDecoder(at)
	var err error
	if c.Set, err = p.setItems(r.Conflict.Set, r.Final); err != nil {
		return nil, err
	}
	if c.Virtual, err = p.items(r.Conflict.Virtual); err != nil {
		return nil, err
	}
	if c.There, err = p.policies(r.Conflict.There); err != nil {
		return nil, err
	}
	if c.Policies, err = p.policies(r.Conflict.Policies); err != nil {
		return nil, err
	}
	c.Where, err = p.c.Compile(r.Conflict.Where)
	return c, err
}

// setItems are assignments into the registers of the new row at base.
func (p *planner) setItems(set []bind.SetCol, base bind.ColID) ([]exec.Item, error) {
	var out []exec.Item
	for _, s := range set {
		e, err := p.c.Compile(s.E)
		if err != nil {
			return nil, err
		}
		out = append(out, exec.Item{ID: base + bind.ColID(s.Ordinal), E: e})
	}
	return out, nil
}

func (p *planner) update(r *bind.Update) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	n := &exec.Update{In: in.node, InCols: p.layout(r.In), Old: r.Old, New: r.New, NonKey: r.NonKey, Unlocked: p.unlocked}
	if n.Target, err = p.target(r.Table, r.Checks, r.Generated); err != nil {
		return in, err
	}
	if n.Policies, err = p.policies(r.Policies); err != nil {
		return in, err
	}
	if n.Set, err = p.setItems(r.Set, r.New); err != nil {
		return in, err
	}
	n.Returning, err = p.items(r.Returning)
	return p.done(n, in.rows, in.cost+in.rows*pointCost), err
}

func (p *planner) delete(r *bind.Delete) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	n := &exec.Delete{In: in.node, InCols: p.layout(r.In), Old: r.Old, Unlocked: p.unlocked}
	if n.Target, err = p.target(r.Table, nil, nil); err != nil {
		return in, err
	}
	n.Returning, err = p.items(r.Returning)
	return p.done(n, in.rows, in.cost+in.rows*pointCost), err
}
