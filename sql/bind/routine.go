package bind

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/plpgsql"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// What cannot become a part of the statement that calls it is called: a function whose body has several
// statements or changes data, one that calls itself, one whose value is a row, and a procedure.
//
//	SELECT f(x) FROM t      a scalar function whose implementation is EvalContext.Routines
//	SELECT * FROM f(x)      a set-returning one, of the columns that f was declared to return
//	CALL p(x)               the same with one row, the statement's result
//
// The session binds each statement of the body by itself (Env.Body): the arguments are its parameters.

// Body says that a statement is one of a routine's body.
type Body struct {
	Function *schema.Function
	// Args are the types of the arguments of the call, Ret what it returns, in which polymorphic types
	// are known.
	Args []types.T
	Ret  types.T
	// Last is set for the statement that gives the result.
	Last bool
	// Vars is set for a part of a body in PL/pgSQL.
	Vars *Variables
}

// BodyStatements parses a routine's body. Errors have their position in the body.
func BodyStatements(f *schema.Function) ([]parser.Stmt, error) {
	stmts, err := parser.Parse(f.Body)
	if err != nil {
		return nil, sqlerr.From(err)
	}
	return stmts, nil
}

// ProcedureBody parses a body in PL/pgSQL, and the SQL in it if it is new. Errors have their position in the body.
func ProcedureBody(f *schema.Function, isNew bool) (*plpgsql.Body, error) {
	var params []plpgsql.Param
	for _, a := range f.Args {
		params = append(params, plpgsql.Param{Name: a.Name})
	}
	b, err := plpgsql.Parse(f.Body, f.Name, params)
	if err != nil || !isNew {
		return b, err
	}
	return b, b.Check()
}

// inlineBody is a body that can become a part of the statement that calls it: one query that changes
// nothing. Nil for others.
func inlineBody(f *schema.Function, stmts []parser.Stmt) *pg.SelectStmt {
	if len(stmts) != 1 || f.Procedure {
		return nil
	}
	sel := stmts[0].Tree.GetSelectStmt()
	for _, c := range sel.GetWithClause().GetCtes() {
		if c.GetCommonTableExpr().GetCtequery().GetSelectStmt() == nil {
			return nil
		}
	}
	return sel
}

// bodyOf is the body of a function that becomes a part of the statement, nil for one that is called.
func (b *binder) bodyOf(f *schema.Function) *pg.SelectStmt {
	if f.Language != schema.SQL {
		return nil
	}
	stmts, err := BodyStatements(f)
	if err != nil {
		e := *sqlerr.From(err)
		e.Position = 0
		b.at(-1, &e)
	}
	if b.callsItself(f) {
		return nil
	}
	return inlineBody(f, stmts)
}

func (b *binder) callsItself(f *schema.Function) bool {
	return slices.ContainsFunc(b.calling, func(o *schema.Function) bool { return o == f || o.ID == f.ID && f.ID != 0 })
}

// bodyStatement binds a statement of a routine's body.
func (b *binder) bodyStatement(n *pg.Node, body *Body) (st *Stmt) {
	if body.Vars != nil {
		return b.withVariables(n, body)
	}
	f := body.Function
	c := &userCallee{activeFunc: activeFunc{f: f, inputs: f.Inputs()}, ret: body.Ret}
	for i, t := range body.Args {
		b.params, b.named = append(b.params, t), append(b.named, true)
		c.vals = append(c.vals, &Param{Idx: i, T: t.Plain(), Pos: -1})
	}
	b.inBody(f, b.query, &c.activeFunc, func() {
		if !body.Last || c.ret.OID == types.OIDVoid {
			st = b.statement(n)
			return
		}
		q := b.query_(nil, b.resultOf(n, c.ret), queryOptions{})
		b.returned(c, q)
		st = &Stmt{Kind: KindSelect, Rel: q.rel, Cols: q.resultCols(), Returning: true}
	})
	return st
}

// resultOf is the statement that gives a body's result, as a query.
func (b *binder) resultOf(n *pg.Node, ret types.T) *pg.SelectStmt {
	if s := n.GetSelectStmt(); s != nil && s.IntoClause == nil {
		return s
	}
	if len(n.GetInsertStmt().GetReturningList())+len(n.GetUpdateStmt().GetReturningList())+len(n.GetDeleteStmt().GetReturningList()) == 0 {
		fail(noResult(ret))
	}
	const name = "returned"
	cte := &pg.CommonTableExpr{Ctename: name, Ctequery: n, Ctematerialized: pg.CTEMaterialize_CTEMaterializeDefault}
	star := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}}}}
	return &pg.SelectStmt{
		WithClause: &pg.WithClause{Ctes: []*pg.Node{{Node: &pg.Node_CommonTableExpr{CommonTableExpr: cte}}}},
		TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: star}}}},
		FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Relname: name, Inh: true, Relpersistence: "p", Location: -1}}}},
		Op:         pg.SetOperation_SETOP_NONE, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT,
	}
}

func noResult(ret types.T) error {
	return returnMismatch(ret.String(), "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
}

// rowResult is the type of a function's value where that is a row.
func (b *binder) rowResult(c *userCallee) (types.T, bool) {
	if c.ret.OID != types.OIDRecord && c.f.RowsOf == 0 {
		return types.T{}, false
	}
	if c.f.RowsOf != 0 {
		return b.rowTypeOf(b.env.Snap.Object(c.f.RowsOf))
	}
	var names []string
	var ts []types.T
	for _, col := range b.returnedColumns(c) {
		names, ts = append(names, col.Name), append(ts, col.Type)
	}
	return types.RecordOf(names, ts), true
}

// called is how a routine is called that is not a part of the statement.
func (b *binder) called(c *userCallee) builtins.RoutineCall {
	b.calls = b.calls || c.f.Volatility == 'v'
	b.volatile = true // the transaction is used from inside of the statement
	return builtins.RoutineCall{OID: types.OID(c.f.ID), Args: exprTypes(c.vals), Ret: c.ret}
}

// volatility keeps calls from being computed while a statement is planned.
func volatility(f *schema.Function) builtins.Volatility {
	if f.Volatility == 'v' {
		return builtins.Volatile
	}
	return builtins.Stable
}

// calledValue is a call in an expression.
func (b *binder) calledValue(sc *scope, c *userCallee, pos int32) Expr {
	call := b.called(c)
	ret := c.ret
	row, isRow := b.rowResult(c)
	if isRow {
		ret = row
	}
	value := func(r types.Row) types.Datum {
		switch {
		case isRow:
			return types.NewComposite(row, r)
		}
		return r[0]
	}
	o := &builtins.Overload{Name: c.f.Name, Class: builtins.Scalar, Args: call.Args, Ret: ret, Vol: volatility(c.f), Strict: c.f.Strict,
		Writer: c.f.Volatility == 'v'}
	m := builtins.Match{Overload: o, CastTo: call.Args, Ret: ret}
	if c.f.SetOf {
		o.Class = builtins.SetReturning
		o.Series = func(ec *builtins.EvalContext, args []types.Datum) (builtins.Rows, error) {
			rows, err := ec.CallRoutine(call, args)
			for i := range rows {
				rows[i] = types.Row{value(rows[i])}
			}
			return &routineRows{rows}, err
		}
		return b.targetSRF(sc, m, c.vals, pos)
	}
	o.Fn = func(ec *builtins.EvalContext, args []types.Datum) (types.Datum, error) {
		if c.f.Strict && slices.ContainsFunc(args, types.Datum.IsNull) {
			return types.Null, nil
		}
		rows, err := ec.CallRoutine(call, args)
		if err != nil || len(rows) == 0 {
			return types.Null, err
		}
		return value(rows[0]), nil
	}
	m.Call = o.Fn
	return &Call{M: m, Args: c.vals}
}

// calledRel is a call as a relation of the columns that the function returns. One that does not return
// many rows gives exactly one.
func (b *binder) calledRel(c *userCallee, cols []builtins.Column) (Rel, []Col) {
	call := b.called(c)
	o := &builtins.Overload{Name: c.f.Name, Class: builtins.SetReturning, Args: call.Args, Ret: c.ret, Vol: volatility(c.f),
		Strict: c.f.Strict && c.f.SetOf, Cols: func([]types.T) []builtins.Column { return cols }}
	o.Series = func(ec *builtins.EvalContext, args []types.Datum) (builtins.Rows, error) {
		nothing := &routineRows{[]types.Row{make(types.Row, len(cols))}}
		if c.f.Strict && slices.ContainsFunc(args, types.Datum.IsNull) {
			return nothing, nil
		}
		rows, err := ec.CallRoutine(call, args)
		switch {
		case c.f.SetOf:
		case len(rows) == 0:
			return nothing, err
		default:
			rows = rows[:1]
		}
		return &routineRows{rows}, err
	}
	f := b.tableFunc(builtins.Match{Overload: o, CastTo: call.Args, Ret: c.ret}, c.vals)
	var out []Col
	for i, id := range f.Cols {
		out = append(out, Col{ID: id, T: cols[i].Type, Name: cols[i].Name, Pos: -1})
	}
	return &FuncScan{Funcs: []TableFunc{f}, Ord: -1}, out
}

// routineRows are the rows that a routine returned.
type routineRows struct{ rows []types.Row }

// Next implements builtins.Rows.
func (r *routineRows) Next() (types.Row, bool, error) {
	if len(r.rows) == 0 {
		return nil, false, nil
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, true, nil
}

// callStmt binds CALL: a function scan of one row, of the procedure's output parameters.
func (b *binder) callStmt(n *pg.CallStmt) *Stmt {
	fc := n.Funccall
	sc := &scope{b: b, clause: "CALL arguments", noAgg: true, noSub: "CALL argument"}
	c := b.userCallee(sc, fc, true)
	if c == nil {
		b.plainCall("", fc)
		name := stringList(fc.Funcname)
		var args []Expr
		for _, a := range fc.Args {
			if n := a.GetNamedArgExpr(); n != nil {
				a = n.Arg
			}
			args = append(args, b.expr(sc, a))
		}
		if len(builtins.Lookup(name[len(name)-1])) > 0 {
			if _, err := builtins.ResolveFunc(name[len(name)-1], exprTypes(args)); err == nil {
				b.notProcedure(fc, args)
			}
		}
		b.noProcedure(fc, args)
	}
	st := &Stmt{Kind: KindCall}
	var cols []builtins.Column
	for i, o := range c.f.Outputs() {
		col := builtins.Column{Name: o.Name, Type: tablekv.TypeOf(o.Type)}
		if col.Name == "" {
			col.Name = outputName(i)
		}
		cols = append(cols, col)
	}
	rel, out := b.calledRel(c, cols)
	st.Rel, st.Returning = rel, len(cols) > 0
	for _, col := range out {
		st.Cols = append(st.Cols, ResultCol{ID: col.ID, Name: col.Name, Type: col.T})
	}
	return st
}

func outputName(i int) string { return "column" + string(rune('1'+i)) }

// calledAs is a routine as messages name it, by the arguments of a call.
func calledAs(fc *pg.FuncCall, args []Expr) string {
	return builtins.Signature(strings.Join(stringList(fc.Funcname), "."), exprTypes(args))
}

func (b *binder) notProcedure(fc *pg.FuncCall, args []Expr) {
	b.at(fc.Location, sqlerr.New(sqlerr.WrongObjectType, "%s is not a procedure", calledAs(fc, args)).WithHint("To call a function, use SELECT."))
}

func (b *binder) noProcedure(fc *pg.FuncCall, args []Expr) {
	b.at(fc.Location, sqlerr.New(sqlerr.UndefinedFunction, "procedure %s does not exist", calledAs(fc, args)).
		WithHint("No procedure matches the given name and argument types. You might need to add explicit type casts."))
}

// checkRoutine binds all statements of a body that are bound one by one.
func checkRoutine(env Env, f *schema.Function, stmts []parser.Stmt, args []types.T) error {
	ret := tablekv.TypeOf(f.Result)
	if len(stmts) == 0 && ret.OID != types.OIDVoid {
		return noResult(ret)
	}
	env.NoParams = false
	for i, s := range stmts {
		if !Bindable(s.Tree) {
			if i == len(stmts)-1 && ret.OID != types.OIDVoid {
				return noResult(ret)
			}
			continue
		}
		env.Body = &Body{Function: f, Args: args, Ret: ret, Last: i == len(stmts)-1}
		if _, err := Bind(env, s, nil); err != nil {
			return err
		}
	}
	return nil
}

// Bindable says whether a statement is one that Bind knows.
func Bindable(n *pg.Node) bool {
	switch x := n.Node.(type) {
	case *pg.Node_SelectStmt:
		return x.SelectStmt.IntoClause == nil
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_CallStmt:
		return true
	}
	return false
}
