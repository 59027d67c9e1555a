package mvcc

import (
	"bytes"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// cursor walks the versions of keys. It is pooled for its buffer.
type cursor struct {
	r   storage.Reader
	it  *pebble.Iterator
	buf []byte
	// q and opts are room for a point read's query, kept off the heap.
	q    query
	opts ReadOptions
}

var cursors = sync.Pool{New: func() any { return &cursor{buf: make([]byte, 0, 128)} }}

func openCursor(r storage.Reader, lower, upper []byte) (*cursor, error) {
	it, err := r.AcquireIter(lower, upper)
	if err != nil {
		return nil, err
	}
	c := cursors.Get().(*cursor)
	c.r, c.it = r, it
	return c, nil
}

func (c *cursor) close() {
	c.r.ReleaseIter(c.it)
	c.r, c.it, c.q, c.opts = nil, nil, query{}, ReadOptions{}
	cursors.Put(c)
}

// seekVersion positions at the newest version of key at or below ts (the
// newest of all for the empty ts) and reports whether there is one. The
// cursor may then step only through versions of key.
func (c *cursor) seekVersion(key kvapi.Key, ts hlc.Timestamp) bool {
	c.buf = storage.EncodeMVCCKey(c.buf[:0], key, ts)
	return c.it.SeekPrefixGE(c.buf)
}

// timestamp returns the timestamp of the version under the cursor.
func (c *cursor) timestamp() (hlc.Timestamp, error) {
	_, ts, err := storage.DecodeMVCCKey(c.it.Key())
	return ts, err
}

// userKey returns the user key under the cursor; it shares the iterator's memory.
func (c *cursor) userKey() kvapi.Key {
	k := c.it.Key()
	return k[:len(k)-1-int(k[len(k)-1])]
}

// atKey reports whether the cursor stands on a version of key.
func (c *cursor) atKey(key kvapi.Key) bool { return bytes.Equal(c.userKey(), key) }

// version is what is known of one version for statistics and conflicts.
type version struct {
	exists    bool
	ts        hlc.Timestamp
	len       int64
	tombstone bool
}

func (v version) live() bool { return v.exists && !v.tombstone }

// version describes the version under the cursor; encoded shares the
// iterator's memory.
func (c *cursor) version() (v version, encoded []byte, err error) {
	if v.ts, err = c.timestamp(); err != nil {
		return v, nil, err
	}
	if encoded, err = c.it.ValueAndErr(); err != nil {
		return v, nil, err
	}
	v.exists, v.len, v.tombstone = true, int64(len(encoded)), isTombstone(encoded)
	return v, encoded, nil
}
