package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
)

// Batch collects writes that the engine takes atomically. Its reads show the
// engine in the state of the first of them (I5), and the batch's own writes
// only if it is indexed: an index costs several times the batch itself, and
// most batches read nothing they wrote.
type Batch struct {
	b    *pebble.Batch
	view View
}

// Indexed reports whether reads see the batch's own writes.
func (b *Batch) Indexed() bool { return b.b.Indexed() }

// NewIter implements Reader.
func (b *Batch) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) { return b.view.NewIter(o) }

// AcquireIter implements Reader.
func (b *Batch) AcquireIter(lower, upper []byte) (*pebble.Iterator, error) {
	return b.view.AcquireIter(lower, upper)
}

// ReleaseIter implements Reader.
func (b *Batch) ReleaseIter(it *pebble.Iterator) { b.view.ReleaseIter(it) }

// GetRaw implements Reader.
func (b *Batch) GetRaw(engineKey []byte) ([]byte, bool, error) { return b.view.GetRaw(engineKey) }

// SetRaw implements Writer.
func (b *Batch) SetRaw(engineKey, value []byte) error { return b.b.Set(engineKey, value, nil) }

// DeleteRaw implements Writer.
func (b *Batch) DeleteRaw(engineKey []byte) error { return b.b.Delete(engineKey, nil) }

// DeleteRangeRaw implements Writer.
func (b *Batch) DeleteRangeRaw(start, end []byte) error { return b.b.DeleteRange(start, end, nil) }

// Empty reports whether nothing was written.
func (b *Batch) Empty() bool { return b.b.Empty() }

// Count returns the number of writes.
func (b *Batch) Count() int { return int(b.b.Count()) }

// Repr returns the batch's bytes, as a Raft command carries them. They are
// valid until the next write, Commit or Close.
func (b *Batch) Repr() []byte { return b.b.Repr() }

// ApplyRepr adds the writes of another batch's Repr. repr is copied.
func (b *Batch) ApplyRepr(repr []byte) error {
	other := new(pebble.Batch)
	// SetRepr keeps its argument; Apply copies out of it.
	if err := other.SetRepr(repr); err != nil {
		return err
	}
	return b.b.Apply(other, nil)
}

// Reset empties the batch, so that it can be filled anew before a commit.
func (b *Batch) Reset() error {
	if err := b.view.Close(); err != nil {
		return err
	}
	b.b.Reset()
	return nil
}

// Close releases the batch; after a commit too. A pipelined commit is waited
// for first.
func (b *Batch) Close() error {
	err := b.view.Close()
	if berr := b.b.Close(); err == nil {
		err = berr
	}
	return err
}

// getRaw copies one value out of the engine.
func getRaw(src source, engineKey []byte) ([]byte, bool, error) {
	v, closer, err := src.Get(engineKey)
	if err == pebble.ErrNotFound {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	out := append([]byte{}, v...)
	return out, true, closer.Close()
}

// Op is one write of a batch. A Set has a Value, a DeleteRange an End.
type Op struct {
	Set             bool
	Key, Value, End []byte
}

// EachOp calls f with every write of a batch's Repr, until it fails. What it is
// given shares repr's memory.
func EachOp(repr []byte, f func(Op) error) error {
	r := batchrepr.Read(repr)
	for {
		kind, key, value, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		op := Op{Key: key}
		switch kind {
		case pebble.InternalKeyKindSet:
			op.Set, op.Value = true, value
		case pebble.InternalKeyKindDelete:
		case pebble.InternalKeyKindRangeDelete:
			op.End = value
		default:
			return fmt.Errorf("storage: a batch has a write of kind %s", kind)
		}
		if err := f(op); err != nil {
			return err
		}
	}
}
