package snapshot

import (
	"context"

	"github.com/cairndb/cairn/kv/storage"
)

// Receiver collects a snapshot. It is for one goroutine.
type Receiver struct{}

// NewReceiver returns a receiver that spills to files in dir, a directory on
// the engine's file system, made if it is missing. name is unique among the
// receivers of the process.
func NewReceiver(eng *storage.Engine, dir, name string) *Receiver { panic("todo") }

// Add takes the next chunk. An error ends the snapshot; Close it.
func (r *Receiver) Add(ctx context.Context, chunk []byte) error { panic("todo") }

// Header returns the header, once the first chunk was added.
func (r *Receiver) Header() (Header, bool) { panic("todo") }

// Complete reports whether the trailer came and agreed.
func (r *Receiver) Complete() bool { panic("todo") }

// Close removes what the receiver wrote. After Apply too.
func (r *Receiver) Close() error { panic("todo") }

// CleanDir removes what receivers of an earlier process left in dir.
func CleanDir(eng *storage.Engine, dir string) error { panic("todo") }
