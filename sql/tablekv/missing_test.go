package tablekv

import (
	"testing"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/types"
)

// A row from before a column was added has the column's default, one from after
// has what was written, also if that is NULL.
func TestMissingValues(t *testing.T) {
	before := &schema.Table{Header: schema.Header{ID: 20000}, Columns: []schema.Column{
		{ID: 1, Name: "id", Type: schema.Type{OID: 23, Mod: -1}, NotNull: true},
		{ID: 2, Name: "a", Type: schema.Type{OID: 25, Mod: -1}},
	}, Primary: schema.Index{ID: 20001, Unique: true, Columns: []schema.IndexColumn{{ID: 1}}}, NextColumnID: 3}
	after := before.Clone()
	text := schema.Type{OID: 25, Mod: -1}
	after.Columns = append(after.Columns,
		schema.Column{ID: 3, Name: "b", Type: text, Missing: MissingValue(3, TypeOf(text), types.NewText("old"))},
		schema.Column{ID: 4, Name: "c", Type: text})
	old, now := NewCodec(before), NewCodec(after)
	id, x := types.NewInt(1), types.NewText("x")
	for _, c := range []struct {
		name  string
		value []byte
		want  types.Row
	}{
		{"an old row", old.Primary.Value(types.Row{id, x}), types.Row{id, x, types.NewText("old"), types.Null}},
		{"an old row of NULLs", old.Primary.Value(types.Row{id, types.Null}), types.Row{id, types.Null, types.NewText("old"), types.Null}},
		{"a new row", now.Primary.Value(types.Row{id, x, types.NewText("new"), x}), types.Row{id, x, types.NewText("new"), x}},
		{"a new row with NULL", now.Primary.Value(types.Row{id, x, types.Null, types.Null}), types.Row{id, x, types.Null, types.Null}},
		{"a row with NULL for an old reader", now.Primary.Value(types.Row{id, x, types.Null, x}), nil},
	} {
		key, _, err := now.Primary.Key(types.Row{id, x, x, x})
		if err != nil {
			t.Fatal(err)
		}
		codec, want := now, c.want
		if want == nil {
			codec, want = old, types.Row{id, x}
		}
		at := make([]int, len(want))
		for i := range at {
			at[i] = i
		}
		got := make(types.Row, len(want))
		if err := codec.Primary.NewDecoder(at).Decode(key, c.value, got); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for i := range want {
			if got[i].IsNull() != want[i].IsNull() || !got[i].IsNull() && types.Compare(got[i], want[i]) != 0 {
				t.Errorf("%s: column %d is %v, want %v", c.name, i+1, got[i], want[i])
			}
		}
	}
}
