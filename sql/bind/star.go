package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
)

// ExpandStars writes the columns of every * into a query that is to be kept, as Postgres does: a
// column that is added to a table later does not become one of the view. It changes the tree, and
// says whether there was anything to change.
func ExpandStars(env Env, st parser.Stmt) (changed bool, err error) {
	env.NoPolicies = true
	b := &binder{env: env, query: st.Query, tables: map[schema.DescID]*schema.Table{}, stars: map[*pg.ColumnRef][]*pg.Node{}}
	defer catch(&err)
	b.query_(nil, st.Tree.GetSelectStmt(), queryOptions{})
	parser.Walk(st.Tree, func(m proto.Message) {
		s, ok := m.(*pg.SelectStmt)
		if !ok {
			return
		}
		var list []*pg.Node
		for _, n := range s.TargetList {
			if cols, ok := b.stars[n.GetResTarget().GetVal().GetColumnRef()]; ok {
				list, changed = append(list, cols...), true
			} else {
				list = append(list, n)
			}
		}
		s.TargetList = list
	})
	return changed, nil
}

// noteStar keeps what a * stands for.
func (b *binder) noteStar(sc *scope, c *pg.ColumnRef, out []target) {
	if b.stars == nil || b.inView > 0 {
		return
	}
	cols := []*pg.Node{}
	for _, t := range out {
		var fields []*pg.Node
		if ref := t.col.table; ref != nil && ref.name != "" {
			if ref.schema != "" && ambiguous(sc, ref) {
				fields = append(fields, pg.MakeStrNode(ref.schema))
			}
			fields = append(fields, pg.MakeStrNode(ref.name))
		}
		col := &pg.ColumnRef{Fields: append(fields, pg.MakeStrNode(t.name))}
		val := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: col}}
		cols = append(cols, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: val}}})
	}
	b.stars[c] = cols
}

// ambiguous says whether two tables in scope have the name of one.
func ambiguous(sc *scope, ref *tableRef) bool {
	n := 0
	for _, t := range sc.tables {
		if t.name == ref.name {
			n++
		}
	}
	return n > 1
}
