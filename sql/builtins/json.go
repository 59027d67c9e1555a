package builtins

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// toJSON turns any value into JSON as to_json does.
func toJSON(ec ectx, t types.T, d datum) (types.JSONValue, error) {
	switch d.Kind() {
	case types.KindNull:
		return types.JSONValue{}, nil
	case types.KindBool:
		return types.JSONValue{Kind: types.JSONBool, Bool: d.Bool()}, nil
	case types.KindJSON, types.KindJSONB:
		return types.JSONOf(d), nil
	case types.KindArray:
		return arrayToJSON(ec, d)
	case types.KindRecord:
		return recordToJSON(ec, d.Record())
	case types.KindTimestamp, types.KindTimestampTZ:
		s := types.Format(t, d, ec.env())
		s = strings.Replace(s, " ", "T", 1)
		if d.Kind() == types.KindTimestampTZ && len(s) > 3 && (s[len(s)-3] == '+' || s[len(s)-3] == '-') {
			s += ":00"
		}
		return types.JSONValue{Kind: types.JSONString, Str: s}, nil
	}
	s := types.Format(t, d, ec.env())
	if t.IsNumeric() && t.OID != types.OIDRegClass && t.OID != types.OIDRegType {
		if n, err := types.ParseDecimal(s); err == nil && n.Form == apd.Finite {
			return types.JSONValue{Kind: types.JSONNumber, Num: n}, nil
		}
	}
	return types.JSONValue{Kind: types.JSONString, Str: s}, nil
}

func arrayToJSON(ec ectx, d datum) (types.JSONValue, error) {
	elems := d.Array().Elems
	shape := d.Array().Shape()
	var level func(k int) (types.JSONValue, error)
	level = func(k int) (types.JSONValue, error) {
		if k == len(shape) && k > 0 {
			e := elems[0]
			elems = elems[1:]
			return toJSON(ec, d.Array().Elem, e)
		}
		out := types.JSONValue{Kind: types.JSONArray}
		if k == len(shape) {
			return out, nil
		}
		for range shape[k].Len {
			v, err := level(k + 1)
			if err != nil {
				return out, err
			}
			out.Elems = append(out.Elems, v)
		}
		return out, nil
	}
	return level(0)
}

func recordToJSON(ec ectx, r *types.RecordValue) (types.JSONValue, error) {
	out := types.JSONValue{Kind: types.JSONObject}
	for i, e := range r.Vals {
		name := "f" + strconv.Itoa(i+1)
		if i < len(r.Names) && r.Names[i] != "" {
			name = r.Names[i]
		}
		v, err := toJSON(ec, r.Types[i], e)
		if err != nil {
			return out, err
		}
		out.Keys, out.Elems = append(out.Keys, name), append(out.Elems, v)
	}
	return out, nil
}

// jsonDatum makes a value of json or jsonb.
func jsonDatum(t types.T, v types.JSONValue) datum {
	if t.OID == types.OIDJSONB {
		return types.NewJSONB(v)
	}
	return types.NewJSON(string(types.AppendJSON(nil, v, false)))
}

func jsonText(v types.JSONValue) datum {
	switch v.Kind {
	case types.JSONNull:
		return types.Null
	case types.JSONString:
		return types.NewText(v.Str)
	}
	return types.NewText(string(types.AppendJSON(nil, v, true)))
}

func member(v types.JSONValue, key string) (types.JSONValue, bool) {
	if v.Kind == types.JSONObject {
		for i := len(v.Keys) - 1; i >= 0; i-- {
			if v.Keys[i] == key {
				return v.Elems[i], true
			}
		}
	}
	return types.JSONValue{}, false
}

func element(v types.JSONValue, i int64) (types.JSONValue, bool) {
	if v.Kind != types.JSONArray {
		return types.JSONValue{}, false
	}
	if i < 0 {
		i += int64(len(v.Elems))
	}
	if i < 0 || i >= int64(len(v.Elems)) {
		return types.JSONValue{}, false
	}
	return v.Elems[i], true
}

func path(v types.JSONValue, keys []datum) (types.JSONValue, bool) {
	for _, k := range keys {
		next, ok := member(v, k.Str())
		if v.Kind == types.JSONArray {
			i, err := strconv.ParseInt(k.Str(), 10, 64)
			next, ok = element(v, i)
			ok = ok && err == nil
		}
		if !ok || k.IsNull() {
			return types.JSONValue{}, false
		}
		v = next
	}
	return v, true
}

func jsonOps() []Overload {
	jb, tx, i4, bo, ta := types.JSONB, types.Text, types.Int4, types.Bool, types.TextArray
	var out []Overload
	for _, t := range []types.T{types.JSON, jb} {
		get := func(find func(v types.JSONValue, k datum) (types.JSONValue, bool), asText bool) Fn2 {
			return func(_ ectx, a, k datum) (datum, error) {
				v, ok := find(types.JSONOf(a), k)
				if !ok {
					return types.Null, nil
				}
				if asText {
					return jsonText(v), nil
				}
				return jsonDatum(t, v), nil
			}
		}
		byKey := func(v types.JSONValue, k datum) (types.JSONValue, bool) { return member(v, k.Str()) }
		byIndex := func(v types.JSONValue, k datum) (types.JSONValue, bool) { return element(v, k.Int()) }
		byPath := func(v types.JSONValue, k datum) (types.JSONValue, bool) { return path(v, k.Array().Elems) }
		out = append(out, op2("->", t, tx, t, "member by key", get(byKey, false)), op2("->>", t, tx, tx, "member by key as text", get(byKey, true)),
			op2("->", t, i4, t, "element by index", get(byIndex, false)), op2("->>", t, i4, tx, "element by index as text", get(byIndex, true)),
			op2("#>", t, ta, t, "value at a path", get(byPath, false)), op2("#>>", t, ta, tx, "value at a path as text", get(byPath, true)))
	}
	has := func(a datum, k string) bool {
		v := types.JSONOf(a)
		if _, ok := member(v, k); ok {
			return true
		}
		for _, e := range v.Elems {
			if v.Kind == types.JSONArray && e.Kind == types.JSONString && e.Str == k {
				return true
			}
		}
		return v.Kind == types.JSONString && v.Str == k
	}
	return append(out,
		op2("?", jb, tx, bo, "key exists", func(_ ectx, a, k datum) (datum, error) { return types.NewBool(has(a, k.Str())), nil }),
		op2("?|", jb, ta, bo, "any key exists", func(_ ectx, a, ks datum) (datum, error) {
			for _, k := range ks.Array().Elems {
				if has(a, k.Str()) {
					return types.NewBool(true), nil
				}
			}
			return types.NewBool(false), nil
		}),
		op2("?&", jb, ta, bo, "all keys exist", func(_ ectx, a, ks datum) (datum, error) {
			for _, k := range ks.Array().Elems {
				if !has(a, k.Str()) {
					return types.NewBool(false), nil
				}
			}
			return types.NewBool(true), nil
		}),
		op2("@>", jb, jb, bo, "contains", func(_ ectx, a, b datum) (datum, error) {
			return types.NewBool(jsonContains(types.JSONOf(a), types.JSONOf(b), true)), nil
		}),
		op2("<@", jb, jb, bo, "is contained in", func(_ ectx, a, b datum) (datum, error) {
			return types.NewBool(jsonContains(types.JSONOf(b), types.JSONOf(a), true)), nil
		}),
		op2("||", jb, jb, jb, "joined", func(_ ectx, a, b datum) (datum, error) { return jsonConcat(types.JSONOf(a), types.JSONOf(b)), nil }),
		op2("-", jb, tx, jb, "without a key", func(_ ectx, a, k datum) (datum, error) {
			return jsonDelete(types.JSONOf(a), func(_ int, key string) bool { return key == k.Str() })
		}),
		op2("-", jb, i4, jb, "without an element", func(_ ectx, a, k datum) (datum, error) {
			v := types.JSONOf(a)
			if v.Kind == types.JSONObject {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot delete from object using integer index")
			}
			n := k.Int()
			if n < 0 {
				n += int64(len(v.Elems))
			}
			return jsonDelete(v, func(i int, _ string) bool { return int64(i) == n })
		}))
}

func jsonDelete(v types.JSONValue, drop func(i int, key string) bool) (datum, error) {
	if v.Kind != types.JSONObject && v.Kind != types.JSONArray {
		return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot delete from scalar")
	}
	out := types.JSONValue{Kind: v.Kind}
	for i, e := range v.Elems {
		key := e.Str
		if v.Kind == types.JSONObject {
			key = v.Keys[i]
		} else if e.Kind != types.JSONString {
			key = "\x00"
		}
		if drop(i, key) {
			continue
		}
		out.Elems = append(out.Elems, e)
		if v.Kind == types.JSONObject {
			out.Keys = append(out.Keys, key)
		}
	}
	return types.NewJSONB(out), nil
}

func jsonContains(a, b types.JSONValue, top bool) bool {
	if a.Kind == types.JSONArray && b.Kind < types.JSONArray && top {
		b = types.JSONValue{Kind: types.JSONArray, Elems: []types.JSONValue{b}}
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case types.JSONObject:
		for i, k := range b.Keys {
			m, ok := member(a, k)
			if !ok || !jsonContains(m, b.Elems[i], false) {
				return false
			}
		}
		return true
	case types.JSONArray:
		for _, e := range b.Elems {
			found := false
			for _, x := range a.Elems {
				found = found || jsonContains(x, e, false)
			}
			if !found {
				return false
			}
		}
		return true
	}
	return types.CompareJSON(a, b) == 0
}

func jsonConcat(a, b types.JSONValue) datum {
	if a.Kind == types.JSONObject && b.Kind == types.JSONObject {
		return types.NewJSONB(types.JSONValue{Kind: types.JSONObject, Keys: append(a.Keys, b.Keys...), Elems: append(a.Elems, b.Elems...)})
	}
	list := func(v types.JSONValue) []types.JSONValue {
		if v.Kind == types.JSONArray {
			return v.Elems
		}
		return []types.JSONValue{v}
	}
	return types.NewJSONB(types.JSONValue{Kind: types.JSONArray, Elems: append(list(a), list(b)...)})
}

// jsonAny makes a function of arguments of any types.
func jsonAny(name string, args []types.T, ret types.T, doc string, f func(vs []types.JSONValue, a []datum, ts []types.T) (types.JSONValue, error)) Overload {
	o := fn(name, args, ret, doc, nil).lenient().stable()
	o.Bind = func(ts []types.T) Fn {
		return func(ec ectx, a []datum) (datum, error) {
			vs := make([]types.JSONValue, len(a))
			for i := range a {
				var err error
				if vs[i], err = toJSON(ec, ts[i], a[i]); err != nil {
					return types.Null, err
				}
			}
			v, err := f(vs, a, ts)
			if err != nil {
				return types.Null, err
			}
			return jsonDatum(ret, v), nil
		}
	}
	return o
}

func jsonFuncs() []Overload {
	js, jb, tx, i4 := types.JSON, types.JSONB, types.Text, types.Int4
	first := func(vs []types.JSONValue, _ []datum, _ []types.T) (types.JSONValue, error) { return vs[0], nil }
	list := func(vs []types.JSONValue, _ []datum, _ []types.T) (types.JSONValue, error) {
		return types.JSONValue{Kind: types.JSONArray, Elems: vs}, nil
	}
	var out []Overload
	toJ := func(name string, ret types.T) Overload {
		o := jsonAny(name, []types.T{types.Any}, ret, "as JSON", first)
		o.Strict = true
		return o
	}
	out = append(out, toJ("to_json", js), toJ("to_jsonb", jb), toJ("row_to_json", js), toJ("array_to_json", js))
	for name, t := range map[string]types.T{"json": js, "jsonb": jb} {
		out = append(out,
			jsonAny(name+"_build_array", []types.T{types.Any}, t, "array of the arguments", list).variadic(),
			jsonAny(name+"_build_object", []types.T{types.Any}, t, "object of keys and values", buildObject).variadic(),
			f1(name+"_typeof", t, tx, "kind of the value", func(_ ectx, a datum) (datum, error) { return text(types.JSONOf(a).TypeName()) }),
			f1(name+"_array_length", t, i4, "number of elements", func(_ ectx, a datum) (datum, error) {
				v := types.JSONOf(a)
				if v.Kind != types.JSONArray {
					return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot get array length of a %s", map[bool]string{true: "non-array", false: "scalar"}[v.Kind == types.JSONObject])
				}
				return types.NewInt(int64(len(v.Elems))), nil
			}),
			fn(name+"_extract_path", []types.T{t, tx}, t, "value at a path", func(_ ectx, a []datum) (datum, error) {
				v, ok := path(types.JSONOf(a[0]), a[1:])
				if !ok {
					return types.Null, nil
				}
				return jsonDatum(t, v), nil
			}).variadic(),
			fn(name+"_extract_path_text", []types.T{t, tx}, tx, "value at a path as text", func(_ ectx, a []datum) (datum, error) {
				v, ok := path(types.JSONOf(a[0]), a[1:])
				if !ok {
					return types.Null, nil
				}
				return jsonText(v), nil
			}).variadic())
	}
	return out
}

func buildObject(vs []types.JSONValue, a []datum, ts []types.T) (types.JSONValue, error) {
	out := types.JSONValue{Kind: types.JSONObject}
	if len(vs)%2 != 0 {
		return out, sqlerr.New(sqlerr.InvalidParameterValue, "argument list must have even number of elements").
			WithHint("The arguments of json_build_object() must consist of alternating keys and values.")
	}
	for i := 0; i < len(vs); i += 2 {
		if a[i].IsNull() {
			return out, sqlerr.New(sqlerr.InvalidParameterValue, "argument %d cannot be null", i+1).WithHint("Object keys should be text.")
		}
		key := vs[i].Str
		if vs[i].Kind != types.JSONString {
			key = string(types.AppendJSON(nil, vs[i], false))
		}
		out.Keys, out.Elems = append(out.Keys, key), append(out.Elems, vs[i+1])
	}
	return out, nil
}
