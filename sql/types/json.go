package types

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// JSONKind is what a JSON value is; the order is that of jsonb comparisons.
type JSONKind uint8

// Kinds of JSON values.
const (
	JSONNull JSONKind = iota
	JSONString
	JSONNumber
	JSONBool
	JSONArray
	JSONObject
)

// JSONValue is a parsed JSON value.
type JSONValue struct {
	Kind  JSONKind
	Bool  bool
	Str   string       // a string's characters
	Num   *apd.Decimal // a number
	Elems []JSONValue  // an array's elements, or an object's values
	Keys  []string     // an object's keys
}

// ParseJSON reads JSON text; objects keep order and duplicates.
func ParseJSON(s string) (JSONValue, error) {
	p := jsonParser{s: s}
	v, ok := p.value(0)
	if ok {
		p.blanks()
		ok = p.i == len(p.s)
	}
	if !ok {
		return JSONValue{}, p.fail()
	}
	return v, nil
}

type jsonParser struct {
	s   string
	i   int
	err error
}

func (p *jsonParser) fail() error {
	if p.err != nil {
		return p.err
	}
	e := sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type json")
	if p.i >= len(p.s) {
		return e.WithDetail("The input string ended unexpectedly.")
	}
	return e.WithDetail("Token %q is invalid.", p.token())
}

func (p *jsonParser) token() string {
	end := p.i + 1
	for end < len(p.s) && isWordByte(p.s[p.i]) && isWordByte(p.s[end]) {
		end++
	}
	for end < len(p.s) && !utf8.RuneStart(p.s[end]) {
		end++
	}
	return p.s[p.i:end]
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

func (p *jsonParser) blanks() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *jsonParser) value(depth int) (JSONValue, bool) {
	p.blanks()
	if depth > jsonDepthMax {
		p.err = sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded")
		return JSONValue{}, false
	}
	if p.i >= len(p.s) {
		return JSONValue{}, false
	}
	switch c := p.s[p.i]; c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		s, ok := p.str()
		return JSONValue{Kind: JSONString, Str: s}, ok
	default:
		return p.scalar()
	}
}

func (p *jsonParser) scalar() (JSONValue, bool) {
	for _, w := range []struct {
		word string
		v    JSONValue
	}{
		{"true", JSONValue{Kind: JSONBool, Bool: true}},
		{"false", JSONValue{Kind: JSONBool}},
		{"null", JSONValue{Kind: JSONNull}},
	} {
		rest := p.s[p.i:]
		if strings.HasPrefix(rest, w.word) && (len(rest) == len(w.word) || !isWordByte(rest[len(w.word)])) {
			p.i += len(w.word)
			return w.v, true
		}
	}
	return p.number()
}

func (p *jsonParser) number() (JSONValue, bool) {
	start, i := p.i, p.i
	if i < len(p.s) && p.s[i] == '-' {
		i++
	}
	whole := digitsAt(p.s, i)
	if whole == 0 || whole > 1 && p.s[i] == '0' {
		return JSONValue{}, false
	}
	i += whole
	if i < len(p.s) && p.s[i] == '.' {
		n := digitsAt(p.s, i+1)
		if n == 0 {
			return JSONValue{}, false
		}
		i += 1 + n
	}
	if i < len(p.s) && (p.s[i] == 'e' || p.s[i] == 'E') {
		i++
		if i < len(p.s) && (p.s[i] == '+' || p.s[i] == '-') {
			i++
		}
		n := digitsAt(p.s, i)
		if n == 0 {
			return JSONValue{}, false
		}
		i += n
	}
	if i < len(p.s) && isWordByte(p.s[i]) {
		return JSONValue{}, false
	}
	d, err := ParseDecimal(p.s[start:i])
	if err != nil {
		p.err = err
		return JSONValue{}, false
	}
	p.i = i
	return JSONValue{Kind: JSONNumber, Num: d}, true
}

func (p *jsonParser) array(depth int) (JSONValue, bool) {
	v := JSONValue{Kind: JSONArray}
	p.i++
	if p.blanks(); p.peek(']') {
		return v, true
	}
	for {
		e, ok := p.value(depth + 1)
		if !ok {
			return v, false
		}
		v.Elems = append(v.Elems, e)
		p.blanks()
		if p.peek(']') {
			return v, true
		}
		if !p.peek(',') {
			return v, false
		}
	}
}

func (p *jsonParser) object(depth int) (JSONValue, bool) {
	v := JSONValue{Kind: JSONObject}
	p.i++
	if p.blanks(); p.peek('}') {
		return v, true
	}
	for {
		p.blanks()
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return v, false
		}
		k, ok := p.str()
		if !ok {
			return v, false
		}
		if p.blanks(); !p.peek(':') {
			return v, false
		}
		e, ok := p.value(depth + 1)
		if !ok {
			return v, false
		}
		v.Keys, v.Elems = append(v.Keys, k), append(v.Elems, e)
		p.blanks()
		if p.peek('}') {
			return v, true
		}
		if !p.peek(',') {
			return v, false
		}
	}
}

func (p *jsonParser) peek(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *jsonParser) str() (string, bool) {
	start := p.i + 1
	for i := start; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.i = i + 1
			return p.s[start:i], true
		case c == '\\':
			return p.escaped(start, i)
		case c < 0x20:
			return "", false
		}
	}
	p.i = len(p.s)
	return "", false
}

func (p *jsonParser) escaped(start, i int) (string, bool) {
	out := []byte(p.s[start:i])
	for i < len(p.s) {
		c := p.s[i]
		switch {
		case c == '"':
			p.i = i + 1
			return string(out), true
		case c < 0x20:
			return "", false
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(p.s) {
			break
		}
		if p.s[i+1] == 'u' {
			r, n := p.unicode(i)
			if n == 0 {
				return "", false
			}
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		at := strings.IndexByte(`"\/bfnrt`, p.s[i+1])
		if at < 0 {
			return "", false
		}
		out = append(out, "\"\\/\b\f\n\r\t"[at])
		i += 2
	}
	p.i = len(p.s)
	return "", false
}

// unicode reads \uXXXX, or a surrogate pair of them, at i and returns its length.
func (p *jsonParser) unicode(i int) (rune, int) {
	r, ok := hex4(p.s, i+2)
	if !ok {
		return 0, 0
	}
	if r == 0 {
		p.err = sqlerr.New(sqlerr.UntranslatableCharacter, "unsupported Unicode escape sequence").
			WithDetail(`\u0000 cannot be converted to text.`)
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if i+7 < len(p.s) && p.s[i+6] == '\\' && p.s[i+7] == 'u' {
		if low, ok := hex4(p.s, i+8); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				return full, 12
			}
		}
	}
	return 0, 0
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 32)
	return rune(n), err == nil
}

// NewJSONB makes a jsonb of a value: keys sorted by length, then bytes; of equal keys the last wins.
func NewJSONB(v JSONValue) Datum { return newJSONB(string(AppendJSON(nil, canonicalJSON(v), true))) }

// ParseJSONB reads jsonb text.
func ParseJSONB(s string) (Datum, error) {
	v, err := ParseJSON(s)
	if err != nil {
		return Null, err
	}
	return NewJSONB(v), nil
}

// JSONOf parses a json or jsonb value, which was checked when it was made.
func JSONOf(d Datum) JSONValue {
	v, _ := ParseJSON(d.Str())
	return v
}

func canonicalJSON(v JSONValue) JSONValue {
	if len(v.Elems) == 0 {
		return v
	}
	out := JSONValue{Kind: v.Kind}
	if v.Kind == JSONArray {
		for _, e := range v.Elems {
			out.Elems = append(out.Elems, canonicalJSON(e))
		}
		return out
	}
	order := make([]int, len(v.Keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareJSONKeys(v.Keys[a], v.Keys[b]) })
	for n, i := range order {
		if n+1 < len(order) && v.Keys[order[n+1]] == v.Keys[i] {
			continue
		}
		out.Keys = append(out.Keys, v.Keys[i])
		out.Elems = append(out.Elems, canonicalJSON(v.Elems[i]))
	}
	return out
}

func compareJSONKeys(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// AppendJSON writes a value; spaced is jsonb's form with a blank after colons and commas.
func AppendJSON(dst []byte, v JSONValue, spaced bool) []byte {
	sep, colon := ",", ":"
	if spaced {
		sep, colon = ", ", ": "
	}
	switch v.Kind {
	case JSONNull:
		return append(dst, "null"...)
	case JSONBool:
		return strconv.AppendBool(dst, v.Bool)
	case JSONNumber:
		return appendDecimal(dst, v.Num)
	case JSONString:
		return AppendJSONString(dst, v.Str)
	case JSONArray:
		dst = append(dst, '[')
		for i, e := range v.Elems {
			if i > 0 {
				dst = append(dst, sep...)
			}
			dst = AppendJSON(dst, e, spaced)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, e := range v.Elems {
		if i > 0 {
			dst = append(dst, sep...)
		}
		dst = AppendJSONString(dst, v.Keys[i])
		dst = append(dst, colon...)
		dst = AppendJSON(dst, e, spaced)
	}
	return append(dst, '}')
}

// AppendJSONString writes a quoted string, escaping what JSON requires and no more.
func AppendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			dst = append(dst, '\\', `"\bfnrt`[at])
		} else if c < 0x20 {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func compareJSONB(a, b string) int {
	if a == b {
		return 0
	}
	x, _ := ParseJSON(a)
	y, _ := ParseJSON(b)
	return CompareJSON(x, y)
}

// CompareJSON orders canonical values: Object > Array > Boolean > Number > String > Null, longer
// containers above shorter ones. An empty array at the top sorts below null, as in Postgres.
func CompareJSON(x, y JSONValue) int {
	if ex, ey := emptyArray(x), emptyArray(y); ex != ey {
		return cmp.Compare(boolInt(ey), boolInt(ex))
	}
	return compareJSONInner(x, y)
}

func emptyArray(v JSONValue) bool { return v.Kind == JSONArray && len(v.Elems) == 0 }

func compareJSONInner(x, y JSONValue) int {
	if c := cmp.Compare(x.Kind, y.Kind); c != 0 {
		return c
	}
	switch x.Kind {
	case JSONString:
		return strings.Compare(x.Str, y.Str)
	case JSONNumber:
		return compareDecimal(x.Num, y.Num)
	case JSONBool:
		return cmp.Compare(boolInt(x.Bool), boolInt(y.Bool))
	}
	if c := cmp.Compare(len(x.Elems), len(y.Elems)); c != 0 {
		return c
	}
	for i := range x.Elems {
		if x.Kind == JSONObject {
			if c := compareJSONKeys(x.Keys[i], y.Keys[i]); c != 0 {
				return c
			}
		}
		if c := compareJSONInner(x.Elems[i], y.Elems[i]); c != 0 {
			return c
		}
	}
	return 0
}
