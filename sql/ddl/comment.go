package ddl

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// comment keeps the comments on tables, views, sequences, indexes, columns,
// constraints, types, functions, schemas, databases and roles.
func (s *stmt) comment(ctx context.Context, n *pg.CommentStmt) error {
	switch n.Objtype {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_INDEX,
		pg.ObjectType_OBJECT_MATVIEW:
		rv, err := s.rangeVar(n.Object)
		if err != nil {
			return err
		}
		return s.commentOn(ctx, rv, "", n.Comment)
	case pg.ObjectType_OBJECT_COLUMN:
		items := n.Object.GetList().GetItems()
		last := len(items) - 1
		rv, err := s.rangeVar(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: items[:last]}}})
		if err != nil {
			return err
		}
		return s.commentOn(ctx, rv, items[last].GetString_().GetSval(), n.Comment)
	case pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN:
		t, err := s.findType(ctx, n.Object.GetTypeName().GetNames(), false)
		if err != nil {
			return err
		}
		if err := s.hold(ctx, "COMMENT", t.ID); err != nil {
			return err
		}
		o, err := s.copyOf(ctx, t.ID)
		if err != nil {
			return err
		}
		o.Head().Comment = n.Comment
		s.r.Put(o)
		return nil
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE:
		f, err := s.findFunction(ctx, n.Object.GetObjectWithArgs(), n.Objtype, false)
		if err != nil {
			return err
		}
		if err := s.hold(ctx, "COMMENT", f.ID); err != nil {
			return err
		}
		o, err := s.copyOf(ctx, f.ID)
		if err != nil {
			return err
		}
		o.Head().Comment = n.Comment
		s.r.Put(o)
		return nil
	case pg.ObjectType_OBJECT_POLICY:
		return s.commentOnPolicy(ctx, n)
	case pg.ObjectType_OBJECT_TABCONSTRAINT:
		return s.commentOnConstraint(ctx, n)
	case pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return s.commentOnDomainConstraint(ctx, n)
	case pg.ObjectType_OBJECT_ROLE:
		return s.commentOnRole(ctx, n)
	case pg.ObjectType_OBJECT_EXTENSION:
		return nil // pg_dump says what everyone knows
	case pg.ObjectType_OBJECT_SCHEMA, pg.ObjectType_OBJECT_DATABASE:
		return s.commentOnParent(ctx, n)
	}
	return sqlerr.Unsupported("COMMENT ON %s", n.Objtype.String()[len("OBJECT_"):])
}

func (s *stmt) commentOn(ctx context.Context, rv *pg.RangeVar, column, text string) error {
	f, err := s.lookup(ctx, rv)
	if err == nil && !f.ok() && column != "" {
		return s.commentOnAttribute(ctx, rv, column, text)
	}
	if err == nil && !f.ok() {
		err = sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(rv))
	}
	if err != nil {
		return err
	}
	if err := s.hold(ctx, "COMMENT", f.object.Head().ID); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, f.object.Head().ID)
	if err != nil {
		return err
	}
	t, _ := o.(*schema.Table)
	switch {
	case f.index != nil:
		ix, err := heldIndex(t, f.index)
		if err != nil {
			return err
		}
		ix.Comment = text
	case column == "":
		o.Head().Comment = text
	default:
		var col *schema.Column
		if t != nil {
			col = t.Column(column)
		} else if v, ok := o.(*schema.View); !ok {
			return sqlerr.New(sqlerr.WrongObjectType, "cannot set comment on relation \"%s\"", o.Head().Name).
				WithDetail("This operation is not supported for %ss.", kindOf(o))
		} else if i := slices.IndexFunc(v.Columns, func(c schema.Column) bool { return c.Name == column }); i >= 0 {
			col = &v.Columns[i]
		}
		if col == nil || col.Hidden {
			return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", column, o.Head().Name)
		}
		col.Comment = text
	}
	s.r.Put(o)
	return nil
}

func (s *stmt) commentOnParent(ctx context.Context, n *pg.CommentStmt) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	name := n.Object.GetString_().GetSval()
	if n.Objtype == pg.ObjectType_OBJECT_DATABASE {
		db := c.Database(name)
		if db == nil {
			return sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", name)
		}
		if err := s.mustOwn(ctx, db.ID); err != nil {
			return err
		}
		db = db.Clone()
		db.Comment = n.Comment
		s.r.Put(db)
		return nil
	}
	sc := c.Schema(s.Database.ID, name)
	if sc == nil {
		return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", name)
	}
	if err := s.mustOwn(ctx, sc.ID); err != nil {
		return err
	}
	sc = sc.Clone()
	sc.Comment = n.Comment
	s.r.Put(sc)
	return nil
}

func (s *stmt) commentOnConstraint(ctx context.Context, n *pg.CommentStmt) error {
	rv, name, err := s.ofTable(n.Object)
	if err != nil {
		return err
	}
	found, err := s.findTable(ctx, rv)
	if err != nil {
		return err
	}
	t, err := s.holdTable(ctx, "COMMENT", found.ID)
	if err != nil {
		return err
	}
	check := slices.IndexFunc(t.Checks, func(c schema.Check) bool { return c.Name == name })
	fk, ix := t.ForeignKey(name), t.IndexByName(name)
	switch {
	case check >= 0:
		t.Checks[check].Comment = n.Comment
	case fk != nil:
		fk.Comment = n.Comment
	case ix != nil && ix.ConstraintOID != 0:
		ix.ConstraintComment = n.Comment
	default:
		return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" for table \"%s\" does not exist", name, t.Name)
	}
	s.r.Put(t)
	return nil
}

// commentOnAttribute is commentOn of a column of a composite type.
func (s *stmt) commentOnAttribute(ctx context.Context, rv *pg.RangeVar, column, text string) error {
	names := []*pg.Node{pg.MakeStrNode(rv.Relname)}
	if rv.Schemaname != "" {
		names = append([]*pg.Node{pg.MakeStrNode(rv.Schemaname)}, names...)
	}
	t, err := s.findType(ctx, names, false)
	if err != nil && !sqlerr.HasCode(err, sqlerr.UndefinedObject) {
		return err
	}
	if err != nil || t.Def.Kind != usertype.Composite {
		return sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(rv))
	}
	i := types.OfUser(&t.Def).Field(column)
	if i < 0 {
		return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", column, t.Name)
	}
	return s.commentOnPart(ctx, t, uint32(i+1), text)
}

func (s *stmt) commentOnDomainConstraint(ctx context.Context, n *pg.CommentStmt) error {
	items := n.Object.GetList().GetItems() // the domain, the constraint
	name := items[1].GetString_().GetSval()
	t, err := s.findType(ctx, items[0].GetTypeName().GetNames(), false)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(t.Def.Checks, func(c usertype.Check) bool { return c.Name == name })
	if i < 0 {
		return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" for domain %s does not exist", name, types.OfUser(&t.Def))
	}
	return s.commentOnPart(ctx, t, t.Def.Checks[i].OID, n.Comment)
}

func (s *stmt) commentOnPart(ctx context.Context, t *schema.UserType, part uint32, text string) error {
	if err := s.hold(ctx, "COMMENT", t.ID); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, t.ID)
	if err != nil {
		return err
	}
	t = o.(*schema.UserType)
	t.Parts = slices.DeleteFunc(t.Parts, func(p schema.PartComment) bool { return p.Part == part })
	if text != "" {
		t.Parts = append(t.Parts, schema.PartComment{Part: part, Text: text})
	}
	s.r.Put(t)
	return nil
}

func (s *stmt) commentOnRole(ctx context.Context, n *pg.CommentStmt) error {
	old, err := s.role(ctx, n.Object.GetString_().GetSval())
	if err != nil {
		return err
	}
	me, err := s.role(ctx, s.User)
	switch {
	case err != nil:
		return err
	case old.Superuser && !me.Superuser:
		return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser")
	case !me.Superuser && !me.CreateRole:
		return sqlerr.New(sqlerr.InsufficientPrivilege, "must have CREATEROLE privilege")
	}
	role := *old
	role.Comment = n.Comment
	s.r.PutRole(&role)
	return nil
}
