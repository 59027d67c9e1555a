package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// grant is GRANT and REVOKE of privileges on objects.
//
//	objects × privileges × grantees ──► Header.ACL, Column.ACL
//
// A grant is by the object's owner, also if a superuser or a member of the owner runs it, as in
// Postgres. Roles are kept by name; DROP ROLE asks that no grant names the role.
func (s *stmt) grant(ctx context.Context, n *pg.GrantStmt) error {
	kind, ok := grantKinds[n.Objtype]
	if !ok {
		return sqlerr.Unsupported("GRANT ON %s", strings.TrimPrefix(n.Objtype.String(), "OBJECT_"))
	}
	objects, err := s.grantObjects(ctx, n, kind)
	if err != nil {
		return err
	}
	to, err := s.grantees(ctx, n.Grantees)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := s.grantOn(ctx, n, o, to); err != nil {
			return err
		}
	}
	return nil
}

var grantKinds = map[pg.ObjectType]schema.Kind{
	pg.ObjectType_OBJECT_TABLE: schema.KindTable, pg.ObjectType_OBJECT_SEQUENCE: schema.KindSequence,
	pg.ObjectType_OBJECT_DATABASE: schema.KindDatabase, pg.ObjectType_OBJECT_SCHEMA: schema.KindSchema,
	pg.ObjectType_OBJECT_TYPE: schema.KindType, pg.ObjectType_OBJECT_DOMAIN: schema.KindType,
	pg.ObjectType_OBJECT_FUNCTION: schema.KindFunction, pg.ObjectType_OBJECT_PROCEDURE: schema.KindFunction,
	pg.ObjectType_OBJECT_ROUTINE: schema.KindFunction,
}

// grantObjects finds what a statement names, or all of a kind in schemas.
func (s *stmt) grantObjects(ctx context.Context, n *pg.GrantStmt, kind schema.Kind) ([]schema.Object, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	var out []schema.Object
	for _, x := range n.Objects {
		name := x.GetString_().GetSval()
		var o schema.Object
		switch {
		case n.Targtype == pg.GrantTargetType_ACL_TARGET_ALL_IN_SCHEMA:
			sc := c.Schema(s.Database.ID, name)
			if sc == nil {
				return nil, sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", name)
			}
			for _, o := range c.Objects() {
				if k := o.Kind(); o.Head().SchemaID == sc.ID && (k == kind || kind == schema.KindTable && k == schema.KindView) {
					out = append(out, o)
				}
			}
			continue
		case kind == schema.KindDatabase:
			if db := c.Database(name); db != nil {
				o = db
			} else {
				return nil, sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", name)
			}
		case kind == schema.KindSchema:
			if sc := c.Schema(s.Database.ID, name); sc != nil {
				o = sc
			} else if slices.Contains(reservedSchemas, name) {
				continue // everyone may use them, and nothing can be put in
			} else {
				return nil, sqlerr.New(sqlerr.InvalidSchemaName, "schema \"%s\" does not exist", name)
			}
		case kind == schema.KindType:
			t, err := s.findType(ctx, x.GetList().GetItems(), false)
			if err != nil {
				return nil, err
			}
			o = t
		case kind == schema.KindFunction:
			f, err := s.findFunction(ctx, x.GetObjectWithArgs(), n.Objtype, false)
			if err != nil {
				return nil, err
			}
			o = f
		default:
			f, err := s.find(ctx, x.GetRangeVar())
			if err != nil {
				return nil, err
			}
			if f.index != nil {
				return nil, sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is an index", x.GetRangeVar().Relname)
			}
			if kind == schema.KindSequence && f.object.Kind() != kind {
				return nil, sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a sequence", x.GetRangeVar().Relname)
			}
			o = f.object
		}
		out = append(out, o)
	}
	return out, nil
}

// grantees are the roles' names, "" for PUBLIC.
func (s *stmt) grantees(ctx context.Context, list []*pg.Node) ([]string, error) {
	var out []string
	for _, x := range list {
		r := x.GetRoleSpec()
		if r.Roletype == pg.RoleSpecType_ROLESPEC_PUBLIC {
			out = append(out, "")
			continue
		}
		name, err := s.roleName(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, nil
}

// columnGrant is what a statement gives on one column.
type columnGrant struct {
	name  string
	privs schema.Privileges
}

// wanted reads the privileges of a statement, those on the whole object and those on columns.
func wanted(n *pg.GrantStmt, o schema.Object) (whole schema.Privileges, cols []columnGrant, err error) {
	all := schema.AllPrivileges(o.Kind())
	if len(n.Privileges) == 0 {
		return all, nil, nil
	}
	for _, x := range n.Privileges {
		a := x.GetAccessPriv()
		p := schema.ColumnPrivileges
		if a.PrivName != "" {
			var ok bool
			if p, ok = schema.ParsePrivilege(a.PrivName); !ok {
				return 0, nil, sqlerr.New(sqlerr.SyntaxError, "unrecognized privilege type \"%s\"", a.PrivName)
			}
		}
		for _, c := range stringList(a.Cols) {
			if p&^schema.ColumnPrivileges != 0 {
				return 0, nil, sqlerr.New(sqlerr.InvalidGrantOperation, "invalid privilege type %s for column", strings.ToUpper(a.PrivName))
			}
			cols = append(cols, columnGrant{c, p})
		}
		if len(a.Cols) > 0 {
			continue
		}
		if p&^all != 0 {
			kind := o.Kind().String()
			if kind == "view" {
				kind = "relation"
			}
			return 0, nil, sqlerr.New(sqlerr.InvalidGrantOperation, "invalid privilege type %s for %s", strings.ToUpper(a.PrivName), kind)
		}
		whole |= p
	}
	return whole, cols, nil
}

func (s *stmt) grantOn(ctx context.Context, n *pg.GrantStmt, o schema.Object, to []string) error {
	whole, cols, err := wanted(n, o)
	if err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	asked := whole
	for _, cg := range cols {
		asked |= cg.privs
	}
	may := c.Grantable(s.User, o, asked)
	switch {
	case may == 0 && c.Granted(s.User, o, schema.AllPrivileges(o.Kind())) == 0:
		return bind.Denied(o)
	case may == 0:
		s.warn(grantWarning(n, o))
		return nil
	}
	grantor := o.Head().Owner
	if !c.Owns(s.User, o) {
		grantor = s.User
	}
	if k := o.Kind(); k != schema.KindDatabase && k != schema.KindSchema {
		if err := s.r.Hold(ctx, "GRANT", o.Head().ID); err != nil {
			return err
		}
	}
	if o, err = s.copyOf(ctx, o.Head().ID); err != nil {
		return err
	}
	h := o.Head()
	if whole != 0 {
		if h.ACL, err = changeACL(slices.Clone(schema.ACLOf(o)), n, grantor, to, whole&may); err != nil {
			return err
		}
		h.ACLSet = true
	}
	if t, ok := o.(*schema.Table); ok && !n.IsGrant && whole&schema.ColumnPrivileges != 0 {
		// What is taken back on the table is taken back on its columns.
		for i := range t.Columns {
			if t.Columns[i].ACL, err = changeACL(t.Columns[i].ACL, n, grantor, to, whole&may); err != nil {
				return err
			}
		}
	}
	for _, cg := range cols {
		t, ok := o.(*schema.Table)
		if !ok {
			return sqlerr.Unsupported("GRANT on columns of what is no table")
		}
		col := t.Column(cg.name)
		if col == nil || col.Hidden {
			return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", cg.name, t.Name)
		}
		if col.ACL, err = changeACL(col.ACL, n, grantor, to, cg.privs&may); err != nil {
			return err
		}
	}
	s.r.Put(o)
	return nil
}

func grantWarning(n *pg.GrantStmt, o schema.Object) *sqlerr.Error {
	if n.IsGrant {
		return sqlerr.New("01007", "no privileges were granted for \"%s\"", o.Head().Name)
	}
	return sqlerr.New("01006", "no privileges could be revoked for \"%s\"", o.Head().Name)
}

// changeACL adds to a list of grants or takes from it; what has nothing left goes.
func changeACL(acl []schema.Grant, n *pg.GrantStmt, grantor string, to []string, p schema.Privileges) ([]schema.Grant, error) {
	for _, role := range to {
		i := slices.IndexFunc(acl, func(g schema.Grant) bool {
			return g.Role == role && (g.Grantor == grantor || !n.IsGrant)
		})
		switch {
		case i < 0 && !n.IsGrant:
			continue
		case i < 0:
			acl = append(acl, schema.Grant{Role: role, Grantor: grantor})
			i = len(acl) - 1
		}
		g := &acl[i]
		switch {
		case n.IsGrant:
			g.Has |= p
			if n.GrantOption {
				g.Grantable |= p
			}
		case n.GrantOption: // REVOKE GRANT OPTION FOR
			g.Grantable &^= p
		default:
			g.Has, g.Grantable = g.Has&^p, g.Grantable&^p
		}
	}
	if !n.IsGrant {
		for _, role := range to {
			if err := revokeDependent(acl, role, grantor, n.Behavior == pg.DropBehavior_DROP_CASCADE); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(acl, func(g schema.Grant) bool { return g.Has == 0 }), nil
}

// revokeDependent takes back what a role passed on and may not pass on any more.
func revokeDependent(acl []schema.Grant, role, owner string, cascade bool) error {
	if role == "" || role == owner {
		return nil
	}
	var may schema.Privileges
	for _, g := range acl {
		if g.Role == role {
			may |= g.Grantable
		}
	}
	for i := range acl {
		g := &acl[i]
		if g.Grantor != role || g.Has&^may == 0 {
			continue
		}
		if !cascade {
			return sqlerr.New(sqlerr.DependentObjectsStillExist, "dependent privileges exist").WithHint("Use CASCADE to revoke them too.")
		}
		g.Has, g.Grantable = g.Has&may, g.Grantable&may
		if err := revokeDependent(acl, g.Role, owner, cascade); err != nil {
			return err
		}
	}
	return nil
}

// grantRole is GRANT role TO role and its inverse.
func (s *stmt) grantRole(ctx context.Context, n *pg.GrantRoleStmt) error {
	members, err := s.grantees(ctx, n.GranteeRoles)
	if err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	me := c.Role(s.User)
	for _, x := range n.GrantedRoles {
		group := x.GetAccessPriv().GetPrivName()
		if _, err := s.role(ctx, group); err != nil {
			return err
		}
		if me == nil || !me.Superuser && !me.CreateRole {
			return sqlerr.New(sqlerr.InsufficientPrivilege, "must have admin option on role \"%s\"", group)
		}
		for _, m := range members {
			r, err := s.role(ctx, m)
			if err != nil {
				return err
			}
			has := slices.Contains(r.MemberOf, group)
			role := *r
			role.MemberOf = slices.Clone(r.MemberOf)
			switch {
			case n.IsGrant && c.IsMember(group, m):
				return sqlerr.New(sqlerr.InvalidGrantOperation, "role \"%s\" is a member of role \"%s\"", group, m)
			case n.IsGrant && has:
				s.notice(sqlerr.New(sqlerr.SuccessfulCompletion, "role \"%s\" is already a member of role \"%s\"", m, group))
				continue
			case n.IsGrant:
				role.MemberOf = append(role.MemberOf, group)
			case !has:
				s.warn(sqlerr.New("01000", "role \"%s\" is not a member of role \"%s\"", m, group))
				continue
			default:
				role.MemberOf = slices.DeleteFunc(role.MemberOf, func(g string) bool { return g == group })
			}
			s.r.PutRole(&role)
		}
	}
	return nil
}

func (s *stmt) warn(e *sqlerr.Error) {
	if s.Notice != nil {
		s.Notice(e.WithSeverity(sqlerr.SeverityWarning))
	}
}

// mustOwn asks that the session's role may change an object.
func (s *stmt) mustOwn(ctx context.Context, ids ...schema.DescID) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if o := c.Object(id); o != nil && !c.Owns(s.User, o) {
			return sqlerr.New(sqlerr.InsufficientPrivilege, "must be owner of %s %s", o.Kind(), o.Head().Name)
		}
	}
	return nil
}

// may asks for one of the privileges on an object.
func (s *stmt) may(ctx context.Context, o schema.Object, p schema.Privileges) error {
	c, err := s.r.Contents(ctx)
	if err == nil && c.Granted(s.User, o, p) == 0 {
		return bind.Denied(o)
	}
	return err
}

// hold is Resolver.Hold for what the session's role must own.
func (s *stmt) hold(ctx context.Context, what string, ids ...schema.DescID) error {
	if err := s.mustOwn(ctx, ids...); err != nil {
		return err
	}
	return s.r.Hold(ctx, what, ids...)
}
