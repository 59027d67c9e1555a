package types

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// TestTextRoundTrip feeds literals and expects what Postgres 15 prints (or its message).
func TestTextRoundTrip(t *testing.T) {
	ny, _ := time.LoadLocation("America/New_York")
	env := &Env{Loc: ny, Now: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}
	for _, c := range []struct{ typ, in, out string }{
		{"int4", " 42 ", "42"},
		{"int4", "abc", `22P02 invalid input syntax for type integer: "abc"`},
		{"int4", "99999999999", `22003 value "99999999999" is out of range for type integer`},
		{"int8", "-9223372036854775808", "-9223372036854775808"},
		{"int2", "40000", `22003 value "40000" is out of range for type smallint`},
		{"bool", "yes", "t"}, {"bool", "of", "f"}, {"bool", "o", `22P02 invalid input syntax for type boolean: "o"`},
		{"float8", "1e15", "1e+15"}, {"float8", "123456789012345", "123456789012345"},
		{"float8", "0.0001", "0.0001"}, {"float8", "0.00001", "1e-05"}, {"float8", "-0", "-0"},
		{"float8", "inf", "Infinity"}, {"float8", "nan", "NaN"},
		{"float8", "1e400", `22003 "1e400" is out of range for type double precision`},
		{"float4", "1234567", "1.234567e+06"}, {"float4", "0.1", "0.1"},
		{"numeric", "1.50", "1.50"}, {"numeric", "1e3", "1000"}, {"numeric", "-0.0", "0.0"},
		{"numeric", "1.5e-3", "0.0015"}, {"numeric", "NaN", "NaN"}, {"numeric", "x", `22P02 invalid input syntax for type numeric: "x"`},
		{"numeric(5,2)", "123.455", "123.46"}, {"numeric(5,2)", "999.999", "22003 numeric field overflow"},
		{"varchar(3)", "abc  ", "abc"}, {"varchar(3)", "abcd", "22001 value too long for type character varying(3)"},
		{"char(5)", "ab", "ab   "}, {"char(2)", "abc", "22001 value too long for type character(2)"},
		{"bytea", `\xDEADbeef`, `\xdeadbeef`}, {"bytea", `a\\b\001`, `\x615c6201`},
		{"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"uuid", "zz", `22P02 invalid input syntax for type uuid: "zz"`},
		{"date", "2024-02-29", "2024-02-29"}, {"date", "2023-02-29", `22008 date/time field value out of range: "2023-02-29"`},
		{"date", "January 8, 1999", "1999-01-08"}, {"date", "08-Jan-1999", "1999-01-08"}, {"date", "1/8/1999", "1999-01-08"},
		{"date", "19990108", "1999-01-08"}, {"date", "0044-03-15 BC", "0044-03-15 BC"}, {"date", "infinity", "infinity"},
		{"date", "today", "2024-05-06"}, {"date", "junk", `22007 invalid input syntax for type date: "junk"`},
		{"time", "04:05:06.789", "04:05:06.789"}, {"time", "4:05 PM", "16:05:00"}, {"time", "25:00", `22008 date/time field value out of range: "25:00"`},
		{"timestamp", "2024-01-02 03:04:05.100", "2024-01-02 03:04:05.1"}, {"timestamp", "2024-01-02T03:04:05Z", "2024-01-02 03:04:05"},
		{"timestamp", "2024-01-02", "2024-01-02 00:00:00"}, {"timestamp", "epoch", "1970-01-01 00:00:00"}, {"timestamptz", "epoch", "1969-12-31 19:00:00-05"},
		{"timestamptz", "2024-01-02 03:04:05+00", "2024-01-01 22:04:05-05"}, {"timestamptz", "2024-07-02 03:04:05", "2024-07-02 03:04:05-04"},
		{"timestamptz", "2024-07-02 03:04:05 Europe/Berlin", "2024-07-01 21:04:05-04"},
		{"timestamptz", "2024-07-02 03:04:05+05:30", "2024-07-01 17:34:05-04"},
		{"timestamptz", "now", "2024-05-06 03:08:09-04"}, {"timestamptz", "-infinity", "-infinity"},
		{"timestamptz", "2024-03-10 02:30:00", "2024-03-10 03:30:00-04"},
		{"timestamp(0)", "2024-01-02 03:04:05.6", "2024-01-02 03:04:06"},
		{"interval", "1 year 2 months 3 days 04:05:06.7", "1 year 2 mons 3 days 04:05:06.7"},
		{"interval", "P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"}, {"interval", "-1 day +2 hours", "-1 days +02:00:00"},
		{"interval", "1.5 days", "1 day 12:00:00"}, {"interval", "1 mon ago", "-1 mons"}, {"interval", "0", "00:00:00"},
		{"interval", "90 minutes", "01:30:00"}, {"interval", "1-2", "1 year 2 mons"}, {"interval", "2h30m", "02:30:00"},
		{"interval", "-04:05", "-04:05:00"}, {"interval", "1 12:00", "1 day 12:00:00"},
		{"interval", "x", `22007 invalid input syntax for type interval: "x"`},
		{"json", `{"b":1, "a" : 2}`, `{"b":1, "a" : 2}`}, {"json", "{", "22P02 invalid input syntax for type json"},
		{"jsonb", `{"bb":1, "a" : [1,2.50,1e2,"x\u00e9\n"], "a": {"k":null}}`, `{"a": {"k": null}, "bb": 1}`},
		{"jsonb", `[1,2.50,1e2,"x\u00e9\n",true]`, `[1, 2.50, 100, "xé\n", true]`},
		{"int4[]", "{1,NULL, 3}", "{1,NULL,3}"}, {"text[]", `{a,"b c","d\"e",""}`, `{a,"b c","d\"e",""}`},
		{"int4[]", "{}", "{}"}, {"int4[]", "1", `22P02 malformed array literal: "1"`},
		{"inet", "10.1.2.3/8", "10.1.2.3/8"}, {"inet", "10/8", "10.0.0.0/8"}, {"inet", "::ffff:1.2.3.4", "::ffff:1.2.3.4"},
		{"inet", "10", `22P02 invalid input syntax for type inet: "10"`}, {"cidr", "192.168", "192.168.0.0/24"},
		{"cidr", "10.0.0.1/8", `22P02 invalid cidr value: "10.0.0.1/8"`}, {"macaddr", "0800-2b01-0203", "08:00:2b:01:02:03"},
		{"macaddr8", "08:00:2b:01:02:03", "08:00:2b:ff:fe:01:02:03"},
		{"time with time zone", "04:05:06-08:30", "04:05:06-08:30"}, {"time with time zone", "04:05", "04:05:00-04"},
		{"time with time zone", "04:05 Europe/Berlin", `22007 invalid input syntax for type time with time zone: "04:05 Europe/Berlin"`},
		{"bit(3)", "101", "101"}, {"bit varying(8)", "x1f", "00011111"}, {"bit(2)", "101", "22026 bit string length 3 does not match type bit(2)"},
		{"bit varying(2)", "101", "22001 bit string too long for type bit varying(2)"}, {"bit varying", "12", `22P02 "2" is not a valid binary digit`},
		{"int4range", "[1,10]", "[1,11)"}, {"int4range", "(1,2)", "empty"}, {"numrange", ` [ "1.50" , 2 ] `, "[1.50,2]"},
		{"int4range", "[,5]", "(,6)"}, {"daterange", "[2024-01-01,infinity]", "[2024-01-01,infinity]"}, {"tsrange", "[2024-01-01,)", `["2024-01-01 00:00:00",)`},
		{"tstzrange", "[2024-01-01 00:00+00,infinity]", `["2023-12-31 19:00:00-05",infinity]`}, {"int8range[]", `{"[1,2]",empty,NULL}`, `{"[1,3)",empty,NULL}`},
		{"int4range", "[2,1]", "22000 range lower bound must be less than or equal to range upper bound"},
		{"int4range", "[1,2147483647]", "22003 integer out of range"}, {"daterange", "(5874897-12-31,)", "22008 date out of range"},
		{"int4range", "(,1", `22P02 malformed range literal: "(,1"`}, {"int4range", "[a,1]", `22P02 invalid input syntax for type integer: "a"`},
		{"regtype", "int", "integer"}, {"regclass", "1259", "1259"}, {"oid", "-1", "4294967295"},
	} {
		typ, err := ParseName(c.typ)
		if err != nil {
			t.Errorf("%s: %v", c.typ, err)
			continue
		}
		got := ""
		if d, err := ParseText(typ, c.in, env); err != nil {
			e := sqlerr.From(err)
			got = string(e.Code) + " " + e.Message
		} else {
			got = Format(typ, d, env)
			back, err := ParseBinary(typ, AppendBinary(nil, typ, d))
			if err != nil || !Equal(back, d) {
				t.Errorf("%s %q: binary round trip gave %v, %v", c.typ, c.in, Format(typ, back, env), err)
			}
		}
		if got != c.out {
			t.Errorf("%s %q\n got %s\nwant %s", c.typ, c.in, got, c.out)
		}
	}
}

func TestTypeNames(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"varchar(10)", "character varying(10)"}, {"char", "character(1)"}, {"numeric(10,2)", "numeric(10,2)"},
		{"timestamp (3) with time zone", "timestamp(3) with time zone"}, {"int[]", "integer[]"},
		{"double precision", "double precision"}, {"varchar(3)[]", "character varying(3)[]"}, {`"char"`, `"char"`},
	} {
		typ, err := ParseName(c.in)
		if err != nil || typ.String() != c.out {
			t.Errorf("%s: %s, %v; want %s", c.in, typ, err, c.out)
		}
	}
}

func TestCasts(t *testing.T) {
	for _, c := range []struct{ from, in, to, out string }{
		{"float8", "2.5", "int4", "2"}, {"numeric", "2.5", "int4", "3"}, {"float8", "1e20", "int8", "bigint out of range"},
		{"text", "abcdef", "varchar(3)", "abc"}, {"bool", "t", "text", "true"}, {"char(5)", "ab", "text", "ab"},
		{"float8", "0.1", "numeric", "0.1"}, {"int4", "7", "numeric(5,2)", "7.00"}, {"timestamp", "2024-01-02 03:04:05", "date", "2024-01-02"},
		{"jsonb", "12.7", "int4", "13"}, {"text", "x", "int4", `invalid input syntax for type integer: "x"`},
		{"int4", "70000", "int2", "smallint out of range"}, {"int4[]", "{1,2}", "text[]", "{1,2}"}, {"numeric", "1.50", "float8", "1.5"},
		{"int4", "1", "bool", "t"}, {"text", "{1,2}", "int4[]", "{1,2}"}, {"int8", "5", "numeric", "5"},
	} {
		from, _ := ParseName(c.from)
		to, _ := ParseName(c.to)
		d, err := ParseText(from, c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if d, err = Cast(d, from, to, true, nil); err != nil {
			got = err.Error()
		} else {
			got = Format(to, d, nil)
		}
		if got != c.out {
			t.Errorf("%s %q to %s: got %s, want %s", c.from, c.in, c.to, got, c.out)
		}
	}
}

func TestCalendarAgainstGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.Int64Range(-60000000000000000, 200000000000000000).Draw(t, "micros")
		c, g := CivilOf(m), TimeOfStamp(m)
		if c.Year != g.Year() || c.Month != int(g.Month()) || c.Day != g.Day() || c.Hour != g.Hour() || c.Stamp() != m {
			t.Fatalf("%d: %+v, Go says %s", m, c, g)
		}
	})
}

func TestHashAgreesWithEqual(t *testing.T) {
	one, _ := ParseDecimal("1.00")
	for _, pair := range [][2]Datum{
		{NewInt(1), NewDecimal(one)}, {NewInt(1), NewFloat(1)}, {NewBPChar("a  "), NewText("a")},
		{NewFloat(0), NewFloat(negZero())}, {NewDate(1), NewTimestamp(microsPerDay)},
	} {
		if !Equal(pair[0], pair[1]) || Hash(7, pair[0]) != Hash(7, pair[1]) {
			t.Errorf("%v and %v differ", pair[0], pair[1])
		}
	}
}

func negZero() float64 { z := 0.0; return -1 * z * -1 * -1 }

func BenchmarkParseInt(b *testing.B) {
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		d, _ := ParseText(Int4, "123456", nil)
		dst = AppendText(dst[:0], Int4, d, nil)
	}
}

// TestComposite reads and writes values of a composite type.
func TestComposite(t *testing.T) {
	typ := OfUser(&usertype.Type{Kind: usertype.Composite, OID: 20000, ArrayOID: 20001, Name: "c", Schema: "public",
		Fields: []usertype.Field{{Name: "a", OID: uint32(OIDInt4), Mod: -1}, {Name: "b", OID: uint32(OIDText), Mod: -1}}})
	for _, c := range []struct{ in, out string }{
		{"(1,x)", "(1,x)"}, {" (1,) ", "(1,)"}, {`(,"")`, `(,"")`}, {`(2,"a ""b"" \\ c")`, `(2,"a ""b"" \\ c")`}, {`(2,a\,b)`, `(2,"a,b")`},
		{"1,x)", "Missing left parenthesis."}, {"(1)", "Too few columns."}, {"(1,2,3)", "Too many columns."},
		{"(1,2", "Unexpected end of input."}, {"(1,2)3", "Junk after right parenthesis."}, {`(1,"2)`, "Unexpected end of input."},
	} {
		d, err := ParseText(typ, c.in, nil)
		if err != nil {
			if e := sqlerr.From(err); e.Detail != c.out {
				t.Errorf("%s: %s, want %s", c.in, e.Detail, c.out)
			}
			continue
		}
		back, err := ParseBinary(typ, AppendBinary(nil, typ, d))
		if got := Format(typ, d, nil); got != c.out || err != nil || !Equal(back, d) {
			t.Errorf("%s: %s, want %s; binary %v", c.in, got, c.out, err)
		}
	}
}
