package batcheval

import "github.com/cairndb/cairn/kv/kvapi"

// isOnePhase reports whether the batch is a whole transaction: all its
// writes, and its commit. Such a batch writes committed versions at its
// commit timestamp, atomically; it needs no intents and no record. The sender
// may have cut the batch at range boundaries after its coordinator said that
// it is whole, so what is in flight is compared with what is here.
func isOnePhase(ba *kvapi.BatchRequest) bool {
	args := ba.EndTxnRequest()
	if args == nil || ba.Txn == nil || !args.Commit || !args.CanCommitOnePhase || ba.Txn.HasFlushed ||
		args.Split != nil || args.ChangeReplicas != nil || args.Merge != nil {
		return false
	}
	for i := range ba.Requests[:len(ba.Requests)-1] {
		switch ba.Requests[i].Kind {
		case kvapi.Get, kvapi.Scan, kvapi.ReverseScan,
			kvapi.Put, kvapi.ConditionalPut, kvapi.Delete, kvapi.DeleteRange:
		default:
			return false
		}
	}
	return provesAll(ba, args.InFlightWrites)
}

// prepareOnePhase settles the commit timestamp before the writes, which are
// written there at once.
func (ev *evaluator) prepareOnePhase() *kvapi.Error {
	args := ev.ba.EndTxnRequest()
	rec, err := ev.loadRecord(&ev.txn.TxnMeta)
	if err != nil {
		return asKVError(err)
	}
	if done, err := ev.meetRecord(rec, args); err != nil {
		return asKVError(err)
	} else if done {
		return kvapi.NewError(kvapi.ErrInternal, "txn %s is already finished", ev.txn.ID.Short())
	}
	if rec != nil && rec.Status == kvapi.Staging {
		return kvapi.NewError(kvapi.ErrInternal, "commit in one phase of a staging transaction")
	}
	ev.hasRecord = rec != nil
	if err := ev.settleTimestamp(args); err != nil {
		return asKVError(err)
	}
	ev.at = timestamps{read: ev.txn.ReadTimestamp, write: ev.txn.WriteTimestamp}
	return nil
}

// finishOnePhase leaves nothing but a mark, so that a second attempt is not
// taken for a first one.
func (ev *evaluator) finishOnePhase(args *kvapi.EndTxnArgs) error {
	t := ev.own()
	t.Status = kvapi.Committed
	if ev.hasRecord {
		if err := ev.deleteRecord(t); err != nil {
			return err
		}
	}
	ev.markFinished(&t.TxnMeta)
	ev.updated(t)
	for _, sp := range args.LockSpans {
		in, out := cutSpan(sp, ev.ec.Desc)
		ev.endLater(t, out)
		if in != nil {
			ev.res.Local.ResolvedLocks = append(ev.res.Local.ResolvedLocks,
				kvapi.LockUpdate{Span: *in, Txn: t.TxnMeta, Status: kvapi.Committed})
		}
	}
	return nil
}
