package storage_test

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/kv/storage"
)

func TestSpaceLevels(t *testing.T) {
	const mib = 1 << 20
	for _, d := range []struct{ total, low uint64 }{
		{96 * mib, 24 * mib}, {1 << 30, 256 * mib}, {20 << 30, 1 << 30}, {10 << 40, 4 << 30},
	} {
		l := storage.SpaceLimitsOf(d.total)
		if l.LowBytes != d.low || l.CriticalBytes >= l.LowBytes || l.BallastBytes >= l.CriticalBytes {
			t.Errorf("of %d MiB: %+v", d.total/mib, l)
		}
	}
	l := storage.SpaceLimits{LowBytes: 400, CriticalBytes: 100}
	level := storage.SpacePlenty
	for i, s := range []struct {
		available uint64
		want      storage.Space
	}{
		{400, storage.SpacePlenty}, {399, storage.SpaceLow}, {450, storage.SpaceLow}, {500, storage.SpacePlenty},
		{99, storage.SpaceCritical}, {110, storage.SpaceCritical}, {125, storage.SpaceLow}, {0, storage.SpaceCritical},
		{1000, storage.SpacePlenty},
	} {
		if level = l.Judge(level, s.available); level != s.want {
			t.Errorf("step %d: %s at %d, want %s", i, level, s.available, s.want)
		}
	}
}

func TestCheckSpaceTellsWhatTheDiskSays(t *testing.T) {
	fs := vfs.NewMem()
	e, err := storage.Open(storage.Options{FS: fs, Dir: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	look := func(available uint64, want storage.Space) {
		t.Helper()
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: available, TotalBytes: 1 << 30, UsedBytes: 1<<30 - available})
		r, err := e.CheckSpace()
		if err != nil || r.Space != want || e.Space() != want {
			t.Errorf("%d available: %+v %v", available, r, err)
		}
	}
	if r, err := e.CheckSpace(); err != nil || r.Space != storage.SpacePlenty {
		t.Errorf("a disk that cannot tell: %+v %v", r, err)
	}
	look(512<<20, storage.SpacePlenty)
	look(200<<20, storage.SpaceLow)
	look(1<<20, storage.SpaceCritical)
	look(512<<20, storage.SpacePlenty)
}

// TestBallastSurvivesAFullDisk: another program fills the disk to the last
// byte. The write that meets the end of it succeeds, because the ballast goes
// (I6); when there is room again the ballast comes back.
func TestBallastSurvivesAFullDisk(t *testing.T) {
	dir := t.TempDir()
	var full atomic.Bool
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove {
			if _, err := os.Stat(dir + "/ballast"); err == nil {
				return syscall.ENOSPC
			}
		}
		return nil
	})
	e, err := storage.Open(storage.Options{FS: errorfs.Wrap(vfs.Default, inj), Dir: dir, Ballast: true,
		OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if r, err := e.CheckSpace(); err != nil || r.Space != storage.SpacePlenty {
		t.Skipf("this disk is full itself: %+v %v", r, err)
	}
	if _, err := os.Stat(dir + "/ballast"); err != nil {
		t.Skipf("no files can be allocated here: %v", err)
	}
	full.Store(true)
	if err := e.Barrier(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/ballast"); !os.IsNotExist(err) {
		t.Errorf("the ballast is still there: %v", err)
	}
	if e.Space() != storage.SpaceCritical {
		t.Errorf("the level is %s", e.Space())
	}
	full.Store(false)
	for _, want := range []storage.Space{storage.SpaceCritical, storage.SpacePlenty} {
		if r, err := e.CheckSpace(); err != nil || r.Space != want {
			t.Errorf("%+v %v, want %s", r, err, want)
		}
	}
	if _, err := os.Stat(dir + "/ballast"); err != nil {
		t.Errorf("the ballast did not come back: %v", err)
	}
}

func TestNoStoreIsOpenedWithoutRoom(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 64 << 10, TotalBytes: 1 << 30})
	_, err := storage.Open(storage.Options{FS: fs, Dir: "s"})
	if err == nil || !storage.IsDiskFull(err) || strings.Contains(err.Error(), "\n") {
		t.Fatal(err)
	}
}
