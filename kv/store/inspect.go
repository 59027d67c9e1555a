package store

import (
	"crypto/sha256"
	"encoding/binary"
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
	if in.Checksum, _, err = checksumOf(s.cfg.Engine, &desc, nil, dump); err != nil {
		return in, true, fmt.Errorf("inspect %s: %w", id, err)
	}
	return in, true, nil
}

// checksumOf sums up all replicated data of a range, and counts the pairs. pace,
// if not nil, is told now and then of bytes that were read; dump, if not nil, of
// each pair.
func checksumOf(eng storage.Reader, desc *kvapi.RangeDescriptor, pace func(bytes int) error, dump func(k, v []byte)) (out Checksum, pairs int64, err error) {
	sum := sha256.New()
	var lens [8]byte
	unpaced := 0
	p := keys.RangeIDReplicatedPrefix(desc.RangeID)
	spans := append([]kvapi.Span{{Key: p, EndKey: p.PrefixEnd()}}, replicatedSpans(desc)...)
	for _, sp := range spans {
		err := eachPair(eng, sp, func(k, v []byte) error {
			binary.BigEndian.PutUint32(lens[:4], uint32(len(k)))
			binary.BigEndian.PutUint32(lens[4:], uint32(len(v)))
			sum.Write(lens[:])
			sum.Write(k)
			sum.Write(v)
			pairs++
			if dump != nil {
				dump(k, v)
			}
			if unpaced += len(k) + len(v); pace == nil || unpaced < checkPaceBytes {
				return nil
			}
			n := unpaced
			unpaced = 0
			return pace(n)
		})
		if err != nil {
			return out, pairs, err
		}
	}
	sum.Sum(out[:0])
	return out, pairs, nil
}

func replicatedSpans(desc *kvapi.RangeDescriptor) []kvapi.Span {
	spans := userSpans(desc)
	return spans[:]
}

func eachPair(eng storage.Reader, sp kvapi.Span, f func(k, v []byte) error) error {
	it, err := eng.AcquireIter(storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.EndKey))
	if err != nil {
		return err
	}
	defer eng.ReleaseIter(it)
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := f(it.Key(), v); err != nil {
			return err
		}
	}
	return it.Error()
}
