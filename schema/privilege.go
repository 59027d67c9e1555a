package schema

import (
	"slices"
	"strings"
)

// Privileges is a set of what may be done with an object, as in pg_class.relacl.
type Privileges uint32

// Privileges of Postgres.
const (
	PrivSelect Privileges = 1 << iota
	PrivInsert
	PrivUpdate
	PrivDelete
	PrivTruncate
	PrivReferences
	PrivTrigger
	PrivUsage
	PrivCreate
	PrivConnect
	PrivTemporary
	PrivExecute
)

// privilegeWords are the privileges' names and letters, in the order in which aclitems show them.
var privilegeWords = []struct {
	p      Privileges
	letter byte
	word   string
}{
	{PrivInsert, 'a', "INSERT"}, {PrivSelect, 'r', "SELECT"}, {PrivUpdate, 'w', "UPDATE"}, {PrivDelete, 'd', "DELETE"},
	{PrivTruncate, 'D', "TRUNCATE"}, {PrivReferences, 'x', "REFERENCES"}, {PrivTrigger, 't', "TRIGGER"},
	{PrivExecute, 'X', "EXECUTE"}, {PrivUsage, 'U', "USAGE"}, {PrivCreate, 'C', "CREATE"}, {PrivTemporary, 'T', "TEMPORARY"}, {PrivConnect, 'c', "CONNECT"},
}

// ParsePrivilege reads a privilege's name; false is none of Postgres's.
func ParsePrivilege(word string) (Privileges, bool) {
	word = strings.ToUpper(strings.TrimSpace(word))
	if word == "TEMP" {
		word = "TEMPORARY"
	}
	for _, w := range privilegeWords {
		if w.word == word {
			return w.p, true
		}
	}
	return 0, false
}

// Words lists the names of the privileges in the set.
func (p Privileges) Words() []string {
	var out []string
	for _, w := range privilegeWords {
		if p&w.p != 0 {
			out = append(out, w.word)
		}
	}
	return out
}

// AllPrivileges are those that objects of a kind have.
func AllPrivileges(k Kind) Privileges {
	switch k {
	case KindTable, KindView:
		return PrivSelect | PrivInsert | PrivUpdate | PrivDelete | PrivTruncate | PrivReferences | PrivTrigger
	case KindSequence:
		return PrivSelect | PrivUpdate | PrivUsage
	case KindDatabase:
		return PrivCreate | PrivConnect | PrivTemporary
	case KindSchema:
		return PrivCreate | PrivUsage
	case KindFunction:
		return PrivExecute
	}
	return PrivUsage
}

// ColumnPrivileges are those that can be given on columns.
const ColumnPrivileges = PrivSelect | PrivInsert | PrivUpdate | PrivReferences

// Grant is what one role gave another on an object.
type Grant struct {
	// Role is who has it, "" for everyone (PUBLIC).
	Role    string `wire:"1"`
	Grantor string `wire:"2"`
	// Has is what the role may do, Grantable what of it the role may pass on.
	Has       Privileges `wire:"3"`
	Grantable Privileges `wire:"4"`
}

// ACLOf returns who may do what with an object: what was granted, or, as long as nothing was
// granted or revoked, what Postgres starts with: the owner everything, and everyone a little.
func ACLOf(o Object) []Grant {
	h := o.Head()
	if h.ACLSet {
		return h.ACL
	}
	out := []Grant{{Role: h.Owner, Grantor: h.Owner, Has: AllPrivileges(o.Kind())}}
	switch {
	case o.Kind() == KindDatabase:
		out = append([]Grant{{Grantor: h.Owner, Has: PrivConnect | PrivTemporary}}, out...)
	case o.Kind() == KindSchema && h.Name == PublicSchema, o.Kind() == KindType:
		out = append([]Grant{{Grantor: h.Owner, Has: PrivUsage}}, out...)
	case o.Kind() == KindFunction:
		out = append([]Grant{{Grantor: h.Owner, Has: PrivExecute}}, out...)
	}
	return out
}

// ACLItem prints a grant as Postgres does: alice=r*w/root.
func (g Grant) ACLItem() string {
	b := []byte(aclName(g.Role) + "=")
	for _, w := range privilegeWords {
		if g.Has&w.p != 0 {
			b = append(b, w.letter)
		}
		if g.Grantable&w.p != 0 {
			b = append(b, '*')
		}
	}
	return string(b) + "/" + aclName(g.Grantor)
}

func aclName(s string) string {
	for _, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
	}
	return s
}

// RolesOf lists a role and all that it has the rights of: those it is a member of, and so on, as
// far as they are inherited.
func (c *Contents) RolesOf(name string) []string {
	out := []string{name}
	for i := 0; i < len(out); i++ {
		r := c.roles[out[i]]
		if r == nil || r.NoInherit {
			continue
		}
		for _, g := range r.MemberOf {
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// IsMember reports whether a role is another, or a member of it, inherited or not.
func (c *Contents) IsMember(name, of string) bool {
	seen := []string{name}
	for i := 0; i < len(seen); i++ {
		if seen[i] == of {
			return true
		}
		if r := c.roles[seen[i]]; r != nil {
			for _, g := range r.MemberOf {
				if !slices.Contains(seen, g) {
					seen = append(seen, g)
				}
			}
		}
	}
	return false
}

// IsSuperuser reports whether a role may do everything.
func (c *Contents) IsSuperuser(name string) bool {
	r := c.roles[name]
	return r != nil && r.Superuser
}

// Owns reports whether a role may change and drop an object: its owner, a member of that, or a
// superuser. The owner of a database owns its public schema, as pg_database_owner does in Postgres.
func (c *Contents) Owns(role string, o Object) bool {
	h := o.Head()
	if c.IsSuperuser(role) || slices.Contains(c.RolesOf(role), h.Owner) {
		return true
	}
	db := c.DatabaseByID(h.DatabaseID)
	return o.Kind() == KindSchema && h.Name == PublicSchema && db != nil && slices.Contains(c.RolesOf(role), db.Owner)
}

// Granted returns which of the wanted privileges a role has on an object, by itself, as a member or
// as everyone.
func (c *Contents) Granted(role string, o Object, want Privileges) Privileges {
	if c.IsSuperuser(role) || o.Kind() == KindSchema && c.Owns(role, o) {
		return want
	}
	return grantedIn(ACLOf(o), c.RolesOf(role), func(g Grant) Privileges { return g.Has }) & want
}

// Grantable is Granted for what the role may pass on; owners may pass on everything.
func (c *Contents) Grantable(role string, o Object, want Privileges) Privileges {
	if c.Owns(role, o) {
		return want
	}
	return grantedIn(ACLOf(o), c.RolesOf(role), func(g Grant) Privileges { return g.Grantable }) & want
}

// GrantedOn is Granted for one column: what the table's grants or the column's own give.
func (c *Contents) GrantedOn(role string, t *Table, col *Column, want Privileges) Privileges {
	return c.Granted(role, t, want) | grantedIn(col.ACL, c.RolesOf(role), func(g Grant) Privileges { return g.Has })&want
}

func grantedIn(acl []Grant, roles []string, part func(Grant) Privileges) Privileges {
	var has Privileges
	for _, g := range acl {
		if g.Role == "" || slices.Contains(roles, g.Role) {
			has |= part(g)
		}
	}
	return has
}
