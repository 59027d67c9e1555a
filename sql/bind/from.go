package bind

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

func itoa(i int) string { return strconv.Itoa(i) }

// from binds a FROM list: a cross join, left to right.
func (b *binder) from(sc *scope, items []*pg.Node) Rel {
	var rel Rel = &OneRow{}
	for i, n := range items {
		r := b.fromItem(sc, n)
		if i == 0 {
			rel = r
			continue
		}
		rel = &Join{Kind: JoinInner, L: rel, R: r}
	}
	return rel
}

// fromItem binds one item and adds it to the scope.
func (b *binder) fromItem(sc *scope, n *pg.Node) Rel {
	defer b.enter()()
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		return b.rangeVar(sc, x.RangeVar)
	case *pg.Node_RangeSubselect:
		return b.rangeSubselect(sc, x.RangeSubselect)
	case *pg.Node_RangeFunction:
		return b.rangeFunction(sc, x.RangeFunction)
	case *pg.Node_JoinExpr:
		return b.join(sc, x.JoinExpr)
	case *pg.Node_RangeTableSample:
		return b.tableSample(sc, x.RangeTableSample)
	}
	b.unsupported(-1, "this FROM item")
	return nil
}

// add puts a FROM item into scope under its alias.
func (b *binder) add(sc *scope, t *tableRef, alias *pg.Alias) {
	if alias != nil {
		t.name, t.schema = alias.Aliasname, ""
		b.renameCols(t, stringList(alias.Colnames))
	}
	for _, o := range sc.tables {
		if o.name == t.name && o.schema == t.schema && t.name != "" {
			b.failf(-1, sqlerr.DuplicateAlias, "table name \"%s\" specified more than once", t.name)
		}
	}
	sc.addTable(t)
}

func (b *binder) renameCols(t *tableRef, names []string) {
	visible := 0
	for _, c := range t.cols {
		if c.hidden {
			continue
		}
		if visible < len(names) {
			c.name, c.aliased = names[visible], true
		}
		visible++
	}
	if len(names) > visible {
		b.failf(-1, sqlerr.InvalidColumnReference, "table \"%s\" has %d columns available but %d columns specified",
			t.name, visible, len(names))
	}
}

func (b *binder) rangeVar(sc *scope, rv *pg.RangeVar) Rel {
	if rv.Schemaname == "" {
		if c := sc.cte(rv.Relname); c != nil {
			return b.cteRef(sc, c, rv.Alias)
		}
	}
	obj, vt := b.relation(rv)
	if vt != nil {
		return b.virtualScan(sc, vt, rv)
	}
	switch o := obj.(type) {
	case *schema.Table:
		if o.Matview != nil && !o.Matview.Populated {
			b.at(-1, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "materialized view \"%s\" has not been populated", o.Name).
				WithHint("Use the REFRESH MATERIALIZED VIEW command."))
		}
		s := b.scan(o, rv.Relname)
		t := b.tableRef(o, rv.Relname, rv.Schemaname, s.Base)
		t.scan = s
		b.read(t, o)
		b.add(sc, t, rv.Alias)
		if rv.Alias != nil {
			s.Alias = rv.Alias.Aliasname
		}
		return b.secureScan(t, s)
	case *schema.View:
		return b.view(sc, o, rv)
	case *schema.Sequence:
		b.need(o, schema.PrivSelect)
		return b.virtualScan(sc, &VirtualTable{Schema: rv.Schemaname, Name: o.Name, OID: types.OID(o.ID),
			Columns: sequenceColumns, Impl: o}, rv)
	}
	b.missingRelation(rv)
	return nil
}

// sequenceColumns are what a sequence shows when it is read as a table.
var sequenceColumns = []builtins.Column{{Name: "last_value", Type: types.Int8}, {Name: "log_cnt", Type: types.Int8},
	{Name: "is_called", Type: types.Bool}}

func (b *binder) scan(t *schema.Table, alias string) *Scan {
	b.tables[t.ID] = t
	s := &Scan{Table: t, Alias: alias, Base: b.newCols(len(t.Columns))}
	s.Virtual = b.generated(t, s.Base, true)
	return s
}

func (b *binder) missingRelation(rv *pg.RangeVar) {
	name := rv.Relname
	if rv.Schemaname != "" {
		name = rv.Schemaname + "." + name
	}
	b.failf(rv.Location, sqlerr.UndefinedTable, "relation \"%s\" does not exist", name)
}

// relation resolves a name along the search path: computed tables of pg_catalog first.
func (b *binder) relation(rv *pg.RangeVar) (schema.Object, *VirtualTable) {
	if rv.Catalogname != "" {
		if db := b.env.Snap.DatabaseByID(b.env.Database); db == nil || db.Name != rv.Catalogname {
			b.failf(rv.Location, sqlerr.FeatureNotSupported, "cross-database references are not implemented: \"%s.%s.%s\"",
				rv.Catalogname, rv.Schemaname, rv.Relname)
		}
	}
	b.schemaAt = 0
	if rv.Schemaname != "" {
		b.schemaAt = rv.Location
		if vt := b.virtualTable(rv.Schemaname, rv.Relname); vt != nil {
			return nil, vt
		}
		return b.inSchema(rv.Schemaname, rv), nil
	}
	if vt := b.virtualTable("pg_catalog", rv.Relname); vt != nil {
		return nil, vt
	}
	for _, s := range b.env.SearchPath {
		if vt := b.virtualTable(s, rv.Relname); vt != nil {
			return nil, vt
		}
		if o := b.inSchema(s, rv); o != nil {
			return o, nil
		}
	}
	return nil, nil
}

func (b *binder) virtualTable(schemaName, name string) *VirtualTable {
	if b.env.Virtual == nil {
		return nil
	}
	return b.env.Virtual(schemaName, name)
}

func (b *binder) inSchema(name string, rv *pg.RangeVar) schema.Object {
	if name == "pg_temp" {
		name = b.env.Temp
	}
	s := b.env.Snap.Schema(b.env.Database, name)
	if s == nil {
		return nil
	}
	o, ix := b.env.Snap.Relation(s.ID, rv.Relname)
	if ix != nil {
		b.at(rv.Location, sqlerr.New(sqlerr.WrongObjectType, "cannot open relation \"%s\"", rv.Relname).
			WithDetail("This operation is not supported for indexes."))
	}
	return o
}

func (b *binder) virtualScan(sc *scope, vt *VirtualTable, rv *pg.RangeVar) Rel {
	b.virtual = true
	base := b.newCols(len(vt.Columns) + 1)
	s := &VirtualScan{Table: vt, Alias: rv.Relname, TableOID: base + ColID(len(vt.Columns))}
	t := &tableRef{name: rv.Relname, schema: rv.Schemaname}
	for i, c := range vt.Columns {
		id := base + ColID(i)
		s.Cols = append(s.Cols, id)
		t.cols = append(t.cols, &scopeCol{name: c.Name, id: id, t: c.Type, table: t, oid: vt.OID, att: int16(i + 1)})
	}
	t.cols = append(t.cols, &scopeCol{name: "tableoid", id: s.TableOID, t: types.Oid, hidden: true, table: t, oid: vt.OID, att: -6})
	b.add(sc, t, rv.Alias)
	return s
}

// view binds a view's query in the view's own world.
func (b *binder) view(sc *scope, v *schema.View, rv *pg.RangeVar) Rel {
	stmts, err := parser.Parse(v.Query)
	b.check(rv.Location, err)
	b.need(v, schema.PrivSelect)
	savedPath, savedQuery, savedOwner, savedFn := b.env.SearchPath, b.query, b.asOwner, b.fn
	b.asOwner, b.fn = v.Owner, nil
	if len(v.SearchPath) > 0 {
		b.env.SearchPath = v.SearchPath
	}
	b.query = v.Query
	b.inView++
	q := b.query_(nil, stmts[0].Tree.GetSelectStmt(), queryOptions{})
	b.inView--
	b.env.SearchPath, b.query, b.asOwner, b.fn = savedPath, savedQuery, savedOwner, savedFn
	t := &tableRef{name: rv.Relname, schema: rv.Schemaname, derived: "a view", view: v}
	for i, c := range q.cols {
		col := &scopeCol{name: c.name, id: c.id, t: c.t, table: t, oid: types.OID(v.ID), att: int16(i + 1)}
		if i < len(v.Columns) {
			col.name = v.Columns[i].Name
			if c.t.User == nil || !c.t.User.OfTable() { // the rows' type is as the table is now
				col.t = tablekv.TypeOf(v.Columns[i].Type)
			}
		}
		t.cols = append(t.cols, col)
	}
	b.add(sc, t, rv.Alias)
	return q.rel
}

// beside is what a FROM item that is not lateral sees.
func (sc *scope) beside(lateral bool) *scope {
	if lateral {
		return sc.forSubquery()
	}
	return sc.outer
}

func (b *binder) rangeSubselect(sc *scope, rs *pg.RangeSubselect) Rel {
	q := b.query_(sc.beside(rs.Lateral), rs.Subquery.GetSelectStmt(), queryOptions{})
	t := &tableRef{derived: "a subquery"}
	for _, c := range q.cols {
		t.cols = append(t.cols, &scopeCol{name: c.name, id: c.id, t: c.t, table: t, oid: c.oid, att: c.att})
	}
	b.add(sc, t, rs.Alias)
	return q.rel
}

func (b *binder) rangeFunction(sc *scope, rf *pg.RangeFunction) Rel {
	fsc := sc.forSubquery()
	fsc.clause, fsc.noAgg = "functions in FROM", true
	fs := &FuncScan{Ord: -1}
	t := &tableRef{}
	if rel := b.userFrom(fsc, t, rf); rel != nil {
		b.add(sc, t, rf.Alias)
		return rel
	}
	for _, n := range splitUnnest(rf.Functions) {
		if items := n.GetList().Items; len(rf.Coldeflist) == 0 && b.populates(items[0]) {
			b.populate(fsc, fs, t, items[0].GetFuncCall())
		} else if len(rf.Coldeflist) > 0 || jsonRecord(items[0]) {
			b.recordFunc(fsc, fs, t, items[0].GetFuncCall(), rf)
		} else {
			b.fromFunc(fsc, fs, t, items[0], rf)
		}
	}
	if rf.Ordinality {
		fs.Ord = b.newCols(1)
		t.cols = append(t.cols, &scopeCol{name: "ordinality", id: fs.Ord, t: types.Int8, table: t})
	}
	rel := b.spread(fs, t)
	b.add(sc, t, rf.Alias)
	return rel
}

// spread makes a function in FROM that returns values of a composite type one of their columns.
func (b *binder) spread(fs *FuncScan, t *tableRef) Rel {
	p := &Project{In: fs}
	var cols []*scopeCol
	for _, c := range t.cols {
		typ := c.t.Plain()
		if !c.value || !typ.IsComposite() {
			p.Out, cols = append(p.Out, c.id), append(cols, c)
			continue
		}
		names, ts := typ.Fields()
		for i := range ts {
			id := b.newCols(1)
			p.Items = append(p.Items, Item{ID: id, E: &Field{E: c.expr(-1), Idx: i, T: ts[i]}})
			p.Out, cols = append(p.Out, id), append(cols, &scopeCol{name: names[i], id: id, t: ts[i], table: t})
		}
		if len(t.cols) == 1 {
			t.row = typ
		}
	}
	if len(p.Items) == 0 {
		return fs
	}
	t.cols = cols
	return p
}

// splitUnnest makes unnest(a, b) what it means in FROM: unnest(a) and unnest(b) side by side.
func splitUnnest(fs []*pg.Node) []*pg.Node {
	var out []*pg.Node
	for _, n := range fs {
		fc := n.GetList().Items[0].GetFuncCall()
		name := stringList(fc.GetFuncname())
		if len(name) == 0 || name[len(name)-1] != "unnest" || len(fc.Args) < 2 {
			out = append(out, n)
			continue
		}
		for _, a := range fc.Args {
			one := &pg.FuncCall{Funcname: fc.Funcname, Args: []*pg.Node{a}, Location: fc.Location}
			call := &pg.Node{Node: &pg.Node_FuncCall{FuncCall: one}}
			out = append(out, &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: []*pg.Node{call, nil}}}})
		}
	}
	return out
}

// jsonRecord says whether a call needs a column definition list.
func jsonRecord(n *pg.Node) bool {
	parts := stringList(n.GetFuncCall().GetFuncname())
	return len(parts) > 0 && builtins.JSONRecord(parts[len(parts)-1], nil) != nil
}

// recordFunc binds f(…) AS r(a int, …): the columns are the query's, not the function's.
func (b *binder) recordFunc(sc *scope, fs *FuncScan, t *tableRef, fc *pg.FuncCall, rf *pg.RangeFunction) {
	if fc == nil {
		b.failf(-1, sqlerr.SyntaxError, "a column definition list is only allowed for functions returning \"record\"")
	}
	name := b.funcName(fc)
	if len(rf.Coldeflist) == 0 {
		b.failf(fc.Location, sqlerr.SyntaxError, "a column definition list is required for functions returning \"record\"")
	}
	var cols []builtins.Column
	for _, n := range rf.Coldeflist {
		d := n.GetColumnDef()
		c := builtins.Column{Name: d.Colname, Type: b.typeName(d.TypeName)}
		if c.Type.IsDomain() {
			b.unsupported(d.TypeName.Location, "a domain in a column definition list")
		}
		cols = append(cols, c)
	}
	o := builtins.JSONRecord(name, cols)
	if o == nil {
		b.failf(rf.Coldeflist[0].GetColumnDef().Location, sqlerr.SyntaxError, "a column definition list is only allowed for functions returning \"record\"")
	}
	args := b.exprs(sc, fc.Args)
	if len(args) != 1 {
		_, err := builtins.ResolveFunc(name, exprTypes(args))
		b.check(fc.Location, err)
	}
	m := builtins.Match{Overload: o, CastTo: o.Args, Ret: types.Record}
	f := b.tableFunc(m, b.castArgs(m, args, fc.Location))
	fs.Funcs = append(fs.Funcs, f)
	if t.name == "" {
		t.name = name
	}
	for i, c := range cols {
		t.cols = append(t.cols, &scopeCol{name: c.Name, id: f.Cols[i], t: c.Type, table: t})
	}
}

func (b *binder) fromFunc(sc *scope, fs *FuncScan, t *tableRef, n *pg.Node, rf *pg.RangeFunction) {
	var found []TableFunc
	sc.srf = &found
	e := b.expr(sc, n)
	name := figureName(n)
	if t.name == "" {
		t.name = name
	}
	if len(found) == 1 && isSRFResult(e, found[0]) {
		f := found[0]
		fs.Funcs = append(fs.Funcs, f)
		b.funcCols(t, f, e, name, rf)
		return
	}
	if len(found) > 0 {
		b.unsupported(b.pos(n), "a set-returning function inside an expression in FROM")
	}
	id := b.newCols(1)
	e = b.defaultUnknown(e)
	fs.Funcs = append(fs.Funcs, TableFunc{Scalar: e, Cols: []ColID{id}})
	t.cols = append(t.cols, &scopeCol{name: funcColName(name, rf), id: id, t: e.Type(), table: t, value: true})
}

func isSRFResult(e Expr, f TableFunc) bool {
	switch e := e.(type) {
	case *Col:
		return len(f.Cols) == 1 && e.ID == f.Cols[0]
	case *Row:
		return len(e.Elems) == len(f.Cols)
	}
	return false
}

// funcColName is the column of a function that returns one: the alias, or the function's name.
func funcColName(name string, rf *pg.RangeFunction) string {
	if rf.Alias != nil && len(rf.Functions) == 1 {
		return rf.Alias.Aliasname
	}
	return name
}

func (b *binder) funcCols(t *tableRef, f TableFunc, e Expr, name string, rf *pg.RangeFunction) {
	if r, ok := e.(*Row); ok {
		for i, id := range f.Cols {
			t.cols = append(t.cols, &scopeCol{name: r.Names[i], id: id, t: r.Elems[i].Type(), table: t})
		}
		return
	}
	colName := funcColName(name, rf)
	if f.M.Cols != nil { // the name of its OUT parameter stays, and the alias names the same value
		if cols := f.M.Cols(exprTypes(f.Args)); len(cols) == 1 && cols[0].Name != "" {
			colName, t.scalar = cols[0].Name, true
		}
	}
	t.cols = append(t.cols, &scopeCol{name: colName, id: f.Cols[0], t: e.Type(), table: t, value: f.M.Cols == nil})
}

var joinKinds = map[pg.JoinType]JoinKind{pg.JoinType_JOIN_INNER: JoinInner, pg.JoinType_JOIN_LEFT: JoinLeft,
	pg.JoinType_JOIN_RIGHT: JoinRight, pg.JoinType_JOIN_FULL: JoinFull}

// join binds an explicit join. Its own scope holds its two sides; lateral items on the right also
// see what stands left of it in FROM.
func (b *binder) join(sc *scope, j *pg.JoinExpr) Rel {
	side := func(n *pg.Node, left *scope) (Rel, *scope) {
		s := &scope{b: b, parent: sc, outer: sc.outer}
		if left != nil {
			s.parent = &scope{b: b, parent: sc, tables: left.tables, cols: left.cols, outer: sc.outer}
		}
		return b.fromItem(s, n), s
	}
	lrel, l := side(j.Larg, nil)
	rrel, r := side(j.Rarg, l)
	out := &Join{Kind: joinKinds[j.Jointype], L: lrel, R: rrel}
	js := &scope{b: b, parent: sc, outer: sc.outer, clause: "JOIN/ON", noAgg: true}
	b.mergeTables(js, l, r)
	b.noteJoin(l, r, j)
	var rel Rel = out
	switch {
	case j.IsNatural || len(j.UsingClause) > 0:
		names := stringList(j.UsingClause)
		if j.IsNatural {
			names = commonNames(l, r)
		}
		rel = b.using(js, out, l, r, names)
		if j.JoinUsingAlias != nil {
			b.usingAlias(js, j.JoinUsingAlias.Aliasname, len(names))
		}
	default:
		js.cols = append(append([]*scopeCol{}, l.cols...), r.cols...)
		if j.Quals != nil {
			out.On = b.where(js, j.Quals, "JOIN/ON")
		}
	}
	for side, kind := range map[*scope]JoinKind{l: JoinRight, r: JoinLeft} {
		for _, t := range side.tables {
			t.optional = t.optional || out.Kind == kind || out.Kind == JoinFull
		}
	}
	b.addJoin(sc, js, j)
	return rel
}

func (b *binder) mergeTables(js, l, r *scope) {
	for _, t := range r.tables {
		for _, o := range l.tables {
			if o.name == t.name && o.schema == t.schema && t.name != "" {
				b.failf(-1, sqlerr.DuplicateAlias, "table name \"%s\" specified more than once", t.name)
			}
		}
	}
	js.tables = append(append([]*tableRef{}, l.tables...), r.tables...)
}

func (b *binder) addJoin(sc, js *scope, j *pg.JoinExpr) {
	if j.Alias != nil {
		t := &tableRef{name: j.Alias.Aliasname}
		for _, c := range js.cols {
			d := *c
			d.table = t
			t.cols = append(t.cols, &d)
		}
		b.renameCols(t, stringList(j.Alias.Colnames))
		sc.addTable(t)
		return
	}
	merged := &scope{b: b}
	b.mergeTables(merged, sc, js)
	sc.tables = merged.tables
	sc.cols = append(sc.cols, js.cols...)
}

func commonNames(l, r *scope) []string {
	var out []string
	for _, c := range l.cols {
		if c.hidden || slices.Contains(out, c.name) {
			continue
		}
		if slices.ContainsFunc(r.cols, func(o *scopeCol) bool { return o.name == c.name && !o.hidden }) {
			out = append(out, c.name)
		}
	}
	return out
}

// using joins by equality of columns of the same name, which then appear once.
func (b *binder) using(js *scope, j *Join, l, r *scope, names []string) Rel {
	var conds []Expr
	var items []Item
	var merged []*scopeCol
	for _, n := range names {
		lc, rc := b.usingCol(l, n, "left"), b.usingCol(r, n, "right")
		conds = append(conds, b.op("=", lc.expr(-1), rc.expr(-1), -1))
		m := *lc
		switch {
		case j.Kind == JoinRight:
			m = *rc
		case j.Kind == JoinFull:
			pair := []Expr{lc.expr(-1), rc.expr(-1)}
			m.t = b.common("JOIN/USING", pair, -1)
			m.id, m.oid, m.att = b.newCols(1), 0, 0
			items = append(items, Item{ID: m.id, E: &Coalesce{Args: pair, T: m.t}})
		}
		merged = append(merged, &m)
	}
	switch len(conds) {
	case 0:
	case 1:
		j.On = conds[0]
	default:
		j.On = &And{Args: conds}
	}
	js.cols = merged
	if len(items) > 0 { // a full join's merged columns belong to no table of its sides
		t := &tableRef{}
		for _, m := range merged {
			m.table = t
			t.cols = append(t.cols, m)
		}
		js.tables = append(js.tables, t)
	}
	for _, side := range []*scope{l, r} {
		for _, c := range side.cols {
			if !slices.Contains(names, c.name) {
				js.cols = append(js.cols, c)
			}
		}
	}
	if len(items) > 0 {
		return &Project{In: j, Items: items}
	}
	return j
}

// usingAlias names the columns that a join has merged, its first n.
func (b *binder) usingAlias(js *scope, name string, n int) {
	t := &tableRef{name: name}
	for _, c := range js.cols[:n] {
		d := *c
		d.table = t
		t.cols = append(t.cols, &d)
	}
	merged := &scope{b: b}
	b.mergeTables(merged, js, &scope{tables: []*tableRef{t}})
	js.tables = merged.tables
}

func (b *binder) usingCol(s *scope, name, side string) *scopeCol {
	var found *scopeCol
	for _, c := range s.cols {
		if c.name == name {
			if found != nil {
				b.failf(-1, sqlerr.AmbiguousColumn, "common column name \"%s\" appears more than once in %s table", name, side)
			}
			found = c
		}
	}
	if found == nil {
		b.failf(-1, sqlerr.UndefinedColumn, "column \"%s\" specified in USING clause does not exist in %s table", name, side)
	}
	return found
}

// withClause binds WITH and returns a scope in which the names are known.
func (b *binder) withClause(parent *scope, w *pg.WithClause) (*scope, *With) {
	sc := &scope{b: b, parent: parent, outer: parent, ctes: map[string]*CTE{}}
	out := &With{}
	for _, n := range w.Ctes {
		c := n.GetCommonTableExpr()
		if sc.ctes[c.Ctename] != nil {
			b.failf(c.Location, sqlerr.DuplicateAlias, "WITH query name \"%s\" specified more than once", c.Ctename)
		}
		cte := b.cte(sc, c, w.Recursive)
		sc.ctes[c.Ctename] = cte
		out.CTEs = append(out.CTEs, cte)
	}
	return sc, out
}

func (b *binder) cte(sc *scope, c *pg.CommonTableExpr, recursive bool) *CTE {
	b.ctes++
	cte := &CTE{ID: b.ctes - 1, Name: c.Ctename}
	if c.SearchClause != nil || c.CycleClause != nil {
		b.unsupported(c.Location, "SEARCH or CYCLE")
	}
	if s := c.Ctequery.GetSelectStmt(); s != nil {
		if recursive && s.Op == pg.SetOperation_SETOP_UNION && mentions(s.Rarg, c.Ctename) {
			b.recursiveCTE(sc, cte, c, s)
			return cte
		}
		q := b.query_(sc, s, queryOptions{})
		cte.Rel, cte.Cols = q.rel, q.columns()
	} else {
		b.modifyingCTE(sc, cte, c)
	}
	b.nameCTE(cte, c)
	return cte
}

func (b *binder) nameCTE(cte *CTE, c *pg.CommonTableExpr) {
	names := stringList(c.Aliascolnames)
	if len(names) > len(cte.Cols) {
		b.failf(c.Location, sqlerr.InvalidColumnReference, "WITH query \"%s\" has %d columns available but %d columns specified",
			c.Ctename, len(cte.Cols), len(names))
	}
	for i, n := range names {
		cte.Cols[i].Name = n
	}
}

func (b *binder) modifyingCTE(sc *scope, cte *CTE, c *pg.CommonTableExpr) {
	b.cteAt = c.Location
	st := b.modifying(sc, c.Ctequery)
	cte.Rel, cte.Modifies = st.Rel, true
	for _, r := range st.Cols {
		cte.Cols = append(cte.Cols, Col{ID: r.ID, T: r.Type, Name: r.Name, Pos: -1})
	}
}

func (b *binder) recursiveCTE(sc *scope, cte *CTE, c *pg.CommonTableExpr, s *pg.SelectStmt) {
	if len(s.SortClause) > 0 || s.LimitCount != nil || s.LimitOffset != nil {
		b.unsupported(c.Location, "ORDER BY or LIMIT in a recursive query")
	}
	base := b.query_(sc, s.Larg, queryOptions{})
	cte.Rel, cte.Cols, cte.UnionAll = base.rel, base.columns(), s.All
	b.nameCTE(cte, c)
	inner := &scope{b: b, parent: sc, outer: sc, ctes: map[string]*CTE{c.Ctename: cte}}
	cte.recursing = true
	rec := b.query_(inner, s.Rarg, queryOptions{})
	cte.recursing = false
	if len(rec.cols) != len(base.cols) {
		b.failf(-1, sqlerr.SyntaxError, "each UNION query must have the same number of columns")
	}
	for i := range rec.cols {
		if rec.cols[i].t.OID != base.cols[i].t.OID {
			if types.CanCast(rec.cols[i].t, base.cols[i].t) != types.CastImplicit {
				b.at(-1, sqlerr.New(sqlerr.DatatypeMismatch,
					"recursive query \"%s\" column %d has type %s in non-recursive term but type %s overall",
					c.Ctename, i+1, base.cols[i].t, rec.cols[i].t).WithHint("Cast the output of the non-recursive term to the correct type."))
			}
		}
	}
	ts := make([]types.T, len(base.cols))
	for i := range ts {
		ts[i] = base.cols[i].t
	}
	b.convertCols(rec, ts)
	cte.Recursive, cte.RecCols = rec.rel, rec.ids()
}

// mentions says whether a FROM clause below s, or in a WITH query of its, names a table so.
func mentions(s *pg.SelectStmt, name string) bool {
	if s == nil {
		return false
	}
	for _, n := range s.FromClause {
		if mentionsItem(n, name) {
			return true
		}
	}
	for _, c := range s.GetWithClause().GetCtes() {
		if mentions(c.GetCommonTableExpr().GetCtequery().GetSelectStmt(), name) {
			return true
		}
	}
	return mentions(s.Larg, name) || mentions(s.Rarg, name)
}

func mentionsItem(n *pg.Node, name string) bool {
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		return x.RangeVar.Relname == name && x.RangeVar.Schemaname == ""
	case *pg.Node_JoinExpr:
		return mentionsItem(x.JoinExpr.Larg, name) || mentionsItem(x.JoinExpr.Rarg, name)
	case *pg.Node_RangeSubselect:
		return mentions(x.RangeSubselect.Subquery.GetSelectStmt(), name)
	}
	return false
}

func (b *binder) cteRef(sc *scope, c *CTE, alias *pg.Alias) Rel {
	if c.Modifies && len(c.Cols) == 0 {
		b.failf(-1, sqlerr.FeatureNotSupported, "WITH query \"%s\" does not have a RETURNING clause", c.Name)
	}
	c.Refs++
	base := b.newCols(len(c.Cols))
	ref := &CTERef{CTE: c, Work: c.recursing}
	t := &tableRef{name: c.Name}
	for i, col := range c.Cols {
		id := base + ColID(i)
		ref.Cols = append(ref.Cols, id)
		t.cols = append(t.cols, &scopeCol{name: col.Name, id: id, t: col.T, table: t})
	}
	b.add(sc, t, alias)
	return ref
}
