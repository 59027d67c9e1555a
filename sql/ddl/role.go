package ddl

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/xdg-go/stringprep"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// roleName resolves a role of the grammar; it must exist.
func (s *stmt) roleName(ctx context.Context, r *pg.RoleSpec) (string, error) {
	switch r.Roletype {
	case pg.RoleSpecType_ROLESPEC_CURRENT_ROLE, pg.RoleSpecType_ROLESPEC_CURRENT_USER, pg.RoleSpecType_ROLESPEC_SESSION_USER:
		return s.User, nil
	case pg.RoleSpecType_ROLESPEC_PUBLIC:
		return "", sqlerr.New(sqlerr.UndefinedObject, "role \"public\" does not exist")
	}
	role, err := s.role(ctx, r.Rolename)
	if err != nil {
		return "", err
	}
	return role.Name, nil
}

func (s *stmt) role(ctx context.Context, name string) (*schema.Role, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	if r := c.Role(name); r != nil {
		return r, nil
	}
	return nil, sqlerr.New(sqlerr.UndefinedObject, "role \"%s\" does not exist", name)
}

// mayManageRoles is what Postgres asks of who changes roles.
func (s *stmt) mayManageRoles(ctx context.Context, what string) error {
	me, err := s.role(ctx, s.User)
	if err != nil {
		return err
	}
	if !me.Superuser && !me.CreateRole {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to %s role", what)
	}
	return nil
}

func (s *stmt) createRole(ctx context.Context, n *pg.CreateRoleStmt) error {
	if err := s.mayManageRoles(ctx, "create"); err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	name := s.cutName(n.Role)
	if c.Role(name) != nil {
		return sqlerr.New(sqlerr.DuplicateObject, "role \"%s\" already exists", name)
	}
	if strings.HasPrefix(name, "pg_") || name == "public" || name == "none" {
		return sqlerr.New(sqlerr.ReservedName, "role name \"%s\" is reserved", name)
	}
	id, err := s.Catalog.NewID(ctx)
	if err != nil {
		return err
	}
	role := &schema.Role{OID: id, Name: name, Login: n.StmtType == pg.RoleStmtType_ROLESTMT_USER, ConnLimit: -1}
	if err := s.roleOptions(ctx, role, n.Options); err != nil {
		return err
	}
	s.r.PutRole(role)
	return nil
}

func (s *stmt) alterRole(ctx context.Context, n *pg.AlterRoleStmt) error {
	name, err := s.roleName(ctx, n.Role)
	if err != nil {
		return err
	}
	if name != s.User {
		if err := s.mayManageRoles(ctx, "alter"); err != nil {
			return err
		}
	}
	old, err := s.role(ctx, name)
	if err != nil {
		return err
	}
	role := *old
	if err := s.roleOptions(ctx, &role, n.Options); err != nil {
		return err
	}
	if role.Superuser != old.Superuser || role.CreateRole != old.CreateRole || role.CreateDB != old.CreateDB {
		if err := s.mayManageRoles(ctx, "alter"); err != nil {
			return err
		}
	}
	s.r.PutRole(&role)
	return nil
}

func (s *stmt) roleOptions(ctx context.Context, r *schema.Role, opts []*pg.Node) error {
	for _, o := range opts {
		d := o.GetDefElem()
		on := d.Arg.GetBoolean().GetBoolval()
		switch d.Defname {
		case "password":
			if err := setPassword(r, d); err != nil {
				return err
			}
		case "superuser":
			r.Superuser = on
		case "canlogin":
			r.Login = on
		case "createdb":
			r.CreateDB = on
		case "createrole":
			r.CreateRole = on
		case "inherit":
			r.NoInherit = !on
		case "connectionlimit":
			r.ConnLimit = d.Arg.GetInteger().GetIval()
		case "validUntil":
			r.ValidUntil = defString(d)
		case "bypassrls":
			if me, err := s.role(context.Background(), s.User); err == nil && !me.Superuser && on != r.BypassRLS {
				return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to change bypassrls attribute")
			}
			r.BypassRLS = on
		case "isreplication":
			if on {
				return sqlerr.Unsupported("role attribute %s", d.Defname)
			}
		case "addroleto":
			for _, g := range d.Arg.GetList().GetItems() {
				if _, err := s.role(ctx, g.GetRoleSpec().GetRolename()); err != nil {
					return err
				}
				r.MemberOf = append(slices.Clone(r.MemberOf), g.GetRoleSpec().GetRolename())
			}
		default:
			return sqlerr.Unsupported("role option %s", d.Defname)
		}
	}
	return nil
}

func setPassword(r *schema.Role, d *pg.DefElem) error {
	if d.Arg == nil {
		r.Verifier = ""
		return nil
	}
	v, err := Verifier(defString(d))
	r.Verifier = v
	return err
}

// scramIterations is Postgres's scram_iterations.
const scramIterations = 4096

// Verifier turns a password into what is stored of it (RFC 5802, in the form
// of Postgres's pg_authid.rolpassword). A text that is one already is kept.
func Verifier(password string) (string, error) {
	if strings.HasPrefix(password, "SCRAM-SHA-256$") {
		return password, nil
	}
	if prepared, err := stringprep.SASLprep.Prepare(password); err == nil {
		password = prepared // as Postgres, what cannot be prepared is taken as it is
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	client := sha256.Sum256(sign(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt), b64(client[:]),
		b64(sign(salted, "Server Key"))), nil
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (s *stmt) dropRole(ctx context.Context, n *pg.DropRoleStmt) error {
	if err := s.mayManageRoles(ctx, "drop"); err != nil {
		return err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	for _, x := range n.Roles {
		name := x.GetRoleSpec().GetRolename()
		switch {
		case c.Role(name) == nil && n.MissingOk:
			_ = s.skipped("role \"%s\" does not exist, skipping", name)
			continue
		case c.Role(name) == nil:
			return sqlerr.New(sqlerr.UndefinedObject, "role \"%s\" does not exist", name)
		case name == s.User:
			return sqlerr.New(sqlerr.ObjectInUse, "current user cannot be dropped")
		case name == schema.RootUser:
			return sqlerr.New(sqlerr.ObjectInUse, "cannot drop role %s because it is required by the database system", name)
		}
		var uses []string
		for _, o := range c.Objects() {
			if o.Head().Owner == name {
				uses = append(uses, fmt.Sprintf("owner of %s %s", o.Kind(), o.Head().Name))
			} else if granted(o, name) {
				uses = append(uses, fmt.Sprintf("privileges for %s %s", o.Kind(), o.Head().Name))
			}
			uses = append(uses, targetOfPolicies(o, name)...)
			if db, ok := o.(*schema.Database); ok {
				uses = append(uses, defaultsOf(c, db, name)...)
			}
		}
		if len(uses) > 0 {
			return sqlerr.New(sqlerr.DependentObjectsStillExist, "role \"%s\" cannot be dropped because some objects depend on it", name).
				WithDetail("%s", strings.Join(uses, "\n"))
		}
		for _, r := range c.Roles() { // memberships end with the role
			if slices.Contains(r.MemberOf, name) {
				m := *r
				m.MemberOf = slices.DeleteFunc(slices.Clone(r.MemberOf), func(g string) bool { return g == name })
				s.r.PutRole(&m)
			}
		}
		s.r.RemoveRole(name)
	}
	return nil
}

// targetOfPolicies lists the policies of a table that are for a role.
func targetOfPolicies(o schema.Object, role string) (out []string) {
	if t, ok := o.(*schema.Table); ok {
		for _, p := range t.Policies {
			if slices.Contains(p.Roles, role) {
				out = append(out, fmt.Sprintf("target of policy %s on table %s", p.Name, t.Name))
			}
		}
	}
	return out
}

// granted reports whether a grant on an object names a role.
func granted(o schema.Object, role string) bool {
	names := func(g schema.Grant) bool { return g.Role == role || g.Grantor == role }
	if slices.ContainsFunc(o.Head().ACL, names) {
		return true
	}
	t, ok := o.(*schema.Table)
	return ok && slices.ContainsFunc(t.Columns, func(c schema.Column) bool { return slices.ContainsFunc(c.ACL, names) })
}
