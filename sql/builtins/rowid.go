package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// rowIDFuncs is the default of the hidden primary key.
func rowIDFuncs() []Overload {
	return []Overload{{
		Name: "unique_rowid", Class: Scalar, Ret: types.Int8, Vol: Volatile,
		Doc: "A number that no other call in the cluster returns; later calls on one node return higher ones.",
		Fn: func(ec *EvalContext, _ []types.Datum) (types.Datum, error) {
			if ec == nil || ec.RowID == nil {
				return types.Null, sqlerr.Unsupported("function unique_rowid() here")
			}
			return types.NewInt(ec.RowID()), nil
		},
	}}
}
