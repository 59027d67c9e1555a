package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// mapError turns any error into what a client is told. s may be nil.
func mapError(err error, s *Session) error {
	var own *sqlerr.Error
	if errors.As(err, &own) {
		return withSchema(own, s)
	}
	if e := transactionError(err, s); e != nil {
		return e.WithCause(err)
	}
	if e := worldError(err); e != nil {
		return e.WithCause(err)
	}
	return sqlerr.From(err)
}

// withSchema completes an error about a table, whose schema execution does not know.
func withSchema(e *sqlerr.Error, s *Session) *sqlerr.Error {
	if e.Table == "" || e.Schema != "" || s == nil || s.pg.Contents == nil {
		return e
	}
	for _, name := range s.pg.SearchPath {
		sc := s.pg.Contents.Schema(s.db.ID, name)
		if sc == nil {
			continue
		}
		if o, _ := s.pg.Contents.Relation(sc.ID, e.Table); o != nil {
			return e.WithTable(name, e.Table)
		}
	}
	if s.tx != nil { // made or renamed by this transaction
		for _, t := range s.tx.tables {
			if sc := s.pg.Contents.SchemaByID(t.SchemaID); t.Name == e.Table && sc != nil {
				return e.WithTable(sc.Name, e.Table)
			}
		}
	}
	return e
}

func transactionError(err error, s *Session) *sqlerr.Error {
	var (
		retry    *txn.RetryError
		deadlock *txn.DeadlockError
		cond     *txn.ConditionFailedError
		lock     *txn.LockConflictError
		late     *txn.LockTimeoutError
		large    *txn.TooLargeError
		back     *txn.RollbackUnsupportedError
		old      *txn.SnapshotTooOldError
		changed  *schema.ChangedError
	)
	switch {
	case txn.IsAmbiguous(err):
		return sqlerr.New(sqlerr.StatementCompletionUnknown, "it is not known whether the transaction was committed").
			WithDetail("%s", err.Error()).WithHint("%s", unknownHint(s))
	case errors.As(err, &retry):
		return sqlerr.New(sqlerr.SerializationFailure, "could not serialize access due to concurrent update").
			WithDetail("%s.", capital(retry.Reason)).WithHint("%s", conflictHint(s, retry.Key, retry.Other, retry.Version))
	case errors.As(err, &deadlock):
		return sqlerr.New(sqlerr.DeadlockDetected, "deadlock detected").WithDetail("%s", deadlockDetail(deadlock.Cycle)).WithHint("%s", conflictHint(s, deadlock.Key, deadlock.Other, hlc.Timestamp{}))
	case errors.As(err, &cond):
		return withSchema(sqlerr.From(conditionError(s, cond.Key)), s)
	case errors.As(err, &lock):
		return sqlerr.New(sqlerr.LockNotAvailable, "could not obtain lock on row in relation \"%s\"", relationOf(s, lock.Key))
	case errors.As(err, &late):
		return sqlerr.New(sqlerr.LockNotAvailable, "canceling statement due to lock timeout").
			WithWhere("while locking a row in relation \"%s\"", relationOf(s, late.Key))
	case errors.As(err, &large):
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%s", large.Error()).WithHint("Split the work over several transactions.")
	case errors.As(err, &back):
		return sqlerr.New(sqlerr.FeatureNotSupported, "cannot roll back to a savepoint after %d bytes of writes", back.FlushedBytes).
			WithHint("Roll back the whole transaction.")
	case errors.As(err, &old):
		if s != nil && s.tx != nil && s.tx.past {
			return sqlerr.New(sqlerr.SnapshotTooOld, "cannot read so far in the past").WithDetail("%s", old.Error()).
				WithHint("Old versions are kept for as long as the table's gc_ttl says, or else %s.", gcTTL)
		}
		return sqlerr.New(sqlerr.SerializationFailure, "snapshot too old").
			WithDetail("The transaction reads as of a time that is further back than %s, or the table's gc_ttl, reaches.", gcTTL).
			WithHint("Run the transaction again.")
	case errors.As(err, &changed):
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cannot read relation \"%s\" as of %s", changed.Name,
			time.Unix(0, changed.At.WallTime).UTC().Format(time.RFC3339Nano)).
			WithDetail("Its definition has changed since.")
	case errors.As(err, new(txn.ReadOnlyError)):
		return sqlerr.New(sqlerr.ReadOnlySQLTransaction, "cannot write in a read-only transaction")
	}
	return nil
}

func worldError(err error) *sqlerr.Error {
	var (
		canceled    *txn.CanceledError
		unavailable *txn.UnavailableError
		overloaded  *txn.OverloadedError
		diskFull    *txn.DiskFullError
	)
	switch {
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to user request")
	case errors.Is(err, context.DeadlineExceeded):
		return sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to statement timeout")
	case errors.As(err, &unavailable):
		return sqlerr.New(sqlerr.CannotConnectNow, "a part of the data is not available at present").WithDetail("%s", err.Error())
	case errors.As(err, &diskFull):
		return sqlerr.New(sqlerr.DiskFull, "could not write: no space left on device").WithDetail("%s", capital(diskFull.Error())+".").
			WithHint("Reads and deletes go on. Dropping or truncating tables frees space after some minutes; so does a larger disk, at once.")
	case errors.As(err, &overloaded):
		return sqlerr.New(sqlerr.InsufficientResources, "the cluster is overloaded").WithDetail("%s", err.Error())
	}
	return nil
}

// withCause prefers why a context was cancelled to the bare fact.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() == nil || txn.IsAmbiguous(err) {
		return err
	}
	var e *sqlerr.Error
	if errors.As(context.Cause(ctx), &e) {
		return e
	}
	return err
}

// deadlockDetail says who waits for whom, as Postgres does for processes, and in which statement,
// which Postgres tells its log alone.
func deadlockDetail(cycle []kvapi.TxnWait) string {
	var waits, runs []string
	for _, w := range cycle {
		waits = append(waits, fmt.Sprintf("Transaction %s waits for transaction %s.", w.Waiter.Short(), w.Holder.Short()))
		runs = append(runs, fmt.Sprintf("Transaction %s: %s", w.Waiter.Short(), w.Name))
	}
	return strings.Join(append(waits, runs...), "\n")
}

func capital(s string) string {
	if s == "" {
		return "The transaction lost to another one"
	}
	return string(s[0]-'a'+'A') + s[1:]
}

func unknownHint(s *Session) string {
	if s != nil && s.tx != nil && s.tx.claim != nil {
		return "Ask cairn.transaction_outcome, or run the transaction again under the same idempotency key."
	}
	return "Look at the data before you try again."
}

func conflictHint(s *Session, key kvapi.Key, other *kvapi.TxnMeta, version hlc.Timestamp) string {
	h := "The transaction might succeed if retried."
	if key != nil {
		h += fmt.Sprintf(" The conflict was in relation \"%s\"", relationOf(s, key))
		if text := keyText(s, key); text != "" {
			h += fmt.Sprintf(", key %s", text)
		}
		h += whoseText(s, other, version) + "."
	}
	return h
}

// whoseText names the other transaction as well as it can be found out: the session it belongs to,
// and how long its statement ran, or runs.
func whoseText(s *Session, other *kvapi.TxnMeta, version hlc.Timestamp) string {
	var st *SessionState
	if s != nil {
		st = s.srv.whose(other, version)
	}
	var id kvapi.TxnID
	switch {
	case st != nil:
		copy(id[:], st.Txn)
	case other != nil:
		id = other.ID
	}
	if id.IsZero() {
		return ""
	}
	h := ", with transaction " + id.Short()
	if st == nil {
		return h
	}
	if st.Application != "" {
		h += fmt.Sprintf(" of application \"%s\"", st.Application)
	}
	h += fmt.Sprintf(" (pid %d), whose statement began %s ago", st.PID, age(st.NowNanos-st.SinceNanos))
	if st.EndNanos != 0 {
		h += fmt.Sprintf(" and which committed %s ago", age(st.NowNanos-st.EndNanos))
	}
	return h
}

// age prints nanoseconds for people.
func age(nanos int64) string {
	d := time.Duration(max(nanos, 0))
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// relationOf names the table of a key.
func relationOf(s *Session, key kvapi.Key) string {
	id, _, ok := tablekv.SplitKey(key)
	if ok && s != nil && s.pg.Contents != nil {
		if t := s.pg.Contents.Table(id); t != nil {
			return t.Name
		}
	}
	return key.String()
}

// keyText prints the key of a row or index entry; empty if it is none of a table that is known.
func keyText(s *Session, key kvapi.Key) string {
	id, _, ok := tablekv.SplitKey(key)
	if ok && s != nil && s.pg.Contents != nil {
		if t := s.pg.Contents.Table(id); t != nil {
			text := ""
			_ = s.guard(func() error { // outside of the statement
				text = exec.KeyText(tablekv.NewCodec(t), key, s.env)
				return nil
			})
			return text
		}
	}
	return ""
}

// conditionError is a unique violation found at commit.
func conditionError(s *Session, key kvapi.Key) error {
	id, _, ok := tablekv.SplitKey(key)
	var t *schema.Table
	if ok && s != nil {
		if s.tx != nil {
			t = s.tx.tables[id]
		}
		if t == nil && s.pg.Contents != nil {
			t = s.pg.Contents.Table(id)
		}
	}
	if t == nil {
		return sqlerr.New(sqlerr.UniqueViolation, "duplicate key value violates unique constraint")
	}
	var e *sqlerr.Error
	err := s.guard(func() error { // outside of the statement
		e = exec.UniqueViolation(tablekv.NewCodec(t), key, s.env)
		return nil
	})
	if err != nil {
		return err
	}
	if bind.PoliciesHold(s.pg.Contents, t, s.user()) {
		e = e.WithDetail("") // the other row may be one that is not to be seen
	}
	return e
}

func isRetryable(err error) bool {
	var e *sqlerr.Error
	if errors.As(err, &e) && e.Code != sqlerr.SerializationFailure && e.Code != sqlerr.DeadlockDetected {
		return false
	}
	return txn.IsRetryable(err) && !txn.IsAmbiguous(err)
}
