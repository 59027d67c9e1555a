package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func (s *stmt) rename(n *pg.RenameStmt) runner {
	switch n.RenameType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_INDEX,
		pg.ObjectType_OBJECT_MATVIEW:
		tag := "ALTER " + objectWords(n.RenameType)
		return done(tag, func(ctx context.Context) error { return s.renameRelation(ctx, n) })
	case pg.ObjectType_OBJECT_COLUMN:
		return done("ALTER "+objectWords(n.RelationType), func(ctx context.Context) error { return s.renameColumn(ctx, n) })
	case pg.ObjectType_OBJECT_POLICY:
		return done("ALTER POLICY", func(ctx context.Context) error { return s.renamePolicy(ctx, n) })
	case pg.ObjectType_OBJECT_TABCONSTRAINT:
		return done("ALTER TABLE", func(ctx context.Context) error { return s.renameConstraint(ctx, n) })
	case pg.ObjectType_OBJECT_TYPE:
		return done("ALTER TYPE", func(ctx context.Context) error { return s.renameType(ctx, n) })
	case pg.ObjectType_OBJECT_DOMAIN:
		return done("ALTER DOMAIN", func(ctx context.Context) error { return s.renameType(ctx, n) })
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE:
		return done("ALTER "+objectWords(n.RenameType), func(ctx context.Context) error { return s.renameFunction(ctx, n) })
	case pg.ObjectType_OBJECT_SCHEMA:
		return done("ALTER SCHEMA", func(ctx context.Context) error { return s.renameSchema(ctx, n) })
	case pg.ObjectType_OBJECT_DATABASE:
		return done("ALTER DATABASE", func(ctx context.Context) error { return s.renameDatabase(ctx, n) })
	}
	return nil
}

func (s *stmt) toRename(ctx context.Context, n *pg.RenameStmt) (found, error) {
	f, err := s.lookup(ctx, n.Relation)
	if err != nil || f.ok() {
		return f, err
	}
	if n.MissingOk {
		return f, s.skipped("relation \"%s\" does not exist, skipping", n.Relation.Relname)
	}
	return f, sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(n.Relation))
}

func (s *stmt) renameRelation(ctx context.Context, n *pg.RenameStmt) error {
	f, err := s.toRename(ctx, n)
	if err != nil || !f.ok() {
		return err
	}
	name := s.cutName(n.Newname)
	if used, err := s.taken(ctx, f.schema, name); err != nil {
		return err
	} else if used {
		return alreadyExists(name)
	}
	views, err := s.viewsOver(ctx, f)
	if err != nil {
		return err
	}
	if err := s.mustOwn(ctx, f.object.Head().ID); err != nil {
		return err
	}
	if err := s.r.Hold(ctx, "RENAME", append(views, f.object.Head().ID)...); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, f.object.Head().ID)
	if err != nil {
		return err
	}
	if f.index != nil {
		return s.renameIndex(o.(*schema.Table), f.index, name)
	}
	s.requireViews(o, views)
	if err := s.renameInViews(ctx, views, o, &pg.RangeVar{Schemaname: f.schema.Name, Relname: name}); err != nil {
		return err
	}
	h := o.Head()
	s.r.Unbind(h.SchemaID, h.Name)
	h.Name = name
	s.r.Bind(h.SchemaID, name, h.ID, 0)
	s.r.Put(o)
	return nil
}

func (s *stmt) copyOf(ctx context.Context, id schema.DescID) (schema.Object, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	return c.Object(id).CloneObject(), nil
}

func (s *stmt) renameIndex(t *schema.Table, found *schema.Index, name string) error {
	ix, err := heldIndex(t, found)
	if err != nil {
		return err
	}
	s.r.Unbind(t.SchemaID, ix.Name)
	ix.Name = name
	s.bindIndex(t, ix)
	s.r.Put(t)
	return nil
}

func (s *stmt) renameColumn(ctx context.Context, n *pg.RenameStmt) error {
	f, err := s.toRename(ctx, n)
	if err != nil || !f.ok() {
		return err
	}
	if f.index != nil {
		return sqlerr.Unsupported("renaming a column of an index")
	}
	id := f.object.Head().ID
	views, err := s.viewsOver(ctx, f)
	if err != nil {
		return err
	}
	if err := s.mustOwn(ctx, id); err != nil {
		return err
	}
	if t, ok := f.object.(*schema.Table); ok {
		if err := s.notRewritten(ctx, t, "RENAME"); err != nil {
			return err
		}
	}
	if err := s.r.Hold(ctx, "RENAME", append(views, id)...); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, id)
	if err != nil {
		return err
	}
	if t, ok := o.(*schema.Table); ok && t.Rewriting != nil {
		return &schema.StaleError{Name: t.Name} // since a moment
	}
	s.requireViews(o, views)
	if err := s.renameColumnInViews(ctx, views, id, n.Subname, s.cutName(n.Newname)); err != nil {
		return err
	}
	switch o := o.(type) {
	case *schema.Table:
		return s.renameTableColumn(o, n)
	case *schema.View:
		return s.renameViewColumn(o, n)
	}
	return sqlerr.New(sqlerr.WrongObjectType, "cannot rename columns of relation \"%s\"", o.Head().Name).
		WithDetail("This operation is not supported for %ss.", kindOf(o))
}

func (s *stmt) renameViewColumn(v *schema.View, n *pg.RenameStmt) error {
	at := func(name string) int {
		return slices.IndexFunc(v.Columns, func(c schema.Column) bool { return c.Name == name })
	}
	name := s.cutName(n.Newname)
	i := at(n.Subname)
	switch {
	case i < 0:
		return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" does not exist", n.Subname)
	case at(name) >= 0:
		return sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" of relation \"%s\" already exists", name, v.Name)
	}
	v.Columns[i].Name = name
	s.r.Put(v)
	return nil
}

func (s *stmt) renameTableColumn(t *schema.Table, n *pg.RenameStmt) error {
	col := t.Column(n.Subname)
	if col == nil || col.Hidden {
		return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" does not exist", n.Subname)
	}
	name := s.cutName(n.Newname)
	if t.Column(name) != nil {
		return sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" of relation \"%s\" already exists", name, t.Name)
	}
	for i := range t.Checks {
		if err := renameInText(&t.Checks[i].Expr, col.Name, name); err != nil {
			return err
		}
	}
	for i := range t.Policies {
		p := &t.Policies[i]
		if !slices.Contains(p.Columns, col.ID) {
			continue
		}
		for _, text := range []*string{&p.Using, &p.Check} {
			if *text == "" {
				continue
			}
			wrapped := strings.HasPrefix(*text, "(")
			if err := renameInText(text, col.Name, name); err != nil {
				return err
			}
			if wrapped {
				*text = "(" + *text + ")"
			}
		}
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; uses(c, col.Name) {
			if err := renameInText(&c.Default, col.Name, name); err != nil {
				return err
			}
		}
	}
	col.Name = name
	s.r.Put(t)
	return nil
}

func (s *stmt) renameConstraint(ctx context.Context, n *pg.RenameStmt) error {
	f, err := s.toRename(ctx, n)
	if err != nil || !f.ok() {
		return err
	}
	t, ok := f.object.(*schema.Table)
	if !ok {
		return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a table", n.Relation.Relname)
	}
	if t, err = s.holdTable(ctx, "RENAME", t.ID); err != nil {
		return err
	}
	name := s.cutName(n.Newname)
	if hasConstraint(t, name) {
		return sqlerr.New(sqlerr.DuplicateObject, "constraint \"%s\" for relation \"%s\" already exists", name, t.Name)
	}
	for i := range t.Checks {
		if t.Checks[i].Name == n.Subname {
			t.Checks[i].Name = name
			s.r.Put(t)
			return nil
		}
	}
	if fk := t.ForeignKey(n.Subname); fk != nil {
		fk.Name = name
		s.r.Put(t)
		return nil
	}
	if ix := t.IndexByName(n.Subname); ix != nil && ix.ConstraintOID != 0 {
		if used, err := s.taken(ctx, f.schema, name); err != nil || used {
			return alreadyExists(name)
		}
		return s.renameIndex(t, ix, name)
	}
	return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", n.Subname, t.Name)
}

func (s *stmt) alterOwner(n *pg.AlterOwnerStmt) runner {
	name := n.Object.GetString_().GetSval()
	switch n.ObjectType {
	case pg.ObjectType_OBJECT_DATABASE:
		return done("ALTER DATABASE", func(ctx context.Context) error { return s.ownDatabase(ctx, name, n.Newowner) })
	case pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN:
		tag := "ALTER " + n.ObjectType.String()[len("OBJECT_"):]
		return done(tag, func(ctx context.Context) error {
			t, err := s.findType(ctx, n.Object.GetList().GetItems(), false)
			if err != nil {
				return err
			}
			return s.changeOwner(ctx, t, n.Newowner)
		})
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE:
		return done("ALTER "+objectWords(n.ObjectType), func(ctx context.Context) error { return s.ownFunction(ctx, n) })
	case pg.ObjectType_OBJECT_SCHEMA:
		return done("ALTER SCHEMA", func(ctx context.Context) error { return s.ownSchema(ctx, name, n.Newowner) })
	}
	return nil
}

// changeOwner changes the owner of a relation.
func (s *stmt) changeOwner(ctx context.Context, o schema.Object, owner *pg.RoleSpec) error {
	name, err := s.roleName(ctx, owner)
	if err != nil {
		return err
	}
	if err := s.mayGive(ctx, o, name); err != nil {
		return err
	}
	if k := o.Kind(); k != schema.KindDatabase && k != schema.KindSchema {
		if err := s.hold(ctx, "OWNER TO", o.Head().ID); err != nil {
			return err
		}
	}
	if o, err = s.copyOf(ctx, o.Head().ID); err != nil {
		return err
	}
	giveTo(o, name)
	s.r.Put(o)
	return nil
}

// mayGive asks that the session's role may make another the owner of an object.
func (s *stmt) mayGive(ctx context.Context, o schema.Object, to string) error {
	if err := s.mustOwn(ctx, o.Head().ID); err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err == nil && !c.IsSuperuser(s.User) && !c.IsMember(s.User, to) {
		err = sqlerr.New(sqlerr.InsufficientPrivilege, "must be member of role \"%s\"", to)
	}
	return err
}

// giveTo changes the owner; what the old one had and gave is the new one's.
func giveTo(o schema.Object, name string) {
	h := o.Head()
	for i := range h.ACL {
		g := &h.ACL[i]
		for _, r := range []*string{&g.Role, &g.Grantor} {
			if *r == h.Owner {
				*r = name
			}
		}
	}
	h.Owner = name
}
