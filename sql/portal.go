package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// portal is a statement with its parameters, maybe half run.
type portal struct {
	name    string
	p       *prepared
	params  []types.Datum
	formats []Format

	plan *plan.Plan
	run  *exec.Run
	own  bool // run is not the session's
	// readsAhead: all its rows are fetched by fetch.
	readsAhead bool
	cur        exec.Cursor
	rows       int64
	ended      bool
	cached     []Column
}

func (po *portal) close(s *Session) {
	if cur := po.cur; cur != nil {
		po.cur = nil
		_ = s.guard(func() error { cur.Close(); return nil }) // one that has panicked may do so again
	}
	if po.run != nil {
		po.run.Done()
	}
	if po.run == &s.run {
		s.running = false
	}
	po.run = nil
}

// columns are those that the portal's rows have.
func (po *portal) columns() []Column {
	if c := po.p.plan; c != nil && c.Plan == po.plan {
		return c.columns(po.formats)
	}
	return planColumns(po.plan.Stmt, po.formats)
}

func (s *Session) closePortals() {
	s.closePortalCursors()
	clear(s.portals)
}

func (s *Session) closePortalCursors() {
	for _, po := range s.portals {
		po.close(s)
		po.ended, po.rows = false, 0
	}
}

// open starts a planned statement. blind: the statement is all that its transaction does.
func (s *Session) open(ctx context.Context, po *portal, blind bool) error {
	s.ec.StmtTime = time.Now()
	if err := s.openPlan(ctx, po, blind); err != nil {
		return err
	}
	if po.plan.Stmt.Kind == bind.KindSelect {
		return nil // a WITH query that writes is settled when all is read (fetch)
	}
	return s.settle(ctx)
}

// openPlan is open without what a statement does at its end.
func (s *Session) openPlan(ctx context.Context, po *portal, blind bool) error {
	pl, err := s.planFor(ctx, po.p)
	if err != nil {
		return err
	}
	if err := s.allowed(pl.Stmt); err != nil {
		return err
	}
	if (pl.Stmt.Writes || pl.Stmt.Calls) && s.calls == 0 { // what is called may be called by a cursor's query
		if err := s.readCursors(ctx); err != nil {
			return err
		}
	}
	po.plan = pl
	r := &s.run
	if s.running {
		r = new(exec.Run)
	} else {
		s.running = true
	}
	po.run = r
	r.Reset(pl.Slots, pl.States)
	r.Ctx, r.KV, r.EC, r.Params = ctx, s.kv(), &s.ec, po.params
	if po.p.stmt.Text != "" {
		s.nameTxn(po.p.stmt.Text)
	}
	s.budget(r)
	if err := s.advisory.check(); err != nil {
		return err
	}
	r.Blind = blind
	r.NoBeside, r.BesideAtOnce = s.vars.pushdownOff, s.vars.pushdownForced
	r.DurableLocks = s.durableLocks()
	r.LockRows = s.tx.level != serializable || s.tx.retries > 0
	r.Wrote, r.Changed = s.wrote, s.rowChanged
	r.CountChanges = s.srv.countChanges
	r.VirtualRows = s.virtualRows
	s.ec.Ctx = ctx
	r.ReadAhead = po.readsAhead && !pl.Stmt.Writes && !pl.Stmt.Volatile && !pl.Stmt.Virtual
	cur, err := pl.Root.Open(r)
	r.Quiesce()
	if err == nil { // what was opened in part has nothing to close
		po.cur = cur
	}
	return err
}

// workMemDefault is what an operator holds before it writes to temporary files: more than Postgres's 4MB,
// since what is held in Go takes two to three times the room.
const workMemDefault = 64 << 20

// budget gives a statement its memory and its temporary files.
func (s *Session) budget(r *exec.Run) {
	r.MemoryMax, r.WorkMem, r.Pool = s.srv.cfg.StatementBytesMax, workMemDefault, s.srv.memory
	if s.vars.statementMem > 0 {
		r.MemoryMax = s.vars.statementMem
	}
	if s.vars.workMem > 0 {
		r.WorkMem = s.vars.workMem
	}
	r.WorkMem = min(r.WorkMem, r.MemoryMax/4)
	if s.vars.forceSpill > 0 {
		r.WorkMem = s.vars.forceSpill
	}
	r.Temp = exec.TempFiles{Dir: s.srv.cfg.TempDir, BytesMax: s.vars.tempMax}
}

// allowed refuses writes in a read-only transaction.
func (s *Session) allowed(st *bind.Stmt) error {
	if !s.tx.readOnly || !st.Writes {
		return nil
	}
	name := [...]string{"SELECT FOR UPDATE", "INSERT", "UPDATE", "DELETE", "MERGE"}[st.Kind]
	return sqlerr.New(sqlerr.ReadOnlySQLTransaction, "cannot execute %s in a read-only transaction", name)
}

func (s *Session) wrote(t *schema.Table) {
	if s.tx.tables == nil {
		s.tx.tables = map[schema.DescID]*schema.Table{}
	}
	s.tx.tables[t.ID] = t
}

func (s *Session) virtualRows(ctx context.Context, t *bind.VirtualTable, by *exec.ColumnValue) (exec.Rows, error) {
	if q, ok := t.Impl.(*schema.Sequence); ok {
		last, called, err := s.srv.cfg.Catalog.SequenceValue(ctx, q)
		return &virtualRows{rows: []types.Row{{types.NewInt(last), types.NewInt(0), types.NewBool(called)}}}, err
	}
	var rows []types.Row
	var err error
	if by != nil {
		rows, err = t.Impl.(*pgcatalog.Table).RowsBy(ctx, &s.pg, by.Col, by.Value)
	} else {
		rows, err = t.Impl.(*pgcatalog.Table).Rows(ctx, &s.pg)
	}
	return &virtualRows{rows: rows}, err
}

type virtualRows struct {
	rows []types.Row
	at   int
}

// Next implements exec.Rows.
func (v *virtualRows) Next() (types.Row, bool, error) {
	if v.at >= len(v.rows) {
		return nil, false, nil
	}
	v.at++
	return v.rows[v.at-1], true, nil
}

// fetch writes up to max rows (0: all) and says whether that was the end.
func (s *Session) fetch(po *portal, w ResultWriter, max int) (end bool, err error) {
	defer po.run.Quiesce()
	out := po.plan.Out
	if cap(s.row) < len(out) {
		s.row = make(types.Row, len(out))
	}
	row := s.row[:len(out)]
	for n := 0; max <= 0 || n < max; n++ {
		ok, err := po.cur.Next()
		if err != nil {
			return false, err
		}
		if !ok {
			po.run.Quiesce()
			return true, s.settle(po.run.Ctx)
		}
		if !po.plan.Stmt.Returning {
			continue
		}
		for i, id := range out {
			row[i] = po.run.Slots[id]
		}
		po.rows++
		if err := w.Row(row); err != nil {
			return false, err
		}
	}
	return false, nil
}

// count is how many rows were returned or changed.
func (po *portal) count() int64 {
	if po.plan.Stmt.Kind == bind.KindSelect {
		return po.rows
	}
	return po.run.Affected
}

// tag is the command tag at the end.
func (po *portal) tag() string {
	switch po.plan.Stmt.Kind {
	case bind.KindInsert:
		return fmt.Sprintf("INSERT 0 %d", po.run.Affected)
	case bind.KindUpdate:
		return fmt.Sprintf("UPDATE %d", po.run.Affected)
	case bind.KindDelete:
		return fmt.Sprintf("DELETE %d", po.run.Affected)
	case bind.KindMerge:
		return fmt.Sprintf("MERGE %d", po.run.Affected)
	case bind.KindCall:
		return "CALL"
	}
	return fmt.Sprintf("SELECT %d", po.rows)
}

// runOptions say how a statement is run from beginning to end.
type runOptions struct {
	params   []types.Datum
	formats  []Format
	describe bool // announce the columns: the simple protocol
	blind    bool // nothing of the transaction is read again after it
}

// runPlanned runs a planned statement to its end.
func (s *Session) runPlanned(ctx context.Context, p *prepared, w ResultWriter, o runOptions) error {
	po := &portal{p: p, params: o.params, readsAhead: true}
	defer po.close(s)
	if err := s.open(ctx, po, o.blind); err != nil {
		return err
	}
	var before Mark
	if po.plan.Stmt.Returning {
		cols := planColumns(po.plan.Stmt, o.formats)
		if o.describe {
			before = w.Mark()
			if err := w.RowDescription(cols); err != nil {
				return err
			}
		}
		if err := w.BeginRows(cols); err != nil {
			return err
		}
	}
	if _, err := s.fetch(po, w, 0); err != nil {
		if sel := p.stmt.Tree.GetSelectStmt(); o.describe && po.rows == 0 && sel != nil && len(sel.FromClause) == 0 {
			w.Rewind(before) // Postgres computes what reads nothing before its result begins
		}
		return err
	}
	if err := s.tx.r.Check(ctx); err != nil {
		return err
	}
	s.count.p, s.count.rows = p, po.count()
	return s.complete(w, po.tag())
}
