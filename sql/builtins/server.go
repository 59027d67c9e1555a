package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// serverFuncs tell of encodings, collations and other things of which a server of Cairn has one.
func serverFuncs() []Overload {
	by, nm, tx := types.Bytea, types.Name, types.Text
	collation := fn("pg_collation_for", []types.T{types.Any}, tx, "name of a value's collation", nil).lenient().stable()
	collation.Bind = func(args []types.T) Fn {
		t := args[0].Plain()
		if elem, ok := t.Elem(); ok {
			t = elem.Plain()
		}
		return func(ectx, []datum) (datum, error) {
			switch {
			case t.OID == types.OIDName:
				return text(`"C"`)
			case t.IsString():
				return text(`"default"`)
			}
			return types.Null, sqlerr.New(sqlerr.DatatypeMismatch, "collations are not supported by type %s", args[0].Base())
		}
	}
	return []Overload{
		collation,
		fn("convert", []types.T{by, nm, nm}, by, "bytes of a text in another encoding", func(_ ectx, a []datum) (datum, error) {
			for i, role := range []string{1: "source", 2: "destination"} {
				if role == "" {
					continue
				}
				if !isUTF8(a[i].Str()) {
					return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "invalid %s encoding name \"%s\"", role, a[i].Str())
				}
			}
			_, err := types.ParseBinary(types.Text, []byte(a[0].Str()))
			return a[0], err
		}).stable(),
	}
}

func isUTF8(name string) bool {
	return name == "UTF8" || name == "utf8" || name == "UTF-8" || name == "utf-8"
}
