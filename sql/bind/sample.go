package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Sample passes on a share of the rows of a table. Which, depends on the primary key and a seed, so
// conditions may be tested before or after it.
type Sample struct {
	In   Rel
	Scan *Scan
	// Percent is a float4; Seed a float8, or nil for another sample each time.
	Percent, Seed Expr
}

func (*Sample) rel() {}

// tableSample binds TABLESAMPLE. Both methods look at single rows: tables here have no blocks.
func (b *binder) tableSample(sc *scope, n *pg.RangeTableSample) Rel {
	method := stringList(n.Method)
	name := method[len(method)-1]
	if name != "bernoulli" && name != "system" {
		b.failf(n.Location, sqlerr.UndefinedObject, "tablesample method %s does not exist", name)
	}
	in := b.fromItem(sc, n.Relation)
	var scan *Scan
	if n.Relation.GetRangeVar() != nil {
		scan = sc.tables[len(sc.tables)-1].scan
	}
	if scan == nil {
		b.failf(n.Relation.GetRangeVar().GetLocation(), sqlerr.FeatureNotSupported, "TABLESAMPLE clause can only be applied to tables and materialized views")
	}
	if len(n.Args) != 1 {
		b.failf(n.Location, sqlerr.InvalidTablesampleArgument, "tablesample method %s requires %d argument, not %d", name, 1, len(n.Args))
	}
	asc := sc.forSubquery()
	asc.tables, asc.cols, asc.clause, asc.noAgg = nil, nil, "TABLESAMPLE", true
	s := &Sample{In: in, Scan: scan, Percent: b.sampleArg(asc, n.Args[0], types.Float4)}
	if n.Repeatable != nil {
		s.Seed = b.sampleArg(asc, n.Repeatable, types.Float8)
	}
	return s
}

func (b *binder) sampleArg(sc *scope, n *pg.Node, t types.T) Expr {
	e := b.expr(sc, n)
	out := b.coerce(e, t, types.CastAssignment, b.pos(n))
	if out == nil {
		b.failf(b.pos(n), sqlerr.DatatypeMismatch, "argument of TABLESAMPLE must be type %s, not type %s", t, e.Type())
	}
	return out
}

// keyRefs are the registers of a scan's primary key.
func (s *Scan) keyRefs(on func(ColID)) {
	for _, k := range s.Table.Primary.Columns {
		on(s.Base + ColID(s.Table.ColumnOrdinal(k.ID)))
	}
}
