package sql

import (
	"context"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// How the levels of SQL are given. Names are those of Postgres, and so is what
// they allow; package txn says how each is kept (txn/isolation.go).
//
//	read uncommitted,    each statement reads at its own beginning, and runs again at the
//	read committed       gateway if it meets a newer version
//	repeatable read      one snapshot, the first committer wins
//	serializable         serializable
//
// Two deviations, both towards more isolation: a statement that runs again sees a newer snapshot as
// a whole, where Postgres looks anew only at the rows it waited for; and a transaction that changes
// the schema is serializable from there on, as SHOW transaction_isolation then says.
//
// A statement of read committed cannot run again once a part of its result was sent, nor beside a
// portal that is half read; such portals keep their snapshot, which is the transaction's. It then
// fails with 40001.

const serializable = "serializable"

// isolationOf is the level behind a valid name.
func isolationOf(level string) txn.Isolation {
	switch level {
	case "read uncommitted", "read committed":
		return txn.ReadCommitted
	case "repeatable read":
		return txn.Snapshot
	}
	return txn.Serializable
}

func canonicalIsolation(name, v string) (string, error) {
	switch v := strings.ToLower(v); v {
	case serializable, "repeatable read", "read committed", "read uncommitted":
		return v, nil
	}
	return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", name, v).
		WithHint("Available values: serializable, repeatable read, read committed, read uncommitted.")
}

func applyDefaultIsolation(_ *Session, v string) (string, error) {
	return canonicalIsolation("default_transaction_isolation", v)
}

// setIsolation sets the level of the present transaction.
func (s *Session) setIsolation(v string) error {
	level, err := canonicalIsolation("transaction_isolation", v)
	if err != nil || s.tx == nil || level == s.tx.level {
		return err
	}
	switch {
	case len(s.tx.savepoints) > 0:
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
	case s.tx.done > 0:
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query")
	}
	s.tx.level = level
	s.tx.t.SetIsolation(isolationOf(level))
	return nil
}

// makeSerializable raises the level: the catalog relies on what it has read.
func (s *Session) makeSerializable(ctx context.Context) error {
	if err := s.tx.t.MakeSerializable(ctx); err != nil {
		return err
	}
	s.tx.level = serializable
	return nil
}

// statement is what is needed to run a statement again.
type statement struct {
	st   txn.Statement
	undo int
	refs refMark
	// again: it may run again.
	again bool
}

// beginStatement is called before the first step of every statement.
func (s *Session) beginStatement(n *pg.Node) {
	tx := s.tx
	s.calledEffects = false
	tx.stmt = statement{}
	if tx.failed || n.GetTransactionStmt() != nil || n.GetVariableSetStmt() != nil || n.GetVariableShowStmt() != nil {
		return
	}
	if s.halfRead() {
		return
	}
	tx.stmt = statement{st: tx.t.BeginStatement(), undo: len(tx.undo), refs: tx.refs.mark(), again: tx.level != serializable}
}

// retryStatement takes back what the present statement did, and reports whether it may run again.
// Its output must have been rewound.
func (s *Session) retryStatement(ctx context.Context, cause error) bool {
	tx := s.tx
	if tx == nil || !tx.stmt.again || tx.failed || tx.lost != nil || tx.retries >= retriesMax || ctx.Err() != nil || tx.r.Changing() {
		return false
	}
	if tx.t.RetryStatement(tx.stmt.st, cause) != nil {
		return false
	}
	s.noteConflict(cause, conflictRetried)
	tx.refs.rewind(tx.stmt.refs)
	s.undoVars(tx.undo[tx.stmt.undo:], false)
	tx.undo = tx.undo[:tx.stmt.undo]
	tx.retries++
	pause(ctx, tx.retries)
	return true
}
