package mvcc

import (
	"bytes"
	"time"

	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

const benchKeys = 100_000

func benchKey(i int) kvapi.Key {
	return kvapi.Key(fmt.Sprintf("\x10\x00\x00\x00\x70\x00\x00\x00\x01row%08d", i))
}

func benchEngine(b *testing.B) *storage.Engine {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	var s kvapi.RangeStatistics
	value := make([]byte, 100)
	for i := 0; i < benchKeys; i += 1000 {
		batch := e.NewBatch()
		for j := i; j < i+1000; j++ {
			if _, err := Put(batch, benchKey(j), hlc.Timestamp{WallTime: 10}, value, WriteOptions{Stats: &s}); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Commit(batch, false); err != nil {
			b.Fatal(err)
		}
		_ = batch.Close()
	}
	if err := e.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return e
}

func BenchmarkGet(b *testing.B) {
	e := benchEngine(b)
	keys := make([]kvapi.Key, 1024)
	for i := range keys {
		keys[i] = benchKey(i * 7919 % benchKeys)
	}
	for i := 0; b.Loop(); i++ {
		v := e.NewView()
		if _, ok, err := Get(v, keys[i%1024], hlc.Timestamp{WallTime: 20}, ReadOptions{}); !ok || err != nil {
			b.Fatal(ok, err)
		}
		_ = v.Close()
	}
}

func benchScan(b *testing.B, o ScanOptions) {
	e := benchEngine(b)
	for i := 0; b.Loop(); i++ {
		v := e.NewView()
		sp := kvapi.Span{Key: benchKey(i * 100 % (benchKeys - 1000)), EndKey: benchKey(benchKeys)}
		if o.Reverse {
			sp = kvapi.Span{Key: benchKey(0), EndKey: benchKey(1000 + i*100%(benchKeys-1000))}
		}
		res, err := Scan(v, sp, hlc.Timestamp{WallTime: 20}, o)
		if err != nil || int64(len(res.Rows)) != o.MaxKeys {
			b.Fatal(len(res.Rows), err)
		}
		_ = v.Close()
	}
}

func BenchmarkScan100(b *testing.B)        { benchScan(b, ScanOptions{MaxKeys: 100}) }
func BenchmarkReverseScan100(b *testing.B) { benchScan(b, ScanOptions{MaxKeys: 100, Reverse: true}) }

// BenchmarkPut writes one committed version in a batch of its own, without
// committing the batch.
func BenchmarkPut(b *testing.B) {
	e := benchEngine(b)
	value := make([]byte, 100)
	for i := 0; b.Loop(); i++ {
		var s kvapi.RangeStatistics
		batch := e.NewBatch()
		_, err := Put(batch, benchKey(i%benchKeys), hlc.Timestamp{WallTime: 20}, value, WriteOptions{Stats: &s})
		if err != nil {
			b.Fatal(err)
		}
		_ = batch.Close()
	}
}

// BenchmarkHotIntent writes, commits and resolves an intent on one key again
// and again: the price must not grow with the number of turns.
func BenchmarkHotIntent(b *testing.B) {
	e := benchEngine(b)
	key, txn := benchKey(5), &kvapi.Transaction{}
	for i := 0; b.Loop(); i++ {
		var s kvapi.RangeStatistics
		txn.ID[0], txn.ID[1], txn.ID[2] = byte(i), byte(i>>8), byte(i>>16)
		txn.WriteTimestamp = hlc.Timestamp{WallTime: int64(100 + i)}
		txn.ReadTimestamp = txn.WriteTimestamp
		batch := e.NewBatch()
		if _, err := Put(batch, key, txn.WriteTimestamp, []byte("v"), WriteOptions{Txn: txn, Seq: 1, Stats: &s}); err != nil {
			b.Fatal(err)
		}
		_ = e.Commit(batch, false)
		_ = batch.Close()
		batch = e.NewBatch()
		u := kvapi.LockUpdate{Txn: txn.TxnMeta, Status: kvapi.Committed}
		if ok, err := ResolveIntent(batch, key, &u, &s); !ok || err != nil {
			b.Fatal(ok, err)
		}
		_ = e.Commit(batch, false)
		_ = batch.Close()
	}
}

// BenchmarkCollectHotKey collects a key of very many versions by commands as
// large as kv/store sends.
func BenchmarkCollectHotKey(b *testing.B) {
	const versions, perCommand = 200_000, 8192
	for b.Loop() {
		b.StopTimer()
		e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s"})
		if err != nil {
			b.Fatal(err)
		}
		batch := e.NewBatch()
		key, value := kvapi.Key("hot"), bytes.Repeat([]byte("v"), 100)
		for i := range int64(versions) {
			v := value
			if err := batch.SetRaw(storage.EncodeMVCCKey(nil, key, hlc.Timestamp{WallTime: i + 1}), append([]byte{0}, v...)); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Commit(batch, false); err != nil {
			b.Fatal(err)
		}
		_ = batch.Close()
		b.StartTimer()
		var stats kvapi.RangeStatistics
		var slowest time.Duration
		for more := true; more; {
			began := time.Now()
			c := e.NewBatch()
			if _, more, err = CollectGarbage(c, key, GCOptions{Threshold: hlc.Timestamp{WallTime: versions}, MaxVersions: perCommand, Stats: &stats}); err != nil {
				b.Fatal(err)
			}
			slowest = max(slowest, time.Since(began))
			if err := e.Commit(c, false); err != nil {
				b.Fatal(err)
			}
			_ = c.Close()
		}
		b.StopTimer()
		b.ReportMetric(float64(slowest.Microseconds()), "µs/slowest")
		_ = e.Close()
		b.StartTimer()
	}
}
