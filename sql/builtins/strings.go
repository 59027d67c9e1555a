package builtins

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// stringBytesMax is Postgres's limit of one value, 1 GB; ours is lower, since values travel in one
// Raft command.
const stringBytesMax = 64 << 20

var errTooLong = sqlerr.New(sqlerr.ProgramLimitExceeded, "requested length too large")

func str1(name, doc string, f func(s string) string) Overload {
	return f1(name, types.Text, types.Text, doc, func(_ ectx, a datum) (datum, error) { return text(f(a.Str())) })
}

func int1(name string, t types.T, doc string, f func(s string) int) Overload {
	return f1(name, t, types.Int4, doc, func(_ ectx, a datum) (datum, error) { return types.NewInt(int64(f(a.Str()))), nil })
}

func bpcharLen(s string) int { return utf8.RuneCountInString(strings.TrimRight(s, " ")) }

func stringFuncs() []Overload {
	tx, i4, by, bo := types.Text, types.Int4, types.Bytea, types.Bool
	count := utf8.RuneCountInString
	bytes := func(s string) int { return len(s) }
	var out []Overload
	for _, n := range []string{"length", "char_length", "character_length"} {
		out = append(out, int1(n, tx, "number of characters", count), int1(n, types.BPChar, "number of characters", bpcharLen))
	}
	out = append(out, int1("length", by, "number of bytes", bytes), int1("octet_length", tx, "number of bytes", bytes),
		int1("octet_length", by, "number of bytes", bytes), int1("octet_length", types.BPChar, "number of bytes", bytes),
		int1("bit_length", tx, "number of bits", func(s string) int { return 8 * len(s) }),
		str1("lower", "in lower case", strings.ToLower), str1("upper", "in upper case", strings.ToUpper), str1("initcap", "words capitalised", initcap),
		str1("reverse", "characters in reverse order", reverse), str1("quote_ident", "quoted as an identifier if needed", QuoteIdent),
		str1("quote_literal", "quoted as a string literal", QuoteLiteral),
		int1("ascii", tx, "code of the first character", func(s string) int {
			if s == "" {
				return 0
			}
			r, _ := utf8.DecodeRuneInString(s)
			return int(r)
		}),
		f1("chr", i4, tx, "character of a code", chr),
		f2("position", tx, tx, i4, "place of a substring", func(_ ectx, s, sub datum) (datum, error) { return types.NewInt(strpos(s.Str(), sub.Str())), nil }),
		f2("strpos", tx, tx, i4, "place of a substring", func(_ ectx, s, sub datum) (datum, error) { return types.NewInt(strpos(s.Str(), sub.Str())), nil }),
		f2("starts_with", tx, tx, bo, "starts with a prefix", func(_ ectx, s, p datum) (datum, error) {
			return types.NewBool(strings.HasPrefix(s.Str(), p.Str())), nil
		}),
		f2("left", tx, i4, tx, "first characters", func(_ ectx, s, n datum) (datum, error) { return text(left(s.Str(), n.Int())) }),
		f2("right", tx, i4, tx, "last characters", func(_ ectx, s, n datum) (datum, error) { return text(right(s.Str(), n.Int())) }),
		f2("repeat", tx, i4, tx, "repeated", func(_ ectx, s, n datum) (datum, error) {
			if n.Int() <= 0 {
				return text("")
			}
			if n.Int()*int64(len(s.Str())) > stringBytesMax {
				return types.Null, errTooLong
			}
			return text(strings.Repeat(s.Str(), int(n.Int())))
		}),
		fn("replace", []types.T{tx, tx, tx}, tx, "with all occurrences replaced", func(_ ectx, a []datum) (datum, error) {
			if a[1].Str() == "" {
				return a[0], nil
			}
			return text(strings.ReplaceAll(a[0].Str(), a[1].Str(), a[2].Str()))
		}),
		fn("translate", []types.T{tx, tx, tx}, tx, "characters replaced one by one", translate),
		fn("split_part", []types.T{tx, tx, i4}, tx, "one field of a delimited text", splitPart),
		fn("overlay", []types.T{tx, tx, i4, i4}, tx, "with a part replaced", overlay).defaults(1),
		fn("overlay", []types.T{by, by, i4, i4}, by, "with a part replaced", overlayBytes).defaults(1),
		fn("lpad", []types.T{tx, i4, tx}, tx, "filled up on the left", pad(true)).defaults(1),
		fn("rpad", []types.T{tx, i4, tx}, tx, "filled up on the right", pad(false)).defaults(1))
	for name, side := range map[string]int{"btrim": 3, "ltrim": 1, "rtrim": 2} {
		out = append(out, fn(name, []types.T{tx, tx}, tx, "without leading or trailing characters", trim(side)).defaults(1),
			f2(name, by, by, by, "without leading or trailing bytes", trimBytes(side)))
	}
	for _, name := range []string{"substr", "substring"} {
		out = append(out, fn(name, []types.T{tx, i4, i4}, tx, "part of a text", substring).defaults(1),
			fn(name, []types.T{by, i4, i4}, by, "part of bytes", substringBytes).defaults(1))
	}
	return append(out, concatFuncs()...)
}

func initcap(s string) string {
	prev := false
	return strings.Map(func(r rune) rune {
		word := unicode.IsLetter(r) || unicode.IsDigit(r)
		defer func() { prev = word }()
		if prev {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

func reverse(s string) string {
	rs := []rune(s)
	for i, j := 0, len(rs)-1; i < j; i, j = i+1, j-1 {
		rs[i], rs[j] = rs[j], rs[i]
	}
	return string(rs)
}

// QuoteIdent quotes an identifier where it needs it.
func QuoteIdent(s string) string {
	plain := s != "" && (s[0] == '_' || s[0] >= 'a' && s[0] <= 'z')
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
	}
	if plain && !reserved[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// reserved are the keywords that cannot stand as a name without quotes.
var reserved = keywordSet(`all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean
both case cast char character check coalesce collate column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else
end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in
initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit localtime
localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer
overlaps overlay placing position precision primary real references returning right row select session_user setof similar
smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using
values varchar variadic verbose when where window with`)

func keywordSet(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// QuoteLiteral quotes a string literal.
func QuoteLiteral(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

func chr(_ ectx, a datum) (datum, error) {
	n := a.Int()
	switch {
	case n == 0:
		return types.Null, sqlerr.New(sqlerr.ProgramLimitExceeded, "null character not permitted")
	case n < 0:
		return types.Null, sqlerr.New(sqlerr.ProgramLimitExceeded, "character number must be positive")
	case n > unicode.MaxRune || !utf8.ValidRune(rune(n)):
		return types.Null, sqlerr.New(sqlerr.ProgramLimitExceeded, "requested character too large for encoding: %d", n)
	}
	return text(string(rune(n)))
}

func strpos(s, sub string) int64 {
	i := strings.Index(s, sub)
	if i < 0 {
		return 0
	}
	return int64(utf8.RuneCountInString(s[:i])) + 1
}

// cutRunes is the byte offset behind the first n characters.
func cutRunes(s string, n int64) int {
	if n <= 0 {
		return 0
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func left(s string, n int64) string {
	if n < 0 {
		n += int64(utf8.RuneCountInString(s))
	}
	return s[:cutRunes(s, n)]
}

func right(s string, n int64) string {
	if n < 0 {
		return s[cutRunes(s, -n):]
	}
	return s[cutRunes(s, int64(utf8.RuneCountInString(s))-n):]
}

func translate(_ ectx, a []datum) (datum, error) {
	from, to := []rune(a[1].Str()), []rune(a[2].Str())
	m := map[rune]rune{}
	for i, r := range from {
		if _, dup := m[r]; dup {
			continue
		}
		m[r] = -1
		if i < len(to) {
			m[r] = to[i]
		}
	}
	return text(strings.Map(func(r rune) rune {
		if x, ok := m[r]; ok {
			return x
		}
		return r
	}, a[0].Str()))
}

func splitPart(_ ectx, a []datum) (datum, error) {
	n := a[2].Int()
	if n == 0 {
		return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "field position must not be zero")
	}
	parts := []string{a[0].Str()}
	if a[1].Str() != "" {
		parts = strings.Split(a[0].Str(), a[1].Str())
	}
	if n < 0 {
		n += int64(len(parts)) + 1
	}
	if n < 1 || n > int64(len(parts)) {
		return text("")
	}
	return text(parts[n-1])
}

func overlay(_ ectx, a []datum) (datum, error) {
	s, from, n := a[0].Str(), a[2].Int(), int64(utf8.RuneCountInString(a[1].Str()))
	if len(a) > 3 {
		n = a[3].Int()
	}
	if from <= 0 {
		return types.Null, errNegativeSubstring
	}
	return text(s[:cutRunes(s, from-1)] + a[1].Str() + s[cutRunes(s, from-1+n):])
}

func overlayBytes(_ ectx, a []datum) (datum, error) {
	s, from, n := a[0].Str(), a[2].Int(), int64(len(a[1].Str()))
	if len(a) > 3 {
		n = a[3].Int()
	}
	if from <= 0 {
		return types.Null, errNegativeSubstring
	}
	cut := func(i int64) int64 { return min(max(i, 0), int64(len(s))) }
	return types.NewBytes(s[:cut(from-1)] + a[1].Str() + s[cut(from-1+n):]), nil
}

var errNegativeSubstring = sqlerr.New(sqlerr.SubstringError, "negative substring length not allowed")

func pad(onLeft bool) Fn {
	return func(_ ectx, a []datum) (datum, error) {
		s, n, fill := a[0].Str(), a[1].Int(), " "
		if len(a) > 2 {
			fill = a[2].Str()
		}
		have := int64(utf8.RuneCountInString(s))
		if n <= have || fill == "" {
			return text(s[:cutRunes(s, n)])
		}
		if n*4 > stringBytesMax {
			return types.Null, errTooLong
		}
		per := int64(utf8.RuneCountInString(fill))
		f := strings.Repeat(fill, int((n-have)/per+1))
		f = f[:cutRunes(f, n-have)]
		if onLeft {
			return text(f + s)
		}
		return text(s + f)
	}
}

func trimBytes(side int) Fn2 {
	return func(_ ectx, a, set datum) (datum, error) {
		s, in := a.Str(), set.Str()
		for side&1 != 0 && s != "" && strings.IndexByte(in, s[0]) >= 0 {
			s = s[1:]
		}
		for side&2 != 0 && s != "" && strings.IndexByte(in, s[len(s)-1]) >= 0 {
			s = s[:len(s)-1]
		}
		return types.NewBytes(s), nil
	}
}

func trim(side int) Fn {
	return func(_ ectx, a []datum) (datum, error) {
		s, set := a[0].Str(), " "
		if len(a) > 1 {
			set = a[1].Str()
		}
		if side&1 != 0 {
			s = strings.TrimLeft(s, set)
		}
		if side&2 != 0 {
			s = strings.TrimRight(s, set)
		}
		return text(s)
	}
}

// bounds gives the half-open range [from, to) of 0-based positions of substring(from for n).
func bounds(a []datum) (from, to int64, err error) {
	from = a[1].Int() - 1
	to = 1 << 40
	if len(a) > 2 {
		if a[2].Int() < 0 {
			return 0, 0, errNegativeSubstring
		}
		to = from + a[2].Int()
	}
	from = max(from, 0)
	return from, max(to, from), nil
}

func substring(_ ectx, a []datum) (datum, error) {
	from, to, err := bounds(a)
	if err != nil {
		return types.Null, err
	}
	s := a[0].Str()
	s = s[cutRunes(s, from):]
	return text(s[:cutRunes(s, to-from)])
}

func substringBytes(_ ectx, a []datum) (datum, error) {
	from, to, err := bounds(a)
	n := int64(len(a[0].Str()))
	if err != nil {
		return types.Null, err
	}
	return types.NewBytes(a[0].Str()[min(from, n):min(to, n)]), nil
}

func concatFuncs() []Overload {
	tx, any := types.Text, types.Any
	bind := func(o Overload, f func(ec ectx, parts []string, null []bool) (datum, error)) Overload {
		o.Strict, o.Vol = false, Stable
		o.Bind = func(args []types.T) Fn {
			return func(ec ectx, a []datum) (datum, error) {
				parts, null := make([]string, len(a)), make([]bool, len(a))
				for i := range a {
					if null[i] = a[i].IsNull(); !null[i] {
						parts[i] = types.Format(args[i], a[i], ec.env())
					}
				}
				return f(ec, parts, null)
			}
		}
		return o
	}
	return []Overload{
		bind(fn("concat", []types.T{any}, tx, "texts of all values joined", nil).variadic(), func(_ ectx, p []string, _ []bool) (datum, error) {
			return text(strings.Join(p, ""))
		}),
		bind(fn("concat_ws", []types.T{tx, any}, tx, "texts of all values joined by a separator", nil).variadic(), func(_ ectx, p []string, null []bool) (datum, error) {
			if null[0] {
				return types.Null, nil
			}
			var some []string
			for i := 1; i < len(p); i++ {
				if !null[i] {
					some = append(some, p[i])
				}
			}
			return text(strings.Join(some, p[0]))
		}),
		bind(fn("format", []types.T{tx, any}, tx, "text with %s, %I and %L filled in", nil).variadic(), func(_ ectx, p []string, null []bool) (datum, error) {
			if null[0] {
				return types.Null, nil
			}
			return format(p[0], p[1:], null[1:])
		}),
		bind(fn("quote_nullable", []types.T{any}, tx, "quoted as a literal, or NULL", nil), func(_ ectx, p []string, null []bool) (datum, error) {
			if null[0] {
				return text("NULL")
			}
			return text(QuoteLiteral(p[0]))
		}),
	}
}

func format(f string, args []string, null []bool) (datum, error) {
	var b strings.Builder
	next := 0
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		if i++; i >= len(f) {
			return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "unterminated format() type specifier").
				WithHint("%s", `For a single "%" use "%%".`)
		}
		if f[i] == '%' {
			b.WriteByte('%')
			continue
		}
		spec, rest, err := parseFormatSpec(f[i:])
		if err != nil {
			return types.Null, err
		}
		i = len(f) - len(rest) - 1
		if spec.starred {
			if spec.star > 0 {
				next = spec.star - 1
			}
			if next >= len(args) {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "too few arguments for format()")
			}
			if !null[next] {
				w, err := types.ParseText(types.Int4, args[next], nil)
				if err != nil {
					return types.Null, err
				}
				spec.width = int(w.Int())
			}
			next++
		}
		if spec.arg > 0 {
			next = spec.arg - 1
		}
		left, width := spec.left || spec.width < 0, max(spec.width, -spec.width)
		if width > stringBytesMax {
			return types.Null, errTooLong
		}
		if next >= len(args) {
			return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "too few arguments for format()")
		}
		s := args[next]
		switch {
		case f[i] == 'I' && null[next]:
			return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "null values cannot be formatted as an SQL identifier")
		case f[i] == 'I':
			s = QuoteIdent(s)
		case f[i] == 'L' && null[next]:
			s = "NULL"
		case f[i] == 'L':
			s = QuoteLiteral(s)
		}
		fill := strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
		if left {
			b.WriteString(s + fill)
		} else {
			b.WriteString(fill + s)
		}
		next++
	}
	return text(b.String())
}

// formatSpec is what stands between % and the type of a place in format()'s template.
type formatSpec struct {
	arg     int // n$, 0 for the next
	left    bool
	width   int
	starred bool // the width is an argument,
	star    int  // this one, 0 for the next
}

// parseFormatSpec reads n$, flags, width and type; rest begins behind the type.
func parseFormatSpec(f string) (s formatSpec, rest string, err error) {
	bad := func(format string, a ...any) (formatSpec, string, error) {
		return s, "", sqlerr.New(sqlerr.InvalidParameterValue, format, a...)
	}
	unterminated := func() (formatSpec, string, error) {
		return s, "", sqlerr.New(sqlerr.InvalidParameterValue, "unterminated format() type specifier").
			WithHint("%s", `For a single "%" use "%%".`)
	}
	number := func() (n int, ok bool) {
		for f != "" && f[0] >= '0' && f[0] <= '9' {
			n, ok, f = min(n*10+int(f[0]-'0'), math.MaxInt32), true, f[1:]
		}
		return n, ok
	}
	zero := func() (formatSpec, string, error) {
		return bad("format specifies argument 0, but arguments are numbered from 1")
	}
	n, ok := number()
	if ok && strings.HasPrefix(f, "$") {
		if n == 0 {
			return zero()
		}
		s.arg, f, ok = n, f[1:], false
	}
	if ok {
		s.width = n
	} else {
		for strings.HasPrefix(f, "-") {
			s.left, f = true, f[1:]
		}
		if strings.HasPrefix(f, "*") {
			s.starred, f = true, f[1:]
			if n, ok := number(); ok {
				switch {
				case !strings.HasPrefix(f, "$"):
					return bad("width argument position must be ended by \"$\"")
				case n == 0:
					return zero()
				}
				s.star, f = n, f[1:]
			}
		} else {
			s.width, _ = number()
		}
	}
	switch {
	case f == "":
		return unterminated()
	case strings.IndexByte("sIL", f[0]) < 0:
		_, size := utf8.DecodeRuneInString(f)
		return s, "", sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized format() type specifier \"%s\"", f[:size]).
			WithHint("%s", `For a single "%" use "%%".`)
	}
	return s, f[1:], nil
}
