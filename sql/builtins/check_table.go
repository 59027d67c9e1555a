package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// checkFuncs is cairn.check_table.
func checkFuncs() []Overload {
	const name = "cairn.check_table"
	return []Overload{fn(name, []types.T{types.RegClass}, types.Text,
		"compares a table's indexes with its rows, says what it found, and records it in cairn.integrity",
		func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Tables == nil {
				return types.Null, sqlerr.Unsupported("function %s() here", name)
			}
			said, err := ec.Tables.CheckTable(ec.ctx(), types.OID(a[0].Int()))
			return types.NewText(said), err
		}).volatile()}
}
