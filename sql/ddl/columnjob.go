package ddl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// columnJob gives the rows of a table the values of a new column, each its own,
// while the table is in use: of a default that differs from call to call (serial
// and identity columns too), or of a generated column.
//
//	      step                            step
//	none ──────▶ filling ──▶ all rows ──▶ there
//	             │ hidden; every write     (the name is free for all)
//	             │ gives its row the value
//
// Two adjacent states may be in use at a time:
//
//	none, filling   who knows nothing of the column writes rows without the
//	                value; they are read when nobody does so any more
//	filling, there  a row that somebody gave a value keeps it under both
//
// What is written by who knows the column is complete, also by an UPDATE of an
// incomplete row (bind, fillList). So a row that a chunk has seen stays complete,
// and NOT NULL holds for writers from the first step on. Values that nobody has
// seen may be lost and made again: numbers of a sequence are then left out.
//
// Going back takes the table out of use for a moment, since writers draw from
// the column's sequence, which goes with it.
//
// Rejected: a second copy of the rows under a new primary index, kept up by all
// writers. It needs twice the space and a state more; a value is added to a row
// without anybody noticing.
type columnJob struct {
	*rowJob
	// w makes complete rows of rows of one version of the table.
	w *rewrite
}

func newColumnJob(j *rowJob) *columnJob {
	x := &columnJob{rowJob: j}
	j.visit, j.lock = x.visit, kvapi.LockExclusive
	return x
}

// next implements stepper.
func (j *columnJob) next(ctx context.Context, rec *jobs.Record) error {
	switch {
	case rec.State == jobs.Reverting:
		return j.revert(ctx, rec)
	case rec.Phase < phaseBackfill:
		return j.beginBackfill(ctx, rec)
	case rec.Phase == phaseBackfill:
		return j.backfill(ctx)
	}
	return j.Catalog.Step(ctx, "ALTER TABLE", rec.Table, func(ctx context.Context, r *schema.Resolver, t schema.Txn, tab *schema.Table) error {
		return j.h.UpdateIn(ctx, t, func(job *jobs.Record) error {
			if job.Phase != rec.Phase || job.State != rec.State {
				return jobs.ErrLost
			}
			col := fillingColumn(tab, rec.Column)
			if col == nil {
				return endGone(job, "column")
			}
			col.Filling, col.Hidden = false, false
			r.Publish(tab)
			job.State = jobs.Succeeded
			return nil
		})
	})
}

// fillingColumn is a column that a job fills; nil if it is not there any more.
func fillingColumn(t *schema.Table, id schema.ColumnID) *schema.Column {
	if t == nil {
		return nil
	}
	if c := t.ColumnByID(id); c != nil && c.Filling {
		return c
	}
	return nil
}

// visit implements rowJob.visit.
func (j *columnJob) visit(ctx context.Context, r *schema.Resolver, tab *schema.Table, rec *jobs.Record) (chunkFunc, schema.IndexID, error) {
	col := fillingColumn(tab, rec.Column)
	if col == nil {
		return nil, 0, nil
	}
	if j.w == nil || j.w.new != tab {
		snap, err := r.Snapshot(ctx)
		if err != nil {
			return nil, 0, err
		}
		j.Bind.Snap = snap
		w := j.newRewrite(tab, tab)
		if err := w.fillFromDefault(col); err != nil {
			return nil, 0, err
		}
		if err := w.prepare(); err != nil {
			return nil, 0, err
		}
		j.w = w
	}
	return j.fillRows, 0, nil
}

// fillFromDefault has rows get the value of a column that is new to them.
func (w *rewrite) fillFromDefault(col *schema.Column) error {
	if col.NotNull {
		w.notNull = []schema.ColumnID{col.ID}
	}
	if col.Generated {
		w.compute[col.ID] = true
		return nil
	}
	e, err := bind.BindDefault(w.Bind, col)
	if err != nil {
		return err
	}
	eval, err := w.Engine.Compile(e)
	if err != nil {
		return err
	}
	w.fill[col.ID] = func(ctx context.Context, d types.Datum) (types.Datum, error) {
		if !d.IsNull() {
			return d, nil
		}
		return eval(ctx, nil)
	}
	return nil
}

// fillRows writes the rows of a chunk that are not complete.
func (j *columnJob) fillRows(ctx context.Context, t Txn, kvs []kvapi.KeyValue) error {
	rows, err := j.w.newRows(ctx, kvs)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if v := j.w.newCodec.Primary.Value(row); !bytes.Equal(v, kvs[i].Value) {
			if err := t.Put(ctx, kvs[i].Key, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// revert takes the column away, and the sequence that was made for it.
func (j *columnJob) revert(ctx context.Context, rec *jobs.Record) error {
	return j.revertBy(ctx, rec, (*stmt).takeColumn)
}

// takeColumn removes a column that was not filled.
func (s *stmt) takeColumn(ctx context.Context, rec *jobs.Record) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if fillingColumn(c.Table(rec.Table), rec.Column) == nil {
		return nil
	}
	ids := []schema.DescID{rec.Table}
	for _, q := range c.Sequences(rec.Database) {
		if q.OwnerTable == rec.Table && q.OwnerColumn == rec.Column {
			ids = append(ids, q.ID)
		}
	}
	if err := s.r.Hold(ctx, "ALTER TABLE", ids...); err != nil {
		return err
	}
	if c, err = s.r.Contents(ctx); err != nil {
		return err
	}
	tab := c.Table(rec.Table).Clone()
	tab.Columns = slices.DeleteFunc(tab.Columns, func(c schema.Column) bool { return c.ID == rec.Column && c.Filling })
	s.r.Put(tab)
	for _, id := range ids[1:] {
		s.remove(c.Object(id))
	}
	return nil
}

// errAtOnce says that a change needs no job, since no row is touched for it, or can
// be made by none.
var errAtOnce = errors.New("ddl: the change is made at once")

// atOnceError is errAtOnce with the reason why the table cannot be in use.
type atOnceError struct{ why string }

func atOnce(format string, args ...any) error { return &atOnceError{fmt.Sprintf(format, args...)} }

func (e *atOnceError) Error() string { return errAtOnce.Error() + ": " + e.why }

func (e *atOnceError) Is(target error) bool { return target == errAtOnce }

// mayFill reports whether a part of ALTER TABLE may add a column whose values
// each row gets by itself, and does nothing else.
func mayFill(t *schema.Table, cmd *pg.AlterTableCmd) bool {
	if cmd.Subtype != pg.AlterTableType_AT_AddColumn {
		return false
	}
	d := cmd.Def.GetColumnDef()
	if d.TypeName == nil || t.Column(d.Colname) != nil {
		return false
	}
	_, fill := serialType(d.TypeName)
	for _, n := range d.Constraints {
		switch c := n.GetConstraint(); c.Contype {
		case pg.ConstrType_CONSTR_NULL, pg.ConstrType_CONSTR_NOTNULL:
		case pg.ConstrType_CONSTR_IDENTITY, pg.ConstrType_CONSTR_GENERATED:
			fill = true
		case pg.ConstrType_CONSTR_DEFAULT:
			fill = fill || c.RawExpr.GetAConst() == nil
		default:
			return false
		}
	}
	return fill
}

// fillOnline adds a column while the table is in use, and waits for the job that
// fills it; errAtOnce if no row needs to be touched. None of this is part of the
// session's transaction.
func (s *stmt) fillOnline(ctx context.Context, t *schema.Table, cmd *pg.AlterTableCmd) error {
	if err := s.mustOwn(ctx, t.ID); err != nil {
		return err
	}
	if s.Plan != nil {
		return s.explainFill(ctx, t, cmd)
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	err = s.Catalog.Step(ctx, "ALTER TABLE", t.ID, func(ctx context.Context, r *schema.Resolver, tx schema.Txn, tab *schema.Table) error {
		if tab == nil {
			return errGone
		}
		if err := s.notRewritten(ctx, tab, "ALTER TABLE"); err != nil {
			return err
		}
		sub := *s
		sub.r, sub.Resolver, sub.Txn = r, r, tx.(Txn)
		snap, err := r.Snapshot(ctx)
		if err != nil {
			return err
		}
		sub.Bind.Snap = snap
		m, err := sub.changer(ctx, tab)
		if err != nil {
			return err
		}
		col, err := m.toFill(ctx, tab, cmd)
		if err != nil {
			return err
		}
		r.Publish(tab)
		for _, q := range m.sequences {
			r.Put(q)
			r.Bind(m.sc.ID, q.Name, q.ID, 0)
		}
		return jobs.Create(ctx, tx, s.Jobs.Clock(), jobs.Record{ID: jobs.ID(id), Kind: jobs.KindColumn, Description: s.text, User: s.User,
			Database: s.Database.ID, Table: tab.ID, Column: col.ID, Phase: phaseWriteOnly})
	})
	if err != nil {
		return lookAgain(t, err)
	}
	return s.awaitJob(ctx, jobs.ID(id))
}

// toFill adds a column to a table, in the state in which it is filled.
func (m *tableMaker) toFill(ctx context.Context, t *schema.Table, cmd *pg.AlterTableCmd) (*schema.Column, error) {
	d := cmd.Def.GetColumnDef()
	if t.Column(d.Colname) != nil {
		return nil, errAtOnce // where it is refused
	}
	col, _, err := m.columnDef(ctx, t, d)
	if err != nil {
		return nil, err
	}
	t.Columns = append(t.Columns, col)
	c := &t.Columns[len(t.Columns)-1]
	switch {
	case col.Generated:
		if err := m.generate(ctx, t, col.Name, m.generated[len(m.generated)-1].c.RawExpr); err != nil {
			return nil, unplaced(err)
		}
	case col.Sequence == 0:
		e, err := bind.BindDefault(m.Bind, c)
		if err != nil {
			return nil, err
		}
		if !bind.IsVolatile(e) {
			return nil, errAtOnce
		}
	}
	c.Filling, c.Hidden = true, true
	return c, nil
}

// explainFill lists what fillOnline does.
func (s *stmt) explainFill(ctx context.Context, t *schema.Table, cmd *pg.AlterTableCmd) error {
	t = t.Clone()
	m, err := s.changer(ctx, t)
	if err != nil {
		return err
	}
	col, err := m.toFill(ctx, t, cmd)
	if err != nil {
		return err
	}
	s.plan("publish column %s, hidden, which all writers give its value; %s is in use all the while", col.Name, t.Name)
	s.plan("when no transaction is older than that, job: read %s in chunks, and give those the value that have none", s.rowsOf(ctx, t))
	s.plan("publish the column for all; if the job fails or is canceled, it is taken back")
	return nil
}
