package memkv

import (
	"context"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// status returns what is known of a transaction: its record, or one made up.
func (c *Cluster) status(m kvapi.TxnMeta) *kvapi.Transaction {
	if r := c.mu.records[m.ID]; r != nil {
		return r
	}
	t := &kvapi.Transaction{TxnMeta: m, Status: kvapi.Pending}
	if _, ok := c.mu.finished[m.ID]; ok {
		t.Status = kvapi.Aborted
	}
	return t
}

func (e *eval) setRecord(t *kvapi.Transaction) {
	id := t.ID
	old, had := e.c.mu.records[id]
	e.undo = append(e.undo, func() {
		if had {
			e.c.mu.records[id] = old
		} else {
			delete(e.c.mu.records, id)
		}
	})
	e.c.mu.records[id] = t
}

func (e *eval) endTxn(q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	rec, args := e.c.mu.records[e.txn.ID], q.EndTxn
	done, gone := e.c.mu.finished[e.txn.ID]
	switch {
	case rec != nil && rec.Status == kvapi.Committed, gone && done == kvapi.Committed:
		return kvapi.NewError(kvapi.ErrTxnFinished, "%s", e.txn.ID.Short())
	case rec != nil && rec.Status == kvapi.Aborted, gone:
		if args.Commit {
			return kvapi.NewError(kvapi.ErrTxnAborted, "%s", e.txn.ID.Short())
		}
	case rec != nil && rec.Status == kvapi.Staging && !args.Commit:
		err := kvapi.NewError(kvapi.ErrIndeterminateCommit, "%s", e.txn.ID.Short())
		err.Pushee = rec
		return err
	}
	if !args.Commit {
		e.txn.Status = kvapi.Aborted
		e.finish(args.LockSpans)
		return nil
	}
	if rec != nil && rec.Epoch > e.txn.Epoch {
		return pastEpoch(e.txn, rec.Epoch)
	}
	e.write.Forward(e.c.mu.pushedTo[e.txn.ID])
	if e.read != e.write {
		err := kvapi.NewError(kvapi.ErrTxnRetry, "pushed to %s", e.write)
		err.Timestamp = e.write
		return err
	}
	if !args.Deadline.IsEmpty() && args.Deadline.LessEq(e.write) {
		return kvapi.NewError(kvapi.ErrDeadlineExceeded, "%s", e.write)
	}
	e.txn.WriteTimestamp, e.txn.ReadTimestamp = e.write, e.read
	for _, w := range args.InFlightWrites {
		if args.CanCommitOnePhase {
			break // the sender vouches for it
		}
		if e.proved[string(w.Key)] != w.Seq {
			e.stage(args, resp)
			return nil
		}
	}
	resp.OnePhase = args.CanCommitOnePhase && rec == nil
	e.txn.Status = kvapi.Committed
	e.finish(args.LockSpans)
	if args.Split != nil {
		e.c.splitLocked(args.Split.Right.StartKey)
	}
	return nil
}

// stage writes the record of a parallel commit.
func (e *eval) stage(args *kvapi.EndTxnArgs, resp *kvapi.Response) {
	e.txn.Status = kvapi.Staging
	rec := e.txn.Clone()
	rec.LockSpans, rec.InFlightWrites = args.LockSpans, args.InFlightWrites
	rec.LastHeartbeat = e.c.clock.Now().Timestamp()
	e.setRecord(rec)
	resp.StagingTimestamp = e.write
}

// finish ends the transaction as its status says and resolves its locks.
// EndTxn is last in its batch, so nothing undoes this.
func (e *eval) finish(spans []kvapi.Span) {
	e.c.finish(e.txn, spans)
}

func (c *Cluster) finish(t *kvapi.Transaction, spans []kvapi.Span) {
	delete(c.mu.records, t.ID)
	c.mu.finished[t.ID] = t.Status
	for _, sp := range spans {
		c.resolve(sp, kvapi.LockUpdate{Txn: t.TxnMeta, Status: t.Status, IgnoredSeqNums: t.IgnoredSeqNums})
	}
	c.wakeAll()
}

func (c *Cluster) wakeAll() {
	close(c.mu.wake)
	c.mu.wake = make(chan struct{})
}

func isIgnored(ranges []kvapi.SeqRange, seq kvapi.TxnSeq) bool {
	for _, r := range ranges {
		if r.Start <= seq && seq <= r.End {
			return true
		}
	}
	return false
}

// resolve ends the locks of a finished transaction in a span.
func (c *Cluster) resolve(sp kvapi.Span, u kvapi.LockUpdate) {
	for _, e := range c.cellsIn(sp) {
		for i := 0; i < len(e.locks); i++ {
			if e.locks[i].Txn.ID == u.Txn.ID && u.Status.IsFinal() {
				e.locks = append(append([]kvapi.Lock(nil), e.locks[:i]...), e.locks[i+1:]...)
				i--
			}
		}
		in := e.intent
		if in == nil || in.txn.ID != u.Txn.ID || !u.Status.IsFinal() {
			continue
		}
		e.intent = nil
		if u.Status == kvapi.Committed && in.txn.Epoch == u.Txn.Epoch && !isIgnored(u.IgnoredSeqNums, in.txn.Seq) {
			e.versions = append([]version{{u.Txn.WriteTimestamp, in.value, in.tombstone, in.signed}}, e.versions...)
		}
	}
	c.wakeAll()
}

func (e *eval) heartbeat(q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	if _, gone := e.c.mu.finished[e.txn.ID]; gone {
		return kvapi.NewError(kvapi.ErrTxnAborted, "%s", e.txn.ID.Short())
	}
	rec := e.c.status(e.txn.TxnMeta).Clone()
	rec.LastHeartbeat.Forward(q.Now)
	e.setRecord(rec)
	e.txn.Status = rec.Status
	return nil
}

func (e *eval) push(q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	rec := e.c.status(q.Push.Pushee).Clone()
	resp.Pushee = rec
	if q.Kind == kvapi.QueryTxn || rec.Status.IsFinal() {
		return nil
	}
	if rec.Status == kvapi.Staging {
		err := kvapi.NewError(kvapi.ErrIndeterminateCommit, "%s", rec.ID.Short())
		err.Pushee = rec
		return err
	}
	if !q.Push.Force && !e.c.expired(rec) && q.Push.Pusher.Priority <= rec.Priority {
		err := kvapi.NewError(kvapi.ErrPushFailed, "%s", rec.ID.Short())
		err.Pushee = rec
		return err
	}
	if q.Push.Type == kvapi.PushTimestamp {
		rec.WriteTimestamp.Forward(q.Push.To)
		e.c.mu.pushedTo[rec.ID] = rec.WriteTimestamp
		return nil
	}
	rec.Status = kvapi.Aborted
	e.c.finish(rec, nil)
	return nil
}

func (e *eval) queryCommit(q *kvapi.Request, resp *kvapi.Response) {
	for _, v := range e.c.cellAt(q.Key).versions {
		if v.signed == q.Push.Pushee.ID {
			resp.Pushee = &kvapi.Transaction{TxnMeta: q.Push.Pushee, Status: kvapi.Committed}
			resp.Pushee.WriteTimestamp = v.ts
		}
	}
}

func (c *Cluster) expired(rec *kvapi.Transaction) bool {
	last := rec.MinTimestamp.Max(rec.LastHeartbeat)
	return c.clock.PhysicalNow()-last.WallTime > int64(c.Expiry)
}

func (e *eval) recover(q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	resp.Pushee = e.c.recoverAs(&q.Recover.Txn, q.Recover.ImplicitlyCommitted)
	return nil
}

// recoverAs ends a staging record, if it is still the one that was seen.
func (c *Cluster) recoverAs(seen *kvapi.Transaction, committed bool) *kvapi.Transaction {
	rec := c.mu.records[seen.ID]
	if rec == nil {
		// Ended and removed; only the asker knows what it found.
		t := seen.Clone()
		t.Status = kvapi.Aborted
		if committed {
			t.Status = kvapi.Committed
		}
		return t
	}
	if rec.Status != kvapi.Staging || rec.Epoch != seen.Epoch || rec.WriteTimestamp != seen.WriteTimestamp {
		return rec
	}
	rec = rec.Clone()
	rec.InFlightWrites = nil
	rec.Status = kvapi.Aborted
	if committed {
		rec.Status = kvapi.Committed
	}
	c.finish(rec, rec.LockSpans)
	return rec
}

func (e *eval) queryIntent(q *kvapi.Request, resp *kvapi.Response) {
	resp.Found = e.c.holds(q.Key, q.Query.Txn, q.Query.Seq)
}

// holds reports whether a promised write is there; if not, it never will be.
func (c *Cluster) holds(k kvapi.Key, m kvapi.TxnMeta, seq kvapi.TxnSeq) bool {
	in := c.cellAt(k).intent
	if in != nil && in.txn.ID == m.ID && in.txn.Epoch == m.Epoch && in.txn.Seq >= seq &&
		in.txn.WriteTimestamp.LessEq(m.WriteTimestamp) {
		return true
	}
	c.noteRead(kvapi.Span{Key: k}, read{ts: m.WriteTimestamp})
	return false
}

// settleOrWaitLocked makes progress past e's conflict: it settles the holder
// if that can be done, or waits until something changed.
func (c *Cluster) settleOrWaitLocked(ctx context.Context, e *eval) *kvapi.Error {
	l := e.conflict.lock
	rec := c.status(l.Txn)
	switch {
	case rec.Status == kvapi.Staging && (c.RecoverEagerly || c.expired(rec)):
		c.recoverStaging(rec)
		return nil
	case rec.Status == kvapi.Pending && c.expired(rec):
		dead := rec.Clone()
		dead.Status = kvapi.Aborted
		c.finish(dead, nil)
		return nil
	case rec.Status.IsFinal():
		if c.mu.finished[rec.ID] == kvapi.Committed && l.Strength == kvapi.LockIntent && l.Txn.Epoch == rec.Epoch {
			panic("memkv: a committed transaction did not name its intent on " + l.Key.String())
		}
		c.resolve(kvapi.Span{Key: l.Key}, c.finalUpdate(rec))
		return nil
	case e.conflict.wait == kvapi.WaitError:
		err := kvapi.NewError(kvapi.ErrLockConflict, "key %s", l.Key)
		err.Locks, err.Key, err.Other = []kvapi.Lock{l}, l.Key, &l.Txn
		return err
	}
	return c.waitLocked(ctx, e.id(), l)
}

// finalUpdate is the resolution for a lock of a finished transaction.
func (c *Cluster) finalUpdate(rec *kvapi.Transaction) kvapi.LockUpdate {
	return kvapi.LockUpdate{Txn: rec.TxnMeta, Status: rec.Status}
}

func (c *Cluster) recoverStaging(rec *kvapi.Transaction) {
	all := true
	for _, w := range rec.InFlightWrites {
		all = c.holds(w.Key, rec.TxnMeta, w.Seq) && all
	}
	c.recoverAs(rec, all)
}

// waitLocked waits for any change; a cycle of waiters ends with the one that
// closes it.
func (c *Cluster) waitLocked(ctx context.Context, me kvapi.TxnID, l kvapi.Lock) *kvapi.Error {
	if !me.IsZero() {
		for at, ok := l.Txn.ID, true; ok; at, ok = c.mu.waits[at] {
			if at == me {
				err := kvapi.NewError(kvapi.ErrDeadlock, "key %s", l.Key)
				err.Key, err.Other = l.Key, &l.Txn
				return err
			}
		}
		c.mu.waits[me] = l.Txn.ID
		defer delete(c.mu.waits, me)
	}
	wake := c.mu.wake
	c.mu.Unlock()
	defer c.mu.Lock()
	timer := time.NewTimer(c.Expiry / 5)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
		return kvapi.NewError(kvapi.ErrCanceled, "%v", context.Cause(ctx))
	}
	return nil
}

// Value returns the newest committed value of a key, for tests.
func (c *Cluster) Value(k kvapi.Key) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.cellAt(k).visible(hlc.MaxTimestamp)
	return v.value, ok
}

// Intents returns how many intents there are, for tests.
func (c *Cluster) Intents() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	c.mu.cells.Ascend(func(e *cell) bool {
		if e.intent != nil {
			n++
		}
		return true
	})
	return n
}
