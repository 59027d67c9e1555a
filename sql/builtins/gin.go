package builtins

import (
	"encoding/binary"
	"hash/fnv"
	"slices"

	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/types"
)

// An inverted index (USING gin) has an entry for each term of a value: its keys and scalars, or the
// elements of an array. What a condition asks for has terms as well, and a row that satisfies it has all
// of them, so the entries of any one are enough to find the rows; the condition itself is then asked of
// each, for terms say less than values do.
//
//	{"a": 1, "b": ["x"]}      jsonb_ops        "", key a, key b, number 1, key x, text x
//	                          jsonb_path_ops   "", hash of a/1, hash of b/x
//	d @> '{"b": ["x"]}'                        one of: key b, key x, text x
//
// The empty term is every value's: what asks for nothing in particular (d @> '{}') reads its entries.
// So which term to read may be decided when a parameter's value is known.
//
// Rejected: entries for the empty term only where a value has no other, as Postgres has them. Then a
// condition without terms would have to read the table, and the plan to know the parameters.

// termBytesMax bounds a term; longer ones are cut and hashed.
const termBytesMax = 64

// GinClasses are the operator classes, with the function of a value's terms and the type they are for.
var ginClasses = map[string]struct {
	fn string
	on types.T
}{
	"jsonb_ops": {"cairn.gin_jsonb_ops", types.JSONB}, "jsonb_path_ops": {"cairn.gin_jsonb_path_ops", types.JSONB},
	"array_ops": {"cairn.gin_array_ops", types.AnyArray},
}

// GinFunction is the function that gives the terms of values under an operator class, by its name.
func GinFunction(class string) (name string, ok bool) {
	c, ok := ginClasses[class]
	return c.fn, ok
}

// GinDefault is the operator class for a type, "" if there is none.
func GinDefault(t types.T) string {
	switch {
	case t.Kind() == types.KindJSONB:
		return "jsonb_ops"
	case t.IsArray():
		return "array_ops"
	}
	return ""
}

// GinTakes says whether an operator class is for a type.
func GinTakes(class string, t types.T) bool {
	return GinDefault(t) == class || class == "jsonb_path_ops" && t.Kind() == types.KindJSONB
}

func ginFuncs() []Overload {
	var out []Overload
	bytea, _ := types.Bytea.Array()
	for _, class := range []string{"array_ops", "jsonb_ops", "jsonb_path_ops"} {
		c := ginClasses[class]
		out = append(out, f1(c.fn, c.on, bytea, "terms under which an inverted index has a value", func(_ ectx, a datum) (datum, error) {
			return termArray(ginTerms(class, a)), nil
		}))
	}
	return out
}

func termArray(terms []string) datum {
	terms = append(terms, "")
	slices.Sort(terms)
	var out []datum
	for _, t := range slices.Compact(terms) {
		out = append(out, types.NewBytes(t))
	}
	return types.NewArray(types.Bytea, out)
}

// ginTerms are the terms of a value, without the empty one.
func ginTerms(class string, d datum) []string {
	var t termList
	switch class {
	case "jsonb_ops":
		t.jsonb(types.JSONOf(d), true)
	case "jsonb_path_ops":
		t.paths(types.JSONOf(d), nil)
	default:
		for _, e := range d.Array().Elems {
			if !e.IsNull() {
				t.add(string(rowenc.AppendKey(nil, e, types.T{}, false)))
			}
		}
	}
	return t
}

type termList []string

func (t *termList) add(s string) {
	if len(s) > termBytesMax {
		h := fnv.New64a()
		h.Write([]byte(s))
		s = string(h.Sum([]byte(s[:termBytesMax-8])))
	}
	*t = append(*t, s)
}

// jsonb adds keys and scalars. A text in an array, or alone, may be asked for as if it were a key.
func (t *termList) jsonb(v types.JSONValue, keyLike bool) {
	switch v.Kind {
	case types.JSONObject:
		for i, e := range v.Elems {
			t.add("k" + v.Keys[i])
			t.jsonb(e, false)
		}
	case types.JSONArray:
		for _, e := range v.Elems {
			t.jsonb(e, true)
		}
	default:
		t.add(scalarTerm(v))
		if keyLike && v.Kind == types.JSONString {
			t.add("k" + v.Str)
		}
	}
}

// scalarTerm is the same for scalars that are equal: numbers by their value.
func scalarTerm(v types.JSONValue) string {
	switch v.Kind {
	case types.JSONString:
		return "s" + v.Str
	case types.JSONNumber:
		return "n" + string(rowenc.AppendKey(nil, types.NewDecimal(v.Num), types.Numeric, false))
	case types.JSONBool:
		if v.Bool {
			return "t"
		}
		return "f"
	}
	return "z"
}

// paths adds a hash of each scalar with the keys that lead to it. Arrays are no part of the way: what is
// in one contains what is not.
func (t *termList) paths(v types.JSONValue, way []byte) {
	switch v.Kind {
	case types.JSONObject:
		for i, e := range v.Elems {
			t.paths(e, append(binary.AppendUvarint(slices.Clip(way), uint64(len(v.Keys[i]))), v.Keys[i]...))
		}
	case types.JSONArray:
		for _, e := range v.Elems {
			t.paths(e, way)
		}
	default:
		h := fnv.New64a()
		h.Write(way)
		h.Write([]byte{0})
		h.Write([]byte(scalarTerm(v)))
		t.add(string(h.Sum(nil)))
	}
}

// GinQuery is the function from the right side of a condition to the term whose entries hold all rows
// that satisfy it; ok is false for operators that an operator class does not know. NULL finds nothing.
func GinQuery(class, op string) (m Match, ok bool) {
	terms := func(a datum) []string { return ginTerms(class, a) }
	switch {
	case class == "array_ops" && (op == "@>" || op == "="), class != "array_ops" && op == "@>":
	case class == "jsonb_ops" && op == "?":
		terms = func(a datum) []string { return keyTerms(a) }
	case class == "jsonb_ops" && op == "?&":
		terms = func(a datum) []string { return keyTerms(a.Array().Elems...) }
	default:
		return Match{}, false
	}
	call := func(_ ectx, a []datum) (datum, error) {
		if a[0].IsNull() {
			return types.Null, nil
		}
		return types.NewBytes(choosiest(terms(a[0]))), nil
	}
	o := &Overload{Name: "gin_term", Class: Scalar, Args: []types.T{types.Any}, Ret: types.Bytea, Vol: Immutable, Fn: call}
	return Match{Overload: o, CastTo: []types.T{types.Any}, Ret: types.Bytea, Call: call}, true
}

func keyTerms(keys ...datum) []string {
	var t termList
	for _, k := range keys {
		if !k.IsNull() {
			t.add("k" + k.Str())
		}
	}
	return t
}

// choosiest guesses which term the fewest rows have: scalars before keys, the longest of them.
func choosiest(terms []string) string {
	best := ""
	score := func(s string) int {
		if s == "" {
			return -1
		}
		if s[0] == 'k' {
			return len(s)
		}
		return len(s) + 2*termBytesMax
	}
	for _, t := range terms {
		if score(t) > score(best) {
			best = t
		}
	}
	return best
}
