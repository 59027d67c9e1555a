package jsonpath

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// SQLSTATEs of SQL/JSON.
const (
	arrayNotFound     sqlerr.Code = "22039"
	memberNotFound    sqlerr.Code = "2203A"
	numberNotFound    sqlerr.Code = "2203B"
	objectNotFound    sqlerr.Code = "2203C"
	invalidSubscript  sqlerr.Code = "22033"
	nonNumericItem    sqlerr.Code = "22036"
	singletonRequired sqlerr.Code = "22038"
)

// truth is a predicate's value.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

// Query is one evaluation over a document.
type Query struct {
	path    *Path
	doc     types.JSONValue
	vars    types.JSONValue
	compute Arithmetic
}

// Arithmetic computes numerics as SQL does: + - * / %.
type Arithmetic func(op string, a, b types.Datum) (types.Datum, error)

// On prepares a path to be computed over a document; vars is an object.
func (p *Path) On(doc, vars types.JSONValue, compute Arithmetic) (*Query, error) {
	if vars.Kind != types.JSONObject {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "\"vars\" argument is not an object").
			WithDetail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.")
	}
	return &Query{p, doc, vars, compute}, nil
}

// Items are the path's results, in order.
func (q *Query) Items() ([]types.JSONValue, error) {
	return q.items(q.path.expr, env{current: q.doc, size: -1})
}

// Match is the result of a path that is a predicate; ok is false if it is none or unknown.
func (q *Query) Match() (match, ok bool, err error) {
	items, err := q.Items()
	if err != nil {
		return false, false, err
	}
	if len(items) == 1 && items[0].Kind == types.JSONBool {
		return items[0].Bool, true, nil
	}
	if len(items) == 1 && items[0].Kind == types.JSONNull {
		return false, false, nil
	}
	return false, false, sqlerr.New(singletonRequired, "single boolean result is expected")
}

// env is what @ and last stand for.
type env struct {
	current types.JSONValue
	size    int // of the array that is subscripted, -1 outside
}

func (q *Query) lax() bool { return !q.path.strict }

func isPredicate(n *node) bool {
	switch n.kind {
	case compare, and, or, not, isUnknown, exists, likeRegex, startsWith:
		return true
	}
	return false
}

func (q *Query) items(n *node, e env) ([]types.JSONValue, error) {
	if isPredicate(n) {
		v := types.JSONValue{}
		if t := q.truth(n, e); t != unknown {
			v = types.JSONValue{Kind: types.JSONBool, Bool: t == yes}
		}
		return []types.JSONValue{v}, nil
	}
	switch n.kind {
	case root:
		return []types.JSONValue{q.doc}, nil
	case current:
		return []types.JSONValue{e.current}, nil
	case literal:
		return []types.JSONValue{n.value}, nil
	case last:
		if e.size < 0 {
			return nil, sqlerr.New(sqlerr.SyntaxError, "LAST is allowed only in array subscripts")
		}
		return []types.JSONValue{{Kind: types.JSONNumber, Num: apd.New(int64(e.size-1), 0)}}, nil
	case variable:
		if i := slices.Index(q.vars.Keys, n.text); i >= 0 {
			return []types.JSONValue{q.vars.Elems[i]}, nil
		}
		return nil, sqlerr.New(sqlerr.UndefinedObject, "could not find jsonpath variable \"%s\"", n.text)
	case arith:
		return q.arith(n, e)
	case negate:
		return q.negate(n, e)
	}
	in, err := q.items(n.left, e)
	if err != nil {
		return nil, err
	}
	var out []types.JSONValue
	for _, v := range in {
		got, err := q.access(n, v, e)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

// access applies an accessor, filter or method to one item. Lax mode opens arrays for those that
// want no array.
func (q *Query) access(n *node, v types.JSONValue, e env) ([]types.JSONValue, error) {
	opens := n.kind == member || n.kind == anyMember || n.kind == filter || n.kind == method && n.text != "type" && n.text != "size"
	if opens && q.lax() && v.Kind == types.JSONArray {
		var out []types.JSONValue
		for _, x := range v.Elems {
			got, err := q.access1(n, x, e)
			if err != nil {
				return nil, err
			}
			out = append(out, got...)
		}
		return out, nil
	}
	return q.access1(n, v, e)
}

func (q *Query) access1(n *node, v types.JSONValue, e env) ([]types.JSONValue, error) {
	switch n.kind {
	case member:
		return q.member(n, v)
	case anyMember:
		if v.Kind == types.JSONObject {
			return v.Elems, nil
		}
		return q.missing(objectNotFound, "jsonpath wildcard member accessor can only be applied to an object")
	case anyElem:
		switch {
		case v.Kind == types.JSONArray:
			return v.Elems, nil
		case q.lax():
			return []types.JSONValue{v}, nil
		}
		return q.missing(arrayNotFound, "jsonpath wildcard array accessor can only be applied to an array")
	case elements:
		return q.elements(n, v, e)
	case deep:
		return deepItems(n, v, 0, nil), nil
	case filter:
		if q.truth(n.right, env{current: v, size: -1}) == yes {
			return []types.JSONValue{v}, nil
		}
		return nil, nil
	}
	return q.method(n, v)
}

// missing is an error in strict mode and nothing in lax mode.
func (q *Query) missing(code sqlerr.Code, format string, a ...any) ([]types.JSONValue, error) {
	if q.lax() {
		return nil, nil
	}
	return nil, sqlerr.New(code, format, a...)
}

func (q *Query) member(n *node, v types.JSONValue) ([]types.JSONValue, error) {
	if v.Kind != types.JSONObject {
		return q.missing(memberNotFound, "jsonpath member accessor can only be applied to an object")
	}
	if i := slices.Index(v.Keys, n.text); i >= 0 {
		return v.Elems[i : i+1], nil
	}
	return q.missing(memberNotFound, "JSON object does not contain key \"%s\"", n.text)
}

func (q *Query) elements(n *node, v types.JSONValue, e env) ([]types.JSONValue, error) {
	arr := v.Elems
	if v.Kind != types.JSONArray {
		if !q.lax() {
			return nil, sqlerr.New(arrayNotFound, "jsonpath array accessor can only be applied to an array")
		}
		arr = []types.JSONValue{v}
	}
	inner := env{current: e.current, size: len(arr)}
	var out []types.JSONValue
	for _, s := range n.subs {
		lo, err := q.index(s[0], inner)
		if err != nil {
			return nil, err
		}
		hi := lo
		if s[1] != nil {
			if hi, err = q.index(s[1], inner); err != nil {
				return nil, err
			}
		}
		if !q.lax() && (lo < 0 || lo > hi || hi >= len(arr)) {
			return nil, sqlerr.New(invalidSubscript, "jsonpath array subscript is out of bounds")
		}
		if lo, hi = max(lo, 0), min(hi, len(arr)-1); lo <= hi {
			out = append(out, arr[lo:hi+1]...)
		}
	}
	return out, nil
}

func (q *Query) index(n *node, e env) (int, error) {
	items, err := q.items(n, e)
	if err != nil {
		return 0, err
	}
	if len(items) != 1 || items[0].Kind != types.JSONNumber {
		return 0, sqlerr.New(invalidSubscript, "jsonpath array subscript is not a single numeric value")
	}
	i, err := types.TruncDecimal(items[0].Num, 0).Int64()
	if err != nil || i > math.MaxInt32 || i < math.MinInt32 {
		return 0, sqlerr.New(invalidSubscript, "jsonpath array subscript is out of integer range")
	}
	return int(i), nil
}

// deepItems are the item and all below it whose level the accessor takes.
func deepItems(n *node, v types.JSONValue, level int, out []types.JSONValue) []types.JSONValue {
	leaf := v.Kind != types.JSONArray && v.Kind != types.JSONObject
	switch {
	case n.lo == -1: // {last}
		if leaf {
			out = append(out, v)
		}
	case level >= n.lo && (n.hi < 0 || level <= n.hi):
		out = append(out, v)
	}
	if n.hi >= 0 && level >= n.hi {
		return out
	}
	for _, x := range v.Elems {
		out = deepItems(n, x, level+1, out)
	}
	return out
}

func (q *Query) method(n *node, v types.JSONValue) ([]types.JSONValue, error) {
	one := func(v types.JSONValue) ([]types.JSONValue, error) { return []types.JSONValue{v}, nil }
	count := func(i int) types.JSONValue { return types.JSONValue{Kind: types.JSONNumber, Num: apd.New(int64(i), 0)} }
	switch n.text {
	case "type":
		return one(types.JSONValue{Kind: types.JSONString, Str: v.TypeName()})
	case "size":
		switch {
		case v.Kind == types.JSONArray:
			return one(count(len(v.Elems)))
		case q.lax():
			return one(count(1))
		}
		return nil, sqlerr.New(arrayNotFound, "jsonpath item method .size() can only be applied to an array")
	case "keyvalue":
		if v.Kind != types.JSONObject {
			return nil, sqlerr.New(objectNotFound, "jsonpath item method .keyvalue() can only be applied to an object")
		}
		var out []types.JSONValue
		for i, k := range v.Keys {
			out = append(out, types.JSONValue{Kind: types.JSONObject, Keys: []string{"id", "key", "value"},
				Elems: []types.JSONValue{count(0), {Kind: types.JSONString, Str: k}, v.Elems[i]}})
		}
		return out, nil
	case "double":
		s := v.Str
		if v.Kind == types.JSONNumber {
			s = v.Num.Text('f')
		} else if v.Kind != types.JSONString {
			return nil, sqlerr.New(nonNumericItem, "jsonpath item method .double() can only be applied to a string or numeric value")
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || math.IsInf(f, 0) || f != f {
			return nil, sqlerr.New(nonNumericItem, "string argument of jsonpath item method .%s() is not a valid representation of a double precision number", n.text)
		}
		if v.Kind == types.JSONNumber {
			return one(v)
		}
		d, err := types.ParseDecimal(strconv.FormatFloat(f, 'g', -1, 64))
		return []types.JSONValue{{Kind: types.JSONNumber, Num: d}}, err
	}
	if v.Kind != types.JSONNumber {
		return nil, sqlerr.New(nonNumericItem, "jsonpath item method .%s() can only be applied to a numeric value", n.text)
	}
	return one(types.JSONValue{Kind: types.JSONNumber, Num: rounded(v.Num, n.text)})
}

func rounded(d *apd.Decimal, how string) *apd.Decimal {
	out := new(apd.Decimal)
	if how == "abs" {
		out.Abs(d)
		return out
	}
	c := apd.BaseContext.WithPrecision(uint32(d.NumDigits() + 2))
	if how == "floor" {
		_, _ = c.Floor(out, d)
	} else {
		_, _ = c.Ceil(out, d)
	}
	return out
}

// operand is the single number that arithmetic takes on a side.
func (q *Query) operand(n *node, side, op string, e env) (*apd.Decimal, error) {
	items, err := q.items(n, e)
	if err != nil {
		return nil, err
	}
	if items = q.opened(items); len(items) != 1 || items[0].Kind != types.JSONNumber {
		return nil, sqlerr.New(singletonRequired, "%s operand of jsonpath operator %s is not a single numeric value", side, op)
	}
	return items[0].Num, nil
}

// opened replaces arrays by their elements, in lax mode.
func (q *Query) opened(items []types.JSONValue) []types.JSONValue {
	if !q.lax() || !slices.ContainsFunc(items, func(v types.JSONValue) bool { return v.Kind == types.JSONArray }) {
		return items
	}
	var out []types.JSONValue
	for _, v := range items {
		if v.Kind == types.JSONArray {
			out = append(out, v.Elems...)
		} else {
			out = append(out, v)
		}
	}
	return out
}

func (q *Query) arith(n *node, e env) ([]types.JSONValue, error) {
	a, err := q.operand(n.left, "left", n.text, e)
	if err != nil {
		return nil, err
	}
	b, err := q.operand(n.right, "right", n.text, e)
	if err != nil {
		return nil, err
	}
	d, err := q.compute(n.text, types.NewDecimal(a), types.NewDecimal(b))
	if err != nil {
		return nil, err
	}
	return []types.JSONValue{{Kind: types.JSONNumber, Num: d.Decimal()}}, nil
}

func (q *Query) negate(n *node, e env) ([]types.JSONValue, error) {
	items, err := q.items(n.left, e)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(q.opened(items))
	for i, v := range out {
		if v.Kind != types.JSONNumber {
			return nil, sqlerr.New(numberNotFound, "operand of unary jsonpath operator %s is not a numeric value", n.text)
		}
		if n.text == "-" {
			d := new(apd.Decimal)
			d.Neg(v.Num)
			out[i].Num = d
		}
	}
	return out, nil
}

// truth computes a predicate. An error in it makes it unknown.
func (q *Query) truth(n *node, e env) truth {
	switch n.kind {
	case and, or:
		decider := no
		if n.kind == or {
			decider = yes
		}
		a := q.truth(n.left, e)
		if a == decider {
			return a
		}
		if b := q.truth(n.right, e); b == decider || a != unknown {
			return b
		}
		return unknown
	case not:
		switch q.truth(n.left, e) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	case isUnknown:
		return truthOf(q.truth(n.left, e) == unknown)
	case exists:
		items, err := q.items(n.left, e)
		if err != nil {
			return unknown
		}
		return truthOf(len(items) > 0)
	case compare, startsWith, likeRegex:
		return q.comparison(n, e)
	}
	items, err := q.items(n, e) // a path in the place of a predicate
	if err != nil || len(items) != 1 || items[0].Kind != types.JSONBool {
		return unknown
	}
	return truthOf(items[0].Bool)
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// comparison holds if it does for any pair; an incomparable pair makes it unknown in strict mode, or
// if no pair holds.
func (q *Query) comparison(n *node, e env) truth {
	left, err := q.items(n.left, e)
	if err != nil {
		return unknown
	}
	right := []types.JSONValue{{}}
	if n.right != nil {
		if right, err = q.items(n.right, e); err != nil {
			return unknown
		}
		right = q.opened(right)
	}
	out := no
	for _, a := range q.opened(left) {
		for _, b := range right {
			switch t := pair(n, a, b); {
			case t == unknown && !q.lax():
				return unknown
			case t == unknown:
				if out == no {
					out = unknown
				}
			case t == yes && q.lax():
				return yes
			case t == yes:
				out = yes
			}
		}
	}
	return out
}

func pair(n *node, a, b types.JSONValue) truth {
	switch n.kind {
	case likeRegex:
		if a.Kind != types.JSONString {
			return unknown
		}
		return truthOf(n.re.MatchString(a.Str))
	case startsWith:
		if a.Kind != types.JSONString || b.Kind != types.JSONString {
			return unknown
		}
		return truthOf(strings.HasPrefix(a.Str, b.Str))
	}
	if a.Kind != b.Kind {
		if a.Kind == types.JSONNull || b.Kind == types.JSONNull { // null is unequal to all others
			return truthOf(n.text == "!=" || n.text == "<>")
		}
		return unknown
	}
	if a.Kind == types.JSONArray || a.Kind == types.JSONObject {
		return unknown
	}
	c := types.CompareJSON(a, b)
	switch n.text {
	case "==":
		return truthOf(c == 0)
	case "!=", "<>":
		return truthOf(c != 0)
	case "<":
		return truthOf(c < 0)
	case "<=":
		return truthOf(c <= 0)
	case ">":
		return truthOf(c > 0)
	}
	return truthOf(c >= 0)
}
