package schema

import (
	"cmp"
	"slices"
	"sync"

	"github.com/cairndb/cairn/hlc"
)

// Snapshot is the whole catalog as of ReadAt, which is known not to have
// changed in a way that matters before Expires (doc.go, "Publication"). It
// never changes; every transaction of the node shares it.
type Snapshot struct {
	Version CatalogVersion
	ReadAt  hlc.Timestamp
	// Expires bounds the commit timestamps of transactions that used it.
	Expires hlc.Timestamp
	*Contents
	// reading is the number of the refresh that made it.
	reading uint64
}

// Contents is what the catalog holds. The one of a snapshot never changes and is
// shared by later snapshots until something is committed; a transaction that
// changes the schema has a copy of its own, with its changes.
type Contents struct {
	objects map[DescID]*entry
	names   map[nameKey]nameValue
	roles   map[string]*Role
	// replaced is closed when the node has newer contents.
	replaced chan struct{}
	// derived is what others have computed from them, nil in a transaction's copy.
	derived *sync.Map
}

type nameKey struct {
	parent DescID
	name   string
}

// nameValue is what a name is bound to: a descriptor, or an index of a table.
type nameValue struct {
	ID    DescID
	Index IndexID
}

// entry is one version of a descriptor and its users on this node.
type entry struct {
	object Object
	raw    string
	use    *use
	// since is when the node first read this version: it was committed by then.
	since hlc.Timestamp
}

func newContents() *Contents {
	return &Contents{objects: map[DescID]*entry{}, names: map[nameKey]nameValue{}, roles: map[string]*Role{},
		replaced: make(chan struct{}), derived: &sync.Map{}}
}

// Fixed returns a copy of contents that change no more, as a snapshot's.
func (c *Contents) Fixed() *Contents {
	f := c.clone()
	f.replaced, f.derived = make(chan struct{}), &sync.Map{}
	return f
}

// Derived returns what compute makes of the contents, which it does once for each
// key as long as they are current. Nothing is computed, and ok is false, for a
// transaction's own copy, which changes. Whoever asks bounds what is kept. It is
// safe for concurrent use.
func (c *Contents) Derived(key any, compute func() any) (v any, ok bool) {
	if c.derived == nil {
		return nil, false
	}
	f, ok := c.derived.Load(key)
	if !ok {
		f, _ = c.derived.LoadOrStore(key, sync.OnceValue(compute))
	}
	return f.(func() any)(), true
}

// Object returns the descriptor of a number, or nil.
func (c *Contents) Object(id DescID) Object {
	if e := c.objects[id]; e != nil {
		return e.object
	}
	return nil
}

// Table returns the table of a number, or nil.
func (c *Contents) Table(id DescID) *Table { return as[*Table](c.Object(id)) }

// Sequence returns the sequence of a number, or nil.
func (c *Contents) Sequence(id DescID) *Sequence { return as[*Sequence](c.Object(id)) }

// DatabaseByID returns the database of a number, or nil.
func (c *Contents) DatabaseByID(id DescID) *Database { return as[*Database](c.Object(id)) }

// SchemaByID returns the schema of a number, or nil.
func (c *Contents) SchemaByID(id DescID) *Schema { return as[*Schema](c.Object(id)) }

// Database returns the database of a name, or nil.
func (c *Contents) Database(name string) *Database {
	return as[*Database](c.named(0, name))
}

// Schema returns the schema of a name in a database, or nil.
func (c *Contents) Schema(db DescID, name string) *Schema {
	return as[*Schema](c.named(db, name))
}

// Relation returns what a name means in a schema: a table, sequence or view,
// or an index, given as its table and itself. Nil is nothing.
func (c *Contents) Relation(schema DescID, name string) (Object, *Index) {
	v, ok := c.names[nameKey{schema, name}]
	if !ok {
		return nil, nil
	}
	o := c.Object(v.ID)
	if t, ok := o.(*Table); ok && v.Index != 0 {
		if ix := t.IndexByID(v.Index); ix != nil {
			return t, ix
		}
		return nil, nil
	}
	return o, nil
}

// TypeName is what a type's name is bound as. Relations and types may have the
// same name; no identifier holds a NUL.
func TypeName(name string) string { return "\x00" + name }

// Type returns the type of a name in a schema, or nil.
func (c *Contents) Type(schema DescID, name string) *UserType {
	return as[*UserType](c.named(schema, TypeName(name)))
}

// TypeByOID returns the type of a number, that of an array of it too, or nil.
func (c *Contents) TypeByOID(oid uint32) *UserType {
	if t := as[*UserType](c.Object(DescID(oid))); t != nil {
		return t
	}
	for _, e := range c.objects {
		if t, ok := e.object.(*UserType); ok && t.Def.ArrayOID == oid {
			return t
		}
	}
	return nil
}

// Types lists the types of a database by schema and name.
func (c *Contents) Types(db DescID) []*UserType {
	return list[*UserType](c, func(h *Header) bool { return h.DatabaseID == db })
}

func (c *Contents) named(parent DescID, name string) Object {
	return c.Object(c.names[nameKey{parent, name}].ID)
}

// Databases lists all databases by name.
func (c *Contents) Databases() []*Database { return list[*Database](c, always) }

// Schemas lists the schemas of a database by name.
func (c *Contents) Schemas(db DescID) []*Schema {
	return list[*Schema](c, func(h *Header) bool { return h.DatabaseID == db })
}

// Tables lists the tables of a database by schema and name.
func (c *Contents) Tables(db DescID) []*Table {
	tables := func() any { return list[*Table](c, func(h *Header) bool { return h.DatabaseID == db }) }
	if ts, ok := c.Derived(tablesOf(db), tables); ok {
		return slices.Clip(ts.([]*Table))
	}
	return tables().([]*Table)
}

// tablesOf is the key of a database's tables among what is derived.
type tablesOf DescID

// Sequences lists the sequences of a database by schema and name.
func (c *Contents) Sequences(db DescID) []*Sequence {
	return list[*Sequence](c, func(h *Header) bool { return h.DatabaseID == db })
}

// Views lists the views of a database by schema and name.
func (c *Contents) Views(db DescID) []*View {
	return list[*View](c, func(h *Header) bool { return h.DatabaseID == db })
}

// Objects lists every descriptor by number.
func (c *Contents) Objects() []Object {
	out := make([]Object, 0, len(c.objects))
	for _, e := range c.objects {
		out = append(out, e.object)
	}
	slices.SortFunc(out, func(a, b Object) int { return cmp.Compare(a.Head().ID, b.Head().ID) })
	return out
}

// Role returns the role of a name, or nil.
func (c *Contents) Role(name string) *Role { return c.roles[name] }

// Roles lists all roles by name.
func (c *Contents) Roles() []*Role {
	out := make([]*Role, 0, len(c.roles))
	for _, r := range c.roles {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *Role) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func always(*Header) bool { return true }

// as converts an object that may be nil or of another kind, to nil then.
func as[T Object](o Object) T {
	t, _ := o.(T)
	return t
}

func list[T Object](c *Contents, want func(*Header) bool) []T {
	var out []T
	for _, e := range c.objects {
		if t, ok := e.object.(T); ok && want(t.Head()) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b T) int {
		x, y := a.Head(), b.Head()
		return cmp.Or(cmp.Compare(x.DatabaseID, y.DatabaseID), cmp.Compare(x.SchemaID, y.SchemaID),
			cmp.Compare(x.Name, y.Name))
	})
	return out
}
