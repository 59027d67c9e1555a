package batcheval

import "github.com/cairndb/cairn/kv/kvapi"

func evalRangeStats(ev *evaluator, _ *kvapi.Request, resp *kvapi.Response) error {
	stats := ev.ec.Stats
	resp.Stats, resp.Rate, resp.QuietFor = &stats, ev.ec.Rate, ev.ec.QuietFor
	resp.Info = &kvapi.RangeInfo{Desc: *ev.ec.Desc, Lease: ev.ec.Lease}
	return nil
}

func evalLeaseInfo(ev *evaluator, _ *kvapi.Request, resp *kvapi.Response) error {
	resp.Info = &kvapi.RangeInfo{Desc: *ev.ec.Desc, Lease: ev.ec.Lease}
	return nil
}

// evalRequestLease checks the form of a lease; whether it takes hold is
// decided when it applies, by comparison with the lease it replaces.
func evalRequestLease(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	if r.Lease == nil {
		return kvapi.NewError(kvapi.ErrInternal, "lease request without a lease")
	}
	rep, ok := ev.ec.Desc.ReplicaByID(r.Lease.Holder.ReplicaID)
	if !ok || rep.NodeID != r.Lease.Holder.NodeID {
		return kvapi.NewError(kvapi.ErrInternal, "%s asks for a lease of %s", r.Lease.Holder, ev.ec.Desc)
	}
	if !r.Lease.Start.Less(r.Lease.Expiration) {
		return kvapi.NewError(kvapi.ErrInternal, "%s is empty", r.Lease)
	}
	ev.res.Replicated.Lease, ev.res.Replicated.PrevLease = r.Lease, r.PrevLease
	return nil
}

// evalTruncateLog passes the index on: the log is each replica's own.
func evalTruncateLog(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	ev.res.Replicated.TruncateTo, ev.res.Replicated.TruncateTerm = r.TruncateTo, r.TruncateTerm
	return nil
}
