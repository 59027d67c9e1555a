package raftlog

import (
	"context"

	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// Done is told that an append is durable. It is called on the waiter's
// goroutine: it must not block, and must not take a replica's Raft mutex. It
// puts the responses where the range's next turn finds them (those to the
// group itself are stepped there, the others go to peers) and enqueues the
// range.
type Done func(responses []raftgroup.Message)

// Options of a Writer.
type Options struct {
	// Fatal is called once when the engine fails; nothing is called back
	// after it. The node must not answer anybody any more.
	Fatal func(error)
	Knobs Knobs
}

// Knobs break the writer on purpose, so that a test that should notice is
// known to notice.
type Knobs struct {
	// UnsafeAckBeforeSync calls back without waiting for the sync: a crash
	// then loses votes and acknowledged entries.
	UnsafeAckBeforeSync bool
}

// Writer writes the logs of all ranges of a store.
type Writer struct{}

// NewWriter starts a writer.
func NewWriter(eng *storage.Engine, o Options) *Writer { panic("todo") }

// Append hands an append to the writer and moves the log's memory. done is
// called when it is durable, if the append has responses; done may be nil
// otherwise. It blocks only while the queue is full. The append must carry no
// snapshot: that is applied by kv/snapshot after Barrier.
func (w *Writer) Append(ctx context.Context, l *Log, a *raftgroup.StorageAppend, done Done) error {
	panic("todo")
}

// Barrier returns when every append before it is durable. Not to be called
// from Done.
func (w *Writer) Barrier(ctx context.Context) error { panic("todo") }

// Stop finishes what was appended and ends the goroutines.
func (w *Writer) Stop() { panic("todo") }
