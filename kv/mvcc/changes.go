package mvcc

import (
	"bytes"
	"slices"
	"strings"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Change is a version that a transaction has committed.
type Change struct {
	Key kvapi.Key
	At  hlc.Timestamp
	// Value is what was written; Deleted says that nothing is left.
	Value   []byte
	Deleted bool
}

// Changes finds out what commits in a span from the batches that apply to it. A
// batch does not say so: a value may be written first and become committed by a
// later batch that only takes the intent's record away. So Changes knows the
// intents of the span, with their values:
//
//	batch has, of a key                      means
//	versions, and no intent's record          committed
//	an intent's record, and its version       provisional: remembered
//	a record that goes,
//	  and the version too                     aborted; or moved, if there is
//	                                          another version: that is committed
//	  and nothing else                        what was remembered is committed
//	a record of another transaction           the same for the old one, whose
//	                                          fate the writer knew; then remembered
//	a version that goes, and no record        collected garbage
//	a range of records that goes              the records, each (releaseRun); but
//	                                          with their versions: a dropped table
//
// The alternative, to have evaluation add what commits to each command, costs
// every command bytes for feeds that few ranges have. Changes is not safe for
// concurrent use.
type Changes struct {
	span    kvapi.Span
	intents map[string]provisional
	bytes   int
}

// provisional is an intent and its encoded value.
type provisional struct {
	txn   kvapi.TxnMeta
	value []byte
}

func (p *provisional) at() hlc.Timestamp { return p.txn.WriteTimestamp }

// NewChanges follows a span from a state on: the batches to come are those that
// apply to it.
func NewChanges(r storage.Reader, span kvapi.Span) (*Changes, error) {
	c := &Changes{span: span, intents: map[string]provisional{}}
	var found []kvapi.Lock
	err := scanLocks(r, span, func(key kvapi.Key, l lockRecord) bool {
		if l.isIntent() {
			found = append(found, kvapi.Lock{Key: key.Clone(), Txn: l.txn})
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	for _, l := range found {
		v, _, err := r.GetRaw(storage.EncodeMVCCKey(nil, l.Key, l.Txn.WriteTimestamp))
		if err != nil {
			return nil, err
		}
		c.remember(string(l.Key), provisional{l.Txn, v})
	}
	return c, nil
}

// SizeBytes is about what Changes holds in memory.
func (c *Changes) SizeBytes() int { return c.bytes }

// intentOverhead is about what an intent takes in memory beside key and value.
const intentOverhead = 200

func (c *Changes) remember(key string, p provisional) {
	c.forget(key)
	c.intents[key] = p
	c.bytes += len(key) + len(p.value) + intentOverhead
}

func (c *Changes) forget(key string) {
	if old, ok := c.intents[key]; ok {
		c.bytes -= len(key) + len(old.value) + intentOverhead
		delete(c.intents, key)
	}
}

// Oldest returns the lowest timestamp of an intent: nothing above that is certain
// yet.
func (c *Changes) Oldest() (at hlc.Timestamp, ok bool) {
	for _, p := range c.intents {
		if !ok || p.at().Less(at) {
			at, ok = p.at(), true
		}
	}
	return at, ok
}

// Stale returns a key for each transaction, at most limit of them, that has an
// intent below a timestamp.
func (c *Changes) Stale(below hlc.Timestamp, limit int) (keys []kvapi.Key) {
	seen := map[kvapi.TxnID]bool{}
	for k, p := range c.intents {
		if len(keys) < limit && p.at().Less(below) && !seen[p.txn.ID] {
			seen[p.txn.ID] = true
			keys = append(keys, kvapi.Key(k))
		}
	}
	return keys
}

// touched is what a batch does to one key.
type touched struct {
	// versions are the last words on each: the encoded value, or nil if it goes.
	versions map[hlc.Timestamp][]byte
	// record is the last word on the intent's record, if hasRecord: nil if it goes.
	record    *lockRecord
	hasRecord bool
}

// Apply takes a batch and calls emit with what it commits, in order of keys and
// times.
func (c *Changes) Apply(repr []byte, emit func(Change)) error {
	if len(repr) == 0 {
		return nil
	}
	keysTouched := map[string]*touched{}
	of := func(k kvapi.Key) *touched {
		t := keysTouched[string(k)]
		if t == nil {
			t = &touched{versions: map[hlc.Timestamp][]byte{}}
			keysTouched[string(k)] = t
		}
		return t
	}
	err := storage.EachOp(repr, func(op storage.Op) error {
		raw, _, err := storage.SplitKey(op.Key)
		if err != nil {
			return err
		}
		if op.End != nil {
			return c.clear(op, raw, of, keysTouched)
		}
		if isLockTable(raw) {
			return c.touchRecord(op, of)
		}
		key, at, err := storage.DecodeMVCCKey(op.Key)
		if err != nil || keys.IsLocal(key) || at.IsEmpty() || !c.span.Contains(key) {
			return err
		}
		if op.Set {
			of(key).versions[at] = append([]byte{}, op.Value...)
		} else {
			of(key).versions[at] = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	order := make([]string, 0, len(keysTouched))
	for k := range keysTouched {
		order = append(order, k)
	}
	slices.SortFunc(order, strings.Compare)
	for _, k := range order {
		if err := c.settle(k, keysTouched[k], emit); err != nil {
			return err
		}
	}
	return nil
}

func isLockTable(k kvapi.Key) bool {
	_, err := keys.DecodeLockTable(k)
	return err == nil
}

// touchRecord notes what becomes of an intent's record.
func (c *Changes) touchRecord(op storage.Op, of func(kvapi.Key) *touched) error {
	key, slot, _, err := storage.DecodeLockKey(op.Key)
	if err != nil || slot != storage.SlotIntent || keys.IsLocal(key) || !c.span.Contains(key) {
		return err
	}
	t := of(key)
	t.hasRecord, t.record = true, nil
	if op.Set && len(op.Value) > 0 {
		l, err := decodeLock(append([]byte{}, op.Value...))
		if err != nil {
			return err
		}
		t.record = &l
	}
	return nil
}

// clear notes what a range deletion removes: records, or all versions of the keys
// of a dropped table, after their records. Removed garbage is of no interest.
func (c *Changes) clear(op storage.Op, raw kvapi.Key, of func(kvapi.Key) *touched, keysTouched map[string]*touched) error {
	end, _, err := storage.SplitKey(op.End)
	if err != nil {
		return err
	}
	if isLockTable(raw) {
		if raw, err = keys.DecodeLockTable(raw); err != nil {
			return err
		}
		if end, err = keys.DecodeLockTable(end); err != nil {
			return err
		}
		for k := range c.intents {
			if string(raw) <= k && k < string(end) {
				t := of(kvapi.Key(k))
				t.hasRecord, t.record = true, nil
			}
		}
		return nil
	}
	if !bytes.Equal(op.Key, storage.EncodeKey(nil, raw)) {
		return nil
	}
	for k := range keysTouched {
		if string(raw) <= k && k < string(end) {
			delete(keysTouched, k)
			c.forget(k)
		}
	}
	return nil
}

// settle says what of a key is committed by a batch.
func (c *Changes) settle(key string, t *touched, emit func(Change)) error {
	committed := t.versions
	if t.hasRecord {
		old, had := c.intents[key]
		mine := had && t.record != nil && t.record.txn.ID == old.txn.ID
		if _, said := committed[old.at()]; had && !mine && !said {
			committed[old.at()] = old.value
		}
		var value []byte
		if t.record != nil {
			at := t.record.at()
			if value = committed[at]; value == nil && mine && old.at() == at {
				value = old.value
			}
			delete(committed, at)
		}
		c.forget(key)
		if t.record != nil {
			c.remember(key, provisional{t.record.txn, value})
		}
	}
	return emitVersions(kvapi.Key(key), committed, emit)
}

func emitVersions(key kvapi.Key, versions map[hlc.Timestamp][]byte, emit func(Change)) error {
	times := make([]hlc.Timestamp, 0, len(versions))
	for at, v := range versions {
		if v != nil {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, hlc.Timestamp.Compare)
	for _, at := range times {
		v, err := decodeValue(versions[at])
		if err != nil {
			return err
		}
		emit(Change{Key: key.Clone(), At: at, Value: v.payload, Deleted: v.tombstone})
	}
	return nil
}

// CatchUp calls emit with what is committed in a span above a timestamp, in order
// of keys and times, but for what was provisional. It stops after a key when it has
// seen bytesMax, and returns what is left.
func CatchUp(r storage.Reader, part kvapi.Span, after hlc.Timestamp, provisional map[string]hlc.Timestamp, bytesMax int,
	emit func(Change)) (rest *kvapi.Span, err error) {
	cur, err := openCursor(r, storage.EncodeKey(nil, part.Key), storage.EncodeKey(nil, part.End()))
	if err != nil {
		return nil, err
	}
	defer cur.close()
	var key kvapi.Key
	versions := map[hlc.Timestamp][]byte{}
	seen := 0
	for ok := cur.it.First(); ok; ok = cur.it.Next() {
		if key == nil || !cur.atKey(key) {
			if err := emitVersions(key, versions, emit); err != nil {
				return nil, err
			}
			clear(versions)
			if seen >= bytesMax {
				return &kvapi.Span{Key: cur.userKey().Clone(), EndKey: part.EndKey}, nil
			}
			key = cur.userKey().Clone()
		}
		v, encoded, err := cur.version()
		if err != nil {
			return nil, err
		}
		seen += len(key) + len(encoded)
		if at, open := provisional[string(key)]; v.ts.IsEmpty() || v.ts.LessEq(after) || open && at == v.ts {
			continue
		}
		versions[v.ts] = append([]byte{}, encoded...)
	}
	if err := cur.it.Error(); err != nil {
		return nil, err
	}
	return nil, emitVersions(key, versions, emit)
}

// Provisional returns where the intents of the span stand.
func (c *Changes) Provisional() map[string]hlc.Timestamp {
	out := make(map[string]hlc.Timestamp, len(c.intents))
	for k, p := range c.intents {
		out[k] = p.at()
	}
	return out
}
