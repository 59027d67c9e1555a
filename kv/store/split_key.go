package store

import (
	"bytes"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// rangeBytes is the size of a range: all versions of its keys, and what is
// kept beside them.
func rangeBytes(s *kvapi.RangeStatistics) int64 { return s.KeyBytes + s.ValBytes + s.SysBytes }

// halfKey finds the start of a row at which the range's data falls into two
// parts of about the same size: of the row starts around the half, the nearer
// one. ok is false if there is one row only, which cannot be divided.
//
//	bytes   0 ─────── a │ row r ──── half ──── b ────── total
//	                    └─ r starts here       └─ the next row: nearer, it is
//
// It reads the keys of half the range, and no values. Nothing is latched: the
// half does not have to be exact.
func halfKey(r storage.Reader, desc *kvapi.RangeDescriptor, totalBytes int64, rowStart func(kvapi.Key) kvapi.Key) (
	key kvapi.Key, ok bool, err error) {
	it, err := r.AcquireIter(storage.EncodeKey(nil, desc.StartKey), storage.EncodeKey(nil, desc.EndKey))
	if err != nil {
		return nil, false, err
	}
	defer r.ReleaseIter(it)
	half := totalBytes / 2
	var bytesSoFar, bestAt int64
	var best, row kvapi.Key
	last := []byte(nil) // the engine key's part before its version
	for valid := it.First(); valid; valid = it.Next() {
		ek := it.Key()
		k, _, err := storage.SplitKey(ek)
		if err != nil {
			return nil, false, err
		}
		if !bytes.Equal(k, last) {
			last = append(last[:0], k...)
			at := k
			if rowStart != nil {
				at = rowStart(k)
			}
			if !bytes.Equal(at, row) {
				row = append(row[:0], at...)
				if desc.StartKey.Less(row) {
					if best != nil && bytesSoFar-half > half-bestAt {
						break // the one before the half is nearer
					}
					best, bestAt = append(best[:0], row...), bytesSoFar
				}
				if best != nil && bytesSoFar >= half {
					break
				}
			}
		}
		v := it.LazyValue()
		bytesSoFar += int64(len(ek)) + int64(v.Len())
	}
	return best, best != nil, it.Error()
}
