package raftlog

import (
	"container/list"
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// Cache keeps the newest entries of all logs of a store in memory, up to a
// number of bytes. It is safe for concurrent use. The range used longest ago
// loses its oldest entries first.
type Cache struct {
	maxBytes int64
	mu       struct {
		sync.Mutex
		bytes   int64
		windows map[kvapi.RangeID]*window
		lru     list.List // of *window, newest use in front
	}
}

// window is a contiguous suffix of one log (I6).
type window struct {
	id    kvapi.RangeID
	ents  []raftgroup.Entry
	bytes int64
	place *list.Element
}

// NewCache returns a cache of that size; zero takes the default.
func NewCache(maxBytes int64) *Cache {
	if maxBytes == 0 {
		maxBytes = cacheBytesDefault
	}
	c := &Cache{maxBytes: maxBytes}
	c.mu.windows = make(map[kvapi.RangeID]*window)
	return c
}

// Bytes returns the size of what is cached.
func (c *Cache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.bytes
}

// add makes ents the end of a range's window, in place of whatever it holds
// from their first index on.
func (c *Cache) add(id kvapi.RangeID, ents []raftgroup.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.mu.windows[id]
	if w == nil {
		w = &window{id: id}
		w.place = c.mu.lru.PushFront(w)
		c.mu.windows[id] = w
	} else {
		c.mu.lru.MoveToFront(w.place)
	}
	if n := len(w.ents); n > 0 && ents[0].Index > w.ents[n-1].Index+1 {
		c.cutLocked(w, 0, n)
	} else if n > 0 && ents[0].Index <= w.ents[n-1].Index {
		keep := max(0, int64(ents[0].Index)-int64(w.ents[0].Index))
		c.cutLocked(w, int(keep), n)
	}
	w.ents = append(w.ents, ents...)
	c.accountLocked(w, ents, 1)
	c.evictLocked()
}

func (c *Cache) accountLocked(w *window, ents []raftgroup.Entry, sign int64) {
	var n int64
	for i := range ents {
		n += int64(ents[i].SizeBytes())
	}
	w.bytes += sign * n
	c.mu.bytes += sign * n
}

// cutLocked removes w.ents[lo:hi], a prefix or a suffix.
func (c *Cache) cutLocked(w *window, lo, hi int) {
	c.accountLocked(w, w.ents[lo:hi], -1)
	clear(w.ents[lo:hi]) // the array stays; it must not keep the data
	if lo == 0 {
		w.ents = w.ents[hi:]
	} else {
		w.ents = w.ents[:lo]
	}
}

// evictLocked halves the windows used longest ago until the rest fits.
func (c *Cache) evictLocked() {
	for c.mu.bytes > c.maxBytes {
		w := c.mu.lru.Back().Value.(*window)
		c.cutLocked(w, 0, (len(w.ents)+1)/2)
		if len(w.ents) == 0 {
			c.removeLocked(w)
		}
	}
}

func (c *Cache) removeLocked(w *window) {
	c.accountLocked(w, w.ents, -1)
	c.mu.lru.Remove(w.place)
	delete(c.mu.windows, w.id)
}

// get returns a copy of the entries from lo up to hi (exclusive) and maxBytes,
// at least one; nil if lo is not cached.
func (c *Cache) get(id kvapi.RangeID, lo, hi kvapi.LogIndex, maxBytes uint64) []raftgroup.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.mu.windows[id]
	if w == nil || len(w.ents) == 0 || lo < w.ents[0].Index || lo > w.ents[len(w.ents)-1].Index {
		return nil
	}
	c.mu.lru.MoveToFront(w.place)
	ents := w.ents[lo-w.ents[0].Index:]
	if n := uint64(hi - lo); n < uint64(len(ents)) {
		ents = ents[:n]
	}
	n := limitEntries(ents, maxBytes)
	return append(make([]raftgroup.Entry, 0, n), ents[:n]...)
}

// limitEntries returns how many entries fit in maxBytes, at least one.
func limitEntries(ents []raftgroup.Entry, maxBytes uint64) int {
	var size uint64
	for i := range ents {
		size += uint64(ents[i].SizeBytes())
		if size > maxBytes && i > 0 {
			return i
		}
	}
	return len(ents)
}

// truncate removes entries up to an index.
func (c *Cache) truncate(id kvapi.RangeID, upTo kvapi.LogIndex) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.mu.windows[id]
	if w == nil {
		return
	}
	if len(w.ents) > 0 && upTo >= w.ents[0].Index {
		c.cutLocked(w, 0, min(len(w.ents), int(upTo-w.ents[0].Index)+1))
	}
	if len(w.ents) == 0 {
		c.removeLocked(w)
	}
}

// forget removes a range.
func (c *Cache) forget(id kvapi.RangeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.mu.windows[id]; w != nil {
		c.removeLocked(w)
	}
}
