package sql

import "context"

// unit is the part of a query string that would be run again if its transaction must be: from the
// statement at which the transaction began.
type unit struct {
	at   int
	mark Mark
	origin
	// replayable: the transaction holds nothing from before this query string.
	replayable bool
}

// execSimple runs the statements of a query string.
func (s *Session) execSimple(ctx context.Context, query string, w ResultWriter) error {
	s.timeout.over() // of a Parse that no Execute followed
	ctx, done := s.begin(ctx)
	defer done()
	defer s.timeout.over()
	var stmts []*prepared
	err := s.guard(func() (err error) {
		stmts, err = s.parseSimple(query)
		return err
	})
	if err != nil {
		s.noteError(ctx, err, false)
		return mapError(err, s)
	}
	if len(stmts) == 0 {
		return w.EmptyQuery()
	}
	// The unnamed portal and statement end with a simple query.
	delete(s.statements, "")
	var u unit
	for i := 0; i < len(stmts); {
		if s.tx == nil {
			s.ensureTxn()
			u = unit{at: i, mark: w.Mark(), replayable: true}
		} else if i == 0 {
			u = unit{mark: w.Mark(), origin: s.origin(), replayable: s.tx.done == 0}
		}
		before := w.Mark()
		committing := false
		err := s.execStatement(ctx, stmts[i], w, len(stmts) == 1)
		for err != nil && isRetryable(err) && w.Rewind(before) && s.retryStatement(ctx, err) {
			err = s.execStatement(ctx, stmts[i], w, len(stmts) == 1)
		}
		if err == nil && i == len(stmts)-1 && s.tx != nil && !s.tx.explicit {
			committing = true
			err = s.countCommit(func() error { return s.commit(ctx) })
		}
		if err == nil {
			if i++; i < len(stmts) {
				s.timeout.over()
				s.timeout.arm(s.vars.statementTimeout)
			}
			continue
		}
		err = withCause(ctx, err)
		if isRetryable(err) && u.replayable && s.tx != nil && w.Rewind(u.mark) && s.startOver(ctx, err, u.origin) {
			i = u.at
			continue
		}
		if isRetryable(err) && s.tx != nil && w.Rewind(before) && s.replayTxn(ctx, err) {
			continue
		}
		if committing || !planned(stmts[i].stmt.Tree) && stmts[i].stmt.Tree.GetDoStmt() == nil { // DO puts out notices only, until it is done
			s.takeBack(w, before) // tags, above all
		}
		err = mapError(err, s)
		s.noteError(ctx, err, isCommit(stmts[i].stmt.Tree))
		return err
	}
	return s.reportStale(w)
}

// parseSimple parses, or finds a single statement in the cache.
func (s *Session) parseSimple(query string) ([]*prepared, error) {
	if p := s.texts.get(query); p != nil {
		return []*prepared{p}, nil
	}
	out, err := s.parse(query)
	if err != nil {
		return nil, err
	}
	for _, p := range out {
		p.noParams = true
	}
	if len(out) == 1 && planned(out[0].stmt.Tree) {
		s.texts.put(query, out[0])
	}
	return out, nil
}

// execStatement runs one statement of the simple protocol.
func (s *Session) execStatement(ctx context.Context, p *prepared, w ResultWriter, alone bool) error {
	if s.tx.failed && !endsTxn(p.stmt.Tree) {
		return errAborted()
	}
	tx := s.tx
	s.completed = 0
	s.noteStatement(p.stmt.Text)
	s.countBegin()
	s.beginStatement(p.stmt.Tree)
	seen := s.watch(p, w)
	if seen != nil {
		w = seen
	}
	s.out = w
	err := s.guard(func() error {
		if planned(p.stmt.Tree) {
			return s.runPlanned(ctx, p, w, runOptions{describe: true, blind: alone && !tx.explicit})
		}
		return s.utilities(ctx, p, w, utilityOptions{describe: true, alone: alone})
	})
	if err != nil {
		return p.placed(err)
	}
	if seen != nil {
		seen.note(p, nil)
	}
	s.countEnd(p)
	if !isBegin(p.stmt.Tree) {
		tx.done++
	}
	return nil
}

// complete ends a statement's output. If the commit that follows fails, this end is taken back.
func (s *Session) complete(w ResultWriter, tag string) error {
	s.completed = w.Mark()
	return w.CommandComplete(tag)
}

// takeBack removes what a failed statement has put out since before, or, if a part of that has left
// (rows, the answer to COPY FROM), at least its end: it is not complete.
func (s *Session) takeBack(w ResultWriter, before Mark) {
	if !w.Rewind(before) && before < s.completed {
		w.Rewind(s.completed)
	}
}
