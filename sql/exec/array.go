package exec

import (
	"sort"

	"github.com/cairndb/cairn/sql/types"
)

// rowArray keeps rows that are read by number, also while more are added: in memory, or beyond Run.WorkMem
// in a temporary file, cut into pieces of up to arrayPieceRows rows, of which a reader holds one.
type rowArray struct {
	r      *Run
	l      layout
	mem    account
	s      slab
	rows   []types.Row // while there is no file
	n      int
	file   *tempFile
	pieces []piece
	room   types.Row
}

// piece is where in the file a piece begins, and with which row.
type piece struct {
	row int
	at  int64
}

const (
	arrayPieceRows  = 64
	arrayPieceBytes = spillBlock
	pieceSize       = 16
)

func newRowArray(r *Run, l layout) *rowArray {
	return &rowArray{r: r, l: l, mem: account{r: r}, room: make(types.Row, max(len(l), 1))}
}

// add keeps the registers of the layout.
func (a *rowArray) add() error {
	if a.file != nil {
		for i, id := range a.l {
			a.room[i] = a.r.Slots[id]
		}
		return a.write(a.room[:len(a.l)])
	}
	row, size := a.s.save(a.r, a.l)
	return a.own(row, size)
}

// addRow keeps a row, which must not change afterwards.
func (a *rowArray) addRow(row types.Row) error {
	if a.file != nil {
		return a.write(row)
	}
	return a.own(row, rowSize(row))
}

func (a *rowArray) own(row types.Row, size int) error {
	a.rows = append(a.rows, row)
	a.n++
	if err := a.mem.add(size); err != nil || !a.mem.full() {
		return err
	}
	a.file = a.r.newTemp()
	rows := a.rows
	a.rows, a.n, a.s = nil, 0, slab{}
	a.mem.release()
	for _, row := range rows {
		if err := a.write(row); err != nil {
			return err
		}
	}
	return nil
}

func (a *rowArray) write(row types.Row) error {
	if k := len(a.pieces); k == 0 || a.n-a.pieces[k-1].row >= arrayPieceRows || a.file.size-a.pieces[k-1].at >= arrayPieceBytes {
		a.pieces = append(a.pieces, piece{a.n, a.file.size})
		if err := a.mem.add(pieceSize); err != nil {
			return err
		}
	}
	a.n++
	return a.file.append(row)
}

// close forgets the rows.
func (a *rowArray) close() {
	if a == nil {
		return
	}
	if a.file != nil {
		a.file.close()
	}
	a.rows, a.pieces = nil, nil
	a.mem.release()
}

// arrayReader reads rows of an array; near ones cheaply.
type arrayReader struct {
	a *rowArray
	// rows are those from first on.
	first int
	rows  []types.Row
}

// row is row i. It stays valid.
func (x *arrayReader) row(i int) (types.Row, error) {
	a := x.a
	if a.file == nil {
		return a.rows[i], nil
	}
	if i < x.first || i >= x.first+len(x.rows) {
		if err := x.read(i); err != nil {
			return nil, err
		}
	}
	return x.rows[i-x.first], nil
}

// read reads the piece of row i, as far as it is written.
func (x *arrayReader) read(i int) error {
	a := x.a
	k := sort.Search(len(a.pieces), func(k int) bool { return a.pieces[k].row > i }) - 1
	end, count := a.file.size, a.n-a.pieces[k].row
	if k+1 < len(a.pieces) {
		end, count = a.pieces[k+1].at, a.pieces[k+1].row-a.pieces[k].row
	}
	in := a.file.reader(a.pieces[k].at, end, spillBlock)
	x.first, x.rows = a.pieces[k].row, make([]types.Row, 0, count)
	var s slab
	for range count {
		row, err := in.next(&s, len(a.l))
		if err != nil {
			return err
		}
		x.rows = append(x.rows, row)
	}
	return nil
}

// load puts row i into the registers of the layout.
func (x *arrayReader) load(i int) error {
	row, err := x.row(i)
	if err == nil {
		x.a.l.load(x.a.r, row)
	}
	return err
}

// arrayCursor yields the rows of an array from one number to another into the registers of l.
type arrayCursor struct {
	arrayReader
	l      layout
	at, to int
}

func (a *rowArray) cursor(l layout, from, to int) Cursor {
	return &arrayCursor{arrayReader: arrayReader{a: a}, l: l, at: from, to: to}
}

// Next implements Cursor.
func (c *arrayCursor) Next() (bool, error) {
	if c.at >= c.to {
		return false, nil
	}
	row, err := c.row(c.at)
	if err != nil {
		return false, err
	}
	c.l.load(c.a.r, row)
	c.at++
	return true, c.a.r.tick()
}

// Close implements Cursor. The array is others'.
func (c *arrayCursor) Close() {}

// keySet tells rows of an array that have a key from those that are new. Of each key it holds the hash
// and the number of a row, hashIndexEntry bytes; the key itself is read again where a hash comes twice.
type keySet struct {
	hashIndex
	rows []int // the row of each hash
	mem  account
}

const hashIndexEntry = 8 + 8 + 8

// add notes that row has a key of this hash, unless same finds that a row has it already.
func (k *keySet) add(h uint64, row int, same func(row int) (bool, error)) (added bool, err error) {
	at, err := k.lookUp(h, func(i int) (bool, error) { return same(k.rows[i]) })
	if err != nil || at >= 0 {
		return false, err
	}
	k.insert(h)
	k.rows = append(k.rows, row)
	return true, k.mem.add(hashIndexEntry)
}

func (k *keySet) close() {
	k.hashIndex, k.rows = hashIndex{}, nil
	k.mem.release()
}
