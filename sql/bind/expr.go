package bind

import (
	"math"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// expr binds any expression.
func (b *binder) expr(sc *scope, n *pg.Node) Expr {
	defer b.enter()()
	switch x := n.Node.(type) {
	case *pg.Node_AConst:
		return b.constant(x.AConst)
	case *pg.Node_ColumnRef:
		return b.columnRef(sc, x.ColumnRef)
	case *pg.Node_ParamRef:
		return b.param(x.ParamRef)
	case *pg.Node_AExpr:
		return b.aExpr(sc, x.AExpr)
	case *pg.Node_BoolExpr:
		return b.boolExpr(sc, x.BoolExpr)
	case *pg.Node_FuncCall:
		return b.funcCall(sc, x.FuncCall)
	case *pg.Node_TypeCast:
		return b.typeCast(sc, x.TypeCast)
	case *pg.Node_NullTest:
		return &IsNull{E: b.defaultUnknown(b.expr(sc, x.NullTest.Arg)), Negate: x.NullTest.Nulltesttype == pg.NullTestType_IS_NOT_NULL}
	case *pg.Node_BooleanTest:
		return b.booleanTest(sc, x.BooleanTest)
	case *pg.Node_CaseExpr:
		return b.caseExpr(sc, x.CaseExpr)
	case *pg.Node_CoalesceExpr:
		args := b.exprs(sc, x.CoalesceExpr.Args)
		t := b.common("COALESCE", args, x.CoalesceExpr.Location)
		return &Coalesce{Args: args, T: t}
	case *pg.Node_MinMaxExpr:
		return b.minMax(sc, x.MinMaxExpr)
	case *pg.Node_SqlvalueFunction:
		return b.sqlValue(x.SqlvalueFunction)
	case *pg.Node_SubLink:
		return b.subLink(sc, x.SubLink)
	case *pg.Node_AArrayExpr:
		return b.arrayExpr(sc, x.AArrayExpr)
	case *pg.Node_RowExpr:
		return b.rowExpr(sc, x.RowExpr)
	case *pg.Node_AIndirection:
		return b.indirection(sc, x.AIndirection)
	case *pg.Node_CollateClause:
		return b.collate(sc, x.CollateClause)
	case *pg.Node_SetToDefault:
		b.failf(x.SetToDefault.Location, sqlerr.SyntaxError, "DEFAULT is not allowed in this context")
	case *pg.Node_GroupingFunc:
		return b.grouping(sc, x.GroupingFunc)
	case *pg.Node_NamedArgExpr:
		b.unsupported(x.NamedArgExpr.Location, "a named argument")
	case *pg.Node_CurrentOfExpr:
		b.unsupported(-1, "WHERE CURRENT OF")
	}
	if _, ok := n.Node.(*pg.Node_XmlExpr); ok {
		b.at(-1, sqlerr.Unsupported("XML").WithHint("%s", useJSON))
	}
	b.unsupported(-1, "this kind of expression")
	return nil
}

func (b *binder) exprs(sc *scope, ns []*pg.Node) []Expr {
	out := make([]Expr, len(ns))
	for i, n := range ns {
		out[i] = b.expr(sc, n)
	}
	return out
}

func (b *binder) constant(c *pg.A_Const) Expr {
	if c.Isnull {
		return &Const{T: types.Unknown, Pos: c.Location}
	}
	switch v := c.Val.(type) {
	case *pg.A_Const_Ival:
		return &Const{D: types.NewInt(int64(v.Ival.GetIval())), T: types.Int4, Pos: c.Location}
	case *pg.A_Const_Fval:
		return b.number(v.Fval.Fval, c.Location)
	case *pg.A_Const_Boolval:
		return &Const{D: types.NewBool(v.Boolval.GetBoolval()), T: types.Bool, Pos: c.Location}
	case *pg.A_Const_Sval:
		return &Const{D: types.NewText(v.Sval.Sval), T: types.Unknown, Pos: c.Location}
	case *pg.A_Const_Bsval:
		d, err := types.ParseText(types.Bit, v.Bsval.Bsval, nil)
		b.check(c.Location, err)
		return &Const{D: d, T: types.Bit, Pos: c.Location}
	}
	// The grammar leaves the value of integer 0 out.
	return &Const{D: types.NewInt(0), T: types.Int4, Pos: c.Location}
}

// number types a literal that the grammar calls a float: bigint if it fits, else numeric.
func (b *binder) number(s string, pos int32) Expr {
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		if i == math.MinInt32 { // the one integer whose digits alone do not fit
			return &Const{D: types.NewInt(i), T: types.Int4, Pos: pos}
		}
		return &Const{D: types.NewInt(i), T: types.Int8, Pos: pos}
	}
	d, err := types.ParseText(types.Numeric, s, nil)
	b.check(pos, err)
	return &Const{D: d, T: types.Numeric, Pos: pos}
}

// exprOrDefault is expr where DEFAULT may stand for a column's default.
func (b *binder) exprOrDefault(sc *scope, n *pg.Node) Expr {
	if d := n.GetSetToDefault(); d != nil {
		return &Default{Pos: d.Location}
	}
	return b.expr(sc, n)
}

func (b *binder) param(p *pg.ParamRef) Expr {
	n := int(p.Number)
	if b.fn != nil && n >= 1 && n <= len(b.fn.vals) {
		return copyOr(b.fn.vals[n-1])
	}
	if n < 1 || n > ParamsMax || b.env.NoParams || b.fn != nil {
		b.failf(p.Location, sqlerr.UndefinedParameter, "there is no parameter $%d", n)
	}
	for len(b.params) < n {
		b.params = append(b.params, types.Unknown)
	}
	for len(b.named) < n {
		b.named = append(b.named, false)
	}
	b.named[n-1] = true
	return &Param{Idx: n - 1, T: b.params[n-1].Plain(), Pos: p.Location}
}

func (b *binder) columnRef(sc *scope, c *pg.ColumnRef) Expr {
	parts := stringList(c.Fields)
	if n := len(parts); n < len(c.Fields) {
		schemaName := ""
		if n == 2 {
			schemaName = parts[0]
		}
		if n == 1 || n == 2 {
			if t := sc.table(schemaName, parts[n-1], c.Location); t != nil {
				return b.wholeRow(t)
			}
		}
		b.failf(c.Location, sqlerr.SyntaxError, "row expansion via \"*\" is not supported here")
	}
	switch len(parts) {
	case 1:
		return b.simpleColumn(sc, parts[0], c.Location)
	case 2:
		return b.qualifiedColumn(sc, "", parts[0], parts[1], c.Location)
	case 3:
		return b.qualifiedColumn(sc, parts[0], parts[1], parts[2], c.Location)
	case 4:
		return b.qualifiedColumn(sc, parts[1], parts[2], parts[3], c.Location)
	}
	b.failf(c.Location, sqlerr.SyntaxError, "improper qualified name (too many dotted names)")
	return nil
}

func (b *binder) simpleColumn(sc *scope, name string, pos int32) Expr {
	if sc.domain != nil && name == "value" {
		return sc.domain
	}
	if col := sc.lookup(name, pos); col != nil {
		if v := b.preferred(name, pos); v != nil {
			return v
		}
		b.noteRef(sc, col, []string{name}, pos)
		return col.expr(pos)
	}
	if t := sc.table("", name, pos); t != nil {
		return b.wholeRow(t)
	}
	if len(sc.tables) == 1 {
		if sys := b.systemColumn(sc.tables[0], name); sys != nil {
			return sys
		}
	}
	if p := b.funcParam(name); p != nil {
		return p
	}
	sc.missingColumn("", name, pos)
	return nil
}

func (b *binder) qualifiedColumn(sc *scope, schemaName, table, name string, pos int32) Expr {
	t := sc.table(schemaName, table, pos)
	if t == nil {
		if col := sc.lookup(table, pos); col != nil && schemaName == "" && col.t.OID == types.OIDRecord {
			b.unsupported(pos, "field selection from column %q", table)
		}
		if e := b.partOfVariable(schemaName, table, name, pos); e != nil {
			return e
		}
		if p := b.funcParam(table); p != nil && schemaName == "" && p.Type().Plain().IsComposite() {
			return b.field(p, name, pos)
		}
		if b.fn != nil && table == b.fn.f.Name && schemaName == "" {
			if p := b.funcParam(name); p != nil {
				return p
			}
		}
		sc.refuseBarred(table, pos)
		sc.refuseAliased(schemaName, table, pos)
		b.failf(pos, sqlerr.UndefinedTable, "missing FROM-clause entry for table \"%s\"", table)
	}
	col := t.col(name)
	if schemaName == "" {
		b.noteRef(sc, col, []string{table, name}, pos)
	} else {
		b.noteRef(sc, col, []string{schemaName, table, name}, pos)
	}
	if key := b.keyOf(t, name); key != nil {
		return key
	}
	if col == nil {
		if sys := b.systemColumn(t, name); sys != nil {
			return sys
		}
		sc.missingColumn(table, name, pos)
	}
	return col.expr(pos)
}

// systemColumn gives what a few tools ask for: tableoid.
func (b *binder) systemColumn(t *tableRef, name string) Expr {
	if name == "tableoid" && t.desc != nil {
		return &Const{D: types.NewOID(types.OID(t.desc.ID)), T: types.Oid, Pos: -1}
	}
	return nil
}

func (b *binder) boolExpr(sc *scope, e *pg.BoolExpr) Expr {
	names := map[pg.BoolExprType]string{pg.BoolExprType_AND_EXPR: "AND", pg.BoolExprType_OR_EXPR: "OR", pg.BoolExprType_NOT_EXPR: "NOT"}
	args := make([]Expr, len(e.Args))
	for i, a := range e.Args {
		args[i] = b.boolean(b.expr(sc, a), names[e.Boolop], b.pos(a))
	}
	switch e.Boolop {
	case pg.BoolExprType_AND_EXPR:
		return &And{Args: args}
	case pg.BoolExprType_OR_EXPR:
		return &Or{Args: args}
	}
	return &Not{E: args[0]}
}

func (b *binder) booleanTest(sc *scope, e *pg.BooleanTest) Expr {
	t := e.Booltesttype
	out := &BoolTest{E: b.boolean(b.expr(sc, e.Arg), "IS TRUE", b.pos(e.Arg))}
	switch t {
	case pg.BoolTestType_IS_TRUE, pg.BoolTestType_IS_NOT_TRUE:
		out.Want = types.NewBool(true)
	case pg.BoolTestType_IS_FALSE, pg.BoolTestType_IS_NOT_FALSE:
		out.Want = types.NewBool(false)
	}
	out.Negate = t == pg.BoolTestType_IS_NOT_TRUE || t == pg.BoolTestType_IS_NOT_FALSE || t == pg.BoolTestType_IS_NOT_UNKNOWN
	return out
}

func (b *binder) typeCast(sc *scope, c *pg.TypeCast) Expr {
	to := b.typeName(c.TypeName)
	if a := c.Arg.GetAArrayExpr(); a != nil && to.IsArray() {
		return b.arrayOf(sc, a, to, c.Location)
	}
	return b.mustCast(b.expr(sc, b.intervalLiteral(c)), to, c.Location)
}

// arrayOf is ARRAY[…]::type, which gives its type to what is in it.
func (b *binder) arrayOf(sc *scope, a *pg.A_ArrayExpr, to types.T, pos int32) Expr {
	arr := &Array{T: to}
	elem, _ := to.Elem()
	for _, x := range a.Elements {
		if inner := x.GetAArrayExpr(); inner != nil {
			arr.Elems = append(arr.Elems, b.arrayOf(sc, inner, to, pos))
			continue
		}
		e := b.expr(sc, x)
		if e.Type().IsArray() {
			arr.Elems = append(arr.Elems, b.mustCast(e, to, pos))
		} else {
			arr.Elems = append(arr.Elems, b.mustCast(e, elem, pos))
		}
	}
	return b.fold(arr, builtins.Immutable)
}

func (b *binder) mustCast(e Expr, to types.T, pos int32) Expr {
	out := b.coerce(e, to, types.CastExplicit, pos)
	if out == nil {
		b.failf(pos, sqlerr.CannotCoerce, "cannot cast type %s to %s", e.Type().Base(), to.Base())
	}
	return out
}

func (b *binder) caseExpr(sc *scope, c *pg.CaseExpr) Expr {
	out := &Case{}
	var arg Expr
	if c.Arg != nil {
		arg = b.defaultUnknown(b.expr(sc, c.Arg))
	}
	results := make([]Expr, 0, len(c.Args)+1)
	var conds []Expr
	for _, w := range c.Args {
		cw := w.GetCaseWhen()
		cond := b.expr(sc, cw.Expr)
		if arg != nil {
			cond = b.op("=", arg, cond, cw.Location)
		} else {
			cond = b.boolean(cond, "CASE/WHEN", b.pos(cw.Expr))
		}
		conds = append(conds, cond)
		results = append(results, b.expr(sc, cw.Result))
	}
	if c.Defresult != nil {
		results = append(results, b.expr(sc, c.Defresult))
	}
	out.T = b.common("CASE", results, c.Location)
	for i, cond := range conds {
		out.Whens = append(out.Whens, When{Cond: cond, Result: results[i]})
	}
	if c.Defresult != nil {
		out.Else = results[len(conds)]
	}
	return out
}

func (b *binder) minMax(sc *scope, m *pg.MinMaxExpr) Expr {
	args := b.exprs(sc, m.Args)
	name := "GREATEST"
	if m.Op == pg.MinMaxOp_IS_LEAST {
		name = "LEAST"
	}
	t := b.common(name, args, m.Location)
	return &MinMax{Args: args, Least: name == "LEAST", T: t}
}

func (b *binder) sqlValue(v *pg.SQLValueFunction) Expr {
	call := func(name string) Expr { return b.callByName(name, nil, v.Location) }
	var e Expr
	switch v.Op {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return call("current_date")
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N:
		e = b.mustCast(call("now"), types.TimeTZ, v.Location)
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIME, pg.SQLValueFunctionOp_SVFOP_LOCALTIME_N:
		return b.mustCast(call("now"), types.Time, v.Location)
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N:
		e = call("now")
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP, pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:
		e = b.mustCast(call("now"), types.Timestamp, v.Location)
	case pg.SQLValueFunctionOp_SVFOP_SESSION_USER:
		return call("session_user")
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG:
		return call("current_database")
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		return call("current_schema")
	default:
		return call("current_user")
	}
	if v.Typmod >= 0 {
		return b.cast(e, e.Type().WithMod(min(v.Typmod, 6)), true)
	}
	return e
}

func (b *binder) arrayExpr(sc *scope, a *pg.A_ArrayExpr) Expr {
	if len(a.Elements) == 0 {
		b.at(a.Location, sqlerr.New(sqlerr.IndeterminateDatatype, "cannot determine type of empty array").
			WithHint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."))
	}
	elems := b.exprs(sc, a.Elements)
	t := b.common("ARRAY", elems, a.Location)
	at, ok := t.Array()
	if t.IsArray() {
		at, ok = t.Base(), true
	}
	if !ok {
		b.failf(a.Location, sqlerr.UndefinedObject, "could not find array type for data type %s", t)
	}
	return b.fold(&Array{Elems: elems, T: at}, builtins.Immutable)
}

func (b *binder) rowExpr(sc *scope, r *pg.RowExpr) Expr {
	out := &Row{}
	for _, a := range r.Args {
		if c := a.GetColumnRef(); c != nil && c.Fields[len(c.Fields)-1].GetAStar() != nil {
			for _, t := range b.star(sc, c) {
				out.Elems, out.given = append(out.Elems, t.e), append(out.given, t.e)
			}
			continue
		}
		e := b.expr(sc, a)
		d := b.defaultUnknown(e)
		if _, literal := e.(*Const); !literal {
			e = d
		}
		out.Elems, out.given = append(out.Elems, d), append(out.given, e)
	}
	return out
}

func (b *binder) collate(sc *scope, c *pg.CollateClause) Expr {
	names := stringList(c.Collname)
	switch names[len(names)-1] {
	case "C", "POSIX", "default", "ucs_basic":
		return b.expr(sc, c.Arg)
	}
	b.at(c.Location, sqlerr.Unsupported("collation \"%s\"", names[len(names)-1]).
		WithHint("Text is compared byte by byte, as with collation \"C\"."))
	return nil
}

func (b *binder) indirection(sc *scope, a *pg.A_Indirection) Expr {
	e := b.expr(sc, a.Arg)
	for i, n := range a.Indirection {
		switch x := n.Node.(type) {
		case *pg.Node_AIndices:
			if s, ok := e.(*Subscript); ok && i > 0 && a.Indirection[i-1].GetAIndices() != nil {
				b.moreSubscripts(sc, s, x.AIndices)
			} else {
				e = b.subscript(sc, e, x.AIndices, b.pos(a.Arg))
			}
		case *pg.Node_String_:
			e = b.field(e, x.String_.Sval, b.pos(a.Arg))
		default:
			b.failf(b.pos(a.Arg), sqlerr.FeatureNotSupported, "row expansion via \"*\" is not supported here")
		}
	}
	return e
}

func (b *binder) subscript(sc *scope, e Expr, ix *pg.A_Indices, pos int32) Expr {
	t := e.Type()
	elem, ok := t.Elem()
	if !ok {
		if sub := b.subscriptOther(sc, e, ix, pos); sub != nil {
			return sub
		}
		b.failf(pos, sqlerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", t)
	}
	out := &Subscript{E: e, Subs: []Sub{b.sub(sc, ix)}, T: elem}
	if ix.IsSlice {
		out.T = t.Base()
	}
	return out
}

// moreSubscripts adds one to those of the same array.
func (b *binder) moreSubscripts(sc *scope, s *Subscript, ix *pg.A_Indices) {
	s.Subs = append(s.Subs, b.sub(sc, ix))
	if ix.IsSlice {
		s.T = s.E.Type().Base()
	}
}

// sub binds a subscript of an array.
func (b *binder) sub(sc *scope, ix *pg.A_Indices) Sub {
	index := func(n *pg.Node) Expr {
		if n == nil {
			return nil
		}
		x := b.coerce(b.expr(sc, n), types.Int4, types.CastAssignment, b.pos(n))
		if x == nil {
			b.failf(b.pos(n), sqlerr.DatatypeMismatch, "array subscript must have type integer")
		}
		return x
	}
	return Sub{Lo: index(ix.Lidx), Hi: index(ix.Uidx), Slice: ix.IsSlice}
}

// subscriptOther subscripts what is not an array: a name's bytes, from 0, and jsonb's elements and
// members. nil: the type has none.
func (b *binder) subscriptOther(sc *scope, e Expr, ix *pg.A_Indices, pos int32) Expr {
	if e.Type().OID != types.OIDName && e.Type().OID != types.OIDJSONB {
		return nil
	}
	if ix.IsSlice {
		b.failf(pos, sqlerr.DatatypeMismatch, "cannot subscript type %s because it does not support slices", e.Type())
	}
	sub := b.expr(sc, ix.Uidx)
	if e.Type().OID == types.OIDJSONB {
		if unknown(sub) {
			sub = b.mustCast(sub, types.Text, b.pos(ix.Uidx))
		}
		return b.op("->", e, sub, pos)
	}
	from := b.op("+", b.mustCast(sub, types.Int4, b.pos(ix.Uidx)), &Const{D: types.NewInt(1), T: types.Int4, Pos: -1}, pos)
	part := b.callByName("substring", []Expr{b.mustCast(e, types.Text, pos), from, &Const{D: types.NewInt(1), T: types.Int4, Pos: -1}}, pos)
	return b.mustCast(part, types.Char, pos)
}

// pos finds where an expression's text begins, roughly as exprLocation does.
func (b *binder) pos(n *pg.Node) int32 {
	if n == nil {
		return -1
	}
	switch x := n.Node.(type) {
	case *pg.Node_AConst:
		return x.AConst.Location
	case *pg.Node_ColumnRef:
		return x.ColumnRef.Location
	case *pg.Node_ParamRef:
		return x.ParamRef.Location
	case *pg.Node_AExpr:
		if l := b.pos(x.AExpr.Lexpr); l >= 0 {
			return l
		}
		return x.AExpr.Location
	case *pg.Node_FuncCall:
		return x.FuncCall.Location
	case *pg.Node_TypeCast:
		if l := b.pos(x.TypeCast.Arg); l >= 0 && l < x.TypeCast.Location {
			return l
		}
		return x.TypeCast.Location
	case *pg.Node_BoolExpr:
		if len(x.BoolExpr.Args) > 0 && x.BoolExpr.Boolop != pg.BoolExprType_NOT_EXPR {
			return b.pos(x.BoolExpr.Args[0])
		}
		return x.BoolExpr.Location
	case *pg.Node_SubLink:
		return x.SubLink.Location
	case *pg.Node_CaseExpr:
		return x.CaseExpr.Location
	case *pg.Node_CoalesceExpr:
		return x.CoalesceExpr.Location
	case *pg.Node_MinMaxExpr:
		return x.MinMaxExpr.Location
	case *pg.Node_NullTest:
		return b.pos(x.NullTest.Arg)
	case *pg.Node_AArrayExpr:
		return x.AArrayExpr.Location
	case *pg.Node_RowExpr:
		return x.RowExpr.Location
	case *pg.Node_SqlvalueFunction:
		return x.SqlvalueFunction.Location
	}
	return -1
}
