package raftlog

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// Log is one replica's Raft log: a raftgroup.LogReader over engine and cache.
// Its owner holds the replica's Raft mutex for every call.
type Log struct {
	eng   *storage.Engine
	cache *Cache
	id    kvapi.RangeID
}

// Load reads a replica's log as the last process left it, and checks that it
// has no gaps (I4) and holds what the hard state says is committed (I3).
func Load(eng *storage.Engine, cache *Cache, id kvapi.RangeID) (*Log, error) { panic("todo") }

// HardState returns the newest hard state handed to the writer.
func (l *Log) HardState() raftgroup.HardState { panic("todo") }

// Truncated returns the last truncated entry.
func (l *Log) Truncated() TruncatedState { panic("todo") }

// FirstIndex implements raftgroup.LogReader.
func (l *Log) FirstIndex() kvapi.LogIndex { panic("todo") }

// LastIndex implements raftgroup.LogReader.
func (l *Log) LastIndex() kvapi.LogIndex { panic("todo") }

// Term implements raftgroup.LogReader.
func (l *Log) Term(i kvapi.LogIndex) (kvapi.Term, error) { panic("todo") }

// Entries implements raftgroup.LogReader.
func (l *Log) Entries(lo, hi kvapi.LogIndex, maxBytes uint64) ([]raftgroup.Entry, error) {
	panic("todo")
}

// SizeBytes estimates the log's size. After a restart it starts at the size
// of the entries found.
func (l *Log) SizeBytes() int64 { panic("todo") }

// Truncate adds to an apply batch the removal of entries up to ts.Index and
// moves the log's memory: whoever calls it commits the batch or stops the
// node. Truncating what is truncated does nothing.
func (l *Log) Truncate(w storage.Writer, ts TruncatedState) error { panic("todo") }

// Reset makes the log empty after ts, once a snapshot with these records has
// been committed.
func (l *Log) Reset(ts TruncatedState, hs raftgroup.HardState) { panic("todo") }

// Forget drops the log's cache entries, when its replica is removed.
func (l *Log) Forget() { panic("todo") }
