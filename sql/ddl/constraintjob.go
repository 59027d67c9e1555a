package ddl

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// constraintJob proves a constraint for the rows that are older than it, while
// the table is in use.
//
//	hold: constraint, NOT VALID ──▶ all rows, in chunks ──▶ valid
//	(all writers keep it)               │ a row breaks it
//	                                    ▼
//	                                without it again, or NOT VALID if it was
//
// The constraint is added by a hold, which stops the table for as long as the
// transactions that use it last; from then on no writer breaks it. So a row needs
// to be looked at once, at any time after that. Becoming valid changes nothing
// for writers, and is a step. NOT NULL is a CHECK in the meantime.
type constraintJob struct {
	*rowJob
	// w looks at rows of one version of the table, for a CHECK or NOT NULL; refs
	// for a foreign key between two versions.
	w    *rewrite
	refs *referenceCheck
}

func newConstraintJob(j *rowJob) *constraintJob {
	x := &constraintJob{rowJob: j}
	j.visit = x.visit
	return x
}

// next implements stepper.
func (j *constraintJob) next(ctx context.Context, rec *jobs.Record) error {
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
			if tab == nil || !makeValid(tab, rec) {
				return endGone(job, "constraint")
			}
			r.Publish(tab)
			job.State = jobs.Succeeded
			return nil
		})
	})
}

// makeValid notes in a table that a constraint holds; false if it has none.
func makeValid(t *schema.Table, rec *jobs.Record) bool {
	for i := range t.ForeignKeys {
		if fk := &t.ForeignKeys[i]; fk.OID == rec.Object {
			fk.NotValid = false
			return true
		}
	}
	i := slices.IndexFunc(t.Checks, func(c schema.Check) bool { return c.OID == rec.Object })
	if i < 0 {
		return false
	}
	if rec.Column == 0 {
		t.Checks[i].NotValid = false
		return true
	}
	c := t.ColumnByID(rec.Column)
	if c == nil {
		return false
	}
	t.Checks = slices.Delete(t.Checks, i, i+1)
	c.NotNull = true
	return true
}

// visit implements rowJob.visit.
func (j *constraintJob) visit(ctx context.Context, r *schema.Resolver, tab *schema.Table, rec *jobs.Record) (chunkFunc, schema.IndexID, error) {
	if tab == nil {
		return nil, 0, nil
	}
	for i := range tab.ForeignKeys {
		if fk := &tab.ForeignKeys[i]; fk.OID == rec.Object {
			do, err := j.visitReference(ctx, r, tab, fk)
			return do, 0, err
		}
	}
	i := slices.IndexFunc(tab.Checks, func(c schema.Check) bool { return c.OID == rec.Object })
	if i < 0 {
		return nil, 0, nil
	}
	if j.w == nil || j.w.new != tab {
		snap, err := r.Snapshot(ctx)
		if err != nil {
			return nil, 0, err
		}
		j.Bind.Snap = snap
		w := j.newRewrite(tab, tab)
		if rec.Column != 0 {
			w.notNull = []schema.ColumnID{rec.Column}
		} else {
			w.checks = []schema.Check{tab.Checks[i]}
		}
		if err := w.prepare(); err != nil {
			return nil, 0, err
		}
		j.w = w
	}
	return func(ctx context.Context, _ Txn, kvs []kvapi.KeyValue) error {
		_, err := j.w.newRows(ctx, kvs)
		return err
	}, 0, nil
}

// visitReference looks at rows and, in the same transaction, at what they refer to.
func (j *constraintJob) visitReference(ctx context.Context, r *schema.Resolver, tab *schema.Table, fk *schema.ForeignKey) (chunkFunc, error) {
	target, err := r.Table(ctx, fk.Target)
	if err != nil || target == nil {
		return nil, err
	}
	if j.refs == nil || j.refs.ref.From.Table != tab || j.refs.ref.To.Table != target {
		if j.refs, err = newReferenceCheck(j.stmt, fk, tab, target); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, t Txn, kvs []kvapi.KeyValue) error { return j.refs.look(ctx, t, kvs) }, nil
}

// revert takes the constraint away, unless it was there before the job.
func (j *constraintJob) revert(ctx context.Context, rec *jobs.Record) error {
	return j.revertBy(ctx, rec, func(s *stmt, ctx context.Context, rec *jobs.Record) error {
		if rec.Keep {
			return nil
		}
		return s.takeConstraint(ctx, rec)
	})
}

// takeConstraint removes a constraint that a job could not prove.
func (s *stmt) takeConstraint(ctx context.Context, rec *jobs.Record) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	tab := c.Table(rec.Table)
	if tab == nil {
		return nil
	}
	if err := s.r.Hold(ctx, "ALTER TABLE", related(tab)...); err != nil {
		return err
	}
	if c, err = s.r.Contents(ctx); err != nil {
		return err
	}
	tab = c.Table(rec.Table).Clone()
	tab.Checks = slices.DeleteFunc(tab.Checks, func(c schema.Check) bool { return c.OID == rec.Object })
	if slices.ContainsFunc(tab.ForeignKeys, func(fk schema.ForeignKey) bool { return fk.OID == rec.Object }) {
		if err := s.removeForeignKey(ctx, tab, rec.Object); err != nil {
			return err
		}
	}
	s.r.Put(tab)
	return nil
}

// toProve returns an ALTER TABLE that does what a command does to a table, but
// leaves out to look at its rows: nil if the command is none for a constraintJob.
func toProve(t *schema.Table, n *pg.AlterTableStmt) (light *pg.AlterTableStmt, rec jobs.Record) {
	cmd := n.Cmds[0].GetAlterTableCmd()
	switch cmd.Subtype {
	case pg.AlterTableType_AT_AddConstraint:
		c := cmd.Def.GetConstraint()
		if c.SkipValidation && !c.InitiallyValid || c.Contype != pg.ConstrType_CONSTR_CHECK && c.Contype != pg.ConstrType_CONSTR_FOREIGN {
			return nil, rec
		}
		light = proto.Clone(n).(*pg.AlterTableStmt)
		c = light.Cmds[0].GetAlterTableCmd().Def.GetConstraint()
		c.SkipValidation, c.InitiallyValid = true, false
	case pg.AlterTableType_AT_SetNotNull:
		col := t.Column(cmd.Name)
		if col == nil || col.Hidden || col.NotNull {
			return nil, rec
		}
		rec.Column = col.ID
		light = proto.Clone(n).(*pg.AlterTableStmt)
		light.Cmds[0].GetAlterTableCmd().Subtype = pg.AlterTableType_AT_AddConstraint
		light.Cmds[0].GetAlterTableCmd().Def = notNullCheck(t, col)
	case pg.AlterTableType_AT_ValidateConstraint:
		rec.Keep = true
		for _, fk := range t.ForeignKeys {
			if fk.Name == cmd.Name && fk.NotValid {
				rec.Object, light = fk.OID, n
			}
		}
		for _, ck := range t.Checks {
			if ck.Name == cmd.Name && ck.NotValid {
				rec.Object, light = ck.OID, n
			}
		}
	}
	return light, rec
}

// notNullCheck is the constraint that stands for NOT NULL until it is proven.
func notNullCheck(t *schema.Table, col *schema.Column) *pg.Node {
	ref := &pg.ColumnRef{Fields: []*pg.Node{pg.MakeStrNode(col.Name)}, Location: -1}
	test := &pg.NullTest{Arg: &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: ref}}, Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}
	return &pg.Node{Node: &pg.Node_Constraint{Constraint: &pg.Constraint{Contype: pg.ConstrType_CONSTR_CHECK,
		Conname: constraintName(t, col.Name, "not_null"), RawExpr: &pg.Node{Node: &pg.Node_NullTest{NullTest: test}},
		SkipValidation: true, Location: -1}}}
}

// proveOnline runs an ALTER TABLE of toProve: what changes at once in a
// transaction of its own, together with the job that looks at the rows; and
// waits for the job.
func (s *stmt) proveOnline(ctx context.Context, t *schema.Table, light *pg.AlterTableStmt, rec jobs.Record) error {
	if err := s.mustOwn(ctx, t.ID); err != nil {
		return err
	}
	if s.Plan != nil {
		return s.explainProof(ctx, t, light, rec)
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	rec.ID, rec.Kind, rec.Description, rec.User = jobs.ID(id), jobs.KindConstraint, s.text, s.User
	rec.Database, rec.Table, rec.Phase = s.Database.ID, t.ID, phaseWriteOnly
	err = s.Catalog.Change(ctx, "ALTER TABLE", func(ctx context.Context, r *schema.Resolver, tx schema.Txn) error {
		sub := *s
		sub.r, sub.Resolver, sub.Txn, sub.Jobs = r, r, tx.(Txn), nil
		snap, err := r.Snapshot(ctx)
		if err != nil {
			return err
		}
		sub.Bind.Snap = snap
		job := rec
		if !rec.Keep {
			err = sub.alterTable(ctx, light)
			if rec.Column != 0 && sqlerr.HasCode(err, sqlerr.DuplicateObject) {
				return errGone // the name that was made up is another's since
			}
			if err != nil {
				return err
			}
			c, err := r.Contents(ctx)
			if err != nil {
				return err
			}
			if len(sub.made) != 1 || !hasConstraintOID(c.Table(t.ID), sub.made[0]) {
				return errGone // and another table may have its name
			}
			job.Object = sub.made[0]
		}
		return jobs.Create(ctx, tx, s.Jobs.Clock(), job)
	})
	if err != nil {
		return lookAgain(t, err)
	}
	return s.awaitJob(ctx, jobs.ID(id))
}

func hasConstraintOID(t *schema.Table, oid schema.DescID) bool {
	return t != nil && (slices.ContainsFunc(t.Checks, func(c schema.Check) bool { return c.OID == oid }) ||
		slices.ContainsFunc(t.ForeignKeys, func(fk schema.ForeignKey) bool { return fk.OID == oid }))
}
