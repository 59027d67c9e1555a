// Package storagetest opens engines for tests: in memory, and on a file system
// that loses what was not synced.
package storagetest

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/kv/storage"
)

// CrashFS is an in-memory file system that can be copied as a power failure
// would leave it.
type CrashFS struct{ *vfs.MemFS }

// NewCrashFS returns an empty one.
func NewCrashFS() CrashFS { return CrashFS{vfs.NewCrashableMem()} }

// Crash returns what a power failure leaves: all that was synced, and each
// block that was not with a probability of keepPercent.
func (c CrashFS) Crash(keepPercent int, rng *rand.Rand) CrashFS {
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: keepPercent}
	if keepPercent > 0 {
		cfg.RNG = rng
	}
	return CrashFS{c.CrashClone(cfg)}
}

// Open opens an engine in memory that is closed with the test.
func Open(t testing.TB) *storage.Engine {
	t.Helper()
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "store", CacheBytes: 16 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
