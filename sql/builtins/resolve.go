package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func allGroups() [][]Overload { return nil }

// ResolveFunc chooses the overload of a function for argument types, where types.Unknown is an
// untyped literal or parameter. Errors are 42883 and 42725, worded as Postgres does.
func ResolveFunc(name string, args []types.T) (Match, error) {
	return Match{}, sqlerr.Unsupported("functions")
}

// ResolveOp chooses the overload of an operator; left is the zero T for a prefix operator.
func ResolveOp(op string, left, right types.T) (Match, error) {
	return Match{}, sqlerr.Unsupported("operators")
}

// CommonType chooses the type of UNION, CASE, COALESCE, VALUES, ARRAY[] and IN columns, as the
// manual's section 10.5 says. context names the construct for the error message ("CASE").
func CommonType(context string, ts []types.T) (types.T, error) {
	return types.T{}, sqlerr.Unsupported("common types")
}
