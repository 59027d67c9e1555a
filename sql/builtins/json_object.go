package builtins

import (
	"slices"
	"strconv"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// jsonObjects make objects out of arrays and of rows, and take NULLs out of them.
func jsonObjects() []Overload {
	var out []Overload
	for name, t := range map[string]types.T{"json": types.JSON, "jsonb": types.JSONB} {
		out = append(out,
			f1(name+"_object", types.TextArray, t, "object of alternating keys and values", func(_ ectx, a datum) (datum, error) {
				es := a.Array().Elems
				if len(es)%2 != 0 {
					return types.Null, sqlerr.New(sqlerr.ArraySubscriptError, "array must have even number of elements")
				}
				var ks, vs []datum
				for i := 0; i < len(es); i += 2 {
					ks, vs = append(ks, es[i]), append(vs, es[i+1])
				}
				return objectOf(t, ks, vs)
			}),
			f2(name+"_object", types.TextArray, types.TextArray, t, "object of keys and values", func(_ ectx, k, v datum) (datum, error) {
				if len(k.Array().Elems) != len(v.Array().Elems) {
					return types.Null, sqlerr.New(sqlerr.ArraySubscriptError, "mismatched array dimensions")
				}
				return objectOf(t, k.Array().Elems, v.Array().Elems)
			}),
			f1(name+"_strip_nulls", t, t, "without members that are null", func(_ ectx, a datum) (datum, error) {
				return jsonDatum(t, stripNulls(types.JSONOf(a))), nil
			}),
			lenientAgg(agg(name+"_object_agg", []types.T{types.Any, types.Any}, t, "object of keys and values of the rows", func(ts []types.T) Aggregator {
				return &jsonObjectAgg{name: name, ret: t, types: ts, v: types.JSONValue{Kind: types.JSONObject}}
			})))
	}
	jb, tx, bo := types.JSONB, types.Text, types.Bool
	set := fn("jsonb_set_lax", []types.T{jb, types.TextArray, jb, bo, tx}, jb, "jsonb_set that says what SQL's NULL is to do", setLax).defaults(2).lenient()
	return append(out, set)
}

func objectOf(t types.T, ks, vs []datum) (datum, error) {
	v := types.JSONValue{Kind: types.JSONObject}
	for i, k := range ks {
		if k.IsNull() {
			return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "null value not allowed for object key")
		}
		e := types.JSONValue{}
		if !vs[i].IsNull() {
			e = types.JSONValue{Kind: types.JSONString, Str: vs[i].Str()}
		}
		v.Keys, v.Elems = append(v.Keys, k.Str()), append(v.Elems, e)
	}
	if t.OID == types.OIDJSON {
		return types.NewJSON(string(appendBuilt(nil, v))), nil
	}
	return jsonDatum(t, v), nil
}

// appendBuilt prints an object as json_object and its kin build it.
func appendBuilt(dst []byte, v types.JSONValue) []byte {
	dst = append(dst, '{')
	for i, k := range v.Keys {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(types.AppendJSONString(dst, k), " : "...)
		dst = types.AppendJSON(dst, v.Elems[i], true)
	}
	return append(dst, '}')
}

func stripNulls(v types.JSONValue) types.JSONValue {
	out := v
	out.Keys, out.Elems = nil, nil
	for i, e := range v.Elems {
		if v.Kind == types.JSONObject {
			if e.Kind == types.JSONNull {
				continue
			}
			out.Keys = append(out.Keys, v.Keys[i])
		}
		out.Elems = append(out.Elems, stripNulls(e))
	}
	return out
}

type jsonObjectAgg struct {
	name  string
	ret   types.T
	types []types.T
	v     types.JSONValue
	some  bool
}

func (s *jsonObjectAgg) Add(ec ectx, a []datum) error {
	if a[0].IsNull() {
		if s.ret.OID == types.OIDJSONB {
			return sqlerr.New(sqlerr.InvalidParameterValue, "field name must not be null")
		}
		return sqlerr.New(sqlerr.InvalidParameterValue, "field name must not be null")
	}
	e, err := toJSON(ec, s.types[1], a[1])
	s.some = true
	s.v.Keys, s.v.Elems = append(s.v.Keys, castText(ec, s.types[0], a[0])), append(s.v.Elems, e)
	return err
}

func (s *jsonObjectAgg) Result(ectx) (datum, error) {
	switch {
	case !s.some:
		return types.Null, nil
	case s.ret.OID == types.OIDJSON:
		b := append([]byte("{ "), appendBuilt(nil, s.v)[1:]...)
		return types.NewJSON(string(append(b[:len(b)-1], " }"...))), nil
	}
	return types.NewJSONB(s.v), nil
}

func setLax(ec ectx, a []datum) (datum, error) {
	if a[0].IsNull() || a[1].IsNull() || len(a) > 3 && a[3].IsNull() {
		return types.Null, nil
	}
	create := len(a) < 4 || a[3].Bool()
	how := "use_json_null"
	if len(a) > 4 {
		if a[4].IsNull() {
			return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
		}
		how = a[4].Str()
	}
	e := jsonEdit{flag: create}
	if !a[2].IsNull() {
		e.value = types.JSONOf(a[2])
		v, err := e.at(types.JSONOf(a[0]), a[1].Array().Elems, 1)
		return types.NewJSONB(v), err
	}
	switch how {
	case "raise_exception":
		return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "JSON value must not be null").
			WithDetail("Exception was raised because null_value_treatment is \"raise_exception\".").
			WithHint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")
	case "use_json_null":
		v, err := e.at(types.JSONOf(a[0]), a[1].Array().Elems, 1)
		return types.NewJSONB(v), err
	case "return_target":
		return a[0], nil
	case "delete_key":
		return types.NewJSONB(deletePath(types.JSONOf(a[0]), a[1].Array().Elems)), nil
	}
	return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
}

// deletePath is the #- operator.
func deletePath(v types.JSONValue, path []datum) types.JSONValue {
	if len(path) == 0 || path[0].IsNull() {
		return v
	}
	at := -1
	switch v.Kind {
	case types.JSONObject:
		at = slices.Index(v.Keys, path[0].Str())
	case types.JSONArray:
		if n, err := strconv.Atoi(path[0].Str()); err == nil {
			if n < 0 {
				n += len(v.Elems)
			}
			if n < len(v.Elems) {
				at = n
			}
		}
	}
	if at < 0 {
		return v
	}
	out := v
	out.Keys, out.Elems = slices.Clone(v.Keys), slices.Clone(v.Elems)
	if len(path) > 1 {
		out.Elems[at] = deletePath(v.Elems[at], path[1:])
		return out
	}
	out.Elems = slices.Delete(out.Elems, at, at+1)
	if v.Kind == types.JSONObject {
		out.Keys = slices.Delete(out.Keys, at, at+1)
	}
	return out
}

// jsonDeletes are the operators that take members out by keys and by path.
func jsonDeletes() []Overload {
	jb, ta := types.JSONB, types.TextArray
	path := func(_ ectx, a, p datum) (datum, error) {
		v := types.JSONOf(a)
		if v.Kind != types.JSONObject && v.Kind != types.JSONArray {
			return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot delete path in scalar")
		}
		return types.NewJSONB(deletePath(v, p.Array().Elems)), nil
	}
	return []Overload{
		op2("#-", jb, ta, jb, "without what is at a path", path),
		f2("jsonb_delete_path", jb, ta, jb, "without what is at a path", path),
		op2("-", jb, ta, jb, "without keys", func(_ ectx, a, ks datum) (datum, error) {
			return jsonDelete(types.JSONOf(a), func(_ int, key string) bool {
				return slices.ContainsFunc(ks.Array().Elems, func(k datum) bool { return !k.IsNull() && k.Str() == key })
			})
		}),
	}
}
