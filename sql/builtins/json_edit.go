package builtins

import (
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// jsonEdits are the functions that make a jsonb value out of another one.
func jsonEdits() []Overload {
	jb, ta, bo, tx := types.JSONB, types.TextArray, types.Bool, types.Text
	edit := func(insert bool) Fn {
		return func(_ ectx, a []datum) (datum, error) {
			flag := !insert // jsonb_set creates what is missing, jsonb_insert inserts before
			if len(a) > 3 {
				flag = a[3].Bool()
			}
			e := jsonEdit{value: types.JSONOf(a[2]), insert: insert, flag: flag}
			root := types.JSONOf(a[0])
			if root.Kind != types.JSONArray && root.Kind != types.JSONObject {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot set path in scalar")
			}
			v, err := e.at(root, a[1].Array().Elems, 1)
			return types.NewJSONB(v), err
		}
	}
	return []Overload{
		fn("jsonb_set", []types.T{jb, ta, jb, bo}, jb, "with the value at a path replaced", edit(false)).defaults(1),
		fn("jsonb_insert", []types.T{jb, ta, jb, bo}, jb, "with a value inserted at a path", edit(true)).defaults(1),
		f1("jsonb_pretty", jb, tx, "as indented text", func(_ ectx, a datum) (datum, error) {
			return text(string(appendPretty(nil, types.JSONOf(a), 0)))
		}),
	}
}

type jsonEdit struct {
	value        types.JSONValue
	insert, flag bool
}

func (e jsonEdit) at(v types.JSONValue, path []datum, depth int) (types.JSONValue, error) {
	if len(path) == 0 {
		return v, nil
	}
	if path[0].IsNull() {
		return v, sqlerr.New(sqlerr.NullValueNotAllowed, "path element at position %d is null", depth)
	}
	switch v.Kind {
	case types.JSONObject:
		return e.inObject(v, path, depth)
	case types.JSONArray:
		return e.inArray(v, path, depth)
	}
	return v, nil
}

func (e jsonEdit) inObject(v types.JSONValue, path []datum, depth int) (types.JSONValue, error) {
	out := types.JSONValue{Kind: v.Kind, Keys: append([]string(nil), v.Keys...), Elems: append([]types.JSONValue(nil), v.Elems...)}
	key := path[0].Str()
	for i, k := range out.Keys {
		if k != key {
			continue
		}
		var err error
		switch {
		case len(path) > 1:
			out.Elems[i], err = e.at(out.Elems[i], path[1:], depth+1)
		case e.insert:
			err = sqlerr.New(sqlerr.InvalidParameterValue, "cannot replace existing key").
				WithHint("Try using the function jsonb_set to replace key value.")
		default:
			out.Elems[i] = e.value
		}
		return out, err
	}
	if len(path) == 1 && (e.insert || e.flag) {
		out.Keys, out.Elems = append(out.Keys, key), append(out.Elems, e.value)
	}
	return out, nil
}

func (e jsonEdit) inArray(v types.JSONValue, path []datum, depth int) (types.JSONValue, error) {
	n, err := strconv.Atoi(path[0].Str())
	if err != nil {
		return v, sqlerr.New(sqlerr.InvalidTextRepresentation, "path element at position %d is not an integer: \"%s\"", depth, path[0].Str())
	}
	out := types.JSONValue{Kind: v.Kind, Elems: append([]types.JSONValue(nil), v.Elems...)}
	i, size := n, len(out.Elems)
	if i < 0 {
		i += size
	}
	inside := i >= 0 && i < size
	switch {
	case len(path) > 1:
		if inside {
			out.Elems[i], err = e.at(out.Elems[i], path[1:], depth+1)
		}
	case inside && !e.insert:
		out.Elems[i] = e.value
	case e.insert || e.flag:
		if e.insert && e.flag && inside {
			i++
		}
		i = max(0, min(i, size))
		out.Elems = append(out.Elems[:i], append([]types.JSONValue{e.value}, out.Elems[i:]...)...)
	}
	return out, err
}

func appendPretty(dst []byte, v types.JSONValue, depth int) []byte {
	open, end := byte('['), byte(']')
	switch v.Kind {
	case types.JSONObject:
		open, end = '{', '}'
	case types.JSONArray:
	default:
		return types.AppendJSON(dst, v, true)
	}
	dst = append(dst, open)
	for i, e := range v.Elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "\n"+strings.Repeat("    ", depth+1)...)
		if v.Kind == types.JSONObject {
			dst = append(types.AppendJSONString(dst, v.Keys[i]), ": "...)
		}
		dst = appendPretty(dst, e, depth+1)
	}
	return append(append(dst, "\n"+strings.Repeat("    ", depth)...), end)
}
