package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (b *binder) setOp(parent *scope, s *pg.SelectStmt, o queryOptions) *query {
	name := map[pg.SetOperation]string{pg.SetOperation_SETOP_UNION: "UNION",
		pg.SetOperation_SETOP_INTERSECT: "INTERSECT", pg.SetOperation_SETOP_EXCEPT: "EXCEPT"}[s.Op]
	if len(s.LockingClause) > 0 {
		b.failf(-1, sqlerr.FeatureNotSupported, "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT")
	}
	keep := queryOptions{targets: o.targets}
	l := b.query_(parent, s.Larg, keep)
	r := b.query_(parent, s.Rarg, keep)
	if len(l.cols) != len(r.cols) {
		b.failf(-1, sqlerr.SyntaxError, "each %s query must have the same number of columns", name)
	}
	ts := b.commonCols(name, l, r)
	b.convertCols(l, ts)
	b.convertCols(r, ts)
	op := &SetOp{Kind: setKind(s.Op), All: s.All, L: l.rel, R: r.rel, LCols: l.ids(), RCols: r.ids()}
	q := &query{rel: op}
	base := b.newCols(len(ts))
	for i, t := range ts {
		op.Cols = append(op.Cols, base+ColID(i))
		q.cols = append(q.cols, outCol{name: l.cols[i].name, id: base + ColID(i), t: t})
	}
	return q
}

func setKind(op pg.SetOperation) SetKind {
	switch op {
	case pg.SetOperation_SETOP_INTERSECT:
		return Intersect
	case pg.SetOperation_SETOP_EXCEPT:
		return Except
	}
	return Union
}

// commonCols finds the types of a set operation's columns. A bare NULL or literal, typed text by
// its own SELECT, still takes the other side's type.
func (b *binder) commonCols(name string, l, r *query) []types.T {
	ts := make([]types.T, len(l.cols))
	for i := range ts {
		lt, rt := literalType(l, i), literalType(r, i)
		t, err := builtins.CommonType(name, []types.T{lt, rt})
		b.check(-1, err)
		if t == types.Unknown {
			t = types.Text
		}
		ts[i] = t
	}
	return ts
}

func literalType(q *query, i int) types.T {
	if c := literal(q, i); c != nil {
		return types.Unknown
	}
	return q.cols[i].t
}

// literal finds the constant behind a column of a simple SELECT that was an untyped literal.
func literal(q *query, i int) *Const {
	p, ok := q.rel.(*Project)
	if !ok {
		return nil
	}
	for _, it := range p.Items {
		if it.ID == q.cols[i].id {
			if c, ok := it.E.(*Const); ok && c.T == types.Text && c.Pos >= 0 {
				return c
			}
		}
	}
	return nil
}

// convertCols casts a query's columns to the common types.
func (b *binder) convertCols(q *query, ts []types.T) {
	p := &Project{In: q.rel}
	for i := range q.cols {
		c := &q.cols[i]
		if c.t == ts[i] {
			continue
		}
		var e Expr = &Col{ID: c.id, T: c.t, Name: c.name, Pos: -1}
		if lit := literal(q, i); lit != nil {
			e = b.coerceUnknown(&Const{D: lit.D, T: types.Unknown, Pos: lit.Pos}, ts[i], types.CastImplicit, lit.Pos)
		} else {
			e = b.mustCast(e, ts[i], -1)
		}
		c.id, c.t = b.newCols(1), ts[i]
		p.Items = append(p.Items, Item{ID: c.id, E: e})
	}
	if len(p.Items) > 0 {
		p.Out = q.ids()
		q.rel = p
	}
}

// orderOutput applies ORDER BY and LIMIT to a set operation or VALUES, where only output columns
// may be named.
func (b *binder) orderOutput(parent *scope, q *query, s *pg.SelectStmt) Rel {
	st := &selectState{b: b, s: s, rel: q.rel}
	sc := &scope{b: b, parent: parent, clause: "ORDER BY", noAgg: true}
	t := &tableRef{}
	for _, c := range q.cols {
		col := &scopeCol{name: c.name, id: c.id, t: c.t, table: t}
		t.cols = append(t.cols, col)
		st.targets = append(st.targets, target{e: col.expr(-1), name: c.name, col: col})
	}
	sc.addTable(t)
	st.sc = sc
	var keys []SortKey
	for _, n := range s.SortClause {
		it := st.orderItem(sc, n.GetSortBy(), "ORDER BY")
		if it.at < 0 {
			b.at(it.pos, sqlerr.New(sqlerr.FeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause").
				WithDetail("Only result column names can be used, not expressions or functions.").
				WithHint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."))
		}
		k := b.sortKey(it.s, q.cols[it.at].t)
		k.ID = q.cols[it.at].id
		keys = append(keys, k)
	}
	rel := q.rel
	if len(keys) > 0 {
		rel = &Sort{In: rel, Keys: keys}
	}
	return b.limit(parent, rel, s, keys)
}

// values binds VALUES lists.
func (b *binder) values(parent *scope, s *pg.SelectStmt, o queryOptions) *query {
	sc := &scope{b: b, parent: parent, clause: "VALUES", noAgg: true}
	v := &Values{}
	for _, l := range s.ValuesLists {
		items := l.GetList().Items
		if len(v.Rows) > 0 && len(items) != len(v.Rows[0]) {
			b.failf(b.pos(items[0]), sqlerr.SyntaxError, "VALUES lists must all be the same length")
		}
		row := make([]Expr, len(items))
		for i, n := range items {
			row[i] = b.exprOrDefault(sc, n)
			if d, ok := row[i].(*Default); ok && !o.allowDefault {
				b.failf(d.Pos, sqlerr.SyntaxError, "DEFAULT is not allowed in this context")
			}
			if i < len(o.targets) && unknown(row[i]) && !isDefault(row[i]) {
				row[i] = b.assign(row[i], o.targets[i], "", -1)
			}
		}
		v.Rows = append(v.Rows, row)
	}
	return b.typeValues(v, o)
}

func isDefault(e Expr) bool { _, ok := e.(*Default); return ok }

// typeValues finds each column's type. For INSERT the rows keep their own types where they differ;
// the insert converts them one by one.
func (b *binder) typeValues(v *Values, o queryOptions) *query {
	q := &query{rel: v}
	base := b.newCols(len(v.Rows[0]))
	for c := range v.Rows[0] {
		col := make([]Expr, len(v.Rows))
		for r := range v.Rows {
			col[r] = v.Rows[r][c]
		}
		t := types.Text
		if !o.allowDefault {
			t = b.common("VALUES", col, -1)
		}
		for r := range v.Rows {
			v.Rows[r][c] = col[r]
		}
		id := base + ColID(c)
		v.Cols = append(v.Cols, id)
		q.cols = append(q.cols, outCol{name: "column" + itoa(c+1), id: id, t: t})
	}
	return q
}
