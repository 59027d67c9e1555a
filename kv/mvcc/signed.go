package mvcc

import (
	"encoding/binary"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Signature is kept with one version of a transaction, so that its coordinator
// can tell later whether it was committed when nobody else remembers. It is a
// fold of the random id: that a version of the same key, not older than the
// transaction, has the same one by chance is a matter of 2^-64.
type Signature uint64

// SignatureOf returns a transaction's signature, which is never zero.
func SignatureOf(id kvapi.TxnID) Signature {
	s := binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
	return Signature(max(s, 1))
}

// FindSigned returns where the committed version of key stands that a
// transaction signed, looking down to from.
func FindSigned(r storage.Reader, key kvapi.Key, id kvapi.TxnID, from hlc.Timestamp) (at hlc.Timestamp, ok bool, err error) {
	l, held, err := getLock(r, key)
	if err != nil {
		return at, false, err
	}
	c, err := openCursor(r, nil, nil)
	if err != nil {
		return at, false, err
	}
	defer c.close()
	for ok := c.seekVersion(key, hlc.Timestamp{}); ok; ok = c.it.Next() {
		v, enc, err := c.version()
		if err != nil {
			return at, false, err
		}
		if v.ts.Less(from) {
			break
		}
		if held && l.at() == v.ts {
			continue // provisional
		}
		x, err := decodeValue(enc)
		if err != nil {
			return at, false, err
		}
		if x.signature == SignatureOf(id) {
			return v.ts, true, nil
		}
	}
	return at, false, c.it.Error()
}
