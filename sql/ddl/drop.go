package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func (s *stmt) drop(n *pg.DropStmt) runner {
	kinds := map[pg.ObjectType]string{pg.ObjectType_OBJECT_TABLE: "table", pg.ObjectType_OBJECT_VIEW: "view",
		pg.ObjectType_OBJECT_SEQUENCE: "sequence", pg.ObjectType_OBJECT_MATVIEW: "materialized view"}
	if kind, ok := kinds[n.RemoveType]; ok {
		return done("DROP "+strings.ToUpper(kind), func(ctx context.Context) error { return s.dropRelations(ctx, n, kind) })
	}
	switch n.RemoveType {
	case pg.ObjectType_OBJECT_TYPE:
		return done("DROP TYPE", func(ctx context.Context) error { return s.dropTypes(ctx, n) })
	case pg.ObjectType_OBJECT_DOMAIN:
		return done("DROP DOMAIN", func(ctx context.Context) error { return s.dropTypes(ctx, n) })
	case pg.ObjectType_OBJECT_EXTENSION:
		return done("DROP EXTENSION", func(ctx context.Context) error { return s.dropExtensions(ctx, n) })
	case pg.ObjectType_OBJECT_POLICY:
		return done("DROP POLICY", func(ctx context.Context) error { return s.dropPolicies(ctx, n) })
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE:
		return done("DROP "+objectWords(n.RemoveType), func(ctx context.Context) error { return s.dropFunctions(ctx, n) })
	case pg.ObjectType_OBJECT_INDEX:
		return done("DROP INDEX", func(ctx context.Context) error { return s.dropIndexes(ctx, n) })
	case pg.ObjectType_OBJECT_SCHEMA:
		return done("DROP SCHEMA", func(ctx context.Context) error { return s.dropSchemas(ctx, n) })
	}
	return nil
}

// removal collects everything that one DROP removes, dependents included.
type removal struct {
	*stmt
	cascade bool
	ids     []schema.DescID
	// edits are tables that stay and lose a foreign key, or the mark of one.
	edits []schema.DescID
	// extra are the dependents that were not named.
	extra []string
}

func (s *stmt) dropRelations(ctx context.Context, n *pg.DropStmt, kind string) error {
	rm := &removal{stmt: s, cascade: n.Behavior == pg.DropBehavior_DROP_CASCADE}
	for _, o := range n.Objects {
		rv, err := s.rangeVar(o)
		if err != nil {
			return err
		}
		obj, err := s.findToDrop(ctx, rv, kind, n.MissingOk)
		if err != nil {
			return err
		}
		if obj != nil && !slices.Contains(rm.ids, obj.Head().ID) {
			rm.ids = append(rm.ids, obj.Head().ID)
		}
	}
	return rm.run(ctx)
}

// findToDrop finds a relation of a kind; nil if it may be missing and is.
func (s *stmt) findToDrop(ctx context.Context, rv *pg.RangeVar, kind string, missingOK bool) (schema.Object, error) {
	if err := s.missingSchema(ctx, rv, missingOK); err != nil {
		return nil, err
	}
	f, err := s.lookup(ctx, rv)
	if err != nil {
		return nil, err
	}
	if !f.ok() {
		if missingOK {
			return nil, s.skipped("%s \"%s\" does not exist, skipping", kind, rv.Relname)
		}
		return nil, sqlerr.New(sqlerr.UndefinedTable, "%s \"%s\" does not exist", kind, nameOf(rv))
	}
	if f.index == nil && kindOf(f.object) == kind {
		return f.object, s.mustOwn(ctx, f.object.Head().ID)
	}
	e := sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not %s", rv.Relname, article(kind))
	is := kindOf(f.object)
	if f.index != nil {
		is = "index"
	}
	return nil, e.WithHint("Use DROP %s to remove %s.", strings.ToUpper(is), article(is))
}

// missingSchema complains about a schema that does not exist.
func (s *stmt) missingSchema(ctx context.Context, rv *pg.RangeVar, missingOK bool) error {
	c, err := s.r.Contents(ctx)
	if err != nil || rv.Schemaname == "" || c.Schema(s.Database.ID, s.schemaName(rv.Schemaname)) != nil || missingOK {
		return err
	}
	if slices.Contains(reservedSchemas, rv.Schemaname) {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: \"%s\" is a system catalog", rv.Relname)
	}
	return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", rv.Schemaname)
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// run takes everything out of use and removes it.
func (rm *removal) run(ctx context.Context) error {
	if len(rm.ids) == 0 {
		return nil
	}
	if err := rm.addDependents(ctx); err != nil {
		return err
	}
	if err := rm.addOwned(ctx); err != nil {
		return err
	}
	if err := rm.holdAll(ctx); err != nil {
		return err
	}
	if err := rm.dropKeys(ctx); err != nil {
		return err
	}
	c, err := rm.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, id := range rm.ids {
		rm.requireViews(c.Object(id), rm.ids)
		rm.remove(c.Object(id))
	}
	return rm.cascades(rm.extra)
}

// holdAll takes everything out of use that goes or changes. A foreign key that
// came meanwhile adds a table, for which it looks again.
func (rm *removal) holdAll(ctx context.Context) error {
	for held := false; ; held = true {
		c, err := rm.r.Contents(ctx)
		if err != nil {
			return err
		}
		known := len(rm.edits)
		for _, id := range rm.ids {
			if t := c.Table(id); t != nil {
				for _, other := range related(t) {
					if !slices.Contains(rm.ids, other) && !slices.Contains(rm.edits, other) {
						rm.edits = append(rm.edits, other)
					}
				}
			}
		}
		if held && len(rm.edits) == known {
			return nil
		}
		if err := rm.r.Hold(ctx, "DROP", slices.Concat(rm.ids, rm.edits)...); err != nil {
			return err
		}
	}
}

// dropKeys removes the foreign keys between what goes and what stays.
func (rm *removal) dropKeys(ctx context.Context) error {
	var blocked schema.Object
	var lines []string
	for _, id := range rm.edits {
		c, err := rm.r.Contents(ctx)
		if err != nil {
			return err
		}
		t := c.Table(id).Clone()
		var keep []schema.ForeignKey
		for i := range t.ForeignKeys {
			fk := &t.ForeignKeys[i]
			if !slices.Contains(rm.ids, fk.Target) {
				keep = append(keep, *fk)
				continue
			}
			if !rm.cascade {
				if blocked == nil {
					blocked = c.Table(fk.Target)
				}
				lines = append(lines, dependent{t, fk}.String()+" depends on table "+c.Table(fk.Target).Name)
				continue
			}
			rm.extra = append(rm.extra, dependent{t, fk}.String())
		}
		t.ForeignKeys = keep
		t.ReferencedBy = slices.DeleteFunc(t.ReferencedBy, func(by schema.DescID) bool { return slices.Contains(rm.ids, by) })
		rm.r.Put(t)
	}
	if blocked != nil {
		return inUse(blocked, lines)
	}
	return nil
}

// inUse refuses to drop o; the lines say what depends on it.
func inUse(o schema.Object, lines []string) error {
	return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop %s %s because other objects depend on it",
		kindOf(o), shownName(o)).
		WithDetail("%s", strings.Join(lines, "\n")).
		WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
}

// shownName is an object's name in messages; a function's has its arguments.
func shownName(o schema.Object) string {
	if f, ok := o.(*schema.Function); ok {
		return bind.FunctionSignature(f)
	}
	return o.Head().Name
}

// addDependents adds views over what goes, and views over those.
func (rm *removal) addDependents(ctx context.Context) error {
	c, err := rm.r.Contents(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < len(rm.ids); i++ {
		o := c.Object(rm.ids[i])
		for _, v := range dependentViews(c, o) {
			if slices.Contains(rm.ids, v.Head().ID) {
				continue
			}
			what := kindOf(v) + " " + v.Head().Name
			if !rm.cascade {
				return inUse(o, []string{fmt.Sprintf("%s depends on %s %s", what, kindOf(o), shownName(o))})
			}
			rm.ids = append(rm.ids, v.Head().ID)
			rm.extra = append(rm.extra, what)
		}
		if err := rm.checkDefaults(c, o); err != nil {
			return err
		}
	}
	return nil
}

// requireViews has the commit fail if there is a view over a relation by then that is not
// among those known: views read what they are over without holding it.
func (s *stmt) requireViews(o schema.Object, known []schema.DescID) {
	s.r.Require(func(c *schema.Contents) error {
		for _, v := range dependentViews(c, o) {
			if !slices.Contains(known, v.Head().ID) {
				return &schema.StaleError{Name: o.Head().Name}
			}
		}
		return nil
	})
}

// dependentViews are the views over a relation, materialized ones too.
func dependentViews(c *schema.Contents, o schema.Object) []schema.Object {
	var out []schema.Object
	for _, v := range c.Views(o.Head().DatabaseID) {
		if slices.Contains(v.DependsOn, o.Head().ID) {
			out = append(out, v)
		}
	}
	for _, t := range c.Tables(o.Head().DatabaseID) {
		if t.Matview != nil && slices.Contains(t.Matview.DependsOn, o.Head().ID) {
			out = append(out, t)
		}
	}
	return out
}

// checkDefaults refuses to drop a sequence that a column's default needs.
func (rm *removal) checkDefaults(c *schema.Contents, o schema.Object) error {
	q, ok := o.(*schema.Sequence)
	if !ok {
		return nil
	}
	for _, t := range c.Tables(q.DatabaseID) {
		if slices.Contains(rm.ids, t.ID) {
			continue
		}
		for _, col := range t.Columns {
			if col.Sequence == q.ID {
				return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop sequence %s because other objects depend on it", q.Name).
					WithDetail("default value for column %s of table %s depends on sequence %s", col.Name, t.Name, q.Name).
					WithHint("Drop the column's default first.")
			}
		}
	}
	return nil
}

// addOwned adds the sequences that go with their tables.
func (rm *removal) addOwned(ctx context.Context) error {
	c, err := rm.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, q := range c.Sequences(rm.Database.ID) {
		if q.OwnerTable != 0 && slices.Contains(rm.ids, q.OwnerTable) && !slices.Contains(rm.ids, q.ID) {
			rm.ids = append(rm.ids, q.ID)
		}
	}
	return nil
}

func (s *stmt) remove(o schema.Object) {
	h := o.Head()
	s.r.Unbind(h.SchemaID, schema.BoundName(o))
	if t, ok := o.(*schema.Table); ok {
		for _, ix := range t.AllIndexes() {
			if ix.Name != "" {
				s.r.Unbind(h.SchemaID, ix.Name)
			}
		}
		s.r.DropData(t.ID, 0)
	}
	s.r.Remove(h.ID)
}

func (s *stmt) dropIndexes(ctx context.Context, n *pg.DropStmt) error {
	if n.Concurrent && s.Explicit {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "DROP INDEX CONCURRENTLY cannot run inside a transaction block")
	}
	for _, o := range n.Objects {
		rv, err := s.rangeVar(o)
		if err != nil {
			return err
		}
		if err := s.dropIndex(ctx, rv, n.MissingOk); err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) dropIndex(ctx context.Context, rv *pg.RangeVar, missingOK bool) error {
	f, err := s.lookup(ctx, rv)
	if err != nil {
		return err
	}
	switch {
	case !f.ok() && missingOK:
		return s.skipped("index \"%s\" does not exist, skipping", rv.Relname)
	case !f.ok():
		return sqlerr.New(sqlerr.UndefinedObject, "index \"%s\" does not exist", nameOf(rv))
	case f.index == nil:
		is := f.object.Kind().String()
		return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not an index", rv.Relname).
			WithHint("Use DROP %s to remove %s.", strings.ToUpper(is), article(is))
	case f.index.ConstraintOID != 0:
		t := f.object.Head().Name
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop index %s because constraint %s on table %s requires it",
			rv.Relname, rv.Relname, t).WithHint("You can drop constraint %s on table %s instead.", rv.Relname, t)
	}
	t, err := s.holdTable(ctx, "DROP INDEX", f.object.Head().ID)
	if err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if deps := references(c, t, func(fk *schema.ForeignKey) bool { return fk.TargetIndex == f.index.OID }); len(deps) > 0 {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop index %s because other objects depend on it", rv.Relname).
			WithDetail("%s depends on index %s", deps[0], rv.Relname).
			WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	ix, err := heldIndex(t, f.index)
	if err != nil {
		return err
	}
	s.removeIndex(t, ix.ID)
	s.r.Put(t)
	return nil
}

// heldIndex is an index that was found by its name before its table was taken out of
// use. Meanwhile TRUNCATE may have given it another number, and others may have renamed
// or dropped it: then the name is to be looked up anew.
func heldIndex(t *schema.Table, found *schema.Index) (*schema.Index, error) {
	if ix := t.IndexByOID(found.OID); ix != nil && ix.Name == found.Name {
		return ix, nil
	}
	return nil, &schema.StaleError{Name: found.Name}
}

// removeIndex takes a secondary index out of a table that is being changed, and out of
// the copy of its rows that may be in the making.
func (s *stmt) removeIndex(t *schema.Table, id schema.IndexID) {
	s.r.Unbind(t.SchemaID, t.IndexByID(id).Name)
	s.r.DropData(t.ID, id)
	if written := t.RemoveIndex(id); written != 0 {
		s.r.DropData(t.ID, written)
	}
}

// holdTable takes a table out of use and returns a copy to change.
func (s *stmt) holdTable(ctx context.Context, what string, id schema.DescID) (*schema.Table, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	hold := s.hold
	if what == "TRUNCATE" { // needs a privilege, not ownership
		hold = s.r.Hold
	} else if err := s.notRewritten(ctx, c.Table(id), what); err != nil {
		return nil, err
	}
	if err := hold(ctx, what, id); err != nil {
		return nil, err
	}
	if c, err = s.r.Contents(ctx); err != nil {
		return nil, err
	}
	t := c.Table(id)
	if what != "TRUNCATE" && t.Rewriting != nil {
		return nil, &schema.StaleError{Name: t.Name} // since a moment
	}
	return t.Clone(), nil
}

// truncate gives every index of the tables a new number, so that no row is
// touched; the old data is cleared later.
func (s *stmt) truncate(ctx context.Context, n *pg.TruncateStmt) error {
	var ids []schema.DescID
	for _, r := range n.Relations {
		t, err := s.findTable(ctx, r.GetRangeVar())
		if err != nil {
			return err
		}
		if t.Matview != nil {
			return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a table", t.Name)
		}
		if err := s.may(ctx, t, schema.PrivTruncate); err != nil {
			return err
		}
		if !slices.Contains(ids, t.ID) {
			ids = append(ids, t.ID)
		}
	}
	ids, err := s.holdTruncated(ctx, ids, n.Behavior == pg.DropBehavior_DROP_CASCADE)
	if err != nil {
		return err
	}
	for _, id := range ids {
		t, err := s.holdTable(ctx, "TRUNCATE", id)
		if err != nil {
			return err
		}
		if err := s.renumberAll(ctx, t); err != nil {
			return err
		}
		s.r.Put(t)
		if n.RestartSeqs {
			if err := s.restartOwned(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdTruncated takes tables out of use, with CASCADE also those that refer to
// them; else there must be none.
func (s *stmt) holdTruncated(ctx context.Context, ids []schema.DescID, cascade bool) ([]schema.DescID, error) {
	for at := 0; ; {
		if err := s.r.Hold(ctx, "TRUNCATE", ids...); err != nil {
			return nil, err
		}
		c, err := s.r.Contents(ctx)
		if err != nil {
			return nil, err
		}
		if at == len(ids) {
			return ids, nil
		}
		for ; at < len(ids); at++ {
			t := c.Table(ids[at])
			for _, by := range t.ReferencedBy {
				if slices.Contains(ids, by) {
					continue
				}
				name := c.Table(by).Name
				if !cascade {
					return nil, sqlerr.New(sqlerr.FeatureNotSupported, "cannot truncate a table referenced in a foreign key constraint").
						WithDetail("Table \"%s\" references \"%s\".", name, t.Name).
						WithHint("Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.", name)
				}
				ids = append(ids, by)
				if err := s.skipped("truncate cascades to table \"%s\"", name); err != nil {
					return nil, err
				}
			}
		}
	}
}

// renumberAll makes the table empty.
func (s *stmt) renumberAll(ctx context.Context, t *schema.Table) error {
	for _, ix := range t.AllIndexes() {
		if err := s.renumber(ctx, t, ix); err != nil {
			return err
		}
	}
	for _, ix := range t.RewrittenIndexes() {
		id, err := s.Catalog.NewID(ctx)
		if err != nil {
			return err
		}
		s.r.DropData(t.ID, ix.ID)
		if ix.ID == t.Rewriting.Primary {
			t.Rewriting.Primary = schema.IndexID(id)
		}
		ix.ID = schema.IndexID(id)
		s.private(t.ID, ix.ID)
	}
	return nil
}

// renumber makes an index empty by giving it new keys.
func (s *stmt) renumber(ctx context.Context, t *schema.Table, ix *schema.Index) error {
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	s.r.DropData(t.ID, ix.ID)
	ix.ID = schema.IndexID(id)
	s.bindIndex(t, ix)
	s.private(t.ID, ix.ID)
	return nil
}

// private says that the keys of an index (0: of the whole table) are new in
// this transaction. However many rows it loads into them, they need no
// intents.
func (s *stmt) private(t schema.DescID, ix schema.IndexID) {
	start := keys.Table(uint32(t))
	if ix != 0 {
		start = keys.Index(uint32(t), uint32(ix))
	}
	s.r.KeepData(t, ix)
	r := s.r
	s.Txn.SetPrivate(kvapi.Span{Key: start, EndKey: start.PrefixEnd()}, func(ctx context.Context) error {
		return r.Announce(ctx, t, ix)
	})
}

// restartOwned restarts a truncated table's sequences after the commit.
func (s *stmt) restartOwned(ctx context.Context, t *schema.Table) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, q := range c.Sequences(s.Database.ID) {
		if q.OwnerTable == t.ID {
			s.r.OnCommit(func(ctx context.Context) { _ = s.Catalog.Setval(ctx, q, q.Start, false) })
		}
	}
	return nil
}
