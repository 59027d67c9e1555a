package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/txn"
)

// Resolver is the catalog as one transaction sees it. It counts the
// transaction among the users of what it looks up, bounds its commit by what
// it was allowed to use, and collects the schema changes it makes. One
// goroutine uses it; a new attempt of the transaction needs a new one.
//
//	r := catalog.Resolver(t)
//	tab, _, err := r.Lookup(ctx, db, path, "accounts")
//	...
//	err = r.PrepareCommit(ctx)      // before t.Commit
//	err = t.Commit(ctx)
//	r.Finish(ctx, err == nil)       // after commit or rollback, always
type Resolver struct {
	c *Catalog
	t Txn
	// used holds what the transaction uses; it stays with these versions.
	used []usedEntry
	// ddl is set from the first schema change on.
	ddl *changes
	// expires is the earliest expiry of what could not be renewed.
	expires hlc.Timestamp
	// shareRanges is set by ShareRanges.
	shareRanges bool
	// dry is set by DryRun.
	dry bool
}

type usedEntry struct {
	e *entry
	// expires is until when the version was known to be current.
	expires hlc.Timestamp
}

// StaleError says that the transaction used a version of the catalog that has
// been replaced meanwhile. It had no effect and may be run again.
type StaleError struct{ Name string }

// Error implements error.
func (e *StaleError) Error() string {
	return "could not serialize access due to a concurrent schema change of \"" + e.Name + "\""
}

// SQLState is serialization_failure.
func (*StaleError) SQLState() string { return "40001" }

// Retryable reports true.
func (*StaleError) Retryable() bool { return true }

// Resolver returns the catalog for a transaction. It does no I/O.
func (c *Catalog) Resolver(t Txn) *Resolver { return &Resolver{c: c, t: t} }

// Contents returns the catalog for listing and for names of databases and
// schemas: with the transaction's own changes, if it made any. What is
// listed may not be used to access data; Lookup and Table are for that.
func (r *Resolver) Contents(ctx context.Context) (*Contents, error) {
	if r.ddl != nil {
		return r.ddl.view, nil
	}
	s, err := r.c.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.Contents, nil
}

// Snapshot returns the catalog that a statement of this transaction is bound
// against: the node's snapshot, with the versions the transaction already uses
// and its own changes in it. After binding, Use must be asked for every table:
// false means that another version is current by now, so bind again. If
// binding finds no such name, bind once more after Refresh.
func (r *Resolver) Snapshot(ctx context.Context) (*Snapshot, error) {
	s, err := r.c.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if r.ddl != nil {
		own := *s
		own.Contents = r.ddl.view
		return &own, nil
	}
	return r.withUsed(s), nil
}

// withUsed puts the versions in use in the place of newer ones.
func (r *Resolver) withUsed(s *Snapshot) *Snapshot {
	own := s
	for i := range r.used {
		e := r.used[i].e
		id := e.object.Head().ID
		if s.objects[id] == e {
			continue
		}
		if own == s {
			c := *s
			c.Contents = s.Contents.clone()
			own = &c
		}
		own.objects[id] = e
	}
	return own
}

// Refresh reads the catalog anew, so that what other nodes created is found.
func (r *Resolver) Refresh(ctx context.Context) error {
	_, err := r.c.Refresh(ctx)
	return err
}

// Lookup finds what an unqualified name means along a path of schema names
// in a database, and begins to use it. An index comes with its table. Nil is
// nothing of that name; the catalog was then read anew to be sure.
func (r *Resolver) Lookup(ctx context.Context, db DescID, path []string, name string) (Object, *Index, error) {
	return r.find(ctx, func(c *Contents) (Object, *Index) {
		for _, p := range path {
			if s := c.Schema(db, p); s != nil {
				if o, ix := c.Relation(s.ID, name); o != nil {
					return o, ix
				}
			}
		}
		return nil, nil
	})
}

// Object returns a descriptor by number and begins to use it; nil if there is
// none.
func (r *Resolver) Object(ctx context.Context, id DescID) (Object, error) {
	o, _, err := r.find(ctx, func(c *Contents) (Object, *Index) { return c.Object(id), nil })
	return o, err
}

// Table returns a table by number and begins to use it; nil if there is none.
func (r *Resolver) Table(ctx context.Context, id DescID) (*Table, error) {
	o, err := r.Object(ctx, id)
	return as[*Table](o), err
}

// Use begins to use a table in the very version that a cached plan was made
// for. False says that the plan is out of date. It makes no call to other
// nodes unless the snapshot has expired.
func (r *Resolver) Use(ctx context.Context, id DescID, version DescVersion) (bool, error) {
	o, err := r.Object(ctx, id)
	return o != nil && o.Head().Version == version, err
}

// find looks a descriptor up and acquires it, waiting while another
// transaction's schema change holds it.
func (r *Resolver) find(ctx context.Context, pick func(*Contents) (Object, *Index)) (Object, *Index, error) {
	refreshed := false
	for {
		s, err := r.c.Snapshot(ctx)
		if err != nil {
			return nil, nil, err
		}
		view := s.Contents
		if r.ddl != nil {
			view = r.ddl.view
		}
		o, ix := pick(view)
		if o == nil && !refreshed && r.ddl == nil {
			if _, err := r.c.Refresh(ctx); err != nil {
				return nil, nil, err
			}
			refreshed = true
			continue
		}
		if o == nil {
			return nil, nil, nil
		}
		got, err := r.acquire(ctx, s, view.objects[o.Head().ID])
		if err != nil {
			return nil, nil, err
		}
		if got == nil {
			if err := r.c.awaitChange(ctx, o, s.replaced); err != nil {
				return nil, nil, err
			}
			refreshed = false
			continue
		}
		return got, sameIndex(got, ix), nil
	}
}

// sameIndex returns the index of o that ix is, o perhaps being another version
// of the table that ix came from.
func sameIndex(o Object, ix *Index) *Index {
	if ix == nil {
		return nil
	}
	return o.(*Table).IndexByID(ix.ID)
}

// acquire begins to use an entry; nil says that it is held or retired and the
// caller must wait and look again.
func (r *Resolver) acquire(ctx context.Context, s *Snapshot, e *entry) (Object, error) {
	if r.ddl != nil && r.ddl.owns(e.object.Head().ID) {
		return e.object, nil
	}
	for i := range r.used {
		if u := &r.used[i]; u.e == e || u.e.object.Head().ID == e.object.Head().ID {
			return u.e.object, r.keepUsing(u, s)
		}
	}
	if cur := s.objects[e.object.Head().ID]; cur != e && cur != nil {
		e = cur // the overlay of a schema change has an older version
	}
	if e.object.Head().Change != nil || !e.use.acquire() {
		return nil, nil
	}
	r.used = append(r.used, usedEntry{e, s.Expires})
	// Below the version's commit its data may not be there (I8).
	err := r.t.AdvanceTo(ctx, e.since)
	if errors.As(err, new(txn.FixedError)) {
		err = r.checkPast(ctx, e.object)
	}
	return e.object, err
}

// ChangedError says that an object was another one at the time at which a
// transaction reads.
type ChangedError struct {
	Name string
	At   hlc.Timestamp
}

// Error implements error.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("the definition of \"%s\" has changed since the transaction's time", e.Name)
}

// checkPast asks, for a transaction that reads the past, whether an object
// was in the same version then: its data are read as the version of today.
func (r *Resolver) checkPast(ctx context.Context, o Object) error {
	b, ok, err := r.t.Get(ctx, descriptorKey(o.Head().ID), txn.GetOptions{})
	if err != nil {
		return err
	}
	if ok {
		then, err := decodeObject(b)
		if err != nil {
			return err
		}
		if then.Head().Version == o.Head().Version {
			return nil
		}
	}
	return &ChangedError{Name: o.Head().Name, At: r.t.ReadTimestamp()}
}

// keepUsing extends a use if its version is still current, and refuses to go
// on with one that has run out (I2), unless the transaction only reads and what
// it reads is still as it was. The use is not extended then, so that a commit
// with writes is refused all the same.
func (r *Resolver) keepUsing(u *usedEntry, s *Snapshot) error {
	cur := s.objects[u.e.object.Head().ID]
	switch {
	case cur == u.e:
		u.expires = s.Expires
	case u.expires.WallTime > r.c.clock.PhysicalNow():
	case cur == nil || !r.t.IsReadOnlySoFar() || !readsAs(u.e.object, cur.object):
		return &StaleError{u.e.object.Head().Name}
	}
	return nil
}

// readsAs reports whether whoever reads a table by one version finds what it
// would by a later one, leaving aside what the later one adds.
func readsAs(old, later Object) bool {
	a, b := as[*Table](old), as[*Table](later)
	if a == nil || b == nil || !sameNames(a, b) || !sameIndexes(&a.Primary, &b.Primary) {
		return false
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], b.ColumnByID(a.Columns[i].ID)
		if y == nil || x.Name != y.Name || string(x.Type.AppendWire(nil)) != string(y.Type.AppendWire(nil)) {
			return false
		}
	}
	for i := range a.Indexes {
		x := &a.Indexes[i]
		if y := b.IndexByID(x.ID); x.IsPublic() && (y == nil || !y.IsPublic() || !sameIndexes(x, y)) {
			return false
		}
	}
	return true
}

// sameIndexes reports whether two versions of an index have the same entries.
func sameIndexes(a, b *Index) bool {
	return a.ID == b.ID && a.Unique == b.Unique && a.Where == b.Where && a.Inverted == b.Inverted && slices.Equal(a.Columns, b.Columns) && slices.Equal(a.Stored, b.Stored)
}

// Check fails if something the transaction used is no longer its to use. A
// read-only transaction, whose commit has no deadline, asks at the end of
// each statement.
func (r *Resolver) Check(ctx context.Context) error {
	now := r.c.clock.PhysicalNow()
	for i := range r.used {
		u := &r.used[i]
		if u.expires.WallTime > now {
			continue
		}
		s, err := r.c.Snapshot(ctx)
		if err != nil {
			return err
		}
		if err := r.keepUsing(u, s); err != nil {
			return err
		}
	}
	return nil
}

// PrepareCommit gives the transaction its deadline and, if it changed the
// schema, checks and writes the changes. Call it right before Commit.
func (r *Resolver) PrepareCommit(ctx context.Context) error {
	if len(r.used) > 0 {
		s, err := r.c.Snapshot(ctx)
		if err != nil {
			return err
		}
		deadline := s.Expires
		for i := range r.used {
			if err := r.keepUsing(&r.used[i], s); err != nil {
				return err
			}
			deadline = deadline.Min(r.used[i].expires)
		}
		r.t.SetDeadline(deadline)
	}
	if r.ddl == nil {
		return nil
	}
	return r.writeChanges(ctx)
}

// Release ends the use of everything. Finish does it too.
func (r *Resolver) Release() {
	for i := range r.used {
		r.used[i].e.use.release()
	}
	r.used = r.used[:0]
}

// Finish ends the resolver after the transaction did: it ends all uses, and
// after a schema change tells the other nodes, gives new tables their ranges
// and frees what the change held. For a transaction without schema change it
// does no I/O. A commit whose outcome is unknown counts as not committed.
func (r *Resolver) Finish(ctx context.Context, committed bool) {
	r.Release()
	if r.ddl == nil {
		return
	}
	ddl := r.ddl
	r.ddl = nil
	if r.dry {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterCommitMax)
	defer cancel()
	ddl.finish(ctx, committed)
}

// awaitChange waits until what is held or replaced may have become usable: a
// newer version arrives, or some time passes. A mark whose change is gone is
// taken away.
func (c *Catalog) awaitChange(ctx context.Context, o Object, replaced <-chan struct{}) error {
	h := o.Head()
	if h.Change != nil && h.Change.Expires.WallTime < c.clock.PhysicalNow() {
		if err := c.takeAway(ctx, h.ID, h.Change.ID, expiredMark); err != nil {
			return err
		}
	} else if h.Change != nil {
		t := time.NewTimer(markPollMax)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-replaced:
			return nil
		case <-t.C:
		}
	}
	_, err := c.Refresh(ctx)
	return err
}
