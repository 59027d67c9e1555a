package bind

import (
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Need is what a statement asks of the privileges on a relation.
type Need struct {
	Object schema.Object
	// Wants is what is done with it; with Columns, to these alone, so that a privilege on each of them
	// is enough. SELECT without columns is content with one on any of them.
	Wants   schema.Privileges
	Columns map[schema.ColumnID]bool
	// As is whose rights count: a view's owner's for what the view reads, "" for the session's.
	As string
	// Optional needs count only if they have columns: a target that is also read.
	Optional bool
	// pos is where the statement names the relation with its schema, for the client; 0 elsewhere.
	pos int
}

// need notes that the statement uses a relation.
func (b *binder) need(o schema.Object, wants schema.Privileges) *Need {
	if t, ok := o.(*schema.Table); ok && b.facades[t] != nil {
		o = b.facades[t].view
	}
	n := &Need{Object: o, Wants: wants, Columns: map[schema.ColumnID]bool{}, As: b.asOwner}
	if b.schemaAt > 0 && b.inView == 0 {
		n.pos = sqlerr.CharPosition(b.query, int(b.schemaAt))
	}
	b.needs = append(b.needs, n)
	return n
}

// read notes which columns of a relation are looked at.
func (b *binder) read(t *tableRef, o schema.Object) {
	t.need = b.need(o, schema.PrivSelect)
}

// readBack is read for the target of a change, whose columns WHERE and RETURNING may read.
func (b *binder) readBack(t *tableRef, o schema.Object) *tableRef {
	b.read(t, o)
	t.need.Optional = true
	return t
}

// needLock: whoever locks rows for himself must be allowed to change them.
func (b *binder) needLock(t *tableRef) {
	if t.desc != nil {
		b.need(t.desc, schema.PrivUpdate)
		b.secureLock(t)
	}
}

// Check fails as Postgres does where a role lacks what the statement needs.
func (st *Stmt) Check(c *schema.Contents, role string) error {
	for _, n := range st.needs {
		if err := n.check(c, role); err != nil {
			return err
		}
	}
	return nil
}

func (n *Need) check(c *schema.Contents, role string) error {
	if n.As != "" {
		role = n.As
	}
	if c.IsSuperuser(role) || n.Optional && len(n.Columns) == 0 {
		return nil
	}
	h := n.Object.Head()
	if sc := c.SchemaByID(h.SchemaID); sc != nil && c.Granted(role, sc, schema.PrivUsage) == 0 {
		return Denied(sc).WithPos(n.pos)
	}
	if c.Granted(role, n.Object, n.Wants) == n.Wants {
		return nil
	}
	t, ok := n.Object.(*schema.Table)
	if !ok || n.Wants&^schema.ColumnPrivileges != 0 || len(n.Columns) == 0 && n.Wants != schema.PrivSelect {
		return Denied(n.Object)
	}
	any := false
	for i := range t.Columns {
		col := &t.Columns[i]
		has := c.GrantedOn(role, t, col, n.Wants) == n.Wants
		if n.Columns[col.ID] && !has {
			return Denied(n.Object)
		}
		any = any || has
	}
	if !any {
		return Denied(n.Object)
	}
	return nil
}

// Denied is the error for an object that a role may not use so.
func Denied(o schema.Object) *sqlerr.Error {
	return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for %s %s", o.Kind(), o.Head().Name)
}
