package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Merge changes, removes and inserts rows of a table, by what each row of its input says.
type Merge struct {
	Target
	In       Node
	InCols   []bind.ColID
	Old, New bind.ColID
	Actions  []MergeAction
	// Unlocked and OwnRowID are as in Update and Insert.
	Unlocked, OwnRowID bool
}

// MergeAction is a WHEN clause.
type MergeAction struct {
	Matched bool
	Cond    Eval
	Delete  bool
	Set     []Item // into New's registers
	Vals    []Eval // an INSERT, by column ordinal
}

// Explain implements Node.
func (n *Merge) Explain() Explained {
	return Explained{Title: "Merge on " + n.Codec.Table.Name, Kids: []Node{n.In}}
}

// Open implements Node: it does all the work. All rows are decided on before the first is written,
// and what goes is removed before what is new needs its keys.
func (n *Merge) Open(r *Run) (Cursor, error) {
	r.wrote(&n.Target)
	rows, err := layout(n.InCols).collect(r, n.In)
	if err != nil {
		return nil, err
	}
	defer rows.close()
	if err := n.lockFound(r, n.Unlocked, rows, n.Old, func() bool { return n.matched(r) }, locking); err != nil {
		return nil, err
	}
	m := &merging{n: n, seen: map[string]bool{}}
	reader := arrayReader{a: rows}
	for i := range rows.n {
		if err := reader.load(i); err != nil {
			return nil, err
		}
		if err := m.row(r); err != nil {
			return nil, err
		}
		if err := r.tick(); err != nil {
			return nil, err
		}
	}
	if err := m.write(r); err != nil {
		return nil, err
	}
	return &rowsCursor{r: r}, nil
}

// matched says whether the present row has a row of the target.
func (n *Merge) matched(r *Run) bool {
	return !r.Slots[int(n.Old)+n.Codec.Primary.Keys[0].Ordinal].IsNull()
}

// merging collects what a Merge will write.
type merging struct {
	n       *Merge
	seen    map[string]bool // primary keys that are changed or removed
	gone    []types.Row
	changes []*change
	fresh   []types.Row
}

func (m *merging) row(r *Run) error {
	n := m.n
	matched := n.matched(r)
	for i := range n.Actions {
		a := &n.Actions[i]
		if a.Matched != matched {
			continue
		}
		if a.Cond != nil {
			ok, err := evalBool(r, a.Cond)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		return m.act(r, a)
	}
	return nil
}

func (m *merging) act(r *Run, a *MergeAction) error {
	n := m.n
	old, next := n.row(r, n.Old), n.row(r, n.New)
	switch {
	case a.Vals != nil:
		for i, v := range a.Vals {
			d, err := v(r)
			if err != nil {
				return err
			}
			next[i] = d
		}
		if err := m.check(r); err != nil {
			return err
		}
		m.fresh = append(m.fresh, append(types.Row(nil), next...))
	case a.Delete:
		if err := m.once(old); err != nil {
			return err
		}
		m.gone = append(m.gone, append(types.Row(nil), old...))
	case a.Set != nil:
		if err := m.once(old); err != nil {
			return err
		}
		copy(next, old)
		for _, s := range a.Set { // the expressions read Old, so order does not matter
			d, err := s.E(r)
			if err != nil {
				return err
			}
			r.Slots[s.ID] = d
		}
		if err := m.check(r); err != nil {
			return err
		}
		m.changes = append(m.changes, &change{old: append(types.Row(nil), old...), new: append(types.Row(nil), next...)})
	default:
		return nil
	}
	r.Affected++
	return r.hold(96 * len(next))
}

func (m *merging) check(r *Run) error {
	if err := m.n.generate(r); err != nil {
		return err
	}
	return m.n.validate(r, m.n.New)
}

// once refuses to touch a row of the target twice.
func (m *merging) once(old types.Row) error {
	k, _, err := m.n.Codec.Primary.Key(old)
	if err != nil {
		return err
	}
	if m.seen[string(k)] {
		return sqlerr.New(sqlerr.CardinalityViolation, "MERGE command cannot affect row a second time").
			WithHint("Ensure that not more than one source row matches any one target row.")
	}
	m.seen[string(k)] = true
	return nil
}

func (m *merging) write(r *Run) error {
	n := m.n
	blind := r.Blind
	r.Blind = blind && len(m.gone)+len(m.changes) == 0
	defer func() { r.Blind = blind }()
	for _, row := range m.gone {
		keys, err := n.keysOf(row)
		if err != nil {
			return err
		}
		if err := n.deleteKeys(r, keys); err != nil {
			return err
		}
	}
	for _, step := range changeSteps(len(m.changes), false) {
		for at := 0; at < len(m.changes); at += writeBatchMax {
			if err := n.applyChanges(r, m.changes[at:min(at+writeBatchMax, len(m.changes))], false, step); err != nil {
				return err
			}
		}
	}
	for at := 0; at < len(m.fresh); at += writeBatchMax {
		var es []entry
		var err error
		for _, row := range m.fresh[at:min(at+writeBatchMax, len(m.fresh))] {
			if es, err = n.entries(row, es); err != nil {
				return err
			}
		}
		if err := n.insertEntries(r, es, n.OwnRowID); err != nil {
			return err
		}
	}
	return m.tell(r)
}

// tell reports the rows for foreign keys.
func (m *merging) tell(r *Run) error {
	for _, row := range m.gone {
		if err := m.n.changed(r, row, nil); err != nil {
			return err
		}
	}
	for _, ch := range m.changes {
		if err := m.n.changed(r, ch.old, ch.new); err != nil {
			return err
		}
	}
	for _, row := range m.fresh {
		if err := m.n.changed(r, nil, row); err != nil {
			return err
		}
	}
	return nil
}
