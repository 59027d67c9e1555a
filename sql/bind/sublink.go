package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (b *binder) subLink(sc *scope, s *pg.SubLink) Expr {
	if sc.noSub != "" {
		b.failf(s.Location, sqlerr.FeatureNotSupported, "cannot use subquery in %s", sc.noSub)
	}
	q := b.query_(sc.forSubquery(), s.Subselect.GetSelectStmt(), queryOptions{exists: s.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK})
	sub := &Subquery{Rel: q.rel, Cols: q.columns()}
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		sub.Kind, sub.T = SubExists, types.Bool
		sub.Rel, sub.Cols = withoutTargets(sub.Rel), nil
	case pg.SubLinkType_EXPR_SUBLINK:
		b.oneColumn(q, s.Location)
		sub.Kind, sub.T = SubScalar, q.cols[0].t
	case pg.SubLinkType_ARRAY_SUBLINK:
		b.oneColumn(q, s.Location)
		at, ok := q.cols[0].t.Array()
		if q.cols[0].t.IsArray() {
			at, ok = q.cols[0].t.Base(), true
		}
		if !ok {
			b.failf(s.Location, sqlerr.UndefinedObject, "could not find array type for data type %s", q.cols[0].t)
		}
		sub.Kind, sub.T = SubArray, at
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		b.quantifiedSub(sc, s, sub, q)
	default:
		b.unsupported(s.Location, "this kind of subquery")
	}
	return sub
}

// withoutTargets drops the target list of a query of which only the existence of rows matters: its
// columns need not be read.
func withoutTargets(r Rel) Rel {
	for {
		p, ok := r.(*Project)
		if !ok {
			return r
		}
		r = p.In
	}
}

func (b *binder) oneColumn(q *query, pos int32) {
	if len(q.cols) != 1 {
		b.failf(pos, sqlerr.SyntaxError, "subquery must return only one column")
	}
}

func (b *binder) quantifiedSub(sc *scope, s *pg.SubLink, sub *Subquery, q *query) {
	sub.Kind, sub.T = SubAny, types.Bool
	if s.SubLinkType == pg.SubLinkType_ALL_SUBLINK {
		sub.Kind = SubAll
	}
	op := "="
	if names := stringList(s.OperName); len(names) > 0 {
		op = names[len(names)-1]
	}
	left := b.testRow(sc, s.Testexpr)
	b.compareWith(sub, op, left, q, s.Location)
}

func (b *binder) testRow(sc *scope, n *pg.Node) []Expr {
	e := b.expr(sc, n)
	if r, ok := rowOf(e); ok {
		return r.Elems
	}
	return []Expr{e}
}

func (b *binder) compareWith(sub *Subquery, op string, left []Expr, q *query, pos int32) {
	if len(left) < len(q.cols) {
		b.failf(pos, sqlerr.SyntaxError, "subquery has too many columns")
	}
	if len(left) > len(q.cols) {
		b.failf(pos, sqlerr.SyntaxError, "subquery has too few columns")
	}
	right := make([]Expr, len(q.cols))
	for i := range q.cols {
		right[i] = &sub.Cols[i]
	}
	if len(left) == 1 {
		sub.Cmp = b.op(op, left[0], right[0], pos)
	} else {
		sub.Cmp = b.rowOp(op, left, right, pos)
	}
	sub.Test, sub.Equal = left, op == "="
}

// rowSubquery binds (a, b) = (SELECT …).
func (b *binder) rowSubquery(sc *scope, op string, e *pg.A_Expr, s *pg.SubLink) Expr {
	q := b.query_(sc.forSubquery(), s.Subselect.GetSelectStmt(), queryOptions{})
	sub := &Subquery{Kind: SubRow, Rel: q.rel, Cols: q.columns(), T: types.Bool}
	b.compareWith(sub, op, b.testRow(sc, e.Lexpr), q, e.Location)
	return sub
}

// forSubquery is what a subquery in an expression sees of this scope: names, and whose they are.
func (sc *scope) forSubquery() *scope {
	return &scope{b: sc.b, parent: sc.parent, tables: sc.tables, cols: sc.cols, ctes: sc.ctes, outer: sc.outer, clauseOf: sc}
}
