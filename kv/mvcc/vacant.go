package mvcc

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Vacancy says of rising keys whether they are free of locks. One iterator over
// the lock table serves them all: where it stands is the next record there is,
// and every key before it has none. A look-up for each key costs as much as
// writing it.
//
//	keys   a  b  c  d  e  f        a to d: free, with one seek
//	table              e     h     e: look it up
//
// Released locks leave tombstones, which the iterator has to walk over, where
// look-ups would step between them. So it looks no further than a few keys ahead,
// then more, and gives up for good when it walks over many more records than
// there are keys.
//
// It shows the state that r shows (storage.Reader I5), and the caller holds
// latches on the keys; so its word holds until they are released, but for what
// the caller itself writes: it asks about a key before it writes it. Nil knows
// nothing.
type Vacancy struct {
	it *pebble.Iterator
	// key is the i-th of n keys, which rise.
	key func(i int) kvapi.Key
	n   int
	// seen keys have been looked at: those before next, if there is one, are free.
	seen int
	next kvapi.Key
	// step is how many keys ahead the next seek looks, found how many records
	// were met.
	step, found int
	gaveUp      bool
	buf         []byte
}

// NewVacancy prepares to be asked about n keys, which rise strictly.
func NewVacancy(r storage.Reader, n int, key func(i int) kvapi.Key) (*Vacancy, error) {
	lo, hi := keys.LockTableSpan(key(0), key(n-1).Next())
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: storage.EncodeKey(nil, lo), UpperBound: storage.EncodeKey(nil, hi)})
	if err != nil {
		return nil, err
	}
	return &Vacancy{it: it, key: key, n: n, step: 1}, nil
}

// Close releases the iterator. Its errors are IsFree's.
func (v *Vacancy) Close() {
	if v != nil {
		_ = v.it.Close()
	}
}

// IsFree reports whether the i-th key is known to have neither an intent nor a
// durable lock. i does not fall from call to call.
func (v *Vacancy) IsFree(i int) (bool, error) {
	if v == nil {
		return false, nil
	}
	if i >= v.seen || v.next != nil && v.next.Less(v.key(i)) {
		if v.gaveUp {
			return false, nil
		}
		if err := v.look(i); err != nil {
			return false, err
		}
	}
	return v.next == nil || v.key(i).Less(v.next), nil
}

// look seeks the first record at or after the i-th key, and before that step keys
// further on.
func (v *Vacancy) look(i int) (err error) {
	v.next, v.seen = nil, min(i+v.step, v.n)
	v.step = min(2*v.step, v.n)
	v.buf = v.engineKey(v.buf[:0], i)
	at := len(v.buf)
	var limit []byte
	if v.seen < v.n {
		v.buf = v.engineKey(v.buf, v.seen)
		limit = v.buf[at:]
	}
	switch v.it.SeekGEWithLimit(v.buf[:at], limit) {
	case pebble.IterValid:
		next, _, _, err := storage.DecodeLockKey(v.it.Key())
		if err != nil {
			return err
		}
		v.next = next.Clone()
		v.found++
	case pebble.IterExhausted:
		if err := v.it.Error(); err != nil {
			return err
		}
	}
	s := v.it.Stats()
	v.gaveUp = s.ForwardStepCount[pebble.InternalIterCall] > stepsPerKeyMax*v.seen+stepsFreeMax || v.found > v.seen/4+foundFreeMax
	return nil
}

func (v *Vacancy) engineKey(b []byte, i int) []byte {
	return append(keys.AppendLockTable(b, v.key(i)), 0)
}
