package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// renaming is what a column's new name changes in a query that is kept as text: Postgres
// keeps a tree, whose names are only how it is shown.
type renaming struct {
	of       schema.DescID
	from, to string
	// refs are the references that change, by their place, and what they become: the
	// name of the table, if it was not there, and the column's.
	refs map[int32][]string
	// refused says what has no other way to be written.
	refused string
}

// RenameColumn writes the new name of a column of a table or view into a query. What
// meant another column of that name goes on to mean it, and what the query gives is
// called as before. It changes the tree.
func RenameColumn(env Env, st parser.Stmt, of schema.DescID, from, to string) (err error) {
	env.NoPolicies = true
	r := &renaming{of: of, from: from, to: to, refs: map[int32][]string{}}
	b := &binder{env: env, query: st.Query, tables: map[schema.DescID]*schema.Table{}, renaming: r}
	defer catch(&err)
	b.query_(nil, st.Tree.GetSelectStmt(), queryOptions{})
	if r.refused != "" {
		return sqlerr.Unsupported("renaming column \"%s\", which a view names in %s,", from, r.refused).
			WithHint("Drop the view and create it again.")
	}
	names := map[*pg.ResTarget]string{}
	eachTarget(st.Tree, func(t *pg.ResTarget) {
		if t.Name == "" {
			names[t] = figureName(t.Val)
		}
	})
	parser.Walk(st.Tree, func(m proto.Message) {
		c, ok := m.(*pg.ColumnRef)
		if !ok {
			return
		}
		if parts := r.refs[c.Location]; parts != nil {
			c.Fields = nil
			for _, p := range parts {
				c.Fields = append(c.Fields, pg.MakeStrNode(p))
			}
		}
	})
	eachTarget(st.Tree, func(t *pg.ResTarget) {
		if was := names[t]; was != "" && figureName(t.Val) != was {
			t.Name = was
		}
	})
	return nil
}

// eachTarget visits what the SELECTs of a query give.
func eachTarget(tree *pg.Node, visit func(*pg.ResTarget)) {
	parser.Walk(tree, func(m proto.Message) {
		if s, ok := m.(*pg.SelectStmt); ok {
			for _, n := range s.TargetList {
				if t := n.GetResTarget(); t != nil {
					visit(t)
				}
			}
		}
	})
}

// isOf says that a column is the table's own, under its own name.
func (r *renaming) isOf(c *scopeCol) bool {
	t := c.table
	return t != nil && !c.aliased && (t.desc != nil && t.desc.ID == r.of || t.view != nil && t.view.ID == r.of)
}

// noteRef keeps a reference to a column that is to be written otherwise.
func (b *binder) noteRef(sc *scope, col *scopeCol, parts []string, pos int32) {
	r := b.renaming
	if r == nil || b.inView > 0 || col == nil || col.name != r.from && col.name != r.to {
		return
	}
	name := col.name
	mine := r.isOf(col)
	if mine && name == r.from {
		name = r.to
	}
	switch {
	case len(parts) > 1:
		if name != col.name {
			r.refs[pos] = append(append([]string{}, parts[:len(parts)-1]...), name)
		}
	case !mine && col.name == r.from:
	case col.table == nil || col.table.name == "" || sc.table("", col.table.name, pos) != col.table:
		r.refused = "a way that no other name can stand for"
	default:
		r.refs[pos] = []string{col.table.name, name}
	}
}

// noteOutput refuses a name in GROUP BY that means what the query gives, and would mean
// the column.
func (b *binder) noteOutput(name string) {
	if r := b.renaming; r != nil && b.inView == 0 && name == r.to {
		r.refused = "the place of another of the new name"
	}
}

// noteJoin refuses what goes by the names of columns.
func (b *binder) noteJoin(l, r *scope, j *pg.JoinExpr) {
	x := b.renaming
	if x == nil || b.inView > 0 || !j.IsNatural && len(j.UsingClause) == 0 && j.Alias == nil {
		return
	}
	named := j.IsNatural || j.Alias != nil
	for _, n := range stringList(j.UsingClause) {
		named = named || n == x.from || n == x.to
	}
	for _, side := range []*scope{l, r} {
		for _, c := range side.cols {
			if named && x.isOf(c) && c.name == x.from {
				x.refused = "a join that goes by names"
			}
		}
	}
}
