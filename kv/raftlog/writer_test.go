package raftlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

func entryAt(i kvapi.LogIndex) *raftgroup.StorageAppend {
	return &raftgroup.StorageAppend{
		Entries:   []raftgroup.Entry{{Index: i, Term: 1, Kind: raftgroup.EntryCommand, Data: []byte("x")}},
		Responses: make([]raftgroup.Message, 1),
	}
}

// TestEmptyAppendWaitsForUnsynced: an append that writes nothing answers only
// after what was written before it without sync is durable.
func TestEmptyAppendWaitsForUnsynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := storagetest.NewCrashFS()
		eng, err := storage.Open(storage.Options{FS: disk, Dir: "store", CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		w := NewWriter(eng, Options{})
		l, err := Load(eng, NewCache(0), simRange)
		if err != nil {
			t.Fatal(err)
		}
		unsynced := entryAt(1)
		unsynced.Responses = nil
		if err := w.Append(t.Context(), l, unsynced, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lost := disk.Crash(0, nil)
		told := false
		empty := &raftgroup.StorageAppend{Responses: make([]raftgroup.Message, 1)}
		if err := w.Append(t.Context(), l, empty, func([]raftgroup.Message) { told = true }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !told {
			t.Fatal("nobody was told")
		}
		kept := disk.Crash(0, nil)
		w.Stop()
		if err := w.Append(t.Context(), l, entryAt(2), nil); !errors.Is(err, ErrStopped) {
			t.Fatalf("a stopped writer takes appends: %v", err)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		for disk, want := range map[storagetest.CrashFS]kvapi.LogIndex{lost: 0, kept: 1} {
			if got := lastIndexOn(t, disk); got != want {
				t.Errorf("the log ends at %d, want %d", got, want)
			}
		}
	})
}

func lastIndexOn(t *testing.T, disk storagetest.CrashFS) kvapi.LogIndex {
	t.Helper()
	eng, err := storage.Open(storage.Options{FS: disk, Dir: "store", CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close() }()
	l, err := Load(eng, NewCache(0), simRange)
	if err != nil {
		t.Fatal(err)
	}
	return l.LastIndex()
}

// TestDiskErrorAnswersNobody: a sync that fails is fatal, once; neither the
// append nor any after it is answered (I7).
func TestDiskErrorAnswersNobody(t *testing.T) {
	var broken atomic.Bool
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return errors.New("input/output error")
		}
		return nil
	})
	fatal := make(chan error, 10)
	eng, err := storage.Open(storage.Options{FS: errorfs.Wrap(vfs.NewMem(), inj), Dir: "store",
		CacheBytes: 1 << 20, MemTableBytes: 1 << 20, OnFatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(eng, Options{Fatal: func(err error) { fatal <- err }})
	l, err := Load(eng, NewCache(0), simRange)
	if err != nil {
		t.Fatal(err)
	}
	var answered atomic.Int32
	done := func([]raftgroup.Message) { answered.Add(1) }
	broken.Store(true)
	if err := w.Append(t.Context(), l, entryAt(1), done); err != nil {
		t.Fatal(err)
	}
	<-fatal
	_ = w.Append(t.Context(), l, entryAt(2), done)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if w.Barrier(ctx) == nil {
		t.Error("a barrier passed on a broken disk")
	}
	w.Stop()
	if n := answered.Load(); n != 0 {
		t.Errorf("%d appends were answered", n)
	}
}
