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
	var s slab
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return out, err
		}
		row, size := s.save(r, l)
		if err := r.hold(size); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
}

// collect keeps all rows of a node.
func (l layout) collect(r *Run, n Node) (*rowArray, error) {
	c, err := n.Open(r)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	a := newRowArray(r, l)
	for {
		ok, err := c.Next()
		if err != nil || !ok {
			return a, err
		}
		if err := a.add(); err != nil {
			return a, err
		}
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

// hashIndex numbers hashes, of which several may be equal: open addressing.
type hashIndex struct {
	slots  []int32 // number + 1 of a hash; 0 is free
	hashes []uint64
}

const hashIndexFirst = 16

// lookUp is the number with this hash of which same is true; -1 if there is none.
func (m *hashIndex) lookUp(h uint64, same func(i int) (bool, error)) (int, error) {
	if len(m.slots) == 0 {
		return -1, nil
	}
	mask := uint64(len(m.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		n := m.slots[i]
		if n == 0 {
			return -1, nil
		}
		if m.hashes[n-1] != h {
			continue
		}
		if ok, err := same(int(n - 1)); err != nil || ok {
			return int(n - 1), err
		}
	}
}

// insert numbers another hash.
func (m *hashIndex) insert(h uint64) int {
	if 4*(len(m.hashes)+1) > 3*len(m.slots) {
		m.grow()
	}
	at := len(m.hashes)
	m.hashes = append(m.hashes, h)
	m.place(h, at)
	return at
}

func (m *hashIndex) grow() {
	m.slots = make([]int32, max(2*len(m.slots), hashIndexFirst))
	for i, h := range m.hashes {
		m.place(h, i)
	}
}

func (m *hashIndex) place(h uint64, at int) {
	mask := uint64(len(m.slots) - 1)
	i := h & mask
	for m.slots[i] != 0 {
		i = (i + 1) & mask
	}
	m.slots[i] = int32(at + 1)
}

// rowMap maps keys of several values to small numbers.
type rowMap struct {
	hashIndex
	keys [][]types.Datum
	s    slab
}

func newRowMap() *rowMap { return &rowMap{} }

func (m *rowMap) find(key []types.Datum) int { return m.findHashed(hashVals(key), key) }

func (m *rowMap) findHashed(h uint64, key []types.Datum) int {
	if len(m.slots) == 0 {
		return -1
	}
	mask := uint64(len(m.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		n := m.slots[i]
		if n == 0 {
			return -1
		}
		if m.hashes[n-1] == h && equalVals(m.keys[n-1], key) {
			return int(n - 1)
		}
	}
}

// insert adds a key that is not there, and which must not change afterwards.
func (m *rowMap) insert(h uint64, key []types.Datum) int {
	m.keys = append(m.keys, key)
	return m.hashIndex.insert(h)
}

// add inserts a key (which must not change afterwards) if it is new.
func (m *rowMap) add(key []types.Datum) (at int, added bool) {
	h := hashVals(key)
	if at = m.findHashed(h, key); at >= 0 {
		return at, false
	}
	return m.insert(h, key), true
}

// addScratch is add for a key in scratch memory, which is copied only if it is new.
func (m *rowMap) addScratch(r *Run, key []types.Datum) (at int, added bool, err error) {
	h := hashVals(key)
	if at = m.findHashed(h, key); at >= 0 {
		return at, false, nil
	}
	own, size := m.s.own(key)
	if err := r.hold(size + rowMapEntry); err != nil {
		return 0, false, err
	}
	return m.insert(h, own), true, nil
}

// rowMapEntry is what a key takes beside itself.
const rowMapEntry = 40
