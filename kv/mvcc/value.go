package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/hlc"
)

// The encoding of a version's value:
//
//	flags            1 byte; the high four bits are the format, 0
//	local timestamp  12 bytes, if flagLocal: wall and logical, big endian
//	signature        8 bytes, if flagSigned: big endian
//	payload          the rest; empty for a tombstone
const (
	flagTombstone = 1 << 0
	flagLocal     = 1 << 1
	flagSigned    = 1 << 2
	flagsKnown    = flagTombstone | flagLocal | flagSigned

	localLen     = 12
	signatureLen = 8
)

// value is a decoded version. The payload shares the encoding's memory.
type value struct {
	payload   []byte
	tombstone bool
	// local is empty if the version's own timestamp stands for it.
	local hlc.Timestamp
	// signature is zero if there is none.
	signature Signature
}

func (v value) appendTo(b []byte) []byte {
	var flags byte
	if v.tombstone {
		flags |= flagTombstone
	}
	if !v.local.IsEmpty() {
		flags |= flagLocal
	}
	if v.signature != 0 {
		flags |= flagSigned
	}
	b = append(b, flags)
	if !v.local.IsEmpty() {
		b = binary.BigEndian.AppendUint64(b, uint64(v.local.WallTime))
		b = binary.BigEndian.AppendUint32(b, uint32(v.local.Logical))
	}
	if v.signature != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(v.signature))
	}
	return append(b, v.payload...)
}

func (v value) encodedLen() int {
	n := 1 + len(v.payload)
	if !v.local.IsEmpty() {
		n += localLen
	}
	if v.signature != 0 {
		n += signatureLen
	}
	return n
}

func decodeValue(b []byte) (v value, err error) {
	if len(b) == 0 || b[0]&^flagsKnown != 0 {
		return v, fmt.Errorf("mvcc: value starts with unknown flags: %x", b[:min(len(b), 4)])
	}
	v.tombstone = b[0]&flagTombstone != 0
	v.payload = b[1:]
	if b[0]&flagLocal != 0 {
		if len(v.payload) < localLen {
			return v, fmt.Errorf("mvcc: value of %d bytes has no room for its local timestamp", len(b))
		}
		v.local.WallTime = int64(binary.BigEndian.Uint64(v.payload))
		v.local.Logical = int32(binary.BigEndian.Uint32(v.payload[8:]))
		v.payload = v.payload[localLen:]
	}
	if b[0]&flagSigned != 0 {
		if len(v.payload) < signatureLen {
			return v, fmt.Errorf("mvcc: value of %d bytes has no room for its signature", len(b))
		}
		v.signature = Signature(binary.BigEndian.Uint64(v.payload))
		v.payload = v.payload[signatureLen:]
	}
	return v, nil
}

// isTombstone looks at the flags only.
func isTombstone(b []byte) bool { return len(b) > 0 && b[0]&flagTombstone != 0 }

// localIfBelow returns what to keep as local timestamp of a version at ts
// that was written when the clock showed now: nothing, if it is no lower.
func localIfBelow(now hlc.ClockTimestamp, ts hlc.Timestamp) hlc.Timestamp {
	if n := now.Timestamp(); !n.IsEmpty() && n.Less(ts) {
		return n
	}
	return hlc.Timestamp{}
}
