package batcheval

import (
	"bytes"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// evalEndTxn finishes a transaction, or stages its commit.
//
//	record      commit                              rollback
//	none        may it be created? then commit      marked finished
//	            or stage; else aborted, or, in a
//	            second attempt, ambiguous
//	pending     commit or stage, not below a push   aborted
//	staging     commit or stage anew, at a higher   indeterminate, unless the
//	            epoch or timestamp (I3)             epoch is higher: recover
//	committed   finished                            finished
//	aborted     aborted                             nothing left to do
//
// A commit is explicit if nothing is in flight but what this batch wrote
// itself; otherwise the record is staging, and the transaction is committed
// as soon as all writes it lists are in place at or below its timestamp.
//
// EndTxnArgs.Poison has no effect: a transaction whose intents were removed by
// others may go on reading, without what it had flushed, until its heartbeat
// or its commit tells it that it was aborted.
func evalEndTxn(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	args := r.EndTxn
	if args == nil || ev.txn == nil || !r.Key.Equal(ev.txn.AnchorKey) {
		return kvapi.NewError(kvapi.ErrInternal, "EndTxn without a transaction, arguments or its anchor")
	}
	if ev.onePhase {
		resp.OnePhase = true
		return ev.finishOnePhase(args)
	}
	if args.RequireOnePhase && args.Commit {
		return kvapi.NewError(kvapi.ErrInternal, "the transaction cannot commit in one phase")
	}
	rec, err := ev.loadRecord(&ev.txn.TxnMeta)
	if err != nil {
		return err
	}
	if done, err := ev.meetRecord(rec, args); done || err != nil {
		return err
	}
	if !args.Commit {
		return ev.endTxn(args, rec, kvapi.Aborted)
	}
	if err := ev.settleTimestamp(args); err != nil {
		return err
	}
	if len(args.InFlightWrites) > 0 && !provesAll(ev.ba, args.InFlightWrites) {
		return ev.stage(args, rec, resp)
	}
	return ev.endTxn(args, rec, kvapi.Committed)
}

// meetRecord compares the request with the record that is there, or with the
// marks of one that is not. done means that there is nothing left to do.
func (ev *evaluator) meetRecord(rec *kvapi.Transaction, args *kvapi.EndTxnArgs) (done bool, err error) {
	if rec == nil {
		return false, ev.meetNoRecord(args)
	}
	switch rec.Status {
	case kvapi.Committed:
		ev.endLater(rec, args.LockSpans)
		return true, txnError(kvapi.ErrTxnFinished, rec, "%s is committed", rec.ID.Short())
	case kvapi.Aborted:
		ev.endLater(rec, args.LockSpans)
		if args.Commit {
			return true, abortedError(rec)
		}
		ev.own().Status = kvapi.Aborted
		return true, nil
	}
	if rec.Epoch > ev.txn.Epoch {
		return true, txnError(kvapi.ErrTxnRetry, nil, "EndTxn of epoch %d, the record has %d", ev.txn.Epoch, rec.Epoch)
	}
	if rec.Status == kvapi.Staging && !args.Commit && rec.Epoch == ev.txn.Epoch {
		// It may be committed by its writes; only recovery can tell.
		e := kvapi.NewError(kvapi.ErrIndeterminateCommit, "rollback of a staging transaction")
		e.Pushee = rec
		return true, e
	}
	if ev.txn.WriteTimestamp.Less(rec.WriteTimestamp) {
		ev.own().WriteTimestamp = rec.WriteTimestamp
	}
	return false, nil
}

func (ev *evaluator) meetNoRecord(args *kvapi.EndTxnArgs) error {
	ok, min := ev.mayCreate(&ev.txn.TxnMeta)
	switch {
	case !args.Commit:
	case !ok && ev.ba.AmbiguousReplay:
		// The first attempt may have committed and left no record.
		e := kvapi.NewError(kvapi.ErrAmbiguous, "txn %s is finished, perhaps by an earlier attempt", ev.txn.ID.Short())
		e.MaybeApplied = true
		return e
	case !ok:
		return abortedError(ev.txn)
	case ev.txn.WriteTimestamp.Less(min.write):
		ev.own().WriteTimestamp = min.write
	}
	return nil
}

// settleTimestamp decides the commit timestamp: what was read must hold there.
func (ev *evaluator) settleTimestamp(args *kvapi.EndTxnArgs) error {
	if ev.txn.ReadTimestamp != ev.txn.WriteTimestamp {
		if !canForward(ev.ba) {
			return txnError(kvapi.ErrTxnRetry, ev.own(), "writes were moved to %s", ev.txn.WriteTimestamp)
		}
		ev.own().ReadTimestamp = ev.txn.WriteTimestamp
	}
	if at := ev.txn.WriteTimestamp; !args.Deadline.IsEmpty() && args.Deadline.LessEq(at) {
		return txnError(kvapi.ErrDeadlineExceeded, ev.own(), "commit at %s, not before %s", at, args.Deadline)
	}
	return nil
}

// provesAll reports whether every in-flight write is one of the batch itself,
// which is in place, atomically with the record. Both lists are mostly in the
// same order, so the search goes on where the last write was found.
func provesAll(ba *kvapi.BatchRequest, writes []kvapi.SequencedWrite) bool {
	next := 0
	for i := range writes {
		at := findWrite(ba.Requests[next:], &writes[i])
		if at < 0 {
			next = 0
			at = findWrite(ba.Requests, &writes[i])
		}
		if at < 0 {
			return false
		}
		next += at + 1
	}
	return true
}

func findWrite(rs []kvapi.Request, w *kvapi.SequencedWrite) int {
	for i := range rs {
		r := &rs[i]
		if r.Seq == w.Seq && r.Kind.IsIntentWrite() && !r.Kind.IsRange() && r.Key.Equal(w.Key) {
			return i
		}
	}
	return -1
}

// stage writes the promise of a parallel commit.
func (ev *evaluator) stage(args *kvapi.EndTxnArgs, rec *kvapi.Transaction, resp *kvapi.Response) error {
	if args.Split != nil || args.ChangeReplicas != nil || args.Merge != nil {
		return kvapi.NewError(kvapi.ErrInternal, "a trigger cannot run with a parallel commit")
	}
	t := ev.own()
	t.Status = kvapi.Staging
	t.LastHeartbeat.Forward(ev.ec.Now.Timestamp())
	if rec != nil {
		t.LastHeartbeat.Forward(rec.LastHeartbeat)
		if err := checkRestaging(rec, t, args); err != nil {
			return err
		}
	}
	resp.StagingTimestamp = t.WriteTimestamp
	staged := t.Clone()
	staged.LockSpans, staged.InFlightWrites = args.LockSpans, args.InFlightWrites
	return ev.putRecord(staged)
}

// checkRestaging keeps the set of in-flight writes of one attempt as it was
// first promised (I3).
func checkRestaging(rec, t *kvapi.Transaction, args *kvapi.EndTxnArgs) error {
	if rec.Status != kvapi.Staging || rec.Epoch != t.Epoch || rec.WriteTimestamp != t.WriteTimestamp {
		return nil
	}
	same := slices.EqualFunc(rec.InFlightWrites, args.InFlightWrites, func(a, b kvapi.SequencedWrite) bool {
		return a.Seq == b.Seq && bytes.Equal(a.Key, b.Key)
	})
	if !same {
		return kvapi.NewError(kvapi.ErrInternal, "staging txn %s promises other writes at %s", t.ID.Short(), t.WriteTimestamp)
	}
	return nil
}

// endTxn commits or aborts for good: it resolves the locks of this range,
// and keeps a record for those of others.
func (ev *evaluator) endTxn(args *kvapi.EndTxnArgs, rec *kvapi.Transaction, status kvapi.TxnStatus) error {
	t := ev.own()
	t.Status = status
	if rec != nil {
		t.LastHeartbeat.Forward(rec.LastHeartbeat)
	}
	left, err := ev.resolveLocal(t, args.LockSpans)
	if err != nil {
		return err
	}
	ev.updated(t)
	if len(left) > 0 {
		ev.endLater(t, left)
	}
	if err := ev.keepRecord(t, rec, left); err != nil {
		return err
	}
	if status == kvapi.Committed {
		ev.res.Replicated.Split, ev.res.Replicated.ChangeReplicas = args.Split, args.ChangeReplicas
		ev.res.Replicated.Merge = args.Merge
	}
	return nil
}

// keepRecord writes the final record while somebody may ask for it. Without
// locks elsewhere nobody will: whoever still found one has pushed a lock that
// is gone.
func (ev *evaluator) keepRecord(t, rec *kvapi.Transaction, left []kvapi.Span) error {
	if len(left) > 0 && (t.Status == kvapi.Committed || rec != nil) {
		final := t.Clone()
		final.LockSpans, final.InFlightWrites = left, nil
		return ev.putRecord(final)
	}
	ev.markFinished(&t.TxnMeta)
	if rec != nil {
		return ev.deleteRecord(t)
	}
	return nil
}

func (ev *evaluator) endLater(t *kvapi.Transaction, spans []kvapi.Span) {
	if len(spans) > 0 {
		ev.res.Local.EndTxns = append(ev.res.Local.EndTxns, EndTxn{Txn: t, LockSpans: spans})
	}
}

// resolveLocal resolves the locks that lie in this range, up to a limit, and
// returns the spans that are left.
func (ev *evaluator) resolveLocal(t *kvapi.Transaction, spans []kvapi.Span) (left []kvapi.Span, err error) {
	budget := int64(resolvedLocksMax)
	for _, sp := range spans {
		in, out := cutSpan(sp, ev.ec.Desc)
		left = append(left, out...)
		if in == nil {
			continue
		}
		if budget <= 0 {
			left = append(left, *in)
			continue
		}
		u := kvapi.LockUpdate{Span: *in, Txn: t.TxnMeta, Status: t.Status, IgnoredSeqNums: t.IgnoredSeqNums}
		n, resume, err := ev.resolve(&u, budget)
		if err != nil {
			return nil, err
		}
		budget -= n
		if resume != nil {
			left = append(left, *resume)
			u.Span.EndKey = resume.Key
		}
		ev.res.Local.ResolvedLocks = append(ev.res.Local.ResolvedLocks, u)
	}
	return left, nil
}

func (ev *evaluator) resolve(u *kvapi.LockUpdate, maxKeys int64) (n int64, resume *kvapi.Span, err error) {
	if !u.Span.IsPoint() {
		return mvcc.ResolveIntentRange(ev.rw, u, maxKeys, ev.ec.Now, ev.stats())
	}
	found, err := mvcc.ResolveIntent(ev.rw, u.Span.Key, u, ev.stats())
	if err == nil && !ev.noLocks() {
		var lock bool
		lock, err = mvcc.ReleaseLock(ev.rw, u.Span.Key, u, ev.ec.Now, ev.stats())
		found = found || lock
	}
	if found {
		n = 1
	}
	return n, nil, err
}

// cutSpan cuts a lock span at the bounds of a range. Local keys belong to
// the range of the key they are addressed by.
func cutSpan(sp kvapi.Span, d *kvapi.RangeDescriptor) (in *kvapi.Span, out []kvapi.Span) {
	if sp.IsPoint() || keys.IsLocal(sp.Key) {
		addr, err := keys.Addr(sp.Key)
		if err == nil && d.ContainsKey(addr) {
			return &sp, nil
		}
		return nil, []kvapi.Span{sp}
	}
	mid := sp
	if sp.Key.Less(d.StartKey) {
		out = append(out, kvapi.Span{Key: sp.Key, EndKey: minKey(sp.EndKey, d.StartKey)})
		mid.Key = d.StartKey
	}
	if d.EndKey.Less(sp.EndKey) {
		out = append(out, kvapi.Span{Key: maxKey(sp.Key, d.EndKey), EndKey: sp.EndKey})
		mid.EndKey = d.EndKey
	}
	if !mid.Key.Less(mid.EndKey) {
		return nil, out
	}
	return &mid, out
}

func minKey(a, b kvapi.Key) kvapi.Key {
	if a.Less(b) {
		return a
	}
	return b
}

func maxKey(a, b kvapi.Key) kvapi.Key {
	if a.Less(b) {
		return b
	}
	return a
}

// emptyTS is the zero timestamp of accesses that are not versioned.
var emptyTS = hlc.Timestamp{}
