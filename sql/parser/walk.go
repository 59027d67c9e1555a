package parser

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Walk calls fn with every message of a tree, parents first. fn may change
// fields of what it is given.
func Walk(n *pg.Node, fn func(proto.Message)) {
	if n != nil {
		walk(n.ProtoReflect(), fn)
	}
}

func walk(m protoreflect.Message, fn func(proto.Message)) {
	fn(m.Interface())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message(), fn)
			}
		default:
			walk(v.Message(), fn)
		}
		return true
	})
}
