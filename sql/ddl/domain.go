package ddl

import (
	"context"
	"errors"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (s *stmt) createDomain(ctx context.Context, n *pg.CreateDomainStmt) error {
	base, err := s.typeName(ctx, n.TypeName)
	if err != nil {
		return withoutPos(err)
	}
	if base.IsComposite() {
		return sqlerr.Unsupported("a domain over a composite type")
	}
	if !storable(base) {
		return sqlerr.New(sqlerr.DatatypeMismatch, "\"%s\" is not a valid base type for a domain", base)
	}
	if n.CollClause != nil {
		if err := checkCollation(stringList(n.CollClause.Collname)); err != nil {
			return err
		}
	}
	t, sc, err := s.newType(ctx, n.Domainname)
	if err != nil {
		return err
	}
	d := &t.Def
	d.Kind, d.ArrayOID = usertype.Domain, 0
	d.BaseOID, d.BaseMod, d.Base = uint32(base.OID), base.Mod, base.User
	null := false
	for _, x := range n.Constraints {
		c := x.GetConstraint()
		switch c.Contype {
		case pg.ConstrType_CONSTR_NULL:
			null = true
		case pg.ConstrType_CONSTR_NOTNULL:
			d.NotNull = true
		case pg.ConstrType_CONSTR_DEFAULT:
			err = s.domainDefault(d, c.RawExpr)
		case pg.ConstrType_CONSTR_CHECK:
			_, err = s.domainCheck(ctx, d, c)
		default:
			err = sqlerr.New(sqlerr.SyntaxError, "unique constraints not possible for domains")
			if c.Contype == pg.ConstrType_CONSTR_FOREIGN {
				err = sqlerr.New(sqlerr.SyntaxError, "foreign key constraints not possible for domains")
			}
		}
		if err != nil {
			return err
		}
	}
	if null && d.NotNull {
		return sqlerr.New(sqlerr.SyntaxError, "conflicting NULL/NOT NULL constraints")
	}
	s.putNewType(sc, t)
	return nil
}

// withoutPos takes the position out of an error: Postgres gives none for what stands in a domain's
// definition.
func withoutPos(err error) error {
	if e := new(sqlerr.Error); errors.As(err, &e) {
		c := *e
		c.Position = 0
		return &c
	}
	return err
}

// domainDefault sets a domain's default, which must be one of its base type.
func (s *stmt) domainDefault(d *usertype.Type, n *pg.Node) error {
	base := types.OfUser(d).Plain()
	if _, err := s.bindFor(n, s.query, nil, base); err != nil {
		return withoutPos(err)
	}
	text, err := defaultText(n, base)
	if d.Default = text; n.GetAConst().GetIsnull() {
		d.Default = ""
	}
	return err
}

// domainCheck adds a CHECK to a domain.
func (s *stmt) domainCheck(ctx context.Context, d *usertype.Type, n *pg.Constraint) (*usertype.Check, error) {
	text, err := exprText(n.RawExpr)
	if err != nil {
		return nil, err
	}
	if err := bind.CheckDomain(s.Bind, d, text); err != nil {
		return nil, err
	}
	name := n.Conname
	has := func(x string) bool {
		return slices.ContainsFunc(d.Checks, func(c usertype.Check) bool { return c.Name == x })
	}
	switch {
	case name != "" && has(name):
		return nil, sqlerr.New(sqlerr.DuplicateObject, "constraint \"%s\" for domain \"%s\" already exists", name, d.Name)
	case name == "":
		for i := 0; name == "" || has(name); i++ {
			label := "check"
			if i > 0 {
				label += itoa(i)
			}
			name = fitName(d.Name, "", label)
		}
	}
	id, err := s.Catalog.NewID(ctx)
	d.Checks = append(d.Checks, usertype.Check{OID: uint32(id), Name: s.cutName(name), Expr: text})
	return &d.Checks[len(d.Checks)-1], err
}

// alterDomain does what pg_query calls T (default), N and O (NULL or not), C and X (constraints).
func (s *stmt) alterDomain(ctx context.Context, n *pg.AlterDomainStmt) error {
	t, err := s.findType(ctx, n.TypeName, false)
	if err != nil {
		return err
	}
	if t.Def.Kind != usertype.Domain {
		return sqlerr.New(sqlerr.WrongObjectType, "%s is not a domain", types.OfUser(&t.Def))
	}
	if t, err = s.holdType(ctx, "ALTER DOMAIN", t); err != nil {
		return err
	}
	d := &t.Def
	switch n.Subtype {
	case "T":
		d.Default = ""
		if n.Def != nil {
			err = s.domainDefault(d, n.Def)
		}
	case "N":
		d.NotNull = false
	case "O":
		d.NotNull = true
		err = s.recheck(ctx, d, "VALUE IS NOT NULL", sqlerr.NotNullViolation, "column \"%s\" of table \"%s\" contains null values")
	case "C":
		var ck *usertype.Check
		if ck, err = s.domainCheck(ctx, d, n.Def.GetConstraint()); err == nil && !n.Def.GetConstraint().SkipValidation {
			err = s.recheck(ctx, d, ck.Expr, sqlerr.CheckViolation, "column \"%s\" of table \"%s\" contains values that violate the new constraint")
		}
	case "X":
		i := slices.IndexFunc(d.Checks, func(c usertype.Check) bool { return c.Name == n.Name })
		switch {
		case i >= 0:
			d.Checks = slices.Delete(d.Checks, i, i+1)
		case n.MissingOk:
			err = s.skipped("constraint \"%s\" of domain \"%s\" does not exist, skipping", n.Name, d.Name)
		default:
			return sqlerr.New(sqlerr.UndefinedObject, "constraint \"%s\" of domain \"%s\" does not exist", n.Name, d.Name)
		}
	case "V":
	default:
		return sqlerr.Unsupported("this form of ALTER DOMAIN")
	}
	if err != nil {
		return err
	}
	return s.putType(ctx, t)
}

// recheck reads the tables that have columns of a domain for values that a new condition forbids.
func (s *stmt) recheck(ctx context.Context, d *usertype.Type, cond string, code sqlerr.Code, message string) error {
	ids, err := s.usersOf(ctx, d.OID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		o, err := s.copyOf(ctx, id)
		if err != nil {
			return err
		}
		t, ok := o.(*schema.Table)
		if !ok {
			continue
		}
		for i := range t.Columns {
			c := &t.Columns[i]
			if !c.Type.User.Uses(d.OID) {
				continue
			}
			expr, err := overColumn(cond, c.Name)
			if err != nil {
				return err
			}
			w := s.newRewrite(t, t)
			w.checks = []schema.Check{{Name: d.Name, Expr: expr, Columns: []schema.ColumnID{c.ID}}}
			err = w.run(ctx)
			if sqlerr.HasCode(err, sqlerr.CheckViolation) {
				return sqlerr.New(code, message, c.Name, t.Name).WithTable(d.Schema, t.Name).WithColumn(c.Name)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// overColumn is a domain's condition with a column in the place of VALUE.
func overColumn(cond, column string) (string, error) {
	n, _, err := parseExpr(cond)
	if err != nil {
		return "", err
	}
	walkColumnRefs(n, func(ref *pg.ColumnRef) {
		if last := ref.Fields[len(ref.Fields)-1].GetString_(); last != nil && last.Sval == "value" {
			last.Sval = column
		}
	})
	return exprText(n)
}
