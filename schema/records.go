package schema

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Keys of this package beside those of package keys, all under SystemPrefix.
var (
	// versionKey holds the CatalogVersion, 8 bytes.
	versionKey = systemKey("catalog/version")
	// nodePrefix + node id says that the node may be using the catalog.
	nodePrefix = systemKey("catalog/node/")
	// settledPrefix + change id is written when every node has left what the
	// change holds; the change removes it.
	settledPrefix = systemKey("catalog/settled/")
	// drainingPrefix + id says that two versions of a descriptor may be in use:
	// the latest, which was published beside the one before, and that one.
	drainingPrefix = systemKey("catalog/draining/")
	// droppedPrefix + table id + index id (0: all) names data to be cleared.
	droppedPrefix = systemKey("catalog/dropped/")
)

func systemKey(s string) kvapi.Key { return append(keys.SystemPrefix.Clone(), s...) }

// nodeRecord is a node's entry under nodePrefix. It is there from the node's
// first read of the catalog on.
type nodeRecord struct {
	// Suspect is when a schema change had to wait the node's lease out
	// because it did not answer; the node's next read clears it (I4).
	Suspect hlc.Timestamp `wire:"1"`
}

// droppedRecord is an entry under droppedPrefix.
type droppedRecord struct {
	At hlc.Timestamp `wire:"1"`
}

// sequenceRecord is a sequence's value.
type sequenceRecord struct {
	// Last is the last value handed out, or if !Called the next one.
	Last   int64 `wire:"1"`
	Called bool  `wire:"2"`
}

func nodeKey(n kvapi.NodeID) kvapi.Key { return idKey(nodePrefix, uint32(n)) }

// settledKey is the nth hold's of a change: each hold has its own, since the
// change keeps the ones before locked.
func settledKey(id ChangeID, n int) kvapi.Key {
	return idKey(append(settledPrefix.Clone(), id[:]...), uint32(n))
}

func drainingKey(id DescID) kvapi.Key { return idKey(drainingPrefix, uint32(id)) }

func droppedKey(table DescID, index IndexID) kvapi.Key {
	return idKey(idKey(droppedPrefix, uint32(table)), uint32(index))
}

func encodeVersion(v CatalogVersion) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(v))
}

// decodeVersion reads the catalog's version; absent is 0.
func decodeVersion(b []byte) (CatalogVersion, error) {
	switch len(b) {
	case 0:
		return 0, nil
	case 8:
		return CatalogVersion(binary.BigEndian.Uint64(b)), nil
	}
	return 0, fmt.Errorf("schema: catalog version %q", b)
}

func encodeName(v nameValue) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(v.ID))
	if v.Index != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(v.Index))
	}
	return b
}

func decodeName(k kvapi.Key, b []byte) (nameKey, nameValue, error) {
	k = k[len(keys.NamespacePrefix):]
	if len(k) < 4 || (len(b) != 4 && len(b) != 8) {
		return nameKey{}, nameValue{}, fmt.Errorf("schema: name %q holds %q", k, b)
	}
	v := nameValue{ID: DescID(binary.BigEndian.Uint32(b))}
	if len(b) == 8 {
		v.Index = IndexID(binary.BigEndian.Uint32(b[4:]))
	}
	return nameKey{DescID(binary.BigEndian.Uint32(k)), string(k[4:])}, v, nil
}

func decodeID(k, prefix kvapi.Key) (uint32, error) {
	if len(k) != len(prefix)+4 {
		return 0, fmt.Errorf("schema: malformed key %q", k)
	}
	return binary.BigEndian.Uint32(k[len(prefix):]), nil
}
