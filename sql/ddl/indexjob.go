package ddl

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// indexJob builds an index while its table is in use.
//
//	state      delete-only ──▶ write-only ──▶ write-only ──▶ public
//	phase      DeleteOnly      WriteOnly      Backfill, Filled
//	                │               │              │
//	others     remove old      keep the        entries of rows that
//	           entries         index up        nobody wrote are made
//
// Two adjacent states may be in use at a time (schema.Catalog.Step), no more:
//
//	none, delete-only        nobody adds entries
//	delete-only, write-only  who adds entries knows that everybody removes them
//	write-only, public       who reads them knows that everybody keeps them up
//
// When the rows are read, at or after ReadFrom, everybody keeps the index up. So
// a row needs an entry from the backfill only if nobody has written it since,
// and a chunk, a serializable transaction like any user's, sees each row as it
// is when the entry is made. Doing a chunk twice makes the same entries.
//
// A unique index: writers are checked against the entries that are there, the
// backfill against theirs. Two rows of one key both get an entry, so the later
// one finds the earlier. Before the index is public every row has been checked.
//
// Going back is the same way: write-only → delete-only → none. The keys are
// cleared later, with those that a node has written that was overtaken.
//
// Others may change the table meanwhile. Truncation and a new primary key give
// indexes new numbers and rows new keys: the backfill then begins anew
// (Cursor is of one primary index). If the index or the table is dropped, the
// job has failed.
//
// Rejected: reading at one past time and writing an entry unless the key has
// been written since. It never waits for users, but needs a new conditional
// write, and every chunk checks many keys to avoid a conflict that is rare.
type indexJob struct {
	*rowJob
	// w makes entries of rows of one version of the table.
	w *rewrite
}

func newIndexJob(j *rowJob) *indexJob {
	x := &indexJob{rowJob: j}
	j.visit, j.explain = x.visit, x.indexError
	return x
}

// next implements stepper.
func (j *indexJob) next(ctx context.Context, rec *jobs.Record) error {
	if rec.State == jobs.Reverting {
		return j.revert(ctx, rec)
	}
	switch rec.Phase {
	case phaseDeleteOnly:
		return j.setState(ctx, rec, schema.IndexWriteOnly, func(r *jobs.Record) { r.Phase = phaseWriteOnly })
	case phaseWriteOnly:
		return j.beginBackfill(ctx, rec)
	case phaseBackfill:
		return j.backfill(ctx)
	}
	return j.step(ctx, rec, func(_ context.Context, r *schema.Resolver, t *schema.Table, ix *schema.Index, job *jobs.Record) error {
		ix.State, ix.ConstraintOID = schema.IndexPublic, job.Constraint
		r.Publish(t)
		job.State = jobs.Succeeded
		return nil
	})
}

// setState publishes the index's next state and changes the record with it.
func (j *indexJob) setState(ctx context.Context, rec *jobs.Record, to schema.IndexState, fn func(*jobs.Record)) error {
	return j.step(ctx, rec, func(ctx context.Context, r *schema.Resolver, t *schema.Table, ix *schema.Index, job *jobs.Record) error {
		ix.State = to
		r.Publish(t)
		fn(job)
		return nil
	})
}

// step is schema.Catalog.Step for the job's index and record. If the index is
// gone, the job ends.
func (j *indexJob) step(ctx context.Context, rec *jobs.Record,
	fn func(context.Context, *schema.Resolver, *schema.Table, *schema.Index, *jobs.Record) error) error {
	return j.Catalog.Step(ctx, "CREATE INDEX", rec.Table, func(ctx context.Context, r *schema.Resolver, t schema.Txn, tab *schema.Table) error {
		return j.h.UpdateIn(ctx, t, func(job *jobs.Record) error {
			if job.Phase != rec.Phase || job.State != rec.State {
				return jobs.ErrLost // this step is done, or another is to be (jobs.I4)
			}
			if tab == nil {
				return endGone(job, "table")
			}
			ix := tab.IndexByOID(rec.Object)
			if ix == nil {
				return endGone(job, "index")
			}
			return fn(ctx, r, tab, ix, job)
		})
	})
}

// revert takes the index back, one state at a time.
func (j *indexJob) revert(ctx context.Context, rec *jobs.Record) error {
	return j.step(ctx, rec, func(ctx context.Context, r *schema.Resolver, t *schema.Table, ix *schema.Index, job *jobs.Record) error {
		switch ix.State {
		case schema.IndexPublic:
			return errors.New("ddl: a job goes back whose index is public")
		case schema.IndexWriteOnly:
			ix.State = schema.IndexDeleteOnly
		case schema.IndexDeleteOnly:
			s := *j.stmt
			s.r, s.Resolver = r, r
			s.removeIndex(t, ix.ID)
			job.State = ended(job)
		}
		r.Publish(t)
		return nil
	})
}

// indexError gives the errors of writers the words of index creation.
func (j *indexJob) indexError(err error) error {
	if j.w == nil {
		return err
	}
	return j.w.duplicate(err)
}

// visit implements rowJob.visit.
func (j *indexJob) visit(ctx context.Context, r *schema.Resolver, tab *schema.Table, rec *jobs.Record) (chunkFunc, schema.IndexID, error) {
	ix := indexOf(tab, rec.Object)
	if ix == nil || ix.State != schema.IndexWriteOnly {
		return nil, 0, nil
	}
	if err := j.prepareFor(ctx, r, tab, ix); err != nil {
		return nil, 0, err
	}
	return j.makeEntries, ix.ID, nil
}

func (j *indexJob) makeEntries(ctx context.Context, t Txn, kvs []kvapi.KeyValue) error {
	rows, err := j.w.newRows(ctx, kvs)
	if err != nil {
		return err
	}
	return j.w.fillEntries(ctx, t, j.w.targets[0], rows)
}

func indexOf(t *schema.Table, oid schema.DescID) *schema.Index {
	if t == nil {
		return nil
	}
	return t.IndexByOID(oid)
}

// prepareFor makes the codecs for a version of the table.
func (j *indexJob) prepareFor(ctx context.Context, r *schema.Resolver, tab *schema.Table, ix *schema.Index) error {
	if j.w != nil && j.w.new == tab {
		return nil
	}
	snap, err := r.Snapshot(ctx)
	if err != nil {
		return err
	}
	j.Bind.Snap = snap
	w := j.newRewrite(tab, tab)
	w.build = []schema.IndexID{ix.ID}
	if err := w.prepare(); err != nil {
		return err
	}
	j.w = w
	return nil
}

// fillEntries writes the entries of rows into an index that is built. An entry of
// a unique index that is there must be the row's own.
func (w *rewrite) fillEntries(ctx context.Context, t Txn, ic *tablekv.IndexCodec, rows []types.Row) error {
	var unique []kvapi.Key
	var of []types.Row
	for _, row := range rows {
		if err := ic.EachKey(row, func(key kvapi.Key, conflict bool) error {
			if conflict {
				unique, of = append(unique, key), append(of, row)
				return nil
			}
			return t.Put(ctx, key, ic.Value(row))
		}); err != nil {
			return err
		}
	}
	if len(unique) == 0 {
		return nil
	}
	vals, err := t.GetMany(ctx, unique, txn.GetOptions{})
	if err != nil {
		return err
	}
	own := map[string]bool{}
	for i, key := range unique {
		mine := !vals[i].Exists
		if !mine {
			if mine, err = w.sameRow(ic, key, vals[i].Data, of[i]); err != nil {
				return err
			}
		}
		if !mine || own[string(key)] {
			return w.duplicate(&txn.ConditionFailedError{Key: key})
		}
		own[string(key)] = true
		if err := t.Put(ctx, key, ic.Value(of[i])); err != nil {
			return err
		}
	}
	return nil
}

// sameRow reports whether an entry of an index is a row's.
func (w *rewrite) sameRow(ic *tablekv.IndexCodec, key kvapi.Key, value []byte, row types.Row) (bool, error) {
	at := make([]int, len(w.new.Columns))
	for i := range at {
		at[i] = i
	}
	entry := make(types.Row, len(at))
	if err := ic.NewDecoder(at).Decode(key, value, entry); err != nil {
		return false, err
	}
	rows := &w.newCodec.Primary
	if rw := w.new.Rewriting; rw != nil && ic.IsToBe() && ic.Index.ID != rw.Primary {
		rows = w.newCodec.IndexByID(rw.Primary) // whose key the entry has
	}
	a, _, err := rows.Key(entry)
	if err != nil {
		return false, err
	}
	b, _, err := rows.Key(row)
	return a.Equal(b), err
}
