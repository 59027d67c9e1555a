package memkv

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// cell is everything known of one key.
type cell struct {
	key kvapi.Key
	// versions are committed, newest first.
	versions []version
	intent   *intent
	locks    []kvapi.Lock
	read     read
}

type version struct {
	ts        hlc.Timestamp
	value     []byte
	tombstone bool
	// signed is who wrote it, if it was asked to sign.
	signed kvapi.TxnID
}

type intent struct {
	txn       kvapi.TxnMeta // WriteTimestamp is the intent's own
	value     []byte
	tombstone bool
	signed    kvapi.TxnID
}

// read is the highest read of a key; no owner if there were several.
type read struct {
	ts  hlc.Timestamp
	txn kvapi.TxnID
}

type readSpan struct {
	span kvapi.Span
	read read
}

// forward raises a read; equal timestamps of two transactions have no owner.
func (r *read) forward(o read) {
	switch {
	case r.ts.Less(o.ts):
		*r = o
	case r.ts == o.ts && r.txn != o.txn:
		r.txn = kvapi.TxnID{}
	}
}

func (c *Cluster) cellAt(k kvapi.Key) *cell {
	if e, ok := c.mu.cells.Get(&cell{key: k}); ok {
		return e
	}
	e := &cell{key: k.Clone()}
	c.mu.cells.ReplaceOrInsert(e)
	return e
}

// cellsIn returns the cells of a span in key order.
func (c *Cluster) cellsIn(sp kvapi.Span) []*cell {
	var out []*cell
	c.mu.cells.AscendRange(&cell{key: sp.Key}, &cell{key: sp.End()}, func(e *cell) bool {
		out = append(out, e)
		return true
	})
	return out
}

// visible returns the newest version at or below ts.
func (e *cell) visible(ts hlc.Timestamp) (version, bool) {
	for _, v := range e.versions {
		if v.ts.LessEq(ts) {
			return v, !v.tombstone
		}
	}
	return version{tombstone: true}, false
}

func (e *cell) newest() hlc.Timestamp {
	if len(e.versions) == 0 {
		return hlc.Timestamp{}
	}
	return e.versions[0].ts
}

// readTimestamp returns the highest read of k by others than txn.
func (c *Cluster) readTimestamp(k kvapi.Key, txn kvapi.TxnID) hlc.Timestamp {
	ts := c.mu.floor
	note := func(r read) {
		if txn.IsZero() || r.txn != txn {
			ts.Forward(r.ts)
		} else {
			// Own reads do not push; what others read below is not known.
			ts.Forward(r.ts.Prev())
		}
	}
	if e, ok := c.mu.cells.Get(&cell{key: k}); ok && !e.read.ts.IsEmpty() {
		note(e.read)
	}
	for _, s := range c.mu.spans {
		if s.span.Contains(k) {
			note(s.read)
		}
	}
	return ts
}

// noteRead puts a read into the timestamp cache.
func (c *Cluster) noteRead(sp kvapi.Span, r read) {
	if sp.IsPoint() {
		c.cellAt(sp.Key).read.forward(r)
		return
	}
	c.mu.spans = append(c.mu.spans, readSpan{sp, r})
	if len(c.mu.spans) > 256 {
		for _, s := range c.mu.spans {
			c.mu.floor.Forward(s.read.ts)
		}
		c.mu.spans = nil
	}
}
