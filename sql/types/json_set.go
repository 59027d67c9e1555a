package types

import (
	"slices"
	"strconv"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// jsonGapMax bounds how many nulls an assignment behind an array's end makes.
const jsonGapMax = 1 << 20

// SetJSONMember is doc[key][key]… = v: what is missing on the way is made, an array for a number and
// an object for a text. NULL as document is an empty one, as value it is JSON's null.
func SetJSONMember(doc Datum, keys []Datum, v Datum) (Datum, error) {
	value := JSONValue{Kind: JSONNull}
	if !v.IsNull() {
		value = JSONOf(v)
	}
	var root *JSONValue
	if !doc.IsNull() {
		r := JSONOf(doc)
		root = &r
	}
	out, err := setJSON(root, keys, 1, value)
	if err != nil {
		return Null, err
	}
	return NewJSONB(out), nil
}

func setJSON(at *JSONValue, keys []Datum, level int, value JSONValue) (JSONValue, error) {
	if len(keys) == 0 {
		return value, nil
	}
	key := keys[0]
	if at == nil {
		at = &JSONValue{Kind: JSONObject}
		if key.Kind() == KindInt {
			at.Kind = JSONArray
		}
	}
	switch at.Kind {
	case JSONObject:
		name := Format(Text, key, nil)
		if key.Kind() == KindInt {
			name = strconv.FormatInt(key.Int(), 10)
		}
		out := JSONValue{Kind: JSONObject, Keys: slices.Clone(at.Keys), Elems: slices.Clone(at.Elems)}
		i := slices.Index(out.Keys, name)
		var old *JSONValue
		if i >= 0 {
			old = &out.Elems[i]
		}
		member, err := setJSON(old, keys[1:], level+1, value)
		if err != nil {
			return member, err
		}
		if i < 0 {
			out.Keys, out.Elems = append(out.Keys, name), append(out.Elems, member)
		} else {
			out.Elems[i] = member
		}
		return out, nil
	case JSONArray:
		return setJSONElem(at, keys, level, value)
	}
	return *at, sqlerr.New(sqlerr.InvalidParameterValue, "cannot replace existing key").
		WithDetail("The path assumes key is a composite object, but it is a scalar value.")
}

func setJSONElem(at *JSONValue, keys []Datum, level int, value JSONValue) (JSONValue, error) {
	n := keys[0].n
	if keys[0].Kind() != KindInt {
		var err error
		if n, err = strconv.ParseInt(keys[0].Str(), 10, 32); err != nil {
			return *at, sqlerr.New(sqlerr.InvalidTextRepresentation, "path element at position %d is not an integer: \"%s\"", level, keys[0].Str())
		}
	}
	have := int64(len(at.Elems))
	switch {
	case n < 0 && -n > have:
		return *at, sqlerr.New(sqlerr.InvalidParameterValue, "path element at position %d is out of range: %d", level, n)
	case n < 0:
		n += have
	case n-have > jsonGapMax:
		return *at, sqlerr.New(sqlerr.ProgramLimitExceeded, "path element at position %d is out of range: %d", level, n)
	}
	out := JSONValue{Kind: JSONArray, Elems: slices.Clone(at.Elems)}
	var old *JSONValue
	if n < have {
		old = &out.Elems[n]
	}
	elem, err := setJSON(old, keys[1:], level+1, value)
	if err != nil {
		return elem, err
	}
	for int64(len(out.Elems)) <= n {
		out.Elems = append(out.Elems, JSONValue{Kind: JSONNull})
	}
	out.Elems[n] = elem
	return out, nil
}
