package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/cockroachkvs"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Receiver collects a snapshot. It is for one goroutine.
type Receiver struct {
	eng       *storage.Engine
	dir, name string

	header    *Header
	bounds    [spanCount]bound
	lastKey   []byte
	t         trailer
	complete  bool
	installed bool

	// small holds the data bodies until there are too many of them (smallMax);
	// then they are in tables, and only the replicated state by range id,
	// which is written together with the log's records, is kept in memory.
	small      [][]byte
	smallBytes int
	tables     *tables
}

// bound is a span in engine keys.
type bound struct{ lower, upper []byte }

// NewReceiver returns a receiver that spills to files in dir, a directory on
// the engine's file system, made if it is missing. name is unique among the
// receivers of the process.
func NewReceiver(eng *storage.Engine, dir, name string) *Receiver {
	return &Receiver{eng: eng, dir: dir, name: name}
}

// Add takes the next chunk; it does not keep it. An error ends the snapshot;
// Close it.
func (r *Receiver) Add(ctx context.Context, chunk []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	kind, body, err := openChunk(chunk)
	if err != nil {
		return err
	}
	switch {
	case kind == chunkHeader && r.header == nil:
		return r.addHeader(body)
	case kind == chunkData && r.header != nil && !r.complete:
		return r.addData(body)
	case kind == chunkTrailer && r.header != nil && !r.complete:
		return r.addTrailer(body)
	}
	return fmt.Errorf("%w: chunk of kind %d out of place", ErrCorrupt, kind)
}

func (r *Receiver) addHeader(body []byte) error {
	h := &Header{}
	if err := h.UnmarshalWire(bytes.Clone(body)); err != nil {
		return fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	if !h.Desc.IsInitialized() || h.Desc.RangeID == 0 || h.Index == 0 || h.Term == 0 {
		return fmt.Errorf("%w: header of %s at %d", ErrCorrupt, &h.Desc, h.Index)
	}
	r.header = h
	for i, s := range Spans(&h.Desc) {
		r.bounds[i] = bound{storage.EncodeKey(nil, s.Key), storage.EncodeKey(nil, s.EndKey)}
	}
	return nil
}

func (r *Receiver) addData(body []byte) error {
	if err := eachKV(body, r.check); err != nil {
		return err
	}
	r.t.Sum = uint64(crc32.Update(uint32(r.t.Sum), castagnoli, body))
	if r.tables == nil && r.smallBytes+len(body) <= smallMax {
		r.small = append(r.small, bytes.Clone(body))
		r.smallBytes += len(body)
		return nil
	}
	return r.spill(body)
}

// check asserts order and place of a pair (I5).
func (r *Receiver) check(key, value []byte) error {
	if len(r.lastKey) > 0 && cockroachkvs.Compare(r.lastKey, key) >= 0 {
		return fmt.Errorf("%w: key %x after %x", ErrCorrupt, key, r.lastKey)
	}
	if r.spanOf(key) == spanCount {
		return fmt.Errorf("%w: key %x is not of %s", ErrCorrupt, key, r.header.Desc.RangeID)
	}
	r.lastKey = append(r.lastKey[:0], key...)
	r.t.Keys++
	r.t.Bytes += int64(len(key) + len(value))
	return nil
}

// spanOf returns which span a key is in, spanCount if none.
func (r *Receiver) spanOf(key []byte) int {
	if _, _, ok := cockroachkvs.DecodeEngineKey(key); !ok {
		return spanCount
	}
	for i, b := range r.bounds {
		if cockroachkvs.Compare(b.lower, key) <= 0 && cockroachkvs.Compare(key, b.upper) < 0 {
			return i
		}
	}
	return spanCount
}

// spill writes what is in memory, then body, to tables.
func (r *Receiver) spill(body []byte) error {
	if r.tables == nil {
		if err := r.eng.FS().MkdirAll(r.dir, 0o755); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		r.tables = &tables{eng: r.eng, path: r.eng.FS().PathJoin(r.dir, r.name), bounds: r.bounds}
		for _, b := range r.small {
			if err := eachKV(b, r.toTable); err != nil {
				return err
			}
		}
		r.small, r.smallBytes = nil, 0
	}
	return eachKV(body, r.toTable)
}

func (r *Receiver) toTable(key, value []byte) error { return r.tables.add(r.spanOf(key), key, value) }

func (r *Receiver) addTrailer(body []byte) error {
	var t trailer
	if err := t.UnmarshalWire(body); err != nil {
		return fmt.Errorf("%w: trailer: %w", ErrCorrupt, err)
	}
	if t != r.t {
		return fmt.Errorf("%w: trailer says %+v, received %+v", ErrCorrupt, t, r.t)
	}
	r.complete = true
	return nil
}

// Header returns the header, once the first chunk was added.
func (r *Receiver) Header() (Header, bool) {
	if r.header == nil {
		return Header{}, false
	}
	return *r.header, true
}

// Complete reports whether the trailer came and agreed.
func (r *Receiver) Complete() bool { return r.complete }

// SizeBytes returns the bytes of keys and values received.
func (r *Receiver) SizeBytes() int64 { return r.t.Bytes }

// RangeID returns the range, 0 before the header.
func (r *Receiver) RangeID() kvapi.RangeID {
	if r.header == nil {
		return 0
	}
	return r.header.Desc.RangeID
}

// Close removes what the receiver wrote. After Apply too.
func (r *Receiver) Close() error {
	r.small = nil
	if r.tables == nil {
		return nil
	}
	t := r.tables
	r.tables = nil
	return t.remove()
}

// CleanDir removes what receivers of an earlier process left in dir.
func CleanDir(eng *storage.Engine, dir string) error {
	if err := eng.FS().RemoveAll(dir); err != nil {
		return fmt.Errorf("snapshot: clean %q: %w", dir, err)
	}
	return nil
}
