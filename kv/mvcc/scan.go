package mvcc

import (
	"bytes"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/assert"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Scan reads a span at ts, in ascending order of keys or, with o.Reverse,
// descending. A lock conflicts only if the scan gets as far as its key.
func Scan(r storage.Reader, sp kvapi.Span, ts hlc.Timestamp, o ScanOptions) (ScanResult, error) {
	s := scan{o: &o, ts: ts, sp: kvapi.Span{Key: sp.Key, EndKey: sp.End()}, locksMax: locksMax}
	if o.MaxKeys > 0 {
		s.locksMax = int(min(max(locksMin, 2*o.MaxKeys), locksMax))
	}
	s.q = query{ts: ts, o: &o.ReadOptions, newer: &s.newer}
	for part := s.sp; part.Key.Less(part.EndKey) && !s.full; {
		left, err := s.readPart(r, part)
		if err != nil {
			return ScanResult{}, err
		}
		part = left
		s.locksMax = min(2*s.locksMax, locksMax)
	}
	if err := s.atEnd(); err != nil {
		return ScanResult{}, err
	}
	return s.out, nil
}

// readPart reads as much of sp as holds locksMax records of locks, and returns the
// rest. So a scan that stops soon does not look at all locks of a long span: after
// a large transaction there is one for every row, and one that is emptied for every
// row that was hot once. Of each part, the locks are
// read before any version.
func (s *scan) readPart(r storage.Reader, sp kvapi.Span) (left kvapi.Span, err error) {
	left.Key, left.EndKey = sp.EndKey, sp.EndKey
	to, err := s.judgeLocks(r, sp)
	if err != nil {
		return left, err
	}
	if to != nil {
		sp.EndKey, left.Key = to, to
	}
	c, err := openCursor(r, storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.EndKey))
	if err != nil {
		return left, err
	}
	defer c.close()
	s.c = c
	if s.o.Reverse {
		err = s.backward()
	} else {
		err = s.forward()
	}
	if err == nil {
		err = c.it.Error()
	}
	if !s.full {
		for i := range s.marks {
			s.pass(&s.marks[i])
		}
		s.marks = s.marks[:0]
	}
	return left, err
}

// mark is what an intent of the span means to the scan.
type mark struct {
	key     kvapi.Key
	verdict verdict
	lock    lockRecord
}

type scan struct {
	o  *ScanOptions
	ts hlc.Timestamp
	sp kvapi.Span
	q  query
	c  *cursor
	// marks are the intents that matter, in the scan's order; those before
	// the cursor have been cut off.
	marks     []mark
	conflicts []kvapi.Lock
	// newer is the newest version found above ts.
	newer    hlc.Timestamp
	newerKey kvapi.Key
	full     bool
	// locksMax is how many records of locks the next part may hold.
	locksMax int
	arena    arena
	out      ScanResult
}

// judgeLocks reads the lock table of a span, up to the key to (nil: all).
func (s *scan) judgeLocks(r storage.Reader, sp kvapi.Span) (to kvapi.Key, err error) {
	none := s.o.NoIntents && s.o.NoLocks
	if none && !assert.Expensive {
		return nil, nil
	}
	var failed error
	n, seen := 0, 0
	err = scanSlots(r, sp, func(key kvapi.Key, l lockRecord, held bool) bool {
		if seen++; seen > s.locksMax && !s.o.Reverse {
			to = key.Clone()
			return false
		}
		if !held {
			return true
		}
		if none {
			l.mustBeAbove(s.o.latchedTo(s.ts), key)
			return true
		}
		v, err := s.o.judge(key, &l, s.ts)
		if err != nil {
			failed = err
			return false
		}
		if v == conflict {
			n++
		}
		if v != unaffected {
			s.marks = append(s.marks, mark{key: key, verdict: v, lock: l})
		}
		return n < conflictsMax || s.o.Reverse
	})
	if s.o.Reverse {
		slices.Reverse(s.marks)
	}
	if err == nil {
		err = failed
	}
	return to, err
}

// before reports whether the scan meets a before b.
func (s *scan) before(a, b kvapi.Key) bool {
	if s.o.Reverse {
		return b.Less(a)
	}
	return a.Less(b)
}

// enter prepares the query for a key the scan has come to and takes note of
// the conflicts passed on the way. It reports whether the key is to be read.
func (s *scan) enter(key kvapi.Key) bool {
	s.q.key, s.q.verdict = key, unaffected
	for len(s.marks) > 0 && !s.before(key, s.marks[0].key) {
		m := &s.marks[0]
		s.pass(m)
		if m.key.Equal(key) && s.q.verdict != conflict && s.q.verdict != leaveOut {
			s.q.verdict, s.q.provisional = m.verdict, m.lock.at()
		}
		s.marks = s.marks[1:]
	}
	return s.q.verdict != conflict && s.q.verdict != leaveOut && (s.o.Skip == nil || !s.o.Skip(key))
}

func (s *scan) pass(m *mark) {
	if m.verdict == conflict && len(s.conflicts) < conflictsMax {
		s.conflicts = append(s.conflicts, m.lock.lock(m.key))
	}
}

// atEnd reports what the scan met: locks first, then newer versions, since a
// lock's holder may yet write above them.
func (s *scan) atEnd() error {
	switch {
	case len(s.conflicts) > 0:
		return conflictError(s.conflicts...)
	case !s.newer.IsEmpty():
		return writeTooOld(s.newerKey, s.newer)
	}
	return nil
}

// read reads the key under the query, with the cursor on its newest version,
// and adds it to the result.
func (s *scan) read() error {
	newer := s.newer
	payload, ok, err := s.c.visible(&s.q)
	if newer.Less(s.newer) {
		s.newerKey = s.q.key.Clone()
	}
	if ok && err == nil {
		s.emit(payload)
	}
	return err
}

func (s *scan) emit(payload []byte) {
	if s.o.KeysOnly {
		payload = nil
	}
	s.emitRow(s.arena.row(s.q.key, payload))
}

func (s *scan) emitRow(row kvapi.KeyValue) {
	s.out.Rows = append(s.out.Rows, row)
	s.out.Bytes += int64(len(row.Key) + len(row.Value))
	s.full = s.o.MaxKeys > 0 && int64(len(s.out.Rows)) >= s.o.MaxKeys ||
		s.o.TargetBytes > 0 && s.out.Bytes >= s.o.TargetBytes
	if s.full {
		s.out.Resume = s.rest(row.Key)
	}
}

// rest is what lies behind the last key read.
func (s *scan) rest(last kvapi.Key) *kvapi.Span {
	rest := kvapi.Span{Key: last.Next(), EndKey: s.sp.EndKey}
	if s.o.Reverse {
		rest = kvapi.Span{Key: s.sp.Key, EndKey: last.Clone()}
	}
	if !rest.Key.Less(rest.EndKey) {
		return nil
	}
	return &rest
}

func (s *scan) forward() error {
	var key kvapi.Key
	for ok := s.c.it.First(); ok && !s.full; ok = s.c.nextKey(key) {
		key = append(key[:0], s.c.userKey()...)
		if !s.enter(key) {
			continue
		}
		if err := s.read(); err != nil {
			return err
		}
	}
	return nil
}

// backward steps from the oldest version of each key. Most keys have but one,
// which is then known when the step before it lands on another key; keys with
// more are sought from above.
func (s *scan) backward() error {
	var key kvapi.Key
	for ok := s.c.it.Last(); ok && !s.full; {
		key = append(key[:0], s.c.userKey()...)
		if !s.enter(key) {
			ok = s.seekBefore(key)
			continue
		}
		at, err := s.c.timestamp()
		if err != nil {
			return err
		}
		enc, err := s.c.it.ValueAndErr()
		if err != nil {
			return err
		}
		if s.q.verdict == unaffected && at.LessEq(s.ts) && !isTombstone(enc) {
			v, err := decodeValue(enc)
			if err != nil {
				return err
			}
			row := s.arena.row(key, s.value(v.payload))
			if ok = s.c.it.Prev(); !ok || !s.c.atKey(key) {
				if s.c.it.Error() == nil {
					s.emitRow(row)
				}
				continue
			}
		}
		if ok, err = s.readAbove(key); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) value(payload []byte) []byte {
	if s.o.KeysOnly {
		return nil
	}
	return payload
}

// readAbove reads a key from its newest version and moves to the key before.
func (s *scan) readAbove(key kvapi.Key) (ok bool, err error) {
	s.c.buf = storage.EncodeMVCCKey(s.c.buf[:0], key, s.q.seekTo())
	if s.c.it.SeekGE(s.c.buf) && bytes.Equal(s.c.userKey(), key) {
		if err := s.read(); err != nil {
			return false, err
		}
	}
	return s.seekBefore(key), nil
}

func (s *scan) seekBefore(key kvapi.Key) bool {
	s.c.buf = storage.EncodeKey(s.c.buf[:0], key)
	return s.c.it.SeekLT(s.c.buf)
}
