package builtins

import (
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// rareFuncs are the rarer functions over text and over any values.
func rareFuncs() []Overload {
	tx, i4, bo, any := types.Text, types.Int4, types.Bool, types.Any
	count := func(nulls bool) Fn {
		return func(_ ectx, a []datum) (datum, error) {
			n := int64(0)
			for _, d := range a {
				if d.IsNull() == nulls {
					n++
				}
			}
			return types.NewInt(n), nil
		}
	}
	form := func(name string) (norm.Form, error) {
		switch strings.ToUpper(name) {
		case "NFC":
			return norm.NFC, nil
		case "NFD":
			return norm.NFD, nil
		case "NFKC":
			return norm.NFKC, nil
		case "NFKD":
			return norm.NFKD, nil
		}
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "invalid normalization form: %s", name)
	}
	formOf := func(a []datum) (norm.Form, error) {
		if len(a) < 2 {
			return norm.NFC, nil
		}
		return form(a[1].Str())
	}
	return []Overload{
		fn("num_nulls", []types.T{any}, i4, "how many arguments are NULL", count(true)).variadic().lenient(),
		fn("num_nonnulls", []types.T{any}, i4, "how many arguments are not NULL", count(false)).variadic().lenient(),
		fn("normalize", []types.T{tx, tx}, tx, "in a Unicode normalization form", func(_ ectx, a []datum) (datum, error) {
			f, err := formOf(a)
			if err != nil {
				return types.Null, err
			}
			return text(f.String(a[0].Str()))
		}).defaults(1),
		fn("is_normalized", []types.T{tx, tx}, bo, "whether in a Unicode normalization form", func(_ ectx, a []datum) (datum, error) {
			f, err := formOf(a)
			return types.NewBool(err == nil && f.IsNormalString(a[0].Str())), err
		}).defaults(1),
		f1("unistr", tx, tx, "with \\XXXX and \\+XXXXXX escapes resolved", func(_ ectx, a datum) (datum, error) { return unistr(a.Str()) }),
		f1("to_ascii", tx, tx, "the text, if it is ASCII", func(_ ectx, a datum) (datum, error) {
			return types.Null, sqlerr.New(sqlerr.FeatureNotSupported, "encoding conversion from UTF8 to ASCII not supported")
		}),
		fn("parse_ident", []types.T{tx, bo}, types.TextArray, "parts of a qualified name", parseIdent).defaults(1),
		f1("setseed", types.Float8, types.Void, "starts random() anew from a seed", func(ec ectx, a datum) (datum, error) {
			if x := a.Float(); !(x >= -1 && x <= 1) {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "setseed parameter %s is out of allowed range [-1,1]", types.Format(types.Float8, a, nil))
			}
			if ec != nil {
				ec.Rand = rand.New(rand.NewPCG(uint64(int64(a.Float()*(1<<62))), 0))
			}
			return types.NewText(""), nil
		}).volatile(),
		fn("timeofday", nil, tx, "time of the call, as text", func(ec ectx, _ []datum) (datum, error) {
			return text(ec.clock().In(ec.loc()).Format("Mon Jan 02 15:04:05.000000 2006 MST"))
		}).volatile(),
		f1("pg_column_size", any, i4, "bytes of a value in memory", func(_ ectx, a datum) (datum, error) {
			return types.NewInt(int64(a.SizeBytes())), nil
		}),
		f1("pg_size_bytes", tx, types.Int8, "bytes of a size like 10 MB", sizeBytes),
		fn("pg_sleep_for", []types.T{types.Interval}, types.Void, "Waits for an interval.", func(ec ectx, a []datum) (datum, error) {
			v := a[0].Interval()
			return sleep(ec, time.Duration(int64(v.Months)*30*24*3600*1e6+int64(v.Days)*24*3600*1e6+v.Micros)*time.Microsecond)
		}).volatile(),
		fn("pg_sleep_until", []types.T{types.TimestampTZ}, types.Void, "Waits until a time.", func(ec ectx, a []datum) (datum, error) {
			return sleep(ec, time.Until(types.TimeOfStamp(a[0].Int())))
		}).volatile(),
	}
}

func unistr(s string) (datum, error) {
	bad := sqlerr.New(sqlerr.SyntaxError, "invalid Unicode escape").WithHint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		rest := s[i+1:]
		skip, n := 0, 4
		switch {
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
			i += 2
			continue
		case strings.HasPrefix(rest, "+"):
			skip, n = 1, 6
		case strings.HasPrefix(rest, "u"):
			skip = 1
		case strings.HasPrefix(rest, "U"):
			skip, n = 1, 8
		}
		if len(rest) < skip+n {
			return types.Null, bad
		}
		r := rune(0)
		for _, c := range []byte(rest[skip : skip+n]) {
			v := strings.IndexByte("0123456789abcdef", c|0x20)
			if c >= '0' && c <= '9' {
				v = int(c - '0')
			}
			if v < 0 {
				return types.Null, bad
			}
			r = r<<4 | rune(v)
		}
		if !utf8.ValidRune(r) {
			return types.Null, sqlerr.New(sqlerr.SyntaxError, "invalid Unicode escape value")
		}
		b.WriteRune(r)
		i += 1 + skip + n
	}
	return text(b.String())
}

// parseIdent cuts a qualified name; not strict, what follows it is ignored.
func parseIdent(_ ectx, a []datum) (datum, error) {
	s, strict := a[0].Str(), len(a) < 2 || a[1].Bool()
	bad := sqlerr.New(sqlerr.InvalidParameterValue, "string is not a valid identifier: \"%s\"", s)
	var parts []string
	rest := strings.TrimLeft(s, " \t\n")
	for {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && (rest[end] != '"' || strings.HasPrefix(rest[end:], `""`)) {
				if rest[end] == '"' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return types.Null, bad.WithDetail("String has unclosed double quotes.")
			}
			if part = strings.ReplaceAll(rest[1:end], `""`, `"`); part == "" {
				return types.Null, bad.WithDetail("Quoted identifier must not be empty.")
			}
			rest = rest[end+1:]
		} else {
			end := 0
			for end < len(rest) && (rest[end] == '_' || rest[end]|0x20 >= 'a' && rest[end]|0x20 <= 'z' || rest[end] >= 0x80 || end > 0 && (rest[end] >= '0' && rest[end] <= '9' || rest[end] == '$')) {
				end++
			}
			if end == 0 {
				if len(parts) > 0 {
					return types.Null, bad.WithDetail("No valid identifier after \".\".")
				}
				if strings.HasPrefix(rest, ".") {
					return types.Null, bad.WithDetail("No valid identifier before \".\".")
				}
				return types.Null, bad
			}
			part, rest = strings.ToLower(rest[:end]), rest[end:]
		}
		parts = append(parts, part)
		rest = strings.TrimLeft(rest, " \t\n")
		if !strings.HasPrefix(rest, ".") {
			break
		}
		rest = strings.TrimLeft(rest[1:], " \t\n")
	}
	if rest != "" && strict {
		return types.Null, bad
	}
	return textArray(parts), nil
}

func sizeBytes(_ ectx, a datum) (datum, error) {
	s := strings.TrimSpace(a.Str())
	end := 0
	for end < len(s) && strings.IndexByte("+-.0123456789eE", s[end]) >= 0 {
		if (s[end] == 'e' || s[end] == 'E') && (end+1 >= len(s) || strings.IndexByte("+-0123456789", s[end+1]) < 0) {
			break
		}
		end++
	}
	bad := sqlerr.New(sqlerr.InvalidParameterValue, "invalid size: \"%s\"", a.Str())
	n, err := types.ParseText(types.Numeric, s[:end], nil)
	if end == 0 || err != nil {
		return types.Null, bad
	}
	units := map[string]int{"": 0, "bytes": 0, "kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}
	shift, ok := units[strings.ToLower(strings.TrimSpace(s[end:]))]
	if !ok {
		return types.Null, bad.WithDetail("Invalid size unit: \"%s\".", strings.TrimSpace(s[end:])).
			WithHint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
	}
	unit, _ := types.Cast(types.NewInt(1<<shift), types.Int8, types.Numeric, false, nil)
	m, err := mulDecimals(nil, n, unit)
	if err != nil {
		return types.Null, err
	}
	return types.Cast(m, types.Numeric, types.Int8, false, nil)
}

// sleep waits; a cancelled statement wakes up.
func sleep(ec ectx, d time.Duration) (datum, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return types.NewText(""), nil
	case <-ec.ctx().Done():
		return types.Null, ec.ctx().Err()
	}
}
