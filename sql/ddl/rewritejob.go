package ddl

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// rewriteJob writes the rows of a table anew while it is in use: with other types of
// columns, under another primary key.
//
//	       step            step                       hold
//	none ───────▶ delete- ───────▶ write-only ─ rows ───────▶ there
//	              only             │ every writer also writes  │ the old rows are
//	                               │ what the row will be      │ cleared later
//
// What is written is a second copy of the rows, and of those indexes whose entries
// change with them, under numbers that nobody reads (schema.Rewriting). So a table
// is kept up under both forms at once, as an index is (indexJob), and what may go
// wrong with an index goes wrong here in the same way: a unique key that two rows
// come to have is refused to writers, and found by the job.
//
// A row that has no form in the table to be (its conversion fails, it gives NULL
// where there must be none, it breaks a CHECK) is no error for who writes it; it is
// put on record (Rewriting.Refused). The job fails if it meets one, or if one is on
// record in the end. A row that is changed or deleted in time does no harm.
//
// A key that a table is to have and that no row has yet, the hidden one, is given to
// the rows beforehand, as a column is (columnJob); a row without it is one that has
// no form in the table to be, so that the copy can be published at once.
//
// Values may be computed from the row and from settings, which are kept with the
// copy: whoever writes a row computes them as the session would that asked for the
// change (schema.Settings).
//
// The change over takes the table out of use for as long as the transactions last
// that use it. Rejected: a step. Users of both forms would write at the same time,
// and what the new one takes the old one cannot always show: no text is the number
// that some still read. What is a moment here would be errors there.
//
// Rejected: to add the new value to each row, and to change over to it, as columnJob
// does. It needs no second copy, but a column of another number, which constraints,
// privileges and sequences would have to follow, and is of no use where the column
// is in the key.
type rewriteJob struct {
	*rowJob
	// w makes the entries of the copy from rows of one version of the table.
	w *rewrite
	// fill gives the rows a hidden key, before anything else.
	fill *columnJob
}

func newRewriteJob(j *rowJob) *rewriteJob {
	x := &rewriteJob{rowJob: j, fill: &columnJob{rowJob: j}}
	j.visit, j.explain = x.visit, x.rewriteError
	return x
}

// next implements stepper.
func (j *rewriteJob) next(ctx context.Context, rec *jobs.Record) error {
	if rec.State == jobs.Reverting {
		return j.revertBy(ctx, rec, (*stmt).takeRewriting)
	}
	switch {
	case rec.Phase == phaseDeleteOnly, rec.Phase == phaseFilled && rec.Column != 0:
		return j.keepUp(ctx, rec)
	}
	switch rec.Phase {
	case phaseWriteOnly:
		return j.beginBackfill(ctx, rec)
	case phaseBackfill:
		return j.backfill(ctx)
	}
	return j.changeOver(ctx, rec)
}

// keepUp has all writers keep the copy up.
func (j *rewriteJob) keepUp(ctx context.Context, rec *jobs.Record) error {
	return j.Catalog.Step(ctx, "ALTER TABLE", rec.Table, func(ctx context.Context, r *schema.Resolver, t schema.Txn, tab *schema.Table) error {
		return j.h.UpdateIn(ctx, t, func(job *jobs.Record) error {
			if job.Phase != rec.Phase || job.State != rec.State {
				return jobs.ErrLost
			}
			if !isRewriting(tab, rec) {
				return endGone(job, "table")
			}
			for _, ix := range tab.RewrittenIndexes() {
				ix.State = schema.IndexWriteOnly
			}
			r.Publish(tab)
			job.Phase, job.Column, job.Cursor, job.Done = phaseWriteOnly, 0, nil, 0
			return nil
		})
	})
}

// isRewriting reports whether a table is the one that a job writes anew.
func isRewriting(t *schema.Table, rec *jobs.Record) bool {
	return t != nil && t.Rewriting != nil && t.Rewriting.Job == schema.DescID(rec.ID)
}

// visit implements rowJob.visit.
func (j *rewriteJob) visit(ctx context.Context, r *schema.Resolver, tab *schema.Table, rec *jobs.Record) (chunkFunc, schema.IndexID, error) {
	j.lock = kvapi.LockNone
	if rec.Column != 0 {
		j.lock = kvapi.LockExclusive // the rows are written
		return j.fill.visit(ctx, r, tab, rec)
	}
	if !isRewriting(tab, rec) || tab.Rewriting.Refused.State != schema.IndexWriteOnly {
		return nil, 0, nil
	}
	return j.writeRows, tab.Rewriting.Primary, j.prepareFor(ctx, r, tab)
}

func (j *rewriteJob) prepareFor(ctx context.Context, r *schema.Resolver, tab *schema.Table) error {
	if j.w != nil && j.w.new == tab {
		return nil
	}
	snap, err := r.Snapshot(ctx)
	if err != nil {
		return err
	}
	j.Bind.Snap = snap
	w := j.newRewrite(tab, tab)
	for _, ix := range tab.Rewriting.Indexes {
		w.build = append(w.build, ix.ID)
	}
	if err := w.prepare(); err != nil {
		return err
	}
	j.w = w
	return nil
}

// writeRows writes the entries of the copy that rows have.
func (j *rewriteJob) writeRows(ctx context.Context, t Txn, kvs []kvapi.KeyValue) error {
	rows, err := j.w.newRows(ctx, kvs)
	if err != nil {
		return err
	}
	unfit := j.w.new.ColumnOrdinal(j.w.new.Rewriting.Unfit)
	for i, row := range rows {
		if row[unfit].Bool() {
			return j.unfitError(ctx, kvs[i])
		}
	}
	for _, ic := range j.w.targets {
		holds := rows
		if ic.Index.Where != 0 {
			holds = nil
			for _, row := range rows {
				if ic.Holds(row) {
					holds = append(holds, row)
				}
			}
		}
		if err := j.w.fillEntries(ctx, t, ic, holds); err != nil {
			return err
		}
	}
	return nil
}

// unfitError says why a row cannot be one of the table to be.
func (j *rewriteJob) unfitError(ctx context.Context, kv kvapi.KeyValue) error {
	w, err := j.conversion(j.w.new)
	if err == nil {
		_, err = w.newRows(ctx, []kvapi.KeyValue{kv})
	}
	if err == nil {
		err = sqlerr.New(sqlerr.InternalError, "a row of \"%s\" cannot be converted, and it is not known why", j.w.new.Name)
	}
	return err
}

// conversion makes rows of the table to be, and the errors of those that cannot be.
func (s *stmt) conversion(t *schema.Table) (*rewrite, error) {
	next := t.Rewritten()
	w := s.newRewrite(t, next)
	w.notNull = t.Rewriting.NotNull
	for _, c := range next.Checks {
		for _, oid := range t.Rewriting.Checks {
			if c.OID == oid {
				w.checks = append(w.checks, c)
			}
		}
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Replaces == 0 || t.ColumnByID(c.Replaces).Virtual {
			continue
		}
		e, err := bind.BindReplacing(s.Bind, t, c)
		if err != nil {
			return nil, err
		}
		if w.using[c.Replaces], err = s.Engine.Compile(e); err != nil {
			return nil, err
		}
	}
	return w, w.prepare()
}

// rewriteError gives the errors of writers the words of index creation.
func (j *rewriteJob) rewriteError(err error) error {
	if j.w == nil {
		return err
	}
	return j.w.duplicate(err)
}

// changeOver makes the copy the table.
func (j *rewriteJob) changeOver(ctx context.Context, rec *jobs.Record) error {
	return j.Catalog.Change(ctx, "ALTER TABLE", func(ctx context.Context, r *schema.Resolver, t schema.Txn) error {
		s := *j.stmt
		s.r, s.Resolver = r, r
		c, err := r.Contents(ctx)
		if err != nil {
			return err
		}
		there := isRewriting(c.Table(rec.Table), rec)
		if there {
			// Before the table is out of use, and again when nobody writes any more.
			if err := j.nothingRefused(ctx, r, t, c.Table(rec.Table)); err != nil {
				return err
			}
			if err := r.Hold(ctx, "ALTER TABLE", rec.Table); err != nil {
				return err
			}
			if c, err = r.Contents(ctx); err != nil {
				return err
			}
			tab := c.Table(rec.Table)
			if err := j.nothingRefused(ctx, r, t, tab); err != nil {
				return err
			}
			if err := s.putRewritten(ctx, tab); err != nil {
				return err
			}
		}
		return j.h.UpdateIn(ctx, t, func(job *jobs.Record) error {
			switch {
			case job.Phase != rec.Phase || job.State != rec.State:
				return jobs.ErrLost
			case !there:
				return endGone(job, "table")
			}
			job.State = jobs.Succeeded
			return nil
		})
	})
}

// nothingRefused fails if a row is on record that cannot be one of the table to be.
func (j *rewriteJob) nothingRefused(ctx context.Context, r *schema.Resolver, t schema.Txn, tab *schema.Table) error {
	refused := span(tab.IndexPrefix(tab.Rewriting.Refused.ID))
	kvs, _, err := t.Scan(ctx, refused, txn.ScanOptions{MaxKeys: 1})
	if err != nil || len(kvs) == 0 {
		return err
	}
	if err := j.prepareFor(ctx, r, tab); err != nil {
		return err
	}
	codec := tablekv.NewCodec(tab)
	row := make(types.Row, len(tab.Columns))
	all := make([]int, len(tab.Columns))
	for i := range all {
		all[i] = i
	}
	if err := codec.IndexByID(tab.Rewriting.Refused.ID).NewDecoder(all).Decode(kvs[0].Key, kvs[0].Value, row); err != nil {
		return err
	}
	key, _, err := codec.Primary.Key(row)
	if err != nil {
		return err
	}
	value, _, err := t.Get(ctx, key, txn.GetOptions{})
	if err != nil {
		return err
	}
	return j.unfitError(ctx, kvapi.KeyValue{Key: key, Value: value})
}

// putRewritten makes a table that is held the one that it was to become.
func (s *stmt) putRewritten(ctx context.Context, t *schema.Table) error {
	next := t.Rewritten()
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if was := t.Primary; was.OID != next.Primary.OID {
		if deps := references(c, t, func(fk *schema.ForeignKey) bool { return fk.TargetIndex == was.OID }); len(deps) > 0 {
			return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop constraint %s on table %s because other objects depend on it", was.Name, t.Name).
				WithDetail("%s depends on index %s", deps[0], was.Name)
		}
		if was.Name != "" {
			s.r.Unbind(t.SchemaID, was.Name)
		}
		if next.Primary.Name != "" {
			used, err := s.taken(ctx, c.SchemaByID(t.SchemaID), next.Primary.Name)
			if err != nil {
				return err
			}
			if used {
				return alreadyExists(next.Primary.Name)
			}
		}
	}
	for _, ix := range next.AllIndexes() {
		s.bindIndex(next, ix)
	}
	for _, ix := range t.AllIndexes() {
		if next.IndexByID(ix.ID) == nil {
			s.r.DropData(t.ID, ix.ID)
		}
	}
	s.r.DropData(t.ID, t.Rewriting.Refused.ID)
	s.r.Put(next)
	return nil
}

// takeRewriting gives up a copy of the rows.
func (s *stmt) takeRewriting(ctx context.Context, rec *jobs.Record) error {
	c, err := s.r.Contents(ctx)
	if err != nil || !isRewriting(c.Table(rec.Table), rec) {
		return err
	}
	if err := s.r.Hold(ctx, "ALTER TABLE", rec.Table); err != nil {
		return err
	}
	if c, err = s.r.Contents(ctx); err != nil {
		return err
	}
	tab := c.Table(rec.Table).Clone()
	for _, id := range tab.EndRewriting() {
		s.r.DropData(tab.ID, id)
	}
	s.r.Put(tab)
	return nil
}
