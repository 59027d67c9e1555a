package mvcc

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// EachVersion calls f with every version of the keys of a span, tombstones
// included, the newest of a key first. Key and value are good until f returns.
// Provisional values are versions, too: the span should have no intents.
func EachVersion(r storage.Reader, sp kvapi.Span, f func(key kvapi.Key, at hlc.Timestamp, value []byte, tombstone bool)) error {
	c, err := openCursor(r, storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.End()))
	if err != nil {
		return err
	}
	defer c.close()
	for ok := c.it.First(); ok; ok = c.it.Next() {
		at, err := c.timestamp()
		if err != nil {
			return err
		}
		v, err := decodeValue(c.it.Value())
		if err != nil {
			return err
		}
		f(c.userKey(), at, v.payload, v.tombstone)
	}
	return c.it.Error()
}
