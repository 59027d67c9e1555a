package locktable

import "github.com/cairndb/cairn/kv/kvapi"

// List returns at most max locks, for people: a key's holders, then those who
// wait for it, in order; holders that wait to strengthen a lock come twice.
func (t *Table) List(max int) (out []kvapi.LockState) {
	if t.Empty() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.keys.Ascend(func(ks *keyState) bool {
		for i := range ks.holders {
			out = append(out, kvapi.LockState{Lock: ks.holders[i].lock(ks.key)})
		}
		for _, r := range ks.queue {
			if !r.granted {
				out = append(out, r.state())
			}
		}
		for _, r := range ks.readers {
			out = append(out, r.state())
		}
		return len(out) < max
	})
	return out[:min(len(out), max)]
}

// state tells of a request that waits.
func (r *Request) state() kvapi.LockState {
	s := kvapi.LockState{Lock: kvapi.Lock{Key: r.at.key, Strength: r.want}, Waits: true, SinceNanos: r.since}
	if r.txn != nil {
		s.Lock.Txn, s.Name = r.txn.TxnMeta, r.txn.Name
	}
	return s
}
