package exec

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// Insert writes rows.
type Insert struct {
	Target
	In   Node
	Vals []Eval // by column ordinal
	// Stream says that the input does not read the table, so that rows may be written while more are
	// read.
	Stream     bool
	InCols     []bind.ColID
	New, Final bind.ColID
	// OwnRowID says that the primary key is the hidden one and made by its default.
	OwnRowID  bool
	Conflict  *Conflict
	Returning []Item
}

// Conflict is ON CONFLICT.
type Conflict struct {
	Index  *tablekv.IndexCodec // nil: any
	Update bool
	// Again lets a statement update a row that it has inserted or updated, as MySQL does.
	Again  bool
	Old    bind.ColID
	Set    []Item // into the registers of Final, by ordinal offset
	Where  Eval
	OldDec *tablekv.Decoder // decodes a stored row into Old's registers
	// Virtual computes the virtual columns of the row in Old's registers.
	Virtual []Item
	// There are policies for the row in Old's registers, Policies for what it becomes.
	There, Policies []PolicyCheck
}

// Explain implements Node.
func (n *Insert) Explain() Explained {
	x := Explained{Title: "Insert on " + n.Codec.Table.Name, Kids: []Node{n.In}}
	if n.Conflict != nil {
		act := "NOTHING"
		if n.Conflict.Update {
			act = "UPDATE"
		}
		x.Details = append(x.Details, "Conflict Resolution: "+act)
		if n.Conflict.Index != nil {
			x.Details = append(x.Details, "Conflict Arbiter Indexes: "+n.Conflict.Index.Index.Name)
		}
	}
	return x
}

// Open implements Node: it does all the work.
func (n *Insert) Open(r *Run) (Cursor, error) {
	r.wrote(&n.Target)
	in, err := n.input(r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	ret := newReturned(r, n.Returning)
	conflicts := &conflictState{n: n, touched: map[string]bool{}, gone: map[string]bool{}}
	for {
		rows, err := n.batch(r, in)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return ret.cursor(), nil
		}
		if n.Conflict != nil {
			err = conflicts.write(r, rows, ret)
		} else {
			err = n.write(r, rows, ret)
		}
		if err != nil {
			return nil, err
		}
	}
}

// input holds I2.
func (n *Insert) input(r *Run) (Cursor, error) {
	if n.Stream {
		return n.In.Open(r)
	}
	rows, err := layout(n.InCols).collect(r, n.In)
	if err != nil {
		return nil, err
	}
	return &ownCursor{rows.cursor(n.InCols, 0, rows.n), rows}, nil
}

// batch computes the next new rows.
func (n *Insert) batch(r *Run, in Cursor) ([]types.Row, error) {
	var rows []types.Row
	for len(rows) < writeBatchMax {
		ok, err := in.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		for i, v := range n.Vals {
			d, err := v(r)
			if err != nil {
				return nil, err
			}
			r.Slots[int(n.New)+i] = d
		}
		row := n.row(r, n.New)
		copy(n.row(r, n.Final), row)
		if err := n.generate(r); err != nil {
			return nil, err
		}
		copy(row, n.row(r, n.Final))
		if err := n.allow(r, n.Policies); err != nil {
			return nil, err
		}
		if n.Conflict == nil || !n.Conflict.Update {
			if err := n.validate(r, n.Final); err != nil {
				return nil, err
			}
		}
		rows = append(rows, append(types.Row(nil), row...))
	}
	return rows, nil
}

func (n *Insert) write(r *Run, rows []types.Row, ret *returned) error {
	es := make([]entry, 0, len(rows)*(1+len(n.Codec.Indexes)))
	var err error
	for _, row := range rows {
		if es, err = n.entries(row, es); err != nil {
			return err
		}
	}
	if err := n.insertEntries(r, es, n.OwnRowID); err != nil {
		return err
	}
	for _, row := range rows {
		if err := n.changed(r, nil, row); err != nil {
			return err
		}
		copy(n.row(r, n.Final), row)
		if err := ret.add(r); err != nil {
			return err
		}
	}
	return nil
}

// conflictState carries out ON CONFLICT. touched are the primary keys that this statement has
// inserted or updated: DO UPDATE may not meet one of them again unless Conflict.Again.
type conflictState struct {
	n       *Insert
	touched map[string]bool
	// gone are keys that rows of the present batch have given up.
	gone map[string]bool
}

// write reads the arbiters' keys of all rows with locks, in one batch, and then goes row by row.
func (c *conflictState) write(r *Run, rows []types.Row, ret *returned) error {
	blind := r.Blind
	r.Blind = false // what follows reads before it writes
	defer func() { r.Blind = blind }()
	var keys []kvapi.Key
	var of []*tablekv.IndexCodec // whose keys they are
	at := make([][]int, len(rows))
	for i, row := range rows {
		ks, err := c.arbiterKeys(row)
		if err != nil {
			return err
		}
		for _, k := range ks {
			at[i] = append(at[i], len(keys))
			keys, of = append(keys, k.key), append(of, k.of)
		}
	}
	vals, err := r.getMany(keys, locking)
	if err != nil {
		return err
	}
	written := map[string][]byte{}
	clear(c.gone)
	for i, row := range rows {
		var hit arbiter
		var value []byte
		for _, p := range at[i] {
			if c.gone[string(keys[p])] {
				continue
			}
			if v, ok := written[string(keys[p])]; ok {
				hit, value = arbiter{keys[p], of[p]}, v
				break
			}
			if vals[p].Exists {
				hit, value = arbiter{keys[p], of[p]}, vals[p].Data
				break
			}
		}
		if err := c.one(r, row, hit, value, written, ret); err != nil {
			return err
		}
	}
	return nil
}

// arbiter is a unique key whose existence means a conflict, and its index.
type arbiter struct {
	key kvapi.Key
	of  *tablekv.IndexCodec
}

// arbiterKeys are the unique keys of a row.
func (c *conflictState) arbiterKeys(row types.Row) ([]arbiter, error) {
	n := c.n
	var out []arbiter
	add := func(ic *tablekv.IndexCodec) error {
		if !ic.Holds(row) || ic.Index.Inverted != "" {
			return nil
		}
		k, conflict, err := ic.Key(row)
		if conflict {
			out = append(out, arbiter{k, ic})
		}
		return err
	}
	if ix := n.Conflict.Index; ix != nil {
		err := add(ix)
		return out, err
	}
	if err := add(&n.Codec.Primary); err != nil {
		return nil, err
	}
	for i := range n.Codec.Indexes {
		if n.Codec.Indexes[i].Index.State == schema.IndexDeleteOnly {
			continue // its entries are not kept up, and none is added
		}
		if n.Codec.Indexes[i].IsToBe() {
			continue // of which nobody knows
		}
		if err := add(&n.Codec.Indexes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *conflictState) one(r *Run, row types.Row, hit arbiter, value []byte, written map[string][]byte, ret *returned) error {
	n := c.n
	copy(n.row(r, n.New), row)
	copy(n.row(r, n.Final), row)
	if hit.key == nil {
		return c.insert(r, row, written, ret)
	}
	if !n.Conflict.Update {
		return nil
	}
	return c.update(r, hit, value, written, ret)
}

func (c *conflictState) insert(r *Run, row types.Row, written map[string][]byte, ret *returned) error {
	n := c.n
	if n.Conflict.Update {
		if err := n.validate(r, n.Final); err != nil {
			return err
		}
	}
	es, err := n.entries(row, nil)
	if err != nil {
		return err
	}
	if err := n.insertEntries(r, es, n.OwnRowID); err != nil {
		return err
	}
	for _, e := range es {
		if e.conflict {
			written[string(e.key)] = e.value
			delete(c.gone, string(e.key))
		}
	}
	c.touched[string(es[0].key)] = true
	if err := n.changed(r, nil, row); err != nil {
		return err
	}
	return ret.add(r)
}

func (c *conflictState) update(r *Run, hit arbiter, value []byte, written map[string][]byte, ret *returned) error {
	n := c.n
	pk, value, err := c.existing(r, hit, value)
	if err != nil {
		return err
	}
	if c.touched[string(pk)] && !n.Conflict.Again {
		return sqlerr.New(sqlerr.CardinalityViolation, "ON CONFLICT DO UPDATE command cannot affect row a second time").
			WithHint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
	}
	c.touched[string(pk)] = true
	if err := n.Conflict.OldDec.Decode(pk, value, r.Slots); err != nil {
		return err
	}
	if err := compute(r, n.Conflict.Virtual); err != nil {
		return err
	}
	if n.Conflict.Where != nil {
		ok, err := evalBool(r, n.Conflict.Where)
		if err != nil || !ok {
			return err
		}
	}
	if err := n.allow(r, n.Conflict.There); err != nil {
		return err
	}
	old := append(types.Row(nil), n.row(r, n.Conflict.Old)...)
	vals := make([]types.Datum, len(n.Conflict.Set))
	for i, s := range n.Conflict.Set {
		if vals[i], err = s.E(r); err != nil {
			return err
		}
	}
	copy(n.row(r, n.Final), old)
	for i, s := range n.Conflict.Set {
		r.Slots[s.ID] = vals[i]
	}
	if err := n.generate(r); err != nil {
		return err
	}
	if err := n.allow(r, n.Conflict.Policies); err != nil {
		return err
	}
	if err := n.validate(r, n.Final); err != nil {
		return err
	}
	ch := &change{old: old, new: append(types.Row(nil), n.row(r, n.Final)...)}
	if err := n.applyChanges(r, []*change{ch}, false, removeAndAdd); err != nil {
		return err
	}
	if err := c.rewritten(ch, written); err != nil {
		return err
	}
	if err := n.changed(r, ch.old, ch.new); err != nil {
		return err
	}
	copy(n.row(r, n.Final), ch.new)
	return ret.add(r)
}

// rewritten has the batch's further rows meet what an updated row has become.
func (c *conflictState) rewritten(ch *change, written map[string][]byte) error {
	if !c.n.Conflict.Again {
		return nil
	}
	before, err := c.n.entries(ch.old, nil)
	if err != nil {
		return err
	}
	for _, e := range before {
		delete(written, string(e.key))
		c.gone[string(e.key)] = true
	}
	after, err := c.n.entries(ch.new, nil)
	if err != nil {
		return err
	}
	for _, e := range after {
		if e.conflict {
			delete(c.gone, string(e.key))
			written[string(e.key)] = e.value
		}
	}
	return nil
}

// existing finds the stored row behind a conflicting key of any unique index.
func (c *conflictState) existing(r *Run, hit arbiter, value []byte) (kvapi.Key, []byte, error) {
	n := c.n
	ic := hit.of
	if ic.IsPrimary() {
		return hit.key, value, nil
	}
	at := make([]int, len(n.Codec.Types))
	for i := range at {
		at[i] = i
	}
	row := make(types.Row, len(at))
	if err := ic.NewDecoder(at).Decode(hit.key, value, row); err != nil {
		return nil, nil, err
	}
	pk, _, err := n.Codec.Primary.Key(row)
	if err != nil {
		return nil, nil, err
	}
	v, ok, err := r.get(pk, locking)
	if err == nil && !ok {
		err = sqlerr.New(sqlerr.IndexCorrupted, "index \"%s\" points to a row that does not exist", ic.Index.Name)
	}
	return pk, v, err
}
