package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2/cockroachkvs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Lengths of the version part of an engine key.
const (
	lenWall      = 8
	lenWallLogic = 12
	lenLock      = 17
)

// EncodeKey appends the engine key of an unversioned key.
func EncodeKey(dst []byte, key kvapi.Key) []byte {
	return append(append(dst, key...), 0)
}

// EncodeMVCCKey appends the engine key of a version of a key; with the empty
// timestamp, the unversioned key, which sorts before all versions.
func EncodeMVCCKey(dst []byte, key kvapi.Key, ts hlc.Timestamp) []byte {
	dst = append(append(dst, key...), 0)
	switch {
	case ts.IsEmpty():
		return dst
	case ts.Logical == 0:
		dst = binary.BigEndian.AppendUint64(dst, uint64(ts.WallTime))
		return append(dst, lenWall+1)
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(ts.WallTime))
	dst = binary.BigEndian.AppendUint32(dst, uint32(ts.Logical))
	return append(dst, lenWallLogic+1)
}

// LockSlot tells kinds of entries of the lock table apart, in their keys.
// Higher ones come first.
type LockSlot byte

// The slots of a key: its one intent, and before it any number of locks. A
// scan thus never has to step past the overwritten records of a hot key's
// intent to see the locks.
const (
	SlotIntent LockSlot = 3
	SlotLock   LockSlot = 4
)

// EncodeLockKey appends the engine key of a lock on a user key. Locks that only
// one transaction can hold have the zero id: the record names the holder. A hot
// key's lock record is then overwritten in place, and looked up in one step,
// where a record per transaction would leave a tombstone each for every later
// look-up to walk over.
func EncodeLockKey(dst []byte, key kvapi.Key, slot LockSlot, id kvapi.TxnID) []byte {
	dst = keys.AppendLockTable(dst, key)
	dst = append(dst, 0, byte(slot))
	dst = append(dst, id[:]...)
	return append(dst, lenLock+1)
}

// SplitKey cuts an engine key into key and version, without its length byte.
// The parts share the engine key's memory.
func SplitKey(ek []byte) (key, version []byte, err error) {
	key, version, ok := cockroachkvs.DecodeEngineKey(ek)
	if !ok {
		return nil, nil, fmt.Errorf("storage: %x is no engine key", ek)
	}
	return key, version, nil
}

// DecodeMVCCKey takes apart the engine key of a version; an unversioned key
// has the empty timestamp.
func DecodeMVCCKey(ek []byte) (kvapi.Key, hlc.Timestamp, error) {
	key, v, err := SplitKey(ek)
	if err != nil {
		return nil, hlc.Timestamp{}, err
	}
	ts, err := DecodeTimestamp(v)
	return key, ts, err
}

// DecodeTimestamp reads an engine key's version as a timestamp.
func DecodeTimestamp(v []byte) (hlc.Timestamp, error) {
	switch len(v) {
	case 0:
		return hlc.Timestamp{}, nil
	case lenWall:
		return hlc.Timestamp{WallTime: int64(binary.BigEndian.Uint64(v))}, nil
	case lenWallLogic, lenWallLogic + 1: // the 13th byte is a retired flag
		return hlc.Timestamp{
			WallTime: int64(binary.BigEndian.Uint64(v)),
			Logical:  int32(binary.BigEndian.Uint32(v[8:])),
		}, nil
	}
	return hlc.Timestamp{}, fmt.Errorf("storage: version %x is no timestamp", v)
}

// DecodeLockKey takes apart the engine key of a lock.
func DecodeLockKey(ek []byte) (kvapi.Key, LockSlot, kvapi.TxnID, error) {
	var id kvapi.TxnID
	ltKey, v, err := SplitKey(ek)
	if err != nil {
		return nil, 0, id, err
	}
	if len(v) != lenLock {
		return nil, 0, id, fmt.Errorf("storage: version %x is no lock", v)
	}
	user, err := keys.DecodeLockTable(ltKey)
	copy(id[:], v[1:])
	return user, LockSlot(v[0]), id, err
}
