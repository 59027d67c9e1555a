package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// GroupingSets yields each row once for each set: the items of the set as they are, the others NULL.
type GroupingSets struct {
	In    Node
	Items []Item
	// Has[set][item] says which items a set has.
	Has   [][]bool
	SetID bind.ColID
	// Bits are the values of GROUPING calls by set.
	Bits []GroupingBits
	Text []string
}

// GroupingBits is a call of GROUPING.
type GroupingBits struct {
	ID   bind.ColID
	Vals []types.Datum
}

// Open implements Node.
func (n *GroupingSets) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	return &groupingCursor{n: n, r: r, in: in, set: len(n.Has), vals: make([]types.Datum, len(n.Items))}, err
}

// Explain implements Node.
func (n *GroupingSets) Explain() Explained {
	return Explained{Title: "Grouping Sets", Details: n.Text, Kids: []Node{n.In}}
}

type groupingCursor struct {
	n    *GroupingSets
	r    *Run
	in   Cursor
	set  int // the next set of the present row
	vals []types.Datum
}

// Next implements Cursor.
func (c *groupingCursor) Next() (bool, error) {
	if c.set == len(c.n.Has) {
		ok, err := c.in.Next()
		if err != nil || !ok {
			return ok, err
		}
		for i, it := range c.n.Items {
			if c.vals[i], err = it.E(c.r); err != nil {
				return false, err
			}
		}
		c.set = 0
	}
	for i, it := range c.n.Items {
		c.r.Slots[it.ID] = types.Null
		if c.n.Has[c.set][i] {
			c.r.Slots[it.ID] = c.vals[i]
		}
	}
	c.r.Slots[c.n.SetID] = types.NewInt(int64(c.set))
	for _, b := range c.n.Bits {
		c.r.Slots[b.ID] = b.Vals[c.set]
	}
	c.set++
	return true, nil
}

// Close implements Cursor.
func (c *groupingCursor) Close() { c.in.Close() }
