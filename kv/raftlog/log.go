package raftlog

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// Log is one replica's Raft log: a raftgroup.LogReader over engine and cache.
// Its owner holds the replica's Raft mutex for every call.
//
// Its memory moves when an append is handed to the writer, before the engine
// holds it. That is sound because Raft asks for no entry before the append's
// response said that it is stable.
type Log struct {
	eng   *storage.Engine
	cache *Cache
	id    kvapi.RangeID

	truncated TruncatedState
	last      TruncatedState // index and term of the last entry
	sizeBytes int64
	hs        raftgroup.HardState
	// hsWritten is what was last handed to the writer: hs, or hs with a lower
	// commit index (I3).
	hsWritten raftgroup.HardState
}

var _ raftgroup.LogReader = (*Log)(nil)

// Load reads a replica's log as the last process left it, and checks that it
// has no gaps (I4) and holds what the hard state says is committed (I3).
func Load(eng *storage.Engine, cache *Cache, id kvapi.RangeID) (*Log, error) {
	l := &Log{eng: eng, cache: cache, id: id}
	var err error
	if l.hs, err = LoadHardState(eng, id); err != nil {
		return nil, err
	}
	if l.truncated, err = LoadTruncatedState(eng, id); err != nil {
		return nil, err
	}
	l.last, l.hsWritten = l.truncated, l.hs
	err = l.scan(l.truncated.Index+1, func(e raftgroup.Entry) bool {
		l.last = TruncatedState{Index: e.Index, Term: e.Term}
		l.sizeBytes += int64(e.SizeBytes())
		return true
	})
	if err != nil {
		return nil, err
	}
	if l.hs.Commit > l.last.Index {
		return nil, fmt.Errorf("raftlog: %s: log ends at %d before commit index %d", id, l.last.Index, l.hs.Commit)
	}
	return l, nil
}

// scan reads entries from the engine, the first of which must be at lo, until
// f returns false. It fails on a gap, which would be an entry lost.
func (l *Log) scan(lo kvapi.LogIndex, f func(raftgroup.Entry) bool) error {
	prefix := keys.LogPrefix(l.id)
	it, err := l.eng.AcquireIter(storage.EncodeKey(nil, keys.LogEntry(l.id, lo)), storage.EncodeKey(nil, prefix.PrefixEnd()))
	if err != nil {
		return fmt.Errorf("raftlog: %s: %w", l.id, err)
	}
	defer l.eng.ReleaseIter(it)
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("raftlog: %s: %w", l.id, err)
		}
		e, err := raftgroup.DecodeEntry(v)
		if err != nil {
			return fmt.Errorf("raftlog: %s index %d: %w", l.id, lo, err)
		}
		if at := indexOfKey(it.Key(), len(prefix)); at != e.Index || e.Index != lo {
			return fmt.Errorf("raftlog: %s has entry %d at key %d where %d is due", l.id, e.Index, at, lo)
		}
		e.Data = append([]byte(nil), e.Data...)
		if !f(e) {
			return nil
		}
		lo++
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("raftlog: %s: %w", l.id, err)
	}
	return nil
}

// indexOfKey returns the index in the engine key of an entry; 0 if it has none.
func indexOfKey(engineKey []byte, prefixLen int) kvapi.LogIndex {
	if len(engineKey) != prefixLen+8+1 {
		return 0
	}
	return kvapi.LogIndex(binary.BigEndian.Uint64(engineKey[prefixLen:]))
}

// HardState returns the newest hard state handed to the writer.
func (l *Log) HardState() raftgroup.HardState { return l.hs }

// Truncated returns the last truncated entry.
func (l *Log) Truncated() TruncatedState { return l.truncated }

// FirstIndex implements raftgroup.LogReader.
func (l *Log) FirstIndex() kvapi.LogIndex { return l.truncated.Index + 1 }

// LastIndex implements raftgroup.LogReader.
func (l *Log) LastIndex() kvapi.LogIndex { return l.last.Index }

// Term implements raftgroup.LogReader.
func (l *Log) Term(i kvapi.LogIndex) (kvapi.Term, error) {
	switch {
	case i == l.last.Index:
		return l.last.Term, nil
	case i == l.truncated.Index:
		return l.truncated.Term, nil
	case i < l.truncated.Index:
		return 0, raftgroup.ErrCompacted
	}
	ents, err := l.Entries(i, i+1, 0)
	if err != nil {
		return 0, err
	}
	return ents[0].Term, nil
}

// Entries implements raftgroup.LogReader.
func (l *Log) Entries(lo, hi kvapi.LogIndex, maxBytes uint64) ([]raftgroup.Entry, error) {
	if lo <= l.truncated.Index {
		return nil, raftgroup.ErrCompacted
	}
	if hi > l.last.Index+1 || lo >= hi {
		return nil, raftgroup.ErrUnavailable
	}
	if ents := l.cache.get(l.id, lo, hi, maxBytes); ents != nil {
		return ents, nil
	}
	var out []raftgroup.Entry
	var size uint64
	err := l.scan(lo, func(e raftgroup.Entry) bool {
		size += uint64(e.SizeBytes())
		if len(out) > 0 && size > maxBytes {
			return false
		}
		out = append(out, e)
		return e.Index+1 < hi
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("raftlog: %s: entry %d: %w", l.id, lo, raftgroup.ErrUnavailable)
	}
	return out, err
}

// SizeBytes estimates the size of the entries in the log.
func (l *Log) SizeBytes() int64 { return l.sizeBytes }

// Truncate adds to an apply batch the removal of entries up to ts.Index and
// moves the log's memory: whoever calls it commits the batch or stops the
// node. Truncating what is truncated does nothing.
func (l *Log) Truncate(w storage.Writer, ts TruncatedState) error {
	if ts.Index <= l.truncated.Index {
		return nil
	}
	if ts.Index > l.last.Index {
		panic(fmt.Sprintf("raftlog: %s: truncating to %d after the last entry %d", l.id, ts.Index, l.last.Index))
	}
	if err := deleteEntries(w, l.id, l.truncated.Index+1, ts.Index); err != nil {
		return fmt.Errorf("raftlog: truncate %s: %w", l.id, err)
	}
	if err := PutTruncatedState(w, l.id, ts); err != nil {
		return fmt.Errorf("raftlog: truncate %s: %w", l.id, err)
	}
	l.shrink(int64(ts.Index-l.truncated.Index), int64(l.last.Index-l.truncated.Index))
	l.truncated = ts
	l.cache.truncate(l.id, ts.Index)
	return nil
}

// shrink lowers the size estimate by the share of the entries removed.
func (l *Log) shrink(removed, of int64) {
	if of > 0 {
		l.sizeBytes -= int64(float64(l.sizeBytes) * float64(removed) / float64(of))
	}
}

// deleteEntries removes entries from first to last, both included.
func deleteEntries(w storage.Writer, id kvapi.RangeID, first, last kvapi.LogIndex) error {
	if last+1-first >= rangeDeleteMin {
		return storage.ClearSpan(w, keys.LogEntry(id, first), keys.LogEntry(id, last+1))
	}
	for i := first; i <= last; i++ {
		if err := storage.DeleteUnversioned(w, keys.LogEntry(id, i)); err != nil {
			return err
		}
	}
	return nil
}

// Reset makes the log empty after ts, once a snapshot with these records has
// been committed.
func (l *Log) Reset(ts TruncatedState, hs raftgroup.HardState) {
	l.cache.forget(l.id)
	hs.Commit = max(hs.Commit, ts.Index)
	l.truncated, l.last = ts, ts
	l.hs, l.hsWritten = hs, hs
	l.sizeBytes = 0
}

// Forget drops the log's cache entries, when its replica is removed.
func (l *Log) Forget() { l.cache.forget(l.id) }
