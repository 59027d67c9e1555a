package types

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// TestRangeLiteralErrors are Postgres's details.
func TestRangeLiteralErrors(t *testing.T) {
	for _, c := range []struct{ in, detail string }{
		{"", "Missing left parenthesis or bracket."}, {"-[1,2)", "Missing left parenthesis or bracket."},
		{"[1,2) x", "Junk after right parenthesis or bracket."}, {`(",1)`, "Unexpected end of input."}, {"(1", "Unexpected end of input."},
		{`[1,\`, "Unexpected end of input."}, {"(,,1)", "Too many commas."}, {"(1)", "Missing comma after lower bound."},
		{"(],1)", "Missing comma after lower bound."}, {"(1,))", "Junk after right parenthesis or bracket."}, {"emptyx", `Junk after "empty" key word.`},
	} {
		_, err := ParseText(Int4Range, c.in, nil)
		if e := sqlerr.From(err); err == nil || e.Code != sqlerr.InvalidTextRepresentation || e.Detail != c.detail {
			t.Errorf("%s: %v %q, want %q", c.in, err, e.Detail, c.detail)
		}
	}
}

// TestRangesAgainstTheirElements compares what ranges of whole numbers answer with what the sets of their
// elements do, between two numbers beyond all bounds.
func TestRangesAgainstTheirElements(t *testing.T) {
	const far = 6
	set := func(d Datum) (s [2*far + 1]bool) {
		for v := -far; v <= far; v++ {
			s[v+far] = d.Range().Has(NewInt(int64(v)))
		}
		return s
	}
	draw := func(t *rapid.T, label string) Datum {
		bound := func(label string) Datum {
			if n := rapid.Int64Range(-5, 4).Draw(t, label); n > -5 {
				return NewInt(n)
			}
			return Null
		}
		r := RangeValue{Lower: bound(label + " lower"), Upper: bound(label + " upper"), LowerInc: rapid.Bool().Draw(t, label+" ["), UpperInc: rapid.Bool().Draw(t, label+" ]")}
		d, err := NewRange(Int4Range, r)
		if err != nil {
			return EmptyRange()
		}
		return d
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		x, y := set(a), set(b)
		both, either, less := x, x, x
		contains, overlaps, before := true, false, true
		for i := range x {
			both[i], either[i], less[i] = x[i] && y[i], x[i] || y[i], x[i] && !y[i]
			contains = contains && (x[i] || !y[i])
			overlaps = overlaps || both[i]
			for j := range i + 1 {
				before = before && !(x[i] && y[j])
			}
		}
		p, q := a.Range(), b.Range()
		if p.Contains(q) != contains || p.Overlaps(q) != overlaps || p.Before(q) != (before && !p.Empty && !q.Empty) {
			t.Fatalf("%s, %s: contains %v, overlaps %v, before %v", Format(Int4Range, a, nil), Format(Int4Range, b, nil), p.Contains(q), p.Overlaps(q), p.Before(q))
		}
		if (Compare(a, b) == 0) != (x == y) || Equal(a, b) && Hash(1, a) != Hash(1, b) || Compare(a, b) != -Compare(b, a) {
			t.Fatalf("%s, %s compare as %d", Format(Int4Range, a, nil), Format(Int4Range, b, nil), Compare(a, b))
		}
		if set(p.Intersect(q).Datum()) != both {
			t.Fatalf("%s * %s is %s", Format(Int4Range, a, nil), Format(Int4Range, b, nil), Format(Int4Range, p.Intersect(q).Datum(), nil))
		}
		if (p.Empty || q.Empty || overlaps || p.Adjacent(q)) != (set(p.Merge(q).Datum()) == either) {
			t.Fatalf("%s + %s", Format(Int4Range, a, nil), Format(Int4Range, b, nil))
		}
		if left, ok := p.Minus(q); ok && set(left.Datum()) != less {
			t.Fatalf("%s - %s is %s", Format(Int4Range, a, nil), Format(Int4Range, b, nil), Format(Int4Range, left.Datum(), nil))
		}
	})
}

// FuzzRange: what is read is written so that it reads the same.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"[1,2)", `("1" , 2]`, "empty", "(,)", `[\1,""2""]`, "[NaN,Infinity]", "[2024-01-01,infinity]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range []T{Int4Range, Int8Range, NumRange, TsRange, TstzRange, DateRange} {
			d, err := ParseText(typ, s, nil)
			if err != nil {
				continue
			}
			back, err := ParseText(typ, Format(typ, d, nil), nil)
			if err != nil || !Equal(d, back) {
				t.Errorf("%s %q: %s reads as %s, %v", typ, s, Format(typ, d, nil), Format(typ, back, nil), err)
			}
			if back, err = ParseBinary(typ, AppendBinary(nil, typ, d)); err != nil || !Equal(d, back) {
				t.Errorf("%s %q: binary %v", typ, s, err)
			}
		}
	})
}

// FuzzBinaryRange: whatever a client sends is an error or a range.
func FuzzBinaryRange(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 10})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, typ := range []T{Int4Range, NumRange, DateRange} {
			if d, err := ParseBinary(typ, b); err == nil {
				AppendText(nil, typ, d, nil)
			}
		}
	})
}
