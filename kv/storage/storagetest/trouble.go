package storagetest

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/kv/storage"
)

// DiskOp is what an engine is about to do with its disk.
type DiskOp struct {
	Path string
	// Write is anything that changes the disk; Sync waits for it.
	Write, Sync bool
}

// Troubled is the operating system's file system, where each operation may be
// delayed or refused first.
func Troubled(before func(DiskOp) error) storage.FS {
	return errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		d := DiskOp{Path: op.Path}
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileFlush:
			d.Write, d.Sync = true, true
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate, errorfs.OpReuseForWrite, errorfs.OpLink, errorfs.OpMkdirAll:
			d.Write = true
		}
		return before(d)
	}))
}
