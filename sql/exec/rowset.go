package exec

import (
	"slices"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// layout names the registers that an operator saves of each row.
type layout []bind.ColID

// NewLayout orders a set of registers, leaving out those nobody reads.
func NewLayout(s bind.Set, used []bool) []bind.ColID {
	out := make([]bind.ColID, 0, len(s))
	for id := range s {
		if used[id] {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// save copies the registers into a new row and accounts for it.
func (l layout) save(r *Run) (types.Row, error) {
	row := make(types.Row, len(l))
	size := 24
	for i, id := range l {
		row[i] = r.Slots[id]
		size += row[i].SizeBytes()
	}
	return row, r.hold(size)
}

func (l layout) load(r *Run, row types.Row) {
	for i, id := range l {
		r.Slots[id] = row[i]
	}
}

func (l layout) clear(r *Run) {
	for _, id := range l {
		r.Slots[id] = types.Null
	}
}

// drain saves all rows of a node.
func (l layout) drain(r *Run, n Node) ([]types.Row, error) {
	c, err := n.Open(r)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var out []types.Row
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return out, err
		}
		row, err := l.save(r)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
}

// rowsCursor yields saved rows.
type rowsCursor struct {
	r    *Run
	l    layout
	rows []types.Row
	at   int
}

func (c *rowsCursor) Next() (bool, error) {
	if c.at >= len(c.rows) {
		return false, nil
	}
	c.l.load(c.r, c.rows[c.at])
	c.at++
	return true, c.r.tick()
}

func (c *rowsCursor) Close() {}

// hashRow mixes the values of some registers.
func hashCols(r *Run, ids []bind.ColID) uint64 {
	h := uint64(14695981039346656037)
	for _, id := range ids {
		h = types.Hash(h, r.Slots[id])
	}
	return h
}

// equalVals compares values with NULL equal to NULL.
func equalVals(a, b []types.Datum) bool {
	for i := range a {
		if a[i].IsNull() || b[i].IsNull() {
			if a[i].IsNull() != b[i].IsNull() {
				return false
			}
			continue
		}
		if types.Compare(a[i], b[i]) != 0 {
			return false
		}
	}
	return true
}

func hashVals(vals []types.Datum) uint64 {
	h := uint64(14695981039346656037)
	for _, v := range vals {
		h = types.Hash(h, v)
	}
	return h
}

// rowMap maps keys of several values to small numbers.
type rowMap struct {
	buckets map[uint64][]int32
	keys    [][]types.Datum
}

func newRowMap() *rowMap { return &rowMap{buckets: map[uint64][]int32{}} }

func (m *rowMap) find(key []types.Datum) int {
	for _, i := range m.buckets[hashVals(key)] {
		if equalVals(m.keys[i], key) {
			return int(i)
		}
	}
	return -1
}

// add inserts a key (which must not change afterwards) if it is new.
func (m *rowMap) add(key []types.Datum) (at int, added bool) {
	h := hashVals(key)
	for _, i := range m.buckets[h] {
		if equalVals(m.keys[i], key) {
			return int(i), false
		}
	}
	at = len(m.keys)
	m.keys = append(m.keys, key)
	m.buckets[h] = append(m.buckets[h], int32(at))
	return at, true
}

// addScratch is add for a key in scratch memory, which is copied only if it is new.
func (m *rowMap) addScratch(r *Run, key []types.Datum) (at int, added bool, err error) {
	if at = m.find(key); at >= 0 {
		return at, false, nil
	}
	own := slices.Clone(key)
	size := 64
	for _, d := range own {
		size += d.SizeBytes()
	}
	if err := r.hold(size); err != nil {
		return 0, false, err
	}
	at, added = m.add(own)
	return at, added, nil
}
