package mvcc

import (
	"bytes"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Put writes a value at ts, or above if the transaction's intent on the key
// was pushed; it returns where.
func Put(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, payload []byte, o WriteOptions) (hlc.Timestamp, error) {
	return write(rw, key, ts, value{payload: payload}, nil, &o)
}

// Delete writes a tombstone, also where there is nothing to delete: an intent
// must be there for whoever asks whether the write happened.
func Delete(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, o WriteOptions) (hlc.Timestamp, error) {
	return write(rw, key, ts, value{tombstone: true}, nil, &o)
}

// ConditionalPut writes a value if the key is as the condition says at the
// read timestamp (ts without a transaction); otherwise ErrConditionFailed.
func ConditionalPut(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, payload []byte, c Condition, o WriteOptions) (hlc.Timestamp, error) {
	return write(rw, key, ts, value{payload: payload}, &c, &o)
}

// target is a key about to be written.
type target struct {
	key kvapi.Key
	// own is the writer's intent on the key, if owned.
	own   lockRecord
	owned bool
	// left is a committed transaction's intent, to be resolved by this write.
	left *lockRecord
	// provisional is the version of own, committed the newest version that
	// is not; committedValue is its encoding if it was asked for, and
	// provisionalValue that of provisional.
	provisional, committed           version
	provisionalValue, committedValue []byte
}

// write is every write: it checks locks, newer versions and the condition,
// and only then changes anything.
func write(rw storage.ReadWriter, key kvapi.Key, ts hlc.Timestamp, v value, cond *Condition, o *WriteOptions) (hlc.Timestamp, error) {
	t := target{key: key}
	if err := t.load(rw, o, cond != nil); err != nil {
		return ts, err
	}
	if t.owned {
		done, err := t.checkReplay(rw, v, o)
		if err == nil {
			t.noteReplaced(o, done)
		}
		if done || err != nil {
			return t.own.at(), err
		}
		// The intent may have been pushed above what its transaction knows.
		ts = ts.Max(t.own.at())
	}
	if t.committed.exists && !o.ReadAt.IsEmpty() && o.ReadAt.Less(t.committed.ts) {
		return ts, refreshFailed(key, t.committed.ts, nil)
	}
	if cond != nil {
		if err := t.checkCondition(ts, cond, o); err != nil {
			return ts, err
		}
	}
	if t.committed.exists && ts.LessEq(t.committed.ts) {
		return ts, writeTooOld(key, t.committed.ts)
	}
	v.local, v.signature = localIfBelow(o.Now, ts), o.Sign
	return ts, t.set(rw, ts, v, o)
}

// load reads the lock and the newest versions of the key.
func (t *target) load(r storage.Reader, o *WriteOptions, values bool) (err error) {
	if t.own, t.owned, err = maybeGetLock(r, t.key, o.NoIntents, hlc.MaxTimestamp); err != nil {
		return err
	}
	if t.owned && (o.Txn == nil || t.own.txn.ID != o.Txn.ID) {
		if !isReplaceable(o.Finished, &t.own) {
			return conflictError(t.own.lock(t.key))
		}
		left := t.own
		t.left, t.own, t.owned = &left, lockRecord{hot: left.hot}, false
	}
	want := o.Strength
	if want == kvapi.LockNone {
		want = kvapi.LockIntent
	}
	if err := checkLocks(r, t.key, want, o.Txn, o.Finished, o.NoLocks); err != nil {
		return err
	}
	return t.loadVersions(r, values)
}

// loadVersions reads the two newest versions, the first of which is the
// provisional one iff the key has an intent (I3).
func (t *target) loadVersions(r storage.Reader, values bool) error {
	c, err := openCursor(r, nil, nil)
	if err != nil {
		return err
	}
	defer c.close()
	ok := c.seekVersion(t.key, hlc.Timestamp{})
	if t.owned {
		if !ok {
			return t.broken(c, "no version")
		}
		v, enc, err := c.version()
		if err != nil {
			return err
		}
		if v.ts != t.own.at() {
			return t.broken(c, "a newer version at "+v.ts.String())
		}
		t.provisional = v
		if values {
			t.provisionalValue = bytes.Clone(enc)
		}
		ok = c.it.Next()
	}
	if !ok {
		return c.it.Error()
	}
	v, enc, err := c.version()
	if err != nil {
		return err
	}
	t.committed = v
	if values {
		t.committedValue = bytes.Clone(enc)
	}
	return nil
}

// broken stops the node: the lock table and the versions disagree (I2, I3).
func (t *target) broken(c *cursor, what string) error {
	if err := c.it.Error(); err != nil {
		return err
	}
	panic(fmt.Sprintf("mvcc: the intent of %s on %s at %s has %s", t.own.txn.ID, t.key, t.own.at(), what))
}

// replaces reports whether the write takes the place of an intent that counts.
func (t *target) replaces(o *WriteOptions) bool {
	return t.owned && t.own.txn.Epoch == o.Txn.Epoch && !isIgnored(o.Txn.IgnoredSeqNums, t.own.txn.Seq)
}

func (t *target) noteReplaced(o *WriteOptions, done bool) {
	switch {
	case o.Replaced == nil:
	case done && t.own.rewritten:
		*o.Replaced = 1
	case !done && t.replaces(o):
		*o.Replaced = t.own.txn.Seq
	}
}

// checkReplay tells a write that was done before (done) from a new one.
func (t *target) checkReplay(r storage.Reader, v value, o *WriteOptions) (done bool, err error) {
	switch {
	case t.own.txn.Epoch > o.Txn.Epoch:
		return false, kvapi.NewError(kvapi.ErrTxnRetry,
			"write in epoch %d after one in epoch %d", o.Txn.Epoch, t.own.txn.Epoch)
	case t.own.txn.Epoch < o.Txn.Epoch || t.own.txn.Seq < o.Seq:
		return false, nil
	case t.own.txn.Seq > o.Seq:
		return false, kvapi.NewError(kvapi.ErrInternal,
			"write of %s at sequence number %d after one at %d", t.key, o.Seq, t.own.txn.Seq)
	}
	return true, t.checkSameValue(r, v)
}

func (t *target) checkSameValue(r storage.Reader, v value) error {
	enc, _, err := r.GetRaw(storage.EncodeMVCCKey(nil, t.key, t.own.at()))
	if err != nil {
		return err
	}
	old, err := decodeValue(enc)
	if err != nil {
		return err
	}
	if old.tombstone != v.tombstone || !bytes.Equal(old.payload, v.payload) {
		return kvapi.NewError(kvapi.ErrInternal, "write of %s repeated with another value", t.key)
	}
	return nil
}

// checkCondition reads like a read that is about to write: a version newer
// than the read timestamp is a conflict, not a failed condition.
func (t *target) checkCondition(ts hlc.Timestamp, c *Condition, o *WriteOptions) error {
	readTS := ts
	if o.Txn != nil {
		readTS = o.Txn.ReadTimestamp
	}
	enc := t.committedValue
	if t.owned && t.own.txn.Epoch == o.Txn.Epoch && !isIgnored(o.Txn.IgnoredSeqNums, t.own.txn.Seq) {
		enc = t.provisionalValue
	} else if t.committed.exists && readTS.Less(t.committed.ts) {
		return writeTooOld(t.key, t.committed.ts)
	}
	actual := value{tombstone: true}
	if enc != nil {
		var err error
		if actual, err = decodeValue(enc); err != nil {
			return err
		}
	}
	if c.holds(actual) {
		return nil
	}
	return conditionFailed(t.key, actual)
}

func (c *Condition) holds(actual value) bool {
	switch {
	case len(c.Expected) == 0 && !c.MustExist:
		return actual.tombstone
	case len(c.Expected) == 0:
		return !actual.tombstone
	}
	return !actual.tombstone && bytes.Equal(actual.payload, c.Expected)
}

func conditionFailed(key kvapi.Key, actual value) error {
	e := kvapi.NewError(kvapi.ErrConditionFailed, "key %s", key)
	e.Key = key.Clone()
	if !actual.tombstone {
		e.ActualExists, e.Actual = true, append([]byte{}, actual.payload...)
	}
	return e
}

// set writes the version and the intent, in place of the intent before.
func (t *target) set(w storage.Writer, ts hlc.Timestamp, v value, o *WriteOptions) error {
	added := version{exists: true, ts: ts, len: int64(v.encodedLen()), tombstone: v.tombstone}
	if t.owned {
		if err := t.drop(w, ts, o.Stats); err != nil {
			return err
		}
	}
	countAdded(o.Stats, t.key, added, t.committed)
	c := cursors.Get().(*cursor)
	defer cursors.Put(c)
	c.buf = storage.EncodeMVCCKey(c.buf[:0], t.key, ts)
	n := len(c.buf)
	c.buf = v.appendTo(c.buf)
	if err := w.SetRaw(c.buf[:n], c.buf[n:]); err != nil {
		return err
	}
	if t.left != nil {
		t.resolveLeft(o)
	}
	if o.Txn == nil {
		if t.left != nil {
			return releaseLock(w, t.key, t.left)
		}
		return nil
	}
	l := lockRecord{txn: o.Txn.TxnMeta, valueLen: added.len, local: v.local}
	l.txn.WriteTimestamp, l.txn.Seq = ts, o.Seq
	l.rewritten = t.replaces(o)
	l.hot = isHot(t.committed, ts, t.own.vacant || t.own.hot)
	if l.local.IsEmpty() {
		l.local = ts
	}
	countIntent(o.Stats, l.valueLen, 1)
	return putLock(w, c, t.key, &l)
}

// resolveLeft counts the committed intent as resolved. Its entry is about to
// be overwritten, or released.
func (t *target) resolveLeft(o *WriteOptions) {
	countIntent(o.Stats, t.left.valueLen, -1)
	if o.Resolved != nil {
		*o.Resolved = append(*o.Resolved,
			kvapi.LockUpdate{Span: kvapi.Span{Key: t.key}, Txn: t.left.txn, Status: kvapi.Committed})
	}
}

// drop takes the provisional version and the intent out of the counts, and
// the version out of the engine unless it is about to be overwritten at keep.
func (t *target) drop(w storage.Writer, keep hlc.Timestamp, s *kvapi.RangeStatistics) error {
	countRemoved(s, t.key, t.provisional, t.committed)
	countIntent(s, t.own.valueLen, -1)
	if t.provisional.ts == keep {
		return nil
	}
	return w.DeleteRaw(storage.EncodeMVCCKey(nil, t.key, t.provisional.ts))
}

func putLock(w storage.Writer, c *cursor, key kvapi.Key, l *lockRecord) error {
	c.buf = appendIntentKey(c.buf[:0], key)
	n := len(c.buf)
	c.buf = l.appendTo(c.buf)
	return w.SetRaw(c.buf[:n], c.buf[n:])
}
