package builtins

import (
	"strings"
	"time"

	"github.com/cairndb/cairn/sql/types"
)

// psqlFuncs are what psql's \d and pg_dump ask about things that Cairn does not have (rules, triggers,
// partitions, extended statistics, publications): there are none, so NULL.
func psqlFuncs() []Overload {
	oid := []types.T{types.Oid}
	none := func(name string, args []types.T) Overload {
		return fn(name, args, types.Text, "NULL: there is nothing of the kind.",
			func(ectx, []datum) (datum, error) { return types.Null, nil }).stable()
	}
	out := []Overload{
		none("pg_get_statisticsobjdef_columns", oid), none("pg_get_partkeydef", oid),
		none("pg_get_ruledef", oid), none("pg_get_ruledef", []types.T{types.Oid, types.Bool}),
		none("pg_get_triggerdef", oid), none("pg_get_triggerdef", []types.T{types.Oid, types.Bool}),
		functionPart("pg_get_function_result", "what a function of a user returns", FunctionResult),
		functionPart("pg_get_function_arguments", "parameters of a function of a user, with defaults", FunctionArguments),
		functionPart("pg_get_function_identity_arguments", "parameters of a function of a user, as DROP takes them", FunctionIdentity),
		functionPart("pg_get_function_sqlbody", "body of a function of a user in the form of the SQL standard", FunctionBody),
		functionPart("pg_get_functiondef", "definition of a function of a user", FunctionDefinition),
		none("pg_get_statisticsobjdef", oid),
		none("pg_tablespace_location", oid),
		fn("pg_tablespace_size", oid, types.Int8, "NULL: there are no tablespaces.",
			func(ectx, []datum) (datum, error) { return types.Null, nil }).stable(),
		catalogFn("pg_describe_object", []types.T{types.Oid, types.Oid, types.Int4}, types.Text, "words for an object of a catalog",
			func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
				s, ok, err := c.Describe(ec.ctx(), a[0].OID(), a[1].OID(), int(a[2].Int()))
				return types.NewText(s), ok, err
			}),
		fn("pg_relation_is_publishable", []types.T{types.RegClass}, types.Bool, "False: there are no publications.",
			func(ectx, []datum) (datum, error) { return types.NewBool(false), nil }).stable(),
	}
	ancestors := srf("pg_partition_ancestors", []types.T{types.RegClass}, types.RegClass, "Nothing: there are no partitions.",
		func(ectx, []datum) (Rows, error) { return rowsOf(nil), nil })
	return append(out, sleepFunc(), optionsFunc(), ancestors)
}

// FunctionPart is what pg_get_functiondef and its relatives print.
type FunctionPart uint8

// Parts of functions.
const (
	FunctionDefinition FunctionPart = iota
	FunctionArguments
	FunctionIdentity
	FunctionResult
	FunctionBody
)

func functionPart(name, doc string, part FunctionPart) Overload {
	return catalogFn(name, []types.T{types.Oid}, types.Text, doc, func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
		s, ok, err := c.FunctionPart(ec.ctx(), a[0].OID(), part)
		return types.NewText(s), ok, err
	})
}

// optionsFunc cuts storage options, name=value, as pg_class.reloptions keeps them.
func optionsFunc() Overload {
	o := srf("pg_options_to_table", []types.T{types.TextArray}, types.Record, "Options of an object by name.",
		func(_ ectx, a []datum) (Rows, error) {
			var rows []types.Row
			for _, d := range a[0].Array().Elems {
				name, value, ok := strings.Cut(d.Str(), "=")
				row := types.Row{types.NewText(name), types.Null}
				if ok {
					row[1] = types.NewText(value)
				}
				rows = append(rows, row)
			}
			return rowsOf(rows), nil
		}).stable()
	o.Cols = func([]types.T) []Column {
		return []Column{{Name: "option_name", Type: types.Text}, {Name: "option_value", Type: types.Text}}
	}
	return o
}

// sleepFunc is pg_sleep; a cancelled statement wakes up.
func sleepFunc() Overload {
	return Overload{Name: "pg_sleep", Class: Scalar, Args: []types.T{types.Float8}, Ret: types.Void, Vol: Volatile,
		Strict: true, Doc: "Waits for so many seconds.",
		Fn1: func(ec *EvalContext, a types.Datum) (types.Datum, error) {
			return sleep(ec, time.Duration(a.Float()*float64(time.Second)))
		}}
}
