package exec

import "github.com/cairndb/cairn/sql/types"

// rowStore keeps rows that are read several times: in memory, or beyond Run.WorkMem in a temporary file.
type rowStore struct {
	l    layout
	mem  account
	s    slab
	rows []types.Row
	file *tempFile
}

// keep stores all rows of a node.
func (r *Run) keep(l layout, n Node) (*rowStore, error) {
	st := &rowStore{l: l, mem: account{r: r}}
	in, err := n.Open(r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	room := make(types.Row, len(l))
	for {
		ok, err := in.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if err := st.add(r, room); err != nil {
			return nil, err
		}
	}
	if st.file != nil {
		err = st.file.finish()
	}
	return st, err
}

func (st *rowStore) add(r *Run, room types.Row) error {
	if st.file != nil {
		return st.file.save(st.l, room)
	}
	row, size := st.s.save(r, st.l)
	st.rows = append(st.rows, row)
	if err := st.mem.add(size); err != nil || !st.mem.full() {
		return err
	}
	st.file = r.newTemp()
	for _, row := range st.rows {
		if err := st.file.append(row); err != nil {
			return err
		}
	}
	st.rows, st.s = nil, slab{}
	st.mem.release()
	return nil
}

// cursor reads the rows from the first on, into the registers of l.
func (st *rowStore) cursor(r *Run, l layout) Cursor {
	if st.file == nil {
		return &rowsCursor{r: r, l: l, rows: st.rows}
	}
	return &storeCursor{tempCursor{r: r, l: l, in: st.file.reader(0, st.file.size, spillBlock)}}
}

// close forgets the rows.
func (st *rowStore) close() {
	if st == nil {
		return
	}
	if st.file != nil {
		st.file.close()
	}
	st.rows = nil
	st.mem.release()
}

// storeCursor leaves the file to others.
type storeCursor struct{ tempCursor }

// Close implements Cursor.
func (c *storeCursor) Close() {}
