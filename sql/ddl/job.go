package ddl

import (
	"context"
	"errors"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// Phases of jobs: what is done. Indexes are delete-only from the transaction on
// that creates the job; jobs of constraints and columns begin with phaseWriteOnly.
const (
	phaseDeleteOnly uint8 = iota
	phaseWriteOnly
	phaseBackfill
	phaseFilled
)

const (
	// backfillRowsMax and backfillBytes bound one transaction of a backfill.
	// Smaller ones meet fewer others, and are in nobody's way for long.
	backfillRowsMax = 200
	backfillRowsMin = 10
	backfillBytes   = 64 << 10
	// aloneFactor is how many times larger they are while nobody else is at work.
	aloneFactor = 16
	// backfillRestMax bounds the rest after a chunk.
	backfillRestMax = time.Second
	// checkpointInterval is how often a backfill puts on record how far it is;
	// what came after is done again if the node dies.
	checkpointInterval = time.Second
)

// rowJob is what jobs that go through all rows of a table have in common: they
// read them in chunks, each a serializable transaction that uses the table as any
// user's does, and put on record now and then how far they are.
type rowJob struct {
	*stmt
	h *jobs.Handle
	// rows is how many of them a chunk reads.
	rows int64
	// alone: nobody was at work when the last chunk was done.
	alone bool
	// visit prepares for a version of the table (nil: it is gone) and returns what
	// to do with a chunk, and the number of the index that is written, if any; or
	// nil if there is nothing to be done.
	visit func(ctx context.Context, r *schema.Resolver, tab *schema.Table, rec *jobs.Record) (chunkFunc, schema.IndexID, error)
	// lock is how the rows are read: locked if they are written.
	lock kvapi.LockStrength
	// explain gives errors of chunks other words; may be nil.
	explain func(error) error
}

// fault is what a test has go wrong before the next step or chunk.
func (j *rowJob) fault() error {
	if j.JobFault == nil {
		return nil
	}
	return j.JobFault(j.h.Record())
}

type chunkFunc func(ctx context.Context, t Txn, kvs []kvapi.KeyValue) error

// stepper does the next step of a job of some kind.
type stepper interface {
	next(ctx context.Context, rec *jobs.Record) error
}

// RunJob does a job of this package (jobs.Config.Work). Resolver and Txn of env
// are not used.
func RunJob(ctx context.Context, env Env, h *jobs.Handle) error {
	j := &rowJob{stmt: &stmt{Env: env}, h: h, rows: backfillRowsMax}
	var s stepper
	switch h.Record().Kind {
	case jobs.KindIndex:
		s = newIndexJob(j)
	case jobs.KindConstraint:
		s = newConstraintJob(j)
	case jobs.KindColumn:
		s = newColumnJob(j)
	case jobs.KindRewrite:
		s = newRewriteJob(j)
	default:
		return errors.New("ddl: a job of an unknown kind")
	}
	for {
		if err := h.Reload(ctx); err != nil {
			return err
		}
		rec := h.Record()
		if rec.State.Ended() || rec.State == jobs.Paused {
			return nil
		}
		var err error
		switch {
		case rec.State == jobs.Running && rec.Request == jobs.RequestCancel:
			err = h.Revert(ctx, jobs.Problem{})
		case rec.State == jobs.Running && rec.Request == jobs.RequestPause:
			err = h.Pause(ctx)
		default:
			if err = j.fault(); err == nil {
				err = j.Guard(func() error { return s.next(ctx, rec) })
			}
		}
		if p := permanent(err); p != nil && rec.State != jobs.Reverting {
			err = h.Revert(ctx, *p)
		}
		if err != nil && !txn.IsAmbiguous(err) { // the record says what has happened
			return err
		}
	}
}

// permanent gives an error that trying again does not help against; nil is none.
func permanent(err error) *jobs.Problem {
	var e *sqlerr.Error
	if limit := (*schema.SequenceLimitError)(nil); errors.As(err, &limit) {
		return &jobs.Problem{Code: limit.SQLState(), Message: limit.Error()}
	}
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

// endGone ends a job for which what it is about is not there any more.
func endGone(job *jobs.Record, what string) error {
	if job.State != jobs.Reverting {
		job.Error = jobs.Problem{Code: string(sqlerr.UndefinedObject), Message: "the " + what + " was dropped meanwhile"}
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

// beginBackfill waits until everybody has the version before which rows were
// written that are to be looked at.
func (j *rowJob) beginBackfill(ctx context.Context, rec *jobs.Record) error {
	if err := j.Catalog.Drained(ctx, rec.Table); err != nil {
		return err
	}
	total := int64(0)
	if j.CountRows != nil {
		total = j.CountRows(ctx, rec.Table)
	}
	return j.Store.Run(ctx, "backfill: begin", func(ctx context.Context, t schema.Txn) error {
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
	// index is the number of the index that is written, 0 for none.
	index schema.IndexID
	done  int64
	end   bool
}

// backfill reads until the end, or until something else is to be done.
func (j *rowJob) backfill(ctx context.Context) error {
	rec := j.h.Record()
	at := position{next: rec.Cursor, of: rec.CursorOf, done: rec.Done}
	saved := time.Now()
	for !at.end {
		began := time.Now()
		if err := j.chunk(ctx, rec, &at); err != nil {
			return err
		}
		if err := j.fault(); err != nil {
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
			j.rest(ctx, time.Since(began))
		}
	}
	return nil
}

// rowsMax bounds the rows of a chunk.
func (j *rowJob) rowsMax() int64 {
	if j.alone {
		return backfillRowsMax * aloneFactor
	}
	return backfillRowsMax
}

func (j *rowJob) bytesMax() int64 {
	if j.alone {
		return backfillBytes * aloneFactor
	}
	return backfillBytes
}

// rest lets others work after a chunk, in proportion to the time that it took: the
// busier the ranges are, the longer.
func (j *rowJob) rest(ctx context.Context, worked time.Duration) {
	share := 100
	if j.BackfillShare != nil {
		share = j.BackfillShare(ctx)
		j.alone = share == 100
	}
	t := time.NewTimer(min(worked*time.Duration(100-share)/time.Duration(share), backfillRestMax))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (j *rowJob) checkpoint(ctx context.Context, at position) error {
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

// chunk does the next rows, and moves at on.
func (j *rowJob) chunk(ctx context.Context, rec *jobs.Record, at *position) error {
	var r *schema.Resolver
	var after position
	tries := 0
	err := j.Store.Run(ctx, "backfill", func(ctx context.Context, t schema.Txn) (err error) {
		if r != nil {
			r.Finish(ctx, false)
		}
		if tries++; tries > 2 { // the fewer rows, the fewer others
			j.rows = max(j.rows/2, backfillRowsMin)
		}
		r = j.Catalog.Resolver(t)
		if after, err = j.read(ctx, r, t, rec, *at); err != nil {
			return err
		}
		return r.PrepareCommit(ctx)
	})
	if r != nil {
		r.Finish(ctx, err == nil)
	}
	if err != nil {
		if j.explain != nil {
			err = j.explain(err)
		}
		return err
	}
	if tries == 1 {
		j.rows += j.rows/8 + 1
	}
	j.rows = min(j.rows, j.rowsMax())
	*at = after
	return nil
}

// read does the next rows in a transaction, and returns the position after them.
func (j *rowJob) read(ctx context.Context, r *schema.Resolver, t schema.Txn, rec *jobs.Record, at position) (position, error) {
	if err := t.AdvanceTo(ctx, rec.ReadFrom); err != nil {
		return at, err
	}
	tab, err := r.Table(ctx, rec.Table)
	if err != nil {
		return at, err
	}
	do, index, err := j.visit(ctx, r, tab, rec)
	if err != nil {
		return at, err
	}
	if do == nil {
		return position{end: true}, nil // the next step finds out why
	}
	if at.of != tab.Primary.ID || at.index != 0 && at.index != index {
		at = position{of: tab.Primary.ID} // the rows lie elsewhere now
	}
	at.index = index
	rows := span(tab.IndexPrefix(tab.Primary.ID))
	if len(at.next) > 0 {
		rows.Key = at.next
	}
	kvs, resume, err := t.Scan(ctx, rows, txn.ScanOptions{MaxKeys: j.rows, TargetBytes: j.bytesMax(), Lock: j.lock})
	if err != nil {
		return at, err
	}
	if err := j.Guard(func() error { return do(ctx, t.(Txn), kvs) }); err != nil {
		return at, err
	}
	at.done += int64(len(kvs))
	if at.end = resume == nil; !at.end {
		at.next = resume.Key.Clone()
	}
	return at, nil
}

// PhaseName says for people what a job is at; "" for nothing.
func PhaseName(r *jobs.Record) string {
	index, column, rewrite := r.Kind == jobs.KindIndex, r.Kind == jobs.KindColumn, r.Kind == jobs.KindRewrite
	switch {
	case r.State.Ended() || r.State == jobs.Paused:
		return ""
	case r.State == jobs.Reverting && index:
		return "taking the index back"
	case r.State == jobs.Reverting && column:
		return "taking the column back"
	case r.State == jobs.Reverting && rewrite:
		return "taking the new rows back"
	case r.State == jobs.Reverting:
		return "taking the constraint back"
	case rewrite && r.Column != 0 && r.Phase < phaseBackfill:
		return "waiting until all nodes give new rows a hidden key"
	case rewrite && r.Column != 0:
		return "giving the rows a hidden key"
	case r.Phase == phaseDeleteOnly && rewrite:
		return "waiting until all nodes know of the new rows"
	case r.Phase == phaseWriteOnly && rewrite:
		return "waiting until all nodes write the new rows too"
	case r.Phase == phaseBackfill && rewrite:
		return "writing the new rows"
	case r.Phase == phaseDeleteOnly:
		return "waiting until all nodes know the index"
	case r.Phase == phaseWriteOnly && index:
		return "waiting until all nodes keep the index up"
	case r.Phase == phaseBackfill && index:
		return "building index"
	case r.Phase < phaseBackfill && column:
		return "waiting until all nodes fill the column"
	case r.Phase == phaseBackfill && column:
		return "filling the column"
	case r.Phase <= phaseBackfill:
		return "checking rows"
	}
	return "publishing"
}

// revertBy ends a job that is to be undone, together with a change that takes
// away what it had begun.
func (j *rowJob) revertBy(ctx context.Context, rec *jobs.Record, take func(*stmt, context.Context, *jobs.Record) error) error {
	return j.Catalog.Change(ctx, "ALTER TABLE", func(ctx context.Context, r *schema.Resolver, t schema.Txn) error {
		s := *j.stmt
		s.r, s.Resolver = r, r
		if err := take(&s, ctx, rec); err != nil {
			return err
		}
		// The record last: the claim cannot be renewed while it is locked.
		return j.h.UpdateIn(ctx, t, func(job *jobs.Record) error {
			if job.State != rec.State {
				return jobs.ErrLost
			}
			job.State = ended(job)
			return nil
		})
	})
}
