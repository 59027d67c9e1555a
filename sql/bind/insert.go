package bind

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

func (b *binder) insertIn(parent *scope, s *pg.InsertStmt) *Stmt {
	parent, with := b.maybeWith(parent, s.WithClause)
	t, names := b.targetTable(s.Relation, "insert into")
	view := b.facades[names]
	targets := b.insertColumns(names, s)
	n := b.need(names, schema.PrivInsert)
	for _, i := range targets {
		n.Columns[names.Columns[i].ID] = true
	}
	ins := &Insert{Table: t}
	b.insertSource(parent, ins, s, targets)
	ins.New = b.newCols(len(t.Columns))
	ins.Final = b.newCols(len(t.Columns))
	ins.Checks = append(b.checks(t, ins.Final), b.viewChecks(view, ins.Final)...)
	ins.Generated = b.generated(t, ins.Final, false)
	sc := &scope{b: b, parent: parent, outer: parent, clause: "RETURNING"}
	ref := b.readBack(b.tableRef(names, s.Relation.Relname, s.Relation.Schemaname, ins.Final), names)
	b.add(sc, ref, s.Relation.Alias)
	if s.OnConflictClause != nil {
		b.onConflict(parent, ins, names, s)
	}
	st := &Stmt{Kind: KindInsert}
	ins.Returning = b.returning(sc, s.ReturningList, st)
	if secured, _ := b.secureTarget(t, view.owner(), nil); secured != nil {
		secured.readBy(ref)
		secured.must = s.OnConflictClause.GetInfer() != nil
		ins.Policies = secured.checks(ins.Final, schema.PolicyInsert)
		if ins.Conflict != nil && ins.Conflict.Update {
			ins.Conflict.There = secured.there(ins.Conflict.Old)
			ins.Conflict.Policies = secured.checks(ins.Final, schema.PolicyUpdate)
		}
	}
	st.Rel = wrapWith(with, ins)
	return st
}

// insertColumns gives the ordinals of the columns named, or of all.
func (b *binder) insertColumns(t *schema.Table, s *pg.InsertStmt) []int {
	var out []int
	for _, n := range s.Cols {
		r := n.GetResTarget()
		if len(r.Indirection) > 0 {
			b.unsupported(r.Location, "assignment to a part of a column")
		}
		i := b.columnIndex(t, r.Name, r.Location)
		if slices.Contains(out, i) {
			b.failf(r.Location, sqlerr.DuplicateColumn, "column \"%s\" specified more than once", r.Name)
		}
		out = append(out, i)
	}
	if f := b.facades[t]; f != nil && len(s.Cols) == 0 {
		return f.order
	}
	if len(s.Cols) == 0 {
		for i := range t.Columns {
			if !t.Columns[i].Hidden {
				out = append(out, i)
			}
		}
	}
	return out
}

// insertSource binds VALUES, SELECT or DEFAULT VALUES and says how each column gets its value.
func (b *binder) insertSource(parent *scope, ins *Insert, s *pg.InsertStmt, targets []int) {
	t := ins.Table
	ins.Vals = make([]Expr, len(t.Columns))
	if sel := s.SelectStmt.GetSelectStmt(); sel == nil {
		ins.In = &OneRow{}
	} else if len(sel.ValuesLists) == 1 && sel.WithClause == nil && len(sel.SortClause) == 0 && sel.LimitCount == nil {
		b.oneRow(parent, ins, sel, s, targets)
	} else if len(sel.ValuesLists) > 0 && sel.WithClause == nil && len(sel.SortClause) == 0 && sel.LimitCount == nil {
		b.valuesRows(parent, ins, sel, s, targets)
	} else {
		b.insertSelect(parent, ins, sel, s, targets)
	}
	for i := range t.Columns {
		if ins.Vals[i] == nil {
			ins.Vals[i] = b.defaultExpr(&t.Columns[i])
		}
	}
}

func (b *binder) countTargets(n int, s *pg.InsertStmt, targets []int, pos int32) {
	if n > len(targets) {
		b.failf(pos, sqlerr.SyntaxError, "INSERT has more expressions than target columns")
	}
	if n < len(targets) && len(s.Cols) > 0 {
		p := int32(-1)
		if n < len(s.Cols) {
			p = s.Cols[n].GetResTarget().Location
		}
		b.failf(p, sqlerr.SyntaxError, "INSERT has more target columns than expressions")
	}
}

// oneRow is the common case: the expressions are the columns' values, without a VALUES relation.
func (b *binder) oneRow(parent *scope, ins *Insert, sel *pg.SelectStmt, s *pg.InsertStmt, targets []int) {
	ins.In = &OneRow{}
	sc := &scope{b: b, parent: parent, clause: "VALUES", noAgg: true}
	items := sel.ValuesLists[0].GetList().Items
	pos := int32(-1)
	if len(items) > len(targets) {
		pos = b.pos(items[len(targets)])
	}
	b.countTargets(len(items), s, targets, pos)
	for i, n := range items {
		ins.Vals[targets[i]] = b.insertValue(sc, ins.Table, targets[i], b.exprOrDefault(sc, n), b.pos(n), s)
	}
}

// insertValue converts one value to its column; nil stands for the default.
func (b *binder) insertValue(sc *scope, t *schema.Table, ord int, e Expr, pos int32, s *pg.InsertStmt) Expr {
	c := &t.Columns[ord]
	if isDefault(e) {
		return nil
	}
	if e = b.orNext(c, e); e == nil {
		return nil
	}
	b.refuseGenerated(c, "cannot insert a non-DEFAULT value into column \"%s\"")
	if c.Identity != schema.IdentityNone && s.Override == pg.OverridingKind_OVERRIDING_USER_VALUE {
		return nil
	}
	if c.Identity == schema.IdentityAlways && s.Override != pg.OverridingKind_OVERRIDING_SYSTEM_VALUE {
		b.at(-1, sqlerr.New(sqlerr.GeneratedAlways, "cannot insert a non-DEFAULT value into column \"%s\"", c.Name).
			WithDetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c.Name).
			WithHint("Use OVERRIDING SYSTEM VALUE to override."))
	}
	return b.assign(e, tablekv.TypeOf(c.Type), c.Name, pos)
}

// valuesRows converts every row's values by themselves, as the rows' types may differ.
func (b *binder) valuesRows(parent *scope, ins *Insert, sel *pg.SelectStmt, s *pg.InsertStmt, targets []int) {
	sc := &scope{b: b, parent: parent, clause: "VALUES", noAgg: true}
	v := &Values{}
	first := sel.ValuesLists[0].GetList().Items
	pos := int32(-1)
	if len(first) > len(targets) {
		pos = b.pos(first[len(targets)])
	}
	b.countTargets(len(first), s, targets, pos)
	for _, l := range sel.ValuesLists {
		items := l.GetList().Items
		if len(items) != len(first) {
			b.failf(b.pos(items[0]), sqlerr.SyntaxError, "VALUES lists must all be the same length")
		}
		row := make([]Expr, len(items))
		for i, n := range items {
			row[i] = b.insertValue(sc, ins.Table, targets[i], b.exprOrDefault(sc, n), b.pos(n), s)
			if row[i] == nil {
				row[i] = b.defaultExpr(&ins.Table.Columns[targets[i]])
			}
		}
		v.Rows = append(v.Rows, row)
	}
	base := b.newCols(len(first))
	for i := range first {
		v.Cols = append(v.Cols, base+ColID(i))
		c := &ins.Table.Columns[targets[i]]
		ins.Vals[targets[i]] = &Col{ID: base + ColID(i), T: tablekv.TypeOf(c.Type), Name: c.Name, Pos: -1}
	}
	ins.In = v
}

func (b *binder) insertSelect(parent *scope, ins *Insert, sel *pg.SelectStmt, s *pg.InsertStmt, targets []int) {
	ts := make([]types.T, len(targets))
	for i, o := range targets {
		ts[i] = tablekv.TypeOf(ins.Table.Columns[o].Type)
	}
	q := b.query_(parent, sel, queryOptions{targets: ts})
	b.countTargets(len(q.cols), s, targets, -1)
	ins.In = q.rel
	cols := q.columns()
	for i := range cols {
		ins.Vals[targets[i]] = b.insertValue(nil, ins.Table, targets[i], &cols[i], -1, s)
	}
}

// onConflict binds ON CONFLICT.
func (b *binder) onConflict(parent *scope, ins *Insert, names *schema.Table, s *pg.InsertStmt) {
	oc := s.OnConflictClause
	out := &OnConflict{}
	if oc.Infer != nil {
		out.Index = b.arbiter(ins.Table, names, oc.Infer)
	}
	ins.Conflict = out
	if oc.Action != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return
	}
	if out.Index == nil && !b.mysql {
		b.at(oc.Location, sqlerr.New(sqlerr.SyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name)."))
	}
	out.Update, out.Again = true, b.mysql
	out.Old = b.newCols(len(ins.Table.Columns))
	out.Virtual = b.generated(ins.Table, out.Old, true)
	sc := &scope{b: b, parent: parent, outer: parent, clause: "ON CONFLICT DO UPDATE", noAgg: true}
	b.add(sc, b.readBack(b.tableRef(names, s.Relation.Relname, s.Relation.Schemaname, out.Old), names), s.Relation.Alias)
	// EXCLUDED is visible by qualified names only.
	sc.tables = append(sc.tables, b.tableRef(names, "excluded", "", ins.New))
	out.Set = append(b.setList(sc, ins.Table, names, oc.TargetList), b.fillList(ins.Table, out.Old)...)
	if oc.WhereClause != nil {
		out.Where = b.where(sc, oc.WhereClause, "WHERE")
	}
}

// arbiter finds the unique index that ON CONFLICT (columns) or ON CONSTRAINT names.
func (b *binder) arbiter(t, names *schema.Table, inf *pg.InferClause) *schema.Index {
	if inf.Conname != "" {
		if ix := t.IndexByName(inf.Conname); ix != nil && ix.ConstraintOID != 0 {
			return ix
		}
		b.failf(-1, sqlerr.UndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", inf.Conname, t.Name)
	}
	base := b.newCols(len(t.Columns))
	virtual := b.generated(t, base, true)
	want := map[schema.ColumnID]bool{}
	for _, n := range inf.IndexElems {
		el := n.GetIndexElem()
		if el.Name != "" {
			want[t.Columns[b.columnIndex(names, el.Name, -1)].ID] = true
			continue
		}
		e := b.expr(b.storedScope(t, base, UseIndex), el.Expr)
		found := false
		for _, v := range virtual {
			if Same(e, v.E) { // every index on it has a column of its own
				want[t.Columns[v.ID-base].ID], found = true, true
			}
		}
		if !found {
			b.noArbiter()
		}
	}
	var where []Expr
	if inf.WhereClause != nil {
		where = Conjuncts(b.where(b.storedScope(t, base, UsePredicate), inf.WhereClause, "WHERE"))
	}
	for _, ix := range t.AllIndexes() {
		if (ix.Unique || ix.ID == t.Primary.ID) && ix.IsPublic() && sameColumns(t, ix, want) && holdsWhere(t, ix, where, virtual, base) {
			return ix
		}
	}
	b.noArbiter()
	return nil
}

func (b *binder) noArbiter() {
	b.failf(-1, sqlerr.InvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification")
}

// holdsWhere says that conditions imply the predicate of an index.
func holdsWhere(t *schema.Table, ix *schema.Index, where []Expr, virtual []Item, base ColID) bool {
	for _, v := range virtual {
		if t.Columns[v.ID-base].ID == ix.Where {
			return ImpliedBy(where, v.E)
		}
	}
	return true
}

// sameColumns compares an index's columns with those wanted, among which may be the expressions of
// other indexes.
func sameColumns(t *schema.Table, ix *schema.Index, want map[schema.ColumnID]bool) bool {
	texts := map[string]bool{}
	for id := range want {
		texts[tablekv.ColumnText(t.ColumnByID(id))] = true
	}
	for _, c := range ix.Columns {
		if !want[c.ID] {
			return false
		}
		delete(texts, tablekv.ColumnText(t.ColumnByID(c.ID)))
	}
	return len(texts) == 0
}
