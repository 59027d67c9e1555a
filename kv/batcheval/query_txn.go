package batcheval

import "github.com/cairndb/cairn/kv/kvapi"

// evalQueryTxn looks at a transaction without touching it. Who waits for it is
// known to the wait queue, not here.
func evalQueryTxn(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if r.Push == nil {
		return kvapi.NewError(kvapi.ErrInternal, "query without arguments")
	}
	t, _, err := ev.pushee(&r.Push.Pushee)
	resp.Pushee = t
	return err
}
