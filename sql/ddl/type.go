package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// typeStatement are the statements about enums, composite types and domains.
func (s *stmt) typeStatement(tree *pg.Node) runner {
	switch n := tree.Node.(type) {
	case *pg.Node_CreateEnumStmt:
		return done("CREATE TYPE", func(ctx context.Context) error { return s.createEnum(ctx, n.CreateEnumStmt) })
	case *pg.Node_CompositeTypeStmt:
		return done("CREATE TYPE", func(ctx context.Context) error { return s.createComposite(ctx, n.CompositeTypeStmt) })
	case *pg.Node_CreateRangeStmt:
		return done("CREATE TYPE", func(context.Context) error {
			return sqlerr.Unsupported("CREATE TYPE … AS RANGE").
				WithHint("There are int4range, int8range, numrange, tsrange, tstzrange and daterange.")
		})
	case *pg.Node_AlterEnumStmt:
		return done("ALTER TYPE", func(ctx context.Context) error { return s.alterEnum(ctx, n.AlterEnumStmt) })
	case *pg.Node_CreateDomainStmt:
		return done("CREATE DOMAIN", func(ctx context.Context) error { return s.createDomain(ctx, n.CreateDomainStmt) })
	case *pg.Node_AlterDomainStmt:
		return done("ALTER DOMAIN", func(ctx context.Context) error { return s.alterDomain(ctx, n.AlterDomainStmt) })
	}
	return nil
}

// typeName resolves a type name. What rests on a user's type needs it to stay as it is until the
// commit.
func (s *stmt) typeName(_ context.Context, n *pg.TypeName) (types.T, error) {
	t, err := bind.TypeName(s.Bind, s.query, n)
	if err == nil {
		s.requireSame(t.User)
	}
	return t, err
}

// typeVar reads the name of a type as one of a relation, to find its schema.
func (s *stmt) typeVar(names []*pg.Node) (*pg.RangeVar, error) {
	return s.rangeVar(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: names}}})
}

// newType finds the place of a type that is to be created.
func (s *stmt) newType(ctx context.Context, names []*pg.Node) (*schema.UserType, *schema.Schema, error) {
	rv, err := s.typeVar(names)
	if err != nil {
		return nil, nil, err
	}
	return s.newTypeAt(ctx, rv)
}

func (s *stmt) newTypeAt(ctx context.Context, rv *pg.RangeVar) (*schema.UserType, *schema.Schema, error) {
	sc, err := s.target(ctx, rv)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, nil, err
	}
	name := s.cutName(rv.Relname)
	o, ix := c.Relation(sc.ID, name)
	_, sequence := o.(*schema.Sequence)
	if c.Type(sc.ID, name) != nil || o != nil && ix == nil && !sequence { // a table's rows are a type of its name
		return nil, nil, sqlerr.New(sqlerr.DuplicateObject, "type \"%s\" already exists", name)
	}
	h, err := s.header(ctx, sc, name)
	if err != nil {
		return nil, nil, err
	}
	array, err := s.Catalog.NewID(ctx)
	t := &schema.UserType{Header: h, Def: usertype.Type{OID: uint32(h.ID), ArrayOID: uint32(array), Schema: sc.Name, Name: name}}
	if err == nil {
		err = s.giveDefaults(ctx, t)
	}
	return t, sc, err
}

func (s *stmt) putNewType(sc *schema.Schema, t *schema.UserType) {
	s.r.Put(t)
	s.r.Bind(sc.ID, schema.TypeName(t.Name), t.ID, 0)
}

func (s *stmt) createEnum(ctx context.Context, n *pg.CreateEnumStmt) error {
	t, sc, err := s.newType(ctx, n.TypeName)
	if err != nil {
		return err
	}
	t.Def.Kind = usertype.Enum
	for _, label := range stringList(n.Vals) {
		if t.Def.Label(label) != nil {
			return sqlerr.New(sqlerr.UniqueViolation, "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"").
				WithDetail("Key (enumtypid, enumlabel)=(%d, %s) already exists.", t.ID, label).
				WithTable("pg_catalog", "pg_enum").WithConstraint("pg_enum_typid_label_index")
		}
		if err := s.addLabel(ctx, &t.Def, len(t.Def.Labels), label); err != nil {
			return err
		}
	}
	s.putNewType(sc, t)
	return nil
}

func (s *stmt) addLabel(ctx context.Context, def *usertype.Type, at int, label string) error {
	if len(label) > nameBytesMax {
		return sqlerr.New(sqlerr.InvalidName, "invalid enum label \"%s\"", label).
			WithDetail("Labels must be %d bytes or less.", nameBytesMax)
	}
	id, err := s.Catalog.NewID(ctx)
	if err == nil && !def.Insert(at, uint32(id), label) {
		err = sqlerr.New(sqlerr.ProgramLimitExceeded, "no place is left between the values beside \"%s\"", label).
			WithHint("Put the value in another place, or make a new type and change the columns to it.")
	}
	return err
}

// findType finds a type to change or drop; nil if it may be missing and is.
func (s *stmt) findType(ctx context.Context, names []*pg.Node, missingOK bool) (*schema.UserType, error) {
	rv, err := s.typeVar(names)
	if err != nil {
		return nil, err
	}
	if err := s.missingSchema(ctx, rv, missingOK); err != nil {
		return nil, err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	path := s.SearchPath
	if rv.Schemaname != "" {
		path = []string{rv.Schemaname}
	}
	for _, p := range path {
		if sc := c.Schema(s.Database.ID, p); sc != nil {
			if t := c.Type(sc.ID, rv.Relname); t != nil {
				return t, nil
			}
		}
	}
	if missingOK {
		return nil, s.skipped("type \"%s\" does not exist, skipping", nameOf(rv))
	}
	return nil, sqlerr.New(sqlerr.UndefinedObject, "type \"%s\" does not exist", nameOf(rv))
}

// holdType takes a type and all that use it out of use and returns a copy to change. putType or
// remove has to follow: what is held stays so until it is written.
func (s *stmt) holdType(ctx context.Context, what string, t *schema.UserType) (*schema.UserType, error) {
	ids, err := s.usersOf(ctx, uint32(t.ID))
	if err != nil {
		return nil, err
	}
	if err := s.mustOwn(ctx, t.ID); err != nil {
		return nil, err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if tab := c.Table(id); tab != nil {
			if err := s.notRewritten(ctx, tab, what+" used by"); err != nil {
				return nil, err
			}
		}
	}
	if err := s.r.Hold(ctx, what, append([]schema.DescID{t.ID}, ids...)...); err != nil {
		return nil, err
	}
	if c, err = s.r.Contents(ctx); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if tab := c.Table(id); tab != nil && tab.Rewriting != nil {
			return nil, &schema.StaleError{Name: tab.Name} // since a moment
		}
	}
	// What began to use the type meanwhile is not held: then everything is done again.
	s.r.Require(func(c *schema.Contents) error {
		for _, o := range c.Objects() {
			if id := o.Head().ID; usesType(o, uint32(t.ID)) && !slices.Contains(ids, id) && id != t.ID {
				return &schema.StaleError{Name: t.Name}
			}
		}
		return nil
	})
	o, err := s.copyOf(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return o.(*schema.UserType), nil
}

// usersOf lists the tables, views and domains that use a type.
func (s *stmt) usersOf(ctx context.Context, oid uint32) ([]schema.DescID, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	var ids []schema.DescID
	for _, o := range c.Objects() {
		if usesType(o, oid) && uint32(o.Head().ID) != oid {
			ids = append(ids, o.Head().ID)
		}
	}
	return ids, nil
}

func usesType(o schema.Object, oid uint32) bool {
	for _, t := range typesIn(o) {
		if t.User.Uses(oid) {
			return true
		}
	}
	return false
}

// typesIn are the places where an object keeps types.
func typesIn(o schema.Object) []*schema.Type {
	var out []*schema.Type
	columns := func(cs []schema.Column) {
		for i := range cs {
			out = append(out, &cs[i].Type)
		}
	}
	switch o := o.(type) {
	case *schema.Table:
		columns(o.Columns)
	case *schema.View:
		columns(o.Columns)
	case *schema.UserType:
		out = append(out, &schema.Type{User: o.Def.Base})
		for i := range o.Def.Fields {
			out = append(out, &schema.Type{User: o.Def.Fields[i].User})
		}
	case *schema.Function:
		columns(o.Columns)
		for i := range o.Args {
			out = append(out, &o.Args[i].Type)
		}
		out = append(out, &o.Result)
	}
	return out
}

// putType writes a changed type, and its definition anew into all that use it.
func (s *stmt) putType(ctx context.Context, t *schema.UserType) error {
	ids, err := s.usersOf(ctx, uint32(t.ID))
	if err != nil {
		return err
	}
	before, err := s.copyOf(ctx, t.ID)
	if err != nil {
		return err
	}
	old := &before.(*schema.UserType).Def
	s.r.Put(t)
	for _, id := range ids {
		o, err := s.copyOf(ctx, id)
		if err != nil {
			return err
		}
		if d, ok := o.(*schema.UserType); ok {
			d.Def = *redefined(&d.Def, &t.Def)
		}
		for _, x := range typesIn(o) {
			x.User = redefined(x.User, &t.Def)
		}
		if tab, ok := o.(*schema.Table); ok {
			for i := range tab.Columns {
				renameInDefault(&tab.Columns[i], old, &t.Def)
			}
		}
		s.r.Put(o)
	}
	return nil
}

// renameInDefault keeps a default that is a literal of a type whose name, or whose label, has
// changed. Labels in other expressions are texts to Cairn and stay as they are.
func renameInDefault(c *schema.Column, old, now *usertype.Type) {
	literal, ok := strings.CutSuffix(c.Default, "::"+types.OfUser(old).String())
	if !ok || c.Type.User == nil || c.Type.User.OID != now.OID {
		return
	}
	for i := range old.Labels {
		l := now.LabelAt(old.Labels[i].Position)
		if l != nil && literal == quoteLiteral(old.Labels[i].Name) {
			literal = quoteLiteral(l.Name)
			break
		}
	}
	c.Default = literal + "::" + types.OfUser(now).String()
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// redefined is a definition with the one of def's number in it replaced.
func redefined(u, def *usertype.Type) *usertype.Type {
	switch {
	case u == nil:
		return nil
	case u.OID == def.OID:
		return def.Clone()
	}
	c := u.Clone()
	c.Base = redefined(u.Base, def)
	for i := range c.Fields {
		c.Fields[i].User = redefined(c.Fields[i].User, def)
	}
	return c
}

func (s *stmt) enumToAlter(ctx context.Context, names []*pg.Node) (*schema.UserType, error) {
	t, err := s.findType(ctx, names, false)
	if err == nil && t.Def.Kind != usertype.Enum {
		err = sqlerr.New(sqlerr.WrongObjectType, "%s is not an enum", types.OfUser(&t.Def))
	}
	return t, err
}

// alterEnum adds a value or renames one. Neither touches a row.
func (s *stmt) alterEnum(ctx context.Context, n *pg.AlterEnumStmt) error {
	t, err := s.enumToAlter(ctx, n.TypeName)
	if err != nil {
		return err
	}
	if t.Def.Label(n.NewVal) != nil {
		if n.SkipIfNewValExists {
			return s.present(sqlerr.DuplicateObject, "enum label \"%s\" already exists, skipping", n.NewVal)
		}
		if n.OldVal == "" || t.Def.Label(n.OldVal) != nil {
			return sqlerr.New(sqlerr.DuplicateObject, "enum label \"%s\" already exists", n.NewVal)
		}
	}
	for _, name := range []string{n.OldVal, n.NewValNeighbor} {
		if name != "" && t.Def.Label(name) == nil {
			return sqlerr.New(sqlerr.InvalidParameterValue, "\"%s\" is not an existing enum label", name)
		}
	}
	if t, err = s.holdType(ctx, "ALTER TYPE", t); err != nil {
		return err
	}
	if n.OldVal != "" {
		t.Def.Label(n.OldVal).Name = n.NewVal
		return s.putType(ctx, t)
	}
	at := len(t.Def.Labels)
	if n.NewValNeighbor != "" {
		at = slices.IndexFunc(t.Def.Labels, func(l usertype.Label) bool { return l.Name == n.NewValNeighbor })
		if n.NewValIsAfter {
			at++
		}
	}
	if err := s.addLabel(ctx, &t.Def, at, n.NewVal); err != nil {
		return err
	}
	return s.putType(ctx, t)
}

// dropTypes is DROP TYPE and DROP DOMAIN.
func (s *stmt) dropTypes(ctx context.Context, n *pg.DropStmt) error {
	for _, o := range n.Objects {
		t, err := s.findType(ctx, o.GetTypeName().GetNames(), n.MissingOk)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if n.RemoveType == pg.ObjectType_OBJECT_DOMAIN && t.Def.Kind != usertype.Domain {
			return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a domain", t.Name)
		}
		if err := s.dropType(ctx, t, n.Behavior == pg.DropBehavior_DROP_CASCADE); err != nil {
			return err
		}
	}
	return nil
}

func (s *stmt) dropType(ctx context.Context, t *schema.UserType, cascade bool) error {
	ids, err := s.usersOf(ctx, uint32(t.ID))
	if err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	what := types.OfUser(&t.Def).String()
	var uses []string
	for _, id := range ids {
		uses = append(uses, usesInWords(c.Object(id), uint32(t.ID))...)
	}
	if len(uses) > 0 && !cascade {
		for i, u := range uses {
			uses[i] = fmt.Sprintf("%s depends on type %s", u, what)
		}
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop type %s because other objects depend on it", what).
			WithDetail("%s", strings.Join(uses, "\n")).
			WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	if len(uses) > 0 {
		return sqlerr.Unsupported("DROP TYPE … CASCADE of a type that columns use").
			WithHint("Drop the columns with ALTER TABLE first.")
	}
	if t, err = s.holdType(ctx, "DROP TYPE", t); err != nil {
		return err
	}
	s.remove(t)
	return nil
}

// usesInWords names what uses a type, as DROP's detail does.
func usesInWords(o schema.Object, oid uint32) []string {
	var out []string
	columns := func(cs []schema.Column) {
		for _, c := range cs {
			if c.Type.User.Uses(oid) {
				out = append(out, fmt.Sprintf("column %s of %s %s", c.Name, o.Kind(), o.Head().Name))
			}
		}
	}
	switch o := o.(type) {
	case *schema.Table:
		columns(o.Columns)
	case *schema.View:
		columns(o.Columns)
	case *schema.UserType:
		out = append(out, "type "+o.Name)
	case *schema.Function:
		out = append(out, "function "+bind.FunctionSignature(o))
	}
	return out
}

// renameType is ALTER TYPE or DOMAIN … RENAME TO.
func (s *stmt) renameType(ctx context.Context, n *pg.RenameStmt) error {
	t, err := s.findType(ctx, n.Object.GetList().GetItems(), false)
	if err != nil {
		return err
	}
	if n.RenameType == pg.ObjectType_OBJECT_DOMAIN && t.Def.Kind != usertype.Domain {
		return sqlerr.New(sqlerr.WrongObjectType, "%s is not a domain", types.OfUser(&t.Def))
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	name := s.cutName(n.Newname)
	if o, _ := c.Relation(t.SchemaID, name); o != nil || c.Type(t.SchemaID, name) != nil {
		return sqlerr.New(sqlerr.DuplicateObject, "type \"%s\" already exists", name)
	}
	if t, err = s.holdType(ctx, "RENAME", t); err != nil {
		return err
	}
	s.r.Unbind(t.SchemaID, schema.TypeName(t.Name))
	t.Name, t.Def.Name = name, name
	s.r.Bind(t.SchemaID, schema.TypeName(name), t.ID, 0)
	return s.putType(ctx, t)
}

// moveType is ALTER TYPE or DOMAIN … SET SCHEMA.
func (s *stmt) moveType(ctx context.Context, n *pg.AlterObjectSchemaStmt) error {
	t, err := s.findType(ctx, n.Object.GetList().GetItems(), n.MissingOk)
	if err != nil || t == nil {
		return err
	}
	sc, err := s.target(ctx, &pg.RangeVar{Schemaname: n.Newschema, Relname: t.Name, Location: -1})
	if err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if c.Type(sc.ID, t.Name) != nil {
		return sqlerr.New(sqlerr.DuplicateObject, "type \"%s\" already exists in schema \"%s\"", t.Name, sc.Name)
	}
	if t, err = s.holdType(ctx, "SET SCHEMA", t); err != nil {
		return err
	}
	s.r.Unbind(t.SchemaID, schema.TypeName(t.Name))
	t.SchemaID, t.Def.Schema = sc.ID, sc.Name
	s.r.Bind(sc.ID, schema.TypeName(t.Name), t.ID, 0)
	return s.putType(ctx, t)
}
