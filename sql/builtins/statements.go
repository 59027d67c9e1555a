package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// statementFuncs is what the extension pg_stat_statements has beside its views.
func statementFuncs() []Overload {
	const name = "pg_stat_statements_reset"
	oid := types.Oid
	return []Overload{fn(name, []types.T{oid, oid, types.Int8}, types.Void,
		"forgets what was counted of statements, of a role, a database or with a number if they are not 0", func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Statements == nil {
				return types.Null, sqlerr.Unsupported("function %s() here", name)
			}
			var role, db types.OID
			var number int64
			for i, d := range a {
				switch i {
				case 0:
					role = d.OID()
				case 1:
					db = d.OID()
				default:
					number = d.Int()
				}
			}
			return types.NewText(""), ec.Statements.ResetStatements(ec.ctx(), role, db, number)
		}).defaults(3).volatile()}
}
