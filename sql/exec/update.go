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
	input    types.Row // the input's registers, for RETURNING
}

// Open implements Node: it does all the work.
func (n *Update) Open(r *Run) (Cursor, error) {
	r.wrote(&n.Target)
	rows, err := layout(n.InCols).drain(r, n.In)
	if err != nil {
		return nil, err
	}
	if err := n.lockFound(r, n.Unlocked, rows, n.InCols, n.Old, n.lock()); err != nil {
		return nil, err
	}
	changes, err := n.changes(r, rows)
	if err != nil {
		return nil, err
	}
	for at := 0; at < len(changes); at += writeBatchMax {
		if err := n.applyChanges(r, changes[at:min(at+writeBatchMax, len(changes))], n.NonKey); err != nil {
			return nil, err
		}
	}
	ret := newReturned(n.Returning)
	for _, ch := range changes {
		if err := n.changed(r, ch.old, ch.new); err != nil {
			return nil, err
		}
		layout(n.InCols).load(r, ch.input)
		copy(n.row(r, n.New), ch.new)
		if err := ret.add(r); err != nil {
			return nil, err
		}
	}
	return ret.cursor(r), nil
}

// lock is how Update locks its rows.
func (n *Update) lock() txn.GetOptions {
	if n.NonKey {
		return txn.GetOptions{Lock: kvapi.LockNoKeyUpdate}
	}
	return locking
}

// lockFound locks rows that are about to be changed, where In did not, if the
// transaction relies on locks (Run.LockRows).
func (t *Target) lockFound(r *Run, unlocked bool, rows []types.Row, cols []bind.ColID, base bind.ColID, o txn.GetOptions) error {
	if !unlocked || !r.LockRows {
		return nil
	}
	for len(rows) > 0 {
		n := min(len(rows), LookupBatchMax)
		keys := make([]kvapi.Key, n)
		for i, in := range rows[:n] {
			layout(cols).load(r, in)
			k, _, err := t.Codec.Primary.Key(t.row(r, base))
			if err != nil {
				return err
			}
			keys[i] = k
		}
		if _, err := r.getMany(keys, o); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// changes computes the new rows. A row that a join found several times changes once.
func (n *Update) changes(r *Run, rows []types.Row) ([]*change, error) {
	out := make([]*change, 0, len(rows))
	seen := map[string]bool{}
	for _, in := range rows {
		layout(n.InCols).load(r, in)
		old := n.row(r, n.Old)
		if len(rows) > 1 {
			k, _, err := n.Codec.Primary.Key(old)
			if err != nil {
				return nil, err
			}
			if seen[string(k)] {
				continue
			}
			seen[string(k)] = true
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
		ch := &change{old: append(types.Row(nil), old...), new: append(types.Row(nil), next...), input: in}
		if err := r.hold(48 * len(next)); err != nil {
			return nil, err
		}
		out = append(out, ch)
	}
	return out, nil
}

// applyChanges writes the difference between old and new rows: first what disappears, then, when
// the new keys are known to be free, what is new. So a statement may exchange keys among its rows.
// nonKey says that no unique key of a row changes.
func (t *Target) applyChanges(r *Run, changes []*change, nonKey bool) error {
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
	if err := t.deleteKeys(r, gone); err != nil {
		return err
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

// Open implements Node: it does all the work.
func (n *Delete) Open(r *Run) (Cursor, error) {
	r.wrote(&n.Target)
	rows, err := layout(n.InCols).drain(r, n.In)
	if err != nil {
		return nil, err
	}
	if err := n.lockFound(r, n.Unlocked, rows, n.InCols, n.Old, locking); err != nil {
		return nil, err
	}
	ret := newReturned(n.Returning)
	seen := map[string]bool{}
	for _, in := range rows {
		layout(n.InCols).load(r, in)
		keys, err := n.keysOf(n.row(r, n.Old))
		if err != nil {
			return nil, err
		}
		if len(rows) > 1 {
			if seen[string(keys[0].key)] {
				continue
			}
			seen[string(keys[0].key)] = true
		}
		if err := n.deleteKeys(r, keys); err != nil {
			return nil, err
		}
		if !n.Referential {
			r.count(&n.Target)
		} else if err := n.changed(r, append(types.Row(nil), n.row(r, n.Old)...), nil); err != nil {
			return nil, err
		}
		if err := ret.add(r); err != nil {
			return nil, err
		}
	}
	return ret.cursor(r), nil
}
