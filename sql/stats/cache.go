package stats

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

// Reader reads keys; *txn.Txn is one.
type Reader interface {
	GetMany(ctx context.Context, keys []kvapi.Key, o txn.GetOptions) ([]txn.Value, error)
}

// Cache keeps the statistics that a node's sessions asked for. After Expire each is read anew when it
// is next asked for.
//
//	ANALYZE ──▶ keys.Stats ──▶ Expire on every node ──▶ next use reads, plans are made anew
//	                           (and every half minute, for nodes that did not hear of it)
type Cache struct {
	// Run runs fn in a transaction.
	Run func(ctx context.Context, fn func(context.Context, Reader) error) error

	generation atomic.Int64
	m          sync.Map // schema.DescID to *cached
}

type cached struct {
	table      *Table // nil: there are none
	generation int64
}

// Expire has everything read anew.
func (c *Cache) Expire() { c.generation.Add(1) }

// Known returns what the cache holds, without reading; fresh says that it need not be read anew.
func (c *Cache) Known(id schema.DescID) (t *Table, fresh bool) {
	v, ok := c.m.Load(id)
	if !ok {
		return nil, false
	}
	x := v.(*cached)
	return x.table, x.generation == c.generation.Load()
}

// Load makes the cache fresh for some tables, with one call if any is not.
func (c *Cache) Load(ctx context.Context, ids []schema.DescID) error {
	var want []schema.DescID
	var ks []kvapi.Key
	generation := c.generation.Load()
	for _, id := range ids {
		if _, fresh := c.Known(id); !fresh {
			want, ks = append(want, id), append(ks, keys.Stats(uint32(id)))
		}
	}
	if len(want) == 0 {
		return nil
	}
	var vals []txn.Value
	err := c.Run(ctx, func(ctx context.Context, r Reader) (err error) {
		vals, err = r.GetMany(ctx, ks, txn.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	for i, v := range vals {
		x := &cached{generation: generation}
		if v.Exists {
			t := new(Table)
			if err := t.UnmarshalWire(append([]byte(nil), v.Data...)); err != nil {
				return err
			}
			x.table = t
		}
		if old, _ := c.Known(want[i]); old != nil && x.table != nil && old.AtNanos == x.table.AtNanos {
			x.table = old // the same: plans made with it are good (I4)
		}
		c.m.Store(want[i], x)
	}
	return nil
}

// Keep takes what the cache holds of some tables as fresh: the store does not answer, and until the next
// Expire nobody asks it again.
func (c *Cache) Keep(ids []schema.DescID) {
	generation := c.generation.Load()
	for _, id := range ids {
		old, fresh := c.Known(id)
		if !fresh {
			c.m.Store(id, &cached{table: old, generation: generation})
		}
	}
}

// Forget drops a table that is gone.
func (c *Cache) Forget(id schema.DescID) { c.m.Delete(id) }
