package raftlog

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// write is what one append asks of the engine. The zero write asks nothing.
type write struct {
	id      kvapi.RangeID
	entries []raftgroup.Entry
	// staleLast is the last index of a suffix that entries overwrite, 0: none.
	staleLast kvapi.LogIndex
	// hs is written if not empty.
	hs raftgroup.HardState
}

func (w *write) empty() bool { return len(w.entries) == 0 && w.hs.IsEmpty() }

// sizeBytes counts the write against the queue's limit.
func (w *write) sizeBytes() int {
	n := entryOverheadBytes
	for i := range w.entries {
		n += w.entries[i].SizeBytes()
	}
	return n
}

// entryOverheadBytes makes writes without entries count too.
const entryOverheadBytes = 64

// advance moves the log's memory over an append and returns what to write.
func (l *Log) advance(a *raftgroup.StorageAppend) write {
	w := write{id: l.id}
	if len(a.Entries) > 0 {
		w.entries = a.Entries
		w.staleLast = l.advanceEntries(a.Entries)
	}
	if !a.HardState.IsEmpty() {
		l.advanceHardState(a.HardState)
	}
	commitOnly := l.hs.Term == l.hsWritten.Term && l.hs.Vote == l.hsWritten.Vote
	if l.hs != l.hsWritten && (len(w.entries) > 0 || !commitOnly) {
		w.hs, l.hsWritten = l.hs, l.hs
	}
	return w
}

// advanceEntries returns the last index of the suffix that ents overwrite.
func (l *Log) advanceEntries(ents []raftgroup.Entry) (staleLast kvapi.LogIndex) {
	first, last := ents[0].Index, ents[len(ents)-1]
	if first <= l.truncated.Index || first > l.last.Index+1 {
		panic(fmt.Sprintf("raftlog: %s: append at %d to a log of %d to %d", l.id, first, l.FirstIndex(), l.LastIndex()))
	}
	if first <= l.last.Index {
		l.shrink(int64(l.last.Index+1-first), int64(l.last.Index-l.truncated.Index))
		if l.last.Index > last.Index {
			staleLast = l.last.Index
		}
	}
	for i := range ents {
		l.sizeBytes += int64(ents[i].SizeBytes())
	}
	l.last = TruncatedState{Index: last.Index, Term: last.Term}
	l.cache.add(l.id, ents)
	return staleLast
}

// advanceHardState checks that neither term nor vote within it go back.
func (l *Log) advanceHardState(hs raftgroup.HardState) {
	old := l.hs
	if hs.Term < old.Term || hs.Commit < old.Commit ||
		hs.Term == old.Term && old.Vote != 0 && hs.Vote != old.Vote {
		panic(fmt.Sprintf("raftlog: %s: hard state goes back from %s to %s", l.id, old, hs))
	}
	if hs.Commit > l.last.Index {
		panic(fmt.Sprintf("raftlog: %s: %s after the last entry %d", l.id, hs, l.last.Index))
	}
	l.hs = hs
}

// addTo adds the write to a batch. buf is scratch space.
func (w *write) addTo(b *storage.Batch, buf []byte) ([]byte, error) {
	key := storage.EncodeKey(nil, keys.LogEntry(w.id, 0))
	index := key[len(key)-9 : len(key)-1]
	for _, e := range w.entries {
		binary.BigEndian.PutUint64(index, uint64(e.Index))
		buf = raftgroup.AppendEntry(buf[:0], e)
		if err := b.SetRaw(key, buf); err != nil {
			return buf, err
		}
	}
	if w.staleLast != 0 {
		if err := deleteEntries(b, w.id, w.entries[len(w.entries)-1].Index+1, w.staleLast); err != nil {
			return buf, err
		}
	}
	if !w.hs.IsEmpty() {
		return buf, PutHardState(b, w.id, w.hs)
	}
	return buf, nil
}
