package tscache

import (
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// entry is a read: when, and by whom if it was one transaction alone.
type entry struct {
	ts    hlc.Timestamp
	owner kvapi.TxnID
}

// max returns the later of two reads; at equal timestamps by two readers
// nobody is the owner (I1).
func (e entry) max(o entry) entry {
	switch c := e.ts.Compare(o.ts); {
	case c > 0:
		return e
	case c < 0:
		return o
	case e.owner != o.owner:
		e.owner = kvapi.TxnID{}
	}
	return e
}

// Cache remembers the highest read of every key of a store. All methods are
// safe for concurrent use.
type Cache struct {
	clock *hlc.Clock

	mu struct {
		sync.Mutex
		young, old *page
		floor      entry
		adds       int
		rotations  int64
	}
}

// New returns a cache that takes every key to have been read at floor.
func New(clock *hlc.Clock, floor hlc.Timestamp) *Cache {
	c := &Cache{clock: clock}
	c.mu.young, c.mu.old = newPage(clock.PhysicalNow()), newPage(clock.PhysicalNow())
	c.mu.floor.ts = floor
	return c
}

// Add records a read of span at ts by txn (zero: nobody in particular).
func (c *Cache) Add(span kvapi.Span, ts hlc.Timestamp, txn kvapi.TxnID) {
	if ts.IsEmpty() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maybeRotateLocked()
	c.mu.young.add(span, entry{ts: ts, owner: txn})
}

// maybeRotateLocked forgets the old page when the young one is full or old.
func (c *Cache) maybeRotateLocked() {
	c.mu.adds++
	full := c.mu.young.bytes > pageBytesMax
	if !full && c.mu.adds%rotateEvery != 0 {
		return
	}
	now := c.clock.PhysicalNow()
	if !full && now-c.mu.young.born < int64(pageAgeMin) {
		return
	}
	c.rotateLocked(now)
}

func (c *Cache) rotateLocked(now int64) {
	// The floor belongs to nobody: the old page held many readers.
	c.mu.floor = entry{ts: c.mu.floor.ts.Max(c.mu.old.highest)}
	c.mu.old, c.mu.young = c.mu.young, newPage(now)
	c.mu.rotations++
}

// Get returns the highest read of any key of span, and whose it is if it is
// one transaction's alone. A write by txn w may go at ts if the owner is w,
// else it must go above ts (ts.Next()).
func (c *Cache) Get(span kvapi.Span) (ts hlc.Timestamp, owner kvapi.TxnID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.mu.floor
	e = c.mu.young.get(span, e)
	e = c.mu.old.get(span, e)
	return e.ts, e.owner
}

// SetFloor raises span to at least ts.
func (c *Cache) SetFloor(span kvapi.Span, ts hlc.Timestamp) { c.Add(span, ts, kvapi.TxnID{}) }

// SetRangeFloor raises a range's keys, range-local ones included, to at least
// ts: at a new lease, a snapshot, and for a merge.
func (c *Cache) SetRangeFloor(desc *kvapi.RangeDescriptor, ts hlc.Timestamp) {
	start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
	c.SetFloor(desc.Span(), ts)
	c.SetFloor(kvapi.Span{Key: start, EndKey: end}, ts)
}

// Metrics is a snapshot of the cache.
type Metrics struct {
	Floor     hlc.Timestamp
	Points    int64
	Spans     int64
	SizeBytes int64
	Rotations int64
}

// Metrics returns the cache's state in numbers.
func (c *Cache) Metrics() Metrics {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := Metrics{Floor: c.mu.floor.ts, Rotations: c.mu.rotations}
	for _, p := range []*page{c.mu.young, c.mu.old} {
		m.Points += int64(len(p.points))
		m.Spans += int64(p.steps.Len())
		m.SizeBytes += p.bytes
	}
	return m
}
