package storage

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/cockroachkvs"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system: callers above this package pass one on without knowing
// Pebble.
type FS = vfs.FS

// Options says how to open an engine. Zero fields take the defaults of
// limits.go.
type Options struct {
	// FS is the file system; nil for the operating system's.
	FS  vfs.FS
	Dir string
	// CacheBytes bounds the block cache. Cache, if set, is shared instead.
	CacheBytes int64
	Cache      *pebble.Cache
	// MemTableBytes is the size of one memtable; up to memTableCountMax wait
	// to be flushed. It is smaller by default on a small disk.
	MemTableBytes uint64
	// MaxOpenFiles bounds the files held open.
	MaxOpenFiles int
	// MustExist and MustNotExist refuse to create or to open a store.
	MustExist, MustNotExist bool
	Logger                  *slog.Logger
	// Ballast keeps a file that is given up when the disk is full (Space).
	Ballast bool
	// OnFatal is called when the engine can go on no longer: its WAL or
	// manifest cannot be written, or Pebble was misused. It must not return
	// before the process cannot answer any more; nil panics.
	OnFatal func(err error)
	// OnDiskSlow, if set, hears of file operations that took too long.
	OnDiskSlow func(info vfs.DiskSlowInfo)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = cacheBytesDefault
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = memTableBytesDefault
		if u, err := o.FS.GetDiskUsage(o.Dir); err == nil {
			o.MemTableBytes = memTableBytesFor(u.TotalBytes)
		}
	}
	if o.MaxOpenFiles == 0 {
		o.MaxOpenFiles = openFilesDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnFatal == nil {
		o.OnFatal = func(err error) { panic(err) }
	}
	return o
}

// pebbleOptions is the tuning; each number's reason stands in limits.go.
func (o Options) pebbleOptions(h *health) *pebble.Options {
	p := &pebble.Options{
		FS:                          o.FS,
		Cache:                       o.Cache,
		CacheSize:                   o.CacheBytes,
		Comparer:                    &cockroachkvs.Comparer,
		KeySchema:                   cockroachkvs.KeySchema.Name,
		KeySchemas:                  sstable.MakeKeySchemas(&cockroachkvs.KeySchema),
		BlockPropertyCollectors:     cockroachkvs.BlockPropertyCollectors,
		FormatMajorVersion:          pebble.FormatNewest,
		ErrorIfExists:               o.MustNotExist,
		ErrorIfNotExists:            o.MustExist,
		Logger:                      pebbleLogger{o.Logger, o.OnFatal},
		EventListener:               h.listener(o),
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: memTableCountMax,
		L0CompactionThreshold:       l0CompactionThreshold,
		L0StopWritesThreshold:       l0StopWritesThreshold,
		LBaseMaxBytes:               lbaseBytes,
		MaxOpenFiles:                o.MaxOpenFiles,
		BytesPerSync:                bytesPerSync,
		FlushDelayDeleteRange:       flushDelay,
		FlushDelayRangeKey:          flushDelay,
		TargetByteDeletionRate:      deletionRate,
		CompactionConcurrencyRange:  func() (int, int) { return compactionsMin, compactionsMax },
	}
	p.Experimental.ReadSamplingMultiplier = -1
	for i := range p.Levels {
		l := &p.Levels[i]
		l.BlockSize = blockBytes
		l.IndexBlockSize = indexBlockBytes
		l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		if i < len(p.Levels)-1 {
			l.FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
			l.FilterType = pebble.TableFilter
		}
	}
	return p
}

// pebbleLogger sends Pebble's log to slog. What Pebble calls info is debug to
// us: flushes and compactions.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "msg", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "msg", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.fatal(&gaveUpError{text: fmt.Sprintf("storage: pebble gave up: "+format, args...), args: args})
}

// gaveUpError is what Pebble calls fatal. Pebble formats the cause into the
// text; callers want to know it (IsDiskFull).
type gaveUpError struct {
	text string
	args []any
}

// Error implements error.
func (e *gaveUpError) Error() string { return e.text }

// Unwrap returns the causes.
func (e *gaveUpError) Unwrap() (causes []error) {
	for _, a := range e.args {
		if err, ok := a.(error); ok {
			causes = append(causes, err)
		}
	}
	return causes
}

const flushDelay = 10 * time.Second
