package exec

import (
	"bytes"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
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
	var gone []kvapi.Key
	var puts, fresh []entry
	for _, ch := range changes {
		es, err := t.entries(ch.new, nil)
		if err != nil {
			return err
		}
		oldKeys, err := t.keysOf(ch.old)
		if err != nil {
			return err
		}
		byKey := map[string]bool{}
		for _, e := range es {
			byKey[string(e.key)] = true
		}
		for _, k := range oldKeys {
			if !byKey[string(k)] {
				gone = append(gone, k)
			}
		}
		puts, fresh, err = t.split(ch, es, oldKeys, puts, fresh)
		if err != nil {
			return err
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
	for _, e := range puts {
		if err := put(r.Ctx, e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// split divides a row's new entries into those under a key the row had (written only if the value
// differs) and those under a new key.
func (t *Target) split(ch *change, es []entry, oldKeys []kvapi.Key, puts, fresh []entry) ([]entry, []entry, error) {
	at := 0
	for i := range oldKeys {
		if i > 0 && t.Codec.Indexes[i-1].Index.State == schema.IndexDeleteOnly {
			continue
		}
		e := es[at]
		at++
		if !bytes.Equal(e.key, oldKeys[i]) {
			fresh = append(fresh, e)
			continue
		}
		if i == 0 || !bytes.Equal(e.value, t.Codec.Indexes[i-1].Value(ch.old)) {
			puts = append(puts, e)
		}
	}
	return puts, fresh, nil
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
			if seen[string(keys[0])] {
				continue
			}
			seen[string(keys[0])] = true
		}
		if err := n.deleteKeys(r, keys); err != nil {
			return nil, err
		}
		if n.Referential {
			if err := n.changed(r, append(types.Row(nil), n.row(r, n.Old)...), nil); err != nil {
				return nil, err
			}
		}
		if err := ret.add(r); err != nil {
			return nil, err
		}
	}
	return ret.cursor(r), nil
}
