package sql

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// transaction runs BEGIN, COMMIT, ROLLBACK and the savepoint statements.
func (s *Session) transaction(ctx context.Context, n *pg.TransactionStmt, w ResultWriter) error {
	switch n.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN:
		return s.beginStmt(n, w, "BEGIN")
	case pg.TransactionStmtKind_TRANS_STMT_START:
		return s.beginStmt(n, w, "START TRANSACTION")
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		return s.commitStmt(ctx, n, w)
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return s.rollbackStmt(ctx, n, w)
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		return s.savepoint(n.SavepointName, w)
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		return s.release(n.SavepointName, w)
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return s.rollbackTo(n.SavepointName, w)
	}
	return sqlerr.Unsupported("two-phase commit (PREPARE TRANSACTION)")
}

func warning(code sqlerr.Code, msg string) *sqlerr.Error {
	return sqlerr.New(code, "%s", msg).WithSeverity(sqlerr.SeverityWarning)
}

func (s *Session) beginStmt(n *pg.TransactionStmt, w ResultWriter, tag string) error {
	if s.tx.explicit {
		if err := s.notice(w, warning(sqlerr.ActiveSQLTransaction, "there is already a transaction in progress")); err != nil {
			return err
		}
		return w.CommandComplete(tag)
	}
	s.tx.explicit = true
	s.tx.t.StandIn(s.standing)
	if err := s.txnModes(n.Options, ""); err != nil {
		return err
	}
	if s.tx.done == 0 && !s.tx.past {
		s.tx.history = newHistory(len(s.tx.undo))
	}
	return w.CommandComplete(tag)
}

// commitStmt ends the transaction; one that has failed is rolled back, and the tag says so.
func (s *Session) commitStmt(ctx context.Context, n *pg.TransactionStmt, w ResultWriter) error {
	if !s.tx.explicit {
		if n.Chain {
			return s.needBlock("COMMIT AND CHAIN")
		}
		if err := s.notice(w, warning(sqlerr.NoActiveSQLTransaction, "there is no transaction in progress")); err != nil {
			return err
		}
		return w.CommandComplete("COMMIT")
	}
	was := s.tx
	if s.tx.failed {
		s.rollback(ctx)
		s.chain(n, was)
		return w.CommandComplete("ROLLBACK")
	}
	if err := s.commit(ctx); err != nil {
		return err
	}
	s.chain(n, was)
	return w.CommandComplete("COMMIT")
}

// chain is AND CHAIN: the next transaction has the modes of the last.
func (s *Session) chain(n *pg.TransactionStmt, last *txnState) {
	if n.Chain {
		s.tx = &txnState{explicit: true, readOnly: last.readOnly, deferrable: last.deferrable, level: last.level, history: newHistory(0)}
		s.newAttempt()
	}
}

func (s *Session) rollbackStmt(ctx context.Context, n *pg.TransactionStmt, w ResultWriter) error {
	if !s.tx.explicit {
		if n.Chain {
			return s.needBlock("ROLLBACK AND CHAIN")
		}
		if err := s.notice(w, warning(sqlerr.NoActiveSQLTransaction, "there is no transaction in progress")); err != nil {
			return err
		}
	}
	was := s.tx
	s.rollback(ctx)
	s.chain(n, was)
	return w.CommandComplete("ROLLBACK")
}

func (s *Session) needBlock(what string) error {
	if !s.tx.explicit {
		return sqlerr.New(sqlerr.NoActiveSQLTransaction, "%s can only be used in transaction blocks", what)
	}
	return nil
}

func (s *Session) savepoint(name string, w ResultWriter) error {
	if err := s.needBlock("SAVEPOINT"); err != nil {
		return err
	}
	sp := s.mark()
	sp.name = name
	s.tx.savepoints = append(s.tx.savepoints, sp)
	return w.CommandComplete("SAVEPOINT")
}

// mark is where a transaction may go back to.
func (s *Session) mark() savepoint {
	return savepoint{sp: s.tx.t.Savepoint(), undo: len(s.tx.undo), changes: s.tx.r.ChangeCount(), refs: s.tx.refs.mark(),
		cursors: s.cursorCount, notes: len(s.tx.notes), listens: len(s.tx.listens)}
}

// rewind takes back what the transaction has done since a mark. A change of the schema cannot be.
func (s *Session) rewind(sp savepoint) error {
	if err := s.tx.t.RollbackTo(sp.sp); err != nil {
		return err
	}
	s.tx.refs.rewind(sp.refs)
	s.tx.notes, s.tx.listens = s.tx.notes[:sp.notes], s.tx.listens[:sp.listens]
	s.endCursorsAfter(sp.cursors)
	s.undoVars(s.tx.undo[sp.undo:], false)
	s.tx.undo = s.tx.undo[:sp.undo]
	return nil
}

func (s *Session) findSavepoint(name string) (int, error) {
	for i := len(s.tx.savepoints) - 1; i >= 0; i-- {
		if s.tx.savepoints[i].name == name {
			return i, nil
		}
	}
	return 0, sqlerr.New(sqlerr.InvalidSavepointSpecification, "savepoint \"%s\" does not exist", name)
}

func (s *Session) release(name string, w ResultWriter) error {
	if err := s.needBlock("RELEASE SAVEPOINT"); err != nil {
		return err
	}
	i, err := s.findSavepoint(name)
	if err != nil {
		return err
	}
	if err := s.tx.t.Release(s.tx.savepoints[i].sp); err != nil {
		return err
	}
	s.tx.savepoints = s.tx.savepoints[:i]
	return w.CommandComplete("RELEASE")
}

func (s *Session) rollbackTo(name string, w ResultWriter) error {
	if err := s.needBlock("ROLLBACK TO SAVEPOINT"); err != nil {
		return err
	}
	i, err := s.findSavepoint(name)
	if err != nil {
		return err
	}
	if s.tx.lost != nil {
		return s.tx.lost // the store has ended the transaction: there is nothing to go back to
	}
	sp := s.tx.savepoints[i]
	if s.tx.r.ChangeCount() != sp.changes {
		return sqlerr.Unsupported("rolling back a schema change to a savepoint").WithHint("Roll back the whole transaction.")
	}
	if err := s.rewind(sp); err != nil {
		return err
	}
	s.tx.savepoints = s.tx.savepoints[:i+1]
	s.tx.failed = false
	return w.CommandComplete("ROLLBACK")
}
