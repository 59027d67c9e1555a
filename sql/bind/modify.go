package bind

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// modifying binds INSERT, UPDATE or DELETE inside WITH.
func (b *binder) modifying(sc *scope, n *pg.Node) *Stmt {
	switch x := n.Node.(type) {
	case *pg.Node_InsertStmt:
		return b.insertIn(sc, x.InsertStmt)
	case *pg.Node_UpdateStmt:
		return b.updateIn(sc, x.UpdateStmt)
	case *pg.Node_DeleteStmt:
		return b.deleteIn(sc, x.DeleteStmt)
	case *pg.Node_MergeStmt:
		b.failf(b.cteAt, sqlerr.FeatureNotSupported, "MERGE not supported in WITH query")
	}
	b.unsupported(-1, "this statement in WITH")
	return nil
}

func (b *binder) insertStmt(s *pg.InsertStmt) *Stmt { return b.insertIn(nil, s) }
func (b *binder) updateStmt(s *pg.UpdateStmt) *Stmt { return b.updateIn(nil, s) }
func (b *binder) deleteStmt(s *pg.DeleteStmt) *Stmt { return b.deleteIn(nil, s) }

// targetTable resolves the table that a statement changes, and by what names the statement knows it
// and its columns: its own, or those of a view that it writes through.
func (b *binder) targetTable(rv *pg.RangeVar, verb string) (t, names *schema.Table) {
	obj, vt := b.relation(rv)
	if vt != nil {
		b.failf(-1, sqlerr.InsufficientPrivilege, "permission denied for table %s", rv.Relname)
	}
	switch o := obj.(type) {
	case *schema.Table:
		if o.Matview != nil && o.ID != b.env.Filling {
			if verb == "merge into" {
				b.at(-1, sqlerr.New(sqlerr.FeatureNotSupported, "cannot execute MERGE on relation \"%s\"", o.Name).
					WithDetail("This operation is not supported for materialized views."))
			}
			b.failf(-1, sqlerr.WrongObjectType, "cannot change materialized view \"%s\"", o.Name)
		}
		t, names = o, o
	case *schema.View:
		f := b.throughView(o, verb)
		t, names = f.table, f.names
	case *schema.Sequence:
		b.failf(-1, sqlerr.WrongObjectType, "cannot change sequence \"%s\"", rv.Relname)
	}
	if t == nil {
		b.missingRelation(rv)
	}
	b.writes = true
	b.tables[t.ID] = t
	b.relatedTables(t)
	return t, names
}

// relatedTables notes the tables at the other end of foreign keys: their rows are looked at when
// those of t change.
func (b *binder) relatedTables(t *schema.Table) {
	note := func(id schema.DescID) {
		if o := b.env.Snap.Table(id); o != nil {
			b.tables[id] = o
		}
	}
	for i := range t.ForeignKeys {
		note(t.ForeignKeys[i].Target)
	}
	for _, id := range t.ReferencedBy {
		note(id)
	}
}

func refName(rv *pg.RangeVar) string {
	if rv.Alias != nil {
		return rv.Alias.Aliasname
	}
	return rv.Relname
}

// wrapWith puts a statement's WITH around its relation.
func wrapWith(w *With, r Rel) Rel {
	if w == nil || len(w.CTEs) == 0 {
		return r
	}
	w.In = r
	return w
}

// columnIndex finds a column to write to.
func (b *binder) columnIndex(t *schema.Table, name string, pos int32) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name && !t.Columns[i].Hidden {
			return i
		}
	}
	b.failf(pos, sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", name, t.Name)
	return -1
}

// defaultExpr is a column's default, NULL without one.
func (b *binder) defaultExpr(c *schema.Column) Expr {
	t := tablekv.TypeOf(c.Type)
	if c.Generated { // computed when the row is known
		return &Const{T: t, Pos: -1}
	}
	if c.Sequence != 0 {
		oid := &Const{D: types.NewOID(types.OID(c.Sequence)), T: types.RegClass, Pos: -1}
		return b.assign(b.callByName("nextval", []Expr{oid}, -1), t, c.Name, -1)
	}
	text := c.Default
	if text == "" {
		text = domainDefault(t)
	}
	switch {
	case text == "" && t.IsDomain():
		return b.toDomain(&Const{T: t.Plain(), Pos: -1}, t)
	case text == "":
		return &Const{T: t, Pos: -1}
	}
	return b.assign(b.textExpr(&scope{b: b, clause: "DEFAULT expressions", noAgg: true}, text), t, c.Name, -1)
}

// textExpr binds the text of a stored expression.
func (b *binder) textExpr(sc *scope, text string) Expr {
	query := "SELECT " + text
	stmts, err := parser.Parse(query)
	b.check(-1, err)
	b.inView++
	defer func() { b.inView-- }()
	return b.expr(sc, stmts[0].Tree.GetSelectStmt().TargetList[0].GetResTarget().Val)
}

// checks binds a table's CHECK constraints over the row at base.
func (b *binder) checks(t *schema.Table, base ColID) []CheckExpr {
	var out []CheckExpr
	for _, c := range t.Checks {
		sc := &scope{b: b, clause: "check constraints", noAgg: true}
		sc.addTable(b.tableRef(t, t.Name, "", base))
		out = append(out, CheckExpr{Name: c.Name, E: b.boolean(b.textExpr(sc, c.Expr), "CHECK", -1)})
	}
	return out
}

// returning binds RETURNING; every result gets a register.
func (b *binder) returning(sc *scope, list []*pg.Node, st *Stmt) []Item {
	if len(list) == 0 {
		return nil
	}
	st.Returning = true
	var items []Item
	rsc := *sc
	rsc.clause, rsc.noAgg = "RETURNING", true
	for _, t := range b.targetList(&rsc, list, queryOptions{}) {
		id := b.newCols(1)
		items = append(items, Item{ID: id, E: t.e})
		r := ResultCol{ID: id, Name: t.name, Type: t.e.Type()}
		if t.col != nil {
			r.TableOID, r.AttNum = t.col.oid, t.col.att
		}
		st.Cols = append(st.Cols, r)
	}
	return items
}

func (b *binder) updateIn(parent *scope, s *pg.UpdateStmt) *Stmt {
	parent, with := b.maybeWith(parent, s.WithClause)
	t, names := b.targetTable(s.Relation, "update")
	view := b.facades[names]
	scan := b.scan(t, refName(s.Relation))
	lockRows(scan)
	sc := &scope{b: b, parent: parent, outer: parent, clause: "UPDATE"}
	ref := b.readBack(b.tableRef(names, s.Relation.Relname, s.Relation.Schemaname, scan.Base), names)
	b.add(sc, ref, s.Relation.Alias)
	secured, found := b.secureTarget(t, view.owner(), scan)
	rel := b.joinFrom(sc, b.rowsOf(view, found, scan.Base), s.FromClause)
	if s.WhereClause != nil {
		rel = &Filter{In: rel, Pred: b.where(sc, s.WhereClause, "WHERE")}
	}
	u := &Update{Table: t, In: rel, Old: scan.Base, New: b.newCols(len(t.Columns))}
	u.Set = append(b.setList(sc.in("UPDATE", true), t, names, s.TargetList), b.fillList(t, scan.Base)...)
	if u.NonKey = !setsUniqueKey(t, u.Set); u.NonKey {
		scan.Lock = kvapi.LockNoKeyUpdate
	}
	u.Checks = append(b.checks(t, u.New), b.viewChecks(view, u.New)...)
	u.Generated = b.generated(t, u.New, false)
	st := &Stmt{Kind: KindUpdate}
	rsc := b.returningScope(sc, names, s.Relation, u.New)
	u.Returning = b.returning(rsc, s.ReturningList, st)
	if secured != nil {
		secured.readBy(ref, rsc.tables[0])
		secured.rows(scan.Base, schema.PolicyUpdate)
		u.Policies = secured.checks(u.New, schema.PolicyUpdate)
	}
	st.Rel = wrapWith(with, u)
	return st
}

// setsUniqueKey reports whether an UPDATE may change what a foreign key could refer to: a column of
// a unique index. Unlike Postgres it looks at the columns named, not at the values.
func setsUniqueKey(t *schema.Table, set []SetCol) bool {
	inKey := func(id schema.ColumnID) bool {
		return slices.ContainsFunc(t.AllIndexes(), func(ix *schema.Index) bool {
			return (ix.Unique || ix == &t.Primary) && t.IsPlain(ix) && ix.Has(id)
		})
	}
	for _, s := range set {
		if inKey(t.Columns[s.Ordinal].ID) {
			return true
		}
	}
	return slices.ContainsFunc(t.Columns, func(c schema.Column) bool { return c.Generated && !c.Virtual && inKey(c.ID) })
}

// lockRows makes UPDATE and DELETE lock what they read, so that the write cannot fail for having
// been overtaken between reading and writing.
func lockRows(s *Scan) { s.Lock, s.Wait = kvapi.LockExclusive, kvapi.WaitBlock }

func (b *binder) maybeWith(parent *scope, w *pg.WithClause) (*scope, *With) {
	if w == nil {
		return parent, nil
	}
	return b.withClause(parent, w)
}

func (b *binder) joinFrom(sc *scope, rel Rel, items []*pg.Node) Rel {
	for _, n := range items {
		rel = &Join{Kind: JoinInner, L: rel, R: b.fromItem(sc, n)}
	}
	return rel
}

// returningScope is the statement's scope with the table's new row in place of the old one.
func (b *binder) returningScope(sc *scope, t *schema.Table, rv *pg.RangeVar, base ColID) *scope {
	out := &scope{b: b, parent: sc.parent, outer: sc.outer}
	b.add(out, b.readBack(b.tableRef(t, rv.Relname, rv.Schemaname, base), t), rv.Alias)
	for _, o := range sc.tables[1:] {
		out.tables = append(out.tables, o)
		out.cols = append(out.cols, o.cols...)
	}
	return out
}

// setList binds SET: a = expr, a = DEFAULT, (a, b) = (…), (a, b) = (SELECT …).
func (b *binder) setList(sc *scope, t, names *schema.Table, list []*pg.Node) []SetCol {
	var out []SetCol
	seen := map[int]bool{}
	multi := map[*pg.Node][]Expr{}
	need := b.need(names, schema.PrivUpdate)
	for _, n := range list {
		r := n.GetResTarget()
		if len(r.Indirection) > 0 {
			out = b.setPart(sc, t, names, r, out, seen, multi)
			continue
		}
		if b.mysql && r.Name == allColumns {
			out = append(out, b.replaceAll(sc, t, need)...)
			continue
		}
		i := b.columnIndex(names, r.Name, r.Location)
		if seen[i] {
			b.failf(-1, sqlerr.SyntaxError, "multiple assignments to same column \"%s\"", r.Name)
		}
		seen[i] = true
		need.Columns[names.Columns[i].ID] = true
		out = append(out, SetCol{Ordinal: i, E: b.setValue(sc, t, i, r, multi)})
	}
	return out
}

// fillList has an UPDATE of the row at base give it the values of columns that
// are being filled, if it does not have them: what is written is complete.
func (b *binder) fillList(t *schema.Table, base ColID) []SetCol {
	var out []SetCol
	for i := range t.Columns {
		c := &t.Columns[i]
		if !c.Filling || c.Generated {
			continue
		}
		typ := tablekv.TypeOf(c.Type)
		has := &Col{ID: base + ColID(i), T: typ, Name: c.Name, Pos: -1}
		out = append(out, SetCol{Ordinal: i, E: &Coalesce{Args: []Expr{has, b.defaultExpr(c)}, T: typ}})
	}
	return out
}

func (b *binder) setValue(sc *scope, t *schema.Table, i int, r *pg.ResTarget, multi map[*pg.Node][]Expr) Expr {
	var e Expr
	pos := b.pos(r.Val)
	if m := r.Val.GetMultiAssignRef(); m != nil {
		e = b.multiAssign(sc, m, multi)
		pos = b.pos(m.Source)
	} else {
		e = b.exprOrDefault(sc, r.Val)
	}
	c := &t.Columns[i]
	if isDefault(e) {
		return b.defaultExpr(c)
	}
	b.refuseGenerated(c, "column \"%s\" can only be updated to DEFAULT")
	if c.Identity == schema.IdentityAlways {
		b.at(-1, sqlerr.New(sqlerr.GeneratedAlways, "column \"%s\" can only be updated to DEFAULT", c.Name).
			WithDetail("Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c.Name))
	}
	return b.assign(e, tablekv.TypeOf(c.Type), c.Name, pos)
}

func (b *binder) multiAssign(sc *scope, m *pg.MultiAssignRef, multi map[*pg.Node][]Expr) Expr {
	vals, ok := multi[m.Source]
	if !ok {
		vals = b.multiSource(sc, m)
		multi[m.Source] = vals
	}
	if len(vals) != int(m.Ncolumns) {
		b.failf(b.pos(m.Source), sqlerr.SyntaxError, "number of columns does not match number of values")
	}
	return vals[m.Colno-1]
}

func (b *binder) multiSource(sc *scope, m *pg.MultiAssignRef) []Expr {
	if r := m.Source.GetRowExpr(); r != nil {
		var vals []Expr
		for _, a := range r.Args {
			vals = append(vals, b.exprOrDefault(sc, a))
		}
		return vals
	}
	s := m.Source.GetSubLink()
	if s == nil {
		b.unsupported(b.pos(m.Source), "this source of a multiple-column UPDATE")
	}
	// One scalar subquery per column: simple, and only as dear as the column list is long.
	var out []Expr
	for i := 0; i < int(m.Ncolumns); i++ {
		q := b.query_(sc.forSubquery(), s.Subselect.GetSelectStmt(), queryOptions{})
		if len(q.cols) != int(m.Ncolumns) {
			b.failf(s.Location, sqlerr.SyntaxError, "number of columns does not match number of values")
		}
		cols := q.columns()
		out = append(out, &Subquery{Kind: SubScalar, Rel: q.rel, Cols: cols[i : i+1], T: cols[i].T})
	}
	return out
}

func (b *binder) deleteIn(parent *scope, s *pg.DeleteStmt) *Stmt {
	parent, with := b.maybeWith(parent, s.WithClause)
	t, names := b.targetTable(s.Relation, "delete from")
	view := b.facades[names]
	scan := b.scan(t, refName(s.Relation))
	lockRows(scan)
	sc := &scope{b: b, parent: parent, outer: parent, clause: "DELETE"}
	b.need(names, schema.PrivDelete)
	ref := b.readBack(b.tableRef(names, s.Relation.Relname, s.Relation.Schemaname, scan.Base), names)
	b.add(sc, ref, s.Relation.Alias)
	secured, found := b.secureTarget(t, view.owner(), scan)
	rel := b.joinFrom(sc, b.rowsOf(view, found, scan.Base), s.UsingClause)
	if s.WhereClause != nil {
		rel = &Filter{In: rel, Pred: b.where(sc, s.WhereClause, "WHERE")}
	}
	d := &Delete{Table: t, In: rel, Old: scan.Base}
	st := &Stmt{Kind: KindDelete}
	d.Returning = b.returning(sc, s.ReturningList, st)
	if secured != nil {
		secured.readBy(ref)
		secured.rows(scan.Base, schema.PolicyDelete)
	}
	st.Rel = wrapWith(with, d)
	return st
}
