package exec

import (
	"sync/atomic"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// What operators hold is counted three times over (I3):
//
//	operator   account: past Run.WorkMem it writes to a temporary file, if it can (spill.go)
//	statement  Run.hold: past Run.MemoryMax the statement fails with 53200
//	node       Pool: past its limit whoever asks fails with 53200; asked in large steps
//
// Sizes are guesses of what rows keep alive: their values, texts copied out of the answers they came
// in, and the tables that find them.

// Pool is what the statements of a node share. A nil Pool has no limit.
type Pool struct {
	max  int64
	used atomic.Int64
}

// NewPool makes a Pool of so many bytes; 0 or less is no limit.
func NewPool(max int64) *Pool { return &Pool{max: max} }

// Used is what statements have taken.
func (p *Pool) Used() int64 { return p.used.Load() }

// poolStep is what a statement takes from the pool at least, so that few rows touch it.
const poolStep = 256 << 10

// hold accounts for memory, I3.
func (r *Run) hold(bytes int) error {
	r.held += int64(bytes)
	if limit := r.MemoryMax; r.held > limit && limit > 0 {
		return sqlerr.New(sqlerr.OutOfMemory, "out of memory").
			WithDetail("The statement needs more than its limit of %d bytes.", limit).
			WithHint("Add a condition, an index or a LIMIT, or raise cairn.statement_mem.")
	}
	if r.held > r.pooled && r.Pool != nil {
		return r.take()
	}
	return nil
}

// Keep counts a row that somebody holds until the statement ends.
func (r *Run) Keep(row types.Row) error { return r.hold(rowSize(row)) }

// take has the pool cover what is held.
func (r *Run) take() error {
	want := max(r.held-r.pooled, poolStep)
	if used := r.Pool.used.Add(want); used > r.Pool.max && r.Pool.max > 0 {
		r.Pool.used.Add(-want)
		return sqlerr.New(sqlerr.OutOfMemory, "out of memory").
			WithDetail("The statements of this node need more than its limit of %d bytes.", r.Pool.max).
			WithHint("Run fewer statements at a time, or lower work_mem.")
	}
	r.pooled += want
	return nil
}

func (r *Run) free(bytes int) { r.held -= int64(bytes) }

// Done gives back what the statement had. It may run again after Reset.
func (r *Run) Done() {
	r.Quiesce()
	if r.Pool != nil && r.pooled > 0 {
		r.Pool.used.Add(-r.pooled)
	}
	r.held, r.pooled = 0, 0
	if r.spill.f != nil {
		r.spill.f.Close()
	}
	r.spill, r.tempBytes = spillFile{}, 0
}

// account is one operator's.
type account struct {
	r    *Run
	used int64
}

func (a *account) add(bytes int) error {
	a.used += int64(bytes)
	return a.r.hold(bytes)
}

// full says that the operator should spill.
func (a *account) full() bool { return a.used > a.r.WorkMem && a.r.WorkMem > 0 }

// release forgets all of it.
func (a *account) release() {
	a.r.free(int(a.used))
	a.used = 0
}

// slab makes rows of one width without an allocation each, and copies texts out of the answers that
// they came in: a saved row would keep the whole megabyte.
type slab struct {
	rows []types.Datum
	text []byte
	next int
}

const (
	slabRowsFirst = 1
	slabRowsMax   = 512
)

func (s *slab) row(width int) types.Row {
	if width == 0 {
		return types.Row{}
	}
	if len(s.rows) < width {
		s.next = min(max(s.next*2, slabRowsFirst), slabRowsMax)
		s.rows = make([]types.Datum, width*s.next)
	}
	row := s.rows[:width:width]
	s.rows = s.rows[width:]
	return row
}

// save copies the registers of a layout into a new row and says how much it takes.
func (s *slab) save(r *Run, l layout) (types.Row, int) {
	row := s.row(len(l))
	size := 24
	for i, id := range l {
		row[i], s.text = r.Slots[id].OwnText(s.text)
		size += row[i].SizeBytes()
	}
	return row, size
}

// own copies values.
func (s *slab) own(ds []types.Datum) (types.Row, int) {
	row := s.row(len(ds))
	size := 24
	for i, d := range ds {
		row[i], s.text = d.OwnText(s.text)
		size += row[i].SizeBytes()
	}
	return row, size
}
