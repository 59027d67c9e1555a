package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// signalFuncs are those that interrupt other sessions.
func signalFuncs() []Overload {
	signal := func(name string, args []types.T, terminate bool, doc string) Overload {
		return fn(name, args, types.Bool, doc, func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Sessions == nil {
				return types.Null, sqlerr.Unsupported("function %s() here", name)
			}
			found, err := ec.Sessions.SignalSession(ec.ctx(), int32(a[0].Int()), terminate)
			return types.NewBool(found), err
		}).volatile()
	}
	return []Overload{
		signal("pg_cancel_backend", []types.T{types.Int4}, false, "cancels what a session of any node runs"),
		signal("pg_terminate_backend", []types.T{types.Int4, types.Int8}, true, "ends a session of any node; does not wait for its end").defaults(1),
	}
}
