package bind

import (
	"cmp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (b *binder) funcName(fc *pg.FuncCall) string {
	parts := stringList(fc.Funcname)
	name := parts[len(parts)-1]
	if len(parts) == 2 && parts[0] != "pg_catalog" {
		if len(builtins.Lookup(parts[0]+"."+name)) > 0 {
			return parts[0] + "." + name
		}
		if parts[0] != "public" || len(builtins.Lookup(name)) > 0 {
			b.failf(fc.Location, sqlerr.UndefinedFunction, "function %s() does not exist", strings.Join(parts, "."))
		}
	}
	return name
}

func (b *binder) funcCall(sc *scope, fc *pg.FuncCall) Expr {
	if e := b.userCall(sc, fc); e != nil {
		return e
	}
	name := b.funcName(fc)
	switch {
	case fc.Over != nil:
		return b.windowCall(sc, name, fc)
	case fc.AggWithinGroup && hypothetical[name]:
		return b.hypotheticalSet(sc, name, fc)
	case hypothetical[name] && len(fc.Args) > 0:
		b.failf(fc.Location, sqlerr.WrongObjectType, "WITHIN GROUP is required for ordered-set aggregate %s", name)
	case builtins.IsAggregate(name):
		return b.aggregate(sc, name, fc)
	case windowOnly[name] != "" && len(builtins.Lookup(name)) == 0:
		b.failf(fc.Location, sqlerr.WrongObjectType, "window function %s requires an OVER clause", name)
	}
	b.plainCall(name, fc)
	fc = b.inOrder(name, fc)
	if fc.FuncVariadic {
		return b.variadicCall(sc, name, fc)
	}
	args := b.exprs(sc, fc.Args)
	m, err := builtins.ResolveFunc(name, exprTypes(args))
	if err != nil {
		if e := b.castSyntax(name, args, fc.Location); e != nil {
			return e
		}
		if missing := missingFunction(name); missing != nil && len(builtins.Lookup(name)) == 0 {
			err = missing
		}
		b.check(fc.Location, err)
	}
	if m.Class == builtins.SetReturning {
		return b.targetSRF(sc, m, args, fc.Location)
	}
	return b.call(m, args, fc.Location)
}

// builtinParams are the parameters of built-in functions that have names.
var builtinParams = func() map[string][]string {
	path := []string{"target", "path", "vars", "silent"}
	out := map[string][]string{
		"make_interval":    {"years", "months", "weeks", "days", "hours", "mins", "secs"},
		"make_date":        {"year", "month", "day"},
		"make_time":        {"hour", "min", "sec"},
		"make_timestamp":   {"year", "month", "mday", "hour", "min", "sec"},
		"make_timestamptz": {"year", "month", "mday", "hour", "min", "sec", "timezone"},
		"jsonb_set":        {"jsonb_in", "path", "replacement", "create_if_missing"},
		"jsonb_set_lax":    {"jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"},
		"jsonb_insert":     {"jsonb_in", "path", "replacement", "insert_after"},
		"parse_ident":      {"str", "strict"},
	}
	for _, f := range []string{"exists", "match", "query", "query_array", "query_first"} {
		out["jsonb_path_"+f] = path
	}
	return out
}()

// paramDefault is a parameter that is left out before one that is given.
func paramDefault(name string, pos int32) *pg.Node {
	switch name {
	case "vars":
		return pg.MakeAConstStrNode("{}", pos)
	case "create_if_missing":
		return pg.MakeAConstStrNode("t", pos)
	}
	return pg.MakeAConstIntNode(0, pos)
}

// inOrder puts named arguments of a built-in function where they belong.
func (b *binder) inOrder(name string, fc *pg.FuncCall) *pg.FuncCall {
	params := builtinParams[name]
	if len(fc.Args) == 0 || len(fc.Args) > len(params) || fc.Args[len(fc.Args)-1].GetNamedArgExpr() == nil {
		return fc
	}
	args := make([]*pg.Node, len(params))
	for i, a := range fc.Args {
		n := a.GetNamedArgExpr()
		if n == nil {
			args[i] = a
			continue
		}
		at := slices.Index(params, n.Name)
		if at < 0 || args[at] != nil {
			b.failf(fc.Location, sqlerr.UndefinedFunction, "function %s has no parameter \"%s\", or it is given twice", name, n.Name)
		}
		args[at] = n.Arg
	}
	given := 0
	for i, a := range args {
		if a != nil {
			given = i + 1
		}
	}
	args = args[:given] // the function knows its last defaults
	for i := range args {
		if args[i] == nil {
			args[i] = paramDefault(params[i], fc.Location)
		}
	}
	return &pg.FuncCall{Funcname: fc.Funcname, Args: args, Location: fc.Location}
}

func (b *binder) noteVolatile(m builtins.Match) {
	if m.Vol == builtins.Volatile {
		b.volatile = true
		b.effects = b.effects || !m.Overload.IsDraw()
	}
}

// plainCall refuses aggregate syntax on other functions.
func (b *binder) plainCall(name string, fc *pg.FuncCall) {
	switch {
	case fc.AggStar:
		b.failf(fc.Location, sqlerr.WrongObjectType, "%s(*) specified, but %s is not an aggregate function", name, name)
	case fc.AggDistinct:
		b.failf(fc.Location, sqlerr.WrongObjectType, "DISTINCT specified, but %s is not an aggregate function", name)
	case fc.AggFilter != nil:
		b.failf(fc.Location, sqlerr.WrongObjectType, "FILTER specified, but %s is not an aggregate function", name)
	case fc.AggOrder != nil:
		b.failf(fc.Location, sqlerr.WrongObjectType, "ORDER BY specified, but %s is not an aggregate function", name)
	}
}

// castSyntax is Postgres's function-like cast: int8(x), text(x).
func (b *binder) castSyntax(name string, args []Expr, pos int32) Expr {
	if len(args) != 1 || len(builtins.Lookup(name)) > 0 {
		return nil
	}
	t, ok := types.ByTypName(name)
	if !ok {
		return nil
	}
	return b.coerce(args[0], t, types.CastExplicit, pos)
}

// variadicCall binds f(VARIADIC array); the elements of an array that is written out become arguments.
func (b *binder) variadicCall(sc *scope, name string, fc *pg.FuncCall) Expr {
	args := b.exprs(sc, fc.Args)
	if last, ok := args[len(args)-1].(*Array); ok {
		return b.callByName(name, append(args[:len(args)-1:len(args)-1], last.Elems...), fc.Location)
	}
	m, err := builtins.ResolveVariadic(name, exprTypes(args))
	if err != nil && !exprTypes(args)[len(args)-1].IsArray() {
		b.check(b.pos(fc.Args[len(fc.Args)-1]), err)
	}
	b.check(fc.Location, err)
	return b.call(m, args, fc.Location)
}

// targetSRF registers a set-returning function of a target list.
func (b *binder) targetSRF(sc *scope, m builtins.Match, args []Expr, pos int32) Expr {
	if sc.srf == nil {
		b.failf(pos, sqlerr.FeatureNotSupported, "set-returning functions are not allowed in %s", sc.place())
	}
	f := b.tableFunc(m, b.castArgs(m, args, pos))
	*sc.srf = append(*sc.srf, f)
	if len(f.Cols) == 1 {
		return &Col{ID: f.Cols[0], T: m.Ret, Name: m.Name, Pos: pos}
	}
	r := &Row{}
	for i, c := range m.Cols(exprTypes(args)) {
		r.Elems = append(r.Elems, &Col{ID: f.Cols[i], T: c.Type, Name: c.Name, Pos: pos})
		r.Names = append(r.Names, c.Name)
	}
	return r
}

func (b *binder) tableFunc(m builtins.Match, args []Expr) TableFunc {
	n := 1
	if m.Cols != nil {
		n = len(m.Cols(exprTypes(args)))
	}
	base := b.newCols(n)
	f := TableFunc{M: m, Args: args}
	for i := 0; i < n; i++ {
		f.Cols = append(f.Cols, base+ColID(i))
	}
	return f
}

// aggState collects the aggregates of one SELECT.
type aggState struct {
	calls []AggCall
	keys  map[string]ColID
	// grouping says that GROUPING is called.
	grouping bool
	pre      []Item // computed below the aggregation, for ORDER BY inside calls
}

func (b *binder) aggregate(sc *scope, name string, fc *pg.FuncCall) Expr {
	inner := sc.inAggregate()
	if len(fc.Args) == 0 && !fc.AggStar && !fc.AggWithinGroup {
		b.failf(fc.Location, sqlerr.WrongObjectType, "%s(*) must be used to call a parameterless aggregate function", name)
	}
	c := AggCall{Star: fc.AggStar, Distinct: fc.AggDistinct}
	args := b.exprs(inner, fc.Args)
	if fc.AggWithinGroup {
		args = append(args, b.withinGroup(inner, &c, fc)...)
	}
	m, err := builtins.ResolveFunc(name, exprTypes(args))
	b.check(fc.Location, err)
	switch {
	case m.Ordered && !fc.AggWithinGroup:
		b.failf(fc.Location, sqlerr.WrongObjectType, "WITHIN GROUP is required for ordered-set aggregate %s", name)
	case !m.Ordered && fc.AggWithinGroup:
		b.failf(fc.Location, sqlerr.WrongObjectType, "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", name)
	}
	c.M, c.Args = m, b.castArgs(m, args, fc.Location)
	if fc.AggFilter != nil {
		f := inner.in("FILTER", true)
		c.Filter = b.boolean(b.expr(f, fc.AggFilter), "FILTER", b.pos(fc.AggFilter))
	}
	for _, o := range fc.AggOrder {
		if fc.AggWithinGroup {
			break
		}
		c.Order = append(c.Order, b.aggOrder(inner, o.GetSortBy()))
	}
	return b.addAgg(b.aggScope(sc, inner, &c, fc.Location), c, fc.Location)
}

// inAggregate is the scope of an aggregate's arguments, of which it is not known yet to which query
// the aggregate belongs.
func (sc *scope) inAggregate() *scope {
	inner := *sc
	inner.inAgg, inner.srf, inner.win, inner.agg = true, nil, nil, &aggState{keys: map[string]ColID{}}
	return &inner
}

// withinGroup binds WITHIN GROUP (ORDER BY …): what is ordered by are arguments too.
func (b *binder) withinGroup(sc *scope, c *AggCall, fc *pg.FuncCall) []Expr {
	if fc.AggDistinct {
		b.failf(fc.Location, sqlerr.SyntaxError, "cannot use DISTINCT with WITHIN GROUP")
	}
	var out []Expr
	for _, o := range fc.AggOrder {
		k := b.aggOrder(sc, o.GetSortBy())
		c.Order = append(c.Order, k)
		out = append(out, b.defaultUnknown(b.expr(sc, o.GetSortBy().Node)))
	}
	return out
}

// aggScope finds the query that an aggregate belongs to, and takes there what is computed below the
// aggregation. It is the innermost one of whose columns its arguments, conditions and order speak, and this one
// if they speak of none (SQL:2016 6.9, syntax rule 7; what Postgres calls the aggregate's level): in
//
//	SELECT (SELECT max(t.a) FROM u) FROM t
//
// the maximum is over t, and the subquery has it from outside, as it has a column.
func (b *binder) aggScope(sc, inner *scope, c *AggCall, pos int32) *scope {
	used := map[ColID]int32{} // and where
	note := func(e Expr) {
		for id := range Refs(e) {
			used[id] = pos
		}
		WalkExpr(e, func(Rel) {}, func(x Expr) {
			if c, ok := x.(*Col); ok {
				used[c.ID] = c.Pos
			}
		})
	}
	for _, a := range c.Args {
		note(a)
	}
	if c.Filter != nil {
		note(c.Filter)
	}
	for _, o := range c.Order {
		used[o.ID] = pos
	}
	for _, it := range inner.agg.pre {
		note(it.E)
	}
	at := b.levelOf(sc, used)
	switch {
	case at.noAgg || at.agg == nil:
		b.failf(pos, sqlerr.GroupingError, "aggregate functions are not allowed in %s", at.place())
	case at.inAgg:
		b.failf(pos, sqlerr.GroupingError, "aggregate function calls cannot be nested")
	}
	at.agg.pre = append(at.agg.pre, inner.agg.pre...)
	return at
}

// levelOf finds the innermost query of whose columns some are used, and of it the clause that a
// subquery that uses them is in. The aggregates of that query are not among them.
func (b *binder) levelOf(sc *scope, used map[ColID]int32) *scope {
	for s := sc; s != nil; s = s.parent {
		clause := sc
		if s != sc {
			clause = cmp.Or(s.clauseOf, &scope{})
		}
		own := false
		for id, at := range used {
			if clause.agg != nil && clause.agg.has(id) {
				b.failf(at, sqlerr.GroupingError, "aggregate function calls cannot be nested")
			}
			own = own || s.local(id)
		}
		if own {
			return clause
		}
	}
	return sc
}

func (a *aggState) has(id ColID) bool {
	return slices.ContainsFunc(a.calls, func(c AggCall) bool { return c.ID == id })
}

func (b *binder) aggOrder(sc *scope, s *pg.SortBy) SortKey {
	e := b.defaultUnknown(b.expr(sc, s.Node))
	k := b.sortKey(s, e.Type())
	if c, ok := e.(*Col); ok && sc.local(c.ID) {
		k.ID = c.ID
		return k
	}
	k.ID = b.newCols(1)
	sc.agg.pre = append(sc.agg.pre, Item{ID: k.ID, E: e})
	return k
}

func (b *binder) addAgg(sc *scope, c AggCall, pos int32) Expr {
	k := aggKey(&c)
	id, ok := sc.agg.keys[k]
	if !ok {
		id = b.newCols(1)
		c.ID = id
		sc.agg.calls = append(sc.agg.calls, c)
		sc.agg.keys[k] = id
	}
	return &Col{ID: id, T: c.M.Ret, Name: aggName(&c), Pos: pos}
}

func aggKey(c *AggCall) string {
	var sb strings.Builder
	sb.WriteString(c.M.Name)
	for _, a := range c.Args {
		sb.WriteString("," + key(a))
	}
	sb.WriteString(not(c.Distinct, " D", ""))
	if c.Filter != nil {
		sb.WriteString(" F" + key(c.Filter))
	}
	for _, o := range c.Order {
		sb.WriteString(" O" + key(&Col{ID: o.ID}) + not(o.Desc, "D", "A") + not(o.NullsFirst, "F", "L"))
	}
	return sb.String()
}

func aggName(c *AggCall) string {
	if c.Star {
		return c.M.Name + "(*)"
	}
	return c.M.Name + "(" + (&formatter{}).list(c.Args, ", ") + ")"
}
