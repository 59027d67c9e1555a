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
	const explain = "cairn.explain_change"
	steps := srf(explain, []types.T{types.Text}, types.Text,
		"the steps of a statement that changes the schema: what it reads and writes, and who waits", func(ec ectx, a []datum) (Rows, error) {
			if ec == nil || ec.Jobs == nil {
				return nil, sqlerr.Unsupported("function %s() here", explain)
			}
			lines, err := ec.Jobs.ExplainChange(ec.ctx(), a[0].Str())
			rows := make([]datum, len(lines))
			for i, l := range lines {
				rows[i] = types.NewText(l)
			}
			return single(rows), err
		}).volatile()
	return []Overload{steps,
		ask("pause", "has a job of cairn.jobs stop where it is; resume_job has it go on"),
		ask("resume", "has a paused job go on"),
		ask("cancel", "has a job stop and take back what it has done"),
	}
}
