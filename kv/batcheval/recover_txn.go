package batcheval

import "github.com/cairndb/cairn/kv/kvapi"

// evalRecoverTxn settles a staging transaction whose in-flight writes were
// queried: committed, if all were found; aborted, if one was missing, for then
// it can never appear (I5).
//
//	record                        all found           one missing
//	staging, as it was queried    committed           aborted
//	staging, moved on             broken promise      as it is: the coordinator
//	                                                  is alive and tries again
//	pending                       broken promise      as it is
//	committed                     as it is            as it is: others recovered
//	                                                  it and resolved what was
//	                                                  looked for
//	aborted                       broken promise      as it is
//	none                          committed           aborted; if it had been
//	                                                  committed no lock of it
//	                                                  would be left
//
// A coordinator whose writes have all succeeded knows as much as a recovery
// that found them, and makes its commit explicit in the same way.
//
// With a final transaction as argument the caller says that all its locks are
// resolved: a record of the same fate is forgotten, and a mark left (I7).
//
// A broken promise means that a committed transaction would be undone.
func evalRecoverTxn(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	args := r.Recover
	if args == nil {
		return kvapi.NewError(kvapi.ErrInternal, "recovery without arguments")
	}
	rec, err := ev.loadRecord(&args.Txn.TxnMeta)
	if err != nil {
		return err
	}
	if rec == nil {
		resp.Pushee = args.Txn.Clone()
		if !args.Txn.Status.IsFinal() {
			resp.Pushee.Status = recovered(args.ImplicitlyCommitted)
		}
		return nil
	}
	resp.Pushee = rec
	if args.Txn.Status.IsFinal() && rec.Status == args.Txn.Status {
		ev.markFinished(&rec.TxnMeta)
		return ev.deleteRecord(rec)
	}
	if rec.Status == kvapi.Committed {
		return nil
	}
	same := rec.Status == kvapi.Staging && rec.Epoch == args.Txn.Epoch &&
		rec.WriteTimestamp == args.Txn.WriteTimestamp
	switch {
	case same:
	case args.ImplicitlyCommitted:
		return kvapi.NewError(kvapi.ErrInternal, "%s was committed by its writes at %s, but is now %s",
			&args.Txn, args.Txn.WriteTimestamp, rec)
	default:
		return nil
	}
	rec.Status = recovered(args.ImplicitlyCommitted)
	rec.InFlightWrites = nil
	ev.updated(rec)
	ev.endLater(rec, rec.LockSpans)
	return ev.putRecord(rec)
}

func recovered(committed bool) kvapi.TxnStatus {
	if committed {
		return kvapi.Committed
	}
	return kvapi.Aborted
}
