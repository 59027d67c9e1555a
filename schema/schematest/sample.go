package schematest

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/schema"
)

// Sample is a catalog with a table of many features, a table without key, a
// sequence and a view, for tests of what shows the catalog. The numbers are
// fixed.
func Sample(t *testing.T) *schema.Contents {
	t.Helper()
	clock := hlc.NewClock(hlc.SystemClock{}, 500*time.Millisecond)
	cat := schema.NewCatalog(schema.Config{Store: New(clock), Clock: clock, NodeID: 1})
	r := cat.Resolver(New(clock).Begin())
	if err := r.BeginChange(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range sampleObjects() {
		h := o.Head()
		h.DatabaseID, h.SchemaID, h.Owner = 100, 101, schema.RootUser
		r.Put(o)
		r.Bind(101, h.Name, h.ID, 0)
		if tab, ok := o.(*schema.Table); ok {
			for _, ix := range tab.AllIndexes() {
				if ix.Name != "" {
					r.Bind(101, ix.Name, tab.ID, ix.ID)
				}
			}
		}
	}
	c, err := r.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.Fixed()
}

func sampleObjects() []schema.Object {
	int4, text := schema.Type{OID: 23, Mod: -1}, schema.Type{OID: 25, Mod: -1}
	tab := &schema.Table{
		Header: schema.Header{ID: 16384, Name: "t", Comment: "a table"},
		Columns: []schema.Column{
			{ID: 1, Name: "a", Type: int4, NotNull: true, Default: "nextval('t_a_seq'::regclass)", DefaultOID: 16390, Sequence: 16385},
			{ID: 2, Name: "b", Type: schema.Type{OID: 1043, Mod: 14}, NotNull: true, Default: "'x'::character varying", DefaultOID: 16391},
			{ID: 4, Name: "c", Type: schema.Type{OID: 1700, Mod: 10<<16 | 2 + 4}, Comment: "after a dropped column"},
		},
		Primary: schema.Index{ID: 16392, OID: 16392, Name: "t_pkey", Unique: true, ConstraintOID: 16393, Columns: []schema.IndexColumn{{ID: 1}}},
		Indexes: []schema.Index{
			{ID: 16394, OID: 16394, Name: "t_b_key", Unique: true, ConstraintOID: 16395, Columns: []schema.IndexColumn{{ID: 2}}},
			{ID: 16396, OID: 16396, Name: "t_c", Columns: []schema.IndexColumn{{ID: 4, Desc: true}, {ID: 2}}, Stored: []schema.ColumnID{1}},
		},
		Checks:       []schema.Check{{OID: 16397, Name: "t_c_check", Expr: "c > 0", Columns: []schema.ColumnID{4}}},
		NextColumnID: 5, RowCountEstimate: -1, Options: []string{"fillfactor=90"},
	}
	heap := &schema.Table{
		Header:       schema.Header{ID: 16398, Name: "nokey"},
		Columns:      []schema.Column{{ID: 1, Name: "v", Type: text}, {ID: 2, Name: schema.RowIDName, Type: schema.Type{OID: 20, Mod: -1}, NotNull: true, Hidden: true, Default: "unique_rowid()"}},
		Primary:      schema.Index{ID: 16399, OID: 16399, Unique: true, Columns: []schema.IndexColumn{{ID: 2}}},
		NextColumnID: 3, RowCountEstimate: -1,
	}
	return []schema.Object{tab, heap,
		&schema.Sequence{Header: schema.Header{ID: 16385, Name: "t_a_seq"}, Type: int4, Start: 1, Increment: 1, Min: 1,
			Max: 2147483647, Cache: 1, OwnerTable: 16384, OwnerColumn: 1},
		&schema.View{Header: schema.Header{ID: 16400, Name: "v"}, Query: "SELECT a, b FROM t", DependsOn: []schema.DescID{16384},
			Columns: []schema.Column{{ID: 1, Name: "a", Type: int4}, {ID: 2, Name: "b", Type: text}}},
	}
}
