package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cairndb/cairn/internal/wire"
)

// A chunk is: kind (1) | crc32c of the body (4, LE) | body.
//
//	header:  Header
//	data:    key length, key, value length, value; again and again
//	trailer: trailer
//
// Keys are engine keys, in ascending order through all data chunks.
type chunkKind byte

const (
	chunkHeader chunkKind = 1 + iota
	chunkData
	chunkTrailer
)

const chunkOverhead = 5

// ErrCorrupt says that a chunk is not what was sent, or not where it belongs.
var ErrCorrupt = errors.New("snapshot: corrupt stream")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// trailer ends a snapshot and proves that nothing is missing.
type trailer struct {
	Keys  int64 `wire:"1"`
	Bytes int64 `wire:"2"`
	// Sum is the crc32c over all data bodies in order.
	Sum uint64 `wire:"3"`
}

// beginChunk starts a chunk in buf; sealChunk fills its checksum in.
func beginChunk(buf []byte, k chunkKind) []byte { return append(buf[:0], byte(k), 0, 0, 0, 0) }

func sealChunk(chunk []byte) []byte {
	binary.LittleEndian.PutUint32(chunk[1:], crc32.Checksum(chunk[chunkOverhead:], castagnoli))
	return chunk
}

func openChunk(chunk []byte) (chunkKind, []byte, error) {
	if len(chunk) < chunkOverhead || len(chunk) > chunkBytesMax {
		return 0, nil, fmt.Errorf("%w: chunk of %d bytes", ErrCorrupt, len(chunk))
	}
	body := chunk[chunkOverhead:]
	if binary.LittleEndian.Uint32(chunk[1:]) != crc32.Checksum(body, castagnoli) {
		return 0, nil, fmt.Errorf("%w: chunk checksum", ErrCorrupt)
	}
	return chunkKind(chunk[0]), body, nil
}

func appendKV(b, key, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// eachKV calls f with every pair of a data body; they alias it.
func eachKV(body []byte, f func(key, value []byte) error) error {
	for len(body) > 0 {
		key, rest, err := wire.Cut(body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		value, rest, err := wire.Cut(rest)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err := f(key, value); err != nil {
			return err
		}
		body = rest
	}
	return nil
}
