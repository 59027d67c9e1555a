package builtins

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// nextRow makes Rows of a function that gives one row after the other.
type nextRow func() (types.Row, bool, error)

// Next calls the function.
func (f nextRow) Next() (types.Row, bool, error) { return f() }

func rowsOf(rows []types.Row) Rows {
	i := 0
	return nextRow(func() (types.Row, bool, error) {
		if i == len(rows) {
			return nil, false, nil
		}
		i++
		return rows[i-1], true, nil
	})
}

func single(vals []datum) Rows {
	rows := make([]types.Row, len(vals))
	for i := range vals {
		rows[i] = types.Row{vals[i]}
	}
	return rowsOf(rows)
}

func srf(name string, args []types.T, ret types.T, doc string, f func(ec ectx, a []datum) (Rows, error)) Overload {
	return Overload{Name: name, Class: SetReturning, Args: args, Ret: ret, Vol: Immutable, Strict: true, Doc: doc,
		Series: func(ec *EvalContext, a []datum) (Rows, error) {
			for _, d := range a {
				if d.IsNull() {
					return rowsOf(nil), nil
				}
			}
			return f(ec, a)
		}}
}

var errStepZero = sqlerr.New(sqlerr.InvalidParameterValue, "step size cannot equal zero")

func seriesFuncs() []Overload {
	tx := types.Text
	var cache regexCache
	out := []Overload{
		intSeries(types.Int4), intSeries(types.Int8),
		srf("generate_series", []types.T{types.Numeric, types.Numeric, types.Numeric}, types.Numeric, "numbers from start to stop", numericSeries).defaults(1),
		srf("generate_series", []types.T{types.Timestamp, types.Timestamp, types.Interval}, types.Timestamp, "times from start to stop", stampSeries),
		srf("generate_series", []types.T{types.TimestampTZ, types.TimestampTZ, types.Interval}, types.TimestampTZ, "times from start to stop", stampSeries).stable(),
		srf("unnest", []types.T{types.AnyArray}, types.AnyElement, "elements of an array", func(_ ectx, a []datum) (Rows, error) { return single(a[0].Array().Elems), nil }),
		vectorSubscripts(types.OIDInt2Vector), vectorSubscripts(types.OIDOidVector),
		srf("generate_subscripts", []types.T{types.AnyArray, types.Int4}, types.Int4, "subscripts of an array", func(ec ectx, a []datum) (Rows, error) {
			shape, n := a[0].Array().Shape(), a[1].Int()
			if n < 1 || n > int64(len(shape)) {
				return rowsOf(nil), nil
			}
			return intRows(int64(shape[n-1].Lower), int64(shape[n-1].Upper()), 1), nil
		}),
		srf("regexp_split_to_table", []types.T{tx, tx, tx}, tx, "parts between matches", func(_ ectx, a []datum) (Rows, error) {
			re, err := cache.get(a[1].Str(), flagsOf(a, 2))
			if err != nil {
				return nil, err
			}
			return single(textArray(re.Split(a[0].Str(), -1)).Array().Elems), nil
		}).defaults(1),
		srf("regexp_matches", []types.T{tx, tx, tx}, types.TextArray, "groups of the first match, or of all with flag g", func(_ ectx, a []datum) (Rows, error) {
			re, err := cache.get(a[1].Str(), flagsOf(a, 2))
			if err != nil {
				return nil, err
			}
			n := 1
			for _, c := range flagsOf(a, 2) {
				if c == 'g' {
					n = -1
				}
			}
			var out []datum
			for _, at := range re.FindAllStringSubmatchIndex(a[0].Str(), n) {
				out = append(out, groups(a[0].Str(), at))
			}
			return single(out), nil
		}).defaults(1),
		stringToTable(),
	}
	for name, t := range map[string]types.T{"json": types.JSON, "jsonb": types.JSONB} {
		out = append(out, jsonSeries(name, t)...)
	}
	return out
}

func stringToTable() Overload {
	o := srf("string_to_table", []types.T{types.Text, types.Text, types.Text}, types.Text, "parts of a delimited text", nil).defaults(1)
	o.Strict = false
	o.Series = func(_ *EvalContext, a []datum) (Rows, error) {
		if a[0].IsNull() {
			return rowsOf(nil), nil
		}
		return single(splitText(a).Array().Elems), nil
	}
	return o
}

func intSeries(t types.T) Overload {
	return srf("generate_series", []types.T{t, t, t}, t, "numbers from start to stop", func(_ ectx, a []datum) (Rows, error) {
		step := int64(1)
		if len(a) > 2 {
			step = a[2].Int()
		}
		if step == 0 {
			return nil, errStepZero
		}
		return intRows(a[0].Int(), a[1].Int(), step), nil
	}).defaults(1)
}

// vectorSubscripts is generate_subscripts of an array that begins at 0.
func vectorSubscripts(vector types.OID) Overload {
	return srf("generate_subscripts", []types.T{{OID: vector, Mod: -1}, types.Int4}, types.Int4, "subscripts of an array",
		func(_ ectx, a []datum) (Rows, error) {
			return intRows(0, int64(len(a[0].Array().Elems))*int64(boolInt(a[1].Int() == 1))-1, 1), nil
		})
}

func intRows(at, stop, step int64) Rows {
	row, done := make(types.Row, 1), false
	return nextRow(func() (types.Row, bool, error) {
		if done || step > 0 && at > stop || step < 0 && at < stop {
			return nil, false, nil
		}
		row[0] = types.NewInt(at)
		next, ok := addInt(at, step)
		at, done = next, !ok
		return row, true, nil
	})
}

func numericSeries(_ ectx, a []datum) (Rows, error) {
	step := types.NewDecimal(apd.New(1, 0))
	if len(a) > 2 {
		step = a[2]
	}
	for i, d := range append([]datum{step}, a...) {
		if d.Decimal().Form != apd.Finite {
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "%s value cannot be NaN or infinity", [...]string{"step size", "start", "stop", "step size"}[i])
		}
	}
	if step.Decimal().IsZero() {
		return nil, errStepZero
	}
	at, sign := a[0], step.Decimal().Sign()
	return nextRow(func() (types.Row, bool, error) {
		if types.Compare(at, a[1])*sign > 0 {
			return nil, false, nil
		}
		row := types.Row{at}
		var err error
		at, err = addDecimals(nil, at, step)
		return row, true, err
	}), nil
}

func stampSeries(ec ectx, a []datum) (Rows, error) {
	step := a[2].Interval()
	sign := types.Compare(a[2], types.NewInterval(types.IntervalValue{}))
	if sign == 0 {
		return nil, errStepZero
	}
	at := a[0]
	return nextRow(func() (types.Row, bool, error) {
		if types.Compare(at, a[1])*sign > 0 {
			return nil, false, nil
		}
		row := types.Row{at}
		var err error
		at, err = plusInterval(ec, at, step)
		return row, true, err
	}), nil
}

func jsonSeries(name string, t types.T) []Overload {
	elements := func(asText bool) func(ec ectx, a []datum) (Rows, error) {
		return func(_ ectx, a []datum) (Rows, error) {
			v := types.JSONOf(a[0])
			if v.Kind != types.JSONArray {
				return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot extract elements from %s", map[bool]string{true: "an object", false: "a scalar"}[v.Kind == types.JSONObject])
			}
			out := make([]datum, len(v.Elems))
			for i, e := range v.Elems {
				out[i] = pick(t, e, asText)
			}
			return single(out), nil
		}
	}
	each := func(asText bool) func(ec ectx, a []datum) (Rows, error) {
		return func(_ ectx, a []datum) (Rows, error) {
			v := types.JSONOf(a[0])
			if v.Kind != types.JSONObject {
				return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot call %s_each on a non-object", name)
			}
			rows := make([]types.Row, len(v.Elems))
			for i, e := range v.Elems {
				rows[i] = types.Row{types.NewText(v.Keys[i]), pick(t, e, asText)}
			}
			return rowsOf(rows), nil
		}
	}
	pair := func(o Overload, val types.T) Overload {
		o.Cols = func([]types.T) []Column { return []Column{{"key", types.Text}, {"value", val}} }
		return o
	}
	named := func(o Overload) Overload {
		ret := o.Ret
		o.Cols = func([]types.T) []Column { return []Column{{"value", ret}} }
		return o
	}
	one := []types.T{t}
	return []Overload{
		named(srf(name+"_array_elements", one, t, "elements of an array", elements(false))),
		named(srf(name+"_array_elements_text", one, types.Text, "elements of an array as text", elements(true))),
		pair(srf(name+"_each", one, types.Record, "members of an object", each(false)), t),
		pair(srf(name+"_each_text", one, types.Record, "members of an object as text", each(true)), types.Text),
		srf(name+"_object_keys", one, types.Text, "keys of an object", func(_ ectx, a []datum) (Rows, error) {
			v := types.JSONOf(a[0])
			if v.Kind != types.JSONObject {
				return nil, sqlerr.New(sqlerr.InvalidParameterValue, "cannot call %s_object_keys on a non-object", name)
			}
			return single(textArray(v.Keys).Array().Elems), nil
		}),
	}
}

func pick(t types.T, v types.JSONValue, asText bool) datum {
	if asText {
		return jsonText(v)
	}
	return jsonDatum(t, v)
}
