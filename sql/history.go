package sql

import (
	"context"
	"errors"
	"hash/maphash"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// history is what an explicit transaction has done, so that it can be done again at the gateway when
// the transaction must be, at its COMMIT or in a later statement. The client has seen results by
// then; a transaction that is run again may only show the same. So of each statement a digest of
// what was sent is kept, and compared:
//
//	BEGIN
//	SELECT …    ──▶ rows to the client    digest 1 ─┐
//	UPDATE …    ──▶ tag to the client     digest 2 ─┤ equal: the client cannot tell, go on
//	COMMIT      ──▶ conflict                        │ else: 40001
//	again: SELECT …, UPDATE … ──▶ nowhere, digests ─┘
//
// There is no way back (off) after
//
//   - a function with effects beyond the transaction (advisory locks, setval, pg_sleep, …)
//   - a schema change, COPY, a portal that was left half read, an error that was shown, DEALLOCATE
//   - more than the limits below
//
// and never after an ambiguous commit, which is no conflict. now() stays what it was, and what was drawn
// (nextval, random, gen_random_uuid, …) is handed out again in the same order, since the client may have
// seen it: the first attempt, which drew it, has left nothing else behind. What stays in
// the buffer until then, the results of the present query string or of the statement that failed, is
// taken back without any comparison (simple.go, extended.go).
type history struct {
	steps []step
	bytes int
	off   bool
	// named says that there is an EXECUTE among them, which finds its statement by name.
	named bool
	// undo is how many settings had been made before BEGIN.
	undo int
	seed maphash.Seed
	buf  []byte
}

// step is a statement that ran, with the digest of what it wrote.
type step struct {
	p      *prepared
	params []types.Datum
	sum    uint64
	// drawn is what volatile functions returned, in order.
	drawn []drawn
}

// draws implements builtins.Draws for the statement that is watched.
type draws struct {
	on bool
	// log is what has been drawn, again what to hand out once more.
	log, again []drawn
	// lost says that there was more than can be kept.
	lost bool
}

type drawn struct {
	function string
	value    types.Datum
}

// begin watches a statement, with what it drew before.
func (d *draws) begin(again []drawn) { *d = draws{on: true, again: again} }

// end stops watching.
func (d *draws) end() { *d = draws{} }

// Watching implements builtins.Draws.
func (d *draws) Watching() bool { return d.on }

// Draw implements builtins.Draws. A statement that takes another course than the first time draws
// anew; if that shows, its digest says so.
func (d *draws) Draw(function string, draw func() (types.Datum, error)) (types.Datum, error) {
	var (
		v   types.Datum
		err error
	)
	if len(d.again) > 0 && d.again[0].function == function {
		v, d.again = d.again[0].value, d.again[1:]
	} else if v, err = draw(); err != nil {
		return v, err
	} else {
		d.again = nil
	}
	if d.lost = d.lost || len(d.log) >= historyRowsMax; d.lost {
		d.log = nil
		return v, nil
	}
	d.log = append(d.log, drawn{function, v})
	return v, nil
}

// Limits of a history.
const (
	historyStepsMax = 1000
	historyBytesMax = 1 << 20
	// historyRowsMax bounds the rows of one statement that are digested.
	// and the numbers it draws.
	historyRowsMax = 10_000
	// drawnBytes is what each of these costs.
	drawnBytes = 64
)

func newHistory(undo int) *history { return &history{undo: undo, seed: maphash.MakeSeed()} }

// origin is where a part that may be run again begins: here.
func (s *Session) origin() origin {
	o := origin{explicit: s.tx.explicit, undo: len(s.tx.undo)}
	if s.tx.history != nil {
		o.steps = len(s.tx.history.steps)
	}
	return o
}

// digest is a ResultWriter that hashes what it passes on. What only describes is left out: it follows
// from the statement.
type digest struct {
	ResultWriter
	s    *Session
	h    *history
	hash maphash.Hash
	cols []Column
	rows int
}

// BeginRows implements ResultWriter.
func (d *digest) BeginRows(cols []Column) error {
	d.cols = cols
	return d.ResultWriter.BeginRows(cols)
}

// Row implements ResultWriter.
func (d *digest) Row(row types.Row) error {
	if d.rows++; d.rows <= historyRowsMax {
		b := d.h.buf[:0]
		for i, v := range row {
			if v.IsNull() {
				b = append(b, 0)
				continue
			}
			b = append(b, 1)
			b = types.AppendText(b, d.cols[i].Type, v, d.s.env)
		}
		d.h.buf = append(b, 2)
		d.hash.Write(d.h.buf)
	}
	return d.ResultWriter.Row(row)
}

// CommandComplete implements ResultWriter.
func (d *digest) CommandComplete(tag string) error {
	d.hash.WriteString(tag)
	return d.ResultWriter.CommandComplete(tag)
}

// watch returns a writer that sees what a statement writes, nil if nobody wants to know.
func (s *Session) watch(p *prepared, w ResultWriter) *digest {
	h := s.tx.history
	s.draws.end()
	if h == nil || h.off || isCommit(p.stmt.Tree) {
		return nil
	}
	if h.off = !recordable(p.stmt.Tree); h.off {
		h.steps = nil
		return nil
	}
	s.draws.begin(nil)
	d := &digest{ResultWriter: w, s: s, h: h}
	d.hash.SetSeed(h.seed)
	return d
}

// recordable says whether a kind of statement can be run again.
func recordable(n *pg.Node) bool {
	if t := n.GetTransactionStmt(); t != nil {
		switch t.Kind {
		case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT, pg.TransactionStmtKind_TRANS_STMT_RELEASE,
			pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
			return true
		}
		return false
	}
	if e := n.GetExecuteStmt(); e != nil {
		for _, x := range e.Params {
			if !isConstant(x) {
				return false
			}
		}
		return true
	}
	return planned(n) || n.GetVariableSetStmt() != nil || n.GetVariableShowStmt() != nil || n.GetPrepareStmt() != nil ||
		n.GetConstraintsSetStmt() != nil
}

func isConstant(n *pg.Node) bool {
	if t := n.GetTypeCast(); t != nil {
		return isConstant(t.Arg)
	}
	return n.GetAConst() != nil || n.GetParamRef() != nil
}

// outlives says whether a statement's effect stays when its transaction does not: it is not to be
// repeated.
func outlives(n *pg.Node) bool { return n.GetPrepareStmt() != nil }

// note keeps a statement that has run.
func (d *digest) note(p *prepared, params []types.Datum) {
	h := d.h
	h.bytes += 64 + len(p.stmt.Text)
	for i := range params {
		h.bytes += params[i].SizeBytes()
	}
	dr := d.s.draws
	d.s.draws.end()
	h.bytes += drawnBytes * len(dr.log)
	st := p.plan
	if e := p.stmt.Tree.GetExecuteStmt(); e != nil {
		h.named = true
		if named := d.s.statements[e.Name]; named != nil {
			st = named.plan
		}
	}
	if st != nil && st.Stmt.Effects || d.s.calledEffects || dr.lost || d.rows > historyRowsMax || len(h.steps) >= historyStepsMax || h.bytes > historyBytesMax {
		h.off, h.steps = true, nil
		return
	}
	h.steps = append(h.steps, step{p: p, params: params, sum: d.hash.Sum64(), drawn: dr.log})
}

// errDiffers says that a transaction that was run again would show something else.
var errDiffers = errors.New("the transaction sees other data when it is run again")

// replayTxn runs the open transaction again up to, not including, the statement that failed with
// cause, whose output has been rewound. If that cannot be done unseen it returns false, and the
// transaction can only be rolled back.
func (s *Session) replayTxn(ctx context.Context, cause error) bool {
	tx := s.tx
	if tx == nil || !tx.explicit || tx.failed || tx.history == nil || tx.history.off {
		return false
	}
	h, start := tx.history, tx.start
	steps := h.steps
	for {
		h.steps, h.bytes = nil, 0
		if !s.startOver(ctx, cause, origin{explicit: true, undo: h.undo}) {
			return false
		}
		tx.start, s.ec.TxnTime, s.env.Now = start, start, start
		if cause = s.repeatSteps(ctx, steps); cause == nil {
			s.srv.contention.replays.Add(1)
			return true
		}
		if !isRetryable(cause) {
			h.off, h.steps = true, nil
			return false
		}
	}
}

func (s *Session) repeatSteps(ctx context.Context, steps []step) error {
	for _, st := range steps {
		if outlives(st.p.stmt.Tree) {
			s.tx.history.steps = append(s.tx.history.steps, st)
			s.tx.done++
			continue
		}
		d := s.watch(st.p, nowhere{})
		s.draws.begin(st.drawn)
		s.out = d
		s.beginStatement(st.p.stmt.Tree)
		err := s.guard(func() error {
			if planned(st.p.stmt.Tree) {
				return s.runPlanned(ctx, st.p, d, runOptions{params: st.params})
			}
			return s.utilities(ctx, st.p, d, utilityOptions{params: st.params})
		})
		if err != nil {
			return err
		}
		if d.hash.Sum64() != st.sum {
			return errDiffers
		}
		d.note(st.p, st.params)
		if !isBegin(st.p.stmt.Tree) {
			s.tx.done++
		}
	}
	return nil
}

// nowhere is a ResultWriter whose output nobody sees.
type nowhere struct{ ResultWriter }

// RowDescription implements ResultWriter, and so do the others.
func (nowhere) RowDescription([]Column) error        { return nil }
func (nowhere) BeginRows([]Column) error             { return nil }
func (nowhere) Row(types.Row) error                  { return nil }
func (nowhere) Mark() Mark                           { return 0 }
func (nowhere) CommandComplete(string) error         { return nil }
func (nowhere) Notice(*sqlerr.Error) error           { return nil }
func (nowhere) ParameterStatus(string, string) error { return nil }
