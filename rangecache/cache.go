package rangecache

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"github.com/cairndb/cairn/kv/kvapi"
)

// entry is one range as last heard of. Desc and lease are immutable; a newer
// truth is a new entry. Only the hint and the use mark change in place.
type entry struct {
	desc  kvapi.RangeDescriptor
	lease kvapi.Lease
	// hint is the node to try first, 0 for none: the lease's holder, or the
	// node that last answered.
	hint atomic.Uint32
	// used is the cache's clock at the last look-up.
	used atomic.Int64
}

func newEntry(info kvapi.RangeInfo) *entry {
	e := &entry{desc: info.Desc, lease: info.Lease}
	e.hint.Store(uint32(info.Lease.Holder.NodeID))
	return e
}

func (e *entry) info() kvapi.RangeInfo { return kvapi.RangeInfo{Desc: e.desc, Lease: e.lease} }

// contains reports whether the entry holds k, or with reverse the keys
// directly before k.
func (e *entry) contains(k kvapi.Key, reverse bool) bool {
	if reverse {
		return e.desc.StartKey.Less(k) && !e.desc.EndKey.Less(k)
	}
	return e.desc.ContainsKey(k)
}

func (e *entry) sameRange(d *kvapi.RangeDescriptor) bool {
	return e.desc.RangeID == d.RangeID && e.desc.StartKey.Equal(d.StartKey) && e.desc.EndKey.Equal(d.EndKey)
}

// Cache holds ranges by span, without overlaps. It is bounded and safe for
// concurrent use.
type Cache struct {
	max  int
	tick atomic.Int64
	// pivots are entries to look for.
	pivots sync.Pool
	mu     struct {
		sync.RWMutex
		// tree orders entries by start key.
		tree *btree.BTreeG[*entry]
	}
}

// NewCache returns an empty cache of at most max ranges (0: the default).
func NewCache(max int) *Cache {
	if max <= 0 {
		max = entriesMax
	}
	c := &Cache{max: max}
	c.mu.tree = btree.NewG(32, func(a, b *entry) bool { return a.desc.StartKey.Less(b.desc.StartKey) })
	return c
}

// get returns the entry that holds k (with reverse: the keys before k).
func (c *Cache) get(k kvapi.Key, reverse bool) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.floorLocked(k, reverse)
	if e == nil || !e.contains(k, reverse) {
		return nil
	}
	e.used.Store(c.tick.Load())
	return e
}

// floorLocked returns the last entry that starts at or before k; with reverse
// before k.
func (c *Cache) floorLocked(k kvapi.Key, reverse bool) *entry {
	var found *entry
	pivot, ok := c.pivots.Get().(*entry)
	if !ok {
		pivot = &entry{}
	}
	pivot.desc.StartKey = k
	c.mu.tree.DescendLessOrEqual(pivot, func(e *entry) bool {
		if reverse && e.desc.StartKey.Equal(k) {
			return true
		}
		found = e
		return false
	})
	pivot.desc.StartKey = nil
	c.pivots.Put(pivot)
	return found
}

// Insert takes in what was heard of a range and reports whether the cache now
// holds exactly that descriptor. Older news than the cache has is dropped (I2).
func (c *Cache) Insert(info kvapi.RangeInfo) bool {
	d := &info.Desc
	if !d.IsInitialized() || !d.StartKey.Less(d.EndKey) || len(d.Replicas) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	over := c.overlappingLocked(d)
	for _, e := range over {
		if e.desc.Generation > d.Generation {
			return false
		}
		if e.desc.Generation == d.Generation && e.sameRange(d) {
			return c.mergeLeaseLocked(e, info)
		}
	}
	for _, e := range over {
		c.mu.tree.Delete(e)
	}
	c.addLocked(newEntry(info))
	return true
}

// mergeLeaseLocked keeps the lease with the higher sequence.
func (c *Cache) mergeLeaseLocked(e *entry, info kvapi.RangeInfo) bool {
	if info.Lease.Sequence <= e.lease.Sequence {
		if n := info.Lease.Holder.NodeID; e.hint.Load() == 0 && info.Lease.Sequence == e.lease.Sequence {
			e.hint.Store(uint32(n))
		}
		return true
	}
	c.addLocked(newEntry(kvapi.RangeInfo{Desc: e.desc, Lease: info.Lease}))
	return true
}

func (c *Cache) addLocked(e *entry) {
	e.used.Store(c.tick.Add(1))
	c.mu.tree.ReplaceOrInsert(e)
	if c.mu.tree.Len() > c.max {
		c.shrinkLocked()
	}
}

// shrinkLocked drops the least recently used eighth; amortised over the
// insertions until the next time it costs a few steps each.
func (c *Cache) shrinkLocked() {
	all := make([]*entry, 0, c.mu.tree.Len())
	c.mu.tree.Ascend(func(e *entry) bool { all = append(all, e); return true })
	slices.SortFunc(all, func(a, b *entry) int { return int(a.used.Load() - b.used.Load()) })
	for _, e := range all[:len(all)/8+1] {
		c.mu.tree.Delete(e)
	}
}

func (c *Cache) overlappingLocked(d *kvapi.RangeDescriptor) []*entry {
	var over []*entry
	if e := c.floorLocked(d.StartKey, false); e != nil && d.StartKey.Less(e.desc.EndKey) {
		over = append(over, e)
	}
	pivot := &entry{desc: kvapi.RangeDescriptor{StartKey: d.StartKey.Next()}}
	c.mu.tree.AscendGreaterOrEqual(pivot, func(e *entry) bool {
		if !e.desc.StartKey.Less(d.EndKey) {
			return false
		}
		over = append(over, e)
		return true
	})
	return over
}

// evict forgets e, unless something newer has taken its place.
func (c *Cache) evict(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cur, ok := c.mu.tree.Get(e); ok && cur.desc.RangeID == e.desc.RangeID &&
		cur.desc.Generation <= e.desc.Generation {
		c.mu.tree.Delete(cur)
	}
}

// Clear forgets everything.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.tree.Clear(false)
}

// Len returns the number of ranges known.
func (c *Cache) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.mu.tree.Len()
}

// Ranges returns what the cache holds, in key order, for the console.
func (c *Cache) Ranges() []kvapi.RangeInfo {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]kvapi.RangeInfo, 0, c.mu.tree.Len())
	c.mu.tree.Ascend(func(e *entry) bool { out = append(out, e.info()); return true })
	return out
}
