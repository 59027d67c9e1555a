package mvcc

import (
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// What the statistics count, for user keys:
//
//	KeyCount     keys with at least one version, KeyBytes their lengths and
//	             timestampLen for each version
//	ValCount     versions, ValBytes their encoded values; both with
//	             tombstones and provisional versions
//	LiveCount    keys whose newest version is no tombstone, LiveBytes key,
//	             timestamp and value of that version
//	IntentCount  intents, IntentBytes timestamp and value of their versions
//	LockCount    durable locks
//
// Range-local keys count as SysCount entries of SysBytes. Lock records are
// counted by their versions alone.

// timestampLen is what a version's timestamp counts for, whatever its encoding.
const timestampLen = 12

func liveBytes(key kvapi.Key, v version) int64 { return int64(len(key)) + timestampLen + v.len }

// countAdded counts v as the new newest version of key, above below.
func countAdded(s *kvapi.RangeStatistics, key kvapi.Key, v, below version) {
	countNewest(s, key, v, below, 1)
}

// countRemoved takes back countAdded.
func countRemoved(s *kvapi.RangeStatistics, key kvapi.Key, v, below version) {
	countNewest(s, key, v, below, -1)
}

func countNewest(s *kvapi.RangeStatistics, key kvapi.Key, v, below version, sign int64) {
	if keys.IsLocal(key) {
		s.SysCount += sign
		s.SysBytes += sign * liveBytes(key, v)
		return
	}
	s.ValCount += sign
	s.ValBytes += sign * v.len
	s.KeyBytes += sign * timestampLen
	if !below.exists {
		s.KeyCount += sign
		s.KeyBytes += sign * int64(len(key))
	}
	if below.live() {
		s.LiveCount -= sign
		s.LiveBytes -= sign * liveBytes(key, below)
	}
	if v.live() {
		s.LiveCount += sign
		s.LiveBytes += sign * liveBytes(key, v)
	}
}

// countIntent counts an intent with a provisional value of valueLen bytes.
func countIntent(s *kvapi.RangeStatistics, valueLen int64, sign int64) {
	s.IntentCount += sign
	s.IntentBytes += sign * (timestampLen + valueLen)
}

// Recompute counts the statistics of the range [start, end) anew: its user
// keys, its range-local keys, and the locks of both.
func Recompute(r storage.Reader, start, end kvapi.Key) (s kvapi.RangeStatistics, err error) {
	localStart, localEnd := keys.RangeLocalSpan(start, end)
	for _, sp := range []kvapi.Span{{Key: localStart, EndKey: localEnd}, {Key: start, EndKey: end}} {
		if err := recomputeSpan(r, sp, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

func recomputeSpan(r storage.Reader, sp kvapi.Span, s *kvapi.RangeStatistics) error {
	if err := recomputeVersions(r, sp, s); err != nil {
		return err
	}
	return scanLocks(r, sp, func(_ kvapi.Key, l lockRecord) bool {
		if l.isIntent() {
			countIntent(s, l.valueLen, 1)
		} else {
			s.LockCount++
		}
		return true
	})
}

// ClearRange removes every version of, and every lock on, the user keys of a
// span, at once and for all timestamps.
func ClearRange(rw storage.ReadWriter, sp kvapi.Span, stats *kvapi.RangeStatistics) error {
	var gone kvapi.RangeStatistics
	if err := recomputeSpan(rw, sp, &gone); err != nil {
		return err
	}
	stats.Subtract(gone)
	lo, hi := keys.LockTableSpan(sp.Key, sp.End())
	if err := storage.ClearSpan(rw, lo, hi); err != nil {
		return err
	}
	return storage.ClearSpan(rw, sp.Key, sp.End())
}

func recomputeVersions(r storage.Reader, sp kvapi.Span, s *kvapi.RangeStatistics) error {
	c, err := openCursor(r, storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.EndKey))
	if err != nil {
		return err
	}
	defer c.close()
	var key kvapi.Key
	for ok := c.it.First(); ok; ok = c.it.Next() {
		v, _, err := c.version()
		if err != nil {
			return err
		}
		first := key == nil || !c.atKey(key)
		if first {
			key = append(key[:0], c.userKey()...)
		}
		countOne(s, key, v, first)
	}
	return c.it.Error()
}

// countOne counts a version, the newest of its key or an older one.
func countOne(s *kvapi.RangeStatistics, key kvapi.Key, v version, newest bool) {
	switch {
	case keys.IsLocal(key) && v.ts.IsEmpty():
		countInline(s, key, v.len, 1)
	case newest, keys.IsLocal(key):
		countAdded(s, key, v, version{})
	default:
		s.ValCount++
		s.ValBytes += v.len
		s.KeyBytes += timestampLen
	}
}

func countInline(s *kvapi.RangeStatistics, key kvapi.Key, valueLen, sign int64) {
	s.SysCount += sign
	s.SysBytes += sign * (int64(len(key)) + valueLen)
}

// PutInline sets an unversioned range-local key and counts it.
func PutInline(rw storage.ReadWriter, key kvapi.Key, value []byte, stats *kvapi.RangeStatistics) error {
	old, ok, err := storage.GetUnversioned(rw, key)
	if err != nil {
		return err
	}
	if ok {
		countInline(stats, key, int64(len(old)), -1)
	}
	countInline(stats, key, int64(len(value)), 1)
	return storage.PutUnversioned(rw, key, value)
}

// DeleteInline removes an unversioned range-local key.
func DeleteInline(rw storage.ReadWriter, key kvapi.Key, stats *kvapi.RangeStatistics) error {
	old, ok, err := storage.GetUnversioned(rw, key)
	if err != nil || !ok {
		return err
	}
	countInline(stats, key, int64(len(old)), -1)
	return storage.DeleteUnversioned(rw, key)
}
