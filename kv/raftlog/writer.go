package raftlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// Done is told that an append is durable. It is called on the writer's
// goroutine: it must not block, and must not take a replica's Raft mutex. It
// puts the responses where the range's next turn finds them (those to the
// group itself are stepped there, the others go to peers) and enqueues the
// range.
type Done func(responses []raftgroup.Message)

// Options of a Writer.
type Options struct {
	// Fatal is called once when the engine fails; nothing is called back
	// after it. The node must not answer anybody any more. nil panics.
	Fatal func(error)
	Knobs Knobs
}

// Knobs break the writer on purpose, so that a test that should notice is
// known to notice.
type Knobs struct {
	// UnsafeAckBeforeSync calls back without waiting for the sync: a crash
	// then loses votes and acknowledged entries.
	UnsafeAckBeforeSync bool
	// SyncTime, if set, makes every sync take so long, and start at the end of
	// it: on a disk in memory nothing else could come between a write and its
	// sync, a crash least of all. No lock is held meanwhile.
	SyncTime func() time.Duration
}

// ErrStopped is what a stopped writer answers.
var ErrStopped = errors.New("raftlog: writer stopped")

// Stats counts what a Writer did: appends, and the engine batches they shared.
type Stats struct{ Appends, Batches atomic.Int64 }

// Writer writes the logs of all ranges of a store.
type Writer struct {
	// Stats only grows.
	Stats Stats

	eng *storage.Engine
	o   Options
	mu  struct {
		sync.Mutex
		queue    []item
		bytes    int
		stopping bool
		err      error
	}
	// work is signalled when the queue grows or the writer stops; room when
	// the queue shrinks, the writer stops, or a waiting context ends.
	work, room *sync.Cond
	// dead is closed when the engine failed.
	dead chan struct{}
	wg   sync.WaitGroup
	// hurry and hurried cut short the slow syncs of Knobs.SyncTime.
	hurry   chan struct{}
	hurried atomic.Int64

	// Of the writer goroutine alone.
	// unsynced says that a batch was committed without sync since the last
	// that was synced, so that an empty append must sync as well.
	unsynced bool
	scratch  []byte
}

// item is one append, or a barrier.
type item struct {
	write     write
	responses []raftgroup.Message
	done      Done // nil: nobody waits
}

// group is a commit and whom to tell when it is durable.
type group struct {
	batch *storage.Batch // nil: nothing to wait for
	items []item
	// slow: not durable before syncSlowly (Knobs.SyncTime).
	slow bool
}

// NewWriter starts a writer.
func NewWriter(eng *storage.Engine, o Options) *Writer {
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	w := &Writer{eng: eng, o: o, dead: make(chan struct{}), hurry: make(chan struct{}, 1)}
	w.work, w.room = sync.NewCond(&w.mu), sync.NewCond(&w.mu)
	w.wg.Go(w.writeLoop)
	return w
}

// Append hands an append to the writer and moves the log's memory. done is
// called when it is durable, if the append has responses; done may be nil
// otherwise. It blocks only while the queue is full. After an error other
// than the context's the replica is done for: its memory may have moved. The
// append must carry no snapshot: that is applied by kv/snapshot after Barrier.
func (w *Writer) Append(ctx context.Context, l *Log, a *raftgroup.StorageAppend, done Done) error {
	if a.Snapshot != nil {
		panic("raftlog: a snapshot is not appended")
	}
	if err := w.waitForRoom(ctx); err != nil {
		return err
	}
	it := item{write: l.advance(a)}
	if a.MustSync() {
		it.responses, it.done = a.Responses, done
	}
	if it.write.empty() && it.done == nil {
		return nil
	}
	return w.push(it)
}

// Barrier returns when every append before it is durable. Not to be called
// from Done.
func (w *Writer) Barrier(ctx context.Context) error {
	if err := w.waitForRoom(ctx); err != nil {
		return err
	}
	if w.o.Knobs.SyncTime != nil {
		defer w.inAHurry()()
	}
	durable := make(chan struct{})
	if err := w.push(item{done: func([]raftgroup.Message) { close(durable) }}); err != nil {
		return err
	}
	select {
	case <-durable:
		return nil
	case <-w.dead:
		return errors.New("raftlog: barrier: the engine failed")
	case <-ctx.Done():
		return fmt.Errorf("raftlog: barrier: %w", ctx.Err())
	}
}

// waitForRoom waits for the queue to have room. Another may take it first;
// the limit is then exceeded by one append, which is as good.
func (w *Writer) waitForRoom(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.bytes >= queueBytesMax {
		stop := context.AfterFunc(ctx, w.wakeAll)
		defer stop()
	}
	for w.mu.bytes >= queueBytesMax && !w.mu.stopping && w.mu.err == nil && ctx.Err() == nil {
		w.room.Wait()
	}
	if err := w.stoppedLocked(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("raftlog: log queue is full: %w", ctx.Err())
	}
	return nil
}

func (w *Writer) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room.Broadcast()
}

func (w *Writer) stoppedLocked() error {
	if w.mu.err != nil {
		return w.mu.err
	}
	if w.mu.stopping {
		return ErrStopped
	}
	return nil
}

func (w *Writer) push(it item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.stoppedLocked(); err != nil {
		return err
	}
	w.mu.queue = append(w.mu.queue, it)
	w.mu.bytes += it.write.sizeBytes()
	if len(w.mu.queue) == 1 {
		w.work.Signal()
	}
	return nil
}

// Stop finishes what was appended and ends the goroutine.
func (w *Writer) Stop() {
	w.mu.Lock()
	w.mu.stopping = true
	w.work.Broadcast()
	w.room.Broadcast()
	w.mu.Unlock()
	w.wg.Wait()
}
