package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// A foreign key stands in the descriptor of the table that refers
// (Table.ForeignKeys); the table it refers to lists that one
// (Table.ReferencedBy), so that whoever changes it knows where to look. Both
// change together, so both are held.

func isForeign(c *pg.Constraint) bool { return c.Contype == pg.ConstrType_CONSTR_FOREIGN }

// holdTargets takes the tables that foreign keys will refer to out of use. All
// in one step, with the table that refers if it exists: two statements that
// took theirs one by one could wait for each other.
func (m *tableMaker) holdTargets(ctx context.Context, what string, cs []*pg.Constraint, also ...schema.DescID) error {
	ids := also
	for _, c := range cs {
		if !isForeign(c) || m.isSelf(c.Pktable) {
			continue
		}
		t, err := m.foreignTarget(ctx, c.Pktable)
		if err == nil {
			err = m.notRewritten(ctx, t, "refer to")
		}
		if err != nil {
			return err
		}
		if !slices.Contains(ids, t.ID) {
			ids = append(ids, t.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return m.r.Hold(ctx, what, ids...)
}

// isSelf says that a name means the table that is being made or changed.
func (m *tableMaker) isSelf(rv *pg.RangeVar) bool {
	return rv.Relname == m.t.Name && (rv.Schemaname == "" || rv.Schemaname == m.sc.Name)
}

func (s *stmt) foreignTarget(ctx context.Context, rv *pg.RangeVar) (*schema.Table, error) {
	f, err := s.find(ctx, rv)
	if err != nil {
		return nil, err
	}
	t, ok := f.object.(*schema.Table)
	if !ok || f.index != nil {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "referenced relation \"%s\" is not a table", rv.Relname)
	}
	return t, nil
}

// foreignKey adds a foreign key to the table in work and its mark to the table
// it refers to.
func (m *tableMaker) foreignKey(ctx context.Context, p pendingConstraint) (*schema.ForeignKey, error) {
	c := p.c
	target := m.t
	if !m.isSelf(c.Pktable) {
		t, err := m.foreignTarget(ctx, c.Pktable)
		if err != nil {
			return nil, err
		}
		if err := m.may(ctx, t, schema.PrivReferences); err != nil {
			return nil, err
		}
		if t.Rewriting != nil {
			return nil, &schema.StaleError{Name: t.Name} // since a moment
		}
		target = t.Clone()
	}
	fk := schema.ForeignKey{Name: c.Conname, Target: target.ID, MatchFull: c.FkMatchtype == "f",
		OnDelete: refAction(c.FkDelAction), OnUpdate: refAction(c.FkUpdAction),
		Deferrable: c.Deferrable || c.Initdeferred, InitiallyDeferred: c.Initdeferred, NotValid: c.SkipValidation && !c.InitiallyValid}
	if c.FkMatchtype == "p" {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "MATCH PARTIAL not yet implemented").WithPos(m.pos(c.Location))
	}
	names := stringList(c.FkAttrs)
	if p.column != "" {
		names = []string{p.column}
	}
	var err error
	if fk.Columns, err = m.foreignColumns(m.t, names); err != nil {
		return nil, err
	}
	if err := m.samePersistence(ctx, target); err != nil {
		return nil, err
	}
	if err := m.targetKey(&fk, target, stringList(c.PkAttrs)); err != nil {
		return nil, err
	}
	if err := m.generatedKey(&fk); err != nil {
		return nil, err
	}
	if fk.SetColumns, err = m.setColumns(&fk, stringList(c.FkDelSetCols)); err != nil {
		return nil, err
	}
	if fk.Name == "" {
		fk.Name = constraintName(m.t, strings.Join(names, "_"), "fkey")
	} else if fk.Name = m.cutName(fk.Name); hasConstraint(m.t, fk.Name) {
		return nil, sqlerr.New(sqlerr.DuplicateObject, "constraint \"%s\" for relation \"%s\" already exists", fk.Name, m.t.Name)
	}
	if err := checkComparable(&fk, m.t, target); err != nil {
		return nil, err
	}
	if fk.OID, err = m.Catalog.NewID(ctx); err != nil {
		return nil, err
	}
	m.made = append(m.made, fk.OID)
	m.t.ForeignKeys = append(m.t.ForeignKeys, fk)
	if !slices.Contains(target.ReferencedBy, m.t.ID) {
		target.ReferencedBy = append(target.ReferencedBy, m.t.ID)
	}
	if target != m.t {
		m.r.Put(target)
	}
	return &m.t.ForeignKeys[len(m.t.ForeignKeys)-1], nil
}

// generatedKey refuses actions that would set a generated column.
func (m *tableMaker) generatedKey(fk *schema.ForeignKey) error {
	for _, id := range fk.Columns {
		if !m.t.ColumnByID(id).Generated {
			continue
		}
		if fk.OnUpdate == schema.RefSetNull || fk.OnUpdate == schema.RefSetDefault || fk.OnUpdate == schema.RefCascade {
			return sqlerr.New(sqlerr.SyntaxError, "invalid ON UPDATE action for foreign key constraint containing generated column")
		}
		if fk.OnDelete == schema.RefSetNull || fk.OnDelete == schema.RefSetDefault {
			return sqlerr.New(sqlerr.SyntaxError, "invalid ON DELETE action for foreign key constraint containing generated column")
		}
	}
	return nil
}

func refAction(s string) schema.RefAction {
	switch s {
	case "r":
		return schema.RefRestrict
	case "c":
		return schema.RefCascade
	case "n":
		return schema.RefSetNull
	case "d":
		return schema.RefSetDefault
	}
	return schema.RefNoAction
}

func (s *stmt) foreignColumns(t *schema.Table, names []string) ([]schema.ColumnID, error) {
	var out []schema.ColumnID
	for _, name := range names {
		c := t.Column(name)
		if c == nil || c.Hidden {
			return nil, sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" referenced in foreign key constraint does not exist", name)
		}
		out = append(out, c.ID)
	}
	return out, nil
}

// targetKey finds the unique index that a foreign key refers to: the primary
// key if no columns are named.
func (s *stmt) targetKey(fk *schema.ForeignKey, target *schema.Table, names []string) (err error) {
	if len(names) == 0 {
		if target.HasRowID() {
			return sqlerr.New(sqlerr.UndefinedObject, "there is no primary key for referenced table \"%s\"", target.Name)
		}
		for _, c := range target.Primary.Columns {
			fk.TargetColumns = append(fk.TargetColumns, c.ID)
		}
	} else if fk.TargetColumns, err = s.foreignColumns(target, names); err != nil {
		return err
	}
	if len(fk.Columns) != len(fk.TargetColumns) {
		return sqlerr.New(sqlerr.InvalidForeignKey, "number of referencing and referenced columns for foreign key disagree")
	}
	if dup := slices.Clone(fk.TargetColumns); len(slices.Compact(sorted(dup))) != len(fk.TargetColumns) {
		return sqlerr.New(sqlerr.InvalidForeignKey, "foreign key referenced-columns list must not contain duplicates")
	}
	for _, ix := range target.AllIndexes() {
		if (ix.Unique || ix.ID == target.Primary.ID) && ix.IsPublic() && ix.Name != "" && target.IsPlain(ix) && sameKey(ix, fk.TargetColumns) {
			fk.TargetIndex = ix.OID
			return nil
		}
	}
	return sqlerr.New(sqlerr.InvalidForeignKey, "there is no unique constraint matching given keys for referenced table \"%s\"", target.Name)
}

func sorted(ids []schema.ColumnID) []schema.ColumnID {
	slices.Sort(ids)
	return ids
}

func sameKey(ix *schema.Index, ids []schema.ColumnID) bool {
	return len(ix.Columns) == len(ids) && !slices.ContainsFunc(ids, func(id schema.ColumnID) bool { return !ix.Has(id) })
}

// setColumns are the columns of ON DELETE SET NULL (…) and SET DEFAULT (…).
func (m *tableMaker) setColumns(fk *schema.ForeignKey, names []string) ([]schema.ColumnID, error) {
	ids, err := m.foreignColumns(m.t, names)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if !slices.Contains(fk.Columns, id) {
			return nil, sqlerr.New(sqlerr.InvalidColumnReference,
				"column \"%s\" referenced in ON DELETE SET action must be part of foreign key", names[i])
		}
	}
	return ids, nil
}

// checkComparable refuses keys whose types have no common equality.
func checkComparable(fk *schema.ForeignKey, t, target *schema.Table) error {
	for i := range fk.Columns {
		c, k := t.ColumnByID(fk.Columns[i]), target.ColumnByID(fk.TargetColumns[i])
		from, to := typeOf(c), typeOf(k)
		if from.Kind() == to.Kind() || types.CanCast(from.Base(), to.Base()) == types.CastImplicit {
			continue
		}
		return sqlerr.New(sqlerr.DatatypeMismatch, "foreign key constraint \"%s\" cannot be implemented", fk.Name).
			WithDetail("Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.", c.Name, k.Name, from, to)
	}
	return nil
}

// reference prepares a foreign key for reading and writing; target is a table
// of the present catalog unless it is the table itself.
func (s *stmt) reference(ctx context.Context, fk *schema.ForeignKey, t *schema.Table) (*tablekv.Reference, error) {
	from := tablekv.NewCodec(t)
	to := from
	if fk.Target != t.ID {
		c, err := s.r.Contents(ctx)
		if err != nil {
			return nil, err
		}
		to = tablekv.NewCodec(c.Table(fk.Target))
	}
	return tablekv.NewReference(fk, from, to)
}

// checkReferences looks at every row of a table that is held, as is what it
// refers to: chunk by chunk, with one batch of look-ups for each.
func (a *alterer) checkReferences(ctx context.Context, fk *schema.ForeignKey) error {
	if a.Plan != nil {
		a.plan("read %s, and look up what foreign key %s refers to", a.rowsOf(ctx, a.t), fk.Name)
		return nil
	}
	ref, err := a.reference(ctx, fk, a.t)
	if err != nil {
		return err
	}
	ck := a.checkOf(ref)
	p := a.t.IndexPrefix(a.t.Primary.ID)
	span := &kvapi.Span{Key: p, EndKey: p.PrefixEnd()}
	for span != nil {
		var next *kvapi.Span
		step := func(ctx context.Context, t schema.Txn) (err error) {
			next, err = ck.chunk(ctx, t, *span)
			return err
		}
		if a.Explicit || a.r.Created(a.t.ID) {
			err = step(ctx, a.Txn)
		} else {
			err = a.Store.Run(ctx, "check references", step)
		}
		if err != nil {
			return err
		}
		span = next
	}
	return nil
}

type referenceCheck struct {
	*stmt
	ref *tablekv.Reference
	dec *tablekv.Decoder
}

func (s *stmt) checkOf(ref *tablekv.Reference) *referenceCheck {
	all := make([]int, len(ref.From.Table.Columns))
	for i := range all {
		all[i] = i
	}
	return &referenceCheck{stmt: s, ref: ref, dec: ref.From.Primary.NewDecoder(all)}
}

func newReferenceCheck(s *stmt, fk *schema.ForeignKey, from, to *schema.Table) (*referenceCheck, error) {
	a := tablekv.NewCodec(from)
	b := a
	if from != to {
		b = tablekv.NewCodec(to)
	}
	ref, err := tablekv.NewReference(fk, a, b)
	if err != nil {
		return nil, err
	}
	return s.checkOf(ref), nil
}

func (ck *referenceCheck) chunk(ctx context.Context, t schema.Txn, span kvapi.Span) (*kvapi.Span, error) {
	kvs, resume, err := t.Scan(ctx, span, txn.ScanOptions{MaxKeys: chunkRows, TargetBytes: chunkBytes})
	if err != nil {
		return nil, err
	}
	return resume, ck.look(ctx, t, kvs)
}

// look finds what rows refer to.
func (ck *referenceCheck) look(ctx context.Context, t schema.Txn, kvs []kvapi.KeyValue) error {
	row := make(types.Row, len(ck.ref.From.Types))
	var keys []kvapi.Key
	var values [][]types.Datum
	seen := map[string]bool{}
	for _, kv := range kvs {
		clear(row)
		if err := ck.dec.Decode(kv.Key, kv.Value, row); err != nil {
			return err
		}
		vals := ck.ref.FromValues(row)
		switch n := tablekv.NullsOf(vals); {
		case n == tablekv.SomeNulls && ck.ref.FK.MatchFull:
			return ck.ref.Mixed()
		case n != tablekv.NoNulls:
			continue
		}
		cast, err := ck.ref.Cast(vals, ck.Bind.Types)
		if err != nil {
			return err
		}
		k, err := ck.ref.Key(cast)
		if err != nil {
			return err
		}
		if !seen[string(k)] {
			seen[string(k)] = true
			keys, values = append(keys, k), append(values, vals)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := t.GetMany(ctx, keys, txn.GetOptions{})
	if err != nil {
		return err
	}
	for i, v := range found {
		if !v.Exists {
			return ck.ref.Missing(values[i], ck.Bind.Types)
		}
	}
	return nil
}

// related are the tables that foreign keys connect with t.
func related(t *schema.Table) []schema.DescID {
	ids := []schema.DescID{t.ID}
	add := func(id schema.DescID) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, fk := range t.ForeignKeys {
		add(fk.Target)
	}
	for _, id := range t.ReferencedBy {
		add(id)
	}
	return ids
}

// removeForeignKey takes a foreign key out of t, which is a copy to be Put, and
// the mark out of the table it refers to if it was the last. The latter must be
// held.
func (s *stmt) removeForeignKey(ctx context.Context, t *schema.Table, oid schema.DescID) error {
	i := slices.IndexFunc(t.ForeignKeys, func(fk schema.ForeignKey) bool { return fk.OID == oid })
	target := t.ForeignKeys[i].Target
	t.ForeignKeys = slices.Delete(t.ForeignKeys, i, i+1)
	if t.RefersTo(target) {
		return nil
	}
	if target == t.ID {
		unmark(t, t.ID)
		return nil
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if o := c.Table(target); o != nil {
		o = o.Clone()
		unmark(o, t.ID)
		s.r.Put(o)
	}
	return nil
}

func unmark(t *schema.Table, by schema.DescID) {
	t.ReferencedBy = slices.DeleteFunc(t.ReferencedBy, func(id schema.DescID) bool { return id == by })
}

// dependent is a foreign key that stands in the way.
type dependent struct {
	t  *schema.Table
	fk *schema.ForeignKey
}

func (d dependent) String() string {
	return "constraint " + d.fk.Name + " on table " + d.t.Name
}

// references lists the foreign keys to a table that pick says.
func references(c *schema.Contents, t *schema.Table, pick func(*schema.ForeignKey) bool) []dependent {
	var out []dependent
	for _, id := range t.ReferencedBy {
		by := c.Table(id)
		if id == t.ID {
			by = t
		}
		if by == nil {
			continue
		}
		for i := range by.ForeignKeys {
			if fk := &by.ForeignKeys[i]; fk.Target == t.ID && pick(fk) {
				out = append(out, dependent{by, fk})
			}
		}
	}
	return out
}

// dropReferences removes the foreign keys that need something of a.t, named as
// part, that is about to go; without CASCADE it refuses.
func (a *alterer) dropReferences(ctx context.Context, c *pg.AlterTableCmd, what, on string, pick func(*schema.ForeignKey) bool) error {
	cat, err := a.r.Contents(ctx)
	if err != nil {
		return err
	}
	deps := references(cat, a.t, pick)
	if len(deps) == 0 {
		return nil
	}
	var lines []string
	for _, d := range deps {
		lines = append(lines, d.String()+" depends on "+on)
	}
	if c.Behavior != pg.DropBehavior_DROP_CASCADE {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop %s because other objects depend on it", what).
			WithDetail("%s", strings.Join(lines, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	var extra []string
	gone := map[schema.DescID]bool{}
	for _, d := range deps {
		extra = append(extra, d.String())
		gone[d.fk.OID] = true
	}
	for _, id := range slices.Clone(a.t.ReferencedBy) {
		by := a.t
		if id != a.t.ID {
			by = cat.Table(id).Clone()
		}
		by.ForeignKeys = slices.DeleteFunc(by.ForeignKeys, func(fk schema.ForeignKey) bool { return gone[fk.OID] })
		if !by.RefersTo(a.t.ID) {
			unmark(a.t, id)
		}
		if by != a.t {
			a.r.Put(by)
		}
	}
	return a.cascades(extra)
}

// cascades tells what a DROP … CASCADE took along.
func (s *stmt) cascades(extra []string) error {
	if len(extra) == 1 {
		return s.skipped("drop cascades to %s", extra[0])
	}
	if len(extra) > 1 {
		e := sqlerr.New(sqlerr.SuccessfulCompletion, "drop cascades to %d other objects", len(extra))
		lines := make([]string, len(extra))
		for i, x := range extra {
			lines[i] = "drop cascades to " + x
		}
		s.notice(e.WithDetail("%s", strings.Join(lines, "\n")))
	}
	return nil
}

// recheckTypes makes sure that the foreign keys of and to a.t can still be
// compared after a column changed its type.
func (a *alterer) recheckTypes(ctx context.Context, id schema.ColumnID) error {
	cat, err := a.r.Contents(ctx)
	if err != nil {
		return err
	}
	for i := range a.t.ForeignKeys {
		fk := &a.t.ForeignKeys[i]
		target := a.t
		if fk.Target != a.t.ID {
			target = cat.Table(fk.Target)
		}
		if slices.Contains(fk.Columns, id) {
			if err := checkComparable(fk, a.t, target); err != nil {
				return err
			}
			a.foreign = append(a.foreign, fk.OID)
		}
	}
	for _, d := range references(cat, a.t, func(fk *schema.ForeignKey) bool { return slices.Contains(fk.TargetColumns, id) }) {
		if err := checkComparable(d.fk, d.t, a.t); err != nil {
			return err
		}
	}
	return nil
}

// alterConstraint changes when a foreign key is checked.
func (a *alterer) alterConstraint(c *pg.AlterTableCmd) error {
	con := c.Def.GetConstraint()
	fk := a.t.ForeignKey(con.Conname)
	if fk == nil {
		if hasConstraint(a.t, con.Conname) {
			return sqlerr.New(sqlerr.WrongObjectType, "constraint \"%s\" of relation \"%s\" is not a foreign key constraint", con.Conname, a.t.Name)
		}
		return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" of relation \"%s\" does not exist", con.Conname, a.t.Name)
	}
	fk.Deferrable, fk.InitiallyDeferred = con.Deferrable || con.Initdeferred, con.Initdeferred
	return nil
}

// validate looks at the rows that are older than a NOT VALID constraint.
func (a *alterer) validate(c *pg.AlterTableCmd) error {
	if fk := a.t.ForeignKey(c.Name); fk != nil {
		if fk.NotValid {
			fk.NotValid = false
			a.foreign = append(a.foreign, fk.OID)
		}
		return nil
	}
	for i := range a.t.Checks {
		if ck := &a.t.Checks[i]; ck.Name == c.Name {
			if ck.NotValid {
				ck.NotValid = false
				a.w.checks = append(a.w.checks, *ck)
			}
			return nil
		}
	}
	if hasConstraint(a.t, c.Name) {
		return sqlerr.New(sqlerr.WrongObjectType, "constraint \"%s\" of relation \"%s\" is not a foreign key or check constraint", c.Name, a.t.Name)
	}
	return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" of relation \"%s\" does not exist", c.Name, a.t.Name)
}
