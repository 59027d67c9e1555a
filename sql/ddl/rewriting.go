package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// mayRewrite reports whether an ALTER TABLE consists of parts for which a job may
// write the rows anew: other types of columns, another primary key.
func mayRewrite(t *schema.Table, cmds []*pg.Node) bool {
	some := false
	for _, n := range cmds {
		cmd := n.GetAlterTableCmd()
		switch cmd.Subtype {
		case pg.AlterTableType_AT_AlterColumnType:
			some = true
		case pg.AlterTableType_AT_AddConstraint:
			if !isPrimary(cmd.Def.GetConstraint()) {
				return false
			}
			some = true
		case pg.AlterTableType_AT_DropConstraint:
			if cmd.Name != t.Primary.Name {
				return false
			}
			some = true
		case pg.AlterTableType_AT_SetNotNull:
		default:
			return false
		}
	}
	return some
}

// notRewritten waits until no job writes a table's rows anew: one change comes after
// the other. Where the statement cannot wait, it is refused. What is to change must
// not be held yet, for the job needs it.
func (s *stmt) notRewritten(ctx context.Context, t *schema.Table, what string) error {
	if t.Rewriting == nil {
		return nil
	}
	state := jobs.Running
	if s.others != nil && s.Plan == nil {
		rec, err := s.others.Wait(ctx, jobs.ID(t.Rewriting.Job))
		if err != nil {
			return err
		}
		if state = rec.State; state.Ended() {
			return &schema.StaleError{Name: t.Name} // anew, with the table as it is now
		}
	}
	return sqlerr.New(sqlerr.ObjectInUse, "cannot %s \"%s\" because it is being rewritten by job %d", what, t.Name, t.Rewriting.Job).
		WithHint("%s", toGetPast(jobs.ID(t.Rewriting.Job), state))
}

// toGetPast says what a user can do about a job that is in the way.
func toGetPast(id jobs.ID, state jobs.State) string {
	if state == jobs.Paused {
		return fmt.Sprintf("It is paused: SELECT cairn.resume_job(%[1]d) has it go on, cairn.cancel_job(%[1]d) takes back what it has done.", id)
	}
	return fmt.Sprintf("Wait until SELECT * FROM cairn.jobs shows that the job has ended, or SELECT cairn.cancel_job(%d).", id)
}

// notFilled waits until no job gives the rows of a table the values of a column: it
// changes rows, and knows nothing of a copy of them.
func (s *stmt) notFilled(ctx context.Context, t *schema.Table) error {
	i := slices.IndexFunc(t.Columns, func(c schema.Column) bool { return c.Filling })
	if i < 0 {
		return nil
	}
	recs, err := s.Jobs.List(ctx)
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if rec.State.Ended() || rec.Kind != jobs.KindColumn || rec.Table != t.ID || rec.Column != t.Columns[i].ID {
			continue
		}
		state := rec.State
		if s.others != nil {
			rec, err := s.others.Wait(ctx, rec.ID)
			if err != nil {
				return err
			}
			if state = rec.State; state.Ended() {
				break
			}
		}
		return sqlerr.New(sqlerr.ObjectInUse, "cannot ALTER TABLE \"%s\" because column \"%s\" is being filled by job %d", t.Name, t.Columns[i].Name, rec.ID).
			WithHint("%s", toGetPast(rec.ID, state))
	}
	return &schema.StaleError{Name: t.Name} // anew, with the table as it is now
}

// rewriteOnline changes types or the primary key of a table that is in use: it
// publishes what the rows are to become together with the job that writes them,
// and waits for the job. errAtOnce if that cannot be done so. None of this is part
// of the session's transaction.
func (s *stmt) rewriteOnline(ctx context.Context, t *schema.Table, cmds []*pg.Node) error {
	if err := s.mustOwn(ctx, t.ID); err != nil {
		return err
	}
	if s.Plan != nil {
		return s.explainRewriting(ctx, t, cmds)
	}
	if err := s.notFilled(ctx, t); err != nil {
		return err
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	err = s.Catalog.Step(ctx, "ALTER TABLE", t.ID, func(ctx context.Context, r *schema.Resolver, tx schema.Txn, tab *schema.Table) error {
		if !isStill(tab, t) {
			return errGone
		}
		if err := s.notRewritten(ctx, tab, "ALTER TABLE"); err != nil {
			return err
		}
		if err := s.notFilled(ctx, tab); err != nil {
			return err
		}
		sub := *s
		sub.r, sub.Resolver, sub.Txn = r, r, tx.(Txn)
		snap, err := r.Snapshot(ctx)
		if err != nil {
			return err
		}
		sub.Bind.Snap = snap
		if err := sub.beginRewriting(ctx, tab, cmds, id); err != nil {
			return err
		}
		job := jobs.Record{ID: jobs.ID(id), Kind: jobs.KindRewrite, Description: s.text, User: s.User, Database: s.Database.ID, Table: tab.ID}
		if job.Column = tab.Rewriting.RowID; job.Column != 0 {
			job.Phase = phaseWriteOnly // all who write give the rows their hidden key
		}
		r.Publish(tab)
		return jobs.Create(ctx, tx, s.Jobs.Clock(), job)
	})
	if err != nil {
		return lookAgain(t, err)
	}
	return s.awaitJob(ctx, jobs.ID(id))
}

// beginRewriting notes in a table what some commands are to make of it.
func (s *stmt) beginRewriting(ctx context.Context, t *schema.Table, cmds []*pg.Node, job schema.DescID) error {
	a, err := s.toBe(ctx, t, cmds)
	if err != nil {
		return err
	}
	rw := &schema.Rewriting{Job: job, Settings: bind.SettingsOf(s.Bind)}
	t.NextColumnID = max(t.NextColumnID, a.t.NextColumnID)
	if a.t.HasRowID() && !t.HasRowID() {
		key := *a.t.ColumnByID(a.t.Primary.Columns[0].ID)
		key.Filling = true
		t.Columns = append(t.Columns, key)
		rw.RowID = key.ID
		a.w.notNull = append(a.w.notNull, key.ID) // a row without it has no place yet
	}
	for i := range a.t.Columns {
		if err := s.replace(t, a, &a.t.Columns[i], rw.Settings); err != nil {
			return err
		}
	}
	rw.Unfit = t.AddVirtual("false", schemaType(types.Bool))
	for _, ix := range a.t.AllIndexes() {
		if !slices.Contains(a.w.build, ix.ID) {
			continue
		}
		id, err := s.Catalog.NewID(ctx)
		if err != nil {
			return err
		}
		toBe := *ix
		toBe.ID, toBe.State = schema.IndexID(id), schema.IndexDeleteOnly
		rw.Indexes = append(rw.Indexes, toBe)
		if ix == &a.t.Primary {
			rw.Primary = toBe.ID
		}
	}
	if rw.Primary == 0 {
		return errAtOnce // no row changes
	}
	if rw.Refused, err = s.newIndex(ctx, ""); err != nil {
		return err
	}
	rw.Refused.Where, rw.Refused.State = rw.Unfit, schema.IndexDeleteOnly
	rw.NotNull = slices.Compact(sortedIDs(a.w.notNull))
	for _, c := range a.w.checks {
		rw.Checks = append(rw.Checks, c.OID)
	}
	t.Rewriting = rw
	for i := range t.Columns { // writers must be able to compute them
		if !t.Columns[i].Virtual {
			continue
		}
		if _, err := bind.BindVirtual(s.Bind, t, i); err != nil {
			return errAtOnce // where it is refused
		}
	}
	return nil
}

func sortedIDs(ids []schema.ColumnID) []schema.ColumnID {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

// toBe applies commands to a copy of a table: what they make of it is the t of the
// alterer.
func (s *stmt) toBe(ctx context.Context, t *schema.Table, cmds []*pg.Node) (*alterer, error) {
	m, err := s.changer(ctx, t.Clone())
	if err != nil {
		return nil, err
	}
	a := s.newAlterer(m)
	a.online = true
	for _, n := range cmds {
		if err := a.command(ctx, n.GetAlterTableCmd()); err != nil {
			return nil, err
		}
	}
	if t.Primary.Name != "" { // whose name was free for the new one
		s.r.Bind(t.SchemaID, t.Primary.Name, t.ID, t.Primary.ID)
	}
	if len(a.w.build) == 0 {
		return nil, errAtOnce // no row changes
	}
	cat, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	for i := range a.t.ForeignKeys {
		if fk := &a.t.ForeignKeys[i]; slices.ContainsFunc(fk.Columns, a.mayDiffer) {
			return nil, atOnce("Values of foreign key %s may come to differ from those it refers to, so that all must be looked up.", fk.Name)
		}
	}
	if deps := references(cat, t, func(fk *schema.ForeignKey) bool { return slices.ContainsFunc(fk.TargetColumns, a.mayDiffer) }); len(deps) > 0 {
		return nil, atOnce("Values to which foreign key %s of table %s refers may come to differ, so that all must be looked up.", deps[0].fk.Name, deps[0].t.Name)
	}
	return a, nil
}

// mayDiffer reports whether a column may get values that are not equal to those it
// had, as foreign keys compare them.
func (a *alterer) mayDiffer(id schema.ColumnID) bool {
	if !a.converts(id) {
		return false
	}
	from, to := typeOf(a.w.old.ColumnByID(id)), typeOf(a.t.ColumnByID(id))
	return a.w.using[id] != nil || !keepsValues(from, to)
}

// keepsValues reports whether an assignment cast gives values that are equal to
// what they were, or fails.
func keepsValues(from, to types.T) bool {
	if from.IsDomain() || to.IsDomain() || from.IsArray() || to.IsArray() {
		return false
	}
	return widens(from, to) || intBits(from) > 0 && (intBits(to) > 0 || to.Kind() == types.KindDecimal && to.Mod < 0) ||
		from.OID == types.OIDDate && to.OID == types.OIDTimestamp
}

// converts reports whether a column gets other values, or another type.
func (a *alterer) converts(id schema.ColumnID) bool {
	old, c := a.w.old.ColumnByID(id), a.t.ColumnByID(id)
	return a.w.using[id] != nil || old != nil && c != nil && !c.Virtual && typeOf(old) != typeOf(c)
}

// replace adds to t the column that is to take the place of the one that c was, if
// its values differ.
func (s *stmt) replace(t *schema.Table, a *alterer, c *schema.Column, by *schema.Settings) error {
	old := t.ColumnByID(c.ID)
	if old == nil {
		return nil
	}
	text := c.Default
	switch {
	case a.converts(c.ID):
		text = a.texts[c.ID]
		if text == "" {
			text = quoteIdent(old.Name)
		}
	case !c.Virtual || !slices.ContainsFunc(t.Columns, func(x schema.Column) bool { return a.converts(x.ID) && uses(c, x.Name) }):
		return nil
	}
	id, virtual := t.AddVirtual(text, c.Type), old.Virtual
	x := t.ColumnByID(id)
	x.Replaces = c.ID
	if virtual {
		return nil // computed from the row to be
	}
	e, err := bind.BindConversion(s.Bind, t, x, by)
	if err != nil {
		return atOnce("The new values of column %s depend on more than the row: on a function that a user made, a sequence or chance.", old.Name)
	}
	return castsToOthers(e, t)
}

// castsToOthers refuses an expression that names a type made by a user of which no
// column is, or a domain: it could be changed meanwhile.
func castsToOthers(e bind.Expr, t *schema.Table) (err error) {
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		switch x := x.(type) {
		case *bind.Cast:
			if u := x.To.User; u != nil && !slices.ContainsFunc(t.Columns, func(c schema.Column) bool { return c.Type.User.Uses(uint32(u.OID)) }) {
				err = atOnce("The new values are computed by way of type %s, which no column has.", x.To)
			}
		case *bind.DomainCheck:
			err = atOnce("The new values are computed by way of a domain.")
		}
	})
	return err
}

// explainRewriting lists what rewriteOnline does.
func (s *stmt) explainRewriting(ctx context.Context, t *schema.Table, cmds []*pg.Node) error {
	t = t.Clone()
	if err := s.beginRewriting(ctx, t, cmds, 0); err != nil {
		return err
	}
	next := t.Rewritten()
	what := "a second copy of the rows"
	var names []string
	for _, ix := range t.Rewriting.Indexes {
		if ix.ID != t.Rewriting.Primary {
			names = append(names, next.IndexByID(ix.ID).Name)
		}
	}
	if len(names) > 0 {
		what += " and of index " + strings.Join(names, ", ")
	}
	s.plan("publish %s, of which writers only remove entries; %s is in use all the while", what, t.Name)
	if t.Rewriting.RowID != 0 {
		s.plan("when no transaction is older than that, job: read %s in chunks, and give the rows a hidden key", s.rowsOf(ctx, t))
	}
	s.plan("when no transaction is older than that: publish it again, and all writers keep it up")
	s.plan("when no transaction is older than that, job: read %s in chunks, convert and check each, and write it anew", s.rowsOf(ctx, t))
	s.plan("wait for the transactions that use %s; who comes later waits until the copy is the table", t.Name)
	s.plan("publish that it is; if the job fails or is canceled, that there is no copy")
	return nil
}
