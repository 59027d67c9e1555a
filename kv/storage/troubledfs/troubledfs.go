// Package troubledfs is the file system of a node that is being hurt on purpose
// (internal/testkit/trouble): each operation may be delayed or refused first, and
// what was not synced can be lost.
package troubledfs

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/kv/storage"
)

// Op is what an engine is about to do with its disk.
type Op struct {
	Path string
	// Write is anything that changes the disk; Sync waits for it.
	Write, Sync bool
}

// New is the operating system's file system, where each operation may be
// delayed or refused first, and the power that it has.
func New(before func(Op) error) (storage.FS, *Power) {
	power := newPower(vfs.Default)
	return errorfs.Wrap(power, errorfs.InjectorFunc(func(op errorfs.Op) error {
		d := Op{Path: op.Path}
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileFlush:
			d.Write, d.Sync = true, true
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFilePreallocate, errorfs.OpReuseForWrite, errorfs.OpLink, errorfs.OpMkdirAll:
			d.Write = true
		}
		return before(d)
	})), power
}
