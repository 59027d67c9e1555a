package mvcc

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Get reads a key at ts. The value is a copy, non-nil if the key is there.
func Get(r storage.Reader, key kvapi.Key, ts hlc.Timestamp, o ReadOptions) (value []byte, ok bool, err error) {
	if o.Skip != nil && o.Skip(key) {
		return nil, false, nil
	}
	q := query{key: key, ts: ts, point: true}
	lock, locked, err := maybeGetLock(r, key, o.NoIntents, o.latchedTo(ts))
	if err != nil {
		return nil, false, err
	}
	if locked {
		v, err := o.judge(key, &lock, ts)
		if err != nil {
			return nil, false, err
		}
		switch v {
		case conflict:
			return nil, false, conflictError(lock.lock(key))
		case leaveOut:
			return nil, false, nil
		}
		q.verdict, q.provisional = v, lock.at()
	}
	if o.Lock != kvapi.LockNone {
		if err := checkLocks(r, key, o.Lock, o.Txn, o.Finished, o.NoLocks); err != nil {
			if o.SkipLocked && isLockConflict(err) {
				return nil, false, nil
			}
			return nil, false, err
		}
	}
	c, err := openCursor(r, nil, nil)
	if err != nil {
		return nil, false, err
	}
	defer c.close()
	c.opts, c.q = o, q
	c.q.o = &c.opts
	if !c.seekVersion(key, c.q.seekTo()) {
		return nil, false, c.it.Error()
	}
	enc, ok, err := c.visible(&c.q)
	if err != nil || !ok {
		return nil, false, err
	}
	return append([]byte{}, enc...), true, nil
}

// query is a read of one key after its intent, if any, was judged.
type query struct {
	key kvapi.Key
	ts  hlc.Timestamp
	o   *ReadOptions
	// point says that the cursor is bound to key's prefix.
	point   bool
	verdict verdict
	// provisional is the intent's timestamp if verdict is readOwn or passOver.
	provisional hlc.Timestamp
	// newer collects the newest version above ts, if FailOnMoreRecent; left
	// to the caller when set, an error otherwise.
	newer *hlc.Timestamp
}

// seekTo returns the version at which to begin: the newest that matters.
func (q *query) seekTo() hlc.Timestamp {
	switch {
	case q.verdict == readOwn:
		return q.provisional
	case q.o.FailOnMoreRecent:
		return hlc.Timestamp{}
	}
	return q.ts.Max(q.o.Uncertainty.Global)
}

// visible walks down the versions of q.key from where the cursor stands, no
// lower than q.seekTo(), to the one that q reads, and returns its payload in
// the iterator's memory. It never leaves the key but by one step.
func (c *cursor) visible(q *query) (payload []byte, ok bool, err error) {
	for steps := 0; ; steps++ {
		at, err := c.timestamp()
		if err != nil {
			return nil, false, err
		}
		if since := q.o.SkipSince; !since.IsEmpty() && since.Less(at) && at != q.provisional {
			return nil, false, nil
		}
		if take, err := c.consider(q, at); err != nil {
			return nil, false, err
		} else if take {
			return c.payload()
		}
		if steps >= stepsMax && q.ts.Less(at) && !q.mustSee() {
			ok = c.seekDown(q)
		} else {
			ok = c.it.Next()
		}
		if !ok || !c.atKey(q.key) {
			return nil, false, c.it.Error()
		}
	}
}

// mustSee reports whether each version above the read timestamp matters: any
// may be uncertain.
func (q *query) mustSee() bool {
	return q.ts.Less(q.o.Uncertainty.Global) && !q.o.FailOnMoreRecent && q.verdict != readOwn
}

// seekDown moves to the newest version at or below the read timestamp.
func (c *cursor) seekDown(q *query) bool {
	c.buf = storage.EncodeMVCCKey(c.buf[:0], q.key, q.ts)
	if q.point {
		return c.it.SeekPrefixGE(c.buf)
	}
	return c.it.SeekGE(c.buf)
}

// consider decides about the version at a timestamp: take it, or go on below.
func (c *cursor) consider(q *query, at hlc.Timestamp) (take bool, err error) {
	switch {
	case q.verdict == readOwn:
		// Only the provisional version answers.
		return at == q.provisional, nil
	case q.verdict == passOver && at == q.provisional:
		return false, nil
	case at.LessEq(q.ts):
		return true, nil
	case q.o.FailOnMoreRecent:
		if q.newer == nil {
			return false, writeTooOld(q.key, at)
		}
		q.newer.Forward(at)
		return false, nil
	case at.LessEq(q.o.Uncertainty.Global):
		return false, c.checkCertain(q, at)
	}
	return false, nil
}

// checkCertain fails if the version under the cursor, above the read
// timestamp, may have been written before the read began.
func (c *cursor) checkCertain(q *query, at hlc.Timestamp) error {
	enc, err := c.it.ValueAndErr()
	if err != nil {
		return err
	}
	v, err := decodeValue(enc)
	if err != nil {
		return err
	}
	local := v.local
	if local.IsEmpty() || q.o.Uncertainty.IgnoreLocal {
		local = at
	}
	if local.LessEq(q.o.Uncertainty.Local) {
		return uncertain(q.key, at)
	}
	return nil
}

// payload returns the value under the cursor, not ok for a tombstone.
func (c *cursor) payload() ([]byte, bool, error) {
	enc, err := c.it.ValueAndErr()
	if err != nil {
		return nil, false, err
	}
	v, err := decodeValue(enc)
	if err != nil || v.tombstone {
		return nil, false, err
	}
	return v.payload, true, nil
}
