package storage

import "time"

// Sizes and counts of an engine, for a machine of a few cores; chosen from
// Pebble's and CockroachDB's published settings.
const (
	cacheBytesDefault = 128 << 20
	// memTableBytesDefault: every flush costs a compaction that rewrites what
	// it overlaps, all of a table for random updates. The WAL to be replayed
	// after a crash is as long.
	memTableBytesDefault = 64 << 20
	// memTableBytesMin is what a memtable has on the smallest disk.
	memTableBytesMin = 1 << 20
	// memTableCountMax memtables may wait for their flush before writes stall.
	memTableCountMax = 4
	openFilesDefault = 10000
	// l0CompactionThreshold: Pebble compacts level 0 when its flushes lie half as
	// deep. Every compaction rewrites all of a table that is updated at random, so
	// four flushes share one; each costs a point read there a look at a filter.
	l0CompactionThreshold = 8
	// l0StopWritesThreshold is high: admission control above slows writers
	// down long before; a full stop here would stop the Raft log as well.
	l0StopWritesThreshold = 1000
	lbaseBytes            = 64 << 20
	// blockBytes: point reads decompress one block, scans many; 16 KB leans
	// towards points.
	blockBytes      = 16 << 10
	indexBlockBytes = 256 << 10
	// bloomBitsPerKey gives one false positive in a hundred. The last level
	// has no filter: a key that is looked for is mostly there.
	bloomBitsPerKey = 10
	bytesPerSync    = 512 << 10
	// deletionRate paces the removal of files, so that it does not stall the
	// device's other work.
	deletionRate   = 128 << 20
	compactionsMin = 1
	compactionsMax = 2
)

// What is kept free of a disk (SpaceLimitsOf).
const (
	spaceKeptMin = 256 << 20
	spaceKeptMax = 4 << 30
	// spaceCriticalMin is what followers of busy ranges write in a few looks at
	// the disk, their compactions included.
	spaceCriticalMin = 12 << 20
	// ballastMax is enough for some minutes of leases and deletes.
	ballastMax = 64 << 20
	// startRoomMax is enough to open a store: a new log and manifest.
	startRoomMax = 8 << 20
	// fullPause is how long all writes wait when one has found the disk full and
	// there is no ballast left: a failed flush is tried again at once, and would
	// keep a core busy. Leases are renewed in spite of it.
	fullPause = 100 * time.Millisecond
	// tellInterval is how often a failure that goes on is logged.
	tellInterval = 10 * time.Second
	// ballastName is no name that Pebble gives to its files.
	ballastName = "ballast"
)
