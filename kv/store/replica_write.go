package store

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// evaluated is a batch after evaluation.
type evaluated struct {
	br  *kvapi.BatchResponse
	res batcheval.Result
	// p is nil if nothing has to be replicated.
	p *proposal
}

// write evaluates a batch on the leader, replicates what it writes, and
// returns when that has applied here. Its latches are held until the fate of
// its command is known, also when the caller has gone: nobody may read below a
// write that can still appear (I6). held then says that a goroutine of the
// store has the guard.
func (r *Replica) write(ctx context.Context, ba *kvapi.BatchRequest, g *concurrency.Guard) (
	br *kvapi.BatchResponse, held bool, err *kvapi.Error) {
	if err := r.refuseWithoutSpace(ba); err != nil {
		return nil, false, err
	}
	ev, err := r.evaluate(ctx, ba, g)
	if err != nil {
		return nil, false, err
	}
	if ev.p == nil {
		r.onLocalResult(&ev.res)
		r.resolveRest(&ev.res)
		return ev.br, false, nil
	}
	if err := r.propose(ev.p); err != nil {
		ev.p.placed()
		return nil, false, err
	}
	fate, why := ev.p.wait(ctx)
	if why == nil {
		return r.concluded(ev, fate)
	}
	r.store.background.Go(func() {
		<-ev.p.done
		_, _, _ = r.concluded(ev, ev.p.result)
		r.mgr.Finish(g)
	})
	r.store.metrics.Ambiguous.Add(1)
	return nil, true, ambiguous("%s: %v, while the command was being replicated", r.rangeID, why)
}

// concluded turns a command's fate into the batch's answer.
func (r *Replica) concluded(ev *evaluated, fate outcome) (*kvapi.BatchResponse, bool, *kvapi.Error) {
	switch fate {
	case applied:
		r.onLocalResult(&ev.res)
		r.resolveRest(&ev.res)
		return ev.br, false, nil
	case neverApplied:
		return nil, false, r.notLeaseholder("deposed before the command could apply")
	}
	r.store.metrics.Ambiguous.Add(1)
	return nil, false, ambiguous("%s: the replica cannot tell whether the command applied", r.rangeID)
}

func ambiguous(format string, args ...any) *kvapi.Error {
	e := kvapi.NewError(kvapi.ErrAmbiguous, format, args...)
	e.MaybeApplied = true
	return e
}

// evaluate runs the batch above every read that was served and makes the
// command of it. Nothing is visible of it yet.
func (r *Replica) evaluate(ctx context.Context, ba *kvapi.BatchRequest, g *concurrency.Guard) (*evaluated, *kvapi.Error) {
	needs := batcheval.ReadTimestamp(ba).Max(batcheval.WriteTimestamp(ba))
	a, err := r.admit(ctx, ba, needs)
	if err != nil {
		return nil, err
	}
	if ba, err = r.bumpAboveReads(ba); err != nil {
		return nil, err
	}
	ba, writing, err := r.bumpAboveClosed(ba, a.now)
	if err != nil {
		return nil, err
	}
	ev, err := r.evaluateAbove(ctx, ba, a, g)
	if err != nil || ev.p == nil {
		r.closing.End(writing)
		return ev, err
	}
	ev.p.onPlaced = func() { r.closing.End(writing) }
	return ev, nil
}

// evaluateAbove runs a batch that is where it may write.
func (r *Replica) evaluateAbove(ctx context.Context, ba *kvapi.BatchRequest, a admission, g *concurrency.Guard) (*evaluated, *kvapi.Error) {
	batch := r.newBatch(ba)
	defer batch.Close()
	br, res, err := batcheval.Evaluate(ctx, batch, r.evalContext(ba, a, g), ba)
	if e := r.checkStill(&a, ba); e != nil {
		return nil, e
	}
	r.rememberReads(batcheval.ReadSpans(ba, br, err))
	if err != nil {
		r.onLocalResult(&res)
		r.resolveRest(&res)
		return nil, err
	}
	if !res.Replicated.WriteTimestamp.Less(a.leaseEnd) && !r.store.cfg.Knobs.DisableLeaseCheck {
		// The write was moved up, to the lease's end; a later lease will do.
		return nil, errLeaseMoved
	}
	ev := &evaluated{br: br, res: res}
	return ev, r.makeCommand(ev, a, batch)
}

func (r *Replica) newBatch(ba *kvapi.BatchRequest) *storage.Batch {
	et := ba.EndTxnRequest()
	if batcheval.NeedsIndex(ba) || (et != nil && et.Split != nil) {
		return r.store.cfg.Engine.NewIndexedBatch()
	}
	return r.store.cfg.Engine.NewBatch()
}

// makeCommand turns what evaluation left into a proposal, if it left anything.
func (r *Replica) makeCommand(ev *evaluated, a admission, batch *storage.Batch) *kvapi.Error {
	rep := &ev.res.Replicated
	h := commandHeader{
		LeaseSequence: a.lease.Sequence, Term: a.term, Proposer: r.replicaID,
		StatsDelta: rep.StatsDelta, WriteTimestamp: rep.WriteTimestamp, LowestWrite: rep.LowestWrite,
		Desc: rep.ChangeReplicas, TruncateTo: rep.TruncateTo, TruncateTerm: rep.TruncateTerm,
		GCThreshold: rep.GCThreshold, Removes: rep.Removes, RemovesUpTo: rep.RemovesUpTo,
	}
	var change *raftgroup.ConfChange
	if rep.Split != nil {
		right := rep.Split.Right
		stats, err := mvcc.Recompute(batch, right.StartKey, right.EndKey)
		if err != nil {
			return kvapi.NewError(kvapi.ErrInternal, "statistics of %s: %v", right.RangeID, err)
		}
		h.Split = &splitResult{Trigger: *rep.Split, RightStats: stats}
	}
	if rep.Merge != nil {
		m, err := r.evalMerge(a.desc, rep.Merge)
		if err != nil {
			return err
		}
		h.Merge = m
	}
	if rep.ChangeReplicas != nil && !sameMembers(a.desc, &rep.ChangeReplicas.Desc) {
		c, err := confChangeBetween(a.desc, &rep.ChangeReplicas.Desc)
		if err != nil {
			return kvapi.NewError(kvapi.ErrInternal, "%v", err)
		}
		change = &c
	}
	var repr []byte
	if !batch.Empty() {
		repr = batch.Repr()
	}
	if err := checkRemoval(&h, repr, a.desc, a.gc); err != nil {
		return kvapi.NewError(kvapi.ErrInternal, "%v", err)
	}
	if repr == nil && h.isTrivial() && h.TruncateTo == 0 && h.StatsDelta == (kvapi.RangeStatistics{}) {
		return nil
	}
	ev.p = newProposal(r.store.nextCommandID(), h, repr)
	ev.p.change = change
	return nil
}

// bumpAboveReads moves the batch's writes above every read of their keys by
// others (I2). A transaction's own reads do not move it.
func (r *Replica) bumpAboveReads(ba *kvapi.BatchRequest) (*kvapi.BatchRequest, *kvapi.Error) {
	if r.store.cfg.Knobs.DisableTimestampCache {
		return ba, nil
	}
	at := batcheval.WriteTimestamp(ba)
	to := at
	var self kvapi.TxnID
	if ba.Txn != nil {
		self = ba.Txn.ID
	}
	for i := range ba.Requests {
		q := &ba.Requests[i]
		if !q.Kind.IsIntentWrite() {
			continue
		}
		read, owner := r.store.tscache.Get(q.Span())
		if (owner != self || self.IsZero()) && !r.store.cfg.Knobs.IgnoreReaders {
			read = next(read)
		}
		to.Forward(read)
	}
	return r.moveWrites(ba, at, to)
}

// moveWrites moves the batch's writes up.
func (r *Replica) moveWrites(ba *kvapi.BatchRequest, at, to hlc.Timestamp) (*kvapi.BatchRequest, *kvapi.Error) {
	if to == at {
		return ba, nil
	}
	if ba.AmbiguousReplay {
		return nil, ambiguous("%s: a replayed batch would have to move to %s", r.rangeID, to)
	}
	c := *ba
	if ba.Txn == nil {
		c.Timestamp = to
		return &c, nil
	}
	txn := ba.Txn.Clone()
	txn.WriteTimestamp = to
	c.Txn = txn
	return &c, nil
}

// next is Next, but of nothing it is nothing.
func next(ts hlc.Timestamp) hlc.Timestamp {
	if ts.IsEmpty() {
		return ts
	}
	return ts.Next()
}
