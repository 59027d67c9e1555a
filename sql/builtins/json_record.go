package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// JSONRecord makes json_to_record and its kin for the columns that a query's AS gives them; nil if
// name is no such function.
//
//	{"a": 1, "b": "x"}  AS r(a int, b text)  ──►  1 | x
func JSONRecord(name string, cols []Column) *Overload {
	arg, many := types.JSON, false
	switch name {
	case "json_to_record":
	case "jsonb_to_record":
		arg = types.JSONB
	case "json_to_recordset":
		many = true
	case "jsonb_to_recordset":
		arg, many = types.JSONB, true
	default:
		return nil
	}
	o := srf(name, []types.T{arg}, types.Record, "rows of JSON objects", func(ec ectx, a []datum) (Rows, error) {
		v := types.JSONOf(a[0])
		objects := []types.JSONValue{v}
		switch {
		case many && v.Kind != types.JSONArray:
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot call %s on %s", name, jsonKindOf(v))
		case many:
			objects = v.Elems
		case v.Kind != types.JSONObject:
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot call populate_composite on %s", jsonKindOf(v))
		}
		rows := make([]types.Row, len(objects))
		for i, obj := range objects {
			if obj.Kind != types.JSONObject {
				return nil, sqlerr.New(sqlerr.InvalidParameterValue, "argument of %s must be an array of objects", name)
			}
			rows[i] = make(types.Row, len(cols))
			for j, c := range cols {
				m, _ := member(obj, c.Name)
				var err error
				if rows[i][j], err = fromJSON(ec, m, c.Type); err != nil {
					return nil, err
				}
			}
		}
		return rowsOf(rows), nil
	})
	o.Cols = func([]types.T) []Column { return cols }
	return &o
}

func jsonKindOf(v types.JSONValue) string {
	switch v.Kind {
	case types.JSONArray:
		return "an array"
	case types.JSONObject:
		return "an object"
	}
	return "a scalar"
}

// fromJSON reads a JSON value as one of a SQL type.
func fromJSON(ec ectx, v types.JSONValue, t types.T) (datum, error) {
	elem, array := t.Elem()
	switch {
	case v.Kind == types.JSONNull:
		return types.Null, nil
	case t.OID == types.OIDJSON || t.OID == types.OIDJSONB:
		return jsonDatum(t, v), nil
	case t.IsComposite() && v.Kind == types.JSONObject:
		row, err := populateRow(ec, v, t, types.Null)
		if err != nil {
			return types.Null, err
		}
		return types.NewComposite(t, row), nil
	case array && v.Kind == types.JSONArray:
		out := make([]datum, len(v.Elems))
		for i, e := range v.Elems {
			var err error
			if out[i], err = fromJSON(ec, e, elem); err != nil {
				return types.Null, err
			}
		}
		return types.NewArray(elem.Base(), out), nil
	case array:
		return types.Null, sqlerr.New(sqlerr.InvalidTextRepresentation, "expected JSON array")
	case v.Kind == types.JSONString:
		return types.ParseText(t, v.Str, ec.env())
	}
	return types.ParseText(t, string(types.AppendJSON(nil, v, true)), ec.env())
}
