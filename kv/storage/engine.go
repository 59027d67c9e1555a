package storage

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Engine is the node's store. All methods are safe for concurrent use.
type Engine struct {
	db     *pebble.DB
	fs     vfs.FS
	dir    string
	health *health
	space  *space
	// fsyncs is Pebble's histogram of WAL syncs.
	fsyncs prometheus.Histogram
}

// Open opens or creates the engine in o.Dir.
func Open(o Options) (*Engine, error) {
	o = o.withDefaults()
	h := &health{}
	sp := &space{fs: o.FS, dir: o.Dir, ballast: o.Ballast, log: o.Logger, health: h}
	if err := sp.makeRoomToOpen(); err != nil {
		return nil, err
	}
	p := o.pebbleOptions(h)
	p.FS = vfs.OnDiskFull(o.FS, sp.onFull)
	db, err := pebble.Open(o.Dir, p)
	switch {
	case errors.Is(err, syscall.EAGAIN): // of the lock on its folder
		return nil, fmt.Errorf("store %q is in use by another process: %w", o.Dir, err)
	case err != nil:
		return nil, fmt.Errorf("open store %q: %w", o.Dir, err)
	}
	return &Engine{db: db, fs: o.FS, dir: o.Dir, health: h, space: sp, fsyncs: db.Metrics().LogWriter.FsyncLatency}, nil
}

// Close closes the engine; every iterator, batch and snapshot is closed before.
func (e *Engine) Close() error { return e.db.Close() }

// FS returns the file system the engine lives on.
func (e *Engine) FS() vfs.FS { return e.fs }

// Dir returns the engine's directory.
func (e *Engine) Dir() string { return e.dir }

// Pebble returns the engine below, for what has no wrapper (table writers,
// checkpoints). Writes and ingests go through the Engine.
func (e *Engine) Pebble() *pebble.DB { return e.db }

// NewIter implements Reader.
func (e *Engine) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) { return e.db.NewIter(o) }

// AcquireIter implements Reader.
func (e *Engine) AcquireIter(lower, upper []byte) (*pebble.Iterator, error) {
	return e.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// ReleaseIter implements Reader.
func (e *Engine) ReleaseIter(it *pebble.Iterator) { _ = it.Close() }

// GetRaw implements Reader.
func (e *Engine) GetRaw(engineKey []byte) ([]byte, bool, error) { return getRaw(e.db, engineKey) }

// NewView pins the engine's present state for one batch of reads. The state
// is the one at the first read.
func (e *Engine) NewView() *View { return &View{src: e.db} }

// NewBatch returns a batch whose reads show the engine without its own writes.
func (e *Engine) NewBatch() *Batch {
	return &Batch{b: e.db.NewBatch(), view: View{src: e.db}}
}

// NewIndexedBatch returns a batch whose reads show its own writes too.
func (e *Engine) NewIndexedBatch() *Batch {
	b := e.db.NewIndexedBatch()
	return &Batch{b: b, view: View{src: b, refresh: true}}
}

// Snapshot is a state of the engine for long reads by many iterators.
type Snapshot struct{ s *pebble.Snapshot }

// NewSnapshot pins the engine's present state. It keeps garbage alive; for
// one batch use NewView.
func (e *Engine) NewSnapshot() *Snapshot { return &Snapshot{e.db.NewSnapshot()} }

// NewIter implements Reader.
func (s *Snapshot) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) { return s.s.NewIter(o) }

// AcquireIter implements Reader.
func (s *Snapshot) AcquireIter(lower, upper []byte) (*pebble.Iterator, error) {
	return s.s.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// ReleaseIter implements Reader.
func (s *Snapshot) ReleaseIter(it *pebble.Iterator) { _ = it.Close() }

// GetRaw implements Reader.
func (s *Snapshot) GetRaw(engineKey []byte) ([]byte, bool, error) { return getRaw(s.s, engineKey) }

// Close releases the state.
func (s *Snapshot) Close() error { return s.s.Close() }

// Commit applies a batch. With sync it is durable when Commit returns, and so
// is everything committed before it (I2); without, it is visible only. The
// caller closes the batch.
func (e *Engine) Commit(b *Batch, sync bool) error {
	if err := b.view.Close(); err != nil {
		return fmt.Errorf("commit batch: %w", err)
	}
	if err := e.db.Apply(b.b, writeOptions(sync)); err != nil {
		return fmt.Errorf("commit batch: %w", err)
	}
	return nil
}

// CommitPipelined applies a batch and starts its sync; the batch is durable
// when Wait returns nil. It is readable at once, so nobody may act on it
// outside this process before. Waits must be called in commit order, and the
// batch closed only after Wait.
func (e *Engine) CommitPipelined(b *Batch) error {
	if err := b.view.Close(); err != nil {
		return fmt.Errorf("commit batch: %w", err)
	}
	if b.b.Empty() {
		// An empty batch would neither sync nor be waited for (I4).
		if err := b.b.LogData([]byte{0}, nil); err != nil {
			return err
		}
	}
	if err := e.db.ApplyNoSyncWait(b.b, pebble.Sync); err != nil {
		return fmt.Errorf("commit batch: %w", err)
	}
	return nil
}

// Wait waits for the sync that CommitPipelined started.
func (b *Batch) Wait() error { return b.b.SyncWait() }

// Barrier returns when everything committed before it is durable.
func (e *Engine) Barrier(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.db.LogData([]byte{0}, pebble.Sync); err != nil {
		return fmt.Errorf("sync barrier: %w", err)
	}
	return nil
}

// IngestAndExcise replaces everything in the spans of keys by the tables at
// paths, atomically and durably. All spans but the first must be covered by
// range deletions within the tables; the first is excised. A barrier goes
// before it (I3).
func (e *Engine) IngestAndExcise(ctx context.Context, paths []string, excise kvapi.Span) error {
	if err := e.Barrier(ctx); err != nil {
		return err
	}
	kr := pebble.KeyRange{Start: EncodeKey(nil, excise.Key), End: EncodeKey(nil, excise.End())}
	if _, err := e.db.IngestAndExcise(ctx, paths, nil, nil, kr); err != nil {
		return fmt.Errorf("ingest %d tables: %w", len(paths), err)
	}
	return nil
}

// DiskUsage estimates the bytes that [start, end) takes on disk.
func (e *Engine) DiskUsage(start, end kvapi.Key) (bytes uint64, err error) {
	return e.db.EstimateDiskUsage(EncodeKey(nil, start), EncodeKey(nil, end))
}

// Capacity returns the free and total bytes of the file system below.
func (e *Engine) Capacity() (vfs.DiskUsage, error) { return e.fs.GetDiskUsage(e.dir) }

// Metrics returns Pebble's metrics. It costs about a millisecond.
func (e *Engine) Metrics() *pebble.Metrics { return e.db.Metrics() }

// Syncs returns how often the write-ahead log was synced since Open: commits
// that arrive together share one.
func (e *Engine) Syncs() int64 {
	var m dto.Metric
	if e.fsyncs == nil || e.fsyncs.Write(&m) != nil {
		return 0
	}
	return int64(m.GetHistogram().GetSampleCount())
}

// Flush writes the memtables out. For tests and shut-down.
func (e *Engine) Flush() error { return e.db.Flush() }

// Health returns the last background error of the engine, nil if there was none.
func (e *Engine) Health() error { return e.health.err() }

// IsDiskFull reports whether err says that the device has no room left.
func IsDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func writeOptions(sync bool) *pebble.WriteOptions {
	if sync {
		return pebble.Sync
	}
	return pebble.NoSync
}

// TableOptions are the options with which tables to be ingested are written.
func (e *Engine) TableOptions() sstable.WriterOptions {
	o := Options{}.withDefaults().pebbleOptions(&health{})
	o.EnsureDefaults()
	return o.MakeWriterOptions(0, e.db.TableFormat())
}
