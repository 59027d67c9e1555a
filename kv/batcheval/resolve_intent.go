package batcheval

import "github.com/cairndb/cairn/kv/kvapi"

// evalResolveIntent serves ResolveIntent and ResolveIntentRange.
func evalResolveIntent(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if r.Resolve == nil {
		return kvapi.NewError(kvapi.ErrInternal, "resolution without arguments")
	}
	if ev.limitReached() {
		sp := r.Span()
		resp.Resume = &sp
		return nil
	}
	u := *r.Resolve
	u.Span = r.Span()
	n, resume, err := ev.resolve(&u, max(0, ev.keysLeft))
	if err != nil {
		return err
	}
	resp.Keys, resp.Resume = n, resume
	ev.spend(n, 0)
	if resume != nil {
		u.Span.EndKey = resume.Key
	}
	ev.res.Local.ResolvedLocks = append(ev.res.Local.ResolvedLocks, u)
	return nil
}
