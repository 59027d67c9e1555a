package batcheval

import (
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// evalRaiseGCThreshold makes old versions unreadable, which must come before
// their removal. It goes no higher than records of protection allow: they were
// read at ProtectedAsOf, and whoever protects something writes a record first
// and asks the range afterwards (CheckProtection), so
//
//	the record was written    and
//	before ProtectedAsOf      it is respected
//	after it                  the question comes after the threshold's command:
//	                          it is told if it came too late
//	after it                  the question came before, to this node under this
//	                          lease: the threshold is refused here
//	after it                  … to another node or under an earlier lease: it
//	                          started after the question: refused as well
//
// The range's start as the request's key is only for its routing.
func evalRaiseGCThreshold(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	switch {
	case r.GC == nil:
		return kvapi.NewError(kvapi.ErrInternal, "%s without arguments", r.Kind)
	case ev.ec.Now.Timestamp().LessEq(r.GC.Threshold):
		return kvapi.NewError(kvapi.ErrInternal, "a threshold of %s, in the future", r.GC.Threshold)
	case r.GC.Threshold.LessEq(ev.ec.GCThreshold):
		return nil
	}
	if known := ev.ec.ProtectedAsOf.Max(ev.ec.Lease.Start); r.GC.ProtectedAsOf.Less(known) {
		return kvapi.NewError(kvapi.ErrUnavailable, "protections were read at %s, before %s", r.GC.ProtectedAsOf, known)
	}
	ev.res.Replicated.GCThreshold = r.GC.Threshold
	return nil
}

// evalCheckProtection reports whether what a record protects is still there;
// if so it will be from now on.
func evalCheckProtection(ev *evaluator, r *kvapi.Request, _ *kvapi.Response) error {
	if r.GC == nil {
		return kvapi.NewError(kvapi.ErrInternal, "%s without arguments", r.Kind)
	}
	if !ev.ec.GCThreshold.Less(r.GC.Threshold) {
		return belowThreshold(r.GC.Threshold, ev.ec.GCThreshold)
	}
	ev.res.Local.ProtectedAsOf.Forward(r.GC.ProtectedAsOf)
	return nil
}

func evalCollectGarbage(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if ev.limitReached() {
		resp.Resume = &kvapi.Span{Key: r.Key}
		return nil
	}
	n, more, err := mvcc.CollectGarbage(ev.rw, r.Key, mvcc.GCOptions{Threshold: ev.ec.GCThreshold,
		MaxVersions: max(0, ev.keysLeft), Stats: ev.stats(), Removed: ev.ec.Removed})
	if err != nil {
		return err
	}
	resp.Keys = n
	if more {
		resp.Resume = &kvapi.Span{Key: r.Key}
	}
	ev.spend(n, 0)
	if n == 0 {
		return nil
	}
	ev.res.Replicated.RemovesUpTo = ev.ec.GCThreshold
	return ev.removes(r.Span())
}

// removes notes that the batch removes versions of a span, outside of all
// transactions.
func (ev *evaluator) removes(sp kvapi.Span) error {
	from, err := keys.Addr(sp.Key)
	if err != nil {
		return err
	}
	in := kvapi.Span{Key: from, EndKey: from.Next()}
	if !sp.IsPoint() {
		in = sp
	}
	rep := &ev.res.Replicated
	if hull := rep.Removes; hull != nil {
		in.Key, in.EndKey = minKey(in.Key, hull.Key), maxKey(in.EndKey, hull.EndKey)
	}
	rep.Removes = &in
	return nil
}

// BelowThreshold returns the error of a batch that reads what may have been
// removed, or, if it only has to prove that something was not written since,
// cannot do that any more; nil if it may go on. Versions above the threshold
// are all there; and of those at or below it what a read above it sees.
func BelowThreshold(ba *kvapi.BatchRequest, at, threshold hlc.Timestamp) *kvapi.Error {
	if threshold.IsEmpty() || at.IsEmpty() {
		return nil
	}
	for i := range ba.Requests {
		r := &ba.Requests[i]
		var err *kvapi.Error
		switch k := r.Kind; {
		case (k.IsRead() || k.IsIntentWrite() || k == kvapi.QueryCommit) && at.LessEq(threshold):
			err = belowThreshold(at, threshold)
		case (k == kvapi.Refresh || k == kvapi.RefreshRange) && r.RefreshFrom.Less(threshold):
			err = tooOldToProve(r, r.RefreshFrom, threshold)
		case !r.ReadAt.IsEmpty() && r.ReadAt.Less(threshold):
			// What was written since may have been a deletion, which is gone.
			err = tooOldToProve(r, r.ReadAt, threshold)
		default:
			continue
		}
		err.Index = int32(i)
		return err
	}
	return nil
}

func belowThreshold(at, threshold hlc.Timestamp) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrBelowGCThreshold, "%s is not above %s", at, threshold)
	e.Timestamp = threshold
	return e
}

func tooOldToProve(r *kvapi.Request, from, threshold hlc.Timestamp) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrRefreshFailed, "key %s was read at %s, versions up to %s may have been collected since", r.Key, from, threshold)
	e.Key, e.Timestamp = slices.Clone(r.Key), threshold
	return e
}
