package exec

import (
	"bytes"
	"maps"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Update changes the rows that its input finds.
type Update struct {
	Target
	In       Node
	InCols   []bind.ColID
	Old, New bind.ColID
	Set      []Item // into New's registers
	// NonKey says that Set leaves the columns of all unique keys alone: rows are locked, and
	// written, so that FOR KEY SHARE of others passes.
	NonKey bool
	// Unlocked says that In may not have locked its rows.
	Unlocked  bool
	Returning []Item
}

// Explain implements Node.
func (n *Update) Explain() Explained {
	return Explained{Title: "Update on " + n.Codec.Table.Name, Kids: []Node{n.In}}
}

// change is a row before and after.
type change struct {
	old, new types.Row
}

// Open implements Node: it does all the work. What was found, and what it is changed to, may be in temporary
// files; of each row its number and a hash of its key stay in memory.
func (n *Update) Open(r *Run) (Cursor, error) {
	r.wrote(&n.Target)
	found, err := layout(n.InCols).collect(r, n.In)
	if err != nil {
		return nil, err
	}
	defer found.close()
	if err := n.lockFound(r, n.Unlocked, found, n.Old, nil, n.lock()); err != nil {
		return nil, err
	}
	changes, err := n.changes(r, found)
	if err != nil {
		return nil, err
	}
	defer changes.close()
	reader := arrayReader{a: changes}
	for _, step := range changeSteps(changes.n, n.NonKey) {
		var batch []*change
		for i := range changes.n {
			ch, err := n.change(r, &reader, i)
			if err != nil {
				return nil, err
			}
			if batch = append(batch, ch); len(batch) < writeBatchMax && i+1 < changes.n {
				continue
			}
			if err := n.applyChanges(r, batch, n.NonKey, step); err != nil {
				return nil, err
			}
			batch = batch[:0]
		}
	}
	ret := newReturned(r, n.Returning)
	for i := range changes.n {
		ch, err := n.change(r, &reader, i)
		if err != nil {
			return nil, err
		}
		if err := n.changed(r, ch.old, ch.new); err != nil {
			return nil, err
		}
		if err := ret.add(r); err != nil {
			return nil, err
		}
	}
	return ret.cursor(), nil
}

// change is change i, whose registers are loaded.
func (n *Update) change(r *Run, changes *arrayReader, i int) (*change, error) {
	if err := changes.load(i); err != nil {
		return nil, err
	}
	return &change{old: slices.Clone(n.row(r, n.Old)), new: slices.Clone(n.row(r, n.New))}, nil
}

// lock is how Update locks its rows.
func (n *Update) lock() txn.GetOptions {
	if n.NonKey {
		return txn.GetOptions{Lock: kvapi.LockNoKeyUpdate}
	}
	return locking
}

// lockFound locks rows that are about to be changed, where In did not, if the
// transaction relies on locks (Run.LockRows). among says which have a row at base; nil: all.
func (t *Target) lockFound(r *Run, unlocked bool, rows *rowArray, base bind.ColID, among func() bool, o txn.GetOptions) error {
	if !unlocked || !r.LockRows {
		return nil
	}
	reader := arrayReader{a: rows}
	var keys []kvapi.Key
	for i := range rows.n {
		if err := reader.load(i); err != nil {
			return err
		}
		if among == nil || among() {
			k, _, err := t.Codec.Primary.Key(t.row(r, base))
			if err != nil {
				return err
			}
			keys = append(keys, k)
		}
		if len(keys) < LookupBatchMax && i+1 < rows.n {
			continue
		}
		if _, err := r.getMany(keys, o); err != nil {
			return err
		}
		keys = keys[:0]
	}
	return nil
}

// once finds rows that come again, by the primary key in the registers at base, among those of an array.
type once struct {
	t      *Target
	r      *Run
	base   bind.ColID
	seen   keySet
	reader arrayReader
}

func newOnce(t *Target, r *Run, base bind.ColID, rows *rowArray) *once {
	return &once{t: t, r: r, base: base, seen: keySet{mem: account{r: r}}, reader: arrayReader{a: rows}}
}

// first says whether the present row, which is number i of the array or will be, has a key of its own.
// Where others' rows had to be loaded, again loads it once more.
func (o *once) first(i int, again func() error) (bool, error) {
	key, _, err := o.t.Codec.Primary.Key(o.t.row(o.r, o.base))
	if err != nil {
		return false, err
	}
	loaded := false
	added, err := o.seen.add(types.Hash(0, types.NewBytes(string(key))), i, func(other int) (bool, error) {
		loaded = true
		if err := o.reader.load(other); err != nil {
			return false, err
		}
		k, _, err := o.t.Codec.Primary.Key(o.t.row(o.r, o.base))
		return bytes.Equal(k, key), err
	})
	if err == nil && loaded {
		err = again()
	}
	return added, err
}

func (o *once) close() { o.seen.close() }

// changes computes the new rows: the registers of the input and of New. A row that a join found several
// times changes once.
func (n *Update) changes(r *Run, found *rowArray) (*rowArray, error) {
	l := slices.Clone(layout(n.InCols))
	for i := range n.Codec.Types {
		l = append(l, n.New+bind.ColID(i))
	}
	out := newRowArray(r, l)
	seen := newOnce(&n.Target, r, n.Old, out)
	defer seen.close()
	reader := arrayReader{a: found}
	for i := range found.n {
		if err := reader.load(i); err != nil {
			return nil, err
		}
		old := n.row(r, n.Old)
		if found.n > 1 {
			first, err := seen.first(out.n, func() error { return reader.load(i) })
			if err != nil {
				return nil, err
			}
			if !first {
				continue
			}
		}
		next := n.row(r, n.New)
		copy(next, old)
		for _, s := range n.Set { // the expressions read Old, so order does not matter
			d, err := s.E(r)
			if err != nil {
				return nil, err
			}
			r.Slots[s.ID] = d
		}
		if err := n.generate(r); err != nil {
			return nil, err
		}
		if err := n.allow(r, n.Policies); err != nil {
			return nil, err
		}
		if err := n.validate(r, n.New); err != nil {
			return nil, err
		}
		if err := out.add(); err != nil {
			return nil, err
		}
		if err := r.tick(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// changeStep is what of a batch of changes is written.
type changeStep uint8

const (
	removeAndAdd changeStep = iota
	onlyRemove
	onlyAdd
)

// changeSteps are the steps in which n changes are written, each for all batches: keys that disappear with
// one batch may come with another.
func changeSteps(n int, nonKey bool) []changeStep {
	if n <= writeBatchMax || nonKey {
		return []changeStep{removeAndAdd}
	}
	return []changeStep{onlyRemove, onlyAdd}
}

// applyChanges writes the difference between old and new rows: first what disappears, then, when
// the new keys are known to be free, what is new. So a statement may exchange keys among its rows.
// nonKey says that no unique key of a row changes.
func (t *Target) applyChanges(r *Run, changes []*change, nonKey bool, step changeStep) error {
	var gone, kept []ownKey
	var puts, fresh []entry
	for _, ch := range changes {
		before := len(gone)
		if err := t.diff(ch, false, &t.Codec.Primary, &gone, &kept, &puts, &fresh); err != nil {
			return err
		}
		moved := len(gone) > before
		for i := range t.Codec.Indexes {
			if err := t.diff(ch, moved, &t.Codec.Indexes[i], &gone, &kept, &puts, &fresh); err != nil {
				return err
			}
		}
	}
	if step != onlyAdd {
		if err := t.deleteKeys(r, gone); err != nil {
			return err
		}
	}
	if step == onlyRemove {
		return nil
	}
	if len(fresh) > 0 {
		blind := r.Blind
		r.Blind = false
		err := t.insertEntries(r, fresh, false)
		r.Blind = blind
		if err != nil {
			return err
		}
	}
	put := r.KV.Put
	if nonKey {
		put = r.KV.PutNonKey
	}
	own, err := r.ownOnly(kept, true)
	if err != nil {
		return err
	}
	for i, e := range puts {
		if !own[i] {
			continue // what writes the index finds out
		}
		if err := put(r.Ctx, e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// diff compares a row's old and new entry in one index: gone is a key that goes, fresh an entry
// under a new key, puts one under the key that it had, unless its value is the same; kept are the
// keys of puts, as they were. moved says that the row's own key changes: while an index is written it
// may then have passed by the job that reads the rows, and there be no entry yet that stays.
func (t *Target) diff(ch *change, moved bool, ic *tablekv.IndexCodec, gone, kept *[]ownKey, puts, fresh *[]entry) error {
	if ic.Index.Inverted != "" {
		return diffInverted(ch, moved, ic, gone, kept, puts, fresh)
	}
	var oldKey kvapi.Key
	var oldConflict bool
	var err error
	if ic.Holds(ch.old) {
		if oldKey, oldConflict, err = ic.Key(ch.old); err != nil {
			return err
		}
	}
	if ic.Index.State == schema.IndexDeleteOnly || !ic.Holds(ch.new) {
		if oldKey != nil {
			*gone = append(*gone, ownKeyOf(ic, oldKey, oldConflict, ch.old))
		}
		return nil
	}
	key, conflict, err := ic.Key(ch.new)
	if err != nil {
		return err
	}
	e := entry{key, ic.Value(ch.new), conflict}
	switch {
	case !bytes.Equal(key, oldKey):
		if oldKey != nil {
			*gone = append(*gone, ownKeyOf(ic, oldKey, oldConflict, ch.old))
		}
		*fresh = append(*fresh, e)
	case ic.IsPrimary() || !bytes.Equal(e.value, ic.Value(ch.old)) || moved && !ic.Index.IsPublic():
		*puts, *kept = append(*puts, e), append(*kept, ownKeyOf(ic, oldKey, oldConflict, ch.old))
	}
	return nil
}

// diffInverted is diff for an index that has several entries of a row.
func diffInverted(ch *change, moved bool, ic *tablekv.IndexCodec, gone, kept *[]ownKey, puts, fresh *[]entry) error {
	old := map[string]bool{}
	if err := ic.EachKey(ch.old, func(k kvapi.Key, _ bool) error { old[string(k)] = true; return nil }); err != nil {
		return err
	}
	if ic.Index.State != schema.IndexDeleteOnly {
		value := ic.Value(ch.new)
		same := len(old) > 0 && bytes.Equal(value, ic.Value(ch.old)) && (!moved || ic.Index.IsPublic())
		if err := ic.EachKey(ch.new, func(k kvapi.Key, _ bool) error {
			switch {
			case !old[string(k)]:
				*fresh = append(*fresh, entry{k, value, false})
			case !same:
				*puts, *kept = append(*puts, entry{k, value, false}), append(*kept, ownKey{key: k})
			}
			delete(old, string(k))
			return nil
		}); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(old)) {
		*gone = append(*gone, ownKey{key: kvapi.Key(k)})
	}
	return nil
}

// Delete removes the rows that its input finds.
type Delete struct {
	Target
	In        Node
	InCols    []bind.ColID
	Old       bind.ColID
	Unlocked  bool // as in Update
	Returning []Item
}

// Explain implements Node.
func (n *Delete) Explain() Explained {
	return Explained{Title: "Delete on " + n.Codec.Table.Name, Kids: []Node{n.In}}
}

// Open implements Node: it does all the work. What was found may be in temporary files.
func (n *Delete) Open(r *Run) (Cursor, error) {
	r.wrote(&n.Target)
	found, err := layout(n.InCols).collect(r, n.In)
	if err != nil {
		return nil, err
	}
	defer found.close()
	if err := n.lockFound(r, n.Unlocked, found, n.Old, nil, locking); err != nil {
		return nil, err
	}
	ret := newReturned(r, n.Returning)
	seen := newOnce(&n.Target, r, n.Old, found)
	defer seen.close()
	reader := arrayReader{a: found}
	for i := range found.n {
		load := func() error { return reader.load(i) }
		if err := load(); err != nil {
			return nil, err
		}
		if found.n > 1 {
			first, err := seen.first(i, load)
			if err != nil {
				return nil, err
			}
			if !first {
				continue
			}
		}
		keys, err := n.keysOf(n.row(r, n.Old))
		if err != nil {
			return nil, err
		}
		if err := n.deleteKeys(r, keys); err != nil {
			return nil, err
		}
		if !n.Referential {
			r.count(&n.Target)
		} else if err := n.changed(r, slices.Clone(n.row(r, n.Old)), nil); err != nil {
			return nil, err
		}
		if err := ret.add(r); err != nil {
			return nil, err
		}
	}
	return ret.cursor(), nil
}
