package rowenc

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/types"
)

// keyTypes are the types under the property tests; a generator per kind follows.
var keyTypes = []types.T{types.Bool, types.Int2, types.Int8, types.Float8, types.Numeric, types.NumericPS(30, 4),
	types.Text, types.CharN(6), types.Bytea, types.UUID, types.Date, types.TimestampTZ, types.Interval,
	types.Inet, types.Macaddr8, types.TimeTZ, types.Varbit,
	types.TextArray, types.Int8Array, enumType(),
	types.Int8Range, types.NumRange, types.DateRange, arrayOf(types.NumRange)}

func arrayOf(t types.T) types.T {
	a, _ := t.Array()
	return a
}

// enumType has labels whose positions are far apart and on both sides of zero.
func enumType() types.T {
	return types.OfUser(&usertype.Type{Kind: usertype.Enum, OID: 20000, ArrayOID: 20001, Name: "e", Labels: []usertype.Label{
		{Name: "low", Position: -1 << 40}, {Name: "zero"}, {Name: "one", Position: 1}, {Name: "high", Position: 1 << 40}}})
}

// compositeType has a number, a text and an array.
func compositeType() types.T {
	return types.OfUser(&usertype.Type{Kind: usertype.Composite, OID: 20002, ArrayOID: 20003, Name: "c", Fields: []usertype.Field{
		{Name: "n", OID: uint32(types.OIDNumeric), Mod: -1}, {Name: "s", OID: uint32(types.OIDText), Mod: -1},
		{Name: "a", OID: uint32(types.Int8Array.OID), Mod: -1}}})
}

func draw(t *rapid.T, typ types.T, label string) types.Datum {
	if rapid.IntRange(0, 9).Draw(t, label+" null") == 0 {
		return types.Null
	}
	switch typ.Kind() {
	case types.KindBool:
		return types.NewBool(rapid.Bool().Draw(t, label))
	case types.KindInt:
		return types.NewInt(rapid.Int64().Draw(t, label))
	case types.KindFloat:
		return types.NewFloat(rapid.Float64().Draw(t, label))
	case types.KindDecimal:
		d := types.NewDecimal(apd.New(rapid.Int64().Draw(t, label), rapid.Int32Range(-20, 3).Draw(t, label+" e")))
		d, _ = types.Coerce(d, typ, true)
		return d
	case types.KindText:
		return types.NewText(rapid.StringOfN(rapid.RuneFrom([]rune("ab\u0001\u00ff ")), -1, 4, -1).Draw(t, label))
	case types.KindBPChar:
		d, _ := types.Coerce(types.NewBPChar(rapid.StringMatching("[ab ]{0,6}").Draw(t, label)), typ, true)
		return d
	case types.KindBytes:
		return types.NewBytes(string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff, 'a'}), 0, 5).Draw(t, label)))
	case types.KindUUID:
		return types.NewUUID([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
	case types.KindRecord:
		_, ts := typ.Fields()
		vals := make([]types.Datum, len(ts))
		for i := range ts {
			vals[i] = draw(t, ts[i], fmt.Sprint(label, ".", i))
		}
		return types.NewComposite(typ, vals)
	case types.KindPacked:
		return drawPacked(t, typ, label)
	case types.KindRange:
		return drawRange(t, typ, label)
	case types.KindEnum:
		return types.NewEnum(&typ.User.Labels[rapid.IntRange(0, 3).Draw(t, label)])
	case types.KindInterval:
		return types.NewInterval(types.IntervalValue{Months: rapid.Int32().Draw(t, label), Days: rapid.Int32().Draw(t, label+" d"), Micros: rapid.Int64().Draw(t, label+" us")})
	case types.KindArray:
		elem, _ := typ.Elem()
		var es []types.Datum
		for i := range rapid.IntRange(0, 3).Draw(t, label+" n") {
			es = append(es, draw(t, elem, fmt.Sprint(label, i)))
		}
		return types.NewArray(elem, es)
	}
	return types.NewCount(typ.Kind(), rapid.Int64().Draw(t, label))
}

func TestKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b []byte
		want := 0
		for i := range rapid.IntRange(1, 3).Draw(t, "columns") {
			typ := rapid.SampledFrom(keyTypes).Draw(t, "type")
			desc := rapid.Bool().Draw(t, "desc")
			x := draw(t, typ, fmt.Sprint("x", i))
			y := x
			if rapid.Bool().Draw(t, "differ") {
				y = draw(t, typ, fmt.Sprint("y", i))
			}
			a, b = AppendKey(a, x, typ, desc), AppendKey(b, y, typ, desc)
			if c := types.CompareNulls(x, y); want == 0 {
				if want = c; desc {
					want = -c
				}
			}
		}
		if got := bytes.Compare(a, b); got != want {
			t.Fatalf("%x against %x: %d, want %d", a, b, got, want)
		}
	})
}

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(keyTypes).Draw(t, "type")
		desc := rapid.Bool().Draw(t, "desc")
		x := draw(t, typ, "x")
		key := append(AppendKey(nil, x, typ, desc), "rest"...)
		got, rest, err := DecodeKey(key, typ, desc)
		if err != nil || string(rest) != "rest" || !types.Equal(got, x) {
			t.Fatalf("%x: %v, rest %q, %v", key, types.Format(typ, got, nil), rest, err)
		}
		if !NeedsValue(x, typ) && types.Format(typ, got, nil) != types.Format(typ, x, nil) {
			t.Fatalf("%s became %s", types.Format(typ, x, nil), types.Format(typ, got, nil))
		}
		if rest, err := SkipKey(key); err != nil || string(rest) != "rest" {
			t.Fatalf("skip left %q, %v", rest, err)
		}
	})
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "columns")
		var ids []ColumnID
		var ts []types.T
		var row []types.Datum
		id := ColumnID(0)
		for i := range n {
			id += ColumnID(rapid.IntRange(1, 40).Draw(t, "delta"))
			ids = append(ids, id)
			ts = append(ts, rapid.SampledFrom(append(slices.Clip(keyTypes), compositeType())).Draw(t, "type"))
			row = append(row, draw(t, ts[i], fmt.Sprint("c", i)))
		}
		b := AppendRow(nil, ids, ts, row)
		var wantIDs []ColumnID
		var wantTs []types.T
		var at, from []int
		for i := n - 1; i >= 0; i-- {
			if rapid.Bool().Draw(t, "want") {
				wantIDs, wantTs, at = append(wantIDs, ids[i]), append(wantTs, ts[i]), append(at, len(at))
				from = append(from, i)
			}
		}
		dst := make([]types.Datum, len(at))
		if err := NewRowDecoder(wantIDs, wantTs, at).Decode(b, dst); err != nil {
			t.Fatal(err)
		}
		for i, d := range dst {
			if got, want := types.Format(wantTs[i], d, nil), types.Format(wantTs[i], row[from[i]], nil); got != want || d.IsNull() != row[from[i]].IsNull() {
				t.Fatalf("column %d: %s, want %s", wantIDs[i], got, want)
			}
		}
	})
}

// TestGoldenTags: these bytes are on people's disks.
func TestGoldenTags(t *testing.T) {
	for _, c := range []struct {
		typ, in string
		desc    bool
		want    string
	}{
		{"int8", "0", false, "18"}, {"int8", "47", false, "47"}, {"int8", "48", false, "4830"}, {"int8", "256", false, "490100"},
		{"int8", "-1", false, "17ff"}, {"int8", "-256", false, "1700"}, {"int8", "-257", false, "16feff"}, {"int8", "1", true, "e6"},
		{"int8", "9223372036854775807", false, "4f7fffffffffffffff"}, {"bool", "f", false, "04"}, {"bool", "t", false, "05"},
		{"text", "a", false, "60610001"}, {"bytea", `\x00`, false, "6000ff0001"}, {"text", "a", true, "9f9efffe"},
		{"float8", "1", false, "50bff0000000000000"}, {"numeric", "1.50", false, "55191000"}, {"numeric", "-1.5", false, "53e6efff"},
		{"int4range", "[1,2]", false, "65031901011b01"}, {"int4range", "empty", false, "6501"}, {"numrange", "(,1.5]", true, "9afdfeaae6effffd"},
		{"numeric", "0", false, "54"}, {"date", "2000-01-02", false, "19"}, {"int4[]", "{1,NULL}", false, "64197f0018"},
	} {
		typ, _ := types.ParseName(c.typ)
		d, err := types.ParseText(typ, c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", AppendKey(nil, d, typ, c.desc)); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.typ, c.in, got, c.want)
		}
	}
	row := AppendRow(nil, []ColumnID{1, 2, 5}, []types.T{types.Int4, types.Text, types.Bool},
		[]types.Datum{types.NewInt(-3), types.NewText("hi"), types.NewBool(true)})
	if got := fmt.Sprintf("%x", row); got != "01100512026869"+"33" {
		t.Errorf("row: %s", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x60, 'a', 0, 1})
	f.Add([]byte{0x53, 0xe6, 0xef, 0xff})
	f.Add([]byte{1, 0x10, 5, 0x12, 2, 'h', 'i'})
	f.Fuzz(func(t *testing.T, b []byte) {
		SkipKey(b)
		dst := make([]types.Datum, 2)
		for _, typ := range append(keyTypes, types.JSONB) {
			for _, desc := range []bool{false, true} {
				DecodeKey(b, typ, desc)
			}
			NewRowDecoder([]ColumnID{1, 2}, []types.T{typ, typ}, []int{0, 1}).Decode(b, dst)
		}
	})
}

func BenchmarkDecodeRow(b *testing.B) {
	ts := []types.T{types.Int4, types.Int4, types.Text}
	ids := []ColumnID{2, 3, 4}
	row := AppendRow(nil, ids, ts, []types.Datum{types.NewInt(1), types.NewInt(-77777), types.NewText("filler")})
	dec, dst := NewRowDecoder(ids, ts, []int{0, 1, 2}), make([]types.Datum, 3)
	b.ReportAllocs()
	for b.Loop() {
		if dec.Decode(row, dst) != nil {
			b.Fatal()
		}
	}
}

// drawPacked makes a value of a packed type; addresses lie close together.
func drawPacked(t *rapid.T, typ types.T, label string) types.Datum {
	b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80, 0xff}), 16, 16).Draw(t, label)
	switch typ.OID {
	case types.OIDInet:
		size := rapid.SampledFrom([]int{4, 16}).Draw(t, label+" family")
		addr, _ := netip.AddrFromSlice(b[:size])
		return types.NewInet(types.InetValue{Addr: addr, Bits: rapid.IntRange(0, 8*size).Draw(t, label+" bits")})
	case types.OIDTimeTZ:
		return types.NewTimeTZ(types.TimeTZValue{Micros: rapid.Int64Range(0, 3).Draw(t, label) * 36e8, East: 3600 * rapid.IntRange(-2, 2).Draw(t, label+" zone")})
	case types.OIDVarbit:
		return types.NewBits(rapid.StringMatching("[01]{0,12}").Draw(t, label+" bits"))
	}
	return types.NewPacked(string(b[:typ.Len()]))
}

// drawRange makes a range whose bounds lie close together, often none, and numbers of several scales.
func drawRange(t *rapid.T, typ types.T, label string) types.Datum {
	sub, _ := typ.Subtype()
	bound := func(label string) types.Datum {
		n := rapid.Int64Range(-3, 3).Draw(t, label)
		switch {
		case n == -3:
			return types.Null
		case sub.Kind() == types.KindDecimal:
			return types.NewDecimal(apd.New(n*10, rapid.Int32Range(-2, 0).Draw(t, label+" e")))
		}
		return types.NewCount(sub.Kind(), n)
	}
	d, err := types.NewRange(typ, types.RangeValue{Lower: bound(label + " lower"), Upper: bound(label + " upper"),
		LowerInc: rapid.Bool().Draw(t, label+" ["), UpperInc: rapid.Bool().Draw(t, label+" ]")})
	if err != nil { // the wrong way round
		return types.EmptyRange()
	}
	return d
}
