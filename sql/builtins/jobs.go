package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// jobFuncs are cairn.pause_job and its relatives. As pg_cancel_backend they act
// at once, whatever becomes of the transaction.
func jobFuncs() []Overload {
	ask := func(what, doc string) Overload {
		name := "cairn." + what + "_job"
		return fn(name, []types.T{types.Int8}, types.Bool, doc, func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Jobs == nil {
				return types.Null, sqlerr.Unsupported("function %s() here", name)
			}
			return types.NewBool(true), ec.Jobs.AskJob(ec.ctx(), a[0].Int(), what)
		}).volatile()
	}
	return []Overload{
		ask("pause", "has a job of cairn.jobs stop where it is; resume_job has it go on"),
		ask("resume", "has a paused job go on"),
		ask("cancel", "has a job stop and take back what it has done"),
	}
}
