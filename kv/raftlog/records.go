package raftlog

import (
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// TruncatedState is the last entry a log no longer holds; its term is kept,
// for the entry after it is matched against it.
type TruncatedState struct {
	Index kvapi.LogIndex `wire:"1"`
	Term  kvapi.Term     `wire:"2"`
}

// LoadHardState reads a range's hard state; the zero one if there is none.
func LoadHardState(r storage.Reader, id kvapi.RangeID) (raftgroup.HardState, error) {
	var hs raftgroup.HardState
	b, ok, err := storage.GetUnversioned(r, keys.HardState(id))
	if err == nil && ok {
		err = hs.UnmarshalWire(b)
	}
	if err != nil {
		return hs, fmt.Errorf("raftlog: hard state of %s: %w", id, err)
	}
	return hs, nil
}

// PutHardState writes a range's hard state. Beside an append it is used only
// where a replica's state is made: bootstrap, split, snapshot.
func PutHardState(w storage.Writer, id kvapi.RangeID, hs raftgroup.HardState) error {
	return storage.PutUnversioned(w, keys.HardState(id), hs.AppendWire(nil))
}

// LoadTruncatedState reads a range's truncated state; the zero one if none.
func LoadTruncatedState(r storage.Reader, id kvapi.RangeID) (TruncatedState, error) {
	var ts TruncatedState
	b, ok, err := storage.GetUnversioned(r, keys.TruncatedState(id))
	if err == nil && ok {
		err = ts.UnmarshalWire(b)
	}
	if err != nil {
		return ts, fmt.Errorf("raftlog: truncated state of %s: %w", id, err)
	}
	return ts, nil
}

// PutTruncatedState writes a range's truncated state, where a replica's state
// is made: bootstrap, split, snapshot.
func PutTruncatedState(w storage.Writer, id kvapi.RangeID, ts TruncatedState) error {
	return storage.PutUnversioned(w, keys.TruncatedState(id), ts.AppendWire(nil))
}

// Clear removes a range's log, hard state and truncated state, for the removal
// of a replica. The log has no appends under way (Writer.Barrier).
func Clear(w storage.Writer, id kvapi.RangeID) error {
	if err := ClearEntries(w, id); err != nil {
		return err
	}
	if err := storage.DeleteUnversioned(w, keys.HardState(id)); err != nil {
		return err
	}
	return storage.DeleteUnversioned(w, keys.TruncatedState(id))
}

// ClearEntries removes all entries of a range's log.
func ClearEntries(w storage.Writer, id kvapi.RangeID) error {
	p := keys.LogPrefix(id)
	return storage.ClearSpan(w, p, p.PrefixEnd())
}
