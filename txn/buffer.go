package txn

import (
	"github.com/google/btree"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// condition is what a buffered write demands of the value before it.
type condition struct {
	// exists: the value must be expected; otherwise there must be none.
	exists   bool
	expected []byte
}

// version is one write of a key.
type version struct {
	seq   kvapi.TxnSeq
	value []byte
	// tombstone tells a deletion from an empty value.
	tombstone bool
	// nonKey: the write leaves the row's unique keys alone (PutNonKey).
	nonKey bool
	// from, if set, is where a weak transaction read when it wrote the key. A
	// key's first version decides.
	from hlc.Timestamp
	// cond is checked by the server. Only a key's first version has one: what
	// later ones demand is known here.
	cond *condition
}

// buffered is a key with its writes, oldest first.
type buffered struct {
	key      kvapi.Key
	versions []version
}

func (b *buffered) last() *version { return &b.versions[len(b.versions)-1] }

// writeBuffer holds the writes of a transaction that no server has seen,
// ordered by key for reading and by sequence for rolling back.
type writeBuffer struct {
	tree *btree.BTreeG[*buffered]
	// log lists the entries written, in sequence order, one item a version.
	log   []*buffered
	bytes int64
	// pivot is for look-ups, which would allocate one each.
	pivot buffered
}

func lessBuffered(a, b *buffered) bool { return a.key.Less(b.key) }

func (w *writeBuffer) empty() bool { return len(w.log) == 0 }

// get returns the entry of a key, nil if it was not written.
func (w *writeBuffer) get(k kvapi.Key) *buffered {
	if w.empty() {
		return nil
	}
	w.pivot.key = k
	e, _ := w.tree.Get(&w.pivot)
	return e
}

// add appends a version to a key.
func (w *writeBuffer) add(k kvapi.Key, v version) {
	if w.tree == nil {
		// Most transactions write a few keys: one node, nothing to recycle.
		w.tree = btree.NewWithFreeListG(16, lessBuffered, btree.NewFreeListG[*buffered](1))
	}
	e := w.get(k)
	if e == nil {
		e = &buffered{key: k}
		w.tree.ReplaceOrInsert(e)
	}
	e.versions = append(e.versions, v)
	w.log = append(w.log, e)
	w.bytes += size(k, &v)
}

func size(k kvapi.Key, v *version) int64 { return int64(len(k)+len(v.value)) + entryOverheadBytes }

// truncate takes back every version above seq.
func (w *writeBuffer) truncate(seq kvapi.TxnSeq) {
	for n := len(w.log); n > 0; n-- {
		e := w.log[n-1]
		v := e.last()
		if v.seq <= seq {
			return
		}
		w.bytes -= size(e.key, v)
		e.versions = e.versions[:len(e.versions)-1]
		if len(e.versions) == 0 {
			w.tree.Delete(e)
		}
		w.log = w.log[:n-1]
	}
}

func (w *writeBuffer) reset() {
	if w.tree != nil {
		w.tree.Clear(false)
	}
	w.log, w.bytes = nil, 0
}

// inSpan returns the entries of a span in key order.
func (w *writeBuffer) inSpan(sp kvapi.Span) []*buffered {
	var out []*buffered
	if w.empty() {
		return nil
	}
	w.tree.AscendRange(&buffered{key: sp.Key}, &buffered{key: sp.End()}, func(e *buffered) bool {
		out = append(out, e)
		return true
	})
	return out
}

// requests returns the writes to send: each key once, in key order.
func (w *writeBuffer) requests() []kvapi.Request {
	if w.empty() {
		return nil
	}
	out := make([]kvapi.Request, 0, w.tree.Len()+1)
	w.tree.Ascend(func(e *buffered) bool {
		out = append(out, e.request())
		return true
	})
	return out
}

// request is the entry's last value under its first condition.
func (b *buffered) request() kvapi.Request {
	v, cond := b.last(), b.versions[0].cond
	r := kvapi.Request{Kind: kvapi.Put, Key: b.key, Value: v.value, Seq: v.seq, ReadAt: b.versions[0].from}
	switch {
	case b.allNonKey():
		r.Lock = kvapi.LockNoKeyUpdate
	case v.tombstone:
		r.Kind, r.Value = kvapi.Delete, nil
	case cond != nil:
		r.Kind, r.Expected, r.MustExist = kvapi.ConditionalPut, cond.expected, cond.exists
	}
	return r
}

// allNonKey reports whether no write of the key touched a unique key.
func (b *buffered) allNonKey() bool {
	for i := range b.versions {
		if !b.versions[i].nonKey {
			return false
		}
	}
	return true
}

// conditional returns the entries that have a condition, in key order.
func (w *writeBuffer) conditional() []*buffered {
	var out []*buffered
	if w.empty() {
		return nil
	}
	w.tree.Ascend(func(e *buffered) bool {
		if e.versions[0].cond != nil {
			out = append(out, e)
		}
		return true
	})
	return out
}

// unchecked returns the keys whose condition their request cannot carry: they
// were written under one and deleted again.
func (w *writeBuffer) unchecked() []*buffered {
	var out []*buffered
	for _, e := range w.log {
		if e.versions[0].cond != nil && e.last().tombstone {
			out = append(out, e)
		}
	}
	return out
}
