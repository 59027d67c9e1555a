package store

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// firstRangeID is the range that holds all addressing records.
const firstRangeID kvapi.RangeID = 1

// Bootstrap writes the first ranges of a new cluster, each with one replica on
// this node, and the node's identity, all in one durable step:
//
//	r1 addressing records   r2 system keys   r3 tables
//
// It is done once in the life of a cluster.
func Bootstrap(eng *storage.Engine, clock *hlc.Clock, id Ident) error {
	if _, err := ReadIdent(eng); err == nil {
		return fmt.Errorf("store: the engine belongs to a cluster already")
	}
	b := eng.NewIndexedBatch()
	defer b.Close()
	descs := firstRanges(id.NodeID)
	stats := make([]kvapi.RangeStatistics, len(descs))
	now := clock.Now()
	put := func(k kvapi.Key, v []byte) error {
		at, err := keys.Addr(k)
		if err != nil {
			return err
		}
		for i := range descs {
			if descs[i].ContainsKey(at) {
				_, err := mvcc.Put(b, k, now.Timestamp(), v, mvcc.WriteOptions{Now: now, Stats: &stats[i]})
				return err
			}
		}
		return fmt.Errorf("store: no range holds %s", k)
	}
	for i := range descs {
		v := descs[i].AppendWire(nil)
		if err := put(keys.RangeDescriptor(descs[i].StartKey), v); err != nil {
			return err
		}
		if err := put(keys.RangeMetaKey(descs[i].EndKey), v); err != nil {
			return err
		}
	}
	if err := put(keys.RangeIDGeneratorKey, EncodeID(uint64(len(descs)))); err != nil {
		return err
	}
	if err := put(keys.NodeIDGeneratorKey, EncodeID(uint64(id.NodeID))); err != nil {
		return err
	}
	if err := put(keys.ClusterIDKey, id.ClusterID[:]); err != nil {
		return err
	}
	for i := range descs {
		state := rangeState{desc: descs[i], applied: appliedState{Index: initialIndex, Term: initialTerm, Stats: stats[i]}}
		hs := raftgroup.HardState{Term: initialTerm, Commit: initialIndex}
		if err := writeReplica(b, state, 1, hs); err != nil {
			return err
		}
	}
	if err := storage.PutUnversioned(b, keys.StoreIdent, id.AppendWire(nil)); err != nil {
		return err
	}
	return eng.Commit(b, true)
}

// firstRanges are the descriptors of a new cluster.
func firstRanges(n kvapi.NodeID) []kvapi.RangeDescriptor {
	bounds := []kvapi.Key{keys.Min, keys.MetaMax, keys.SystemMax, keys.Max}
	var out []kvapi.RangeDescriptor
	for i := range bounds[1:] {
		out = append(out, kvapi.RangeDescriptor{
			RangeID: firstRangeID + kvapi.RangeID(i), StartKey: bounds[i], EndKey: bounds[i+1],
			Replicas:      []kvapi.ReplicaDescriptor{{NodeID: n, ReplicaID: 1}},
			NextReplicaID: 2, Generation: 1,
		})
	}
	return out
}

// EncodeID is the value of an id generator key: the last id given out.
func EncodeID(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

// DecodeID reads what EncodeID wrote.
func DecodeID(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("an id of %d bytes", len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}
