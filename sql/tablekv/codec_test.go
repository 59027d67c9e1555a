package tablekv

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/types"
)

// sample is a table with a two-column key, a unique and a plain index, the latter descending and
// with a stored column.
func sample() *schema.Table {
	t := &schema.Table{}
	t.ID, t.Name = 100, "t"
	for i, ty := range []types.T{types.Int4, types.Numeric, types.Text, types.Float8, types.Bool} {
		t.Columns = append(t.Columns, schema.Column{ID: schema.ColumnID(i + 1), Name: string(rune('a' + i)),
			Type: schema.Type{OID: uint32(ty.OID), Mod: -1}})
	}
	t.Primary = schema.Index{ID: 1, Name: "t_pkey", Unique: true, Columns: []schema.IndexColumn{{ID: 1}, {ID: 2}}}
	t.Indexes = []schema.Index{
		{ID: 2, Name: "t_u", Unique: true, Columns: []schema.IndexColumn{{ID: 3}}},
		{ID: 3, Name: "t_i", Columns: []schema.IndexColumn{{ID: 4, Desc: true}, {ID: 3}}, Stored: []schema.ColumnID{5}},
	}
	return t
}

func drawRow(t *rapid.T) types.Row {
	maybe := func(d types.Datum) types.Datum {
		if rapid.Bool().Draw(t, "null") {
			return types.Null
		}
		return d
	}
	dec := apd.New(rapid.Int64Range(-1000, 1000).Draw(t, "coeff"), -rapid.Int32Range(0, 3).Draw(t, "scale"))
	return types.Row{
		types.NewInt(rapid.Int64Range(-5, 5).Draw(t, "a")),
		types.NewDecimal(dec),
		maybe(types.NewText(rapid.SampledFrom([]string{"", "x", "x\x00y", "é"}).Draw(t, "c"))),
		maybe(types.NewFloat(rapid.SampledFrom([]float64{0, -1.5, 2, 1e300}).Draw(t, "d"))),
		maybe(types.NewBool(rapid.Bool().Draw(t, "e"))),
	}
}

func text(c *Codec, row types.Row, i int) string {
	if row[i].IsNull() {
		return "NULL"
	}
	return string(types.AppendText(nil, c.Types[i], row[i], nil))
}

// TestRoundTrip holds I1 and I2 for rows and for the entries of every index.
func TestRoundTrip(t *testing.T) {
	c := NewCodec(sample())
	rapid.Check(t, func(t *rapid.T) {
		row, other := drawRow(t), drawRow(t)
		for _, ic := range []*IndexCodec{&c.Primary, &c.Indexes[0], &c.Indexes[1]} {
			key, _, err := ic.Key(row)
			if err != nil {
				t.Fatal(err)
			}
			at := make([]int, len(row))
			for i := range at {
				at[i] = -1
				if ic.Covers(i) {
					at[i] = i
				}
			}
			got := make(types.Row, len(row))
			if err := ic.NewDecoder(at).Decode(key, ic.Value(row), got); err != nil {
				t.Fatal(err)
			}
			for i := range row {
				if at[i] >= 0 && text(c, row, i) != text(c, got, i) {
					t.Fatalf("%s column %d: %s became %s", ic.Index.Name, i, text(c, row, i), text(c, got, i))
				}
			}
		}
		k1, _, _ := c.Primary.Key(row)
		k2, _, _ := c.Primary.Key(other)
		same := types.Compare(row[0], other[0]) == 0 && types.Compare(row[1], other[1]) == 0
		if bytes.Equal(k1, k2) != same {
			t.Fatalf("keys equal: %v, values equal: %v", !same, same)
		}
	})
}
