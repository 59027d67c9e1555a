package storage

import (
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Reader reads the engine in one state (I5), except for the Engine itself,
// whose every iterator shows the state of its own creation.
type Reader interface {
	// NewIter opens an iterator; the caller closes it.
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
	// AcquireIter lends an unpositioned iterator over point keys within
	// [lower, upper) (nil: unbounded); it goes back with ReleaseIter, also
	// after an error of the iterator.
	AcquireIter(lower, upper []byte) (*pebble.Iterator, error)
	ReleaseIter(it *pebble.Iterator)
	// GetRaw returns a copy of the value at an engine key. It stops at the
	// newest record of the key, where an iterator walks all the overwritten
	// ones; keys that are set and deleted all the time are read with it. On a
	// View or Batch it may see a later state than their iterators.
	GetRaw(engineKey []byte) (value []byte, ok bool, err error)
}

// Writer takes writes by engine key. Keys and values are copied.
type Writer interface {
	SetRaw(engineKey, value []byte) error
	DeleteRaw(engineKey []byte) error
	// DeleteRangeRaw removes the engine keys in [start, end).
	DeleteRangeRaw(start, end []byte) error
}

// ReadWriter is what evaluation works on.
type ReadWriter interface {
	Reader
	Writer
}

// GetUnversioned returns the value of an unversioned key.
func GetUnversioned(r Reader, key kvapi.Key) (value []byte, ok bool, err error) {
	var buf [64]byte
	return r.GetRaw(EncodeKey(buf[:0], key))
}

// PutUnversioned sets an unversioned key.
func PutUnversioned(w Writer, key kvapi.Key, value []byte) error {
	var buf [64]byte
	return w.SetRaw(EncodeKey(buf[:0], key), value)
}

// DeleteUnversioned removes an unversioned key.
func DeleteUnversioned(w Writer, key kvapi.Key) error {
	var buf [64]byte
	return w.DeleteRaw(EncodeKey(buf[:0], key))
}

// ClearSpan removes every engine key of [start, end), of all versions.
func ClearSpan(w Writer, start, end kvapi.Key) error {
	return w.DeleteRangeRaw(EncodeKey(nil, start), EncodeKey(nil, end))
}

// source is what pebble's DB, Snapshot and Batch have in common.
type source interface {
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
	Get(key []byte) (value []byte, closer io.Closer, err error)
}

// View is one state of the engine, read through one iterator and clones of
// it: cheaper than a snapshot, which takes the engine's mutex, and like it
// unaffected by later writes. A View is for one goroutine, holds memory and
// files until closed, and is meant for one batch.
type View struct {
	src  source
	it   *pebble.Iterator
	lent bool
	// refresh makes an acquired iterator see the writes made since, for a
	// View over an indexed batch.
	refresh bool
}

// NewIter implements Reader.
func (v *View) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if err := v.open(); err != nil {
		return nil, err
	}
	if o == nil {
		o = &pebble.IterOptions{}
	}
	return v.it.Clone(pebble.CloneOptions{IterOptions: o, RefreshBatchView: v.refresh})
}

func (v *View) open() (err error) {
	if v.it == nil {
		v.it, err = v.src.NewIter(nil)
	}
	return err
}

// AcquireIter implements Reader.
func (v *View) AcquireIter(lower, upper []byte) (*pebble.Iterator, error) {
	if v.lent {
		return v.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	}
	if err := v.open(); err != nil {
		return nil, err
	}
	if v.refresh {
		v.it.SetOptions(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	} else {
		v.it.SetBounds(lower, upper)
	}
	v.lent = true
	return v.it, nil
}

// ReleaseIter implements Reader.
func (v *View) ReleaseIter(it *pebble.Iterator) {
	if it == v.it {
		v.lent = false
		return
	}
	// The error, if any, was the user's to see through it.Error.
	_ = it.Close()
}

// GetRaw implements Reader.
func (v *View) GetRaw(engineKey []byte) ([]byte, bool, error) { return getRaw(v.src, engineKey) }

// Close releases the state the View holds.
func (v *View) Close() error {
	if v.it == nil {
		return nil
	}
	it := v.it
	v.it = nil
	return it.Close()
}
