package ddl

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// walkColumnRefs and walkRangeVars visit the column and table references of a
// tree, wherever they stand.
func walkColumnRefs(n *pg.Node, fn func(*pg.ColumnRef)) {
	walkMessages(n.ProtoReflect(), func(m proto.Message) {
		if r, ok := m.(*pg.ColumnRef); ok {
			fn(r)
		}
	})
}

func walkRangeVars(n *pg.Node, fn func(*pg.RangeVar)) {
	walkMessages(n.ProtoReflect(), func(m proto.Message) {
		if r, ok := m.(*pg.RangeVar); ok {
			fn(r)
		}
	})
}

func walkMessages(m protoreflect.Message, fn func(proto.Message)) {
	fn(m.Interface())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				walkMessages(v.List().Get(i).Message(), fn)
			}
		default:
			walkMessages(v.Message(), fn)
		}
		return true
	})
}
