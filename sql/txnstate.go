package sql

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// txnState is the session's transaction.
//
//	        first statement            BEGIN
//	idle ───────────────────▶ implicit ──────▶ explicit ──error──▶ failed
//	  ▲                          │ end of query,  │ COMMIT, ROLLBACK     │ ROLLBACK, COMMIT,
//	  └──────────────────────────┴ Sync ──────────┴──────────────────────┘ ROLLBACK TO → explicit
type txnState struct {
	t        *txn.Txn
	r        *schema.Resolver
	explicit bool
	failed   bool
	readOnly bool
	// deferrable is only remembered: nothing waits for a snapshot that is safe.
	deferrable bool
	// level is the isolation level's name, stmt the statement that runs.
	level string
	// history is what can be run again; nil in an implicit transaction.
	history *history
	// claim is its idempotency key, nil for none.
	claim *claim
	// past: it reads at a past timestamp.
	past  bool
	stmt  statement
	start time.Time
	// done counts the statements that have run; a transaction in which none has may start over.
	done       int
	savepoints []savepoint
	tables     map[schema.DescID]*schema.Table
	undo       []varUndo
	retries    int
	refs       references
	// notes are sent, and listens done, when it commits.
	notes   []Notification
	listens []listenChange
	// lost is the error after which the store does not let the transaction go on: not even a
	// savepoint brings it back.
	lost error
}

type savepoint struct {
	name    string
	sp      txn.Savepoint
	undo    int
	changes int // schema changes before it
	refs    refMark
	cursors int // cursors declared before it
	notes   int
	listens int
}

func (s *Session) txnStatus() TxnStatus {
	switch {
	case s.tx == nil || !s.tx.explicit:
		return TxnIdle
	case s.tx.failed:
		return TxnFailed
	}
	return TxnOpen
}

// ensureTxn begins an implicit transaction if there is none.
func (s *Session) ensureTxn() {
	if s.tx != nil {
		return
	}
	s.vars.syncCluster()
	s.tx = &txnState{readOnly: s.vars.get("default_transaction_read_only") == "on",
		deferrable: s.vars.get("default_transaction_deferrable") == "on", level: s.vars.get("default_transaction_isolation")}
	s.newAttempt()
}

// kv is the transaction as a statement that begins now uses it.
func (s *Session) kv() *txn.Txn {
	s.tx.t.SetLockTimeout(s.vars.lockTimeout)
	return s.tx.t
}

// nameBytesMax bounds what of a statement is sent along for people.
const nameBytesMax = 120

// nameTxn names the transaction by the statement that it is about to run, for those who meet it in a
// deadlock. That takes two locks at two times, so the first statement of a transaction, and thus
// all those that are alone, need not pay for a longer name.
func (s *Session) nameTxn(statement string) {
	if !s.tx.explicit || s.tx.done == 0 {
		return
	}
	if len(statement) > nameBytesMax {
		statement = strings.ToValidUTF8(statement[:nameBytesMax], "") + "…"
	}
	s.tx.t.SetName(s.vars.get("application_name") + ": " + statement)
}

// durableLocks says whether FOR UPDATE and its kind replicate their locks: a transaction that
// ends with the statement has no use for that.
func (s *Session) durableLocks() bool {
	return s.tx.explicit && s.vars.get("cairn.durable_locks") == "on"
}

func (s *Session) beginTxn() *txn.Txn {
	o := txn.Options{Name: s.vars.get("application_name"), Isolation: isolationOf(s.tx.level), ReadTimestamp: s.asOf()}
	if s.tx.past = !o.ReadTimestamp.IsEmpty(); s.tx.past {
		s.tx.readOnly = true
	} else {
		o.Causality = s.causality.at
	}
	t := s.srv.cfg.DB.Begin(o)
	if s.tx.explicit {
		t.StandIn(s.standing)
	}
	return t
}

func (s *Session) newAttempt() {
	tx := s.tx
	tx.t = s.beginTxn()
	tx.r = s.srv.cfg.Catalog.Resolver(tx.t)
	tx.start = time.Now()
	s.ec.TxnTime = tx.start
	s.env.Now = tx.start
}

// retryBackoffMax bounds the pause between attempts.
const (
	retriesMax      = 50
	retryBackoffMax = 100 * time.Millisecond
)

// origin is how a transaction was when the part of it that is run again began.
type origin struct {
	explicit bool
	// undo is how many settings had been made, steps how many statements had run: those stay.
	undo, steps int
}

// startOver makes the transaction as new after a retryable error.
func (s *Session) startOver(ctx context.Context, cause error, o origin) bool {
	tx := s.tx
	if tx == nil || tx.retries >= retriesMax || ctx.Err() != nil {
		return false
	}
	s.noteConflict(cause, conflictRetried)
	s.closePortalCursors()
	s.endCursors(false)
	s.advisory.endTxn(ctx, true)
	// A schema change works through side transactions too, which the locks of
	// an attempt that failed would block.
	renew := tx.r.Changing()
	tx.r.Finish(ctx, false)
	if renew || tx.t.PrepareForRetry(cause) != nil {
		lost := tx.t.Lost()
		tx.t.Rollback(context.WithoutCancel(ctx))
		tx.t = s.beginTxn()
		tx.t.StandIn(lost)
	}
	tx.r = s.srv.cfg.Catalog.Resolver(tx.t)
	s.undoVars(tx.undo[o.undo:], false)
	tx.undo, tx.savepoints, tx.tables = tx.undo[:o.undo], nil, nil
	tx.refs = references{}
	tx.notes, tx.listens = nil, nil
	tx.explicit, tx.failed, tx.done = o.explicit, false, 0
	switch {
	case !o.explicit:
		tx.history = nil
	case tx.history != nil:
		tx.history.steps = tx.history.steps[:min(o.steps, len(tx.history.steps))]
	}
	tx.retries++
	tx.start = time.Now()
	s.ec.TxnTime, s.env.Now = tx.start, tx.start
	pause(ctx, tx.retries)
	return true
}

// pause waits a little longer each time, so that those who conflict do not meet again at once.
func pause(ctx context.Context, n int) {
	if n <= 1 {
		return
	}
	d := min(time.Millisecond<<min(n, 10), retryBackoffMax)
	t := time.NewTimer(time.Duration(rand.Int64N(int64(d))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// commit commits. After an error the transaction is as it was if the error is retryable, else it
// has ended.
func (s *Session) commit(ctx context.Context) error {
	tx := s.tx
	tx.stmt = statement{}
	tx.t.SetStrict(s.vars.get("cairn.consistency") == "strict")
	err := s.guard(func() error { return s.computeAtCommit(ctx) })
	if err == nil {
		err = tx.r.PrepareCommit(ctx)
	}
	if err == nil {
		err = s.writeClaim(ctx)
	}
	wrote := !tx.t.IsReadOnlySoFar()
	if err == nil {
		err = tx.t.Commit(ctx)
	}
	if err == nil {
		if wrote {
			s.noteCommit()
		}
		if tx.explicit {
			s.standing = txn.Standing{}
		}
		s.finish(ctx, true)
		if tx.claim != nil {
			s.sweepOutcomes(ctx)
		}
		return nil
	}
	if cerr := claimError(err); cerr != nil {
		err = cerr
	}
	if isRetryable(err) {
		return err
	}
	err = mapError(withCause(ctx, err), s)
	s.rollback(ctx)
	return err
}

// computeAtCommit does what statements have left for the commit.
func (s *Session) computeAtCommit(ctx context.Context) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := s.onCommit(ctx); err != nil {
		return err
	}
	if err := s.settleDeferred(ctx, func(*refEvent) bool { return true }); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	return s.holdCursors(ctx)
}

// rollback rolls back.
func (s *Session) rollback(ctx context.Context) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.tx.t.Rollback(clean); err != nil {
		s.srv.log.Warn("rolling back", "err", err)
	}
	s.finish(clean, false)
}

func (s *Session) finish(ctx context.Context, committed bool) {
	tx := s.tx
	s.closePortals()
	s.endCursors(committed)
	tx.r.Finish(ctx, committed)
	s.noteCausality(tx)
	s.advisory.endTxn(ctx, false)
	s.tx = nil
	s.noteEnd()
	s.undoVars(tx.undo, committed)
	s.replay.reset()
	if committed {
		s.publish(tx)
	}
}

// noteError ends an implicit transaction. An explicit one can only be rolled back from here on; if
// it was its COMMIT that failed, it has ended.
func (s *Session) noteError(ctx context.Context, err error, atCommit bool) {
	if s.tx == nil {
		return
	}
	s.noteConflict(err, conflictShown)
	if s.tx.explicit && isRetryable(err) {
		s.standing = s.tx.t.Lost()
	}
	if s.tx.explicit && !atCommit {
		s.closePortals()
		s.tx.failed = true
		s.noteFailed()
		if h := s.tx.history; h != nil {
			h.off, h.steps = true, nil
		}
		if isRetryable(err) && s.tx.lost == nil {
			s.tx.lost = err
		}
		s.letGo(ctx)
		return
	}
	s.rollback(ctx)
}

// letGo frees what a failed transaction has locked and what it has taken out of use,
// unless ROLLBACK TO may have it go on: others need not wait until its client, which
// may think for long, says ROLLBACK.
func (s *Session) letGo(ctx context.Context) {
	if len(s.tx.savepoints) > 0 && s.tx.lost == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.tx.t.Rollback(ctx); err != nil {
		s.srv.log.Warn("rolling back", "err", err)
	}
	s.tx.r.Finish(ctx, false)
}

// fail is noteError for the wire layer.
func (s *Session) fail() { s.noteError(context.Background(), nil, false) }

func errAborted() error {
	return sqlerr.New(sqlerr.InFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block")
}
