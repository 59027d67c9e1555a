package mvcc

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// A signature is found below newer versions, on tombstones and after the
// version has moved, in committed versions alone, and is no part of the value.
func TestASignatureIsFoundInCommittedVersions(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	b := e.NewIndexedBatch()
	defer func() { _ = b.Close() }()
	at := func(wall int64) hlc.Timestamp { return hlc.Timestamp{WallTime: wall} }
	var stats kvapi.RangeStatistics
	options := func(id byte, ts int64) WriteOptions {
		m := kvapi.TxnMeta{ID: kvapi.TxnID{id}, WriteTimestamp: at(ts)}
		return WriteOptions{Txn: &kvapi.Transaction{TxnMeta: m, ReadTimestamp: at(ts)}, Seq: 1, Stats: &stats, Sign: SignatureOf(m.ID)}
	}
	find := func(key string, id byte) int64 {
		ts, _, err := FindSigned(b, kvapi.Key(key), kvapi.TxnID{id}, at(1))
		if err != nil {
			t.Fatal(err)
		}
		return ts.WallTime
	}
	if _, err := Put(b, kvapi.Key("a"), at(5), []byte("1"), options(1, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := Delete(b, kvapi.Key("b"), at(5), options(1, 5)); err != nil {
		t.Fatal(err)
	}
	if got := find("a", 1); got != 0 {
		t.Errorf("an intent counts as committed at %d", got)
	}
	for _, key := range []string{"a", "b"} {
		m := kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: at(7)}
		if ok, err := ResolveIntent(b, kvapi.Key(key), &kvapi.LockUpdate{Txn: m, Status: kvapi.Committed}, &stats); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if _, err := Put(b, kvapi.Key("a"), at(9), []byte("2"), WriteOptions{Stats: &stats}); err != nil {
		t.Fatal(err)
	}
	if _, err := Put(b, kvapi.Key("b"), at(9), []byte("2"), options(2, 9)); err != nil {
		t.Fatal(err)
	}
	if find("a", 1) != 7 || find("b", 1) != 7 || find("a", 2) != 0 || find("b", 2) != 0 || find("c", 1) != 0 {
		t.Error(find("a", 1), find("b", 1), find("a", 2), find("b", 2), find("c", 1))
	}
	if ts, ok, err := FindSigned(b, kvapi.Key("a"), kvapi.TxnID{1}, at(8)); ok || err != nil {
		t.Errorf("found at %s, below the bound; %v", ts, err)
	}
	if v, _, err := Get(b, kvapi.Key("a"), at(8), ReadOptions{}); string(v) != "1" || err != nil {
		t.Errorf("the value is %q, %v", v, err)
	}
	counted, err := Recompute(b, kvapi.Key("a"), kvapi.Key("z"))
	if err != nil || counted != stats {
		t.Errorf("statistics %+v, counted %+v, %v", stats, counted, err)
	}
}
