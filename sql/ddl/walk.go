package ddl

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/sql/parser"
)

// walkColumnRefs and walkRangeVars visit the column and table references of a
// tree, wherever they stand.
func walkColumnRefs(n *pg.Node, fn func(*pg.ColumnRef)) {
	parser.Walk(n, func(m proto.Message) {
		if r, ok := m.(*pg.ColumnRef); ok {
			fn(r)
		}
	})
}

func walkRangeVars(n *pg.Node, fn func(*pg.RangeVar)) {
	parser.Walk(n, func(m proto.Message) {
		if r, ok := m.(*pg.RangeVar); ok {
			fn(r)
		}
	})
}
