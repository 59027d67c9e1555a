package ddl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Default privileges: what is granted on an object when a role makes it, as in Postgres.
//
//	global entry of the role, else what Postgres starts with  ─┐
//	                                                           ├──► Header.ACL of the new object
//	entry of the role for the object's schema ─────────────────┘
//
// A global entry takes the place of what Postgres starts with, so that REVOKE can take away from it;
// one for a schema only adds.

// defaultKinds are the kinds that have default privileges.
var defaultKinds = map[pg.ObjectType]schema.Kind{
	pg.ObjectType_OBJECT_TABLE: schema.KindTable, pg.ObjectType_OBJECT_SEQUENCE: schema.KindSequence,
	pg.ObjectType_OBJECT_TYPE: schema.KindType, pg.ObjectType_OBJECT_FUNCTION: schema.KindFunction, pg.ObjectType_OBJECT_SCHEMA: schema.KindSchema,
}

func (s *stmt) alterDefaultPrivileges(ctx context.Context, n *pg.AlterDefaultPrivilegesStmt) error {
	kind, ok := defaultKinds[n.Action.Objtype]
	if !ok {
		return sqlerr.Unsupported("ALTER DEFAULT PRIVILEGES ON %sS", strings.TrimPrefix(n.Action.Objtype.String(), "OBJECT_"))
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	to, err := s.grantees(ctx, n.Action.Grantees)
	if err != nil {
		return err
	}
	roles, in := []string{s.User}, []schema.DescID{0}
	for _, o := range n.Options {
		d := o.GetDefElem()
		switch d.Defname {
		case "roles":
			if roles, err = s.grantees(ctx, d.Arg.GetList().GetItems()); err != nil {
				return err
			}
		case "schemas":
			if kind == schema.KindSchema {
				return sqlerr.New(sqlerr.InvalidGrantOperation, "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS")
			}
			in = nil
			for _, x := range d.Arg.GetList().GetItems() {
				sc := c.Schema(s.Database.ID, x.GetString_().GetSval())
				if sc == nil {
					return sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", x.GetString_().GetSval())
				}
				in = append(in, sc.ID)
			}
		}
	}
	like := ofKind(kind, schema.Header{})
	if kind == schema.KindTable {
		like = &schema.View{} // its errors speak of relations, of which there are several kinds
	}
	privs, cols, err := wanted(n.Action, like)
	if err != nil {
		return err
	}
	if len(cols) > 0 {
		return sqlerr.New(sqlerr.InvalidGrantOperation, "default privileges cannot be set for columns")
	}
	db := c.DatabaseByID(s.Database.ID).Clone()
	for _, role := range roles {
		if !c.IsSuperuser(s.User) && !c.IsMember(s.User, role) {
			return sqlerr.New(sqlerr.InsufficientPrivilege, "must be member of role \"%s\"", role)
		}
		for _, sc := range in {
			if err := s.changeDefault(ctx, db, schema.DefaultACL{Role: role, SchemaID: sc, Kind: kind}, n.Action, to, privs); err != nil {
				return err
			}
		}
	}
	s.r.Put(db)
	return nil
}

// ofKind is an object of a kind, as far as its privileges go.
func ofKind(k schema.Kind, h schema.Header) schema.Object {
	switch k {
	case schema.KindSequence:
		return &schema.Sequence{Header: h}
	case schema.KindType:
		return &schema.UserType{Header: h}
	case schema.KindSchema:
		return &schema.Schema{Header: h}
	case schema.KindFunction:
		return &schema.Function{Header: h}
	}
	return &schema.Table{Header: h}
}

func (s *stmt) changeDefault(ctx context.Context, db *schema.Database, d schema.DefaultACL, n *pg.GrantStmt, to []string, privs schema.Privileges) (err error) {
	initial := schema.ACLOf(ofKind(d.Kind, schema.Header{Owner: d.Role}))
	if d.SchemaID != 0 {
		initial = nil
	}
	i := slices.IndexFunc(db.Defaults, func(x schema.DefaultACL) bool {
		return x.Role == d.Role && x.SchemaID == d.SchemaID && x.Kind == d.Kind
	})
	if i >= 0 {
		d = db.Defaults[i]
	} else {
		d.ACL = slices.Clone(initial)
		if d.OID, err = s.Catalog.NewID(ctx); err != nil {
			return err
		}
	}
	if d.ACL, err = changeACL(slices.Clone(d.ACL), n, d.Role, to, privs); err != nil {
		return err
	}
	if err := s.sortACL(ctx, d.ACL); err != nil {
		return err
	}
	switch gone := slices.Equal(d.ACL, initial); {
	case gone && i >= 0:
		db.Defaults = slices.Delete(db.Defaults, i, i+1)
	case gone:
	case i >= 0:
		db.Defaults[i] = d
	default:
		db.Defaults = append(db.Defaults, d)
	}
	return nil
}

// giveDefaults grants on something new what its owner's default privileges say.
func (s *stmt) giveDefaults(ctx context.Context, o schema.Object) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	h, kind := o.Head(), o.Kind()
	if kind == schema.KindView {
		kind = schema.KindTable
	}
	db := c.DatabaseByID(h.DatabaseID)
	if db == nil || len(db.Defaults) == 0 {
		return nil
	}
	initial := schema.ACLOf(o)
	acl := slices.Clone(initial)
	for _, sc := range []schema.DescID{0, h.SchemaID} {
		for _, d := range db.Defaults {
			if d.Role != h.Owner || d.Kind != kind || d.SchemaID != sc {
				continue
			}
			if sc == 0 {
				acl = slices.Clone(d.ACL)
				continue
			}
			for _, g := range d.ACL {
				acl = mergeGrant(acl, g)
			}
		}
		if h.SchemaID == 0 {
			break
		}
	}
	if err := s.sortACL(ctx, acl); err != nil {
		return err
	}
	if !slices.Equal(acl, initial) {
		h.ACL, h.ACLSet = acl, true
	}
	return nil
}

// sortACL orders grants by the numbers of roles, as Postgres does where they come from default
// privileges.
func (s *stmt) sortACL(ctx context.Context, acl []schema.Grant) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	number := func(name string) schema.DescID {
		if r := c.Role(name); r != nil {
			return r.OID
		}
		return 0
	}
	slices.SortFunc(acl, func(a, b schema.Grant) int {
		return cmp.Or(cmp.Compare(number(a.Role), number(b.Role)), cmp.Compare(number(a.Grantor), number(b.Grantor)))
	})
	return nil
}

func mergeGrant(acl []schema.Grant, g schema.Grant) []schema.Grant {
	for i := range acl {
		if acl[i].Role == g.Role && acl[i].Grantor == g.Grantor {
			acl[i].Has |= g.Has
			acl[i].Grantable |= g.Grantable
			return acl
		}
	}
	return append(acl, g)
}

// defaultsOf says, for who would drop a role, which default privileges are its own or name it.
func defaultsOf(c *schema.Contents, db *schema.Database, role string) (out []string) {
	for _, d := range db.Defaults {
		if d.SchemaID != 0 && c.SchemaByID(d.SchemaID) == nil {
			continue // which went with its schema
		}
		what := fmt.Sprintf("default privileges on new %s belonging to role %s", defaultWords[d.Kind], d.Role)
		if sc := c.SchemaByID(d.SchemaID); sc != nil {
			what += " in schema " + sc.Name
		}
		if d.Role == role {
			out = append(out, "owner of "+what)
		} else if slices.ContainsFunc(d.ACL, func(g schema.Grant) bool { return g.Role == role }) {
			out = append(out, "privileges for "+what)
		}
	}
	return out
}

var defaultWords = map[schema.Kind]string{schema.KindTable: "relations", schema.KindSequence: "sequences", schema.KindType: "types", schema.KindFunction: "functions",
	schema.KindSchema: "schemas"}
