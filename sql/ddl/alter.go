package ddl

import (
	"context"
	"errors"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// alterer applies the parts of one ALTER TABLE to a copy of the descriptor and
// collects what the rows have to be read for; they are read once.
type alterer struct {
	*tableMaker
	w *rewrite
	// pending are the foreign keys to add, when all else is there that they may
	// refer to; foreign those whose rows are to be looked at in the end.
	pending []pendingConstraint
	foreign []schema.DescID
	// online: the table stays in use, and what its rows are to become is only noted
	// (rewriting.go). texts are then the USING expressions of columns.
	online bool
	texts  map[schema.ColumnID]string
}

func (s *stmt) alter(n *pg.AlterTableStmt) runner {
	switch n.Objtype {
	case pg.ObjectType_OBJECT_TABLE:
		return done("ALTER TABLE", func(ctx context.Context) error { return s.alterTable(ctx, n) })
	case pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW:
		return s.alterOther(n)
	}
	return nil
}

// alterOther accepts what pg_dump says about indexes, sequences and views.
func (s *stmt) alterOther(n *pg.AlterTableStmt) runner {
	for _, c := range n.Cmds {
		switch c.GetAlterTableCmd().GetSubtype() {
		case pg.AlterTableType_AT_ChangeOwner, pg.AlterTableType_AT_SetRelOptions:
		default:
			return nil
		}
	}
	tag := "ALTER " + objectWords(n.Objtype)
	return done(tag, func(ctx context.Context) error {
		f, err := s.lookup(ctx, n.Relation)
		if err != nil {
			return err
		}
		if !f.ok() {
			return s.missingRelation(n)
		}
		for _, c := range n.Cmds {
			if owner := c.GetAlterTableCmd().GetNewowner(); owner != nil && f.index == nil {
				return s.changeOwner(ctx, f.object, owner)
			}
		}
		return nil
	})
}

func (s *stmt) missingRelation(n *pg.AlterTableStmt) error {
	if n.MissingOk {
		return s.skipped("relation \"%s\" does not exist, skipping", n.Relation.Relname)
	}
	return sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(n.Relation))
}

func (s *stmt) alterTable(ctx context.Context, n *pg.AlterTableStmt) error {
	if n.Objtype == pg.ObjectType_OBJECT_TYPE {
		return sqlerr.Unsupported("changing the attributes of a composite type").
			WithHint("Create another type, and change the columns to it.")
	}
	f, err := s.lookup(ctx, n.Relation)
	if err != nil {
		return err
	}
	if !f.ok() {
		return s.missingRelation(n)
	}
	t, err := s.findTable(ctx, n.Relation)
	if err != nil {
		if f.index == nil && allOwner(n) {
			return s.changeOwner(ctx, f.object, n.Cmds[0].GetAlterTableCmd().GetNewowner())
		}
		return err
	}
	if err := s.notRewritten(ctx, t, "ALTER TABLE"); err != nil && !allOwner(n) {
		return err
	}
	if run, err := s.alterOnline(ctx, t, n); err != nil || run != nil {
		if err == nil {
			err = run(ctx)
		}
		if !errors.Is(err, errAtOnce) {
			return err
		}
		s.outOfUse(t, err)
	}
	if err := notMatview(t, alterWords(n.Cmds)); err != nil && !allOwner(n) {
		return err
	}
	m, err := s.changer(ctx, t)
	if err != nil {
		return err
	}
	if err := m.holdRelated(ctx, n.Cmds); err != nil {
		return err
	}
	if m.t, err = s.holdTable(ctx, "ALTER TABLE", t.ID); err != nil {
		return err
	}
	a := s.newAlterer(m)
	for _, c := range n.Cmds {
		if err := a.command(ctx, c.GetAlterTableCmd()); err != nil {
			return err
		}
	}
	return a.finish(ctx)
}

// outOfUse tells who changes a large table that nobody can use it meanwhile, if err
// says why.
func (s *stmt) outOfUse(t *schema.Table, err error) {
	why := (*atOnceError)(nil)
	switch {
	case !errors.As(err, &why):
	case s.Plan != nil:
		s.plan("%s is out of use all the while. %s", t.Name, why.why)
	case s.Notice != nil:
		s.Notice(sqlerr.New(sqlerr.SuccessfulCompletion, "table \"%s\" is out of use while its rows are written anew", t.Name).
			WithSeverity(sqlerr.SeverityNotice).WithDetail("%s", why.why))
	}
}

func (s *stmt) newAlterer(m *tableMaker) *alterer {
	return &alterer{tableMaker: m, w: s.newRewrite(m.t.Clone(), m.t), texts: map[schema.ColumnID]string{}}
}

func allOwner(n *pg.AlterTableStmt) bool {
	return len(n.Cmds) == 1 && n.Cmds[0].GetAlterTableCmd().GetSubtype() == pg.AlterTableType_AT_ChangeOwner
}

// holdRelated takes the table out of use, and with it those at the other end of
// foreign keys that the statement may touch.
func (m *tableMaker) holdRelated(ctx context.Context, cmds []*pg.Node) error {
	var cs []*pg.Constraint
	ids, cuts := []schema.DescID{m.t.ID}, false
	for _, n := range cmds {
		c := n.GetAlterTableCmd()
		switch c.Subtype {
		case pg.AlterTableType_AT_AddConstraint:
			cs = append(cs, c.Def.GetConstraint())
		case pg.AlterTableType_AT_AddColumn:
			for _, x := range c.Def.GetColumnDef().GetConstraints() {
				cs = append(cs, x.GetConstraint())
			}
		case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_DropConstraint, pg.AlterTableType_AT_AlterColumnType,
			pg.AlterTableType_AT_ValidateConstraint:
			ids, cuts = related(m.t), true
		}
	}
	if err := m.holdTargets(ctx, "ALTER TABLE", cs, ids...); err != nil || !cuts {
		return err
	}
	c, err := m.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, id := range related(c.Table(m.t.ID)) {
		if !slices.Contains(ids, id) { // a foreign key that came meanwhile
			return &schema.StaleError{Name: m.t.Name}
		}
	}
	return nil
}

func (a *alterer) finish(ctx context.Context) error {
	for _, p := range a.pending {
		fk, err := a.foreignKey(ctx, p)
		if err != nil {
			return err
		}
		if !p.c.SkipValidation || p.c.InitiallyValid {
			a.foreign = append(a.foreign, fk.OID)
		}
	}
	if slices.Contains(a.w.build, a.t.Primary.ID) { // every row will hold every column
		for i := range a.t.Columns {
			a.t.Columns[i].Missing = nil
		}
	}
	if err := a.w.run(ctx); err != nil {
		return err
	}
	for i := range a.t.ForeignKeys {
		if fk := &a.t.ForeignKeys[i]; slices.Contains(a.foreign, fk.OID) && !fk.NotValid {
			if err := a.checkReferences(ctx, fk); err != nil {
				return err
			}
		}
	}
	a.r.Put(a.t)
	for _, q := range a.sequences {
		a.r.Put(q)
		a.r.Bind(a.sc.ID, q.Name, q.ID, 0)
	}
	return nil
}

func (a *alterer) command(ctx context.Context, c *pg.AlterTableCmd) error {
	if a.rowSecurity(c) {
		return nil
	}
	switch c.Subtype {
	case pg.AlterTableType_AT_AddColumn:
		return a.addColumn(ctx, c)
	case pg.AlterTableType_AT_DropColumn:
		return a.dropColumn(ctx, c)
	case pg.AlterTableType_AT_AddConstraint:
		return a.addConstraint(ctx, pendingConstraint{c: c.Def.GetConstraint()})
	case pg.AlterTableType_AT_DropConstraint:
		return a.dropConstraint(ctx, c)
	case pg.AlterTableType_AT_ColumnDefault:
		return a.columnDefault(ctx, c)
	case pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_DropNotNull:
		return a.notNull(c)
	case pg.AlterTableType_AT_AlterColumnType:
		return a.columnType(ctx, c)
	case pg.AlterTableType_AT_DropExpression:
		return a.dropExpression(c)
	case pg.AlterTableType_AT_AddIdentity:
		return a.addIdentity(ctx, c)
	case pg.AlterTableType_AT_SetRelOptions:
		return setOptions(a.t, c.Def.GetList().GetItems())
	case pg.AlterTableType_AT_ChangeOwner:
		name, err := a.roleName(ctx, c.Newowner)
		if err == nil {
			err = a.mayGive(ctx, a.t, name)
		}
		if err == nil {
			giveTo(a.t, name)
		}
		return err
	case pg.AlterTableType_AT_AlterConstraint:
		return a.alterConstraint(c)
	case pg.AlterTableType_AT_ValidateConstraint:
		return a.validate(c)
	case pg.AlterTableType_AT_ResetRelOptions:
		resetOptions(a.t, c.Def.GetList().GetItems())
		return nil
	case pg.AlterTableType_AT_SetStatistics, pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_ClusterOn,
		pg.AlterTableType_AT_DropCluster, pg.AlterTableType_AT_ReplicaIdentity,
		pg.AlterTableType_AT_SetLogged, pg.AlterTableType_AT_SetUnLogged, pg.AlterTableType_AT_SetCompression,
		pg.AlterTableType_AT_EnableTrigAll, pg.AlterTableType_AT_EnableTrigUser, pg.AlterTableType_AT_DisableTrigUser:
		return nil // nothing of these has a meaning here
	}
	return unsupportedAlter(c.Subtype)
}

// existing finds a column that a part of ALTER TABLE names.
func (a *alterer) existing(name string) (*schema.Column, error) {
	c := a.t.Column(name)
	if c == nil || c.Hidden {
		return nil, sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", name, a.t.Name)
	}
	return c, nil
}

func (a *alterer) addColumn(ctx context.Context, c *pg.AlterTableCmd) error {
	d := c.Def.GetColumnDef()
	if x := a.t.Column(d.Colname); x != nil && (!x.Hidden || x.Filling) {
		if c.MissingOk {
			return a.present(sqlerr.DuplicateColumn, "column \"%s\" of relation \"%s\" already exists, skipping", d.Colname, a.t.Name)
		}
		return sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" of relation \"%s\" already exists", d.Colname, a.t.Name)
	}
	col, rest, err := a.columnDef(ctx, a.t, d)
	if err != nil {
		return err
	}
	a.t.Columns = append(a.t.Columns, col)
	if col.Generated {
		if err := a.generate(ctx, a.t, col.Name, a.generated[len(a.generated)-1].c.RawExpr); err != nil {
			return unplaced(err)
		}
		col = a.t.Columns[len(a.t.Columns)-1]
	}
	if err := a.fillColumn(ctx, col, d); err != nil {
		return err
	}
	for _, r := range rest {
		if err := a.addConstraint(ctx, pendingConstraint{r, col.Name}); err != nil {
			return err
		}
	}
	return nil
}

// fillColumn arranges for a new column's value in the rows that exist: its
// default, computed once, or for each row if it differs from call to call.
// A column without default is NULL and needs no row to be touched.
func (a *alterer) fillColumn(ctx context.Context, col schema.Column, d *pg.ColumnDef) error {
	if col.NotNull {
		a.w.notNull = append(a.w.notNull, col.ID)
	}
	if col.Generated {
		a.w.compute[col.ID] = true
		return a.rebuildAll(ctx)
	}
	if col.Sequence != 0 {
		return a.fillFromSequence(ctx, col)
	}
	if col.Default == "" && typeOf(&col).IsDomain() {
		return a.fillFromDomain(ctx, col)
	}
	if col.Default == "" {
		return nil
	}
	e, err := a.defaultExpr(col, d)
	if err != nil {
		return err
	}
	eval, err := a.Engine.Compile(e)
	if err != nil {
		return err
	}
	return a.fillComputed(ctx, col, e, eval)
}

// fillComputed gives the rows that exist the value of an expression. Computed
// once it is put on record for all of them, and no row is touched; if it
// differs from call to call, each row gets its own.
func (a *alterer) fillComputed(ctx context.Context, col schema.Column, e bind.Expr, eval Eval) error {
	if bind.IsVolatile(e) {
		a.w.fill[col.ID] = func(ctx context.Context, _ types.Datum) (types.Datum, error) { return eval(ctx, nil) }
		return a.rebuildAll(ctx)
	}
	d, err := eval(ctx, nil)
	if err != nil || d.IsNull() {
		return err
	}
	a.w.fill[col.ID] = func(context.Context, types.Datum) (types.Datum, error) { return d, nil } // if they are read after all
	a.w.notNull = slices.DeleteFunc(a.w.notNull, func(id schema.ColumnID) bool { return id == col.ID })
	a.t.ColumnByID(col.ID).Missing = tablekv.MissingValue(col.ID, typeOf(&col), d)
	return nil
}

// fillFromDomain gives the rows that exist the domain's default, or lets it object to NULL.
func (a *alterer) fillFromDomain(ctx context.Context, col schema.Column) error {
	e, err := a.bindFor(nil, "", nil, typeOf(&col))
	if err != nil {
		return err
	}
	if _, plain := e.(*bind.Cast); plain && col.Default == "" {
		if c, ok := e.(*bind.Cast).E.(*bind.Const); ok && c.D.IsNull() {
			return nil
		}
	}
	eval, err := a.Engine.Compile(e)
	if err != nil {
		return err
	}
	if _, err := eval(ctx, nil); err != nil { // the domain objects, if there are rows
		a.w.fill[col.ID] = func(ctx context.Context, _ types.Datum) (types.Datum, error) { return eval(ctx, nil) }
		return a.rebuildAll(ctx)
	}
	return a.fillComputed(ctx, col, e, eval)
}

func (a *alterer) defaultExpr(col schema.Column, d *pg.ColumnDef) (bind.Expr, error) {
	for _, n := range d.Constraints {
		if c := n.GetConstraint(); c.Contype == pg.ConstrType_CONSTR_DEFAULT {
			return a.bindFor(c.RawExpr, a.query, nil, typeOf(&col))
		}
	}
	return nil, sqlerr.New(sqlerr.InternalError, "default of column \"%s\" is not there", col.Name)
}

// fillFromSequence numbers the rows that exist. A sequence that is new in
// this transaction is drawn from beside it, as by all who use it.
func (a *alterer) fillFromSequence(ctx context.Context, col schema.Column) error {
	i := slices.IndexFunc(a.sequences, func(q *schema.Sequence) bool { return q.ID == col.Sequence })
	if i < 0 { // DEFAULT nextval of one that there was
		e, err := bind.BindDefault(a.Bind, &col)
		if err != nil {
			return err
		}
		eval, err := a.Engine.Compile(e)
		if err != nil {
			return err
		}
		return a.fillComputed(ctx, col, e, eval)
	}
	q := a.sequences[i]
	a.w.fill[col.ID] = func(ctx context.Context, _ types.Datum) (types.Datum, error) {
		v, err := a.Catalog.Nextval(ctx, q)
		return types.NewInt(v), err
	}
	return a.rebuildAll(ctx)
}

// rebuildAll has the rows written anew: the primary index, and with it none
// of the others, whose entries do not hold the changed column.
func (a *alterer) rebuildAll(ctx context.Context) error {
	if slices.Contains(a.w.build, a.t.Primary.ID) {
		return nil
	}
	return a.rebuild(ctx, &a.t.Primary)
}

func (a *alterer) rebuild(ctx context.Context, ix *schema.Index) error {
	if slices.Contains(a.w.build, ix.ID) {
		return nil
	}
	if !a.online {
		if err := a.renumber(ctx, a.t, ix); err != nil {
			return err
		}
	}
	a.w.build = append(a.w.build, ix.ID)
	return nil
}

func (a *alterer) dropColumn(ctx context.Context, c *pg.AlterTableCmd) error {
	col, err := a.existing(c.Name)
	if err != nil {
		if c.MissingOk {
			return a.skipped("column \"%s\" of relation \"%s\" does not exist, skipping", c.Name, a.t.Name)
		}
		return err
	}
	if a.w.from != nil || len(a.w.checks)+len(a.w.build) > 0 {
		return sqlerr.Unsupported("DROP COLUMN beside parts of ALTER TABLE that read the rows").
			WithHint("Use two ALTER TABLE statements.")
	}
	cat, err := a.r.Contents(ctx)
	if err != nil {
		return err
	}
	if vs := dependentViews(cat, a.t); len(vs) > 0 {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop column %s of table %s because other objects depend on it", col.Name, a.t.Name).
			WithDetail("%s %s depends on table %s", kindOf(vs[0]), vs[0].Head().Name, a.t.Name).
			WithHint("Drop the view first.")
	}
	a.requireViews(a.t, nil)
	if err := a.dropUsingPolicies(c, col); err != nil {
		return err
	}
	generated, err := a.dropGenerated(c, col)
	if err != nil {
		return err
	}
	id, what := col.ID, "column "+col.Name+" of table "+a.t.Name
	err = a.dropReferences(ctx, c, what, what, func(fk *schema.ForeignKey) bool { return slices.Contains(fk.TargetColumns, id) })
	if err != nil {
		return err
	}
	if a.t.Primary.Has(id) {
		if err := a.dropPrimaryKey(ctx); err != nil {
			return err
		}
	}
	for _, fk := range slices.Clone(a.t.ForeignKeys) {
		if slices.Contains(fk.Columns, id) {
			if err := a.removeForeignKey(ctx, a.t, fk.OID); err != nil {
				return err
			}
		}
	}
	for _, g := range generated {
		if err := a.removeColumn(ctx, cat, g); err != nil {
			return err
		}
	}
	return a.removeColumn(ctx, cat, id)
}

// removeColumn removes a column, and the indexes, checks and sequences on it.
func (a *alterer) removeColumn(ctx context.Context, cat *schema.Contents, id schema.ColumnID) error {
	for _, ix := range slices.Clone(a.t.Indexes) {
		if ix.Has(id) || slices.Contains(ix.Stored, id) || virtualFrom(a.t, &ix, a.t.ColumnByID(id).Name) {
			a.removeIndex(a.t, ix.ID)
		}
	}
	a.t.Checks = slices.DeleteFunc(a.t.Checks, func(c schema.Check) bool { return slices.Contains(c.Columns, id) })
	a.t.Columns = slices.DeleteFunc(a.t.Columns, func(c schema.Column) bool { return c.ID == id })
	for _, q := range cat.Sequences(a.Database.ID) {
		if q.OwnerTable == a.t.ID && q.OwnerColumn == id {
			if err := a.r.Hold(ctx, "ALTER TABLE", q.ID); err != nil {
				return err
			}
			a.remove(q)
		}
	}
	return nil
}

func (a *alterer) addConstraint(ctx context.Context, p pendingConstraint) error {
	switch p.c.Contype {
	case pg.ConstrType_CONSTR_PRIMARY:
		return a.addPrimaryKey(ctx, p)
	case pg.ConstrType_CONSTR_UNIQUE:
		ix, err := a.unique(ctx, a.t, p)
		if err != nil {
			return err
		}
		a.bindIndex(a.t, ix)
		a.w.build = append(a.w.build, ix.ID)
		return nil
	case pg.ConstrType_CONSTR_CHECK:
		ck, err := a.check(ctx, a.t, p)
		if err == nil && !p.c.SkipValidation {
			a.w.checks = append(a.w.checks, *ck)
		}
		return err
	case pg.ConstrType_CONSTR_FOREIGN:
		a.pending = append(a.pending, p)
		return nil
	}
	return sqlerr.Unsupported("this constraint")
}

// addPrimaryKey moves the rows to a new primary index. All secondary indexes
// are built anew too, since their entries point at the key.
func (a *alterer) addPrimaryKey(ctx context.Context, p pendingConstraint) error {
	if !a.t.HasRowID() {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "multiple primary keys for table \"%s\" are not allowed", a.t.Name)
	}
	rowID, oldID := a.t.Primary.Columns[0].ID, a.t.Primary.ID
	if err := a.primaryKey(ctx, a.t, p); err != nil {
		return err
	}
	if !a.online {
		a.r.DropData(a.t.ID, oldID)
		a.bindIndex(a.t, &a.t.Primary)
	}
	// That of a hidden key which this statement has made will never be.
	a.w.build = slices.DeleteFunc(a.w.build, func(id schema.IndexID) bool { return id == oldID })
	a.w.build = append(a.w.build, a.t.Primary.ID)
	for _, c := range a.t.Primary.Columns {
		a.w.notNull = append(a.w.notNull, c.ID)
	}
	a.t.Columns = slices.DeleteFunc(a.t.Columns, func(c schema.Column) bool { return c.ID == rowID })
	for i := range a.t.Indexes {
		if err := a.rebuild(ctx, &a.t.Indexes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *alterer) dropConstraint(ctx context.Context, c *pg.AlterTableCmd) error {
	if i := slices.IndexFunc(a.t.Checks, func(x schema.Check) bool { return x.Name == c.Name }); i >= 0 {
		a.t.Checks = slices.Delete(a.t.Checks, i, i+1)
		return nil
	}
	if fk := a.t.ForeignKey(c.Name); fk != nil {
		return a.removeForeignKey(ctx, a.t, fk.OID)
	}
	ix := a.t.IndexByName(c.Name)
	if ix == nil || ix.ConstraintOID == 0 {
		if c.MissingOk {
			return a.skipped("constraint \"%s\" of relation \"%s\" does not exist, skipping", c.Name, a.t.Name)
		}
		return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" of relation \"%s\" does not exist", c.Name, a.t.Name)
	}
	id, oid := ix.ID, ix.OID
	if a.online && c.Behavior == pg.DropBehavior_DROP_CASCADE {
		cat, err := a.r.Contents(ctx)
		if err != nil {
			return err
		}
		if deps := references(cat, a.t, func(fk *schema.ForeignKey) bool { return fk.TargetIndex == oid }); len(deps) > 0 {
			return atOnce("Foreign key %s of table %s, which refers to it, goes too.", deps[0].fk.Name, deps[0].t.Name)
		}
	}
	err := a.dropReferences(ctx, c, "constraint "+ix.Name+" on table "+a.t.Name, "index "+ix.Name,
		func(fk *schema.ForeignKey) bool { return fk.TargetIndex == oid })
	if err != nil {
		return err
	}
	if id != a.t.Primary.ID {
		a.removeIndex(a.t, id)
		return nil
	}
	return a.dropPrimaryKey(ctx)
}

// dropPrimaryKey gives the rows a hidden key again.
func (a *alterer) dropPrimaryKey(ctx context.Context) error {
	a.r.Unbind(a.sc.ID, a.t.Primary.Name)
	if !a.online {
		a.r.DropData(a.t.ID, a.t.Primary.ID)
	}
	if err := a.addRowID(ctx, a.t); err != nil {
		return err
	}
	n := int64(0)
	id := a.t.Primary.Columns[0].ID
	// Rows are numbered one after the other; unique_rowid, which starts with
	// the time, never gives numbers that small.
	a.w.fill[id] = func(context.Context, types.Datum) (types.Datum, error) {
		n++
		return types.NewInt(n), nil
	}
	a.w.build = append(a.w.build, a.t.Primary.ID)
	for i := range a.t.Indexes {
		if err := a.rebuild(ctx, &a.t.Indexes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *alterer) columnDefault(ctx context.Context, c *pg.AlterTableCmd) error {
	col, err := a.existing(c.Name)
	if err != nil {
		return err
	}
	if col.Identity != schema.IdentityNone {
		return sqlerr.New(sqlerr.SyntaxError, "column \"%s\" of relation \"%s\" is an identity column", col.Name, a.t.Name)
	}
	if col.Generated {
		e := sqlerr.New(sqlerr.SyntaxError, "column \"%s\" of relation \"%s\" is a generated column", col.Name, a.t.Name)
		if c.Def == nil {
			e = e.WithHint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.")
		}
		return e
	}
	col.Default, col.DefaultOID, col.Sequence = "", 0, 0
	if c.Def == nil {
		return nil
	}
	return a.setDefault(ctx, a.t, col, c.Def)
}

func (a *alterer) notNull(c *pg.AlterTableCmd) error {
	col, err := a.existing(c.Name)
	if err != nil {
		return err
	}
	set := c.Subtype == pg.AlterTableType_AT_SetNotNull
	if !set && a.t.Primary.Has(col.ID) {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "column \"%s\" is in a primary key", col.Name)
	}
	if set && !col.NotNull {
		a.w.notNull = append(a.w.notNull, col.ID)
	}
	col.NotNull = set
	return nil
}

func (a *alterer) addIdentity(ctx context.Context, c *pg.AlterTableCmd) error {
	col, err := a.existing(c.Name)
	if err != nil {
		return err
	}
	if !col.NotNull {
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState,
			"column \"%s\" of relation \"%s\" must be declared NOT NULL before identity can be added", col.Name, a.t.Name)
	}
	if col.Default != "" || col.Sequence != 0 {
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState,
			"column \"%s\" of relation \"%s\" already has a default value", col.Name, a.t.Name)
	}
	return a.setIdentity(ctx, a.t, col, c.Def.GetConstraint())
}

// columnType converts the column's values by the assignment cast and builds
// every index anew that holds them.
func (a *alterer) columnType(ctx context.Context, c *pg.AlterTableCmd) error {
	col, err := a.existing(c.Name)
	if err != nil {
		return err
	}
	d := c.Def.GetColumnDef()
	from := typeOf(col)
	to, err := a.typeName(ctx, d.TypeName)
	if err != nil || from == to && d.RawDefault == nil {
		return err
	}
	if d.RawDefault == nil && from.Base() != to.Base() && types.CanCast(from, to) < types.CastAssignment {
		return sqlerr.New(sqlerr.DatatypeMismatch, "column \"%s\" cannot be cast automatically to type %s", col.Name, to).
			WithHint("You might need to specify \"USING %s::%s\".", quoteIdent(col.Name), to)
	}
	if !storable(to) {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", col.Name, to)
	}
	if to.IsDomain() && (to.User.NotNull || len(to.User.Checks) > 0) {
		return sqlerr.Unsupported("changing a column's type to a domain with constraints").
			WithHint("Add a new column of the domain, fill it by UPDATE, and drop the old one.")
	}
	if gs := generatedFrom(a.t, col.Name); len(gs) > 0 {
		return sqlerr.New(sqlerr.FeatureNotSupported, "cannot alter type of a column used by a generated column").
			WithDetail("Column \"%s\" is used by generated column \"%s\".", col.Name, gs[0].Name)
	}
	if d.RawDefault == nil && widens(from, to) && !a.inExpression(col.Name) {
		if err := a.retypeable(ctx, col, to); err != nil {
			return err
		}
		col.Type = schemaType(to)
		before := len(a.foreign)
		err := a.recheckTypes(ctx, col.ID)
		a.foreign = a.foreign[:before] // the values refer to what they did
		return err
	}
	env := a.Bind.Types
	if d.RawDefault != nil {
		if err := a.using(col, d.RawDefault, to); err != nil {
			return err
		}
	} else {
		a.w.fill[col.ID] = func(_ context.Context, v types.Datum) (types.Datum, error) {
			if v.IsNull() {
				return v, nil
			}
			return types.Cast(v, from, to, false, env)
		}
	}
	if err := a.retypeable(ctx, col, to); err != nil {
		return err
	}
	id := col.ID
	col.Type = schemaType(to)
	if col.NotNull {
		a.w.notNull = append(a.w.notNull, id)
	}
	for _, ck := range a.t.Checks {
		if slices.Contains(ck.Columns, id) && !ck.NotValid && !slices.ContainsFunc(a.w.checks, func(x schema.Check) bool { return x.OID == ck.OID }) {
			a.w.checks = append(a.w.checks, ck)
		}
	}
	if err := a.retypeVirtual(col.Name); err != nil {
		return err
	}
	keyed := a.t.Primary.Has(id)
	for _, ix := range a.t.AllIndexes() {
		if ix.ID == a.t.Primary.ID || keyed || ix.Has(id) || slices.Contains(ix.Stored, id) || virtualFrom(a.t, ix, col.Name) {
			if err := a.checkIndexed(ix, col); err != nil {
				return err
			}
			if err := a.rebuild(ctx, ix); err != nil {
				return err
			}
		}
	}
	return a.recheckTypes(ctx, id)
}

// widens reports whether a type has all values of another, and they are stored
// alike, in rows and in keys: then no row need be touched.
func widens(from, to types.T) bool {
	if from.IsDomain() || to.IsDomain() || from.IsArray() || to.IsArray() || from.Kind() != to.Kind() {
		return false
	}
	switch to.Kind() {
	case types.KindInt:
		return intBits(from) > 0 && intBits(from) <= intBits(to)
	case types.KindText:
		return isText(from) && isText(to) && (to.Mod < 0 || from.Mod >= 0 && from.Mod <= to.Mod)
	case types.KindDecimal:
		return to.Mod < 0
	}
	return false
}

// inExpression reports whether an index is on an expression over a column.
func (a *alterer) inExpression(column string) bool {
	return slices.ContainsFunc(a.t.AllIndexes(), func(ix *schema.Index) bool { return virtualFrom(a.t, ix, column) })
}

func intBits(t types.T) int {
	return map[types.OID]int{types.OIDInt2: 16, types.OIDInt4: 32, types.OIDInt8: 64}[t.OID]
}

func isText(t types.T) bool { return t.OID == types.OIDText || t.OID == types.OIDVarchar }

// using has a column computed by an expression over the row as it was.
func (a *alterer) using(col *schema.Column, n *pg.Node, to types.T) error {
	e, err := a.bindFor(n, a.query, a.w.old, types.T{})
	if err != nil {
		return err
	}
	from := e.Type()
	if from.OID != types.OIDUnknown && types.CanCast(from, to) < types.CastAssignment {
		return sqlerr.New(sqlerr.DatatypeMismatch, "result of USING clause for column \"%s\" cannot be cast automatically to type %s", col.Name, to).
			WithHint("You might need to add an explicit cast.")
	}
	if e, err = a.bindFor(n, a.query, a.w.old, to); err != nil {
		return err
	}
	if a.texts[col.ID], err = rowExprText(n); err != nil {
		return err
	}
	a.w.using[col.ID], err = a.Engine.Compile(e)
	return err
}

// retypeable refuses to give a column another type where something depends on the
// one it has, and converts its default.
func (a *alterer) retypeable(ctx context.Context, col *schema.Column, to types.T) error {
	cat, err := a.r.Contents(ctx)
	if err != nil {
		return err
	}
	var known []schema.DescID
	for _, v := range dependentViews(cat, a.t) {
		known = append(known, v.Head().ID)
		if viewUses(v, col.Name) {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot alter type of a column used by a view or rule").
				WithDetail("rule _RETURN on %s %s depends on column \"%s\"", kindOf(v), v.Head().Name, col.Name)
		}
	}
	a.requireViews(a.t, known)
	for _, p := range a.t.Policies {
		if slices.Contains(p.Columns, col.ID) {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot alter type of a column used in a policy definition").
				WithDetail("policy %s on table %s depends on column \"%s\"", p.Name, a.t.Name, col.Name)
		}
	}
	if col.Identity != schema.IdentityNone && to != types.Int2 && to != types.Int4 && to != types.Int8 {
		return sqlerr.New(sqlerr.InvalidParameterValue, "identity column type must be smallint, integer, or bigint")
	}
	if col.Default == "" || col.Generated {
		return nil
	}
	next := *col
	next.Type = schemaType(to)
	if _, err := bind.BindDefault(a.Bind, &next); sqlerr.HasCode(err, sqlerr.DatatypeMismatch) {
		return sqlerr.New(sqlerr.DatatypeMismatch, "default for column \"%s\" cannot be cast automatically to type %s", col.Name, to)
	}
	return nil
}

// viewUses reports whether a view's query may use a column of a name: it names one
// so, or all.
func viewUses(v schema.Object, column string) bool {
	var text string
	switch v := v.(type) {
	case *schema.View:
		text = v.Query
	case *schema.Table:
		text = v.Matview.Query
	}
	q, err := parseOne(text)
	if err != nil {
		return true
	}
	found := false
	walkColumnRefs(q.Tree, func(ref *pg.ColumnRef) {
		last := ref.Fields[len(ref.Fields)-1]
		found = found || last.GetAStar() != nil || last.GetString_().GetSval() == column
	})
	return found
}

func (a *alterer) checkIndexed(ix *schema.Index, col *schema.Column) error {
	if !ix.Has(col.ID) {
		return nil
	}
	return a.checkIndexable(col)
}
