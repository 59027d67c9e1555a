package exec

import (
	"container/heap"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// Sort orders its input. With Top it keeps only the first rows; without keys all in their order, so that
// what is above begins when all has been read.
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
	s := &sorter{r: r, l: n.Cols, keys: n.Keys, at: n.keyPlaces(), top: -1, mem: account{r: r}}
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
	return s.cursor()
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
	if len(n.Keys) == 0 {
		return Explained{Title: "Materialize", Kids: []Node{n.In}}
	}
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
	mem  account
	slab slab
	// runs are sorted parts in a file, from ends[i-1] to ends[i].
	file *tempFile
	ends []int64
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
	if s.file != nil {
		if err := s.writeRun(); err != nil {
			return err
		}
		return s.file.finish()
	}
	s.order()
	return nil
}

func (s *sorter) order() {
	if s.top >= 0 {
		sort.Sort(byKeys{s})
		return
	}
	slices.SortStableFunc(s.rows, s.compare)
}

// writeRun puts what is in memory, in order, into the file.
func (s *sorter) writeRun() error {
	if s.file == nil {
		s.file = s.r.newTemp()
	}
	s.order()
	s.top = -1 // of more rows than there is room for, all are sorted
	for _, row := range s.rows {
		if err := s.file.append(row); err != nil {
			return err
		}
	}
	s.ends = append(s.ends, s.file.size)
	s.rows, s.seq, s.slab = nil, nil, slab{}
	s.mem.release()
	return nil
}

// cursor yields the rows in order.
func (s *sorter) cursor() (Cursor, error) {
	if s.file == nil {
		return &sortedCursor{rowsCursor{r: s.r, l: s.l, rows: s.rows}, s}, nil
	}
	return s.merge()
}

// merge merges the runs.
func (s *sorter) merge() (*mergeCursor, error) {
	m := &mergeCursor{s: s}
	from := int64(0)
	for _, to := range s.ends {
		x := &sortedRun{in: s.file.reader(from, to, min(max(int(s.r.WorkMem)/len(s.ends), 4<<10), spillBlock)), number: len(m.runs)}
		from = to
		ok, err := m.advance(x)
		if err != nil {
			return nil, err
		}
		if ok {
			m.runs = append(m.runs, x)
		}
	}
	heap.Init(m)
	return m, nil
}

type sortedCursor struct {
	rowsCursor
	s *sorter
}

// Close implements Cursor.
func (c *sortedCursor) Close() {
	c.rows, c.s.rows = nil, nil
	c.s.mem.release()
}

// sortedRun is a run that is being merged; row is its first that has not been yielded.
type sortedRun struct {
	in     *tempReader
	slab   slab
	row    types.Row
	number int
}

// mergeCursor merges runs, as a heap by their first rows; of equal rows the earlier run's come first.
type mergeCursor struct {
	s    *sorter
	runs []*sortedRun
}

func (m *mergeCursor) advance(x *sortedRun) (bool, error) {
	var err error
	x.row, err = x.in.next(&x.slab, len(m.s.l))
	return x.row != nil, err
}

// Next implements Cursor.
func (m *mergeCursor) Next() (bool, error) {
	row, err := m.take()
	if row == nil || err != nil {
		return false, err
	}
	m.s.l.load(m.s.r, row)
	return true, nil
}

// take is the next row, nil at the end.
func (m *mergeCursor) take() (types.Row, error) {
	if len(m.runs) == 0 {
		return nil, nil
	}
	x := m.runs[0]
	row := x.row
	ok, err := m.advance(x)
	if err != nil {
		return nil, err
	}
	if ok {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return row, m.s.r.tick()
}

// Close implements Cursor.
func (m *mergeCursor) Close() { m.s.file.close() }

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (m *mergeCursor) Len() int { return len(m.runs) }
func (m *mergeCursor) Less(i, j int) bool {
	c := m.s.compare(m.runs[i].row, m.runs[j].row)
	return c < 0 || c == 0 && m.runs[i].number < m.runs[j].number
}
func (m *mergeCursor) Swap(i, j int) { m.runs[i], m.runs[j] = m.runs[j], m.runs[i] }
func (m *mergeCursor) Push(x any)    { m.runs = append(m.runs, x.(*sortedRun)) }
func (m *mergeCursor) Pop() any {
	last := len(m.runs) - 1
	x := m.runs[last]
	m.runs = m.runs[:last]
	return x
}

func (s *sorter) add() error {
	if s.top == 0 {
		return nil
	}
	if s.top > 0 && len(s.rows) >= s.top && s.compareSlots(s.rows[0]) >= 0 {
		return nil // not better than the worst that is kept
	}
	from := &s.slab
	if s.top >= 0 { // a row that stays would keep its neighbours
		from = &slab{rows: make([]types.Datum, len(s.l))}
	}
	row, size := from.save(s.r, s.l)
	if err := s.mem.add(size); err != nil {
		return err
	}
	s.n++
	if s.top < 0 {
		s.rows = append(s.rows, row)
	} else {
		s.addTop(row)
	}
	if s.mem.full() {
		return s.writeRun()
	}
	return nil
}

// addTop keeps a row among the best, and drops the worst of them.
func (s *sorter) addTop(row types.Row) {
	heap.Push(worstFirst{s}, row)
	if len(s.rows) > s.top {
		old := heap.Pop(worstFirst{s}).(types.Row)
		s.mem.used -= int64(rowSize(old))
		s.r.free(rowSize(old))
	}
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
