package ddl

import (
	"context"
	"errors"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

const (
	// onlineRowsMin is the size from which on an index is built by a job, while
	// the table is in use. Smaller tables are taken out of use for the moment
	// that it takes, which costs fewer rounds.
	onlineRowsMin = 1000
	// quietMax is how long a job may take before its statement's user is told of it.
	quietMax = 2 * time.Second
	// cancelMax bounds the wait for a job to go back whose statement was canceled.
	cancelMax = 10 * time.Second
)

// isOnline reports whether an index is to be built while the table is in use.
func (s *stmt) isOnline(ctx context.Context, t *schema.Table, concurrently bool) (bool, error) {
	if s.Jobs == nil || s.Explicit || s.r.Created(t.ID) {
		return false, nil
	}
	if concurrently {
		return true, nil
	}
	var large bool
	p := t.IndexPrefix(t.Primary.ID)
	err := s.Store.Run(ctx, "table size", func(ctx context.Context, tx schema.Txn) error {
		kvs, resume, err := tx.Scan(ctx, span(p), txn.ScanOptions{MaxKeys: onlineRowsMin, TargetBytes: chunkBytes})
		large = resume != nil || len(kvs) >= onlineRowsMin
		return err
	})
	return large, err
}

func (s *stmt) createIndexOnline(ctx context.Context, n *pg.IndexStmt, t *schema.Table) error {
	return s.buildOnline(ctx, t, "CREATE INDEX", func(ctx context.Context, m *tableMaker, t *schema.Table) (*schema.Index, error) {
		ix, err := m.index(ctx, t, n)
		if err != nil {
			return nil, err
		}
		t.Indexes = append(t.Indexes, ix)
		return &t.Indexes[len(t.Indexes)-1], nil
	})
}

// alterOnline returns how to run an ALTER TABLE while the table is in use; nil if
// it is to be taken out of use.
func (s *stmt) alterOnline(ctx context.Context, t *schema.Table, n *pg.AlterTableStmt) (func(context.Context) error, error) {
	anew := mayRewrite(t, n.Cmds)
	if len(n.Cmds) != 1 && !anew || t.Matview != nil {
		return nil, nil
	}
	cmd := n.Cmds[0].GetAlterTableCmd()
	c := cmd.Def.GetConstraint()
	unique := cmd.Subtype == pg.AlterTableType_AT_AddConstraint && c.Contype == pg.ConstrType_CONSTR_UNIQUE
	light, rec := toProve(t, n)
	fill := mayFill(t, cmd)
	if !unique && light == nil && !fill && !anew {
		return nil, nil
	}
	online, err := s.isOnline(ctx, t, false)
	if err != nil || !online {
		return nil, err
	}
	if anew {
		return func(ctx context.Context) error { return s.rewriteOnline(ctx, t, n.Cmds) }, nil
	}
	if fill {
		return func(ctx context.Context) error { return s.fillOnline(ctx, t, cmd) }, nil
	}
	if light != nil {
		return func(ctx context.Context) error { return s.proveOnline(ctx, t, light, rec) }, nil
	}
	return func(ctx context.Context) error {
		return s.buildOnline(ctx, t, "ALTER TABLE", func(ctx context.Context, m *tableMaker, t *schema.Table) (*schema.Index, error) {
			return m.unique(ctx, t, pendingConstraint{c: c})
		})
	}, nil
}

// buildOnline adds an index to a table that is in use: it publishes the index
// in its first state together with the job that does the rest, and waits for the
// job. add makes the index in a copy of the table. None of this is part of the
// session's transaction.
func (s *stmt) buildOnline(ctx context.Context, t *schema.Table, what string,
	add func(context.Context, *tableMaker, *schema.Table) (*schema.Index, error)) error {
	if err := s.mustOwn(ctx, t.ID); err != nil {
		return err
	}
	if s.Plan != nil {
		return s.explainBuild(ctx, t, add)
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	err = s.Catalog.Step(ctx, what, t.ID, func(ctx context.Context, r *schema.Resolver, tx schema.Txn, tab *schema.Table) error {
		if !isStill(tab, t) {
			return errGone
		}
		if err := s.notRewritten(ctx, tab, what); err != nil {
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
		ix, err := add(ctx, m, tab)
		if err != nil {
			return err
		}
		job := jobs.Record{ID: jobs.ID(id), Kind: jobs.KindIndex, Description: s.text, User: s.User,
			Database: s.Database.ID, Table: tab.ID, Object: ix.OID, Constraint: ix.ConstraintOID}
		ix.State, ix.ConstraintOID = schema.IndexDeleteOnly, 0
		sub.bindIndex(tab, ix)
		r.Publish(tab)
		return jobs.Create(ctx, tx, s.Jobs.Clock(), job)
	})
	if err != nil {
		return lookAgain(t, err)
	}
	return s.awaitJob(ctx, jobs.ID(id))
}

// errGone says that a table that was found has been dropped or renamed since.
var errGone = errors.New("ddl: the table is gone")

// isStill reports whether a table has the name by which it was found.
func isStill(t, found *schema.Table) bool {
	return t != nil && t.Name == found.Name && t.SchemaID == found.SchemaID
}

// lookAgain has the statement begin anew if its table is gone: another may have the name.
func lookAgain(t *schema.Table, err error) error {
	if errors.Is(err, errGone) {
		return &schema.StaleError{Name: t.Name}
	}
	return err
}

// awaitJob has a job done, here or elsewhere, and gives its error. If the user
// cancels the statement, or its time is over, the job is canceled; if the client
// goes away, or the node stops, it goes on.
func (s *stmt) awaitJob(ctx context.Context, id jobs.ID) error {
	if err := s.Jobs.Start(ctx, id); err != nil {
		return err
	}
	if s.Awaits != nil {
		s.Awaits(true)
		defer s.Awaits(false)
	}
	rec, err := s.waitJob(ctx, id)
	if err != nil {
		var why *sqlerr.Error
		if errors.As(context.Cause(ctx), &why) && why.Code == sqlerr.QueryCanceled {
			s.cancelJob(id)
		}
		return err
	}
	switch rec.State {
	case jobs.Succeeded:
		return nil
	case jobs.Paused:
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "job %s was paused", id).
			WithHint("SELECT cairn.resume_job(%s) has it go on, cairn.cancel_job(%s) takes back what it has done.", id, id)
	case jobs.Canceled:
		return sqlerr.New(sqlerr.QueryCanceled, "job %s was canceled", id)
	}
	p := rec.Error
	e := sqlerr.New(sqlerr.Code(p.Code), "%s", p.Message).WithTable("", p.Table).WithConstraint(p.Constraint)
	if p.Detail != "" {
		e = e.WithDetail("%s", p.Detail)
	}
	if p.Hint != "" {
		e = e.WithHint("%s", p.Hint)
	}
	return e
}

// waitJob waits for the end of a job, and tells who asked for it of the job if
// that takes long.
func (s *stmt) waitJob(ctx context.Context, id jobs.ID) (*jobs.Record, error) {
	short, cancel := context.WithTimeout(ctx, quietMax)
	defer cancel()
	rec, err := s.Jobs.Wait(short, id)
	if err == nil || ctx.Err() != nil || short.Err() == nil {
		return rec, err
	}
	if s.NoticeNow != nil {
		s.NoticeNow(sqlerr.New(sqlerr.SuccessfulCompletion, "job %s does this while the table is in use", id).
			WithSeverity(sqlerr.SeverityNotice).WithHint("SELECT * FROM cairn.jobs shows how far it is."))
	}
	return s.Jobs.Wait(ctx, id)
}

// cancelJob has a job go back, and waits a little for that.
func (s *stmt) cancelJob(id jobs.ID) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelMax)
	defer cancel()
	if _, err := s.Jobs.Ask(ctx, id, jobs.RequestCancel); err != nil {
		return
	}
	_, _ = s.Jobs.Wait(ctx, id)
}
