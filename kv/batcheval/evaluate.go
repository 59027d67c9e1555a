package batcheval

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/storage"
)

// Evaluate runs a batch. Reads go to rw, and writes are collected in it; on
// an error nothing of rw may be used. For a read-only batch rw may be made by
// ReadOnly; for one that reads what it writes (NeedsIndex) it must be indexed.
//
// Where the transaction has read nothing yet, a conflict with a newer version
// starts the evaluation over at a higher timestamp, as a refresh of no reads:
//
//	newer version, and the batch holds    start over above it, if rw can be
//	write latches on all it reads         emptied (Resetter)
//	uncertain version of a plain read     start over at it: the read latch
//	                                      reaches up to the uncertainty limit
//	otherwise                             the error, to be refreshed by the
//	                                      coordinator
func Evaluate(ctx context.Context, rw storage.ReadWriter, ec *EvalContext, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, Result, *kvapi.Error) {
	forward := canForward(ba)
	at := timestamps{read: ReadTimestamp(ba), write: WriteTimestamp(ba)}
	if at.read.IsEmpty() {
		// No timestamp asked for: latched at all of them, and run now.
		at = timestamps{read: ec.Now.Timestamp(), write: ec.Now.Timestamp()}
	}
	if forward {
		at.read.Forward(at.write)
	}
	for i := 0; ; i++ {
		ev := newEvaluator(ctx, rw, ec, ba, at)
		br, err := ev.run()
		if err == nil {
			return br, ev.res, nil
		}
		if !forward || i == forwardsMax || !at.forwardPast(err, ec) || !reset(rw) {
			return nil, Result{Local: LocalResult{EndTxns: ev.res.Local.EndTxns, AcquiredLocks: ev.keptLock(err)}}, ev.finish(err)
		}
	}
}

// keptLock is the lock of a locking read that came too late, if err says so:
// the key was free, and its newest version is above the read timestamp. The
// transaction comes back at a higher one, and would find itself behind all who
// queued meanwhile; under steady contention it would never get the key.
func (ev *evaluator) keptLock(err *kvapi.Error) []kvapi.Lock {
	r := &ev.ba.Requests[ev.index]
	if err.Kind != kvapi.ErrWriteTooOld || !r.Kind.IsRead() || len(err.Key) == 0 {
		return nil
	}
	ev.res.Local.AcquiredLocks = nil
	ev.lockInMemory(r, err.Key)
	return ev.res.Local.AcquiredLocks
}

// timestamps are where a batch reads and writes.
type timestamps struct{ read, write hlc.Timestamp }

// forwardPast moves to where the error's conflict is gone; false if no
// timestamp helps.
func (t *timestamps) forwardPast(err *kvapi.Error, ec *EvalContext) bool {
	switch err.Kind {
	case kvapi.ErrWriteTooOld, kvapi.ErrUncertain:
	default:
		return false
	}
	if err.Kind == kvapi.ErrUncertain && ec.Uncertainty.Global.Less(err.Timestamp) {
		return false
	}
	t.read.Forward(err.Timestamp)
	t.write.Forward(t.read)
	return true
}

// Resetter is a ReadWriter that can be emptied to start over.
type Resetter interface{ Reset() error }

func reset(rw storage.ReadWriter) bool {
	if _, ok := rw.(readOnly); ok {
		return true
	}
	r, ok := rw.(Resetter)
	return ok && r.Reset() == nil
}

// canForward reports whether the batch may be read and written at a higher
// timestamp than it asks for: nothing was read before it, no earlier attempt
// may be in place, and what it reads is latched up there too. A batch without
// a transaction has no timestamp of its own to keep.
func canForward(ba *kvapi.BatchRequest) bool {
	if ba.AmbiguousReplay || ba.Txn != nil && !ba.CanForwardReadTimestamp {
		return false
	}
	plainReads, others := false, false
	for i := range ba.Requests {
		r := &ba.Requests[i]
		switch r.Kind {
		case kvapi.Get, kvapi.Scan, kvapi.ReverseScan:
			if r.Lock == kvapi.LockNone {
				plainReads = true
			} else {
				others = true
			}
		case kvapi.Put, kvapi.ConditionalPut, kvapi.Delete, kvapi.DeleteRange, kvapi.EndTxn:
			others = true
		default:
			return false
		}
	}
	return !(plainReads && others)
}

// evaluator is one attempt at a batch.
type evaluator struct {
	ctx context.Context
	rw  storage.ReadWriter
	ec  *EvalContext
	ba  *kvapi.BatchRequest
	at  timestamps
	// txn is ba.Txn as this batch leaves it; a copy once it changed.
	txn      *kvapi.Transaction
	copied   bool
	onePhase bool
	// hasRecord says that a transaction that commits in one phase has a record.
	hasRecord bool
	res       Result
	// keysLeft and bytesLeft are what is left of the batch's limits, -1 for
	// no limit.
	keysLeft, bytesLeft int64
	index               int
	// replaced is what the write in work replaced.
	replaced kvapi.TxnSeq
	// vacancy knows which of the keys of a large batch have no locks.
	vacancy *mvcc.Vacancy
}

func newEvaluator(ctx context.Context, rw storage.ReadWriter, ec *EvalContext, ba *kvapi.BatchRequest, at timestamps) *evaluator {
	ev := &evaluator{ctx: ctx, rw: rw, ec: ec, ba: ba, at: at, txn: ba.Txn, keysLeft: -1, bytesLeft: -1}
	if ba.MaxKeys > 0 {
		ev.keysLeft = ba.MaxKeys
	}
	if ba.TargetBytes > 0 {
		ev.bytesLeft = ba.TargetBytes
	}
	ev.onePhase = isOnePhase(ba)
	if ba.Txn != nil && (at.read != ba.Txn.ReadTimestamp || at.write != ba.Txn.WriteTimestamp) {
		ev.own().ReadTimestamp, ev.own().WriteTimestamp = at.read, at.write
	}
	return ev
}

// own returns the transaction to be changed.
func (ev *evaluator) own() *kvapi.Transaction {
	if !ev.copied {
		ev.txn, ev.copied = ev.txn.Clone(), true
	}
	return ev.txn
}

func (ev *evaluator) run() (*kvapi.BatchResponse, *kvapi.Error) {
	if err := ev.checkThreshold(); err != nil {
		return nil, err
	}
	if ev.onePhase {
		// What was decided about the transaction elsewhere comes first: its
		// writes go to their final timestamp at once.
		if err := ev.prepareOnePhase(); err != nil {
			ev.index = len(ev.ba.Requests) - 1
			return nil, err
		}
	}
	if err := ev.openVacancy(); err != nil {
		return nil, asKVError(err)
	}
	defer ev.vacancy.Close()
	br := &kvapi.BatchResponse{Responses: make([]kvapi.Response, len(ev.ba.Requests)), Now: ev.ec.Now}
	for i := range ev.ba.Requests {
		ev.index = i
		if err := ev.ctx.Err(); err != nil {
			return nil, kvapi.NewError(kvapi.ErrCanceled, "%v", err)
		}
		r, resp := &ev.ba.Requests[i], &br.Responses[i]
		resp.Kind = r.Kind
		ev.replaced = 0
		if !r.Kind.IsValid() || commands[r.Kind] == nil {
			return nil, kvapi.NewError(kvapi.ErrInternal, "%s cannot be evaluated", r.Kind)
		}
		if err := commands[r.Kind](ev, r, resp); err != nil {
			return nil, ev.checkConflict(asKVError(err))
		}
		resp.Replaced = ev.replaced
	}
	if ev.copied || ev.txn != nil && writesIntents(ev.ba) {
		// Also if nothing changed here: the timestamp cache may have moved the
		// transaction before, and its coordinator must hear of it.
		br.Txn = ev.txn
	}
	br.Timestamp = ev.at.write
	if ev.ba.IsReadOnly() {
		br.Timestamp = ev.at.read
	}
	return br, nil
}

// checkConflict turns a conflict of a transaction with its own lock, for which
// it would wait for ever, into a failure: a commit in one phase after intents.
func (ev *evaluator) checkConflict(err *kvapi.Error) *kvapi.Error {
	if err.Kind == kvapi.ErrLockConflict && ev.txn != nil {
		for i := range err.Locks {
			if err.Locks[i].Txn.ID == ev.txn.ID {
				return kvapi.NewError(kvapi.ErrInternal, "txn %s meets its own intent on %s", ev.txn.ID.Short(), err.Locks[i].Key)
			}
		}
	}
	return err
}

// checkThreshold refuses reads and writes of versions that may be collected.
func (ev *evaluator) checkThreshold() *kvapi.Error {
	err := BelowThreshold(ev.ba, ev.at.read, ev.ec.GCThreshold)
	if err != nil {
		ev.index = int(err.Index)
	}
	return err
}

func asKVError(err error) *kvapi.Error {
	var e *kvapi.Error
	if errors.As(err, &e) {
		return e
	}
	return kvapi.NewError(kvapi.ErrInternal, "%v", err)
}

// finish completes an error that leaves evaluation. A second attempt at
// writes that may be in place already must not be taken for a first one that
// failed: what it failed on may be its own first attempt. Only what a record
// or a lock's holder says is certain.
func (ev *evaluator) finish(err *kvapi.Error) *kvapi.Error {
	if err.Index < 0 {
		err.Index = int32(ev.index)
	}
	err.Now = ev.ec.Now
	if !ev.ba.AmbiguousReplay || !writesIntents(ev.ba) {
		return err
	}
	switch err.Kind {
	case kvapi.ErrWriteTooOld, kvapi.ErrConditionFailed, kvapi.ErrTxnRetry, kvapi.ErrUncertain,
		kvapi.ErrDeadlineExceeded, kvapi.ErrRefreshFailed, kvapi.ErrBelowGCThreshold, kvapi.ErrInternal:
		a := kvapi.NewError(kvapi.ErrAmbiguous, "second attempt met: %v", err)
		a.MaybeApplied, a.Index, a.Now, a.Key = true, err.Index, err.Now, err.Key
		return a
	}
	return err
}

func writesIntents(ba *kvapi.BatchRequest) bool {
	for i := range ba.Requests {
		if k := ba.Requests[i].Kind; k.IsIntentWrite() || k == kvapi.EndTxn {
			return true
		}
	}
	return false
}

func (ev *evaluator) stats() *kvapi.RangeStatistics { return &ev.res.Replicated.StatsDelta }

// command evaluates one request into its response.
type command func(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error

// commands has the function of every kind that is evaluated; a table rather
// than a switch so that each command's file is found by its name here. It is
// never written.
var commands = [...]command{
	kvapi.Get:                evalGet,
	kvapi.Scan:               evalScan,
	kvapi.ReverseScan:        evalScan,
	kvapi.Put:                evalPut,
	kvapi.ConditionalPut:     evalConditionalPut,
	kvapi.Delete:             evalDelete,
	kvapi.DeleteRange:        evalDeleteRange,
	kvapi.EndTxn:             evalEndTxn,
	kvapi.HeartbeatTxn:       evalHeartbeatTxn,
	kvapi.PushTxn:            evalPushTxn,
	kvapi.QueryTxn:           evalQueryTxn,
	kvapi.RecoverTxn:         evalRecoverTxn,
	kvapi.QueryIntent:        evalQueryIntent,
	kvapi.ResolveIntent:      evalResolveIntent,
	kvapi.ResolveIntentRange: evalResolveIntent,
	kvapi.Refresh:            evalRefresh,
	kvapi.RefreshRange:       evalRefresh,
	kvapi.Barrier:            evalBarrier,
	kvapi.ClearRange:         evalClearRange,
	kvapi.RangeStats:         evalRangeStats,
	kvapi.RequestLease:       evalRequestLease,
	kvapi.TruncateLog:        evalTruncateLog,
	kvapi.LeaseInfo:          evalLeaseInfo,
	kvapi.QueryCommit:        evalQueryCommit,
	kvapi.RaiseGCThreshold:   evalRaiseGCThreshold,
	kvapi.CollectGarbage:     evalCollectGarbage,
	kvapi.CheckProtection:    evalCheckProtection,
}

// openVacancy looks for locks ahead where the batch is many writes in the order
// of their keys.
func (ev *evaluator) openVacancy() (err error) {
	reqs := ev.ba.Requests
	if n := len(reqs) - 1; n >= 0 && reqs[n].Kind == kvapi.EndTxn {
		reqs = reqs[:n]
	}
	if len(reqs) < vacancyMin || ev.noIntents() && ev.noLocks() && ev.onePhase {
		return nil
	}
	for i := range reqs {
		if k := reqs[i].Kind; !k.IsIntentWrite() || k.IsRange() || i > 0 && !reqs[i-1].Key.Less(reqs[i].Key) {
			return nil
		}
	}
	ev.vacancy, err = mvcc.NewVacancy(ev.rw, len(reqs), func(i int) kvapi.Key { return reqs[i].Key })
	return err
}

// writeOptions are the options of a write of this batch: an intent in a
// transaction, unless it commits in one phase.
func (ev *evaluator) writeOptions(r *kvapi.Request) mvcc.WriteOptions {
	o := mvcc.WriteOptions{Seq: r.Seq, ReadAt: r.ReadAt, Now: ev.ec.Now, Stats: ev.stats(),
		Finished: ev.ec.Finished, Resolved: &ev.res.Local.ResolvedLocks, NoLocks: ev.noLocks(), NoIntents: ev.noIntents()}
	if !ev.onePhase {
		o.Txn, o.Replaced = ev.txn, &ev.replaced
	}
	if r.Sign && ev.txn != nil {
		o.Sign = mvcc.SignatureOf(ev.txn.ID)
	}
	return o
}

// pointOptions are writeOptions of a write of one key.
func (ev *evaluator) pointOptions(r *kvapi.Request) (mvcc.WriteOptions, error) {
	o := ev.writeOptions(r)
	free, err := ev.vacancy.IsFree(ev.index)
	if free {
		o.NoIntents, o.NoLocks = true, true
	}
	return o, err
}

// noLocks reports whether the range had no durable lock when the batch got its
// latches: nobody but the batch itself can have made one since on its keys.
func (ev *evaluator) noLocks() bool { return ev.ec.Stats.LockCount == 0 }

// noIntents reports whether the range had no intent when the batch got its
// latches, and the batch has written none: whoever has written one since holds
// a latch that conflicts with every request that would have to see it.
func (ev *evaluator) noIntents() bool {
	return ev.ec.Stats.IntentCount+ev.res.Replicated.StatsDelta.IntentCount == 0
}

// wrote takes note of a write that happened at a timestamp. One below where the
// batch writes was done before: it is there, and no new version.
func (ev *evaluator) wrote(key kvapi.Key, seq kvapi.TxnSeq, at hlc.Timestamp) {
	if at.Less(ev.at.write) {
		ev.res.Replicated.WriteTimestamp.Forward(at)
	} else {
		ev.at.write = at
		ev.res.Replicated.wroteAt(at)
	}
	if ev.txn == nil {
		return
	}
	if ev.txn.WriteTimestamp.Less(at) {
		ev.own().WriteTimestamp = at
	}
	if !ev.onePhase {
		l := kvapi.Lock{Key: key, Txn: ev.txn.TxnMeta, Strength: kvapi.LockIntent, Replicated: true}
		l.Txn.WriteTimestamp, l.Txn.Seq = at, seq
		ev.res.Local.AcquiredLocks = append(ev.res.Local.AcquiredLocks, l)
	}
}
