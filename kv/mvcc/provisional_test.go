package mvcc

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// ScanProvisional tells the values of intents, and of nothing else.
func TestScanProvisional(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	b := e.NewIndexedBatch()
	defer func() { _ = b.Close() }()
	at := func(wall int64) hlc.Timestamp { return hlc.Timestamp{WallTime: wall} }
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: at(5)}, ReadTimestamp: at(5)}
	var stats kvapi.RangeStatistics
	put := func(key, value string, wall int64, txn *kvapi.Transaction) {
		t.Helper()
		if _, err := Put(b, kvapi.Key(key), at(wall), []byte(value), WriteOptions{Txn: txn, Seq: 1, Stats: &stats}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "committed", 3, nil)
	put("b", "old", 3, nil)
	put("b", "new", 5, txn)
	put("c", "first", 5, txn)
	put("d", "gone", 3, nil)
	if _, err := Delete(b, kvapi.Key("d"), at(5), WriteOptions{Txn: txn, Seq: 1, Stats: &stats}); err != nil {
		t.Fatal(err)
	}
	put("e", "beyond", 5, txn)
	for _, c := range []struct {
		to   string
		max  int
		want string
	}{
		{"e", 10, "b=new c=first"},
		{"z", 10, "b=new c=first e=beyond"},
		{"z", 1, "b=new"},
		{"b", 10, ""},
	} {
		rows, err := ScanProvisional(b, kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key(c.to)}, c.max)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%s=%s", []byte(r.Key), r.Value))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("to %s, at most %d: %q, want %q", c.to, c.max, got, c.want)
		}
	}
}
