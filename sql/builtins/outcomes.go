package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// outcomeFuncs is cairn.transaction_outcome.
func outcomeFuncs() []Overload {
	const name = "cairn.transaction_outcome"
	return []Overload{fn(name, []types.T{types.Text}, types.Text,
		"what became of the transaction with an idempotency key; one that has not committed never will",
		func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Outcomes == nil {
				return types.Null, sqlerr.Unsupported("function %s() here", name)
			}
			o, err := ec.Outcomes.TransactionOutcome(ec.ctx(), a[0].Str())
			return types.NewText(o), err
		}).volatile()}
}
