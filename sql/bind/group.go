package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// groupExpr binds an expression of GROUP BY: a position, a column of FROM, an output name, or any
// other.
func (st *selectState) groupExpr(n *pg.Node) Expr {
	b := st.b
	if at, ok := st.position(n, "GROUP BY"); ok {
		return st.noAggregates(st.targets[at].e, b.pos(n))
	}
	if c := n.GetColumnRef(); c != nil && len(c.Fields) == 1 && c.Fields[0].GetString_() != nil {
		name := c.Fields[0].GetString_().Sval
		local := &scope{b: b, tables: st.sc.tables, cols: st.sc.cols}
		if local.lookup(name, c.Location) == nil {
			if at := st.outputName(name, c.Location, "GROUP BY"); at >= 0 {
				b.noteOutput(name)
				return st.noAggregates(st.targets[at].e, c.Location)
			}
		}
	}
	return b.defaultUnknown(b.expr(st.sc.in("GROUP BY", true), n))
}

func (st *selectState) noAggregates(e Expr, pos int32) Expr {
	for id := range Refs(e) {
		if st.agg.has(id) {
			st.b.failf(pos, sqlerr.GroupingError, "aggregate functions are not allowed in GROUP BY")
		}
	}
	return e
}

// group puts the aggregation into the tree, and makes the expressions above it refer to its
// results.
func (st *selectState) group() {
	if len(st.agg.calls) == 0 && len(st.s.GroupClause) == 0 && st.having == nil && !st.agg.grouping {
		return
	}
	a := &Agg{In: st.rel, Aggs: nil, Global: len(st.groups) == 0 && st.sets == nil}
	if len(st.agg.pre) > 0 {
		a.In = &Project{In: st.rel, Items: st.agg.pre}
	}
	u := &ungrouper{st: st, a: a, byKey: map[string]ColID{}}
	if st.sets != nil {
		u.expand()
	} else {
		for _, g := range st.groups {
			u.add(g)
		}
	}
	for i := range st.targets {
		st.targets[i].e = u.rewrite(st.targets[i].e)
	}
	st.having = u.rewrite(st.having)
	for i := range st.order {
		if st.order[i].at < 0 {
			st.order[i].e = u.rewrite(st.order[i].e)
		}
	}
	for i := range st.distinct {
		st.distinct[i] = u.rewrite(st.distinct[i])
	}
	u.windows(&st.win)
	for i := range st.srfs {
		for j := range st.srfs[i].Args {
			st.srfs[i].Args[j] = u.rewrite(st.srfs[i].Args[j])
		}
	}
	a.Aggs = st.agg.calls
	st.rel = a
	if st.having != nil {
		st.rel = &Filter{In: a, Pred: st.having}
	}
}

// ungrouper replaces group-by expressions by their registers and refuses other columns.
type ungrouper struct {
	st    *selectState
	a     *Agg
	byKey map[string]ColID
	sets  *GroupingSets
}

func (u *ungrouper) add(e Expr) ColID {
	k := key(e)
	if id, ok := u.byKey[k]; ok {
		return id
	}
	id := ColID(-1)
	if c, ok := e.(*Col); ok {
		id = c.ID
	} else {
		id = u.st.b.newCols(1)
	}
	u.byKey[k] = id
	u.a.Groups = append(u.a.Groups, Item{ID: id, E: e})
	return id
}

func (u *ungrouper) rewrite(e Expr) Expr {
	return Rewrite(e, func(x Expr) Expr {
		if _, ok := x.(*Const); ok && u.sets == nil {
			return x
		}
		if g, ok := x.(*Grouping); ok {
			return u.groupingCall(g)
		}
		if id, ok := u.byKey[key(x)]; ok {
			return &Col{ID: id, T: x.Type(), Name: Format(x), Pos: -1}
		}
		switch x := x.(type) {
		case *Col:
			u.checkColumn(x, "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function")
			return x
		case *Subquery:
			u.subquery(x.Rel)
		}
		return nil
	})
}

// subquery checks what a subquery reads of this query: it reads it above the aggregation. As in Postgres, an
// expression that is grouped by is no column there.
func (u *ungrouper) subquery(r Rel) {
	const refused = "subquery uses ungrouped column \"%s\" from outer query"
	WalkRel(r, func(Rel) {}, func(e Expr) {
		c, ok := e.(*Col)
		if !ok {
			return
		}
		if id, ok := u.byKey[key(c)]; !ok || id != c.ID {
			u.checkColumn(c, refused)
		}
	})
}

// checkColumn fails with what is refused of a column that is not grouped by.
func (u *ungrouper) checkColumn(c *Col, refused string) {
	sc := u.st.sc
	if !sc.local(c.ID) {
		return // an aggregate's result, or a column of another query
	}
	if u.dependent(c) {
		u.add(c)
		return
	}
	u.st.b.failf(c.Pos, sqlerr.GroupingError, refused, c.Name)
}

// dependent says that the column's table is grouped by its whole primary key.
func (u *ungrouper) dependent(c *Col) bool {
	sc := u.st.sc.columnOf(c)
	if u.sets != nil || sc == nil || sc.table == nil || sc.table.desc == nil || sc.table.desc.HasRowID() {
		return false
	}
	for _, k := range sc.table.desc.Primary.Columns {
		col := sc.table.cols[sc.table.desc.ColumnOrdinal(k.ID)]
		if _, ok := u.byKey[key(col.expr(-1))]; !ok {
			return false
		}
	}
	return true
}

func (u *ungrouper) windows(w *winState) {
	for i := range w.calls {
		c := &w.calls[i]
		for j := range c.Args {
			c.Args[j] = u.rewrite(c.Args[j])
		}
		for j := range c.part {
			c.part[j] = u.rewrite(c.part[j])
		}
		for j := range c.order {
			c.order[j].e = u.rewrite(c.order[j].e)
		}
		c.Filter = u.rewrite(c.Filter)
	}
}

// windows puts window functions into the tree; what they partition and order by is computed first.
func (st *selectState) windows() {
	if len(st.win.calls) == 0 {
		return
	}
	p := &Project{In: st.rel}
	w := &Window{}
	for i := range st.win.calls {
		c := &st.win.calls[i]
		for _, e := range c.part {
			c.Part = append(c.Part, st.register(p, e))
		}
		for _, o := range c.order {
			o.k.ID = st.register(p, o.e)
			c.Order = append(c.Order, o.k)
		}
		if len(c.Order) > 0 {
			st.b.rangeBounds(&c.Frame, c.Order[0])
		}
		w.Calls = append(w.Calls, c.WindowCall)
	}
	w.In = st.rel
	if len(p.Items) > 0 {
		w.In = p
	}
	st.rel = w
}
