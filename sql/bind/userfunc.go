package bind

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// A function that a user made becomes a part of the statement that calls it, so that it is planned
// with it and costs nothing to call. For a function f(p) AS 'SELECT x FROM t WHERE k = p':
//
//	SELECT f(a) FROM s             a scalar subquery     (SELECT x FROM t WHERE k = s.a LIMIT 1)
//	SELECT * FROM s, f(s.a)        a lateral item        s, LATERAL (SELECT x FROM t WHERE k = s.a)
//	SELECT f(a + 1) FROM s         its arguments once    FROM (SELECT a + 1 AS p) JOIN LATERAL …
//	f(p) AS 'SELECT p * 2'         an expression         a * 2
//
// A strict function has its body under a filter that no argument is NULL. What cannot become a part of
// the statement is called (routine.go).
//
// Rejected: to run every body as a statement of its own for each call: an index could not be used for a
// function's filter.

// activeFunc is the function whose body is being bound, with the values of its parameters.
type activeFunc struct {
	f      *schema.Function
	inputs []schema.FuncArg
	vals   []Expr
	// vars are the variables of a body in PL/pgSQL, by which names are found instead; nil for one in SQL.
	vars *Variables
}

// userCallee is a function that a call means, with the values of its parameters.
type userCallee struct {
	activeFunc
	ret types.T
}

// FunctionSignature is a function as messages name it: f(integer, text).
func FunctionSignature(f *schema.Function) string {
	var ts []string
	for _, a := range f.Inputs() {
		ts = append(ts, tablekv.TypeOf(a.Type).String())
	}
	return f.Name + "(" + strings.Join(ts, ", ") + ")"
}

// FunctionsNamed lists the functions of a name along the search path, or in one schema; of those with
// the same arguments only the first.
func FunctionsNamed(env Env, names []string) []*schema.Function {
	path, name := env.SearchPath, names[len(names)-1]
	switch {
	case env.Snap == nil || len(names) == 1 && len(builtins.Lookup(name)) > 0:
		return nil // pg_catalog comes first
	case len(names) > 1:
		path = names[len(names)-2 : len(names)-1]
	}
	var out []*schema.Function
	seen := map[string]bool{}
	for _, p := range path {
		if p == "pg_temp" {
			p = env.Temp
		}
		sc := env.Snap.Schema(env.Database, p)
		if sc == nil {
			continue
		}
		fs := env.Snap.FunctionsNamed(sc.ID, name)
		if m := env.Making; m != nil && m.Form == schema.BodyText && m.Name == name && m.SchemaID == sc.ID {
			fs = append([]*schema.Function{m}, fs...)
		}
		for _, f := range fs {
			if k := schema.BoundName(f); !seen[k] {
				seen[k] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// userCallee finds the function, or the procedure, that a call means, and binds its arguments; nil if no
// user made one of the name.
func (b *binder) userCallee(sc *scope, fc *pg.FuncCall, procedure bool) *userCallee {
	fs := FunctionsNamed(b.env, stringList(fc.Funcname))
	if len(fs) == 0 {
		return nil
	}
	name := stringList(fc.Funcname)[len(fc.Funcname)-1]
	b.plainCall(name, fc)
	if fc.Over != nil {
		b.failf(fc.Location, sqlerr.WrongObjectType, "OVER specified, but %s is not a window function nor an aggregate function", name)
	}
	var args []Expr
	for _, a := range fc.Args {
		if n := a.GetNamedArgExpr(); n != nil {
			a = n.Arg
		}
		args = append(args, b.expr(sc, a))
	}
	var os []*builtins.Overload
	var slots [][]int
	var found []*schema.Function
	for _, f := range fs {
		if o, at, ok := b.laid(f, fc); ok {
			os, slots, found = append(os, o), append(slots, at), append(found, f)
		}
	}
	i, m, err := builtins.ResolveAmong(name, os, exprTypes(args))
	if open := openRows(args); err != nil && open != nil { // ROW(…) may become any row type
		if j, n, rowErr := builtins.ResolveAmong(name, os, open); rowErr == nil {
			i, m, err = j, n, nil
		}
	}
	if err != nil && procedure && sqlerr.HasCode(err, sqlerr.UndefinedFunction) {
		b.noProcedure(fc, args)
	}
	b.check(fc.Location, err)
	f := found[i]
	switch {
	case procedure && !f.Procedure:
		b.notProcedure(fc, args)
	case f.Procedure && !procedure:
		b.at(fc.Location, sqlerr.New(sqlerr.WrongObjectType, "%s is a procedure", calledAs(fc, args)).WithHint("To call a procedure, use CALL."))
	case b.stored:
		b.unsupported(fc.Location, "a function made by a user in %s", sc.clause)
	}
	b.needExecute(f)
	params := callParams(f)
	c := &userCallee{activeFunc: activeFunc{f: f, inputs: f.Inputs()}, ret: m.Ret}
	vals := b.paramValues(c.f, params, m, slots[i], b.castArgs(m, args, fc.Location), fc)
	for i, p := range params {
		if p.Mode != schema.ArgOut {
			c.vals = append(c.vals, vals[i])
		}
	}
	return c
}

// openRows are the types of arguments with those of ROW(…) left open, nil if there is none.
func openRows(args []Expr) []types.T {
	ts, found := exprTypes(args), false
	for i, a := range args {
		if _, ok := rowOf(a); ok {
			ts[i], found = types.Unknown, true
		}
	}
	if !found {
		return nil
	}
	return ts
}

// declared is the type of a parameter. The row type of a table is as the table is now.
func (b *binder) declared(t schema.Type) types.T {
	d := tablekv.TypeOf(t)
	if d.User == nil || !d.User.OfTable() {
		return d
	}
	o := b.env.Snap.Object(schema.DescID(d.User.OID))
	if t, ok := o.(*schema.Table); ok {
		b.tables[t.ID] = t
	}
	if row, ok := b.rowTypeOf(o); ok {
		d.User = row.User
	}
	return d
}

// callParams are the parameters that a call gives something for. Of a procedure's output parameters that
// is not computed.
func callParams(f *schema.Function) []schema.FuncArg {
	if f.Procedure {
		return f.Args
	}
	return f.Inputs()
}

// laid lays a call's arguments against a function's parameters: the overload that takes the arguments
// in the order of the call, and the parameter that each is for.
func (b *binder) laid(f *schema.Function, fc *pg.FuncCall) (o *builtins.Overload, slots []int, ok bool) {
	in := callParams(f)
	o = &builtins.Overload{Name: f.Name, Class: builtins.Scalar, Ret: tablekv.TypeOf(f.Result)}
	given := make([]bool, len(in))
	for i, a := range fc.Args {
		at := i
		if n := a.GetNamedArgExpr(); n != nil {
			at = slices.IndexFunc(in, func(p schema.FuncArg) bool { return p.Name == n.Name })
			if at < 0 || given[at] {
				return nil, nil, false
			}
		}
		spread := len(in) > 0 && in[len(in)-1].Mode == schema.ArgVariadic && at >= len(in)-1 && !fc.FuncVariadic
		if spread {
			at = len(in) - 1
		}
		if at >= len(in) || given[at] && !spread {
			return nil, nil, false
		}
		t := b.declared(in[at].Type)
		if spread {
			if t, ok = t.Elem(); !ok {
				t = types.AnyElement
			}
		}
		given[at] = true
		slots = append(slots, at)
		if !spread || !o.Variadic { // of a variadic parameter the element's type, once
			o.Args = append(o.Args, t)
		}
		o.Variadic = spread
	}
	for i, p := range in {
		if !given[i] && p.Default == "" {
			return nil, nil, false
		}
	}
	return o, slots, true
}

// paramValues are the values of all parameters: what the call gives, and defaults.
func (b *binder) paramValues(f *schema.Function, in []schema.FuncArg, m builtins.Match, slots []int, args []Expr, fc *pg.FuncCall) []Expr {
	vals := make([]Expr, len(in))
	for i, at := range slots {
		if in[at].Mode != schema.ArgVariadic || fc.FuncVariadic {
			vals[at] = args[i]
			continue
		}
		a, _ := vals[at].(*Array)
		if a == nil {
			a = &Array{}
			a.T, _ = m.CastTo[i].Array()
			vals[at] = a
		}
		a.Elems = append(a.Elems, args[i])
	}
	for i, p := range in {
		if vals[i] != nil || p.Mode == schema.ArgOut {
			continue
		}
		b.inBody(f, p.Default, nil, func() {
			stmts, err := parser.Parse("SELECT " + p.Default)
			b.check(-1, err)
			e := b.expr(&scope{b: b, clause: "DEFAULT expressions"}, stmts[0].Tree.GetSelectStmt().TargetList[0].GetResTarget().Val)
			if t := b.declared(p.Type); !t.IsPolymorphic() {
				e = b.assign(e, t, "", -1)
			}
			vals[i] = b.defaultUnknown(e)
		})
	}
	return vals
}

func (b *binder) needExecute(f *schema.Function) {
	owner, at := b.asOwner, b.schemaAt
	b.asOwner, b.schemaAt = "", 0 // a view's functions run with the rights of who reads the view
	b.need(f, schema.PrivExecute)
	b.asOwner, b.schemaAt = owner, at
}

// inBody has do bind a part of a function: its names, its parameters, the rights of the caller.
func (b *binder) inBody(f *schema.Function, text string, fn *activeFunc, do func()) {
	defer b.enter()()
	path, query, owner, active := b.env.SearchPath, b.query, b.asOwner, b.fn
	if len(f.SearchPath) > 0 {
		b.env.SearchPath = f.SearchPath
	}
	b.query, b.asOwner, b.fn = text, "", fn
	if fn == nil || b.env.Making != f { // whose errors have their position in the body
		b.inView++
		defer func() { b.inView-- }()
	}
	b.calling = append(b.calling, f)
	do()
	b.calling = b.calling[:len(b.calling)-1]
	b.env.SearchPath, b.query, b.asOwner, b.fn = path, query, owner, active
}

// userCall binds a call in an expression; nil if it is none of a user's function.
func (b *binder) userCall(sc *scope, fc *pg.FuncCall) Expr {
	c := b.userCallee(sc, fc, false)
	if c == nil {
		return nil
	}
	sel := b.bodyOf(c.f)
	switch {
	case sel == nil || c.ret.OID == types.OIDRecord || c.f.RowsOf != 0:
		return b.calledValue(sc, c, fc.Location)
	case c.f.SetOf:
		return b.setInTargets(sc, c, fc)
	case b.plainBody(c, sel):
		return b.plainValue(sc, c, sel)
	case sc.noSub != "":
		return b.calledValue(sc, c, fc.Location)
	}
	rel, cols := b.userRel(c, sel, JoinInner)
	return voidOf(c, &Subquery{Kind: SubScalar, Rel: rel, Cols: cols, T: cols[0].T})
}

// setInTargets is a set-returning function in a target list: unnest(ARRAY(body)).
func (b *binder) setInTargets(sc *scope, c *userCallee, fc *pg.FuncCall) Expr {
	at, ok := c.ret.Array()
	if !ok {
		b.unsupported(fc.Location, "a function that returns %s, outside of FROM", c.ret)
	}
	rel, cols := b.userRel(c, b.bodyOf(c.f), JoinInner)
	args := []Expr{&Subquery{Kind: SubArray, Rel: rel, Cols: cols, T: at}}
	m, err := builtins.ResolveFunc("unnest", exprTypes(args))
	b.check(fc.Location, err)
	m.Overload = renamed(m.Overload, c.f.Name)
	return b.targetSRF(sc, m, args, fc.Location)
}

func renamed(o *builtins.Overload, name string) *builtins.Overload {
	c := *o
	c.Name = name
	return &c
}

// voidOf is a function's value, or nothing where it returns void: the body is evaluated all the same.
func voidOf(c *userCallee, e Expr) Expr {
	if c.ret.OID != types.OIDVoid {
		return e
	}
	nothing := func(*builtins.EvalContext, []types.Datum) (types.Datum, error) { return types.Null, nil }
	o := &builtins.Overload{Name: c.f.Name, Class: builtins.Scalar, Args: []types.T{types.Any}, Ret: types.Void, Vol: builtins.Volatile, Fn: nothing}
	return &Call{M: builtins.Match{Overload: o, CastTo: []types.T{e.Type()}, Ret: types.Void, Call: nothing}, Args: []Expr{e}}
}

// plainBody says whether a body is an expression that can stand where the call stands: one value, of
// nothing but the parameters, of which those that cost something to compute are used at most once.
func (b *binder) plainBody(c *userCallee, s *pg.SelectStmt) bool {
	if s.Op != pg.SetOperation_SETOP_NONE || len(s.ValuesLists) > 0 || len(s.FromClause) > 0 || s.WhereClause != nil ||
		len(s.GroupClause) > 0 || s.HavingClause != nil || len(s.WindowClause) > 0 || s.WithClause != nil || s.LimitCount != nil ||
		s.LimitOffset != nil || len(s.DistinctClause) > 0 || len(s.SortClause) > 0 || len(s.TargetList) != 1 || c.ret.OID == types.OIDVoid {
		return false
	}
	uses, plain := make([]int, len(c.vals)), true
	parser.Walk(s.TargetList[0], func(m proto.Message) {
		switch x := m.(type) {
		case *pg.ParamRef:
			if n := int(x.Number); n >= 1 && n <= len(uses) {
				uses[n-1]++
			}
		case *pg.ColumnRef:
			names := stringList(x.Fields)
			for _, name := range names { // the first may be that of a row
				if i := paramNamed(c.inputs, []string{name}); i >= 0 {
					uses[i]++
				}
			}
		case *pg.SubLink:
			plain = false
		case *pg.FuncCall:
			names := stringList(x.Funcname)
			name := names[len(names)-1]
			if x.Over != nil || builtins.IsAggregate(name) || slices.ContainsFunc(builtins.Lookup(name), func(o *builtins.Overload) bool {
				return o.Class != builtins.Scalar
			}) || len(FunctionsNamed(b.env, names)) > 0 {
				plain = false
			}
		}
	})
	for i, v := range c.vals {
		if strict := c.f.Strict; copied(v) == nil && (uses[i] > 1 || strict || b.volatile) {
			plain = false
		}
	}
	return plain
}

// plainValue binds a body that is an expression.
func (b *binder) plainValue(sc *scope, c *userCallee, s *pg.SelectStmt) (out Expr) {
	b.inBody(c.f, c.f.Body, &c.activeFunc, func() {
		out = b.expr(&scope{b: b, clause: sc.clause, noAgg: true, noSub: sc.noSub}, s.TargetList[0].GetResTarget().Val)
		out = b.defaultUnknown(b.toReturned(c, out))
	})
	if c.f.Strict && len(c.vals) > 0 {
		out = &Case{Whens: []When{{Cond: anyNull(c.vals), Result: &Const{D: types.Null, T: out.Type(), Pos: -1}}}, Else: out, T: out.Type()}
	}
	return out
}

func (b *binder) toReturned(c *userCallee, e Expr) Expr {
	out := b.coerce(e, c.ret, types.CastAssignment, -1)
	if out == nil {
		fail(returnMismatch(c.ret.String(), "Actual return type is %s.", e.Type().Base()))
	}
	return out
}

func returnMismatch(declared, detail string, args ...any) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidFunctionDefinition, "return type mismatch in function declared to return %s", declared).
		WithDetail(detail, args...)
}

func anyNull(vals []Expr) Expr {
	var args []Expr
	for _, v := range vals {
		args = append(args, &IsNull{E: copyOr(v)})
	}
	if len(args) == 1 {
		return args[0]
	}
	return &Or{Args: args}
}

// copied is a copy of a value that costs nothing to compute again, nil for others.
func copied(e Expr) Expr {
	switch e := e.(type) {
	case *Const:
		c := *e
		return &c
	case *Param:
		c := *e
		return &c
	case *Col:
		c := *e
		return &c
	}
	return nil
}

func copyOr(e Expr) Expr {
	if c := copied(e); c != nil {
		return c
	}
	return e
}

// userRel is a function's body as a relation of its own: arguments that cost something are computed
// once, beside it. A left join gives a row of NULLs where there is none.
func (b *binder) userRel(c *userCallee, s *pg.SelectStmt, kind JoinKind) (Rel, []Col) {
	args := &Project{In: &OneRow{}}
	fn := c.activeFunc
	fn.vals = slices.Clone(c.vals)
	for i, v := range fn.vals {
		if copied(v) != nil {
			continue
		}
		id := b.newCols(1)
		args.Items = append(args.Items, Item{ID: id, E: v})
		fn.vals[i] = &Col{ID: id, T: v.Type(), Name: c.f.Name + "." + c.inputs[i].Name, Pos: -1}
	}
	var q *query
	b.inBody(c.f, c.f.Body, &fn, func() {
		q = b.query_(nil, s, queryOptions{})
		b.returned(c, q)
	})
	rel := q.rel
	if c.f.Strict && len(fn.vals) > 0 {
		rel = &Filter{In: rel, Pred: &Not{E: anyNull(fn.vals)}}
	}
	if !c.f.SetOf {
		rel = &Limit{In: rel, Count: &Const{D: types.NewInt(1), T: types.Int8, Pos: -1}}
	}
	if len(args.Items) > 0 || kind == JoinLeft {
		rel = &Join{Kind: kind, L: args, R: rel}
	}
	return rel, q.columns()
}

// returned makes the columns of a body those that the function was declared to return.
func (b *binder) returned(c *userCallee, q *query) {
	want := b.returnedColumns(c)
	if c.ret.OID == types.OIDVoid {
		return
	}
	declared := c.ret.String()
	if row, ok := b.rowTypeOf(b.env.Snap.Object(c.f.RowsOf)); ok {
		declared = row.String()
	}
	switch {
	case len(q.cols) < len(want):
		fail(returnMismatch(declared, "Final statement returns too few columns."))
	case len(q.cols) > len(want) && len(want) == 1:
		fail(returnMismatch(declared, "Final statement must return exactly one column."))
	case len(q.cols) > len(want):
		fail(returnMismatch(declared, "Final statement returns too many columns."))
	}
	ts := make([]types.T, len(want))
	for i, w := range want {
		ts[i] = w.Type
		if from := q.cols[i].t; from.OID != w.Type.OID && from.OID != types.OIDUnknown {
			if cc := types.CanCast(from, w.Type.Plain()); cc != types.CastImplicit && cc != types.CastAssignment {
				if len(want) == 1 {
					fail(returnMismatch(declared, "Actual return type is %s.", from.Base()))
				}
				fail(returnMismatch(declared, "Final statement returns %s instead of %s at column %d.", from.Base(), w.Type, i+1))
			}
		}
	}
	b.convertCols(q, ts)
}

// returnedColumns are the columns of a function's result.
func (b *binder) returnedColumns(c *userCallee) []builtins.Column {
	cols := c.f.Columns
	if c.f.RowsOf != 0 {
		switch o := b.env.Snap.Object(c.f.RowsOf).(type) {
		case *schema.Table:
			cols = o.Columns
		case *schema.View:
			cols = o.Columns
		default:
			b.failf(-1, sqlerr.UndefinedObject, "the table whose rows function %s returns does not exist", c.f.Name)
		}
	}
	if len(cols) == 0 {
		return []builtins.Column{{Name: c.f.Name, Type: c.ret}}
	}
	var out []builtins.Column
	for _, col := range cols {
		if !col.Hidden {
			out = append(out, builtins.Column{Name: col.Name, Type: tablekv.TypeOf(col.Type)})
		}
	}
	return out
}

// userFrom binds a function in FROM that returns rows or many values; nil for others.
func (b *binder) userFrom(sc *scope, t *tableRef, rf *pg.RangeFunction) Rel {
	if len(rf.Functions) != 1 || rf.Ordinality || len(rf.Coldeflist) > 0 {
		return nil
	}
	fc := rf.Functions[0].GetList().Items[0].GetFuncCall()
	if fc == nil || !slices.ContainsFunc(FunctionsNamed(b.env, stringList(fc.Funcname)), func(f *schema.Function) bool {
		return f.SetOf || f.RowsOf != 0 || len(f.Columns) > 0
	}) {
		return nil
	}
	c := b.userCallee(sc, fc, false)
	want := b.returnedColumns(c)
	var rel Rel
	var cols []Col
	switch sel := b.bodyOf(c.f); {
	case sel == nil:
		rel, cols = b.calledRel(c, want)
	case c.f.SetOf:
		rel, cols = b.userRel(c, sel, JoinInner)
	default:
		rel, cols = b.userRel(c, sel, JoinLeft) // exactly one row
	}
	t.name = c.f.Name
	if len(want) == 1 && len(c.f.Columns) == 0 && c.f.RowsOf == 0 {
		want[0].Name = funcColName(c.f.Name, rf)
	}
	for i := range want {
		t.cols = append(t.cols, &scopeCol{name: want[i].Name, id: cols[i].ID, t: cols[i].T, table: t})
	}
	return rel
}

// paramNamed finds a parameter of the function whose body is bound, -1 if it has none of the name.
func paramNamed(in []schema.FuncArg, names []string) int {
	return slices.IndexFunc(in, func(p schema.FuncArg) bool { return p.Name != "" && p.Name == names[0] })
}

// funcParam is a parameter by its name, nil if there is none. Columns come first.
func (b *binder) funcParam(name string) Expr {
	if b.fn == nil {
		return nil
	}
	if b.fn.vars != nil {
		return b.variable("", name)
	}
	if i := paramNamed(b.fn.inputs, []string{name}); i >= 0 {
		return copyOr(b.fn.vals[i])
	}
	return nil
}

// CheckFunction binds a routine's body with values of its parameters' types, as a call would. Errors have
// their position in the body.
func CheckFunction(env Env, f *schema.Function) (err error) {
	env.NoPolicies, env.Making = true, f
	b := &binder{env: env, query: f.Body, tables: map[schema.DescID]*schema.Table{}}
	defer catch(&err)
	if f.Language == schema.PLpgSQL { // what its parts mean depends on what has run before them
		_, err := ProcedureBody(f, true)
		return err
	}
	c := &userCallee{activeFunc: activeFunc{f: f, inputs: f.Inputs()}, ret: tablekv.TypeOf(f.Result)}
	for _, p := range c.inputs {
		t := b.declared(p.Type)
		if t.IsPolymorphic() {
			return nil // what it means depends on the call
		}
		c.vals = append(c.vals, &Col{ID: b.newCols(1), T: t, Name: p.Name, Pos: -1})
	}
	stmts, err := BodyStatements(f)
	if err != nil {
		return err
	}
	if sel := inlineBody(f, stmts); sel != nil {
		b.userRel(c, sel, JoinInner)
		return nil
	}
	return checkRoutine(env, f, stmts, exprTypes(c.vals))
}
