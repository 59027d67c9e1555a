package builtins

import (
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// lit reads "type:text"; "?:text" is an untyped literal and "type:\N" a NULL.
func lit(t *testing.T, s string) (types.T, types.Datum) {
	name, val, _ := strings.Cut(s, ":")
	typ := types.Unknown
	if name != "?" {
		var err error
		if typ, err = types.ParseName(name); err != nil {
			t.Fatal(err)
		}
	}
	if val == `\N` {
		return typ, types.Null
	}
	d, err := types.ParseText(typ, val, nil)
	if err != nil {
		t.Fatal(s, err)
	}
	return typ, d
}

// eval resolves and calls a function, or the operator "op:+", and prints "value" or "code message".
func eval(t *testing.T, name string, lits []string) string {
	var ts []types.T
	var ds []types.Datum
	for _, l := range lits {
		typ, d := lit(t, l)
		ts, ds = append(ts, typ), append(ds, d)
	}
	m, err := Match{}, error(nil)
	switch op, isOp := strings.CutPrefix(name, "op:"); {
	case isOp && len(ts) == 1:
		m, err = ResolveOp(op, types.T{}, ts[0])
	case isOp:
		m, err = ResolveOp(op, ts[0], ts[1])
	default:
		m, err = ResolveFunc(name, ts)
	}
	for i := range ds {
		if err == nil {
			ds[i], err = types.Cast(ds[i], ts[i], m.CastTo[i], false, nil)
		}
	}
	var out types.Datum
	ec := &EvalContext{TxnTime: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}
	if err == nil {
		out, err = m.Call(ec, ds)
	}
	switch {
	case err != nil:
		return string(sqlerr.From(err).Code) + " " + err.Error()
	case out.IsNull():
		return "NULL"
	}
	return types.Format(m.Ret, out, nil)
}

// TestAgainstPostgres: each want is what Postgres 15 answers.
func TestAgainstPostgres(t *testing.T) {
	for _, c := range []struct {
		fn, args, want string
	}{
		{"op:+", "int4:1|int4:2", "3"}, {"op:+", "int4:2147483647|int4:1", "22003 integer out of range"},
		{"op:+", "int4:1|?:2", "3"}, {"op:/", "int4:7|int4:-2", "-3"}, {"op:/", "int4:1|int4:0", "22012 division by zero"},
		{"op:*", "int8:9223372036854775807|int8:2", "22003 bigint out of range"}, {"op:%", "int4:-7|int4:3", "-1"},
		{"op:+", "int4:1|text:x", "42883 operator does not exist: integer + text"}, {"op:=", "int4:1|?:1", "t"},
		{"op:/", "numeric:10|numeric:3", "3.3333333333333333"}, {"op:/", "numeric:1|numeric:7", "0.14285714285714285714"},
		{"op:/", "numeric:100000|numeric:3", "33333.333333333333"}, {"op:*", "numeric:1.50|numeric:2.0", "3.000"},
		{"op:+", "int4:1|numeric:2.5", "3.5"}, {"op:+", "int4:1|float8:0.5", "1.5"}, {"op:-", "int4:5", "-5"},
		{"op:^", "int4:2|int4:10", "1024"}, {"op:||", "text:a|int4:1", "a1"}, {"op:||", "?:a|?:b", "ab"}, {"op:<", "varchar:a|?:b", "t"},
		{"op:~~", "text:hello|?:h%o", "t"}, {"op:~~", "text:hello|?:h_o", "f"}, {"op:~~*", "text:HeLLo|?:%ELL%", "t"},
		{"op:~", "text:abc|?:^a.c$", "t"}, {"op:=", "char(5):ab|?:ab", "t"}, {"op:+", "date:2024-01-31|interval:1 mon", "2024-02-29 00:00:00"},
		{"op:-", "date:2024-03-01|date:2024-02-01", "29"}, {"op:-", "timestamp:2024-03-01 12:00|timestamp:2024-02-01", "29 days 12:00:00"},
		{"op:*", "interval:1 mon|float8:1.5", "1 mon 15 days"}, {"op:+", "date:2024-01-01|int4:5", "2024-01-06"},
		{"op:->", `jsonb:{"a":[1,2]}|?:a`, "[1, 2]"}, {"op:->>", `jsonb:[1,"x"]|int4:1`, "x"}, {"op:@>", `jsonb:{"a":1,"b":2}|?:{"b":2}`, "t"},
		{"op:||", `jsonb:{"a":1}|jsonb:{"b":2}`, `{"a": 1, "b": 2}`}, {"op:=", "int4[]:{1,2}|?:{1,2}", "t"}, {"op:||", "int4[]:{1}|int4:2", "{1,2}"},
		{"op:<>", "int4:1|int4:\\N", "NULL"}, {"op:>", "date:2024-01-01|?:2023-01-01", "t"},
		{"length", "text:héllo", "5"}, {"upper", "?:abc", "ABC"}, {"substr", "text:hello|int4:2|int4:3", "ell"}, {"substring", "text:hello|int4:-1|int4:4", "he"},
		{"substring", "text:foobar|?:o(.)b", "o"}, {"split_part", "text:a,b,c|?:,|int4:-1", "c"}, {"lpad", "text:hi|int4:5|?:xy", "xyxhi"},
		{"left", "text:abcde|int4:-2", "abc"}, {"right", "text:abcde|int4:2", "de"}, {"initcap", "text:hi THOMAS", "Hi Thomas"},
		{"btrim", "text:xxhixx|?:x", "hi"}, {"replace", "text:abcabc|?:b|?:X", "aXcaXc"}, {"translate", "text:12345|?:143|?:ax", "a2x5"},
		{"concat", "int4:1|text:\\N|bool:t", "1t"}, {"concat_ws", "?:,|int4:1|text:\\N|int4:2", "1,2"}, {"format", "?:%s %I %L|?:a|?:B c|?:d'e", `a "B c" 'd''e'`},
		{"md5", "?:a", "0cc175b9c0f1b6a831c399e269772661"}, {"encode", "bytea:\\x0102|?:base64", "AQI="}, {"to_hex", "int4:255", "ff"},
		{"regexp_replace", "text:foobarbaz|?:b..|?:X|?:g", "fooXX"}, {"regexp_match", "text:foobarbequebaz|?:(bar)(beque)", "{bar,beque}"},
		{"quote_ident", "?:select", `"select"`}, {"overlay", "text:Txxxxas|?:hom|int4:2|int4:4", "Thomas"}, {"chr", "int4:65", "A"},
		{"abs", "int4:-5", "5"}, {"round", "numeric:2.5", "3"}, {"round", "float8:2.5", "2"}, {"round", "numeric:42.4382|int4:2", "42.44"},
		{"ceil", "numeric:-42.8", "-42"}, {"trunc", "numeric:42.4382|int4:2", "42.43"}, {"sqrt", "int4:16", "4"}, {"sqrt", "numeric:2", "1.414213562373095"},
		{"power", "int4:9|int4:3", "729"}, {"ln", "numeric:2.0", "0.6931471805599453"}, {"mod", "int4:9|int4:4", "1"}, {"exp", "numeric:1.0", "2.7182818284590452"},
		{"power", "numeric:2|numeric:0.5", "1.4142135623730950"}, {"log", "numeric:2.0|numeric:64.0", "6.0000000000000000"}, {"gcd", "int4:12|int4:18", "6"},
		{"width_bucket", "float8:5.35|float8:0.024|float8:10.06|int4:5", "3"}, {"ln", "float8:-1", "2201E cannot take logarithm of a negative number"},
		{"date_trunc", "?:hour|timestamp:2001-02-16 20:38:40", "2001-02-16 20:00:00"}, {"date_trunc", "?:week|timestamp:2001-02-16 20:38:40", "2001-02-12 00:00:00"},
		{"extract", "?:epoch|timestamptz:2001-02-16 20:38:40.12+00", "982355920.120000"}, {"extract", "?:dow|timestamp:2001-02-16 20:38:40", "5"},
		{"extract", "?:week|date:2001-02-16", "7"}, {"date_part", "?:second|timestamp:2001-02-16 20:38:40.5", "40.5"}, {"extract", "?:century|date:2000-12-16", "20"},
		{"age", "timestamp:2001-04-10|timestamp:1957-06-13", "43 years 9 mons 27 days"}, {"to_char", "timestamp:2002-04-20 17:31:12.66|?:HH12:MI:SS Day FMMonth YYYY", "05:31:12 Saturday  April 2002"},
		{"make_date", "int4:2013|int4:7|int4:15", "2013-07-15"}, {"timezone", "?:America/Denver|timestamp:2001-02-16 20:38:40", "2001-02-17 03:38:40+00"},
		{"now", "", "2024-05-06 07:08:09+00"}, {"to_timestamp", "float8:1284352323.5", "2010-09-13 04:32:03.5+00"}, {"make_interval", "int4:1|int4:2", "1 year 2 mons"},
		{"jsonb_build_object", "?:a|int4:1|?:b|bool:t", `{"a": 1, "b": true}`}, {"to_jsonb", "text:x", `"x"`}, {"jsonb_typeof", "jsonb:[]", "array"},
		{"array_length", "int4[]:{1,2,3}|int4:1", "3"}, {"array_append", "int4[]:{1}|int4:2", "{1,2}"}, {"array_position", "text[]:{a,b}|?:b", "2"},
		{"array_to_string", "int4[]:{1,NULL,3}|?:,|?:*", "1,*,3"}, {"string_to_array", "?:a,b|?:,", "{a,b}"},
		{"pg_typeof", "int4:1", "integer"}, {"format_type", "oid:1043|int4:14", "character varying(10)"}, {"pg_size_pretty", "int8:123456789", "118 MB"},
		{"foo", "int4:1", "42883 function foo(integer) does not exist"}, {"lower", "int4:1", "42883 function lower(integer) does not exist"},
		{"starts_with", "text:abc|?:ab", "t"}, {"nextval", "?:12", "0A000 a sequence function here is not supported"},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, "|")
		}
		if got := eval(t, c.fn, args); got != c.want {
			t.Errorf("%s(%s)\n got %s\nwant %s", c.fn, c.args, got, c.want)
		}
	}
}

func TestAggregates(t *testing.T) {
	for _, c := range []struct{ fn, typ, vals, want string }{
		{"count", "int4", "1 2", "2"}, {"sum", "int4", "1 2", "3"}, {"sum", "int8", "9223372036854775807 1", "9223372036854775808"},
		{"avg", "int4", "1 2", "1.5000000000000000"}, {"avg", "float8", "1 2", "1.5"}, {"min", "text", "b a", "a"}, {"max", "varchar", "b a", "b"},
		{"sum", "numeric", "1.10 2.2", "3.30"}, {"stddev", "int4", "1 2 4", "1.5275252316519467"}, {"variance", "numeric", "1 2 4", "2.3333333333333333"},
		{"array_agg", "int4", "1 2", "{1,2}"}, {"bool_and", "bool", "t f", "f"}, {"jsonb_agg", "int4", "1 2", "[1, 2]"}, {"var_pop", "float8", "1 3", "1"},
		{"avg", "int4", "", "NULL"},
	} {
		typ, _ := types.ParseName(c.typ)
		m, err := ResolveFunc(c.fn, []types.T{typ})
		if err != nil {
			t.Fatal(c.fn, err)
		}
		agg := m.NewAgg(m.CastTo)
		for _, v := range strings.Fields(c.vals) {
			d, _ := types.ParseText(typ, v, nil)
			if d, err = types.Cast(d, typ, m.CastTo[0], false, nil); err == nil {
				err = agg.Add(nil, []types.Datum{d})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		d, err := agg.Result(nil)
		got := "NULL"
		if !d.IsNull() {
			got = types.Format(m.Ret, d, nil)
		}
		if err != nil || got != c.want {
			t.Errorf("%s(%s %s) = %s, %v; want %s", c.fn, c.typ, c.vals, got, err, c.want)
		}
	}
}

func TestSeries(t *testing.T) {
	one, three := types.NewInt(1), types.NewInt(3)
	m, err := ResolveFunc("generate_series", []types.T{types.Int4, types.Int4})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := m.Series(nil, []types.Datum{one, three})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for {
		r, ok, err := rows.Next()
		if err != nil || !ok {
			break
		}
		n = n*10 + r[0].Int()
	}
	if n != 123 {
		t.Errorf("series gave %d", n)
	}
}

func TestEveryOverloadIsWhole(t *testing.T) {
	for _, o := range All() {
		ok := o.Doc != "" && (o.Fn != nil || o.Fn1 != nil || o.Fn2 != nil || o.Bind != nil || o.NewAgg != nil || o.Series != nil)
		if !ok || o.Fn1 != nil && len(o.Args) != 1 || o.Fn2 != nil && len(o.Args) != 2 {
			t.Errorf("%s%v has no implementation or documentation", o.Name, o.Args)
		}
	}
}
