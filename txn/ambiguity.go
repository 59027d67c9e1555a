package txn

import (
	"context"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// outcome is what the user is told about a commit.
type outcome uint8

const (
	// tellError: the commit had no effect and never will.
	tellError outcome = iota
	// tellCommitted: it happened.
	tellCommitted
	// findOut: it may have happened; look at the record.
	findOut
	// tellAmbiguous: it cannot be found out.
	tellAmbiguous
)

// outcomeOf decides what the error of a commit batch means:
//
//	the answer                                        the user is told
//	success, also of a second attempt                 committed (no error)
//	the record is committed already (lost answer)     committed
//	ambiguous                                         find out, else ambiguous
//	canceled, unreachable or unavailable after an
//	attempt may have been evaluated                   find out, else ambiguous
//	any other error                                   that error
//
// The last line is sound because the sender turns every error of a second
// attempt into an ambiguous one when the first may have been evaluated: a
// write that finds its own intent resolved by a recovery looks exactly like
// one that lost a race.
func outcomeOf(err *kvapi.Error) outcome {
	switch err.Kind {
	case kvapi.ErrTxnFinished:
		return tellCommitted
	case kvapi.ErrAmbiguous:
		return findOut
	case kvapi.ErrCanceled, kvapi.ErrNodeUnreachable, kvapi.ErrUnavailable:
		if err.MaybeApplied {
			return findOut
		}
	}
	return tellError
}

// outcomeOfRecord decides what the transaction's record, as queried after an
// ambiguous commit, means. Absence proves nothing: a one-phase commit writes
// no record, and a commit that others recovered and resolved has none left.
// real says that the record is there and not made up for the answer.
func outcomeOfRecord(s kvapi.TxnStatus, real bool) outcome {
	switch {
	case s == kvapi.Committed:
		return tellCommitted
	case s == kvapi.Staging:
		return findOut
	case s == kvapi.Aborted && real:
		return tellError
	}
	return tellAmbiguous
}

// resolve ends a commit that did not simply succeed.
func (c *committer) resolve(ctx context.Context, err *kvapi.Error) error {
	switch outcomeOf(err) {
	case tellCommitted:
		c.committedAs(err.Txn)
		return nil
	case findOut:
		return c.settle(ctx, err)
	case tellError:
	}
	c.t.mu.Lock()
	c.t.mu.finishing = false
	c.t.mu.Unlock()
	return c.t.fail(ctx, err)
}

func (c *committer) committedAs(rec *kvapi.Transaction) {
	if rec == nil {
		rec = c.t.snapshot()
	}
	c.onCommitted(rec.WriteTimestamp, false)
}

// settle finds out what became of a commit, the way any reader of one of its
// intents would: ask for the record, and recover it if it is staging. The
// user's patience may be over; the answer is worth a moment more.
func (c *committer) settle(ctx context.Context, cause *kvapi.Error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleMax)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		rec := c.queryRecord(ctx)
		if rec != nil {
			switch outcomeOfRecord(rec.Status, isReal(rec)) {
			case tellCommitted:
				c.t.db.metrics.Settled.Add(1)
				c.committedAs(rec)
				return nil
			case tellError:
				c.t.db.metrics.Settled.Add(1)
				c.t.onSettledAborted()
				return c.t.fail(ctx, kvapi.NewError(kvapi.ErrTxnAborted, "the commit was interrupted: %v", cause))
			case tellAmbiguous:
				return &AmbiguousError{Cause: cause}
			case findOut:
			}
		}
		if !sleep(ctx, pause) {
			return &AmbiguousError{Cause: cause}
		}
	}
}

func (t *Txn) onSettledAborted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.aborted = true
}

// isReal reports whether a record is there: what a server makes up from a
// transaction's id has neither heartbeat nor locks.
func isReal(rec *kvapi.Transaction) bool {
	return !rec.LastHeartbeat.IsEmpty() || len(rec.LockSpans) > 0 || len(rec.InFlightWrites) > 0
}

// queryRecord returns the record, recovered if it was staging; nil if that
// could not be done now.
func (c *committer) queryRecord(ctx context.Context) *kvapi.Transaction {
	db, p := c.t.db, c.t.snapshot()
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: db.cfg.NodeID}}
	ba.Add(kvapi.Request{Kind: kvapi.QueryTxn, Key: p.AnchorKey, Push: &kvapi.PushArgs{Pushee: p.TxnMeta}})
	br, err := db.cfg.Sender.Send(ctx, ba)
	if err != nil || br.Responses[0].Pushee == nil {
		return nil
	}
	rec := br.Responses[0].Pushee
	if rec.Status != kvapi.Staging {
		return rec
	}
	if db.cfg.Recoverer == nil {
		return nil
	}
	after, err := db.cfg.Recoverer.Recover(ctx, rec)
	if err != nil || !after.Status.IsFinal() {
		return nil
	}
	return trusted(after)
}

// trusted takes the certainty from a recovery that met no record any more. To
// any other reader a missing write then means aborted, for of a committed
// transaction no lock would be left that led there. The coordinator was led
// by no lock: others may have committed the transaction, resolved what was
// looked for and removed the record. A record that was really ended promises
// nothing any more; what was made up from the staging one still does.
func trusted(after *kvapi.Transaction) *kvapi.Transaction {
	if after.Status == kvapi.Committed || len(after.InFlightWrites) == 0 {
		return after
	}
	return &kvapi.Transaction{TxnMeta: after.TxnMeta, Status: kvapi.Aborted}
}

// sleep pauses and reports whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
