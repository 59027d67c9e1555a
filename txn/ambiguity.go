package txn

import (
	"context"
	"errors"
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

// outcomeOfRecord decides what the transaction's record means, as it is after
// a push to abort that succeeds whatever the priorities:
//
//	the record                             the user is told
//	committed                              committed (no error)
//	staging                                find out: recover it first
//	aborted, now or before                 that it was aborted
//	none, and none can appear any more     find out: look for the signature
//
// Absence alone proves nothing: a one-phase commit writes no record, and a
// commit that others recovered and resolved has none left. real says that the
// record is there and not made up for the answer.
func outcomeOfRecord(s kvapi.TxnStatus, real bool) outcome {
	switch {
	case s == kvapi.Committed:
		return tellCommitted
	case s == kvapi.Aborted && real:
		return tellError
	}
	return findOut
}

// sign has the first of the writes carry the transaction's signature. Each
// batch of writes does so anew, since a later one may replace what an earlier
// one signed.
func (t *Txn) sign(writes []kvapi.Request) {
	if len(writes) > 0 {
		writes[0].Sign = true
		t.signed, t.signedSeq = writes[0].Key, writes[0].Seq
	}
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

// settle finds out what became of a commit. The user's patience may be over;
// the answer is worth a moment more.
//
// First the transaction is pushed, as others do who meet one that is abandoned.
// A push never undoes a commit: it finds it, or the staging record, to be
// recovered; or it makes sure that the transaction does not commit any more,
// however late its messages arrive. If that leaves no record to ask, the key
// that the transaction signed tells: of a commit that is past, one phase or
// resolved by others, its committed version is there.
//
//	push, by force ──▶ committed, aborted ─────────────────────▶ told
//	     │       └───▶ staging ──▶ recover it ──▶ told, or push again
//	     └ no record: signed version? ──▶ there: committed
//	                                  └─▶ not there: aborted, for good
//
// The simpler way, to only look at the record, leaves every one-phase commit
// whose answer was lost unknown, and every client that loses a node with it.
func (c *committer) settle(ctx context.Context, cause *kvapi.Error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleMax)
	defer cancel()
	for pause := settlePause; ; pause = min(2*pause, settlePauseMax) {
		rec, err := c.endForGood(ctx)
		switch {
		case err != nil:
			c.t.db.cfg.Logger.Debug("the fate of a commit is not known yet", "txn", c.t.ID().Short(), "err", err)
		case rec.Status == kvapi.Committed:
			c.t.db.metrics.Settled.Add(1)
			c.committedAs(rec)
			return nil
		case rec.Status == kvapi.Aborted:
			c.t.db.metrics.Settled.Add(1)
			c.t.onSettledAborted()
			return c.t.fail(ctx, kvapi.NewError(kvapi.ErrTxnAborted, "the commit was interrupted: %v", cause))
		}
		if errors.Is(err, errUnsigned) || !sleep(ctx, pause) {
			return &AmbiguousError{Cause: cause}
		}
	}
}

// errUnsigned says that nothing can tell any more how the transaction ended.
var errUnsigned = errors.New("txn: no record is left, nor a signature")

// endForGood returns the transaction as it ended. An error says that this is
// not known now.
func (c *committer) endForGood(ctx context.Context) (*kvapi.Transaction, error) {
	db, p := c.t.db, c.t.snapshot()
	push := kvapi.Request{Kind: kvapi.PushTxn, Key: p.AnchorKey, Push: &kvapi.PushArgs{
		Pushee: p.TxnMeta, Pusher: kvapi.TxnMeta{Priority: kvapi.PriorityNormal}, Type: kvapi.PushAbort, Force: true}}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: db.cfg.NodeID}}
	br, err := db.cfg.Sender.Send(ctx, ba.Add(push))
	var rec *kvapi.Transaction
	switch {
	case err != nil && err.Kind == kvapi.ErrIndeterminateCommit && err.Pushee != nil && db.cfg.Recoverer != nil:
		if rec, err = db.cfg.Recoverer.Recover(ctx, err.Pushee); err != nil {
			return nil, err
		}
		rec = trusted(rec)
	case err != nil:
		return nil, err
	case br.Responses[0].Pushee == nil:
		return nil, errors.New("txn: a push without an answer")
	default:
		rec = br.Responses[0].Pushee
	}
	if outcomeOfRecord(rec.Status, isReal(rec)) != findOut {
		return rec, nil
	}
	if rec.Status != kvapi.Aborted {
		return nil, errors.New("txn: the record is " + rec.Status.String())
	}
	return c.findSigned(ctx)
}

// findSigned returns the transaction as its signature tells. It is called when
// the transaction has no record and cannot get one any more.
func (c *committer) findSigned(ctx context.Context) (*kvapi.Transaction, error) {
	if c.t.signed == nil {
		return nil, errUnsigned
	}
	db, p := c.t.db, c.t.snapshot()
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Gateway: db.cfg.NodeID, Timestamp: p.MinTimestamp}}
	ba.Add(kvapi.Request{Kind: kvapi.QueryCommit, Key: c.t.signed, Push: &kvapi.PushArgs{Pushee: p.TxnMeta}})
	br, err := db.cfg.Sender.Send(ctx, ba)
	switch {
	case err != nil && err.Kind == kvapi.ErrBelowGCThreshold:
		return nil, errUnsigned
	case err != nil:
		return nil, err
	case br.Responses[0].Pushee != nil:
		return br.Responses[0].Pushee, nil
	}
	return &kvapi.Transaction{TxnMeta: p.TxnMeta, Status: kvapi.Aborted}, nil
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
