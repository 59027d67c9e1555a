package schema

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// errBusy says that another change holds the descriptor.
var errBusy = errors.New("schema: held by another change")

// Hold takes existing descriptors out of use by everyone but this
// transaction, until it has ended. It commits the marks by itself, waits for
// every node, and then moves the transaction's timestamp past all uses that
// were. BeginChange must have been called; descriptors that the transaction
// created or holds already are skipped.
func (r *Resolver) Hold(ctx context.Context, what string, ids ...DescID) error {
	d := r.ddl
	var todo []DescID
	for _, id := range ids {
		if !d.owns(id) {
			todo = append(todo, id)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	if r.dry {
		d.addHeld(todo)
		return nil
	}
	r.releaseUses(todo)
	mk, err := r.c.markAll(ctx, d.id, what, todo)
	if err != nil {
		return err
	}
	d.addHeld(todo)
	d.startRenewal()
	settled := settledKey(d.id, d.holds)
	d.holds++
	if err := r.c.settle(ctx, settled, todo, mk); err != nil {
		return err
	}
	// Reading what settle wrote pushes the transaction above every commit
	// that used an older version (I6).
	if _, _, err := r.t.Get(ctx, settled, txn.GetOptions{Lock: kvapi.LockExclusive}); err != nil {
		return err
	}
	return d.adopt(ctx, todo, mk.version)
}

// releaseUses gives up the transaction's own use of what it is about to hold;
// its reads stay protected by its own serializability.
func (r *Resolver) releaseUses(ids []DescID) {
	kept := r.used[:0]
	for _, u := range r.used {
		mine := false
		for _, id := range ids {
			mine = mine || u.e.object.Head().ID == id
		}
		if mine {
			u.e.use.release()
		} else {
			kept = append(kept, u)
		}
	}
	r.used = kept
}

// adopt puts the marked versions into the view. A name or parent that moved
// since the view was made is found at commit.
func (d *changes) adopt(ctx context.Context, ids []DescID, atLeast CatalogVersion) error {
	d.r.c.hear(atLeast)
	s, err := d.r.c.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		e := s.objects[id]
		if e == nil || e.object.Head().Change == nil || e.object.Head().Change.ID != d.id {
			return stale(d.view.objects[id])
		}
		if known := d.view.objects[id]; known == nil || !sameNames(e.object, known.object) {
			return stale(e)
		}
		d.view.objects[id] = e
	}
	for _, id := range ids {
		if t, ok := s.objects[id].object.(*Table); ok && !d.knowsReferences(t, s.Contents) {
			return stale(s.objects[id])
		}
	}
	return nil
}

// knowsReferences reports whether the foreign keys of and to a table are the same in
// the view as in later contents: who made one since has changed a second table too.
func (d *changes) knowsReferences(t *Table, later *Contents) bool {
	for i := range t.ForeignKeys {
		if d.view.Table(t.ForeignKeys[i].Target) == nil {
			return false
		}
	}
	for _, id := range t.ReferencedBy {
		if !d.owns(id) && !slices.Equal(later.Table(id).keysTo(t.ID), d.view.Table(id).keysTo(t.ID)) {
			return false
		}
	}
	return true
}

// keysTo are the foreign keys of a table to another; of no table, none.
func (t *Table) keysTo(target DescID) (oids []DescID) {
	if t == nil {
		return nil
	}
	for i := range t.ForeignKeys {
		if t.ForeignKeys[i].Target == target {
			oids = append(oids, t.ForeignKeys[i].OID)
		}
	}
	return oids
}

func sameNames(a, b Object) bool {
	x, y := a.Head(), b.Head()
	return x.Name == y.Name && x.SchemaID == y.SchemaID && a.Kind() == b.Kind()
}

// marked is what committing marks tells.
type marked struct {
	version CatalogVersion
	nodes   map[kvapi.NodeID]nodeRecord
	// at is a time at which the marks were committed.
	at hlc.Timestamp
}

// markAll commits marks on descriptors, waiting for other changes' to go.
func (c *Catalog) markAll(ctx context.Context, change ChangeID, what string, ids []DescID) (marked, error) {
	for {
		mk, busy, err := c.tryMark(ctx, change, what, ids)
		if err == nil {
			mk.at = c.clock.Now().Timestamp()
			return mk, nil
		}
		if !errors.Is(err, errBusy) {
			return mk, err
		}
		s, err := c.Snapshot(ctx)
		if err != nil {
			return mk, err
		}
		if err := c.awaitChange(ctx, busy, s.replaced); err != nil {
			return mk, err
		}
	}
}

func (c *Catalog) tryMark(ctx context.Context, change ChangeID, what string, ids []DescID) (mk marked, busy Object, err error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, markMax)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil && parent.Err() == nil {
			err = &StaleError{"catalog"}
		}
	}()
	err = c.store.Run(ctx, "schema change: "+what, func(ctx context.Context, t Txn) error {
		v, err := bumpVersion(ctx, t)
		if err != nil {
			return err
		}
		mk = marked{version: v}
		for _, id := range ids {
			if busy, err = c.markOne(ctx, t, id, change, what); err != nil {
				return err
			}
		}
		mk.nodes, err = readNodes(ctx, t)
		return err
	})
	return mk, busy, err
}

func (c *Catalog) markOne(ctx context.Context, t Txn, id DescID, change ChangeID, what string) (Object, error) {
	o, err := readObject(ctx, t, id)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, &StaleError{"object " + id.String()}
	}
	h := o.Head()
	if h.Change != nil && h.Change.ID != change {
		return o, errBusy
	}
	h.Version++
	h.Change = &Change{ID: change, What: what, Expires: c.markExpiry()}
	return nil, t.Put(ctx, descriptorKey(id), encodeObject(o))
}

func (c *Catalog) markExpiry() hlc.Timestamp {
	return hlc.Timestamp{WallTime: c.clock.PhysicalNow() + int64(markDuration)}
}

func readObject(ctx context.Context, t Txn, id DescID) (Object, error) {
	b, ok, err := t.Get(ctx, descriptorKey(id), txn.GetOptions{Lock: kvapi.LockExclusive})
	if err != nil || !ok {
		return nil, err
	}
	return decodeObject(b)
}

func bumpVersion(ctx context.Context, t Txn) (CatalogVersion, error) {
	b, _, err := t.Get(ctx, versionKey, txn.GetOptions{Lock: kvapi.LockExclusive})
	if err != nil {
		return 0, err
	}
	v, err := decodeVersion(b)
	if err != nil {
		return 0, err
	}
	return v + 1, t.Put(ctx, versionKey, encodeVersion(v+1))
}

// startRenewal keeps the marks from expiring until the changes are finished.
func (d *changes) startRenewal() {
	if d.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop, d.stopped = cancel, make(chan struct{})
	c, id := d.r.c, d.id
	held := d.heldIDs
	go func() {
		defer close(d.stopped)
		tick := time.NewTicker(markDuration / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				c.renewMarks(ctx, id, held())
			}
		}
	}()
}

// renewMarks moves the expiry of marks that still stand. No version counts up:
// nothing that anyone may use changes.
func (c *Catalog) renewMarks(ctx context.Context, change ChangeID, ids []DescID) {
	err := c.store.Run(ctx, "schema change: renew", func(ctx context.Context, t Txn) error {
		for _, id := range ids {
			o, err := readObject(ctx, t, id)
			if err != nil {
				return err
			}
			if o == nil || o.Head().Change == nil || o.Head().Change.ID != change {
				continue
			}
			o.Head().Change.Expires = c.markExpiry()
			if err := t.Put(ctx, descriptorKey(id), encodeObject(o)); err != nil {
				return err
			}
		}
		_, err := bumpVersion(ctx, t)
		return err
	})
	if err != nil && ctx.Err() == nil {
		c.log.Warn("renewing a schema change's mark", "err", err)
	}
}

// freeHeld takes the marks of a change away that did not happen. What settle
// wrote may still be locked by the change and is left to SweepDropped.
func (c *Catalog) freeHeld(ctx context.Context, d *changes) {
	for _, id := range d.heldIDs() {
		if err := c.takeAway(ctx, id, d.id, anyMark); err != nil {
			c.log.Warn("freeing a table from a schema change", "id", id, "err", err)
		}
	}
}

// which says which of a change's marks takeAway removes.
type which int

const (
	anyMark which = iota
	// expiredMark: the gateway is gone. Its mark may have been renewed since
	// this node looked.
	expiredMark
)

// takeAway removes a mark, if it is still that change's.
func (c *Catalog) takeAway(ctx context.Context, id DescID, change ChangeID, w which) error {
	var v CatalogVersion
	err := c.store.Run(ctx, "schema change: free", func(ctx context.Context, t Txn) error {
		v = 0
		o, err := readObject(ctx, t, id)
		if err != nil || o == nil {
			return err
		}
		h := o.Head()
		if h.Change == nil || h.Change.ID != change {
			return nil
		}
		if w == expiredMark && h.Change.Expires.WallTime >= c.clock.PhysicalNow() {
			return nil
		}
		h.Version++
		h.Change = nil
		if err := t.Put(ctx, descriptorKey(id), encodeObject(o)); err != nil {
			return err
		}
		v, err = bumpVersion(ctx, t)
		return err
	})
	if err == nil && v != 0 {
		c.announce(ctx, v)
	}
	return err
}
