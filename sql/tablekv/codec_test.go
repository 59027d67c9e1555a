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

// TestRewrittenEntries holds I6: what is written for a table to be is what its own codec makes of
// the row to be.
func TestRewrittenEntries(t *testing.T) {
	tab := sample()
	tab.NextColumnID = 6
	tab.Columns[1].Missing = MissingValue(2, types.Numeric, types.NewDecimal(apd.New(7, 0)))
	by := tab.ColumnByID(tab.AddVirtual("b", schema.Type{OID: uint32(types.Text.OID), Mod: -1}))
	by.Replaces = 2
	unfit := tab.AddVirtual("false", schema.Type{OID: uint32(types.Bool.OID), Mod: -1})
	for i, oid := range []schema.DescID{21, 22, 23} {
		tab.AllIndexes()[i].OID = oid
	}
	tab.Rewriting = &schema.Rewriting{Unfit: unfit, Primary: 11, NotNull: []schema.ColumnID{4}, Indexes: []schema.Index{
		{ID: 11, OID: 31, Name: "new", Unique: true, Columns: []schema.IndexColumn{{ID: 4}, {ID: 2}}, State: schema.IndexWriteOnly},
		{ID: 12, OID: 22, Unique: true, Columns: []schema.IndexColumn{{ID: 3}}, State: schema.IndexWriteOnly},
		{ID: 13, OID: 23, Columns: []schema.IndexColumn{{ID: 4, Desc: true}, {ID: 3}}, Stored: []schema.ColumnID{5}, State: schema.IndexWriteOnly}},
		Refused: schema.Index{ID: 14, OID: 34, Where: unfit, State: schema.IndexWriteOnly}}
	c, next := NewCodec(tab), NewCodec(tab.Rewritten())
	if got := next.Table.IndexByID(12).Name; got != "t_u" || next.Table.Primary.Name != "new" || len(next.Table.Columns) != 5 {
		t.Fatalf("the table to be: %+v", next.Table)
	}
	all := []int{0, 1, 2, 3, 4}
	own := []int{0, 1, 2, 3, 4, 5, 6}
	rapid.Check(t, func(t *rapid.T) {
		row := drawRow(t)
		if row[3].IsNull() {
			row[3] = types.NewFloat(3)
		}
		row = append(row, types.NewText(text(c, row, 1)), types.NewBool(false))
		toBe := append(types.Row(nil), row[:5]...)
		toBe[1] = row[5]
		for _, id := range []schema.IndexID{11, 12, 13} {
			a, b := c.IndexByID(id), next.IndexByID(id)
			k, conflict, err := a.Key(row)
			want, wantConflict, wantErr := b.Key(toBe)
			if err != nil || wantErr != nil || !k.Equal(want) || conflict != wantConflict || !a.Holds(row) {
				t.Fatalf("index %d: key %x, %v, %v; want %x, %v, %v", id, k, conflict, err, want, wantConflict, wantErr)
			}
			if v := a.Value(row); id != 11 && !bytes.Equal(v, b.Value(toBe)) {
				t.Fatalf("index %d: value %x, want %x", id, v, b.Value(toBe))
			}
		}
		// The row has the old key beside what it has in the table to be.
		ic := c.IndexByID(11)
		k, _, _ := ic.Key(row)
		got, back := make(types.Row, 5), make(types.Row, 7)
		if err := next.Primary.NewDecoder(all).Decode(k, ic.Value(row), got); err != nil {
			t.Fatal(err)
		}
		if err := ic.NewDecoder(own).Decode(k, ic.Value(row), back); err != nil {
			t.Fatal(err)
		}
		for i := range toBe {
			if text(next, got, i) != text(next, toBe, i) {
				t.Fatalf("column %d is %s, want %s", i, text(next, got, i), text(next, toBe, i))
			}
		}
		a, _, _ := c.Primary.Key(back)
		b, _, _ := c.Primary.Key(row)
		if !a.Equal(b) {
			t.Fatalf("the entry is of row %x, not %x", b, a)
		}
		row[6] = types.NewBool(true)
		if refused := c.IndexByID(14); ic.Holds(row) || !refused.Holds(row) {
			t.Fatal("a row that does not fit is not refused")
		}
	})
}
