package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

func open(t *testing.T, fs vfs.FS) *storage.Engine {
	t.Helper()
	e, err := storage.Open(storage.Options{FS: fs, Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func set(t *testing.T, e *storage.Engine, key, value string, sync bool) {
	t.Helper()
	b := e.NewBatch()
	defer func() { _ = b.Close() }()
	if err := storage.PutUnversioned(b, kvapi.Key(key), []byte(value)); err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(b, sync); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, r storage.Reader, key string) bool {
	t.Helper()
	_, ok, err := storage.GetUnversioned(r, kvapi.Key(key))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestCrashKeepsPrefix: what survives a crash is a prefix of what was
// committed, and holds everything up to the last sync (I2).
func TestCrashKeepsPrefix(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		fs := storagetest.NewCrashFS()
		e := open(t, fs)
		synced, n := -1, rng.IntN(50)+1
		for i := range n {
			sync := rng.IntN(5) == 0
			set(t, e, fmt.Sprintf("k%02d", i), "v", sync)
			if sync {
				synced = i
			}
			if rng.IntN(20) == 0 {
				if err := e.Barrier(t.Context()); err != nil {
					t.Fatal(err)
				}
				synced = i
			}
		}
		crashed := fs.Crash(rng.IntN(101), rng)
		_ = e.Close()
		e = open(t, crashed)
		last := -1
		for i := range n {
			if has(t, e, fmt.Sprintf("k%02d", i)) {
				if last != i-1 {
					t.Fatalf("seed %d: write %d survived, %d did not", seed, i, last+1)
				}
				last = i
			}
		}
		if last < synced {
			t.Fatalf("seed %d: %d was synced, %d is the last that survived", seed, synced, last)
		}
		_ = e.Close()
	}
}

// TestPipelinedCommit: a batch is durable once waited for, an empty one too,
// with all that came before (I4).
func TestPipelinedCommit(t *testing.T) {
	fs := storagetest.NewCrashFS()
	e := open(t, fs)
	set(t, e, "before", "v", false)
	b, empty := e.NewBatch(), e.NewBatch()
	if err := storage.PutUnversioned(b, kvapi.Key("a"), nil); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*storage.Batch{b, empty} {
		if err := e.CommitPipelined(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []*storage.Batch{b, empty} {
		if err := errors.Join(b.Wait(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	crashed := fs.Crash(0, nil)
	_ = e.Close()
	e = open(t, crashed)
	defer func() { _ = e.Close() }()
	if !has(t, e, "before") || !has(t, e, "a") {
		t.Fatal("a write that was waited for is lost")
	}
}

// TestIngestAfterBarrier: an ingested table replaces its span, and what was
// written without sync before it survives whenever the table does (I3).
func TestIngestAfterBarrier(t *testing.T) {
	fs := storagetest.NewCrashFS()
	e := open(t, fs)
	set(t, e, "b", "old", false)
	set(t, e, "other", "v", false)
	f, err := fs.Create("s/in.sst", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), e.TableOptions())
	if err := errors.Join(w.Set(storage.EncodeKey(nil, kvapi.Key("a")), []byte("new")), w.Close()); err != nil {
		t.Fatal(err)
	}
	err = e.IngestAndExcise(t.Context(), []string{"s/in.sst"}, kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key("c")})
	if err != nil {
		t.Fatal(err)
	}
	crashed := fs.Crash(0, nil)
	_ = e.Close()
	e = open(t, crashed)
	defer func() { _ = e.Close() }()
	if !has(t, e, "a") || has(t, e, "b") || !has(t, e, "other") {
		t.Fatal("the ingest overtook a write, or did not replace its span")
	}
}

// TestViewShowsOneState: a view does not see later writes, also through its
// second iterator; an indexed batch sees its own (I5).
func TestViewShowsOneState(t *testing.T) {
	e := storagetest.Open(t)
	set(t, e, "a", "v", false)
	v := e.NewView()
	defer func() { _ = v.Close() }()
	first, err := v.AcquireIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	set(t, e, "b", "v", false)
	second, err := v.AcquireIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := second.First(); ok; ok = second.Next() {
		n++
	}
	v.ReleaseIter(second)
	v.ReleaseIter(first)
	if n != 1 {
		t.Fatalf("%d keys, not 1", n)
	}
	b := e.NewIndexedBatch()
	defer func() { _ = b.Close() }()
	for _, k := range []string{"c", "d"} {
		if err := storage.PutUnversioned(b, kvapi.Key(k), nil); err != nil {
			t.Fatal(err)
		}
		it, err := b.AcquireIter(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !it.SeekPrefixGE(storage.EncodeKey(nil, kvapi.Key(k))) {
			t.Fatalf("own write of %s is not seen", k)
		}
		b.ReleaseIter(it)
	}
}

func TestKeysComeBack(t *testing.T) {
	for _, ts := range []hlc.Timestamp{{}, {WallTime: 5}, {WallTime: 5, Logical: 7}} {
		ek := storage.EncodeMVCCKey(nil, kvapi.Key("a\x00b"), ts)
		key, back, err := storage.DecodeMVCCKey(ek)
		if err != nil || back != ts || string(key) != "a\x00b" {
			t.Errorf("%x: %q %s %v", ek, key, back, err)
		}
	}
	id := kvapi.TxnID{1, 2}
	key, slot, back, err := storage.DecodeLockKey(storage.EncodeLockKey(nil, kvapi.Key("a\x00"), storage.SlotLock, id))
	if err != nil || !bytes.Equal(key, []byte("a\x00")) || slot != storage.SlotLock || back != id {
		t.Errorf("%q %d %s %v", key, slot, back, err)
	}
}

// TestFailedLogIsFatalAndNamed: a WAL that cannot be written ends the engine,
// with an error that says why.
func TestFailedLogIsFatalAndNamed(t *testing.T) {
	for _, why := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EIO} {
		t.Run(why.Error(), func(t *testing.T) { testFailedLog(t, why) })
	}
}

func testFailedLog(t *testing.T, why syscall.Errno) {
	var full atomic.Bool
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return why
		}
		return nil
	})
	var fatal error
	e, err := storage.Open(storage.Options{FS: errorfs.Wrap(vfs.NewMem(), inj), Dir: "s",
		OnFatal: func(err error) { fatal = err; panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	func() {
		defer func() { _ = recover() }()
		err = e.Barrier(context.Background())
	}()
	if fatal != nil {
		err = fatal
	}
	if !errors.Is(err, why) || strings.Contains(err.Error(), "\n") || storage.IsDiskFull(err) != (why == syscall.ENOSPC) {
		t.Fatal(err)
	}
}
