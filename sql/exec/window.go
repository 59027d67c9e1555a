package exec

import (
	"slices"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// WindowFunc is one window function; New is set for aggregates.
type WindowFunc struct {
	ID           bind.ColID
	Name         string
	Args         []Eval
	ArgTypes     []types.T
	Filter       Eval
	Star, Strict bool
	New          func([]types.T) builtins.Aggregator
	Part         []bind.ColID
	Order        []bind.SortKey
	Frame        bind.Frame
	// StartOff and EndOff are numbers of rows or groups. In a RANGE they are distances, StartBound and
	// EndBound the values of RangeKey where the present row's frame begins and ends.
	StartOff, EndOff               Eval
	StartBound, EndBound, RangeKey Eval
}

// Window computes window functions over all of its input, those of one PARTITION BY and ORDER BY in one
// pass, one pass after the other:
//
//	input ─▶ sort ─▶ partition (rowArray) ─▶ sort ─▶ partition ─▶ …
//
// Both write to temporary files. Aggregates over a frame that only grows are carried along; other frames
// are computed anew for each row.
type Window struct {
	In    Node
	Cols  []bind.ColID
	Funcs []WindowFunc
}

// Explain implements Node.
func (n *Window) Explain() Explained { return Explained{Title: "WindowAgg", Kids: []Node{n.In}} }

// Open implements Node.
func (n *Window) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	if err != nil {
		return nil, err
	}
	l := slices.Clone(layout(n.Cols))
	for lo, hi := 0, 0; lo < len(n.Funcs); lo = hi {
		for hi = lo + 1; hi < len(n.Funcs) && n.Funcs[lo].sharesPass(&n.Funcs[hi]); {
			hi++
		}
		p := newWindowPass(r, slices.Clip(l), n.Funcs[lo:hi])
		err := p.sort(in)
		in.Close()
		if err != nil {
			p.Close()
			return nil, err
		}
		in = p
		for i := range n.Funcs[lo:hi] {
			l = append(l, n.Funcs[lo+i].ID)
		}
	}
	return in, nil
}

func (f *WindowFunc) sharesPass(o *WindowFunc) bool {
	return slices.Equal(f.Part, o.Part) && slices.Equal(f.Order, o.Order)
}

// windowPass yields the rows of its input in order, with the values of its functions.
type windowPass struct {
	r     *Run
	l     layout
	funcs []WindowFunc
	keys  []bind.SortKey // the first nPart are those of PARTITION BY
	at    []int          // where in the layout they are
	nPart int

	sorted *sorter
	from   int          // the first row of sorted that is in no partition yet
	merge  *mergeCursor // instead, if sorted spilled
	next   types.Row    // its first row of the next partition
	part   *partition
	vals   []types.Datum
}

func newWindowPass(r *Run, l layout, funcs []WindowFunc) *windowPass {
	p := &windowPass{r: r, l: l, funcs: funcs, nPart: len(funcs[0].Part), vals: make([]types.Datum, len(funcs))}
	for _, id := range funcs[0].Part {
		p.keys = append(p.keys, bind.SortKey{ID: id})
	}
	p.keys = append(p.keys, funcs[0].Order...)
	for _, k := range p.keys {
		p.at = append(p.at, slices.Index(l, k.ID))
	}
	return p
}

func (p *windowPass) sort(in Cursor) error {
	p.sorted = &sorter{r: p.r, l: p.l, keys: p.keys, at: p.at, top: -1, mem: account{r: p.r}}
	err := p.sorted.read(in)
	if err != nil || p.sorted.file == nil {
		return err
	}
	if p.merge, err = p.sorted.merge(); err == nil {
		p.next, err = p.merge.take()
	}
	return err
}

// same compares rows by some of the keys.
func (p *windowPass) same(a, b types.Row, from, to int) bool {
	for i := from; i < to; i++ {
		if compareKey(&p.keys[i], a[p.at[i]], b[p.at[i]]) != 0 {
			return false
		}
	}
	return true
}

// Next implements Cursor.
func (p *windowPass) Next() (bool, error) {
	for p.part == nil || p.part.at >= p.part.rows.n {
		if p.part != nil {
			p.part.rows.close()
			p.part = nil
		}
		rows, err := p.take()
		if rows == nil || err != nil {
			return false, err
		}
		if p.part, err = newPartition(p, rows); err != nil {
			return false, err
		}
	}
	if err := p.part.compute(p.vals); err != nil {
		return false, err
	}
	for i := range p.funcs {
		p.r.Slots[p.funcs[i].ID] = p.vals[i]
	}
	return true, p.r.tick()
}

// take is the next partition's rows, nil if there is none.
func (p *windowPass) take() (*rowArray, error) {
	if p.merge != nil {
		return p.takeMerged()
	}
	rows := p.sorted.rows[p.from:]
	if len(rows) == 0 {
		return nil, nil
	}
	n := 1
	for n < len(rows) && p.same(rows[0], rows[n], 0, p.nPart) {
		n++
	}
	p.from += n
	return &rowArray{r: p.r, l: p.l, mem: account{r: p.r}, rows: rows[:n], n: n}, nil
}

func (p *windowPass) takeMerged() (*rowArray, error) {
	first := p.next
	if first == nil {
		return nil, nil
	}
	rows := newRowArray(p.r, p.l)
	for row := first; ; {
		if err := rows.addRow(row); err != nil {
			return rows, err
		}
		var err error
		if row, err = p.merge.take(); err != nil {
			return rows, err
		}
		if p.next = row; row == nil || !p.same(first, row, 0, p.nPart) {
			return rows, nil
		}
	}
}

// Close implements Cursor.
func (p *windowPass) Close() {
	if p.part != nil {
		p.part.rows.close()
		p.part = nil
	}
	if p.merge != nil {
		p.merge.Close()
	}
	p.sorted.rows = nil
	p.sorted.mem.release()
}

// partition is the rows of one PARTITION BY value in order, of which at is the present one.
type partition struct {
	p    *windowPass
	rows *rowArray
	at   int
	// peers is the present row's group of equals in the order, as [begin, end); dense counts the groups.
	peers  [2]int
	dense  int64
	row    arrayReader // reads the present row
	ahead  arrayReader // looks for the end of the peers
	frames []frame
}

// frame is one function's at the present row. Readers are apart since they are at different places.
type frame struct {
	fn *WindowFunc
	// offsets of ROWS and GROUPS.
	startOff, endOff int
	in, arg          arrayReader
	// start and end find the bounds of RANGE and GROUPS.
	start, end seeker

	// The aggregate has been given the rows before next of a frame that grows, to which last was the end.
	agg        builtins.Aggregator
	count      int64
	next, last int
	value      types.Datum
}

func newPartition(p *windowPass, rows *rowArray) (*partition, error) {
	reader := arrayReader{a: rows}
	x := &partition{p: p, rows: rows, row: reader, ahead: reader, frames: make([]frame, len(p.funcs))}
	if err := x.row.load(0); err != nil {
		return nil, err
	}
	for i := range x.frames {
		f := &x.frames[i]
		*f = frame{fn: &p.funcs[i], in: reader, arg: reader, last: -1, start: seeker{reader: reader}, end: seeker{reader: reader}}
		var err error
		if f.startOff, err = f.fn.offset(p.r, f.fn.StartOff, "starting"); err != nil {
			return nil, err
		}
		if f.endOff, err = f.fn.offset(p.r, f.fn.EndOff, "ending"); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// offset computes a number of rows or groups, or checks a distance, which depend on no row.
func (f *WindowFunc) offset(r *Run, e Eval, which string) (int, error) {
	if e == nil {
		return 0, nil
	}
	d, err := e(r)
	switch {
	case err != nil:
		return 0, err
	case d.IsNull():
		return 0, sqlerr.New(sqlerr.NullValueNotAllowed, "frame %s offset must not be null", which)
	case f.RangeKey != nil && types.Compare(d, f.Frame.Zero) < 0:
		return 0, sqlerr.New(sqlerr.InvalidPrecedingOrFollowingSize, "invalid preceding or following size in window function")
	case f.RangeKey != nil:
		return 0, nil
	case d.Int() < 0:
		return 0, sqlerr.New(sqlerr.InvalidPrecedingOrFollowingSize, "frame %s offset must not be negative", which)
	}
	return int(min(d.Int(), 1<<40)), nil
}

// compute computes the values of the present row, loads it, and goes on to the next.
func (x *partition) compute(vals []types.Datum) error {
	if x.at >= x.peers[1] {
		if err := x.nextPeers(); err != nil {
			return err
		}
	}
	for i := range x.frames {
		f := &x.frames[i]
		var err error
		if f.fn.New != nil || f.fn.Star {
			vals[i], err = x.aggregate(f)
		} else {
			vals[i], err = x.value(f)
		}
		if err != nil {
			return err
		}
	}
	err := x.row.load(x.at)
	x.at++
	return err
}

func (x *partition) nextPeers() error {
	first, err := x.row.row(x.at)
	if err != nil {
		return err
	}
	end := x.at + 1
	for ; end < x.rows.n; end++ {
		row, err := x.ahead.row(end)
		if err != nil {
			return err
		}
		if !x.p.same(first, row, x.p.nPart, len(x.p.keys)) {
			break
		}
		if err := x.p.r.tick(); err != nil {
			return err
		}
	}
	x.peers = [2]int{x.at, end}
	x.dense++
	return nil
}

// arg computes an argument over some row.
func (x *partition) arg(f *frame, row, a int) (types.Datum, error) {
	if err := f.arg.load(row); err != nil {
		return types.Null, err
	}
	return f.fn.Args[a](x.p.r)
}

func (x *partition) value(f *frame) (types.Datum, error) {
	i, n := x.at, x.rows.n
	switch f.fn.Name {
	case "row_number":
		return types.NewInt(int64(i + 1)), nil
	case "rank":
		return types.NewInt(int64(x.peers[0] + 1)), nil
	case "dense_rank":
		return types.NewInt(x.dense), nil
	case "percent_rank":
		if n == 1 {
			return types.NewFloat(0), nil
		}
		return types.NewFloat(float64(x.peers[0]) / float64(n-1)), nil
	case "cume_dist":
		return types.NewFloat(float64(x.peers[1]) / float64(n)), nil
	case "ntile":
		return x.ntile(f)
	case "lag", "lead":
		return x.shifted(f)
	}
	return x.frameValue(f)
}

func (x *partition) ntile(f *frame) (types.Datum, error) {
	d, err := x.arg(f, 0, 0)
	if err != nil || d.IsNull() {
		return types.Null, err
	}
	k := d.Int()
	if k <= 0 {
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForNtile, "argument of ntile must be greater than zero")
	}
	n := int64(x.rows.n)
	size, extra := n/k, n%k
	at := int64(x.at)
	if at < extra*(size+1) {
		return types.NewInt(at/(size+1) + 1), nil
	}
	return types.NewInt((at-extra*(size+1))/max(size, 1) + extra + 1), nil
}

func (x *partition) shifted(f *frame) (types.Datum, error) {
	off := int64(1)
	if len(f.fn.Args) > 1 {
		d, err := x.arg(f, x.at, 1)
		if err != nil || d.IsNull() {
			return types.Null, err
		}
		off = d.Int()
	}
	if f.fn.Name == "lag" {
		off = -off
	}
	j := int64(x.at) + off
	if j >= 0 && j < int64(x.rows.n) {
		return x.arg(f, int(j), 0)
	}
	if len(f.fn.Args) > 2 {
		return x.arg(f, x.at, 2)
	}
	return types.Null, nil
}

func (x *partition) frameValue(f *frame) (types.Datum, error) {
	lo, hi, err := x.bounds(f)
	if err != nil {
		return types.Null, err
	}
	step, left := 1, int64(1)
	switch f.fn.Name {
	case "last_value":
		lo, hi, step = hi-1, lo-1, -1
	case "nth_value":
		d, err := x.arg(f, x.at, 1)
		if err != nil || d.IsNull() {
			return types.Null, err
		}
		if left = d.Int(); left <= 0 {
			return types.Null, sqlerr.New(sqlerr.InvalidArgumentForNthValue, "argument of nth_value must be greater than zero")
		}
	}
	if f.fn.Frame.Exclude == bind.ExcludeNothing && step > 0 {
		lo, left = lo+int(min(left-1, int64(x.rows.n))), 1
	}
	for j := lo; (hi-j)*step > 0; j += step {
		if x.excluded(f, j) {
			continue
		}
		if left--; left == 0 {
			return x.arg(f, j, 0)
		}
	}
	return types.Null, nil
}

// excluded says whether a row of the frame is left out of it.
func (x *partition) excluded(f *frame, j int) bool {
	peer := j >= x.peers[0] && j < x.peers[1]
	switch f.fn.Frame.Exclude {
	case bind.ExcludeCurrentRow:
		return j == x.at
	case bind.ExcludeGroup:
		return peer
	case bind.ExcludeTies:
		return peer && j != x.at
	}
	return false
}

// bounds is the frame of the present row as [lo, hi), without regard to EXCLUDE.
func (x *partition) bounds(f *frame) (lo, hi int, err error) {
	fr := &f.fn.Frame
	switch fr.Start {
	case bind.CurrentRow:
		lo = x.peers[0]
		if fr.Rows {
			lo = x.at
		}
	case bind.OffsetPreceding:
		lo, err = x.offsetBound(f, &f.start, -f.startOff, false)
	case bind.OffsetFollowing:
		lo, err = x.offsetBound(f, &f.start, f.startOff, false)
	}
	if err != nil {
		return 0, 0, err
	}
	switch fr.End {
	case bind.UnboundedFollowing:
		hi = x.rows.n
	case bind.CurrentRow:
		hi = x.peers[1]
		if fr.Rows {
			hi = x.at + 1
		}
	case bind.OffsetPreceding:
		hi, err = x.offsetBound(f, &f.end, -f.endOff, true)
	case bind.OffsetFollowing:
		hi, err = x.offsetBound(f, &f.end, f.endOff, true)
	}
	lo, hi = max(lo, 0), min(hi, x.rows.n)
	return lo, max(hi, lo), err
}

// offsetBound is where a frame begins, or, if end, the row after its last.
func (x *partition) offsetBound(f *frame, s *seeker, off int, end bool) (int, error) {
	switch fr := &f.fn.Frame; {
	case fr.Rows && end:
		return x.at + off + 1, nil
	case fr.Rows:
		return x.at + off, nil
	case fr.Groups:
		return s.group(x, int(x.dense-1)+off, end)
	case end:
		return s.distance(x, f.fn.EndBound, f, end)
	}
	return s.distance(x, f.fn.StartBound, f, end)
}

// seeker finds a bound, which goes forward only with the present row.
type seeker struct {
	reader arrayReader
	// at is the bound of the last row; in GROUPS it is where the group of this number begins.
	at, number int
}

// group is where a group begins or ends.
func (s *seeker) group(x *partition, number int, end bool) (int, error) {
	if end {
		number++
	}
	for s.number < number && s.at < x.rows.n {
		first, err := s.reader.row(s.at)
		if err != nil {
			return 0, err
		}
		for s.at++; s.at < x.rows.n; s.at++ {
			row, err := s.reader.row(s.at)
			if err != nil {
				return 0, err
			}
			if !x.p.same(first, row, x.p.nPart, len(x.p.keys)) {
				break
			}
			if err := x.p.r.tick(); err != nil {
				return 0, err
			}
		}
		s.number++
	}
	return s.at, nil
}

// distance is the first row whose key is not before the bound, or, for an end, is after it.
func (s *seeker) distance(x *partition, bound Eval, f *frame, end bool) (int, error) {
	k := &f.fn.Order[0]
	if err := x.row.load(x.at); err != nil {
		return 0, err
	}
	limit, err := bound(x.p.r)
	if err != nil {
		return 0, err
	}
	if limit.IsNull() { // the present row's key is: its peers are its frame
		if end {
			return x.peers[1], nil
		}
		return x.peers[0], nil
	}
	for ; s.at < x.rows.n; s.at++ {
		if err := s.reader.load(s.at); err != nil {
			return 0, err
		}
		key, err := f.fn.RangeKey(x.p.r)
		if err != nil {
			return 0, err
		}
		if c := compareKey(k, key, limit); c > 0 || c == 0 && !end {
			break
		}
		if err := x.p.r.tick(); err != nil {
			return 0, err
		}
	}
	return s.at, nil
}

// aggregate computes an aggregate over the present row's frame.
func (x *partition) aggregate(f *frame) (types.Datum, error) {
	lo, hi, err := x.bounds(f)
	if err != nil {
		return types.Null, err
	}
	grows := f.fn.Frame.Start == bind.UnboundedPreceding && f.fn.Frame.Exclude == bind.ExcludeNothing
	if !grows || f.last < 0 {
		f.count, f.next, f.last = 0, lo, -1
		if !f.fn.Star {
			f.agg = f.fn.New(f.fn.ArgTypes)
		}
	}
	for ; f.next < hi; f.next++ {
		if x.excluded(f, f.next) {
			continue
		}
		if err := x.add(f); err != nil {
			return types.Null, err
		}
		if err := x.p.r.tick(); err != nil {
			return types.Null, err
		}
	}
	if grows && f.last == hi {
		return f.value, nil
	}
	f.last = hi
	if f.fn.Star {
		f.value = types.NewInt(f.count)
	} else {
		f.value, err = f.agg.Result(x.p.r.EC)
	}
	return f.value, err
}

func (x *partition) add(f *frame) error {
	if err := f.in.load(f.next); err != nil {
		return err
	}
	r := x.p.r
	if f.fn.Filter != nil {
		ok, err := evalBool(r, f.fn.Filter)
		if err != nil || !ok {
			return err
		}
	}
	f.count++
	if f.fn.Star {
		return nil
	}
	args := make([]types.Datum, len(f.fn.Args))
	for i, a := range f.fn.Args {
		d, err := a(r)
		if err != nil {
			return err
		}
		if d.IsNull() && f.fn.Strict {
			return nil
		}
		args[i] = d
	}
	return f.agg.Add(r.EC, args)
}
