package batcheval

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalGet(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if ev.limitReached() {
		resp.Resume = &kvapi.Span{Key: r.Key}
		return nil
	}
	value, ok, err := mvcc.Get(ev.rw, r.Key, ev.at.read, ev.readOptions(r))
	if err != nil {
		return err
	}
	resp.Value, resp.Exists = value, ok
	if ok {
		ev.spend(1, int64(len(r.Key)+len(value)))
	}
	// The key is locked whether it is there or not: a row about to be inserted
	// is protected like one about to be updated. A key that was skipped is not.
	if ok || r.Wait != kvapi.WaitSkip {
		return ev.lock(r, r.Key)
	}
	return nil
}

// readOptions are how a request reads. A read that locks is about to write.
func (ev *evaluator) readOptions(r *kvapi.Request) mvcc.ReadOptions {
	o := mvcc.ReadOptions{
		Txn:              ev.txn,
		Uncertainty:      ev.ec.Uncertainty,
		Inconsistent:     ev.ba.Inconsistent,
		FailOnMoreRecent: r.Lock != kvapi.LockNone,
		Lock:             r.Lock,
		NoLocks:          ev.noLocks(),
		NoIntents:        ev.noIntents(),
		SkipLocked:       r.Wait == kvapi.WaitSkip,
		Finished:         ev.ec.Finished,
		Forgotten:        &ev.res.Local.ForgottenLocks,
		ForgottenBefore:  ev.ec.Now.Timestamp().AddNanos(-int64(forgottenAge)),
	}
	if o.Inconsistent {
		o.Uncertainty = mvcc.Uncertainty{}
	}
	if o.SkipLocked && r.Lock != kvapi.LockNone && r.Kind == kvapi.Get {
		o.SkipSince = r.ReadAt
	}
	if o.SkipLocked && ev.ec.Locks != nil {
		o.Skip = func(key kvapi.Key) bool { return ev.ec.Locks.IsLockedByOther(key, r.Lock) }
	}
	return o
}

// lock takes the lock of a locking read: in memory, or on disk if it asks for
// that.
func (ev *evaluator) lock(r *kvapi.Request, key kvapi.Key) error {
	if !r.Durable || r.Lock == kvapi.LockNone || ev.txn == nil {
		ev.lockInMemory(r, key)
		return nil
	}
	ev.res.Local.AcquiredLocks = append(ev.res.Local.AcquiredLocks,
		kvapi.Lock{Key: key, Txn: ev.txn.TxnMeta, Strength: r.Lock, Replicated: true})
	return mvcc.AcquireLock(ev.rw, key, r.Lock, ev.writeOptions(r))
}

func (ev *evaluator) lockInMemory(r *kvapi.Request, key kvapi.Key) {
	if r.Lock != kvapi.LockNone && ev.txn != nil && !ev.onePhase {
		ev.res.Local.AcquiredLocks = append(ev.res.Local.AcquiredLocks,
			kvapi.Lock{Key: key, Txn: ev.txn.TxnMeta, Strength: r.Lock})
	}
}

func (ev *evaluator) limitReached() bool { return ev.keysLeft == 0 || ev.bytesLeft == 0 }

// spend takes rows from the batch's limits.
func (ev *evaluator) spend(keys, bytes int64) {
	if ev.keysLeft > 0 {
		ev.keysLeft = max(0, ev.keysLeft-keys)
	}
	if ev.bytesLeft > 0 {
		ev.bytesLeft = max(0, ev.bytesLeft-bytes)
	}
}

// ReadTimestamp returns where the batch reads; WriteTimestamp where it writes.
func ReadTimestamp(ba *kvapi.BatchRequest) hlc.Timestamp {
	if ba.Txn != nil {
		return ba.Txn.ReadTimestamp
	}
	return ba.Timestamp
}

// WriteTimestamp returns where the batch's writes go, unless they are pushed.
func WriteTimestamp(ba *kvapi.BatchRequest) hlc.Timestamp {
	if ba.Txn != nil {
		return ba.Txn.WriteTimestamp
	}
	return ba.Timestamp
}
