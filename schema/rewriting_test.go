package schema_test

import (
	"testing"

	"github.com/cairndb/cairn/schema"
)

// A job takes its index back while the rows of the table are written anew: so goes what
// is written of the index there, and what the columns of its expressions are to become.
func TestAnIndexGoesFromTheCopyOfTheRowsToo(t *testing.T) {
	tab := &schema.Table{
		Columns: []schema.Column{{ID: 1, Name: "id"}, {ID: 2, Name: "k"}, {ID: 3, Virtual: true}, {ID: 4, Replaces: 2}, {ID: 5, Replaces: 3, Virtual: true}, {ID: 6, Virtual: true}},
		Primary: schema.Index{ID: 10, OID: 100, Columns: []schema.IndexColumn{{ID: 1}}},
		Indexes: []schema.Index{{ID: 11, OID: 101, Columns: []schema.IndexColumn{{ID: 3}}}, {ID: 12, OID: 102, Columns: []schema.IndexColumn{{ID: 2}}}},
		Rewriting: &schema.Rewriting{Primary: 20, Unfit: 6, Indexes: []schema.Index{
			{ID: 20, OID: 100, Columns: []schema.IndexColumn{{ID: 1}}}, {ID: 21, OID: 101, Columns: []schema.IndexColumn{{ID: 3}}}, {ID: 22, OID: 102, Columns: []schema.IndexColumn{{ID: 2}}}}},
	}
	if written := tab.RemoveIndex(11); written != 21 {
		t.Errorf("the index was written as %d", written)
	}
	next := tab.Rewritten()
	for _, ix := range tab.Rewriting.Indexes {
		if next.IndexByID(ix.ID) == nil {
			t.Errorf("index %d is written, and the table will have none", ix.ID)
		}
	}
	for _, id := range []schema.ColumnID{3, 5} {
		if tab.ColumnByID(id) != nil {
			t.Errorf("column %d is still there", id)
		}
	}
	for _, id := range []schema.ColumnID{1, 2, 4, 6} {
		if tab.ColumnByID(id) == nil {
			t.Errorf("column %d has gone", id)
		}
	}
	if tab.RemoveIndex(12) != 22 || len(tab.Rewriting.Indexes) != 1 {
		t.Errorf("%+v are written", tab.Rewriting.Indexes)
	}
}
