package mvcc

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/assert"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// A durable lock is a record in the lock table without a version: it excludes
// other lockers and writers, not readers, and moves nothing when it goes. It
// goes when its transaction has ended, however. Whoever changes a key looks
// for them; since that costs a seek, and ranges seldom have any, the caller may
// say that there are none (RangeStatistics.LockCount), which is sound because
// it holds the latch that any acquisition would have held until it was counted.
//
//	slot (storage.LockSlot)     holders
//	SlotLock, id zero           the one that excludes its like: FOR UPDATE,
//	                            FOR NO KEY UPDATE
//	SlotLock, id of the holder  FOR SHARE, FOR KEY SHARE
//
// A record per exclusive holder would leave a tombstone for each, and on a row
// that serves as a mutex the next locker would walk over all of them. So the
// one slot is overwritten. On a mutex it is emptied when it is released; on
// other rows it is deleted, or every row ever locked would cost each scan a
// step. What a mutex is shows at the next lock: the slot is found emptied, not
// long ago. For a start, one of vacateEvery releases empties it.
//
// Encoded: format (durableFormat), strength, flags, TxnMeta in wire format; or
// vacantFormat and the wall time (8 bytes) of the release.
const (
	durableFormat = 2
	vacantFormat  = 3
	durableHot    = 1 << 0
	vacateEvery   = 16
)

func (l *lockRecord) appendDurable(b []byte) []byte {
	var flags byte
	if l.hot {
		flags |= durableHot
	}
	return l.txn.AppendWire(append(b, durableFormat, byte(l.strength), flags))
}

func decodeDurable(b []byte) (l lockRecord, held bool, err error) {
	if len(b) == 9 && b[0] == vacantFormat {
		l.vacant = true
		l.local.WallTime = int64(binary.BigEndian.Uint64(b[1:]))
		return l, false, nil
	}
	if len(b) < 3 || b[0] != durableFormat || b[1] < byte(kvapi.LockKeyShare) || b[1] > byte(kvapi.LockExclusive) {
		return l, false, fmt.Errorf("mvcc: unknown record of a durable lock %x", b[:min(len(b), 4)])
	}
	l.strength, l.hot = kvapi.LockStrength(b[1]), b[2]&durableHot != 0
	err = l.txn.UnmarshalWire(b[3:])
	return l, err == nil, err
}

// durableKey is where a lock of a strength stands.
func durableKey(key kvapi.Key, s kvapi.LockStrength, id kvapi.TxnID) []byte {
	if excludesItself(s) {
		id = kvapi.TxnID{}
	}
	return storage.EncodeLockKey(nil, key, storage.SlotLock, id)
}

func excludesItself(s kvapi.LockStrength) bool { return s.ConflictsWith(s) }

func getDurable(r storage.Reader, k []byte) (l lockRecord, held bool, err error) {
	v, ok, err := r.GetRaw(k)
	if err != nil || !ok {
		return l, false, err
	}
	return decodeDurable(v)
}

// AcquireLock makes a durable lock of o.Txn on a key. The caller has read the
// key under ReadOptions.Lock and so knows that nothing conflicts. It does
// nothing if the transaction has a lock as strong already.
func AcquireLock(rw storage.ReadWriter, key kvapi.Key, s kvapi.LockStrength, o WriteOptions) error {
	shared, holdsShared, err := getDurable(rw, durableKey(key, kvapi.LockShared, o.Txn.ID))
	if err != nil || holdsShared && shared.strength >= s {
		return err
	}
	own, held, err := getDurable(rw, durableKey(key, kvapi.LockExclusive, o.Txn.ID))
	if err != nil {
		return err
	}
	// Another's exclusive lock: it may stand beside KEY SHARE, or its
	// transaction has ended and it goes unresolved.
	others := held && own.txn.ID != o.Txn.ID
	if held && !others && own.strength >= s {
		return nil
	}
	if holdsShared {
		if err := rw.DeleteRaw(durableKey(key, kvapi.LockShared, o.Txn.ID)); err != nil {
			return err
		}
		o.Stats.LockCount--
	}
	l := lockRecord{txn: o.Txn.TxnMeta, strength: s, hot: own.hot}
	if own.vacant {
		l.hot = o.Now.WallTime-own.local.WallTime < int64(coolingWindow)
	}
	if !excludesItself(s) || !held {
		o.Stats.LockCount++
	} else if others && o.Resolved != nil {
		*o.Resolved = append(*o.Resolved, kvapi.LockUpdate{Span: kvapi.Span{Key: key}, Txn: own.txn, Status: kvapi.Committed})
	}
	return rw.SetRaw(durableKey(key, s, o.Txn.ID), l.appendDurable(nil))
}

// ReleaseLock takes away the durable lock of a finished transaction on a key,
// and reports whether there was one.
func ReleaseLock(rw storage.ReadWriter, key kvapi.Key, u *kvapi.LockUpdate, now hlc.ClockTimestamp, stats *kvapi.RangeStatistics) (bool, error) {
	if !u.Status.IsFinal() {
		return false, nil
	}
	found := false
	for _, s := range [...]kvapi.LockStrength{kvapi.LockShared, kvapi.LockExclusive} {
		l, held, err := getDurable(rw, durableKey(key, s, u.Txn.ID))
		if err != nil {
			return found, err
		}
		if !held || l.txn.ID != u.Txn.ID {
			continue
		}
		if err := releaseDurable(rw, key, &l, now, stats); err != nil {
			return found, err
		}
		found = true
	}
	return found, nil
}

func releaseDurable(w storage.Writer, key kvapi.Key, l *lockRecord, now hlc.ClockTimestamp, stats *kvapi.RangeStatistics) error {
	stats.LockCount--
	k := durableKey(key, l.strength, l.txn.ID)
	if excludesItself(l.strength) && (l.hot || l.txn.ID[len(l.txn.ID)-1]%vacateEvery == 0) {
		return w.SetRaw(k, binary.BigEndian.AppendUint64([]byte{vacantFormat}, uint64(now.WallTime)))
	}
	return w.DeleteRaw(k)
}

// conflictingLocks lists the durable locks of others on a key that conflict
// with want. Those of transactions that f knows to have committed do not count.
func conflictingLocks(r storage.Reader, key kvapi.Key, want kvapi.LockStrength, id kvapi.TxnID, f FinishedTxns) ([]kvapi.Lock, error) {
	var found []kvapi.Lock
	c, err := openCursor(r, nil, nil)
	if err != nil {
		return nil, err
	}
	defer c.close()
	c.buf = storage.EncodeKey(c.buf[:0], keys.LockTable(key))
	for ok := c.it.SeekPrefixGE(c.buf); ok; ok = c.it.Next() {
		_, slot, owner, err := storage.DecodeLockKey(c.it.Key())
		if err != nil {
			return nil, err
		}
		if slot != storage.SlotLock {
			break
		}
		v, err := c.it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		l, held, err := decodeDurable(append([]byte(nil), v...))
		if err != nil {
			return nil, err
		}
		if held && l.blocks(want, id, f) {
			found = append(found, l.lock(key.Clone()))
		}
		if owner.IsZero() {
			break // the last one, on records that it has overwritten
		}
	}
	return found, c.it.Error()
}

// blocks reports whether the durable lock keeps transaction id from want.
func (l *lockRecord) blocks(want kvapi.LockStrength, id kvapi.TxnID, f FinishedTxns) bool {
	return l.txn.ID != id && l.strength.ConflictsWith(want) && (f == nil || f.GetCommitted(l.txn.ID) == nil)
}

// checkLocks returns ErrLockConflict if durable locks of others conflict with
// want. none says that the range has no durable locks.
func checkLocks(r storage.Reader, key kvapi.Key, want kvapi.LockStrength, txn *kvapi.Transaction, f FinishedTxns, none bool) error {
	if want == kvapi.LockNone || none && !assert.Expensive {
		return nil
	}
	var id kvapi.TxnID
	if txn != nil {
		id = txn.ID
	}
	found, err := conflictingLocks(r, key, want, id, f)
	if err != nil || len(found) == 0 {
		return err
	}
	if none {
		panic(fmt.Sprintf("mvcc: a range without durable locks has one of %s on %s", found[0].Txn.ID, key))
	}
	return conflictError(found...)
}
