package schema

import (
	"context"
	"errors"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// errUndrained says that the version before the latest one may still be in use.
var errUndrained = errors.New("schema: two versions are in use already")

// errAnew has Step begin another transaction.
var errAnew = errors.New("schema: begin anew")

// drainingRecord is an entry under drainingPrefix.
type drainingRecord struct {
	// Version is the catalog's at which the descriptor's latest version was
	// published.
	Version CatalogVersion `wire:"1"`
}

// Publish replaces a descriptor that others go on using: until Drained says
// otherwise, some use the version before. So the two must get along (doc.go,
// "Steps"). Only functions that Step calls may use it.
func (r *Resolver) Publish(o Object) {
	d, id := r.ddl, o.Head().ID
	if d.published == nil {
		d.published = map[DescID]bool{}
	}
	d.published[id] = true
	r.Put(o)
}

// Step publishes the next version of a table while others use the present one.
// It first waits until nobody uses the one before that (I11), and while another
// change holds the table. fn gets a copy of the table, nil if there is none
// any more, and calls Publish with it if it wants to; what else it does in
// the transaction commits with that. It may be called several times, each in a
// transaction of its own.
func (c *Catalog) Step(ctx context.Context, what string, id DescID, fn func(ctx context.Context, r *Resolver, t Txn, tab *Table) error) error {
	for {
		if err := c.Drained(ctx, id); err != nil {
			return err
		}
		err := c.tryStep(ctx, what, id, fn)
		var stale *StaleError
		switch {
		case errors.As(err, &stale), errors.Is(err, errAnew), errors.Is(err, errUndrained):
		case errors.Is(err, errBusy):
			if err := c.awaitFree(ctx, id); err != nil {
				return err
			}
		default:
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// Change runs a schema change in a transaction of its own, again and in another
// one while it has to be.
func (c *Catalog) Change(ctx context.Context, what string, fn func(ctx context.Context, r *Resolver, t Txn) error) error {
	for {
		err := c.tryChange(ctx, what, fn)
		if !errors.As(err, new(*StaleError)) && !errors.Is(err, errAnew) || ctx.Err() != nil {
			return err
		}
	}
}

// tryChange makes one attempt, in one transaction: what an attempt locked would
// stand in the way of the side transactions of the next.
func (c *Catalog) tryChange(ctx context.Context, what string, fn func(context.Context, *Resolver, Txn) error) error {
	var r *Resolver
	err := c.store.Run(ctx, what, func(ctx context.Context, t Txn) error {
		if r != nil {
			return errAnew
		}
		r = c.Resolver(t)
		if err := r.BeginChange(ctx); err != nil {
			return err
		}
		if err := fn(ctx, r, t); err != nil {
			return err
		}
		return r.PrepareCommit(ctx)
	})
	if r != nil {
		r.Finish(ctx, err == nil)
	}
	return err
}

func (c *Catalog) tryStep(ctx context.Context, what string, id DescID, fn func(context.Context, *Resolver, Txn, *Table) error) error {
	return c.tryChange(ctx, what, func(ctx context.Context, r *Resolver, t Txn) error {
		var tab *Table
		if e := r.ddl.view.objects[id]; e != nil {
			if e.object.Head().Change != nil {
				return errBusy
			}
			if tab = as[*Table](e.object); tab != nil {
				tab = tab.Clone()
			}
		}
		return fn(ctx, r, t, tab)
	})
}

// awaitFree waits until what holds a descriptor may be gone.
func (c *Catalog) awaitFree(ctx context.Context, id DescID) error {
	s, err := c.Snapshot(ctx)
	if err != nil {
		return err
	}
	if o := s.Object(id); o != nil && o.Head().Change != nil {
		return c.awaitChange(ctx, o, s.replaced)
	}
	return nil
}

// Drained returns when no transaction can commit any more that used a version
// of the descriptor before its latest one. Nodes that do not answer are waited
// out, as for a hold.
func (c *Catalog) Drained(ctx context.Context, id DescID) error {
	var rec drainingRecord
	var pending bool
	mk := marked{}
	err := c.store.Run(ctx, "schema change: draining", func(ctx context.Context, t Txn) error {
		b, ok, err := t.Get(ctx, drainingKey(id), txn.GetOptions{})
		if pending = ok; err != nil || !ok {
			return err
		}
		if err := decodeRecord(b, &rec); err != nil {
			return err
		}
		mk.nodes, err = readNodes(ctx, t)
		return err
	})
	if err != nil || !pending {
		return err
	}
	mk.version, mk.at = rec.Version, c.clock.Now().Timestamp()
	wall := c.askNodes(ctx, []DescID{id}, mk)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := untilWall(ctx, c.clock, wall); err != nil {
		return err
	}
	return c.store.Run(ctx, "schema change: drained", func(ctx context.Context, t Txn) error {
		b, ok, err := t.Get(ctx, drainingKey(id), txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil || !ok {
			return err
		}
		var now drainingRecord
		if err := decodeRecord(b, &now); err != nil || now.Version != rec.Version {
			return err
		}
		return t.Delete(ctx, drainingKey(id))
	})
}

// readNodes returns the nodes on record.
func readNodes(ctx context.Context, t Txn) (map[kvapi.NodeID]nodeRecord, error) {
	nodes := map[kvapi.NodeID]nodeRecord{}
	err := scanAll(ctx, t, nodePrefix, func(kv kvapi.KeyValue) error {
		n, err := decodeID(kv.Key, nodePrefix)
		if err != nil {
			return err
		}
		var rec nodeRecord
		err = decodeRecord(kv.Value, &rec)
		nodes[kvapi.NodeID(n)] = rec
		return err
	})
	return nodes, err
}

// checkDrained holds I11 where a version is published.
func (d *changes) checkDrained(ctx context.Context) error {
	for id := range d.published {
		if old := d.objects[id]; old != nil && old.object.Head().Change != nil {
			return errBusy
		}
		_, ok, err := d.r.t.Get(ctx, drainingKey(id), txn.GetOptions{})
		if err != nil {
			return err
		}
		if ok {
			return errUndrained
		}
	}
	return nil
}

// writeDraining says that the versions before those published may be in use.
func (d *changes) writeDraining(ctx context.Context, t Txn) error {
	for id := range d.published {
		if d.view.objects[id] == nil {
			continue // removed after all
		}
		if err := t.Put(ctx, drainingKey(id), encodeRecord(&drainingRecord{Version: d.version})); err != nil {
			return err
		}
	}
	return nil
}
