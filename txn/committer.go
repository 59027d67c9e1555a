package txn

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// committer turns the write buffer into one batch with the commit, and reads
// from its answer how the transaction ended (doc.go tells the protocol). It
// stands above the refresher: a commit that must be refreshed comes back
// through the layers below, and only its end is interpreted here.
type committer struct {
	t    *Txn
	next *refresher
}

func (c *committer) commit(ctx context.Context) error {
	t := c.t
	if t.buf.empty() && t.flushedSeq == 0 && !c.hasTrigger() && !t.durable {
		return c.commitReadOnly(ctx)
	}
	if t.isolation != Serializable {
		if err := t.checkHeld(ctx, hlc.Timestamp{}, &t.buf); err != nil {
			return t.fail(ctx, err)
		}
	}
	if err := c.checkConditions(ctx); err != nil {
		return err
	}
	if t.buf.bytes > commitBatchMaxBytes {
		if err := t.flush(ctx); err != nil {
			return err
		}
	}
	if err := c.refreshAhead(ctx); err != nil {
		return t.fail(ctx, err)
	}
	return c.commitWrites(ctx)
}

func (c *committer) hasTrigger() bool { return c.t.triggerKey() != nil }

// errAnchored refuses a trigger that came too late: the record is elsewhere.
var errAnchored = errors.New("txn: a trigger was set after a key outside its range had been locked")

// commitReadOnly ends a transaction that wrote nothing: it saw one snapshot,
// and that is where it stands in the serial order. What a weak transaction has
// locked must have held until now (isolation.go). If it holds locks, ending
// its record as aborted releases them as well as a commit would and needs no
// agreement on a timestamp. Not so durable locks: who asked for exclusion wants
// to know that it held until now, which only a commit that finds the record
// alive can tell.
func (c *committer) commitReadOnly(ctx context.Context) error {
	t := c.t
	if c.next.isStale() {
		if err := c.next.refresh(ctx, t.snapshot().ReadTimestamp, nil); err != nil {
			return t.fail(ctx, err)
		}
	}
	p := t.snapshot()
	if !t.fixed() && !t.deadline.IsEmpty() && t.deadline.LessEq(p.ReadTimestamp) {
		return t.fail(ctx, kvapi.NewError(kvapi.ErrDeadlineExceeded, "the transaction read at its deadline"))
	}
	if len(t.held.groups) > 0 {
		if err := t.checkHeld(ctx, t.db.cfg.Clock.Now().Timestamp(), nil); err != nil {
			return t.fail(ctx, err)
		}
		p = t.snapshot()
	}
	t.commitTS = p.ReadTimestamp
	t.db.metrics.ReadOnly.Add(1)
	t.abandon(ctx)
	return nil
}

// checkConditions reads the keys whose conditions the batch cannot carry.
func (c *committer) checkConditions(ctx context.Context) error {
	for _, e := range c.t.buf.unchecked() {
		ba := &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: e.key}}}
		br, err := c.next.send(ctx, ba)
		if err != nil {
			return c.t.fail(ctx, err)
		}
		if c.t.isolation != Serializable {
			c.t.held.add(c.t.snapshot().ReadTimestamp, kvapi.Span{Key: e.key})
		}
		if err := e.versions[0].cond.checkServer(e.key, &br.Responses[0]); err != nil {
			return err
		}
	}
	return nil
}

// refreshAhead saves the round trip of a commit that is known to be refused.
func (c *committer) refreshAhead(ctx context.Context) *kvapi.Error {
	if p := c.t.snapshot(); p.ReadTimestamp.Less(p.WriteTimestamp) || c.next.isStale() {
		return c.next.refresh(ctx, p.WriteTimestamp, nil)
	}
	return nil
}

// commitWrites sends the commit.
func (c *committer) commitWrites(ctx context.Context) error {
	t := c.t
	ba := &kvapi.BatchRequest{Requests: c.next.readAt(t.buf.requests())}
	t.sign(ba.Requests)
	end := c.endTxn(ba.Requests)
	if at := t.triggerKey(); at != nil && !at.Equal(end.Key) {
		return errAnchored
	}
	ba.Add(end)
	t.setFinishing()
	br, kerr := c.next.send(ctx, ba)
	if kerr == nil {
		br, kerr = c.finishStaging(ctx, br, end)
	}
	if kerr != nil {
		return c.resolve(ctx, kerr)
	}
	return nil
}

func (t *Txn) setFinishing() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.finishing = true
}

// endTxn makes the commit of these writes.
func (c *committer) endTxn(writes []kvapi.Request) kvapi.Request {
	t := c.t
	onePhase := !t.wrote
	// The writes must be in the lock spans that the request names.
	saved, savedWrote := t.tracker.locks, t.wrote
	t.tracker.before(&kvapi.BatchRequest{Requests: writes})
	spans := t.tracker.spans()
	t.tracker.locks, t.wrote = saved, savedWrote
	if len(writes) == 0 && !t.snapshot().IsLocking() {
		// A trigger without a write.
		t.becomeLocking(t.triggerKey())
	}
	args := &kvapi.EndTxnArgs{Commit: true, LockSpans: spans, CanCommitOnePhase: onePhase,
		Deadline: t.deadline, Split: t.split, ChangeReplicas: t.changeReplicas, Merge: t.merge}
	if !c.hasTrigger() && len(writes) <= inFlightMax {
		args.InFlightWrites = inFlight(writes)
	}
	return kvapi.Request{Kind: kvapi.EndTxn, Key: t.snapshot().AnchorKey, EndTxn: args}
}

// triggerKey is where a trigger runs: at the start of the range it changes.
func (t *Txn) triggerKey() kvapi.Key {
	switch {
	case t.split != nil:
		return t.split.Left.StartKey
	case t.changeReplicas != nil:
		return t.changeReplicas.Desc.StartKey
	case t.merge != nil:
		return t.merge.Merged.StartKey
	}
	return nil
}

func inFlight(writes []kvapi.Request) []kvapi.SequencedWrite {
	out := make([]kvapi.SequencedWrite, len(writes))
	for i := range writes {
		out[i] = kvapi.SequencedWrite{Key: writes[i].Key, Seq: writes[i].Seq}
	}
	return out
}

// finishStaging reads the answer of a commit. A staging record whose writes
// all stand at or below its timestamp is a commit (I2). If some write stands
// higher, the record decides nothing; all writes are proved, so after a
// refresh the commit is sent alone.
func (c *committer) finishStaging(ctx context.Context, br *kvapi.BatchResponse, end kvapi.Request) (*kvapi.BatchResponse, *kvapi.Error) {
	t := c.t
	last := &br.Responses[len(br.Responses)-1]
	if last.StagingTimestamp.IsEmpty() {
		c.onCommitted(writeTimestamp(br, t.snapshot()), last.OnePhase)
		return br, nil
	}
	if ts := writeTimestamp(br, t.snapshot()); last.StagingTimestamp.Less(ts) {
		if err := c.next.refresh(ctx, ts, nil); err != nil {
			return nil, err
		}
		br, err := c.next.commitAlone(ctx, end)
		if err == nil {
			c.onCommitted(writeTimestamp(br, t.snapshot()), false)
		}
		return br, err
	}
	t.commitTS = last.StagingTimestamp
	t.stats.Parallel = true
	t.db.metrics.Parallel.Add(1)
	c.makeExplicit(ctx)
	return br, nil
}

func writeTimestamp(br *kvapi.BatchResponse, p *kvapi.Transaction) hlc.Timestamp {
	if br.Txn != nil {
		return br.Txn.WriteTimestamp
	}
	return p.WriteTimestamp
}

func (c *committer) onCommitted(ts hlc.Timestamp, onePhase bool) {
	c.t.commitTS = ts
	if c.t.stats.OnePhase = onePhase; onePhase {
		c.t.db.metrics.OnePhase.Add(1)
	} else {
		c.t.db.metrics.Explicit.Add(1)
	}
}

// makeExplicit turns an implicit commit into a record that says so and lets
// the server resolve the intents. Nobody waits for it: if it never happens,
// the next reader of an intent does it by recovery.
//
// It is sent as the end of a recovery that found every write, for it is that:
// the answers of the writes are the proof. Unlike an EndTxn, commits of many
// transactions then share a command of the anchor's range. Others may have
// recovered the transaction before, and have forgotten its record: the answer
// does not matter any more.
func (c *committer) makeExplicit(ctx context.Context) {
	db := c.t.db
	p := c.t.snapshot()
	staging := kvapi.Transaction{TxnMeta: p.TxnMeta, Status: kvapi.Staging, IgnoredSeqNums: p.IgnoredSeqNums}
	staging.WriteTimestamp = c.t.commitTS
	db.tasks.run(ctx, func(ctx context.Context) {
		db.metrics.Background.Add(1)
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: db.cfg.NodeID, Deferrable: true}}
		ba.Add(kvapi.Request{Kind: kvapi.RecoverTxn, Key: staging.AnchorKey,
			Recover: &kvapi.RecoverArgs{Txn: staging, ImplicitlyCommitted: true}})
		if _, err := db.cfg.Sender.Send(ctx, ba); err != nil {
			db.cfg.Logger.Debug("explicit commit left to recovery", "txn", staging.ID.Short(), "err", err)
		}
	})
}

// abandon releases what the transaction holds by aborting it, in the
// background. It must not be called once a commit may have happened.
func (t *Txn) abandon(ctx context.Context) {
	spans := t.tracker.spans()
	if len(spans) == 0 {
		return
	}
	db, p := t.db, *t.snapshot()
	args := &kvapi.EndTxnArgs{LockSpans: spans, Poison: t.flushedSeq > 0}
	end := kvapi.Request{Kind: kvapi.EndTxn, Key: p.AnchorKey, EndTxn: args}
	t.tracker.locks.reset()
	db.tasks.run(ctx, func(ctx context.Context) {
		db.metrics.Background.Add(1)
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: &p, Gateway: db.cfg.NodeID}}
		_, err := db.cfg.Sender.Send(ctx, ba.Add(end))
		if err != nil && err.Kind == kvapi.ErrIndeterminateCommit && err.Pushee != nil && db.cfg.Recoverer != nil {
			// The record stages an earlier attempt, which others may be
			// recovering: it ends the way they would end it.
			_, err = db.cfg.Recoverer.Recover(ctx, err.Pushee)
		}
		if err != nil {
			db.cfg.Logger.Debug("clean-up left to others", "txn", p.ID.Short(), "err", err)
		}
	})
}
