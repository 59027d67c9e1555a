package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Merge does to each row of its input, a source joined to the target, the first of its actions that
// fits. A row whose target is not there has NULL in the target's primary key.
type Merge struct {
	Table *schema.Table
	In    Rel
	Old   ColID
	// New is the row that an action makes: Checks and Generated are over it.
	New       ColID
	Actions   []MergeAction
	Checks    []CheckExpr
	Generated []Item
}

// MergeAction is a WHEN clause. With neither Delete, Set nor Vals it does nothing.
type MergeAction struct {
	Matched bool
	Cond    Expr
	Delete  bool
	Set     []SetCol
	Vals    []Expr // an INSERT, by column ordinal
}

func (*Merge) rel() {}

func (b *binder) mergeStmt(s *pg.MergeStmt) *Stmt {
	if s.WithClause.GetRecursive() {
		b.failf(-1, sqlerr.SyntaxError, "WITH RECURSIVE is not supported for MERGE statement")
	}
	parent, with := b.maybeWith(nil, s.WithClause)
	b.checkMerge(s)
	t := b.mergeTarget(s.Relation)
	if b.policed(t) {
		b.unsupported(-1, "MERGE into a table with row-level security")
	}
	m := &Merge{Table: t}
	scan := b.scan(t, refName(s.Relation))
	lockRows(scan)
	m.Old = scan.Base
	target := &scope{b: b, parent: parent, outer: parent}
	ref := b.tableRef(t, s.Relation.Relname, s.Relation.Schemaname, scan.Base)
	b.read(ref, t)
	b.add(target, ref, s.Relation.Alias)
	source := &scope{b: b, parent: parent, outer: parent, clause: "MERGE"}
	from := b.fromItem(source, s.SourceRelation)
	for _, o := range source.tables {
		if o.name == ref.name {
			b.at(-1, sqlerr.New(sqlerr.DuplicateAlias, "name \"%s\" specified more than once", ref.name).
				WithDetail("The name is used both as MERGE target table and data source."))
		}
	}
	both := &scope{b: b, parent: parent, outer: parent, clause: "MERGE"}
	b.mergeTables(both, target, source)
	both.cols = append(append([]*scopeCol{}, target.cols...), source.cols...)
	join := &Join{Kind: JoinInner, L: from, R: scan, On: b.where(both, s.JoinCondition, "JOIN/ON")}
	m.In = join
	m.New = b.newCols(len(t.Columns))
	source.barred = target.tables
	for _, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		a := MergeAction{Matched: w.MatchKind == pg.MergeMatchKind_MERGE_WHEN_MATCHED}
		sc := both
		if !a.Matched {
			sc, join.Kind = source, JoinLeft
		}
		b.mergeAction(sc, m, &a, w)
		m.Actions = append(m.Actions, a)
	}
	m.Checks = b.checks(t, m.New)
	m.Generated = b.generated(t, m.New, false)
	return &Stmt{Kind: KindMerge, Rel: wrapWith(with, m)}
}

// checkMerge refuses what no version or only a later one of Postgres has.
func (b *binder) checkMerge(s *pg.MergeStmt) {
	if len(s.ReturningList) > 0 {
		b.unsupported(-1, "RETURNING of MERGE")
	}
	var final [2]bool
	for _, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		kind := 0
		switch w.MatchKind {
		case pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE:
			b.unsupported(-1, "WHEN NOT MATCHED BY SOURCE")
		case pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_TARGET:
			kind = 1
		}
		if final[kind] {
			b.failf(-1, sqlerr.SyntaxError, "unreachable WHEN clause specified after unconditional WHEN clause")
		}
		final[kind] = w.Condition == nil
	}
}

func (b *binder) mergeTarget(rv *pg.RangeVar) *schema.Table {
	obj, vt := b.relation(rv)
	if v, ok := obj.(*schema.View); ok && vt == nil {
		b.at(-1, sqlerr.New(sqlerr.FeatureNotSupported, "cannot execute MERGE on relation \"%s\"", v.Name).
			WithDetail("This operation is not supported for views."))
	}
	t, _ := b.targetTable(rv, "merge into")
	return t
}

func (b *binder) mergeAction(sc *scope, m *Merge, a *MergeAction, w *pg.MergeWhenClause) {
	t := m.Table
	if w.Condition != nil {
		a.Cond = b.boolean(b.expr(sc.in("MERGE WHEN conditions", true), w.Condition), "WHEN", b.pos(w.Condition))
	}
	switch w.CommandType {
	case pg.CmdType_CMD_DELETE:
		b.need(t, schema.PrivDelete)
		a.Delete = true
	case pg.CmdType_CMD_UPDATE:
		a.Set = append(b.setList(sc.in("UPDATE", true), t, t, w.TargetList), b.fillList(t, m.Old)...)
	case pg.CmdType_CMD_INSERT:
		ins := &pg.InsertStmt{Cols: w.TargetList, Override: w.Override}
		if len(w.Values) > 0 {
			list := &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: w.Values}}}
			ins.SelectStmt = &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{ValuesLists: []*pg.Node{list}}}}
		}
		targets := b.insertColumns(t, ins)
		n := b.need(t, schema.PrivInsert)
		for _, i := range targets {
			n.Columns[t.Columns[i].ID] = true
		}
		out := &Insert{Table: t}
		b.insertSource(sc, out, ins, targets)
		a.Vals = out.Vals
	}
}

// exprs are the expressions of the actions.
func (m *Merge) exprs() []Expr {
	out := itemExprs(m.Generated)
	for _, c := range m.Checks {
		out = append(out, c.E)
	}
	for _, a := range m.Actions {
		out = append(append(append(out, nonNil(a.Cond)...), setExprs(a.Set)...), a.Vals...)
	}
	return out
}
