package schema

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// changes are the schema changes of one transaction. They are made on a copy
// of the catalog, view; base remembers what they rest on. At commit, which also
// writes the catalog's version, everything they rest on is compared with the
// latest catalog; only then is anything written (I5).
type changes struct {
	r  *Resolver
	id ChangeID
	// view is the catalog with the changes.
	view *Contents
	// base is the version view was copied from.
	base CatalogVersion
	// objects, names and roles are what was created, changed or removed, with
	// what was there before; requires are further conditions.
	objects  map[DescID]*entry
	names    map[nameKey]nameValue
	roles    map[string]*Role
	requires []func(*Contents) error
	// needs are descriptors that must not have changed by the commit.
	needs map[DescID]*entry
	// published are the descriptors that others go on using (Publish).
	published map[DescID]bool
	// held are the descriptors marked by Hold; the renewal reads it too.
	held   map[DescID]bool
	heldMu sync.Mutex
	// inBlock is set by InBlock.
	inBlock bool
	// holds counts the calls of Hold that settled.
	holds int
	// dropped is data to be cleared later; apart are tables to get ranges of
	// their own.
	dropped []droppedData
	apart   []DescID
	// kept is data of this change that the commit puts into use; announced is
	// what of it may be written ahead of the commit.
	kept      []droppedData
	announced []droppedData
	count     int
	version   CatalogVersion
	stop      context.CancelFunc
	stopped   chan struct{}
	onCommit  []func(context.Context)
}

type droppedData struct {
	table DescID
	index IndexID
}

// BeginChange makes the transaction one that changes the schema: from here on
// it sees the latest catalog and its own changes.
func (r *Resolver) BeginChange(ctx context.Context) error {
	if r.ddl != nil {
		return nil
	}
	s, err := r.c.Refresh(ctx)
	if err != nil {
		return err
	}
	d := &changes{r: r, base: s.Version, view: s.Contents.clone(), objects: map[DescID]*entry{},
		names: map[nameKey]nameValue{}, roles: map[string]*Role{}, needs: map[DescID]*entry{},
		held: map[DescID]bool{}}
	rand.Read(d.id[:])
	r.ddl = d
	return nil
}

// clone copies the maps; entries are shared.
func (c *Contents) clone() *Contents {
	return &Contents{objects: maps.Clone(c.objects), names: maps.Clone(c.names), roles: maps.Clone(c.roles)}
}

// owns reports whether the transaction has the descriptor to itself.
func (d *changes) owns(id DescID) bool {
	_, ok := d.objects[id]
	return ok || d.held[id]
}

func (d *changes) heldIDs() []DescID {
	d.heldMu.Lock()
	defer d.heldMu.Unlock()
	return slices.Sorted(maps.Keys(d.held))
}

func (d *changes) addHeld(ids []DescID) {
	d.heldMu.Lock()
	defer d.heldMu.Unlock()
	for _, id := range ids {
		d.held[id] = true
	}
}

// ChangeCount counts the schema changes made so far: a savepoint from before
// the latest one cannot be rolled back to.
func (r *Resolver) ChangeCount() int {
	if r.ddl == nil {
		return 0
	}
	return r.ddl.count
}

// Created reports whether this transaction created the descriptor.
func (r *Resolver) Created(id DescID) bool {
	if r.ddl == nil {
		return false
	}
	e, ok := r.ddl.objects[id]
	return ok && e == nil
}

// ShareRanges says whether tables created from now on stay in the range that
// their first key is in, with the table before them, until size, load or whoever
// asks divides it. Otherwise every new table but a temporary one starts a range of
// its own (ranges.go).
func (r *Resolver) ShareRanges(share bool) { r.shareRanges = share }

// Put creates a descriptor (Version 0) or replaces the one of its ID. An
// existing one must have been held, unless it is a database or schema.
func (r *Resolver) Put(o Object) {
	d, h := r.ddl, o.Head()
	old := d.view.objects[h.ID]
	if k := o.Kind(); old != nil && !d.owns(h.ID) && !d.published[h.ID] && k != KindDatabase && k != KindSchema {
		panic("schema: a " + k.String() + " was changed that is not held")
	}
	d.remember(h.ID, old)
	h.Change = nil
	if base := d.objects[h.ID]; base != nil {
		h.Version = base.object.Head().Version + 1
	} else {
		h.Version = 1
	}
	d.view.objects[h.ID] = &entry{object: o, use: newUse()}
	switch o := o.(type) {
	case *Table:
		if old == nil && !r.shareRanges && !d.isTemporary(o) || d.setsApart(o, old) {
			d.apart = append(d.apart, o.ID)
		}
	case *Database:
		if old != nil && o.Placement() != old.object.(*Database).Placement() {
			for _, t := range d.view.Tables(o.ID) {
				if d.view.KeepsApart(t) {
					d.apart = append(d.apart, t.ID)
				}
			}
		}
	}
	d.count++
}

// isTemporary reports whether a table goes with its session.
func (d *changes) isTemporary(t *Table) bool {
	sc := d.view.SchemaByID(t.SchemaID)
	return sc != nil && sc.TempOf != ""
}

// setsApart reports whether a table that was old, or nil, asks for something new
// that counts for whole ranges.
func (d *changes) setsApart(t *Table, old *entry) bool {
	if apart := d.view.KeepsApart(t); !apart || old == nil {
		return apart
	}
	was, ok := old.object.(*Table)
	return !ok || was.GCTTL != t.GCTTL || was.Placement() != t.Placement()
}

// Remove removes a descriptor; names are unbound by Unbind.
func (r *Resolver) Remove(id DescID) {
	d := r.ddl
	d.remember(id, d.view.objects[id])
	delete(d.view.objects, id)
	d.count++
}

func (d *changes) remember(id DescID, old *entry) {
	if _, ok := d.objects[id]; !ok {
		d.objects[id] = old
	}
}

// Bind gives a name in a parent (0 for databases, a database for schemas, a
// schema for relations) to a descriptor, or to an index of a table.
func (r *Resolver) Bind(parent DescID, name string, id DescID, index IndexID) {
	r.rename(nameKey{parent, name}, nameValue{id, index})
}

// Unbind takes a name away.
func (r *Resolver) Unbind(parent DescID, name string) { r.rename(nameKey{parent, name}, nameValue{}) }

func (r *Resolver) rename(k nameKey, v nameValue) {
	d := r.ddl
	if _, ok := d.names[k]; !ok {
		d.names[k] = d.view.names[k]
	}
	if v.ID == 0 {
		delete(d.view.names, k)
	} else {
		d.view.names[k] = v
	}
	d.count++
}

// PutRole creates or replaces a role.
func (r *Resolver) PutRole(role *Role) { r.changeRole(role.Name, role) }

// RemoveRole removes a role.
func (r *Resolver) RemoveRole(name string) { r.changeRole(name, nil) }

func (r *Resolver) changeRole(name string, role *Role) {
	d := r.ddl
	if _, ok := d.roles[name]; !ok {
		d.roles[name] = d.view.roles[name]
	}
	if role == nil {
		delete(d.view.roles, name)
	} else {
		d.view.roles[name] = role
	}
	d.count++
}

// Require adds a condition on the catalog that the transaction commits into,
// beside that nothing it changed has been changed by others.
func (r *Resolver) Require(cond func(*Contents) error) {
	r.ddl.requires = append(r.ddl.requires, cond)
}

// RequireSame is the condition that a descriptor does not change before the
// commit: the parent of something new, the target of a reference.
func (r *Resolver) RequireSame(id DescID) {
	if _, mine := r.ddl.objects[id]; !mine && !r.ddl.held[id] {
		r.ddl.needs[id] = r.ddl.view.objects[id]
	}
}

// DropData has the data of an index (0: the whole table) cleared some time
// after the commit, when no statement can be reading it any more.
func (r *Resolver) DropData(table DescID, index IndexID) {
	r.ddl.dropped = append(r.ddl.dropped, droppedData{table, index})
}

// KeepData takes back what Announce wrote: the data is in use from the commit
// on.
func (r *Resolver) KeepData(table DescID, index IndexID) {
	r.ddl.kept = append(r.ddl.kept, droppedData{table, index})
}

// Announce records, at once and by itself, that the data of an index (0: of
// a whole table) is being written ahead of the commit. Should the gateway die,
// it is cleared some time later; should the change fail, soon (abandon).
func (r *Resolver) Announce(ctx context.Context, table DescID, index IndexID) error {
	d, c := r.ddl, r.c
	d.announced = append(d.announced, droppedData{table, index})
	at := hlc.Timestamp{WallTime: c.clock.PhysicalNow() + int64(buildMax)}
	return c.store.Run(ctx, "index build", func(ctx context.Context, t Txn) error {
		return t.Put(ctx, droppedKey(table, index), encodeRecord(&droppedRecord{At: at}))
	})
}

// abandon has the data of a change that failed cleared soon. A commit of
// unknown fate counts as failed here. Either it happened, then its record is
// gone and the data stays; or the new version of the catalog, which it had
// read, keeps it from happening.
func (c *Catalog) abandon(ctx context.Context, data []droppedData) {
	err := c.store.Run(ctx, "abandon an index build", func(ctx context.Context, t Txn) error {
		at := hlc.Timestamp{WallTime: c.clock.PhysicalNow()}
		for _, x := range data {
			k := droppedKey(x.table, x.index)
			_, ok, err := t.Get(ctx, k, txn.GetOptions{Lock: kvapi.LockExclusive})
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := t.Put(ctx, k, encodeRecord(&droppedRecord{At: at})); err != nil {
				return err
			}
		}
		_, err := bumpVersion(ctx, t)
		return err
	})
	if err != nil {
		c.log.Warn("abandoning data that was written ahead; it is cleared later", "err", err)
	}
}

// OnCommit has fn run after a successful commit.
func (r *Resolver) OnCommit(fn func(context.Context)) {
	r.ddl.onCommit = append(r.ddl.onCommit, fn)
}

// InBlock says that the transaction is a user's transaction block. Its commit
// locks the catalog's version, which also moves its timestamp past changes of
// others, such as the renewals of its own marks. So does every change that
// holds something: it may have taken long. Others read the version without a
// lock and begin anew if it has moved.
//
// A lock that outlived its attempt would stand in the way of the next one:
// whoever runs a change again does so in another transaction (Changing).
func (r *Resolver) InBlock() { r.ddl.inBlock = true }

// DryRun has Hold take nothing out of use: the changes are made to be looked at,
// and must not be committed. Call it before the first of them.
func (r *Resolver) DryRun() { r.dry = true }

// Held lists what the transaction holds, or would in a dry run.
func (r *Resolver) Held() []Object {
	var out []Object
	for _, id := range r.ddl.heldIDs() {
		if e := r.ddl.before(id); e != nil {
			out = append(out, e.object)
		}
	}
	return out
}

// before is a descriptor as it was before the changes.
func (d *changes) before(id DescID) *entry {
	if e, ok := d.objects[id]; ok {
		return e
	}
	return d.view.objects[id]
}

// Changing reports whether the transaction has begun to change the schema.
func (r *Resolver) Changing() bool { return r.ddl != nil }

// writeChanges checks and writes the changes in the transaction. It reads and
// writes the catalog's version, so that schema changes commit one after the
// other.
func (r *Resolver) writeChanges(ctx context.Context) error {
	d := r.ddl
	if r.dry {
		panic("schema: a dry run is committed")
	}
	for _, id := range d.heldIDs() { // what was held in vain is given back
		if _, ok := d.objects[id]; !ok && d.view.objects[id] != nil {
			r.Put(d.view.objects[id].object.CloneObject())
		}
	}
	if d.count == 0 {
		return nil
	}
	var o txn.GetOptions
	if d.inBlock || len(d.held) > 0 {
		o.Lock = kvapi.LockExclusive
	}
	b, _, err := r.t.Get(ctx, versionKey, o)
	if err != nil {
		return err
	}
	v, err := decodeVersion(b)
	if err != nil {
		return err
	}
	if err := d.checkAgainst(ctx, v); err != nil {
		return err
	}
	if err := d.checkDrained(ctx); err != nil {
		return err
	}
	d.version = v + 1
	if err := r.t.Put(ctx, versionKey, encodeVersion(d.version)); err != nil {
		return err
	}
	return d.write(ctx, r.t)
}

// checkAgainst compares what the changes rest on with the catalog of version v.
func (d *changes) checkAgainst(ctx context.Context, v CatalogVersion) error {
	s, err := d.r.c.atVersion(ctx, v)
	if err != nil {
		return err
	}
	for id, e := range d.objects {
		if err := d.checkObject(s, id, e); err != nil {
			return err
		}
	}
	for id, e := range d.needs {
		if s.objects[id] != e {
			return stale(e)
		}
	}
	for k, old := range d.names {
		if s.names[k] != old {
			return &StaleError{k.name}
		}
	}
	for name, old := range d.roles {
		if !sameRole(s.roles[name], old) {
			return &StaleError{name}
		}
	}
	return d.checkConditions(s)
}

// checkConditions asks the conditions of the catalog as it will be: the latest
// one with the changes.
func (d *changes) checkConditions(s *Snapshot) error {
	if len(d.requires) == 0 {
		return nil
	}
	after := s.Contents.clone()
	for id := range d.objects {
		setOrDelete(after.objects, id, d.view.objects)
	}
	for k := range d.names {
		setOrDelete(after.names, k, d.view.names)
	}
	for name := range d.roles {
		setOrDelete(after.roles, name, d.view.roles)
	}
	for _, cond := range d.requires {
		if err := cond(after); err != nil {
			return err
		}
	}
	return nil
}

func setOrDelete[K comparable, V any](dst map[K]V, k K, src map[K]V) {
	if v, ok := src[k]; ok {
		dst[k] = v
	} else {
		delete(dst, k)
	}
}

func (d *changes) checkObject(s *Snapshot, id DescID, e *entry) error {
	cur := s.objects[id]
	if !d.held[id] {
		if cur != e {
			return stale(e)
		}
		return nil
	}
	// The mark is renewed under us; that it still is ours is what counts.
	if cur == nil || cur.object.Head().Change == nil || cur.object.Head().Change.ID != d.id {
		return stale(e)
	}
	return nil
}

func stale(e *entry) error {
	if e == nil {
		return &StaleError{"catalog"}
	}
	return &StaleError{e.object.Head().Name}
}

func sameRole(a, b *Role) bool {
	if a == nil || b == nil {
		return a == b
	}
	return string(a.AppendWire(nil)) == string(b.AppendWire(nil))
}

// atVersion returns a snapshot of exactly version v. If v is not the latest any
// more, the caller's write of the version fails at commit.
func (c *Catalog) atVersion(ctx context.Context, v CatalogVersion) (*Snapshot, error) {
	if s := c.snap.Load(); s != nil && s.Version == v {
		return s, nil
	}
	s, err := c.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	if s.Version != v {
		return nil, &StaleError{"catalog"}
	}
	return s, nil
}

func (d *changes) write(ctx context.Context, t Txn) error {
	for id := range d.objects {
		if err := d.writeObject(ctx, t, id); err != nil {
			return err
		}
	}
	for k := range d.names {
		if err := putOrDelete(ctx, t, namespaceKey(k.parent, k.name), d.nameBytes(k)); err != nil {
			return err
		}
	}
	for name := range d.roles {
		var b []byte
		if role := d.view.roles[name]; role != nil {
			b = encodeRecord(role)
		}
		if err := putOrDelete(ctx, t, roleKey(name), b); err != nil {
			return err
		}
	}
	if err := d.writeDropped(ctx, t); err != nil {
		return err
	}
	if err := d.writeDraining(ctx, t); err != nil {
		return err
	}
	return d.forgetSettled(ctx, t)
}

// writeDropped says which data is to be cleared. What the change made and
// dropped again is: dropped comes last.
func (d *changes) writeDropped(ctx context.Context, t Txn) error {
	for _, x := range d.kept {
		if err := t.Delete(ctx, droppedKey(x.table, x.index)); err != nil {
			return err
		}
	}
	at := hlc.Timestamp{WallTime: d.r.c.clock.PhysicalNow()}
	for _, x := range d.dropped {
		if err := t.Put(ctx, droppedKey(x.table, x.index), encodeRecord(&droppedRecord{At: at})); err != nil {
			return err
		}
	}
	return nil
}

func (d *changes) forgetSettled(ctx context.Context, t Txn) error {
	for n := range d.holds {
		if err := t.Delete(ctx, settledKey(d.id, n)); err != nil {
			return err
		}
	}
	return nil
}

func (d *changes) writeObject(ctx context.Context, t Txn, id DescID) error {
	e := d.view.objects[id]
	if e == nil {
		if d.objects[id] == nil {
			return nil // created and removed in this transaction
		}
		if d.objects[id].object.Kind() == KindTable { // its users have been waited for
			if err := t.Delete(ctx, drainingKey(id)); err != nil {
				return err
			}
		}
		return t.Delete(ctx, descriptorKey(id))
	}
	// The value of a new sequence is not written: without one it begins at its start, and there is one
	// if this transaction has drawn from it, which is done beside the transaction.
	return t.Put(ctx, descriptorKey(id), encodeObject(e.object))
}

func (d *changes) nameBytes(k nameKey) []byte {
	if v, ok := d.view.names[k]; ok {
		return encodeName(v)
	}
	return nil
}

func putOrDelete(ctx context.Context, t Txn, k kvapi.Key, b []byte) error {
	if b == nil {
		return t.Delete(ctx, k)
	}
	return t.Put(ctx, k, b)
}

// finish does what follows the commit or rollback of the changes.
func (d *changes) finish(ctx context.Context, committed bool) {
	c := d.r.c
	if d.stop != nil {
		d.stop()
		<-d.stopped
	}
	if !committed {
		if len(d.held) > 0 {
			c.freeHeld(ctx, d)
		}
		if len(d.announced) > 0 {
			c.abandon(ctx, d.announced)
		}
		return
	}
	c.hear(d.version)
	for _, id := range d.apart {
		t := d.view.Table(id)
		switch {
		case t == nil:
			continue
		case !d.view.KeepsApart(t):
			c.splitLater(id)
			continue
		}
		for _, k := range []kvapi.Key{keys.Table(uint32(id)), keys.Table(uint32(id) + 1)} {
			if err := c.store.Split(ctx, k); err != nil {
				c.log.Warn("giving a table its range", "table", id, "at", k, "err", err)
			}
		}
	}
	for _, fn := range d.onCommit {
		fn(ctx)
	}
	c.announce(ctx, d.version)
}

// untilWall waits until the clock shows at least wall nanoseconds.
func untilWall(ctx context.Context, clock *hlc.Clock, wall int64) error {
	for {
		left := wall - clock.PhysicalNow()
		if left < 0 {
			return nil
		}
		t := time.NewTimer(time.Duration(left) + time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}
