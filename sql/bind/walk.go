package bind

// Children returns the direct operands of an expression. Subqueries' relations are not expressions;
// WalkExpr's onRel sees those.
func Children(e Expr) []Expr {
	switch e := e.(type) {
	case *Call:
		return e.Args
	case *Cast:
		return []Expr{e.E}
	case *DomainCheck:
		return []Expr{e.E}
	case *And:
		return e.Args
	case *Or:
		return e.Args
	case *Not:
		return []Expr{e.E}
	case *IsNull:
		return []Expr{e.E}
	case *BoolTest:
		return []Expr{e.E}
	case *Case:
		return caseChildren(e)
	case *Coalesce:
		return e.Args
	case *Attempt:
		return append([]Expr{e.E}, e.Also...)
	case *Settled:
		return []Expr{e.E}
	case *MinMax:
		return e.Args
	case *NullIf:
		return []Expr{e.A, e.Eq}
	case *Distinct:
		return []Expr{e.L, e.R}
	case *In:
		return append([]Expr{e.E}, e.List...)
	case *Quant:
		return []Expr{e.E, e.Array}
	case *Array:
		return e.Elems
	case *Row:
		return e.Elems
	case *RowCompare:
		return append(append([]Expr{}, e.L...), e.R...)
	case *Subscript:
		return append([]Expr{e.E}, subExprs(e.Subs)...)
	case *SetPart:
		return append(append([]Expr{e.E, e.Value}, subExprs(e.Subs)...), e.Path...)
	case *Field:
		return []Expr{e.E}
	case *Subquery:
		return nonNil(append(append([]Expr{}, e.Test...), e.Cmp)...)
	}
	return nil
}

func caseChildren(e *Case) []Expr {
	var out []Expr
	for _, w := range e.Whens {
		out = append(out, w.Cond, w.Result)
	}
	if e.Else != nil {
		out = append(out, e.Else)
	}
	return out
}

func nonNil(es ...Expr) []Expr {
	out := es[:0]
	for _, e := range es {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

// WalkExpr visits an expression and all below it, also inside subqueries.
func WalkExpr(e Expr, onRel func(Rel), onExpr func(Expr)) {
	if e == nil {
		return
	}
	onExpr(e)
	for _, c := range Children(e) {
		WalkExpr(c, onRel, onExpr)
	}
	if s, ok := e.(*Subquery); ok {
		WalkRel(s.Rel, onRel, onExpr)
	}
}

// WalkRel visits a relation and all below it, also relations and expressions of subqueries.
func WalkRel(r Rel, onRel func(Rel), onExpr func(Expr)) {
	if r == nil {
		return
	}
	onRel(r)
	for _, e := range RelExprs(r) {
		WalkExpr(e, onRel, onExpr)
	}
	for _, in := range Inputs(r) {
		WalkRel(in, onRel, onExpr)
	}
}

// Inputs returns a relation's inputs, left to right.
func Inputs(r Rel) []Rel {
	switch r := r.(type) {
	case *Filter:
		return []Rel{r.In}
	case *Project:
		return []Rel{r.In}
	case *ProjectSet:
		return []Rel{r.In}
	case *Join:
		return []Rel{r.L, r.R}
	case *Agg:
		return []Rel{r.In}
	case *GroupingSets:
		return []Rel{r.In}
	case *Sample:
		return []Rel{r.In}
	case *Sort:
		return []Rel{r.In}
	case *Limit:
		return []Rel{r.In}
	case *DistinctRel:
		return []Rel{r.In}
	case *SetOp:
		return []Rel{r.L, r.R}
	case *With:
		return withInputs(r)
	case *Window:
		return []Rel{r.In}
	case *LockRows:
		return []Rel{r.In}
	case *Insert:
		return []Rel{r.In}
	case *Update:
		return []Rel{r.In}
	case *Delete:
		return []Rel{r.In}
	case *Merge:
		return []Rel{r.In}
	}
	return nil
}

func withInputs(w *With) []Rel {
	var out []Rel
	for _, c := range w.CTEs {
		out = append(out, c.Rel)
		if c.Recursive != nil {
			out = append(out, c.Recursive)
		}
	}
	return append(out, w.In)
}

// RelExprs returns the expressions a relation evaluates itself.
func RelExprs(r Rel) []Expr {
	var out []Expr
	switch r := r.(type) {
	case *Values:
		for _, row := range r.Rows {
			out = append(out, row...)
		}
	case *FuncScan:
		out = funcExprs(r.Funcs)
	case *Filter:
		out = append(out, r.Pred)
	case *Project:
		out = itemExprs(r.Items)
	case *ProjectSet:
		out = funcExprs(r.Funcs)
	case *Join:
		if r.On != nil {
			out = append(out, r.On)
		}
	case *GroupingSets:
		out = itemExprs(r.Items)
	case *Sample:
		out = nonNil(r.Percent, r.Seed)
	case *Agg:
		out = itemExprs(r.Groups)
		for _, a := range r.Aggs {
			out = append(append(out, a.Args...), nonNil(a.Filter)...)
		}
	case *Limit:
		out = nonNil(r.Count, r.Offset)
	case *Window:
		for _, c := range r.Calls {
			out = append(append(out, c.Args...), nonNil(c.Filter, c.Frame.StartOff, c.Frame.EndOff,
				c.Frame.RangeKey, c.Frame.StartBound, c.Frame.EndBound)...)
		}
	case *Insert:
		out = insertExprs(r)
	case *Update:
		out = append(append(setExprs(r.Set), itemExprs(r.Generated)...), itemExprs(r.Returning)...)
		out = append(out, policyExprs(r.Policies)...)
		for _, c := range r.Checks {
			out = append(out, c.E)
		}
	case *Delete:
		out = itemExprs(r.Returning)
	case *Merge:
		out = r.exprs()
	}
	return out
}

func funcExprs(fs []TableFunc) (out []Expr) {
	for _, f := range fs {
		out = append(append(out, f.Args...), nonNil(f.Scalar)...)
	}
	return out
}

func policyExprs(ps []PolicyCheck) (out []Expr) {
	for _, p := range ps {
		out = append(out, p.E)
	}
	return out
}

func itemExprs(items []Item) (out []Expr) {
	for _, i := range items {
		out = append(out, i.E)
	}
	return out
}

func setExprs(set []SetCol) (out []Expr) {
	for _, s := range set {
		out = append(out, s.E)
	}
	return out
}

func insertExprs(r *Insert) []Expr {
	out := append(append([]Expr{}, r.Vals...), itemExprs(r.Generated)...)
	out = append(out, policyExprs(r.Policies)...)
	for _, c := range r.Checks {
		out = append(out, c.E)
	}
	if r.Conflict != nil {
		out = append(append(out, setExprs(r.Conflict.Set)...), nonNil(r.Conflict.Where)...)
		out = append(out, itemExprs(r.Conflict.Virtual)...)
		out = append(append(out, policyExprs(r.Conflict.There)...), policyExprs(r.Conflict.Policies)...)
	}
	return append(out, itemExprs(r.Returning)...)
}

// RelRefs visits the registers that a relation reads other than through expressions.
func RelRefs(r Rel, on func(ColID)) {
	keys := func(ks []SortKey) {
		for _, k := range ks {
			on(k.ID)
		}
	}
	each := func(ids []ColID) {
		for _, id := range ids {
			on(id)
		}
	}
	switch r := r.(type) {
	case *Sort:
		keys(r.Keys)
	case *Limit:
		keys(r.WithTies)
	case *DistinctRel:
		each(r.On)
	case *SetOp:
		each(r.LCols)
		each(r.RCols)
		each(r.Cols)
	case *Agg:
		for _, a := range r.Aggs {
			keys(a.Order)
		}
		for _, g := range r.Groups {
			on(g.ID)
		}
	case *Window:
		for _, c := range r.Calls {
			each(c.Part)
			keys(c.Order)
		}
	case *CTERef:
		each(r.Cols)
	case *With:
		for _, c := range r.CTEs {
			for _, col := range c.Cols {
				on(col.ID)
			}
			each(c.RecCols)
		}
	case *Insert:
		tableRefs(len(r.Table.Columns), r.New, on)
		tableRefs(len(r.Table.Columns), r.Final, on)
		if r.Conflict != nil && r.Conflict.Update {
			tableRefs(len(r.Table.Columns), r.Conflict.Old, on)
		}
	case *Update:
		tableRefs(len(r.Table.Columns), r.Old, on)
		tableRefs(len(r.Table.Columns), r.New, on)
	case *Delete:
		tableRefs(len(r.Table.Columns), r.Old, on)
	case *Merge:
		tableRefs(len(r.Table.Columns), r.Old, on)
		tableRefs(len(r.Table.Columns), r.New, on)
	case *Sample:
		r.Scan.keyRefs(on)
	case *LockRows:
		for _, s := range r.Scans {
			s.keyRefs(on)
		}
	}
}

func tableRefs(n int, base ColID, on func(ColID)) {
	for i := 0; i < n; i++ {
		on(base + ColID(i))
	}
}

// Defines visits the registers a relation itself writes (not those of its inputs).
func Defines(r Rel, on func(ColID)) {
	each := func(ids []ColID) {
		for _, id := range ids {
			on(id)
		}
	}
	switch r := r.(type) {
	case *Scan:
		tableRefs(len(r.Table.Columns), r.Base, on)
	case *VirtualScan:
		each(r.Cols)
		on(r.TableOID)
	case *Values:
		each(r.Cols)
	case *FuncScan:
		defineFuncs(r.Funcs, on)
		if r.Ord >= 0 {
			on(r.Ord)
		}
	case *ProjectSet:
		defineFuncs(r.Funcs, on)
	case *Project:
		for _, i := range r.Items {
			on(i.ID)
		}
	case *GroupingSets:
		defineItems(r.Items, on)
		on(r.SetID)
		for _, g := range r.Bits {
			on(g.ID)
		}
	case *Agg:
		for _, g := range r.Groups {
			on(g.ID)
		}
		for _, a := range r.Aggs {
			on(a.ID)
		}
	case *SetOp:
		each(r.Cols)
	case *CTERef:
		each(r.Cols)
	case *Window:
		for _, c := range r.Calls {
			on(c.ID)
		}
	case *Insert:
		tableRefs(len(r.Table.Columns), r.New, on)
		tableRefs(len(r.Table.Columns), r.Final, on)
		if r.Conflict != nil && r.Conflict.Update {
			tableRefs(len(r.Table.Columns), r.Conflict.Old, on)
		}
		defineItems(r.Returning, on)
	case *Update:
		tableRefs(len(r.Table.Columns), r.New, on)
		defineItems(r.Returning, on)
	case *Delete:
		defineItems(r.Returning, on)
	case *Merge:
		tableRefs(len(r.Table.Columns), r.New, on)
	}
}

func defineFuncs(fs []TableFunc, on func(ColID)) {
	for _, f := range fs {
		for _, id := range f.Cols {
			on(id)
		}
	}
}

func defineItems(items []Item, on func(ColID)) {
	for _, i := range items {
		on(i.ID)
	}
}

// Set is a set of registers.
type Set map[ColID]struct{}

// Has says whether id is in the set.
func (s Set) Has(id ColID) bool { _, ok := s[id]; return ok }

// Output returns the registers that are meaningful above a relation: all that it and its inputs
// define.
func Output(r Rel) Set {
	s := Set{}
	addOutput(r, s)
	return s
}

func addOutput(r Rel, s Set) {
	Defines(r, func(id ColID) { s[id] = struct{}{} })
	switch r := r.(type) {
	case *SetOp, *CTERef, *Agg:
		return // the inputs' registers end here
	case *Join:
		addOutput(r.L, s)
		if r.Kind != JoinSemi && r.Kind != JoinAnti {
			addOutput(r.R, s)
		}
		return
	case *With:
		addOutput(r.In, s)
		return
	}
	for _, in := range Inputs(r) {
		addOutput(in, s)
	}
}

// Refs returns the registers an expression reads, subqueries included, minus what they define.
func Refs(e Expr) Set {
	refs, defs := Set{}, Set{}
	collect := func(id ColID) { refs[id] = struct{}{} }
	WalkExpr(e, func(r Rel) {
		RelRefs(r, collect)
		Defines(r, func(id ColID) { defs[id] = struct{}{} })
	}, func(e Expr) {
		if c, ok := e.(*Col); ok {
			collect(c.ID)
		}
	})
	for id := range defs {
		delete(refs, id)
	}
	return refs
}

// OuterRefs returns the registers a relation reads but does not define.
func OuterRefs(rel Rel) Set {
	refs, defs := Set{}, Set{}
	collect := func(id ColID) { refs[id] = struct{}{} }
	WalkRel(rel, func(r Rel) {
		RelRefs(r, collect)
		Defines(r, func(id ColID) { defs[id] = struct{}{} })
	}, func(e Expr) {
		if c, ok := e.(*Col); ok {
			collect(c.ID)
		}
	})
	for id := range defs {
		delete(refs, id)
	}
	return refs
}

func subExprs(subs []Sub) (out []Expr) {
	for _, s := range subs {
		out = append(out, nonNil(s.Lo, s.Hi)...)
	}
	return out
}
