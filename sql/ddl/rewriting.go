package ddl

import (
	"context"
	"slices"
	"strings"
	"time"

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
			if cmd.Name != t.Primary.Name || cmd.Behavior == pg.DropBehavior_DROP_CASCADE {
				return false
			}
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
	if s.others != nil && s.Plan == nil {
		rec, err := s.others.Wait(ctx, jobs.ID(t.Rewriting.Job))
		if err != nil {
			return err
		}
		if rec.State.Ended() {
			return &schema.StaleError{Name: t.Name} // anew, with the table as it is now
		}
	}
	return sqlerr.New(sqlerr.ObjectInUse, "cannot %s \"%s\" because it is being rewritten by job %d", what, t.Name, t.Rewriting.Job).
		WithHint("Wait until SELECT * FROM cairn.jobs shows that the job has ended, or SELECT cairn.cancel_job(%d).", t.Rewriting.Job)
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
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	err = s.Catalog.Step(ctx, "ALTER TABLE", t.ID, func(ctx context.Context, r *schema.Resolver, tx schema.Txn, tab *schema.Table) error {
		if tab == nil {
			return sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", t.Name)
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
		if err := sub.beginRewriting(ctx, tab, cmds, id); err != nil {
			return err
		}
		r.Publish(tab)
		return jobs.Create(ctx, tx, s.Jobs.Clock(), jobs.Record{ID: jobs.ID(id), Kind: jobs.KindRewrite, Description: s.text, User: s.User,
			Database: s.Database.ID, Table: tab.ID})
	})
	if err != nil {
		return err
	}
	return s.awaitJob(ctx, jobs.ID(id))
}

// beginRewriting notes in a table what some commands are to make of it.
func (s *stmt) beginRewriting(ctx context.Context, t *schema.Table, cmds []*pg.Node, job schema.DescID) error {
	a, err := s.toBe(ctx, t, cmds)
	if err != nil {
		return err
	}
	rw := &schema.Rewriting{Job: job}
	t.NextColumnID = max(t.NextColumnID, a.t.NextColumnID)
	for i := range a.t.Columns {
		if err := s.replace(t, a, &a.t.Columns[i]); err != nil {
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
		return errAtOnce
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
	if len(a.w.build) == 0 || len(a.foreign) > 0 || a.t.HasRowID() && !t.HasRowID() {
		return nil, errAtOnce
	}
	cat, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	if len(references(cat, t, func(fk *schema.ForeignKey) bool {
		return slices.ContainsFunc(fk.TargetColumns, func(id schema.ColumnID) bool { return a.converts(id) })
	})) > 0 {
		return nil, errAtOnce
	}
	return a, nil
}

// converts reports whether a column gets other values, or another type.
func (a *alterer) converts(id schema.ColumnID) bool {
	old, c := a.w.old.ColumnByID(id), a.t.ColumnByID(id)
	return a.w.using[id] != nil || old != nil && c != nil && !c.Virtual && typeOf(old) != typeOf(c)
}

// replace adds to t the column that is to take the place of the one that c was, if
// its values differ.
func (s *stmt) replace(t *schema.Table, a *alterer, c *schema.Column) error {
	old := t.ColumnByID(c.ID)
	if old == nil {
		return nil
	}
	text := c.Default
	switch {
	case a.converts(c.ID):
		text = a.texts[c.ID]
		if text == "" {
			text = s.castText(old.Name, typeOf(old), typeOf(c))
		}
	case !c.Virtual || !slices.ContainsFunc(t.Columns, func(x schema.Column) bool { return a.converts(x.ID) && uses(c, x.Name) }):
		return nil
	}
	id, virtual := t.AddVirtual(text, c.Type), old.Virtual
	by := t.ColumnByID(id)
	by.Replaces = c.ID
	if virtual {
		return nil // computed from the row to be
	}
	n, query, err := parseExpr(text)
	if err != nil {
		return err
	}
	plain := *by
	plain.Replaces = 0
	for _, to := range []*schema.Column{nil, &plain} {
		e, err := bind.BindStored(s.Bind, n, query, t, bind.UseIndex, to)
		if err != nil || to == nil && castsToOwn(e) {
			return errAtOnce // it depends on the session, or is refused
		}
	}
	return nil
}

// castText is a column as it is assigned to another type, in this session: between
// clock readings and instants by its time zone, in whichever session a row is written.
func (s *stmt) castText(column string, from, to types.T) string {
	name, zone := quoteIdent(column), "UTC"
	if s.Bind.Types != nil && s.Bind.Types.Loc != nil {
		zone = s.Bind.Types.Loc.String()
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		return name // it has no name to be known by
	}
	local := func(of string) string { return "timezone(" + quoteLiteral(zone) + ", " + of + ")" }
	switch {
	case from.OID == types.OIDTimestamp && to.OID == types.OIDTimestampTZ, from.OID == types.OIDTimestampTZ && to.OID == types.OIDTimestamp:
		return local(name)
	case from.OID == types.OIDDate && to.OID == types.OIDTimestampTZ:
		return local(name + "::timestamp")
	case from.OID == types.OIDTimestampTZ && to.OID == types.OIDDate:
		return local(name) + "::date"
	}
	return name
}

// castsToOwn reports whether an expression names a type that somebody made, which is
// found by the search path.
func castsToOwn(e bind.Expr) bool {
	found := false
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		switch x := x.(type) {
		case *bind.Cast:
			found = found || x.To.User != nil
		case *bind.DomainCheck:
			found = true
		}
	})
	return found
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
	s.plan("when no transaction is older than that: publish it again, and all writers keep it up")
	s.plan("when no transaction is older than that, job: read %s in chunks, convert and check each, and write it anew", s.rowsOf(ctx, t))
	s.plan("wait for the transactions that use %s; who comes later waits until the copy is the table", t.Name)
	s.plan("publish that it is; if the job fails or is canceled, that there is no copy")
	return nil
}
