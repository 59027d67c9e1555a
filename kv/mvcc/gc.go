package mvcc

import (
	"bytes"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Which versions of a key are garbage at a threshold T, when all reads are at
// timestamps above it:
//
//	  key a, T = 30      key b, T = 30         key c, T = 30
//	  a @ 50             b @ 20  tombstone  ×  c @ 25  provisional
//	  a @ 30  ◄ newest   b @ 10             ×  c @ 20  kept: its transaction
//	  a @ 20  ×   at T                                 may yet abort
//	  a @ 10  ×
//
// The newest committed version at or below T is what reads at T and just above
// it see; all that are older are garbage, and if it is a tombstone so is it, for
// nothing says the same. It goes last: while older versions are left it hides
// them. A key with an intent at or below T is left alone until that is resolved:
// the version below may become the newest again.
//
// A commit whose intent has not been resolved counts as provisional here.

// Removed is told of each version that is removed, if somebody wants to know.
type Removed func(key kvapi.Key, at hlc.Timestamp, payload []byte, tombstone bool)

// GCOptions say how to collect.
type GCOptions struct {
	Threshold hlc.Timestamp
	// MaxVersions bounds what is removed, 0 for no bound.
	MaxVersions int64
	Stats       *kvapi.RangeStatistics
	// Removed may be nil.
	Removed Removed
}

// CollectGarbage removes the garbage among the versions of a key, the newest of
// it first but for a tombstone, and reports whether some is left.
func CollectGarbage(rw storage.ReadWriter, key kvapi.Key, o GCOptions) (removed int64, more bool, err error) {
	if o.Threshold.IsEmpty() {
		return 0, false, nil
	}
	l, locked, err := getLock(rw, key)
	if err != nil || locked && l.at().LessEq(o.Threshold) {
		return 0, false, err
	}
	c, err := openCursor(rw, nil, nil)
	if err != nil {
		return 0, false, err
	}
	defer c.close()
	g := sweep{c: c, key: key, o: &o}
	if err := g.find(); err != nil {
		return 0, false, err
	}
	if g.n == 0 {
		return 0, false, nil
	}
	g.count()
	return g.n, g.more, g.remove(rw)
}

// sweep is the garbage of one key.
type sweep struct {
	c   *cursor
	key kvapi.Key
	o   *GCOptions
	// n versions of valBytes in all are garbage and go now; from and, unless all
	// to the key's end go, to are their engine keys, newest first.
	n, valBytes int64
	from, to    []byte
	// each has the engine keys of all, while they are few.
	each [][]byte
	// more says that there is more garbage than that.
	more bool
	// whole says that no version of the key is left.
	whole bool
}

// find walks the garbage.
func (g *sweep) find() error {
	c := g.c
	if !c.seekVersion(g.key, hlc.Timestamp{}) {
		return c.it.Error()
	}
	newest, err := c.timestamp()
	if err != nil {
		return err
	}
	if g.o.Threshold.Less(newest) && !c.seekVersion(g.key, g.o.Threshold) {
		return c.it.Error()
	}
	shown, _, err := c.version()
	if err != nil {
		return err
	}
	var tomb []byte
	if shown.tombstone {
		tomb = bytes.Clone(c.it.Key())
	}
	for c.it.Next() {
		if g.o.MaxVersions > 0 && g.n == g.o.MaxVersions {
			g.more, g.to = true, bytes.Clone(c.it.Key())
			return c.it.Error()
		}
		if err := g.take(); err != nil {
			return err
		}
	}
	if err := c.it.Error(); err != nil || tomb == nil {
		return err
	}
	// The tombstone is the last to go.
	g.n, g.valBytes, g.from = g.n+1, g.valBytes+shown.len, tomb
	g.each = append(g.each, tomb)
	g.whole = newest == shown.ts
	if g.o.Removed != nil {
		g.o.Removed(g.key, shown.ts, nil, true)
	}
	return nil
}

// take adds the version under the cursor.
func (g *sweep) take() error {
	v, enc, err := g.c.version()
	if err != nil {
		return err
	}
	g.n, g.valBytes = g.n+1, g.valBytes+v.len
	if g.from == nil {
		g.from = bytes.Clone(g.c.it.Key())
	}
	if len(g.each) < rangeDeleteMin {
		g.each = append(g.each, bytes.Clone(g.c.it.Key()))
	}
	if g.o.Removed != nil {
		d, err := decodeValue(enc)
		if err != nil {
			return err
		}
		g.o.Removed(g.key, v.ts, d.payload, d.tombstone)
	}
	return nil
}

// count takes the garbage out of the statistics. None of it is live, nor an
// intent.
func (g *sweep) count() {
	s := g.o.Stats
	if keys.IsLocal(g.key) {
		s.SysCount -= g.n
		s.SysBytes -= g.n*(int64(len(g.key))+timestampLen) + g.valBytes
		return
	}
	s.ValCount -= g.n
	s.ValBytes -= g.valBytes
	s.KeyBytes -= g.n * timestampLen
	if g.whole {
		s.KeyCount--
		s.KeyBytes -= int64(len(g.key))
	}
}

// remove removes it: one by one, or where it is a long run by one range
// deletion, which the engine skips as a whole.
func (g *sweep) remove(w storage.Writer) error {
	if g.n < rangeDeleteMin {
		for _, k := range g.each {
			if err := w.DeleteRaw(k); err != nil {
				return err
			}
		}
		return nil
	}
	to := g.to
	if to == nil {
		to = storage.EncodeKey(nil, g.key.Next())
	}
	return w.DeleteRangeRaw(g.from, to)
}

// FindGarbage returns keys of a span that seem to have garbage, at most maxKeys,
// after a look at maxSteps keys at most, and what of the span it has not looked
// at. It decides nothing, and needs no latches; young versions of hot keys are
// jumped over.
func FindGarbage(r storage.Reader, sp kvapi.Span, threshold hlc.Timestamp, maxKeys, maxSteps int) (found []kvapi.Key, rest *kvapi.Span, err error) {
	if threshold.IsEmpty() {
		return nil, nil, nil
	}
	c, err := openCursor(r, storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.End()))
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	var key kvapi.Key
	for ok := c.it.First(); ok; ok = c.nextKey(key) {
		key = append(key[:0], c.userKey()...)
		if maxSteps == 0 || len(found) == maxKeys {
			return found, &kvapi.Span{Key: key, EndKey: sp.End()}, nil
		}
		maxSteps--
		garbage, err := c.hasGarbage(key, threshold)
		if err != nil {
			return nil, nil, err
		}
		if garbage {
			found = append(found, key.Clone())
		}
	}
	return found, nil, c.it.Error()
}

// hasGarbage looks from the newest version of a key, and may step off the key.
func (c *cursor) hasGarbage(key kvapi.Key, threshold hlc.Timestamp) (bool, error) {
	for step := 0; ; step++ {
		v, _, err := c.version()
		switch {
		case err != nil:
			return false, err
		case v.ts.IsEmpty():
			return false, nil // a record, not a version
		case v.ts.LessEq(threshold):
			return v.tombstone || c.it.Next() && c.atKey(key), c.it.Error()
		}
		more := false
		if step < stepsMax {
			more = c.it.Next()
		} else {
			c.buf = storage.EncodeMVCCKey(c.buf[:0], key, threshold)
			more = c.it.SeekGE(c.buf)
		}
		if !more || !c.atKey(key) {
			return false, c.it.Error()
		}
	}
}

// nextKey moves to the newest version of the first key after key, which the
// cursor stands on, or has just stepped off.
func (c *cursor) nextKey(key kvapi.Key) bool {
	switch {
	case !c.it.Valid():
		return false
	case !c.atKey(key):
		return true
	}
	return c.it.NextPrefix()
}
