package ddl

import (
	"context"
	"errors"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Phases of an index job: what has been published. The index is delete-only
// from the transaction on that creates the job.
const (
	phaseDeleteOnly uint8 = iota
	phaseWriteOnly
	phaseBackfill
	phaseFilled
)

const (
	// backfillRowsMax and backfillBytes bound one transaction of a backfill.
	// Smaller ones meet fewer others, and are in nobody's way for long.
	backfillRowsMax = 500
	backfillRowsMin = 10
	backfillBytes   = 128 << 10
	// backfillRest is how long a backfill rests after a chunk, in parts of the
	// time that the chunk took: the busier the ranges, the longer. backfillRestMax
	// bounds it.
	backfillRest    = 1
	backfillRestMax = 250 * time.Millisecond
	// checkpointInterval is how often a backfill puts on record how far it is;
	// what came after is done again if the node dies.
	checkpointInterval = time.Second
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
	*stmt
	h *jobs.Handle
	// w makes entries of rows of the table version for.
	w *rewrite
	// rows is how many of them a chunk reads.
	rows int64
}

// RunJob does a job of this package (jobs.Config.Work). Resolver and Txn of env
// are not used.
func RunJob(ctx context.Context, env Env, h *jobs.Handle) error {
	if h.Record().Kind != jobs.KindIndex {
		return errors.New("ddl: a job of an unknown kind")
	}
	j := &indexJob{stmt: &stmt{Env: env}, h: h, rows: backfillRowsMax}
	for {
		if err := j.h.Reload(ctx); err != nil {
			return err
		}
		rec := h.Record()
		if rec.State.Ended() || rec.State == jobs.Paused {
			return nil
		}
		err := j.next(ctx, rec)
		if p := permanent(err); p != nil && rec.State != jobs.Reverting {
			err = h.Revert(ctx, *p)
		}
		if err != nil && !txn.IsAmbiguous(err) { // the record says what has happened
			return err
		}
	}
}

// PhaseName says for people what a job is at; "" for nothing.
func PhaseName(r *jobs.Record) string {
	switch {
	case r.State.Ended() || r.State == jobs.Paused:
		return ""
	case r.State == jobs.Reverting:
		return "taking the index back"
	}
	switch r.Phase {
	case phaseDeleteOnly:
		return "waiting until all nodes know the index"
	case phaseWriteOnly:
		return "waiting until all nodes keep the index up"
	case phaseBackfill:
		return "building index"
	}
	return "publishing the index"
}

// next does the next step, or follows a request.
func (j *indexJob) next(ctx context.Context, rec *jobs.Record) error {
	switch {
	case rec.State == jobs.Reverting:
		return j.revert(ctx, rec)
	case rec.Request == jobs.RequestCancel:
		return j.h.Revert(ctx, jobs.Problem{})
	case rec.Request == jobs.RequestPause:
		return j.h.Pause(ctx)
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

// permanent gives an error that trying again does not help against; nil is none.
func permanent(err error) *jobs.Problem {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code[:2] {
	case "40", "57", "08", "53": // retry, shutdown and cancel, connection, resources
		return nil
	}
	return &jobs.Problem{Code: string(e.Code), Message: e.Message, Detail: e.Detail, Hint: e.Hint,
		Table: e.Table, Constraint: e.Constraint}
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

// endGone ends a job whose index is not there any more.
func endGone(job *jobs.Record, what string) error {
	if job.State != jobs.Reverting {
		job.Error = jobs.Problem{Code: string(sqlerr.UndefinedObject), Message: "the " + what + " was dropped while the index was built"}
	}
	job.State = ended(job)
	return nil
}

// ended is how a job ends that goes back.
func ended(job *jobs.Record) jobs.State {
	if job.Error.Code == "" {
		return jobs.Canceled
	}
	return jobs.Failed
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

// beginBackfill waits until everybody keeps the index up.
func (j *indexJob) beginBackfill(ctx context.Context, rec *jobs.Record) error {
	if err := j.Catalog.Drained(ctx, rec.Table); err != nil {
		return err
	}
	total := int64(0)
	if j.CountRows != nil {
		total = j.CountRows(ctx, rec.Table)
	}
	return j.Store.Run(ctx, "index backfill: begin", func(ctx context.Context, t schema.Txn) error {
		return j.h.UpdateIn(ctx, t, func(r *jobs.Record) error {
			if r.Phase == rec.Phase && r.State == jobs.Running {
				// The clock has seen what the others committed (schema, settle).
				r.Phase, r.ReadFrom, r.Total = phaseBackfill, t.ReadTimestamp(), total
			}
			return nil
		})
	})
}

// position is how far a backfill is.
type position struct {
	// next is the first key that has not been read, of the primary index of.
	next kvapi.Key
	of   schema.IndexID
	// index is the number under which the entries are written.
	index schema.IndexID
	done  int64
	end   bool
}

// backfill makes entries until all rows have one, or something else is to be done.
func (j *indexJob) backfill(ctx context.Context) error {
	rec := j.h.Record()
	at := position{next: rec.Cursor, of: rec.CursorOf, done: rec.Done}
	saved := time.Now()
	for !at.end {
		began := time.Now()
		if err := j.chunk(ctx, rec, &at); err != nil {
			return err
		}
		if time.Since(saved) > checkpointInterval || at.end {
			saved = time.Now()
			if err := j.checkpoint(ctx, at); err != nil {
				return err
			}
		}
		if r := j.h.Record(); r.Request != jobs.NoRequest || r.State != jobs.Running {
			return j.checkpoint(ctx, at)
		}
		if !at.end {
			rest(ctx, time.Since(began))
		}
	}
	return nil
}

func rest(ctx context.Context, worked time.Duration) {
	t := time.NewTimer(min(backfillRest*worked, backfillRestMax))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (j *indexJob) checkpoint(ctx context.Context, at position) error {
	return j.h.Update(ctx, func(r *jobs.Record) error {
		if r.Phase != phaseBackfill {
			return nil
		}
		r.Cursor, r.CursorOf, r.Done = at.next, at.of, at.done
		if at.end && r.State == jobs.Running {
			r.Phase = phaseFilled
		}
		return nil
	})
}

// chunk makes the entries of the next rows in a transaction that uses the table
// as any other does, and moves at on.
func (j *indexJob) chunk(ctx context.Context, rec *jobs.Record, at *position) error {
	var r *schema.Resolver
	var after position
	tries := 0
	err := j.Store.Run(ctx, "index backfill", func(ctx context.Context, t schema.Txn) (err error) {
		if r != nil {
			r.Finish(ctx, false)
		}
		if tries++; tries > 2 { // the fewer rows, the fewer others
			j.rows = max(j.rows/2, backfillRowsMin)
		}
		r = j.Catalog.Resolver(t)
		if after, err = j.makeEntries(ctx, r, t, rec, *at); err != nil {
			return err
		}
		return r.PrepareCommit(ctx)
	})
	if r != nil {
		r.Finish(ctx, err == nil)
	}
	if err != nil {
		return j.indexError(err)
	}
	if tries == 1 {
		j.rows = min(j.rows+j.rows/8+1, backfillRowsMax)
	}
	*at = after
	return nil
}

// indexError gives the errors of writers the words of index creation.
func (j *indexJob) indexError(err error) error {
	if j.w == nil {
		return err
	}
	return j.w.duplicate(err)
}

func (j *indexJob) makeEntries(ctx context.Context, r *schema.Resolver, t schema.Txn, rec *jobs.Record, at position) (position, error) {
	if err := t.AdvanceTo(ctx, rec.ReadFrom); err != nil {
		return at, err
	}
	tab, err := r.Table(ctx, rec.Table)
	if err != nil {
		return at, err
	}
	ix := indexOf(tab, rec.Object)
	if ix == nil || ix.State != schema.IndexWriteOnly {
		return position{end: true}, nil // the next step finds out why
	}
	if err := j.prepareFor(ctx, r, tab, ix); err != nil {
		return at, err
	}
	if at.of != tab.Primary.ID || at.index != 0 && at.index != ix.ID {
		at = position{of: tab.Primary.ID}
	}
	at.index = ix.ID
	span := j.w.primarySpan()
	if len(at.next) > 0 {
		span.Key = at.next
	}
	kvs, resume, err := t.Scan(ctx, span, txn.ScanOptions{MaxKeys: j.rows, TargetBytes: backfillBytes})
	if err != nil {
		return at, err
	}
	rows, err := j.w.newRows(ctx, kvs)
	if err != nil {
		return at, err
	}
	if err := j.w.fillEntries(ctx, t.(Txn), rows); err != nil {
		return at, err
	}
	at.done += int64(len(kvs))
	if at.end = resume == nil; !at.end {
		at.next = resume.Key.Clone()
	}
	return at, nil
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

// fillEntries writes the entries of rows into the one index that is built. An entry of
// a unique index that is there must be the row's own.
func (w *rewrite) fillEntries(ctx context.Context, t Txn, rows []types.Row) error {
	ic := w.targets[0]
	var unique []kvapi.Key
	var of []types.Row
	for _, row := range rows {
		if !ic.Holds(row) {
			continue
		}
		key, conflict, err := ic.Key(row)
		if err != nil {
			return err
		}
		if conflict {
			unique, of = append(unique, key), append(of, row)
			continue
		}
		if err := t.Put(ctx, key, ic.Value(row)); err != nil {
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
	a, _, err := w.newCodec.Primary.Key(entry)
	if err != nil {
		return false, err
	}
	b, _, err := w.newCodec.Primary.Key(row)
	return a.Equal(b), err
}
