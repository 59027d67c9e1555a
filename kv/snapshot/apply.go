package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/storage"
)

// Install is what a snapshot installs beside the range's data.
type Install struct {
	// HardState is the replica's newest. Its commit index is raised to the
	// snapshot's if it is below; Log.Reset does the same.
	HardState raftgroup.HardState
	// ClearTo, if it is after the descriptor's end key, is where the replica
	// ended until now: it missed a split. What it held between is removed in
	// the same step; removed before, a crash would leave a replica that
	// believes in data it no longer has, and may pass them on by that split.
	ClearTo kvapi.Key
	// Subsumed are ranges whose replicas here lie within the snapshot's span:
	// they were merged into its range, and their own state is replaced by
	// Tombstone in the same step.
	Subsumed []Subsumed
}

// Subsumed is a replica that goes with a snapshot of the range it was merged
// into.
type Subsumed struct {
	RangeID   kvapi.RangeID
	Tombstone []byte
}

// beyond returns the local, lock and user spans that a wider replica leaves.
func (in *Install) beyond(h *Header) (spans []kvapi.Span) {
	if !h.Desc.EndKey.Less(in.ClearTo) {
		return nil
	}
	rest := h.Desc
	rest.StartKey, rest.EndKey = h.Desc.EndKey, in.ClearTo
	all := Spans(&rest)
	return all[spanRangeLocal:]
}

// Apply replaces the range's data, log, HardState and TruncatedState in one
// durable step. The caller holds the replica's Raft mutex, nothing reads the
// replica meanwhile, and the log writer has passed a Barrier. Afterwards it
// calls Log.Reset. Apply has no effect if it fails before the commit; whether
// a failed commit had one is unknown, and the node stops.
func (r *Receiver) Apply(ctx context.Context, in Install) error {
	if !r.complete || r.installed {
		return errors.New("snapshot: not complete, or applied before")
	}
	if in.HardState.Term < r.header.Term {
		return fmt.Errorf("snapshot: entries of term %d under hard state %s", r.header.Term, in.HardState)
	}
	in.HardState.Commit = max(in.HardState.Commit, r.header.Index)
	r.installed = true
	var err error
	if r.tables == nil {
		err = r.applyBatch(in)
	} else {
		err = r.applyTables(ctx, in)
	}
	if err != nil {
		return fmt.Errorf("apply snapshot of %s at %d: %w", r.header.Desc.RangeID, r.header.Index, err)
	}
	return nil
}

// applyBatch is the way of small snapshots: one synced batch.
func (r *Receiver) applyBatch(in Install) error {
	b := r.eng.NewBatch()
	defer func() { _ = b.Close() }()
	for _, bd := range r.bounds {
		if err := b.DeleteRangeRaw(bd.lower, bd.upper); err != nil {
			return err
		}
	}
	for _, s := range in.beyond(r.header) {
		if err := storage.ClearSpan(b, s.Key, s.EndKey); err != nil {
			return err
		}
	}
	for _, s := range in.Subsumed {
		p := keys.RangeIDPrefix(s.RangeID)
		if err := storage.ClearSpan(b, p, p.PrefixEnd()); err != nil {
			return err
		}
		if err := storage.PutUnversioned(b, keys.Tombstone(s.RangeID), s.Tombstone); err != nil {
			return err
		}
	}
	for _, body := range r.small {
		if err := eachKV(body, b.SetRaw); err != nil {
			return err
		}
	}
	id := r.header.Desc.RangeID
	if err := raftlog.ClearEntries(b, id); err != nil {
		return err
	}
	if err := raftlog.PutTruncatedState(b, id, r.header.Truncated()); err != nil {
		return err
	}
	if err := raftlog.PutHardState(b, id, in.HardState); err != nil {
		return err
	}
	return r.eng.Commit(b, true)
}

// applyTables is the way of large snapshots: one ingest.
func (r *Receiver) applyTables(ctx context.Context, in Install) error {
	id := r.header.Desc.RangeID
	ts := r.header.Truncated()
	records := []pair{ // in key order
		{storage.EncodeKey(nil, keys.HardState(id)), in.HardState.AppendWire(nil)},
		{storage.EncodeKey(nil, keys.TruncatedState(id)), ts.AppendWire(nil)},
	}
	prefix := keys.LogPrefix(id)
	log := bound{storage.EncodeKey(nil, prefix), storage.EncodeKey(nil, prefix.PrefixEnd())}
	paths, err := r.tables.finish(log, records)
	if err != nil {
		return err
	}
	excise := r.header.Desc.Span()
	for _, s := range in.beyond(r.header) {
		if s.Key.Equal(excise.EndKey) { // the user keys: more to excise
			excise.EndKey = s.EndKey
			continue
		}
		path, err := r.tables.clear(s)
		if err != nil {
			return err
		}
		paths = append(paths, path)
	}
	for _, s := range in.Subsumed {
		path, err := r.tables.replace(s)
		if err != nil {
			return err
		}
		paths = append(paths, path)
	}
	return r.eng.IngestAndExcise(ctx, paths, excise)
}
