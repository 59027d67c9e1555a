package ddl

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// requireSame has the commit fail if a type, or one that it is made of, has changed by then.
func (s *stmt) requireSame(u *usertype.Type) {
	for ; u != nil; u = u.Base {
		s.r.RequireSame(schema.DescID(u.OID))
		for i := range u.Fields {
			s.requireSame(u.Fields[i].User)
		}
	}
}

// createComposite is CREATE TYPE … AS (…).
func (s *stmt) createComposite(ctx context.Context, n *pg.CompositeTypeStmt) error {
	t, sc, err := s.newTypeAt(ctx, n.Typevar)
	if err != nil {
		return err
	}
	t.Def.Kind = usertype.Composite
	for _, item := range n.Coldeflist {
		d := item.GetColumnDef()
		name := s.cutName(d.Colname)
		if types.OfUser(&t.Def).Field(name) >= 0 {
			return sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" specified more than once", name)
		}
		if d.CollClause != nil {
			if err := checkCollation(stringList(d.CollClause.Collname)); err != nil {
				return err
			}
		}
		ft, err := s.typeName(ctx, d.TypeName)
		if err != nil {
			return withoutPos(err)
		}
		if ft.IsDomain() { // nobody would check its constraints inside of a row
			return sqlerr.Unsupported("a domain as the type of an attribute")
		}
		if !storable(ft) {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", name, ft)
		}
		t.Def.Fields = append(t.Def.Fields, usertype.Field{Name: name, OID: uint32(ft.OID), Mod: ft.Mod, User: ft.User})
	}
	s.putNewType(sc, t)
	return nil
}
