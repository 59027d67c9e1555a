package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// JSONPopulate makes json_populate_record and its kin for a composite type, to stand in FROM; nil if
// name is no such function. What an object does not have comes from the first argument.
func JSONPopulate(name string, row types.T) *Overload {
	arg, many := types.JSON, false
	switch name {
	case "json_populate_record":
	case "jsonb_populate_record":
		arg = types.JSONB
	case "json_populate_recordset":
		many = true
	case "jsonb_populate_recordset":
		arg, many = types.JSONB, true
	default:
		return nil
	}
	series := func(ec ectx, a []datum) (Rows, error) {
		if a[1].IsNull() {
			if many {
				return rowsOf(nil), nil
			}
			return rowsOf([]types.Row{populateBase(row, a[0])}), nil
		}
		objects := []types.JSONValue{types.JSONOf(a[1])}
		if many {
			if objects[0].Kind != types.JSONArray {
				return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot call %s on %s", name, jsonKindOf(objects[0]))
			}
			objects = objects[0].Elems
		}
		rows := make([]types.Row, len(objects))
		for i, obj := range objects {
			if many && obj.Kind != types.JSONObject {
				return nil, sqlerr.New(sqlerr.InvalidParameterValue, "argument of %s must be an array of objects", name)
			}
			var err error
			if rows[i], err = populateRow(ec, obj, row, a[0]); err != nil {
				return nil, err
			}
		}
		return rowsOf(rows), nil
	}
	o := Overload{Name: name, Class: SetReturning, Args: []types.T{row, arg}, Ret: types.Record, Vol: Stable, Series: series,
		Doc: "rows of JSON objects, of the first argument's type"}
	o.Cols = func([]types.T) []Column {
		names, ts := row.Fields()
		cols := make([]Column, len(names))
		for i := range names {
			cols[i] = Column{Name: names[i], Type: ts[i]}
		}
		return cols
	}
	return &o
}

func populateBase(t types.T, base datum) types.Row {
	if base.IsNull() {
		return make(types.Row, len(t.User.Fields))
	}
	return append(types.Row(nil), base.Record().Vals...)
}

func populateRow(ec ectx, obj types.JSONValue, t types.T, base datum) (types.Row, error) {
	if obj.Kind != types.JSONObject {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot call populate_composite on %s", jsonKindOf(obj))
	}
	row := populateBase(t, base)
	names, ts := t.Fields()
	for i, name := range names {
		v, ok := member(obj, name)
		if !ok {
			continue
		}
		var err error
		if row[i], err = fromJSON(ec, v, ts[i]); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// populateFuncs are json_populate_record as a value.
func populateFuncs() []Overload {
	var out []Overload
	for _, arg := range []types.T{types.JSON, types.JSONB} {
		name := arg.TypeName() + "_populate_record"
		o := fn(name, []types.T{types.AnyElement, arg}, types.AnyElement, "row of a JSON object, of the first argument's type", nil).lenient().stable()
		o.Bind = func(args []types.T) Fn {
			t := args[0]
			return func(ec ectx, a []datum) (datum, error) {
				if !t.IsComposite() {
					return types.Null, sqlerr.New(sqlerr.DatatypeMismatch, "first argument of %s must be a row type", name)
				}
				if a[1].IsNull() {
					return a[0], nil
				}
				row, err := populateRow(ec, types.JSONOf(a[1]), t, a[0])
				if err != nil {
					return types.Null, err
				}
				return types.NewComposite(t, row), nil
			}
		}
		out = append(out, o)
	}
	return out
}
