package tscache

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Cache remembers the highest read of every key. One per store.
type Cache struct{}

// New returns a cache that knows of no reads above floor.
func New(clock *hlc.Clock, floor hlc.Timestamp) *Cache { return &Cache{} }

// Add records a read of span at ts by txn (zero: nobody in particular).
func (c *Cache) Add(span kvapi.Span, ts hlc.Timestamp, txn kvapi.TxnID) {}

// Get returns the highest read of any key of span, and whose it is if it is
// one transaction's alone. A write by txn w may go at ts if the owner is w,
// else it must go above ts (ts.Next()).
func (c *Cache) Get(span kvapi.Span) (ts hlc.Timestamp, owner kvapi.TxnID) { return }

// SetFloor raises span to at least ts.
func (c *Cache) SetFloor(span kvapi.Span, ts hlc.Timestamp) {}

// SetRangeFloor raises a range's keys, range-local ones included, to at least
// ts: at a new lease, a snapshot, and a split's right side.
func (c *Cache) SetRangeFloor(desc *kvapi.RangeDescriptor, ts hlc.Timestamp) {}
