package batcheval

import "github.com/cairndb/cairn/kv/kvapi"

// evalHeartbeatTxn says that the coordinator is alive, and creates the record
// the first time it does.
func evalHeartbeatTxn(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if ev.txn == nil || !r.Key.Equal(ev.txn.AnchorKey) {
		return kvapi.NewError(kvapi.ErrInternal, "heartbeat without a transaction or its anchor")
	}
	rec, err := ev.loadRecord(&ev.txn.TxnMeta)
	if err != nil {
		return err
	}
	if rec == nil {
		ok, min := ev.mayCreate(&ev.txn.TxnMeta)
		if !ok {
			return abortedError(ev.txn)
		}
		rec = ev.txn.Clone()
		rec.Status, rec.LockSpans, rec.InFlightWrites = kvapi.Pending, nil, nil
		rec.WriteTimestamp.Forward(min.write)
	}
	if !rec.Status.IsFinal() {
		rec.LastHeartbeat.Forward(r.Now)
		if rec.Status == kvapi.Pending {
			rec.Epoch = max(rec.Epoch, ev.txn.Epoch)
		}
		if err := ev.putRecord(rec); err != nil {
			return err
		}
	}
	ev.txn, ev.copied = rec, true
	resp.Pushee = rec
	return nil
}
