package pgcatalog

import (
	"context"
	"strings"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// aclOf is an object's relacl, nspacl or datacl: NULL as long as nothing was granted or revoked.
func aclOf(o schema.Object) any {
	if !o.Head().ACLSet {
		return nil
	}
	return aclItems(schema.ACLOf(o))
}

func fillDefaultACL(_ context.Context, env *Env, w *writer) error {
	db := env.Contents.DatabaseByID(env.Database.ID)
	if db == nil {
		return nil
	}
	letters := map[schema.Kind]string{schema.KindTable: "r", schema.KindSequence: "S", schema.KindType: "T", schema.KindSchema: "n", schema.KindFunction: "f"}
	for _, d := range db.Defaults {
		if d.SchemaID != 0 && env.Contents.SchemaByID(d.SchemaID) == nil {
			continue // it went with its schema
		}
		w.add(cells{"oid": d.OID, "defaclrole": ownerOID(env, d.Role), "defaclnamespace": d.SchemaID, "defaclobjtype": letters[d.Kind],
			"defaclacl": aclItems(d.ACL)})
	}
	return nil
}

func aclItems(acl []schema.Grant) any {
	if acl == nil {
		return nil
	}
	out := []string{}
	for _, g := range acl {
		out = append(out, g.ACLItem())
	}
	return out
}

// Privilege implements builtins.Catalog.
func (n Names) Privilege(_ context.Context, q builtins.PrivilegeQuestion) (has, ok bool, err error) {
	c := n.Env.Contents
	role := n.Env.User
	if !q.Me {
		if role, err = n.roleName(q); err != nil {
			return false, false, err
		}
	}
	if q.Kind == "role" {
		return n.membership(role, q)
	}
	o, ok, err := n.privilegeObject(q)
	if err != nil || !ok {
		return false, false, err
	}
	for _, word := range strings.Split(q.Privilege, ",") {
		word = strings.TrimSpace(word)
		bare, option := strings.CutSuffix(strings.ToUpper(word), " WITH GRANT OPTION")
		p, known := schema.ParsePrivilege(bare)
		if !known || o != nil && p&^schema.AllPrivileges(o.Kind()) != 0 {
			return false, false, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized privilege type: \"%s\"", word)
		}
		if o == nil { // a computed table or schema: everyone may read it
			return p&(schema.PrivSelect|schema.PrivUsage) != 0 || c.IsSuperuser(role), true, nil
		}
		if option && c.Grantable(role, o, p) == p || !option && c.Granted(role, o, p) == p {
			return true, true, nil
		}
		if t, isTable := o.(*schema.Table); isTable && !option && strings.Contains(q.Kind, "column") {
			for i := range t.Columns {
				col := &t.Columns[i]
				mine := q.Kind == "any_column" || col.Name == q.Column && q.Column != "" || int(col.ID) == q.ColumnNum
				if mine && c.GrantedOn(role, t, col, p) == p {
					return true, true, nil
				}
			}
		}
	}
	return false, true, nil
}

func (n Names) roleName(q builtins.PrivilegeQuestion) (string, error) {
	if q.RoleOID == 0 {
		if q.Role != "public" && n.Env.Contents.Role(q.Role) == nil {
			return "", sqlerr.New(sqlerr.UndefinedObject, "role \"%s\" does not exist", q.Role)
		}
		return q.Role, nil
	}
	for _, r := range n.Env.Contents.Roles() {
		if types.OID(r.OID) == q.RoleOID {
			return r.Name, nil
		}
	}
	return "", nil // a role that is gone has nothing
}

// membership answers pg_has_role: MEMBER is direct or not, USAGE is inherited.
func (n Names) membership(role string, q builtins.PrivilegeQuestion) (has, ok bool, err error) {
	of, err := n.roleName(builtins.PrivilegeQuestion{Role: q.Object, RoleOID: q.ObjectOID})
	if err != nil || of == "" {
		return false, false, err
	}
	c := n.Env.Contents
	for _, word := range strings.Split(q.Privilege, ",") {
		switch w := strings.ToUpper(strings.TrimSpace(word)); w {
		case "USAGE":
			has = has || c.IsSuperuser(role)
			for _, r := range c.RolesOf(role) {
				has = has || r == of
			}
		case "MEMBER", "SET":
			has = has || c.IsSuperuser(role) || c.IsMember(role, of)
		default:
			return false, false, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized privilege type: \"%s\"", strings.TrimSpace(word))
		}
	}
	return has, true, nil
}

// privilegeObject finds what a question is about; nil is a computed table or schema.
func (n Names) privilegeObject(q builtins.PrivilegeQuestion) (schema.Object, bool, error) {
	c := n.Env.Contents
	oid := q.ObjectOID
	var err error
	switch {
	case oid != 0:
	case q.Kind == "schema":
		if oid, err = n.NamespaceByName(q.Object); err != nil {
			return nil, false, err
		}
	case q.Kind == "database":
		db := c.Database(q.Object)
		if db == nil {
			return nil, false, sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", q.Object)
		}
		oid = types.OID(db.ID)
	case q.Kind == "type":
		t, ok := n.TypeByName(q.Object)
		if !ok {
			_, err := types.ParseName(q.Object)
			return nil, err == nil, err
		}
		oid = t.OID
	default:
		if oid, err = n.RelationByName(q.Object); err != nil {
			return nil, false, err
		}
	}
	if o := c.Object(schema.DescID(oid)); o != nil {
		return o, true, n.checkColumn(o, q)
	}
	_, _, found := n.relation(oid)
	if _, ok := n.NamespaceName(oid); ok {
		found = true
	}
	if _, ok := types.Of(oid); ok {
		found = true
	}
	return nil, found, nil
}

func (n Names) checkColumn(o schema.Object, q builtins.PrivilegeQuestion) error {
	t, ok := o.(*schema.Table)
	if q.Kind == "column" && q.Column != "" && ok && t.Column(q.Column) == nil {
		return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", q.Column, t.Name)
	}
	return nil
}

// mayRead says that the session's role is, or is a member of, one of the parties of a grant; only
// such grants show in information_schema.
func mayRead(env *Env, g schema.Grant) bool {
	if g.Role == "" || env.Contents.IsSuperuser(env.User) {
		return true
	}
	for _, r := range env.Contents.RolesOf(env.User) {
		if r == g.Role || r == g.Grantor {
			return true
		}
	}
	return false
}

func granteeName(s string) string {
	if s == "" {
		return "PUBLIC"
	}
	return s
}

// infoTableGrants fills table_privileges and role_table_grants.
func infoTableGrants(_ context.Context, env *Env, w *writer) error {
	put := func(o schema.Object) {
		h := o.Head()
		for _, g := range schema.ACLOf(o) {
			if !mayRead(env, g) {
				continue
			}
			for _, p := range g.Has.Words() {
				bit, _ := schema.ParsePrivilege(p)
				hierarchy := "NO"
				if p == "SELECT" {
					hierarchy = "YES"
				}
				w.add(cells{"grantor": g.Grantor, "grantee": granteeName(g.Role), "table_catalog": env.Database.Name,
					"table_schema": namespaceOf(env, h), "table_name": h.Name, "privilege_type": p,
					"is_grantable": yes(g.Grantable&bit != 0 || g.Role == h.Owner), "with_hierarchy": hierarchy})
			}
		}
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		put(t)
	}
	for _, v := range env.Contents.Views(env.Database.ID) {
		put(v)
	}
	return nil
}

// infoColumnGrants fills column_privileges and role_column_grants: what the table's grants and the
// columns' own give.
func infoColumnGrants(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, c := range t.VisibleColumns() {
			for _, g := range append(append([]schema.Grant{}, schema.ACLOf(t)...), c.ACL...) {
				if !mayRead(env, g) {
					continue
				}
				for _, p := range (g.Has & schema.ColumnPrivileges).Words() {
					bit, _ := schema.ParsePrivilege(p)
					w.add(cells{"grantor": g.Grantor, "grantee": granteeName(g.Role), "table_catalog": env.Database.Name,
						"table_schema": namespaceOf(env, &t.Header), "table_name": t.Name, "column_name": c.Name,
						"privilege_type": p, "is_grantable": yes(g.Grantable&bit != 0 || g.Role == t.Owner)})
				}
			}
		}
	}
	return nil
}
