package mvcc

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// A scan that wants few rows does not walk over all the records that locks of hot keys
// have left behind it: of addressing records, of which look-ups want some, there is one
// for each range that was split again soon.
func TestAScanOfFewRowsPassesFewEmptiedLocks(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	b := e.NewIndexedBatch()
	defer func() { _ = b.Close() }()
	key := func(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("k%05d", i)) }
	const keys = 3 * locksMax
	var stats kvapi.RangeStatistics
	for i := range keys {
		if _, err := Put(b, key(i), hlc.Timestamp{WallTime: 1}, []byte("v"), WriteOptions{Stats: &stats}); err != nil {
			t.Fatal(err)
		}
		if err := releaseLock(b, key(i), &lockRecord{hot: true}); err != nil {
			t.Fatal(err)
		}
	}
	all := kvapi.Span{Key: key(0), EndKey: key(keys)}
	s := scan{o: &ScanOptions{MaxKeys: 8}, ts: hlc.Timestamp{WallTime: 2}, sp: all, locksMax: locksMin}
	if to, err := s.judgeLocks(b, all); err != nil || !to.Equal(key(locksMin)) {
		t.Errorf("looked at the locks up to %s: %v", to, err)
	}
	for _, max := range []int64{8, locksMin, 5 * locksMin, 0} {
		res, err := Scan(b, all, hlc.Timestamp{WallTime: 2}, ScanOptions{MaxKeys: max})
		want := int(max)
		if max == 0 {
			want = keys
		}
		if err != nil || len(res.Rows) != want || !res.Rows[want-1].Key.Equal(key(want-1)) {
			t.Errorf("%d rows of at most %d: %v", len(res.Rows), max, err)
		}
	}
}
