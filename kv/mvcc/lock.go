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

// lockRecord is the lock table's entry for an intent, or for a durable lock
// (durable.go). That of an intent is encoded as
//
//	format     1 byte, lockFormat
//	flags      1 byte
//	valueLen   uvarint
//	local      wall and logical as uvarints
//	txn        TxnMeta in wire format
type lockRecord struct {
	txn kvapi.TxnMeta
	// strength is what a durable lock excludes; LockNone for an intent, which
	// the fields below describe.
	strength kvapi.LockStrength
	// valueLen is the encoded length of the provisional value, so that most
	// resolutions need not read it to keep the statistics.
	valueLen int64
	// local is the clock when the value was written; never empty.
	local hlc.Timestamp
	// rewritten says that an earlier value of this epoch was replaced and is
	// lost to reads at lower sequence numbers.
	rewritten bool
	// hot says that the key is written often: its record is emptied, not
	// deleted, when it is released. Pebble walks over every overwritten record
	// below a tombstone, thousands on a hot key, but stops at an empty value.
	// A record per released lock of a cold key would be walked by scans.
	hot bool
	// vacant is set, with nothing else, for an emptied record.
	vacant bool
}

const (
	lockFormat        = 1
	lockFlagRewritten = 1 << 0
	lockFlagHot       = 1 << 1
)

func (l *lockRecord) appendTo(b []byte) []byte {
	var flags byte
	if l.rewritten {
		flags |= lockFlagRewritten
	}
	if l.hot {
		flags |= lockFlagHot
	}
	b = append(b, lockFormat, flags)
	b = binary.AppendUvarint(b, uint64(l.valueLen))
	b = binary.AppendUvarint(b, uint64(l.local.WallTime))
	b = binary.AppendUvarint(b, uint64(l.local.Logical))
	return l.txn.AppendWire(b)
}

// decodeLock reads a record; the result shares b's memory.
func decodeLock(b []byte) (l lockRecord, err error) {
	if len(b) < 2 || b[0] != lockFormat {
		return l, fmt.Errorf("mvcc: unknown lock record %x", b[:min(len(b), 4)])
	}
	l.rewritten, l.hot = b[1]&lockFlagRewritten != 0, b[1]&lockFlagHot != 0
	b = b[2:]
	var nums [3]uint64
	for i := range nums {
		var n int
		if nums[i], n = binary.Uvarint(b); n <= 0 {
			return l, fmt.Errorf("mvcc: lock record is cut short")
		}
		b = b[n:]
	}
	l.valueLen = int64(nums[0])
	l.local = hlc.Timestamp{WallTime: int64(nums[1]), Logical: int32(nums[2])}
	return l, l.txn.UnmarshalWire(b)
}

// at is where the provisional version stands.
func (l *lockRecord) at() hlc.Timestamp { return l.txn.WriteTimestamp }

func (l *lockRecord) isIntent() bool { return l.strength == kvapi.LockNone }

func (l *lockRecord) lock(key kvapi.Key) kvapi.Lock {
	k := kvapi.Lock{Key: key, Txn: l.txn, Strength: l.strength, Replicated: true}
	if l.isIntent() {
		k.Strength = kvapi.LockIntent
	}
	return k
}

// isHot decides whether a key written at ts over a version at prev counts as
// hot, and stays so for a while once it was.
func isHot(prev version, ts hlc.Timestamp, was bool) bool {
	window := hotWindow
	if was {
		window = coolingWindow
	}
	return prev.exists && ts.WallTime-prev.ts.WallTime < int64(window)
}

// releaseLock takes an intent's record away.
func releaseLock(w storage.Writer, key kvapi.Key, l *lockRecord) error {
	k := appendIntentKey(nil, key)
	if l.hot {
		return w.SetRaw(k, nil)
	}
	return w.DeleteRaw(k)
}

func appendIntentKey(dst []byte, key kvapi.Key) []byte {
	return storage.EncodeLockKey(dst, key, storage.SlotIntent, kvapi.TxnID{})
}

// getLock returns the intent's record on a key.
func getLock(r storage.Reader, key kvapi.Key) (l lockRecord, ok bool, err error) {
	c := cursors.Get().(*cursor)
	c.buf = appendIntentKey(c.buf[:0], key)
	b, ok, err := r.GetRaw(c.buf)
	cursors.Put(c)
	if err != nil || !ok {
		return l, false, err
	}
	if len(b) == 0 {
		return lockRecord{vacant: true}, false, nil
	}
	l, err = decodeLock(b)
	return l, err == nil, err
}

// maybeGetLock is getLock, which costs as much as reading the key, unless the
// range had no intent when the request got its latches. One that was written
// since then is above what is latched, and does not matter.
func maybeGetLock(r storage.Reader, key kvapi.Key, none bool, latchedTo hlc.Timestamp) (l lockRecord, ok bool, err error) {
	if none && !assert.Expensive {
		return l, false, nil
	}
	l, ok, err = getLock(r, key)
	if ok && none {
		l.mustBeAbove(latchedTo, key)
		return lockRecord{}, false, nil
	}
	return l, ok, err
}

// mustBeAbove stops the node if an intent was overlooked that matters.
func (l *lockRecord) mustBeAbove(latchedTo hlc.Timestamp, key kvapi.Key) {
	if l.isIntent() && l.at().LessEq(latchedTo) {
		panic(fmt.Sprintf("mvcc: a range without intents has one of %s on %s at %s", l.txn.ID, key, l.at()))
	}
}

// latchedTo is up to where a read excludes writes.
func (o *ReadOptions) latchedTo(ts hlc.Timestamp) hlc.Timestamp {
	if o.FailOnMoreRecent {
		return hlc.MaxTimestamp
	}
	return ts.Max(o.Uncertainty.Global)
}

// scanLocks calls f with the locks of a span in key order, a key's durable
// ones before its intent, until it returns false. Key and record are f's to
// keep.
func scanLocks(r storage.Reader, sp kvapi.Span, f func(kvapi.Key, lockRecord) bool) error {
	return scanSlots(r, sp, func(key kvapi.Key, l lockRecord, held bool) bool { return !held || f(key, l) })
}

// scanSlots is scanLocks that calls f for emptied records, too: of hot keys there may
// be very many, and who wants few locks is not to walk over all of them.
func scanSlots(r storage.Reader, sp kvapi.Span, f func(key kvapi.Key, l lockRecord, held bool) bool) error {
	lo, hi := keys.LockTableSpan(sp.Key, sp.End())
	it, err := r.AcquireIter(storage.EncodeKey(nil, lo), storage.EncodeKey(nil, hi))
	if err != nil {
		return err
	}
	defer r.ReleaseIter(it)
	for ok := it.First(); ok; {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		key, slot, id, err := storage.DecodeLockKey(it.Key())
		if err != nil {
			return err
		}
		var l lockRecord
		held := false
		if len(v) > 0 {
			if l, held, err = decodeSlot(slot, append([]byte(nil), v...)); err != nil {
				return err
			}
		}
		if !f(key, l, held) {
			break
		}
		// Two slots may have many overwritten records below them: not a step
		// but a seek gets past these.
		switch {
		case slot == storage.SlotIntent:
			ok = it.NextPrefix()
		case id.IsZero():
			ok = it.SeekGE(appendIntentKey(nil, key))
		default:
			ok = it.Next()
		}
	}
	return it.Error()
}

// decodeSlot reads the record of a slot; not held if it was emptied.
func decodeSlot(slot storage.LockSlot, v []byte) (l lockRecord, held bool, err error) {
	switch slot {
	case storage.SlotIntent:
		l, err = decodeLock(v)
		return l, err == nil, err
	case storage.SlotLock:
		return decodeDurable(v)
	}
	return l, false, fmt.Errorf("mvcc: a lock in slot %d is not known", slot)
}

// ScanLocks lists at most max locks of a span that are on disk.
func ScanLocks(r storage.Reader, sp kvapi.Span, max int) (out []kvapi.Lock, err error) {
	err = scanLocks(r, sp, func(key kvapi.Key, l lockRecord) bool {
		if len(out) < max {
			out = append(out, l.lock(key))
		}
		return len(out) < max
	})
	return out, err
}

// GetIntent returns the intent on a key, if there is one.
func GetIntent(r storage.Reader, key kvapi.Key) (Intent, bool, error) {
	l, ok, err := getLock(r, key)
	return Intent{Key: key, Txn: l.txn}, ok, err
}

// ScanIntents lists at most max intents of a span (0: all).
func ScanIntents(r storage.Reader, sp kvapi.Span, max int) (out []Intent, err error) {
	err = scanLocks(r, sp, func(key kvapi.Key, l lockRecord) bool {
		if !l.isIntent() {
			return true
		}
		out = append(out, Intent{Key: key, Txn: l.txn})
		return max == 0 || len(out) < max
	})
	return out, err
}

// ScanProvisional reads the values of at most max intents of a span.
func ScanProvisional(r storage.Reader, sp kvapi.Span, max int) (out []kvapi.KeyValue, err error) {
	intents, err := ScanIntents(r, sp, max)
	if err != nil || len(intents) == 0 {
		return nil, err
	}
	c, err := openCursor(r, nil, nil)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for _, in := range intents {
		if !c.seekVersion(in.Key, in.Txn.WriteTimestamp) {
			if err := c.it.Error(); err != nil {
				return nil, err
			}
			continue
		}
		if at, err := c.timestamp(); err != nil {
			return nil, err
		} else if at != in.Txn.WriteTimestamp {
			continue // resolved meanwhile: r need not be a snapshot
		}
		value, ok, err := c.payload()
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, kvapi.KeyValue{Key: in.Key.Clone(), Value: append([]byte{}, value...)})
		}
	}
	return out, nil
}
