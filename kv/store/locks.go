package store

import (
	"fmt"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// Locks lists at most limit of the locks on the ranges whose lease is here, and
// of the requests that wait for them, for people: those in the lock tables, and
// the ones on disk that nobody has run into. It takes no latches, so what is
// released meanwhile may still be shown.
func (s *Store) Locks(limit int) (out []kvapi.LockState, err error) {
	type holder struct {
		key string
		id  kvapi.TxnID
	}
	for _, r := range s.replicas.all() {
		desc := r.Desc()
		if len(out) >= limit || !desc.IsInitialized() || !r.leaseStatus(noTimestamp).IsValid() {
			continue
		}
		begin := len(out)
		out = append(out, r.mgr.Locks(limit-len(out))...)
		seen := map[holder]int{}
		for i := begin; i < len(out); i++ {
			if l := &out[i].Lock; !out[i].Waits {
				seen[holder{string(l.Key), l.Txn.ID}] = i
			}
		}
		disk, err := mvcc.ScanLocks(s.cfg.Engine, kvapi.Span{Key: desc.StartKey, EndKey: desc.EndKey}, limit-len(out))
		if err != nil {
			return out, fmt.Errorf("list the locks of %s: %w", desc.RangeID, err)
		}
		for _, l := range disk {
			if i, ok := seen[holder{string(l.Key), l.Txn.ID}]; ok {
				k := &out[i].Lock
				k.Strength, k.Replicated = max(k.Strength, l.Strength), true
				continue
			}
			out = append(out, kvapi.LockState{Lock: l})
		}
	}
	return out[:min(len(out), limit)], nil
}
