package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"math"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (b *binder) aExpr(sc *scope, e *pg.A_Expr) Expr {
	name := stringList(e.Name)
	op := ""
	if len(name) > 0 {
		op = name[len(name)-1]
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		return b.binary(sc, op, e)
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		return b.quantified(sc, op, e)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return b.distinct(sc, e)
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		a, c := b.expr(sc, e.Lexpr), b.expr(sc, e.Rexpr)
		eq := b.op("=", a, c, e.Location)
		a = b.nullIfLeft(a, eq)
		return &NullIf{A: a, Eq: eq, TypeA: a.Type()}
	case pg.A_Expr_Kind_AEXPR_IN:
		return b.in(sc, op, e)
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return b.between(sc, e)
	}
	b.unsupported(e.Location, "this operator form")
	return nil
}

// nullIfLeft is the left side as the comparison sees it, if it was untyped.
func (b *binder) nullIfLeft(a, eq Expr) Expr {
	if c, ok := eq.(*Call); ok && unknown(a) {
		return c.Args[0]
	}
	return b.defaultUnknown(a)
}

func (b *binder) binary(sc *scope, op string, e *pg.A_Expr) Expr {
	if e.Lexpr == nil {
		return b.prefix(op, b.expr(sc, e.Rexpr), e.Location)
	}
	if s := e.Rexpr.GetSubLink(); s != nil && s.SubLinkType == pg.SubLinkType_EXPR_SUBLINK && e.Lexpr.GetRowExpr() != nil {
		return b.rowSubquery(sc, op, e, s)
	}
	l, r := b.expr(sc, e.Lexpr), b.expr(sc, e.Rexpr)
	lr, lok := rowOf(l)
	rr, rok := rowOf(r)
	if lok && rok {
		return b.rowOp(op, lr.Elems, rr.Elems, e.Location)
	}
	return b.op(op, l, r, e.Location)
}

// rowOf is a ROW(…) that is compared element by element; one with a type, as a whole row, is one value.
func rowOf(e Expr) (*Row, bool) {
	r, ok := e.(*Row)
	return r, ok && r.T.OID == 0
}

func (b *binder) prefix(op string, e Expr, pos int32) Expr {
	if c, ok := e.(*Const); ok && op == "-" && c.Pos >= 0 {
		if n := negated(c); n != nil {
			n.Pos = pos
			return n
		}
	}
	m, err := builtins.ResolveOp(op, types.T{}, e.Type())
	b.check(pos, err)
	return b.call(m, []Expr{e}, pos)
}

// negated folds the minus of a number literal, so that the smallest bigint can be written.
func negated(c *Const) *Const {
	if !c.D.IsNull() && (c.T == types.Int4 || c.T == types.Int8) {
		i := -c.D.Int()
		if c.T == types.Int8 && i == math.MinInt64 {
			return nil // the operator says that it is out of range
		}
		if c.T == types.Int8 && i >= -1<<31 {
			return &Const{D: types.NewInt(i), T: types.Int4}
		}
		return &Const{D: types.NewInt(i), T: c.T}
	}
	return nil
}

// op binds a binary operator.
func (b *binder) op(op string, l, r Expr, pos int32) Expr {
	m, err := builtins.ResolveOp(op, l.Type(), r.Type())
	b.check(pos, err)
	return b.call(m, []Expr{l, r}, pos)
}

// call casts arguments to what an overload takes and makes the call.
func (b *binder) call(m builtins.Match, args []Expr, pos int32) Expr {
	args = b.castArgs(m, args, pos)
	b.noteVolatile(m)
	return b.fold(&Call{M: m, Args: args}, m.Vol)
}

func (b *binder) castArgs(m builtins.Match, args []Expr, pos int32) []Expr {
	out := make([]Expr, len(args))
	for i, a := range args {
		to := a.Type()
		if i < len(m.CastTo) && m.CastTo[i].OID != 0 {
			to = m.CastTo[i]
		}
		if unknown(a) && (to.OID == types.OIDUnknown || to.IsPolymorphic()) {
			to = types.Text
		}
		if to.IsPolymorphic() {
			to = a.Type()
		}
		if a.Type().OID == to.OID && to.Mod < 0 {
			out[i] = a
			continue
		}
		c := b.coerce(a, to, types.CastImplicit, pos)
		if c == nil {
			c = b.mustCast(a, to, pos)
		}
		out[i] = c
	}
	return out
}

func (b *binder) callByName(name string, args []Expr, pos int32) Expr {
	m, err := builtins.ResolveFunc(name, exprTypes(args))
	b.check(pos, err)
	return b.call(m, args, pos)
}

func exprTypes(es []Expr) []types.T {
	ts := make([]types.T, len(es))
	for i, e := range es {
		ts[i] = e.Type()
	}
	return ts
}

// rowOp compares rows: = and <> column by column, the orderings lexicographically.
func (b *binder) rowOp(op string, l, r []Expr, pos int32) Expr {
	if len(l) != len(r) {
		b.failf(pos, sqlerr.SyntaxError, "unequal number of entries in row expressions")
	}
	switch op {
	case "=":
		return b.allPairs("=", l, r, pos)
	case "<>":
		return &Not{E: b.allPairs("=", l, r, pos)}
	case "<", "<=", ">", ">=":
		rc := &RowCompare{Op: op}
		for i := range l {
			pair := []Expr{l[i], r[i]}
			b.common("row comparison", pair, pos)
			rc.L, rc.R = append(rc.L, pair[0]), append(rc.R, pair[1])
		}
		return rc
	}
	b.failf(pos, sqlerr.FeatureNotSupported, "could not determine interpretation of row comparison operator %s", op)
	return nil
}

func (b *binder) allPairs(op string, l, r []Expr, pos int32) Expr {
	and := &And{}
	for i := range l {
		and.Args = append(and.Args, b.op(op, l[i], r[i], pos))
	}
	if len(and.Args) == 1 {
		return and.Args[0]
	}
	return and
}

func (b *binder) distinct(sc *scope, e *pg.A_Expr) Expr {
	pair := []Expr{b.expr(sc, e.Lexpr), b.expr(sc, e.Rexpr)}
	b.op("=", pair[0], pair[1], e.Location) // the types must be comparable
	b.common("IS DISTINCT FROM", pair, e.Location)
	return &Distinct{L: pair[0], R: pair[1], Negate: e.Kind == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT}
}

// in binds E IN (list). Postgres compares each element by the = operator it resolves to; where all
// share a type that is one comparison by value, else a chain of ORs.
func (b *binder) in(sc *scope, op string, e *pg.A_Expr) Expr {
	negate := op == "<>"
	left := b.expr(sc, e.Lexpr)
	list := b.exprs(sc, e.Rexpr.GetList().Items)
	if row, ok := rowOf(left); ok {
		return b.inRows(row, list, negate, e.Location)
	}
	for _, x := range list { // an element that cannot be compared fails here, by its operator
		if !unknown(x) || unknown(left) {
			b.op("=", left, x, e.Location)
		}
	}
	all := append([]Expr{left}, list...)
	if _, err := builtins.CommonType("IN", exprTypes(all)); err != nil {
		return b.inChain(left, list, negate, e.Location)
	}
	if t := left.Type(); t.Category() == types.CategoryString && t.OID != types.OIDBPChar {
		all[0] = left
	}
	b.common("IN", all, e.Location)
	return &In{E: all[0], List: all[1:], Negate: negate}
}

func (b *binder) inRows(row *Row, list []Expr, negate bool, pos int32) Expr {
	or := &Or{}
	for _, x := range list {
		r, ok := x.(*Row)
		if !ok {
			b.failf(pos, sqlerr.SyntaxError, "unequal number of entries in row expressions")
		}
		or.Args = append(or.Args, b.rowOp("=", row.Elems, r.Elems, pos))
	}
	if negate {
		return &Not{E: or}
	}
	return or
}

func (b *binder) inChain(left Expr, list []Expr, negate bool, pos int32) Expr {
	or := &Or{}
	for _, x := range list {
		or.Args = append(or.Args, b.op("=", left, x, pos))
	}
	if negate {
		return &Not{E: or}
	}
	return or
}

func (b *binder) between(sc *scope, e *pg.A_Expr) Expr {
	x := b.expr(sc, e.Lexpr)
	bounds := b.exprs(sc, e.Rexpr.GetList().Items)
	lo, hi := bounds[0], bounds[1]
	in := Expr(&And{Args: []Expr{b.op(">=", x, lo, e.Location), b.op("<=", x, hi, e.Location)}})
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		in = &Or{Args: []Expr{in, &And{Args: []Expr{b.op(">=", x, hi, e.Location), b.op("<=", x, lo, e.Location)}}}}
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return &Not{E: in}
	}
	return in
}

// quantified binds E op ANY (array) and ALL (array).
func (b *binder) quantified(sc *scope, op string, e *pg.A_Expr) Expr {
	left, arr := b.expr(sc, e.Lexpr), b.expr(sc, e.Rexpr)
	if unknown(arr) {
		base := left.Type()
		if unknown(left) {
			base = types.Text
		}
		at, ok := base.Base().Array()
		if !ok {
			b.failf(e.Location, sqlerr.WrongObjectType, "op ANY/ALL (array) requires array on right side")
		}
		arr = b.coerceUnknown(arr, at, types.CastImplicit, e.Location)
	}
	elem, ok := arr.Type().Elem()
	if !ok {
		b.failf(e.Location, sqlerr.WrongObjectType, "op ANY/ALL (array) requires array on right side")
	}
	m, err := builtins.ResolveOp(op, left.Type(), elem)
	b.check(e.Location, err)
	if m.Ret.OID != types.OIDBool {
		b.failf(e.Location, sqlerr.WrongObjectType, "op ANY/ALL (array) requires operator to yield boolean")
	}
	q := &Quant{Array: arr, Op: m, ElemT: elem, All: e.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL}
	q.E = b.castArgs(m, []Expr{left}, e.Location)[0]
	if len(m.CastTo) > 1 && m.CastTo[1].OID != elem.OID && !m.CastTo[1].IsPolymorphic() && m.CastTo[1].OID != 0 {
		q.CastElem = m.CastTo[1]
	}
	return q
}
