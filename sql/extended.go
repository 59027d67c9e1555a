package sql

import (
	"context"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// replay records what the extended protocol did since the present implicit transaction began, so
// that it can be done again when the transaction must be. Past replayMax, or once a portal was
// suspended, there is no way back.
type replay struct {
	mark Mark
	ops  []func(ctx context.Context) error
	off  bool
	// last is where the last Execute's output began.
	last Mark
}

const replayMax = 1000

func (r *replay) reset() { *r = replay{} }

// do runs a step and records it if a transaction is under way.
func (s *Session) do(ctx context.Context, op func(ctx context.Context) error) error {
	if s.tx != nil && !s.tx.explicit && s.tx.done > 0 {
		if len(s.replay.ops) >= replayMax {
			s.replay.off = true
		}
		s.replay.ops = append(s.replay.ops, op)
	}
	return op(ctx)
}

// extended wraps a message of the extended protocol: errors fail the transaction.
func (s *Session) extended(ctx context.Context, w ResultWriter, op func(ctx context.Context) error) error {
	ctx, done := s.begin(ctx)
	defer done()
	return s.quick(ctx, w, func(ctx context.Context) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return op(ctx)
	})
}

// quick is extended for messages that do no I/O and so need not be cancelled.
func (s *Session) quick(ctx context.Context, w ResultWriter, op func(ctx context.Context) error) error {
	before := w.Mark()
	err := s.guard(func() error { return op(ctx) })
	if err == nil {
		return nil
	}
	w.Rewind(before)
	s.timeout.over()
	err = mapError(withCause(ctx, err), s)
	s.noteError(ctx, err, false)
	return err
}

func (s *Session) prepareMessage(ctx context.Context, w ResultWriter, name, query string, oids []types.OID) error {
	return s.extended(ctx, w, func(ctx context.Context) error {
		if _, ok := s.statements[name]; ok && name != "" {
			return sqlerr.New(sqlerr.DuplicatePreparedStatement, "prepared statement \"%s\" already exists", name)
		}
		if len(s.statements) >= preparedMax {
			return sqlerr.New(sqlerr.ConfigurationLimitExceeded, "a session can have at most %d prepared statements", preparedMax)
		}
		hints := make([]types.T, len(oids))
		for i, o := range oids {
			var err error
			if hints[i], err = s.paramType(ctx, o); err != nil {
				return err
			}
		}
		p, err := s.prepare(ctx, name, query, hints)
		if err != nil {
			return err
		}
		p.text, p.made = query, time.Now()
		s.statements[name] = p
		return s.do(ctx, func(context.Context) error { return w.Ack(AckParse) })
	})
}

// paramType is the type that a client gives a parameter by its number; 0 and unknown leave it open.
func (s *Session) paramType(ctx context.Context, oid types.OID) (types.T, error) {
	if oid == 0 || oid == types.OIDUnknown {
		return types.T{Mod: -1}, nil
	}
	if t, ok := types.Of(oid); ok {
		return t, nil
	}
	if s.tx != nil && s.tx.failed {
		return types.T{}, errAborted()
	}
	if s.tx == nil { // nothing runs in it
		s.ensureTxn()
		defer s.rollback(ctx)
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err == nil && snap.TypeByOID(uint32(oid)) == nil && s.tx.r.ChangeCount() == 0 { // it may be new
		if err = s.tx.r.Refresh(ctx); err == nil {
			snap, err = s.tx.r.Snapshot(ctx)
		}
	}
	if err != nil {
		return types.T{}, err
	}
	s.bindEnv(snap)
	t, ok := s.env.TypeOf(oid)
	if !ok {
		return types.T{}, sqlerr.New(sqlerr.UndefinedObject, "type with OID %d does not exist", oid)
	}
	return t, nil
}

func (s *Session) statement(name string) (*prepared, error) {
	p := s.statements[name]
	if p == nil {
		if name == "" {
			return nil, sqlerr.New(sqlerr.InvalidSQLStatementName, "unnamed prepared statement does not exist")
		}
		return nil, sqlerr.New(sqlerr.InvalidSQLStatementName, "prepared statement \"%s\" does not exist", name)
	}
	return p, nil
}

func (s *Session) describeStatement(ctx context.Context, w ResultWriter, name string) error {
	return s.extended(ctx, w, func(ctx context.Context) error {
		p, err := s.statement(name)
		if err != nil {
			return err
		}
		if s.tx != nil && s.tx.failed && (p.stmt.Tree == nil || !endsTxn(p.stmt.Tree)) && s.columns(p, nil) != nil {
			return errAborted()
		}
		if s.tx == nil || !s.tx.failed {
			if err := s.describePlan(ctx, p); err != nil {
				return p.placed(err)
			}
		}
		return s.do(ctx, func(context.Context) error {
			if err := w.ParameterDescription(p.params()); err != nil {
				return err
			}
			return describe(w, s.columns(p, nil))
		})
	})
}

func describe(w ResultWriter, cols []Column) error {
	if cols == nil {
		return w.Ack(AckNoData)
	}
	return w.RowDescription(cols)
}

func (s *Session) bindMessage(ctx context.Context, w ResultWriter, a BindArgs) error {
	return s.quick(ctx, w, func(ctx context.Context) error {
		p, err := s.statement(a.Statement)
		if err != nil {
			return err
		}
		if s.tx != nil && s.tx.failed && (p.stmt.Tree == nil || !endsTxn(p.stmt.Tree)) {
			return errAborted()
		}
		if _, ok := s.portals[a.Portal]; ok && a.Portal != "" {
			return sqlerr.New(sqlerr.DuplicateCursor, "cursor \"%s\" already exists", a.Portal)
		}
		if len(s.portals) >= portalsMax {
			return sqlerr.New(sqlerr.ConfigurationLimitExceeded, "a session can have at most %d portals", portalsMax)
		}
		if n := len(a.ResultFormats); n > 1 {
			if have := len(s.columns(p, nil)); have != n {
				return sqlerr.New(sqlerr.ProtocolViolation, "bind message has %d result formats but query has %d columns", n, have)
			}
		}
		params, err := s.decodeParams(p, a)
		if err != nil {
			return err
		}
		if old := s.portals[a.Portal]; old != nil {
			old.close(s)
		}
		po := &portal{name: a.Portal, p: p, params: params, formats: a.ResultFormats, readsAhead: true}
		s.portals[a.Portal] = po
		return s.do(ctx, func(context.Context) error {
			s.portals[a.Portal] = po
			return w.Ack(AckBind)
		})
	})
}

func (s *Session) decodeParams(p *prepared, a BindArgs) ([]types.Datum, error) {
	ts := p.params()
	if len(a.Params) != len(ts) {
		return nil, sqlerr.New(sqlerr.ProtocolViolation,
			"bind message supplies %d parameters, but prepared statement \"%s\" requires %d", len(a.Params), p.name, len(ts))
	}
	if n := len(a.ParamFormats); n > 1 && n != len(ts) {
		return nil, sqlerr.New(sqlerr.ProtocolViolation, "bind message has %d parameter formats but %d parameters", n, len(ts))
	}
	if len(ts) == 0 {
		return nil, nil
	}
	out := make([]types.Datum, len(ts))
	for i, raw := range a.Params {
		if raw == nil {
			continue
		}
		var err error
		switch formatAt(a.ParamFormats, i) {
		case FormatBinary:
			out[i], err = types.ParseBinary(ts[i], raw)
		case FormatText:
			out[i], err = types.ParseText(ts[i], string(raw), s.env)
		default:
			err = sqlerr.New(sqlerr.InvalidParameterValue, "unsupported format code: %d", formatAt(a.ParamFormats, i))
		}
		if err != nil {
			return nil, sqlerr.From(err).WithWhere("unnamed portal parameter $%d", i+1)
		}
	}
	return out, nil
}

func (s *Session) portal(name string) (*portal, error) {
	po := s.portals[name]
	if po == nil {
		return nil, sqlerr.New(sqlerr.InvalidCursorName, "portal \"%s\" does not exist", name)
	}
	return po, nil
}

func (s *Session) describePortal(ctx context.Context, w ResultWriter, name string) error {
	return s.quick(ctx, w, func(ctx context.Context) error {
		po, err := s.portal(name)
		if err != nil {
			return err
		}
		return s.do(ctx, func(context.Context) error { return describe(w, s.columns(po.p, po.formats)) })
	})
}

// executeMessage runs a portal. In an implicit transaction that has just begun, an error that asks
// for another attempt is answered by one, as long as nothing has been sent.
func (s *Session) executeMessage(ctx context.Context, w ResultWriter, name string, maxRows int) error {
	ctx, done := s.begin(ctx)
	defer done()
	defer s.timeout.over()
	po, err := s.portal(name)
	if err != nil {
		s.noteError(ctx, err, false)
		return err
	}
	if po.p.stmt.Tree == nil {
		return w.EmptyQuery()
	}
	if s.tx == nil {
		s.ensureTxn()
		s.replay.reset()
		s.replay.mark = w.Mark()
	}
	if s.tx.failed && !endsTxn(po.p.stmt.Tree) {
		return errAborted()
	}
	tx := s.tx
	fresh, from := tx.explicit && tx.done == 0, s.origin()
	before := w.Mark()
	tx.stmt = statement{}
	if po.cur == nil && !po.ended {
		s.noteStatement(po.p.stmt.Text)
		s.countBegin()
		s.beginStatement(po.p.stmt.Tree)
	}
	op := func(ctx context.Context) error {
		return po.p.placed(s.guard(func() error { return s.executeWatched(ctx, po, w, maxRows) }))
	}
	for {
		s.replay.last = w.Mark()
		err = op(ctx)
		if err == nil {
			break
		}
		err = withCause(ctx, err)
		if s.tx == tx && isRetryable(err) {
			if w.Rewind(before) && s.retryStatement(ctx, err) {
				po.close(s)
				po.rows = 0
				continue
			}
			if fresh && w.Rewind(before) && s.startOver(ctx, err, from) {
				continue
			}
			if !tx.explicit && s.again(ctx, w, err) {
				continue
			}
			if w.Rewind(before) && s.replayTxn(ctx, err) {
				po.close(s)
				po.rows = 0
				s.beginStatement(po.p.stmt.Tree)
				continue
			}
		}
		if !planned(po.p.stmt.Tree) && po.p.stmt.Tree.GetDoStmt() == nil {
			s.takeBack(w, before)
		}
		err = mapError(err, s)
		s.noteError(ctx, err, isCommit(po.p.stmt.Tree))
		return err
	}
	s.countPortal(po)
	if s.tx == tx {
		if !tx.explicit {
			s.replay.ops = append(s.replay.ops, op)
		}
		if !isBegin(po.p.stmt.Tree) {
			tx.done++
		}
	}
	return nil
}

// again starts the implicit transaction over and repeats what it did before.
func (s *Session) again(ctx context.Context, w ResultWriter, cause error) bool {
	for {
		if s.replay.off || !w.Rewind(s.replay.mark) || !s.startOver(ctx, cause, origin{}) {
			return false
		}
		if cause = s.repeat(ctx); cause == nil {
			return true
		}
		if !isRetryable(cause) {
			return false
		}
	}
}

func (s *Session) repeat(ctx context.Context) error {
	for _, op := range s.replay.ops {
		if err := op(ctx); err != nil {
			return err
		}
		s.tx.done++
	}
	return nil
}

// executeWatched is executePortal with a look at what it writes (history.go).
func (s *Session) executeWatched(ctx context.Context, po *portal, w ResultWriter, maxRows int) error {
	half := po.cur != nil
	seen := s.watch(po.p, w)
	if seen == nil {
		return s.executePortal(ctx, po, w, maxRows)
	}
	if err := s.executePortal(ctx, po, seen, maxRows); err != nil {
		return err
	}
	if half || po.cur != nil { // it is read in parts
		seen.h.off, seen.h.steps = true, nil
		return nil
	}
	seen.note(po.p, po.params)
	return nil
}

// executePortal runs a portal once, or goes on with it.
func (s *Session) executePortal(ctx context.Context, po *portal, w ResultWriter, maxRows int) error {
	s.completed, s.out = 0, w
	if !planned(po.p.stmt.Tree) {
		return s.utilities(ctx, po.p, w, utilityOptions{formats: po.formats, params: po.params})
	}
	if po.ended {
		return s.complete(w, po.tag())
	}
	if po.cur == nil {
		if err := s.open(ctx, po, !s.tx.explicit && s.tx.done == 0); err != nil {
			po.close(s)
			return err
		}
	} else {
		po.run.Ctx = ctx
	}
	if po.plan.Stmt.Returning {
		if po.cached == nil {
			po.cached = po.columns()
		}
		if err := w.BeginRows(po.cached); err != nil {
			return err
		}
	}
	end, err := s.fetch(po, w, maxRows)
	if err != nil {
		po.close(s)
		return err
	}
	if !end {
		s.replay.off = true
		return w.PortalSuspended()
	}
	if err := s.tx.r.Check(ctx); err != nil {
		return err
	}
	s.count.p, s.count.rows = po.p, po.count()
	tag := po.tag()
	po.close(s)
	return s.complete(w, tag)
}

func (s *Session) closeStatement(ctx context.Context, w ResultWriter, name string) error {
	if s.tx != nil && s.tx.history != nil && s.tx.history.named {
		s.tx.history.off, s.tx.history.steps = true, nil
	}
	delete(s.statements, name)
	return s.do(ctx, func(context.Context) error { return w.Ack(AckClose) })
}

func (s *Session) closePortal(ctx context.Context, w ResultWriter, name string) error {
	if po := s.portals[name]; po != nil {
		po.close(s)
		delete(s.portals, name)
	}
	return s.do(ctx, func(context.Context) error { return w.Ack(AckClose) })
}

// sync commits the implicit transaction.
func (s *Session) sync(ctx context.Context, w ResultWriter) error {
	s.timeout.over()
	if s.tx == nil || s.tx.explicit {
		if s.tx == nil {
			s.closePortals()
		}
		return nil
	}
	ctx, done := s.begin(ctx)
	defer done()
	defer s.timeout.over()
	for {
		last := s.replay.last // commit forgets it
		err := s.countCommit(func() error { return s.commit(ctx) })
		if err == nil {
			return nil
		}
		err = withCause(ctx, err)
		if isRetryable(err) && s.tx != nil && s.again(ctx, w, err) {
			continue
		}
		s.takeBack(w, last)
		err = mapError(err, s)
		s.noteError(ctx, err, true)
		return err
	}
}

func isCommit(n *pg.Node) bool {
	t := n.GetTransactionStmt()
	return t != nil && t.Kind == pg.TransactionStmtKind_TRANS_STMT_COMMIT
}

// isBegin says whether a statement leaves its transaction as good as new.
func isBegin(n *pg.Node) bool {
	t := n.GetTransactionStmt()
	return t != nil && (t.Kind == pg.TransactionStmtKind_TRANS_STMT_BEGIN || t.Kind == pg.TransactionStmtKind_TRANS_STMT_START) ||
		n.GetVariableSetStmt() != nil || n.GetVariableShowStmt() != nil
}
