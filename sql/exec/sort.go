package exec

import (
	"container/heap"
	"fmt"
	"sort"
	"strings"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// Sort orders its input. With Top it keeps only the first rows.
type Sort struct {
	In   Node
	Keys []bind.SortKey
	Cols []bind.ColID // registers saved with each row; the keys' are among them
	Top  Eval
	Text []string
}

// topMax is up to how many rows a LIMIT is worth a heap.
const topMax = 100_000

// Open implements Node.
func (n *Sort) Open(r *Run) (Cursor, error) {
	s := &sorter{r: r, l: n.Cols, keys: n.Keys, at: n.keyPlaces(), top: -1}
	if n.Top != nil {
		d, err := n.Top(r)
		if err != nil {
			return nil, err
		}
		if !d.IsNull() && d.Int() >= 0 && d.Int() <= topMax {
			s.top = int(d.Int())
		}
	}
	in, err := n.In.Open(r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if err := s.read(in); err != nil {
		return nil, err
	}
	return &rowsCursor{r: r, l: n.Cols, rows: s.rows}, nil
}

func (n *Sort) keyPlaces() []int {
	at := make([]int, len(n.Keys))
	for i, k := range n.Keys {
		for j, id := range n.Cols {
			if id == k.ID {
				at[i] = j
			}
		}
	}
	return at
}

// Explain implements Node.
func (n *Sort) Explain() Explained {
	title := "Sort"
	if n.Top != nil {
		title = "Top-N Sort"
	}
	return Explained{Title: title, Details: []string{"Sort Key: " + strings.Join(n.Text, ", ")}, Kids: []Node{n.In}}
}

type sorter struct {
	r    *Run
	l    layout
	keys []bind.SortKey
	at   []int
	rows []types.Row
	seq  []int // order of arrival, so that a heap sorts stably
	top  int
	n    int
}

func (s *sorter) read(in Cursor) error {
	for {
		ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := s.add(); err != nil {
			return err
		}
	}
	if s.top >= 0 {
		sort.Sort(byKeys{s})
		return nil
	}
	sort.SliceStable(s.rows, func(i, j int) bool { return s.compare(s.rows[i], s.rows[j]) < 0 })
	return nil
}

func (s *sorter) add() error {
	if s.top == 0 {
		return nil
	}
	if s.top > 0 && len(s.rows) >= s.top && s.compareSlots(s.rows[0]) >= 0 {
		return nil // not better than the worst that is kept
	}
	row, err := s.l.save(s.r)
	if err != nil {
		return err
	}
	s.n++
	if s.top < 0 {
		s.rows = append(s.rows, row)
		return nil
	}
	heap.Push(worstFirst{s}, row)
	if len(s.rows) > s.top {
		old := heap.Pop(worstFirst{s}).(types.Row)
		for _, d := range old {
			s.r.free(d.SizeBytes())
		}
		s.r.free(24)
	}
	return nil
}

func (s *sorter) compare(a, b types.Row) int {
	for i := range s.keys {
		if c := compareKey(&s.keys[i], a[s.at[i]], b[s.at[i]]); c != 0 {
			return c
		}
	}
	return 0
}

// compareSlots compares the current registers with a saved row.
func (s *sorter) compareSlots(b types.Row) int {
	for i := range s.keys {
		if c := compareKey(&s.keys[i], s.r.Slots[s.keys[i].ID], b[s.at[i]]); c != 0 {
			return c
		}
	}
	return 0
}

func compareKey(k *bind.SortKey, a, b types.Datum) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull():
		return nullOrder(k.NullsFirst)
	case b.IsNull():
		return -nullOrder(k.NullsFirst)
	}
	c := types.Compare(a, b)
	if k.Desc {
		return -c
	}
	return c
}

func nullOrder(first bool) int {
	if first {
		return -1
	}
	return 1
}

// byKeys sorts the kept rows; worstFirst is the heap that keeps them.
type byKeys struct{ s *sorter }

func (b byKeys) Len() int { return len(b.s.rows) }
func (b byKeys) Less(i, j int) bool {
	c := b.s.compare(b.s.rows[i], b.s.rows[j])
	return c < 0 || c == 0 && b.s.seq[i] < b.s.seq[j]
}
func (b byKeys) Swap(i, j int) {
	b.s.rows[i], b.s.rows[j] = b.s.rows[j], b.s.rows[i]
	b.s.seq[i], b.s.seq[j] = b.s.seq[j], b.s.seq[i]
}

type worstFirst struct{ s *sorter }

func (h worstFirst) Len() int           { return len(h.s.rows) }
func (h worstFirst) Less(i, j int) bool { return byKeys(h).Less(j, i) }
func (h worstFirst) Swap(i, j int)      { byKeys(h).Swap(i, j) }
func (h worstFirst) Push(x any) {
	h.s.rows = append(h.s.rows, x.(types.Row))
	h.s.seq = append(h.s.seq, h.s.n)
}
func (h worstFirst) Pop() any {
	last := len(h.s.rows) - 1
	row := h.s.rows[last]
	h.s.rows, h.s.seq = h.s.rows[:last], h.s.seq[:last]
	return row
}

// Distinct drops rows whose registers On equal an earlier row's (First: the previous row's, over
// sorted input).
type Distinct struct {
	In    Node
	On    []bind.ColID
	First bool
}

type distinctCursor struct {
	n    *Distinct
	in   Cursor
	r    *Run
	seen *rowMap
	key  []types.Datum
}

// Open implements Node.
func (n *Distinct) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	return &distinctCursor{n: n, in: in, r: r, seen: newRowMap(), key: make([]types.Datum, len(n.On))}, err
}

// Explain implements Node.
func (n *Distinct) Explain() Explained {
	title := "HashAggregate (distinct)"
	if n.First {
		title = "Unique"
	}
	return Explained{Title: title, Kids: []Node{n.In}}
}

func (c *distinctCursor) Next() (bool, error) {
	for {
		ok, err := c.in.Next()
		if err != nil || !ok {
			return false, err
		}
		for i, id := range c.n.On {
			c.key[i] = c.r.Slots[id]
		}
		_, added, err := c.seen.addScratch(c.r, c.key)
		if err != nil || added {
			return added, err
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
}

func (c *distinctCursor) Close() { c.in.Close() }

// SortText describes keys for EXPLAIN.
func SortText(name string, k bind.SortKey) string {
	s := name
	if s == "" {
		s = fmt.Sprintf("@%d", k.ID)
	}
	if k.Desc {
		s += " DESC"
	}
	switch {
	case k.NullsFirst && !k.Desc:
		s += " NULLS FIRST"
	case !k.NullsFirst && k.Desc:
		s += " NULLS LAST"
	}
	return s
}
