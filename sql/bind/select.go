package bind

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// query is a bound query expression: a relation and its visible columns.
type query struct {
	rel  Rel
	cols []outCol
}

type outCol struct {
	name string
	id   ColID
	t    types.T
	oid  types.OID
	att  int16
}

func (q *query) columns() []Col {
	out := make([]Col, len(q.cols))
	for i, c := range q.cols {
		out[i] = Col{ID: c.id, T: c.t, Name: c.name, Pos: -1}
	}
	return out
}

func (q *query) ids() []ColID {
	out := make([]ColID, len(q.cols))
	for i, c := range q.cols {
		out[i] = c.id
	}
	return out
}

func (q *query) resultCols() []ResultCol {
	out := make([]ResultCol, len(q.cols))
	for i, c := range q.cols {
		out[i] = ResultCol{ID: c.id, Name: c.name, Type: c.t, TableOID: c.oid, AttNum: c.att}
	}
	return out
}

type queryOptions struct {
	// targets are the types an INSERT wants: untyped literals become these at once.
	targets []types.T
	// exists says that only the existence of rows matters.
	exists bool
	// allowDefault lets VALUES hold DEFAULT.
	allowDefault bool
}

// query_ binds SELECT, VALUES, TABLE and set operations with their WITH, ORDER BY and LIMIT.
func (b *binder) query_(parent *scope, s *pg.SelectStmt, o queryOptions) *query {
	defer b.enter()()
	if s.IntoClause != nil {
		b.unsupported(-1, "SELECT INTO here")
	}
	var with *With
	if s.WithClause != nil {
		parent, with = b.withClause(parent, s.WithClause)
	}
	var q *query
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE:
		q = b.setOp(parent, s, o)
		q.rel = b.orderOutput(parent, q, s)
	case len(s.ValuesLists) > 0:
		q = b.values(parent, s, o)
		q.rel = b.orderOutput(parent, q, s)
	default:
		q = b.selectCore(parent, s, o)
	}
	if with != nil && len(with.CTEs) > 0 {
		with.In = q.rel
		q.rel = with
	}
	return q
}

// target is one expression of a select list.
type target struct {
	e    Expr
	name string
	col  *scopeCol // set for a plain column of this query's FROM
}

func (b *binder) selectCore(parent *scope, s *pg.SelectStmt, o queryOptions) *query {
	sc := &scope{b: b, parent: parent, outer: parent}
	rel := b.from(sc, s.FromClause)
	if s.WhereClause != nil {
		rel = &Filter{In: rel, Pred: b.where(sc, s.WhereClause, "WHERE")}
	}
	st := &selectState{b: b, sc: sc, s: s, o: o, rel: rel}
	st.bindClauses()
	st.group()
	st.windows()
	if len(st.srfs) > 0 {
		st.rel = &ProjectSet{In: st.rel, Funcs: st.srfs}
	}
	return st.finish()
}

func (b *binder) where(sc *scope, n *pg.Node, clause string) Expr {
	return b.boolean(b.expr(sc.in(clause, true), n), clause, b.pos(n))
}

// selectState is a SELECT being put together; expressions refer to the FROM clause until group.
type selectState struct {
	b   *binder
	sc  *scope
	s   *pg.SelectStmt
	o   queryOptions
	rel Rel

	agg      aggState
	win      winState
	srfs     []TableFunc
	targets  []target
	having   Expr
	groups   []Expr
	sets     [][]int // indexes into groups; nil for plain grouping
	order    []orderItem
	distinct []Expr // DISTINCT ON
}

// orderItem is an ORDER BY element: an expression, or a place in the select list.
type orderItem struct {
	e   Expr
	at  int // index of a target, -1 for an expression
	s   *pg.SortBy
	pos int32
}

func (st *selectState) bindClauses() {
	b, s := st.b, st.s
	st.agg.keys = map[string]ColID{}
	st.win.named = map[string]*pg.WindowDef{}
	for _, w := range s.WindowClause {
		d := w.GetWindowDef()
		st.win.named[d.Name] = d
	}
	sc := *st.sc
	sc.agg, sc.win, sc.srf, sc.clause = &st.agg, &st.win, &st.srfs, "SELECT"
	st.targets = b.targetList(&sc, s.TargetList, st.o)
	if s.HavingClause != nil {
		h := sc
		h.clause, h.win, h.srf = "HAVING", nil, nil
		st.having = b.boolean(b.expr(&h, s.HavingClause), "HAVING", b.pos(s.HavingClause))
	}
	st.groups, st.sets = st.groupSets()
	for _, n := range s.SortClause {
		st.order = append(st.order, st.orderItem(&sc, n.GetSortBy(), "ORDER BY"))
	}
	for _, n := range s.DistinctClause {
		if n.Node != nil {
			it := st.orderItem(&sc, &pg.SortBy{Node: n}, "SELECT DISTINCT")
			st.distinct = append(st.distinct, st.itemExpr(it))
		}
	}
}

func (st *selectState) itemExpr(it orderItem) Expr {
	if it.at >= 0 {
		return st.targets[it.at].e
	}
	return it.e
}

// targetList binds a select list and expands its stars.
func (b *binder) targetList(sc *scope, list []*pg.Node, o queryOptions) []target {
	var out []target
	for _, n := range list {
		r := n.GetResTarget()
		if c := r.Val.GetColumnRef(); c != nil && c.Fields[len(c.Fields)-1].GetAStar() != nil {
			out = append(out, b.star(sc, c)...)
			continue
		}
		if fields, ok := b.fieldStar(sc, r.Val); ok {
			out = append(out, fields...)
			continue
		}
		e := b.exprOrDefault(sc, r.Val)
		if k, ok := e.(*Row); ok && b.mysql && namesKey(r.Val) {
			for _, x := range k.Elems {
				out = append(out, target{e: x, name: allColumns, col: sc.columnOf(x)})
			}
			continue
		}
		if _, ok := e.(*Default); ok && !o.allowDefault {
			b.failf(e.(*Default).Pos, sqlerr.SyntaxError, "DEFAULT is not allowed in this context")
		}
		if i := len(out); i < len(o.targets) && unknown(e) {
			e = b.assign(e, o.targets[i], "", -1)
		}
		t := target{e: b.keepDefault(e), name: r.Name}
		if t.name == "" {
			t.name = targetName(r.Val)
		}
		t.col = sc.columnOf(e)
		out = append(out, t)
	}
	if len(out) > ColumnsMax {
		fail(sqlerr.New(sqlerr.TooManyColumns, "target lists can have at most %d entries", ColumnsMax))
	}
	return out
}

func (b *binder) keepDefault(e Expr) Expr {
	if _, ok := e.(*Default); ok {
		return e
	}
	return b.defaultUnknown(e)
}

// columnOf finds the column of this level that an expression is.
func (sc *scope) columnOf(e Expr) *scopeCol {
	c, ok := e.(*Col)
	if !ok {
		return nil
	}
	for _, t := range sc.tables {
		for _, x := range t.cols {
			if x.id == c.ID {
				return x
			}
		}
	}
	return nil
}

func (b *binder) star(sc *scope, c *pg.ColumnRef) []target {
	parts := stringList(c.Fields)
	cols := sc.cols
	if len(parts) > 0 {
		schemaName := ""
		if len(parts) > 1 {
			schemaName = parts[len(parts)-2]
		}
		t := sc.table(schemaName, parts[len(parts)-1], c.Location)
		if t == nil {
			if out := b.starOfVariable(parts, c.Location); out != nil {
				return out
			}
			sc.refuseAliased("", parts[len(parts)-1], c.Location)
			b.failf(c.Location, sqlerr.UndefinedTable, "missing FROM-clause entry for table \"%s\"", parts[len(parts)-1])
		}
		cols = t.cols
	} else if len(sc.tables) == 0 {
		b.failf(c.Location, sqlerr.SyntaxError, "SELECT * with no tables specified is not valid")
	}
	var out []target
	for _, x := range cols {
		if !x.hidden {
			out = append(out, target{e: x.expr(c.Location), name: x.name, col: x})
		}
	}
	b.noteStar(sc, c, out)
	return out
}

// targetName is Postgres's FigureColname.
func targetName(n *pg.Node) string {
	if name := figureName(n); name != "" {
		return name
	}
	return "?column?"
}

// finish computes the select list, then DISTINCT, ORDER BY, locks and LIMIT.
func (st *selectState) finish() *query {
	b := st.b
	p := &Project{In: st.rel}
	q := &query{}
	for i := range st.targets {
		t := &st.targets[i]
		c := outCol{name: t.name, t: t.e.Type(), id: st.register(p, t.e)}
		if t.col != nil {
			c.oid, c.att = t.col.oid, t.col.att
		}
		q.cols = append(q.cols, c)
	}
	plain := len(st.s.DistinctClause) > 0 && len(st.distinct) == 0
	keys := st.sortKeys(p, q, plain)
	on := st.distinctKeys(p, keys)
	var late *Project
	if len(keys) > 0 && !plain && len(on) == 0 && len(st.s.LockingClause) == 0 {
		late = postponed(p, keys)
	}
	q.rel = st.rel
	if len(p.Items) > 0 {
		p.Out = q.ids()
		q.rel = p
	}
	if plain {
		q.rel = &DistinctRel{In: q.rel, On: q.ids()}
	}
	if len(keys) > 0 {
		q.rel = &Sort{In: q.rel, Keys: keys}
	}
	if late != nil {
		late.In, late.Out = q.rel, q.ids()
		q.rel = late
	}
	if len(on) > 0 {
		q.rel = &DistinctRel{In: q.rel, On: on, First: true}
	}
	st.locking(q)
	q.rel = b.limit(st.sc.outer, q.rel, st.s, keys)
	return q
}

// postponed takes out of a projection what is volatile and not sorted by: as in Postgres it is computed after
// the sort, so that nextval() counts the rows in their order, and only those within LIMIT.
func postponed(p *Project, keys []SortKey) *Project {
	late := &Project{}
	var early []Item
	for _, it := range p.Items {
		if volatileExpr(it.E) && !slices.ContainsFunc(keys, func(k SortKey) bool { return k.ID == it.ID }) {
			late.Items = append(late.Items, it)
		} else {
			early = append(early, it)
		}
	}
	if len(late.Items) == 0 {
		return nil
	}
	p.Items = early
	return late
}

// register gives an expression a register: its own for a plain column, else a computed one.
func (st *selectState) register(p *Project, e Expr) ColID {
	if c, ok := e.(*Col); ok && st.visible(c.ID) {
		return c.ID
	}
	k := key(e)
	for _, it := range p.Items {
		if key(it.E) == k && !volatileExpr(e) {
			return it.ID
		}
	}
	id := st.b.newCols(1)
	p.Items = append(p.Items, Item{ID: id, E: e})
	return id
}

// visible says whether a register is written by this query, not an outer one.
func (st *selectState) visible(id ColID) bool {
	if st.sc.local(id) {
		return true
	}
	for _, c := range st.agg.calls {
		if c.ID == id {
			return true
		}
	}
	for _, w := range st.win.calls {
		if w.ID == id {
			return true
		}
	}
	for _, f := range st.srfs {
		if slices.Contains(f.Cols, id) {
			return true
		}
	}
	if a, ok := st.rel.(*Agg); ok {
		for _, g := range a.Groups {
			if g.ID == id {
				return true
			}
		}
	}
	return false
}

func volatileExpr(e Expr) bool { return IsVolatile(e) }

// IsVolatile reports whether an expression may differ from call to call.
func IsVolatile(e Expr) bool {
	v := false
	WalkExpr(e, func(Rel) {}, func(x Expr) {
		if c, ok := x.(*Call); ok && c.M.Vol == 'v' {
			v = true
		}
	})
	return v
}

func (st *selectState) sortKeys(p *Project, q *query, distinct bool) []SortKey {
	var keys []SortKey
	for _, it := range st.order {
		e := st.itemExpr(it)
		k := st.b.sortKey(it.s, e.Type())
		if it.at >= 0 {
			k.ID = q.cols[it.at].id
		} else {
			k.ID = st.register(p, e)
		}
		if distinct && !slices.Contains(q.ids(), k.ID) {
			st.b.failf(it.pos, sqlerr.InvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
		}
		keys = append(keys, k)
	}
	return keys
}

// distinctKeys checks that DISTINCT ON leads ORDER BY, and gives the registers to compare.
func (st *selectState) distinctKeys(p *Project, keys []SortKey) []ColID {
	var on []ColID
	for _, e := range st.distinct {
		on = append(on, st.register(p, e))
	}
	for i := range on {
		if i < len(keys) && !slices.Contains(on, keys[i].ID) {
			st.b.failf(-1, sqlerr.InvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions")
		}
	}
	return on
}

// orderItem binds an ORDER BY or DISTINCT ON element as SQL92 and then SQL99 read it: an output
// name, a position, or an expression over the input.
func (st *selectState) orderItem(sc *scope, s *pg.SortBy, clause string) orderItem {
	b := st.b
	pos := b.pos(s.Node)
	if c := s.Node.GetColumnRef(); c != nil && len(c.Fields) == 1 && c.Fields[0].GetString_() != nil {
		if at := st.outputName(c.Fields[0].GetString_().Sval, pos, clause); at >= 0 {
			return orderItem{at: at, s: s, pos: pos}
		}
	}
	if at, ok := st.position(s.Node, clause); ok {
		return orderItem{at: at, s: s, pos: pos}
	}
	osc := *sc
	osc.clause = clause
	e := b.defaultUnknown(b.expr(&osc, s.Node))
	k := key(e)
	for i, t := range st.targets {
		if key(t.e) == k {
			return orderItem{e: e, at: i, s: s, pos: pos}
		}
	}
	return orderItem{e: e, at: -1, s: s, pos: pos}
}

func (st *selectState) outputName(name string, pos int32, clause string) int {
	at := -1
	for i, t := range st.targets {
		if t.name != name {
			continue
		}
		if at >= 0 && key(st.targets[at].e) != key(t.e) {
			st.b.failf(pos, sqlerr.AmbiguousColumn, "%s \"%s\" is ambiguous", clause, name)
		}
		if at < 0 {
			at = i
		}
	}
	return at
}

func (st *selectState) position(n *pg.Node, clause string) (int, bool) {
	c := n.GetAConst()
	if c == nil {
		return 0, false
	}
	iv, ok := c.Val.(*pg.A_Const_Ival)
	if !ok {
		if c.Val != nil || c.Isnull {
			st.b.failf(c.Location, sqlerr.SyntaxError, "non-integer constant in %s", clause)
		}
	}
	i := 0
	if iv != nil {
		i = int(iv.Ival.GetIval())
	}
	if i < 1 || i > len(st.targets) {
		st.b.failf(c.Location, sqlerr.InvalidColumnReference, "%s position %d is not in select list", clause, i)
	}
	return i - 1, true
}

func (b *binder) sortKey(s *pg.SortBy, t types.T) SortKey {
	k := SortKey{T: t}
	if s.SortbyDir == pg.SortByDir_SORTBY_USING {
		op := stringList(s.UseOp)
		k.Desc = len(op) > 0 && op[len(op)-1] == ">"
	}
	k.Desc = k.Desc || s.SortbyDir == pg.SortByDir_SORTBY_DESC
	k.NullsFirst = k.Desc
	switch s.SortbyNulls {
	case pg.SortByNulls_SORTBY_NULLS_FIRST:
		k.NullsFirst = true
	case pg.SortByNulls_SORTBY_NULLS_LAST:
		k.NullsFirst = false
	}
	if t.OID == types.OIDJSON {
		fail(sqlerr.New(sqlerr.UndefinedFunction, "could not identify an ordering operator for type %s", t).
			WithHint("Use an explicit ordering operator or modify the query."))
	}
	return k
}

// limit binds LIMIT and OFFSET, which see no columns.
func (b *binder) limit(outer *scope, rel Rel, s *pg.SelectStmt, keys []SortKey) Rel {
	if s.LimitCount == nil && s.LimitOffset == nil {
		return rel
	}
	l := &Limit{In: rel}
	bind := func(n *pg.Node, clause string) Expr {
		if n == nil {
			return nil
		}
		e := b.expr(&scope{b: b, parent: outer, clause: clause, noAgg: true}, n)
		if c, ok := e.(*Const); ok && c.D.IsNull() {
			return nil
		}
		out := b.coerce(e, types.Int8, types.CastAssignment, b.pos(n))
		if out == nil {
			b.failf(b.pos(n), sqlerr.DatatypeMismatch, "argument of %s must be type bigint, not type %s", clause, e.Type())
		}
		return out
	}
	l.Count, l.Offset = bind(s.LimitCount, "LIMIT"), bind(s.LimitOffset, "OFFSET")
	if s.LimitOption == pg.LimitOption_LIMIT_OPTION_WITH_TIES {
		if len(keys) == 0 {
			b.failf(-1, sqlerr.SyntaxError, "WITH TIES cannot be specified without ORDER BY clause")
		}
		l.WithTies = keys
	}
	if l.Count == nil && l.Offset == nil {
		return rel
	}
	return l
}

// locking applies FOR UPDATE and its kind.
func (st *selectState) locking(q *query) {
	if len(st.s.LockingClause) == 0 {
		return
	}
	b, clause := st.b, clauseName(st.s.LockingClause[0].GetLockingClause())
	for _, no := range []struct {
		found bool
		with  string
	}{{len(st.s.GroupClause) > 0, "GROUP BY clause"}, {st.having != nil, "HAVING clause"}, {len(st.agg.calls) > 0, "aggregate functions"},
		{len(st.s.DistinctClause) > 0, "DISTINCT clause"}, {len(st.win.calls) > 0, "window functions"}} {
		if no.found {
			b.failf(-1, sqlerr.FeatureNotSupported, "%s is not allowed with %s", clause, no.with)
		}
	}
	lr := &LockRows{In: q.rel}
	for _, n := range st.s.LockingClause {
		st.lockClause(lr, n.GetLockingClause())
	}
	if len(lr.Scans) > 0 {
		b.writes = true
		q.rel = lr
	}
}

// rowLocks has what each locking clause means.
var rowLocks = map[pg.LockClauseStrength]struct {
	name     string
	strength kvapi.LockStrength
}{
	pg.LockClauseStrength_LCS_FORKEYSHARE:    {"FOR KEY SHARE", kvapi.LockKeyShare},
	pg.LockClauseStrength_LCS_FORSHARE:       {"FOR SHARE", kvapi.LockShared},
	pg.LockClauseStrength_LCS_FORNOKEYUPDATE: {"FOR NO KEY UPDATE", kvapi.LockNoKeyUpdate},
	pg.LockClauseStrength_LCS_FORUPDATE:      {"FOR UPDATE", kvapi.LockExclusive},
}

func clauseName(lc *pg.LockingClause) string { return rowLocks[lc.Strength].name }

func (st *selectState) lockClause(lr *LockRows, lc *pg.LockingClause) {
	if len(lc.LockedRels) == 0 {
		for _, t := range st.sc.tables {
			if t.derived != "" {
				st.b.unsupported(-1, clauseName(lc)+" of "+t.derived)
			}
			lr.mark(t.scan, lc)
			st.b.needLock(t)
		}
		return
	}
	for _, r := range lc.LockedRels {
		rv := r.GetRangeVar()
		t := (&scope{b: st.b, tables: st.sc.tables}).table("", rv.Relname, rv.Location)
		switch {
		case t == nil:
			st.b.failf(rv.Location, sqlerr.UndefinedTable, "relation \"%s\" in %s clause not found in FROM clause", rv.Relname, clauseName(lc))
		case t.derived != "":
			st.b.unsupported(rv.Location, clauseName(lc)+" of "+t.derived)
		case t.scan == nil:
			st.b.failf(rv.Location, sqlerr.FeatureNotSupported, "%s cannot be applied to \"%s\", which is no table", clauseName(lc), rv.Relname)
		}
		lr.mark(t.scan, lc)
		st.b.needLock(t)
	}
}

// mark adds a clause to a scan. Of several the strongest lock counts, and the least patience.
func (lr *LockRows) mark(s *Scan, lc *pg.LockingClause) {
	if s == nil {
		return
	}
	wait := kvapi.WaitBlock
	switch lc.WaitPolicy {
	case pg.LockWaitPolicy_LockWaitError:
		wait = kvapi.WaitError
	case pg.LockWaitPolicy_LockWaitSkip:
		wait = kvapi.WaitSkip
	}
	s.Explicit, s.Lock = true, max(s.Lock, rowLocks[lc.Strength].strength)
	if s.Wait == kvapi.WaitBlock || wait == kvapi.WaitError {
		s.Wait = wait
	}
	if !slices.Contains(lr.Scans, s) {
		lr.Scans = append(lr.Scans, s)
	}
}
