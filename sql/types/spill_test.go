package types

import (
	"testing"
	"unsafe"

	"github.com/cairndb/cairn/schema/usertype"
)

// TestSpilledValuesComeBackAsTheyWere takes values of every kind through a codec, nested ones too.
func TestSpilledValuesComeBackAsTheyWere(t *testing.T) {
	env := &Env{}
	parse := func(typ T, s string) Datum {
		d, err := ParseText(typ, s, env)
		if err != nil {
			t.Fatal(typ, s, err)
		}
		return d
	}
	var row []Datum
	var ts []T
	add := func(typ T, texts ...string) {
		for _, s := range texts {
			row, ts = append(row, parse(typ, s)), append(ts, typ)
		}
	}
	add(Int8, "0", "-1", "9223372036854775807", "-9223372036854775808")
	add(Numeric, "0", "-0.00", "1.50", "-123456789012345678901234567890.000001", "NaN", "Infinity", "-Infinity", "1e50")
	add(Float8, "0", "-0", "1.5e300", "NaN", "-Infinity")
	add(Text, "", "x", "ünï", "a longer text")
	add(Bool, "t", "f")
	add(Bytea, `\x00ff00`)
	add(UUID, "00112233-4455-6677-8899-aabbccddeeff")
	add(Date, "2024-02-29", "infinity", "0044-03-15 BC")
	add(Timestamp, "2024-02-29 12:34:56.789", "-infinity")
	add(TimestampTZ, "2024-02-29 12:34:56.789+05")
	add(Interval, "1 mon -3 days 04:05:06.7", "-1 year")
	add(NumRange, "empty", "(,)", "[1.50,2)", "(-3,]")
	add(TstzRange, "[2024-02-29 12:34+05,infinity]")
	add(JSON, `{ "a" : 1 }`)
	add(JSONB, `{"a": [1, null]}`)
	row, ts = append(row, Null), append(ts, Int4)
	at, _ := Text.Array()
	row, ts = append(row, NewArray(Text, []Datum{NewText("a"), Null, NewText("")})), append(ts, at)
	row = append(row, NewRecord(nil, []T{Int4, at}, []Datum{NewInt(1), NewArray(Text, nil)}))
	label := &usertype.Label{Name: "red", Position: 3}
	row = append(row, NewEnum(label))

	c := &SpillCodec{}
	b := c.AppendRow(nil, row)
	got := make([]Datum, len(row))
	if err := c.DecodeRow(b, got); err != nil {
		t.Fatal(err)
	}
	for i := range row {
		if row[i].Kind() != got[i].Kind() || row[i].IsNull() != got[i].IsNull() {
			t.Fatalf("%d: kind %v became %v", i, row[i].Kind(), got[i].Kind())
		}
		if i < len(ts) && !row[i].IsNull() {
			if x, y := AppendText(nil, ts[i], row[i], env), AppendText(nil, ts[i], got[i], env); string(x) != string(y) {
				t.Errorf("%s became %s", x, y)
			}
		}
	}
	if last := got[len(got)-1]; last.Label() != label {
		t.Error("another label")
	}
	for n := range b { // cut short, it is an error and no panic
		if c.DecodeRow(b[:n], got) == nil {
			t.Fatalf("%d of %d bytes are a row", n, len(b))
		}
	}
}

func TestOwnTextLeavesTheBuffer(t *testing.T) {
	page := []byte("some page of bytes")
	d := NewText(unsafe.String(&page[5], 4))
	own, _ := d.OwnText(nil)
	page[5] = 'X'
	if own.Str() != "page" || d.Str() != "Xage" {
		t.Errorf("own %q, aliasing %q", own.Str(), d.Str())
	}
}
