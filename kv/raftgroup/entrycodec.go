package raftgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cairndb/cairn/internal/wire"
	"github.com/cairndb/cairn/kv/kvapi"
)

// An entry is encoded once, alike on disk and on the wire:
//
//	format (1) | kind (1) | term (uvarint) | index (uvarint) | crc32c (4, LE) | data
//
// The checksum is over all other bytes: an entry read at the wrong place is
// found as surely as one with a flipped bit.
const entryFormat = 1

// ErrCorruptEntry says that an entry's bytes are not what was written.
var ErrCorruptEntry = errors.New("raft: log entry is corrupt")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendEntry appends the encoding of e to dst.
func AppendEntry(dst []byte, e Entry) []byte {
	start := len(dst)
	dst = append(dst, entryFormat, byte(e.Kind))
	dst = binary.AppendUvarint(dst, uint64(e.Term))
	dst = binary.AppendUvarint(dst, uint64(e.Index))
	sum := entrySum(dst[start:], e.Data)
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	return append(dst, e.Data...)
}

func entrySum(head, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, data)
}

// encodedEntryBytes is the exact length of AppendEntry's output.
func encodedEntryBytes(e Entry) int {
	return 2 + uvarintBytes(uint64(e.Term)) + uvarintBytes(uint64(e.Index)) + 4 + len(e.Data)
}

func uvarintBytes(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// DecodeEntry is the inverse of AppendEntry. Data aliases b.
func DecodeEntry(b []byte) (Entry, error) {
	if len(b) < 2 || b[0] != entryFormat {
		return Entry{}, fmt.Errorf("%w: unknown format", ErrCorruptEntry)
	}
	term, rest, err := wire.Uint(b[2:])
	if err != nil {
		return Entry{}, fmt.Errorf("%w: term: %w", ErrCorruptEntry, err)
	}
	index, rest, err := wire.Uint(rest)
	if err != nil || len(rest) < 4 {
		return Entry{}, fmt.Errorf("%w: cut short", ErrCorruptEntry)
	}
	head, data := b[:len(b)-len(rest)], rest[4:]
	if binary.LittleEndian.Uint32(rest) != entrySum(head, data) {
		return Entry{}, fmt.Errorf("%w: checksum of entry %d", ErrCorruptEntry, index)
	}
	e := Entry{Index: kvapi.LogIndex(index), Term: kvapi.Term(term), Kind: EntryKind(b[1])}
	if e.Kind >= entryKindEnd || len(data) > EntryBytesMax {
		return Entry{}, fmt.Errorf("%w: kind %d with %d bytes", ErrCorruptEntry, e.Kind, len(data))
	}
	if len(data) > 0 {
		e.Data = data[:len(data):len(data)]
	}
	return e, nil
}
