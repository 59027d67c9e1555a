package store

import (
	"crypto/sha256"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/storage"
)

// Checksum is of a replica's replicated data.
type Checksum [sha256.Size]byte

// Inspection is what one replica holds: at the same applied index every replica
// of a range has the same checksum and statistics, and the statistics are what
// a recount gives.
type Inspection struct {
	Desc     kvapi.RangeDescriptor
	Applied  kvapi.LogIndex
	Checksum Checksum
	// Kept are the statistics as commands changed them, Counted as they are.
	Kept, Counted kvapi.RangeStatistics
}

// Inspect reads all of a replica's replicated data while nothing is applied to
// it. It reports false if there is no initialized replica of the range here. If
// dump is not nil it is called with every key and value.
func (s *Store) Inspect(id kvapi.RangeID, dump func(key, value []byte)) (Inspection, bool, error) {
	r := s.replicas.get(id)
	if r == nil || !r.Desc().IsInitialized() {
		return Inspection{}, false, nil
	}
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	r.mu.RLock()
	desc, st := *r.mu.desc, r.mu.applied
	r.mu.RUnlock()
	in := Inspection{Desc: desc, Applied: st.Index, Kept: st.Stats}
	var err error
	if in.Counted, err = mvcc.Recompute(s.cfg.Engine, desc.StartKey, desc.EndKey); err != nil {
		return in, true, fmt.Errorf("inspect %s: %w", id, err)
	}
	sum := sha256.New()
	p := keys.RangeIDReplicatedPrefix(id)
	spans := append([]kvapi.Span{{Key: p, EndKey: p.PrefixEnd()}}, replicatedSpans(&desc)...)
	for _, sp := range spans {
		err := eachPair(s.cfg.Engine, sp, func(k, v []byte) {
			fmt.Fprintf(sum, "%d %d %s%s", len(k), len(v), k, v)
			if dump != nil {
				dump(k, v)
			}
		})
		if err != nil {
			return in, true, fmt.Errorf("inspect %s: %w", id, err)
		}
	}
	sum.Sum(in.Checksum[:0])
	return in, true, nil
}

func replicatedSpans(desc *kvapi.RangeDescriptor) []kvapi.Span {
	spans := userSpans(desc)
	return spans[:]
}

func eachPair(eng *storage.Engine, sp kvapi.Span, f func(k, v []byte)) error {
	it, err := eng.AcquireIter(storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.EndKey))
	if err != nil {
		return err
	}
	defer eng.ReleaseIter(it)
	for ok := it.First(); ok; ok = it.Next() {
		f(it.Key(), it.Value())
	}
	return it.Error()
}
