package ddl

import (
	"context"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// setSchema is ALTER … SET SCHEMA.
func (s *stmt) setSchema(n *pg.AlterObjectSchemaStmt) runner {
	switch n.ObjectType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_MATVIEW:
		tag := "ALTER " + objectWords(n.ObjectType)
		return done(tag, func(ctx context.Context) error { return s.moveRelation(ctx, n) })
	}
	if k := n.ObjectType; k == pg.ObjectType_OBJECT_TYPE || k == pg.ObjectType_OBJECT_DOMAIN {
		return done("ALTER "+strings.TrimPrefix(k.String(), "OBJECT_"), func(ctx context.Context) error { return s.moveType(ctx, n) })
	}
	if k := n.ObjectType; k == pg.ObjectType_OBJECT_FUNCTION || k == pg.ObjectType_OBJECT_PROCEDURE || k == pg.ObjectType_OBJECT_ROUTINE {
		return done("ALTER "+objectWords(k), func(ctx context.Context) error { return s.moveFunction(ctx, n) })
	}
	return nil
}

// moveRelation gives a relation another schema, and with a table its indexes
// and the sequences it owns.
func (s *stmt) moveRelation(ctx context.Context, n *pg.AlterObjectSchemaStmt) error {
	f, err := s.lookup(ctx, n.Relation)
	if err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	to := c.Schema(s.Database.ID, n.Newschema)
	switch {
	case !f.ok() && n.MissingOk:
		return s.skipped("relation \"%s\" does not exist, skipping", n.Relation.Relname)
	case !f.ok():
		return sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(n.Relation))
	case f.index != nil:
		return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a table, view, sequence, or foreign table", n.Relation.Relname)
	case to == nil:
		return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", n.Newschema)
	case f.schema.ID == to.ID:
		return nil
	}
	objects := []schema.Object{f.object}
	if q, ok := f.object.(*schema.Sequence); ok && q.OwnerTable != 0 {
		owner := c.Table(q.OwnerTable)
		return sqlerr.New(sqlerr.FeatureNotSupported, "cannot move an owned sequence into another schema").
			WithDetail("Sequence \"%s\" is linked to table \"%s\".", q.Name, owner.Name)
	}
	views, err := s.viewsOver(ctx, f)
	if err != nil {
		return err
	}
	for _, q := range c.Sequences(s.Database.ID) {
		if f.object.Kind() == schema.KindTable && q.OwnerTable == f.object.Head().ID {
			objects = append(objects, q)
		}
	}
	ids := make([]schema.DescID, len(objects))
	for i, o := range objects {
		ids[i] = o.Head().ID
	}
	if err := s.mustOwn(ctx, f.object.Head().ID); err != nil {
		return err
	}
	if err := s.may(ctx, to, schema.PrivCreate); err != nil {
		return err
	}
	if err := s.r.Hold(ctx, "SET SCHEMA", append(views, ids...)...); err != nil {
		return err
	}
	s.requireViews(f.object, views)
	s.r.RequireSame(to.ID)
	if err := s.renameInViews(ctx, views, f.object, &pg.RangeVar{Schemaname: to.Name, Relname: f.object.Head().Name}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.moveOne(ctx, id, to); err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) moveOne(ctx context.Context, id schema.DescID, to *schema.Schema) error {
	o, err := s.copyOf(ctx, id)
	if err != nil {
		return err
	}
	h := o.Head()
	names := map[string]schema.IndexID{h.Name: 0}
	if t, ok := o.(*schema.Table); ok {
		for _, ix := range t.AllIndexes() {
			if ix.Name != "" {
				names[ix.Name] = ix.ID
			}
		}
	}
	for name := range names {
		if used, err := s.taken(ctx, to, name); err != nil {
			return err
		} else if used {
			return sqlerr.New(sqlerr.DuplicateTable, "relation \"%s\" already exists in schema \"%s\"", name, to.Name)
		}
	}
	for name, ix := range names {
		s.r.Unbind(h.SchemaID, name)
		s.r.Bind(to.ID, name, h.ID, ix)
	}
	h.SchemaID = to.ID
	s.r.Put(o)
	return nil
}
