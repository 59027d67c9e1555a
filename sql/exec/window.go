package exec

import (
	"sort"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// WindowFunc is one window function; New is set for aggregates.
type WindowFunc struct {
	ID               bind.ColID
	Name             string
	Args             []Eval
	ArgTypes         []types.T
	Filter           Eval
	Star, Strict     bool
	New              func([]types.T) builtins.Aggregator
	Part             []bind.ColID
	Order            []bind.SortKey
	Frame            bind.Frame
	StartOff, EndOff Eval
}

// Window computes window functions over all of its input. Aggregates over a frame that only grows
// are carried along; other frames are computed anew for each row.
type Window struct {
	In    Node
	Cols  []bind.ColID
	Funcs []WindowFunc
}

// Explain implements Node.
func (n *Window) Explain() Explained { return Explained{Title: "WindowAgg", Kids: []Node{n.In}} }

// Open implements Node.
func (n *Window) Open(r *Run) (Cursor, error) {
	rows, err := layout(n.Cols).drain(r, n.In)
	if err != nil {
		return nil, err
	}
	w := &windower{n: n, r: r, rows: rows, out: make([][]types.Datum, len(rows))}
	for i := range w.out {
		w.out[i] = make([]types.Datum, len(n.Funcs))
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	for f := range n.Funcs {
		if order, err = w.compute(f, order); err != nil {
			return nil, err
		}
	}
	return &windowCursor{w: w, order: order}, nil
}

type windower struct {
	n    *Window
	r    *Run
	rows []types.Row
	out  [][]types.Datum
}

type windowCursor struct {
	w     *windower
	order []int
	at    int
}

func (c *windowCursor) Next() (bool, error) {
	if c.at >= len(c.order) {
		return false, nil
	}
	i := c.order[c.at]
	c.at++
	layout(c.w.n.Cols).load(c.w.r, c.w.rows[i])
	for f, d := range c.w.out[i] {
		c.w.r.Slots[c.w.n.Funcs[f].ID] = d
	}
	return true, nil
}

func (c *windowCursor) Close() {}

// place finds a register in the saved rows.
func (w *windower) place(id bind.ColID) int {
	for i, c := range w.n.Cols {
		if c == id {
			return i
		}
	}
	panic("exec: window column is not saved")
}

// compute orders the rows by partition and order of one function, and computes it per partition.
func (w *windower) compute(f int, order []int) ([]int, error) {
	fn := &w.n.Funcs[f]
	var keys []bind.SortKey
	for _, id := range fn.Part {
		keys = append(keys, bind.SortKey{ID: id})
	}
	nPart := len(keys)
	keys = append(keys, fn.Order...)
	at := make([]int, len(keys))
	for i, k := range keys {
		at[i] = w.place(k.ID)
	}
	cmp := func(a, b, from, to int) int {
		for i := from; i < to; i++ {
			if c := compareKey(&keys[i], w.rows[a][at[i]], w.rows[b][at[i]]); c != 0 {
				return c
			}
		}
		return 0
	}
	sorted := append([]int(nil), order...)
	sort.SliceStable(sorted, func(i, j int) bool { return cmp(sorted[i], sorted[j], 0, len(keys)) < 0 })
	for lo := 0; lo < len(sorted); {
		hi := lo + 1
		for hi < len(sorted) && cmp(sorted[lo], sorted[hi], 0, nPart) == 0 {
			hi++
		}
		p := &partition{w: w, f: f, fn: fn, rows: sorted[lo:hi]}
		p.peers = p.findPeers(func(a, b int) bool { return cmp(a, b, nPart, len(keys)) == 0 })
		if err := p.compute(); err != nil {
			return nil, err
		}
		lo = hi
	}
	return sorted, nil
}

// partition is the rows of one PARTITION BY value in order. peers[i] is where row i's group of
// equals in the order begins and ends.
type partition struct {
	w     *windower
	f     int
	fn    *WindowFunc
	rows  []int
	peers [][2]int
}

func (p *partition) findPeers(equal func(a, b int) bool) [][2]int {
	out := make([][2]int, len(p.rows))
	for lo := 0; lo < len(p.rows); {
		hi := lo + 1
		for hi < len(p.rows) && equal(p.rows[lo], p.rows[hi]) {
			hi++
		}
		for i := lo; i < hi; i++ {
			out[i] = [2]int{lo, hi}
		}
		lo = hi
	}
	return out
}

func (p *partition) load(i int) { layout(p.w.n.Cols).load(p.w.r, p.w.rows[p.rows[i]]) }

func (p *partition) set(i int, d types.Datum) { p.w.out[p.rows[i]][p.f] = d }

func (p *partition) arg(row, a int) (types.Datum, error) {
	p.load(row)
	return p.fn.Args[a](p.w.r)
}

func (p *partition) compute() error {
	if p.fn.New != nil || p.fn.Star {
		return p.aggregate()
	}
	dense := int64(0)
	for i := range p.rows {
		if p.peers[i][0] == i {
			dense++
		}
		d, err := p.value(i, dense)
		if err != nil {
			return err
		}
		p.set(i, d)
		if err := p.w.r.tick(); err != nil {
			return err
		}
	}
	return nil
}

func (p *partition) value(i int, dense int64) (types.Datum, error) {
	n := len(p.rows)
	switch p.fn.Name {
	case "row_number":
		return types.NewInt(int64(i + 1)), nil
	case "rank":
		return types.NewInt(int64(p.peers[i][0] + 1)), nil
	case "dense_rank":
		return types.NewInt(dense), nil
	case "percent_rank":
		if n == 1 {
			return types.NewFloat(0), nil
		}
		return types.NewFloat(float64(p.peers[i][0]) / float64(n-1)), nil
	case "cume_dist":
		return types.NewFloat(float64(p.peers[i][1]) / float64(n)), nil
	case "ntile":
		return p.ntile(i)
	case "lag", "lead":
		return p.shifted(i)
	}
	return p.frameValue(i)
}

func (p *partition) ntile(i int) (types.Datum, error) {
	d, err := p.arg(0, 0)
	if err != nil || d.IsNull() {
		return types.Null, err
	}
	k := d.Int()
	if k <= 0 {
		return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "argument of ntile must be greater than zero")
	}
	n := int64(len(p.rows))
	size, extra := n/k, n%k
	at := int64(i)
	if at < extra*(size+1) {
		return types.NewInt(at/(size+1) + 1), nil
	}
	return types.NewInt((at-extra*(size+1))/max(size, 1) + extra + 1), nil
}

func (p *partition) shifted(i int) (types.Datum, error) {
	off := int64(1)
	if len(p.fn.Args) > 1 {
		d, err := p.arg(i, 1)
		if err != nil || d.IsNull() {
			return types.Null, err
		}
		off = d.Int()
	}
	if p.fn.Name == "lag" {
		off = -off
	}
	j := int64(i) + off
	if j >= 0 && j < int64(len(p.rows)) {
		return p.arg(int(j), 0)
	}
	if len(p.fn.Args) > 2 {
		return p.arg(i, 2)
	}
	return types.Null, nil
}

func (p *partition) frameValue(i int) (types.Datum, error) {
	lo, hi, err := p.bounds(i)
	if err != nil || lo >= hi {
		return types.Null, err
	}
	switch p.fn.Name {
	case "first_value":
		return p.arg(lo, 0)
	case "last_value":
		return p.arg(hi-1, 0)
	}
	d, err := p.arg(i, 1)
	if err != nil || d.IsNull() {
		return types.Null, err
	}
	if d.Int() <= 0 {
		return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "argument of nth_value must be greater than zero")
	}
	if j := lo + int(d.Int()) - 1; j < hi {
		return p.arg(j, 0)
	}
	return types.Null, nil
}

// bounds is the frame of row i as [lo, hi).
func (p *partition) bounds(i int) (lo, hi int, err error) {
	f := &p.fn.Frame
	n := len(p.rows)
	off := func(e Eval) (int, error) {
		p.load(i)
		d, err := e(p.w.r)
		if err == nil && (d.IsNull() || d.Int() < 0) {
			err = sqlerr.New(sqlerr.InvalidPrecedingOrFollowingSize, "frame starting or ending offset must not be null or negative")
		}
		return int(min(d.Int(), 1<<40)), err
	}
	k := 0
	switch f.Start {
	case bind.CurrentRow:
		lo = i
		if !f.Rows {
			lo = p.peers[i][0]
		}
	case bind.OffsetPreceding, bind.OffsetFollowing:
		if k, err = off(p.fn.StartOff); err != nil {
			return 0, 0, err
		}
		if f.Start == bind.OffsetPreceding {
			k = -k
		}
		lo = i + k
	}
	switch f.End {
	case bind.UnboundedFollowing:
		hi = n
	case bind.CurrentRow:
		hi = i + 1
		if !f.Rows {
			hi = p.peers[i][1]
		}
	default:
		if k, err = off(p.fn.EndOff); err != nil {
			return 0, 0, err
		}
		if f.End == bind.OffsetPreceding {
			k = -k
		}
		hi = i + k + 1
	}
	return max(lo, 0), min(hi, n), nil
}

// aggregate computes an aggregate over each row's frame.
func (p *partition) aggregate() error {
	var agg builtins.Aggregator
	count, at, last := int64(0), 0, -1
	grows := p.fn.Frame.Start == bind.UnboundedPreceding
	for i := range p.rows {
		lo, hi, err := p.bounds(i)
		if err != nil {
			return err
		}
		if !grows || i == 0 {
			count, at = 0, lo
			last = -1
			if !p.fn.Star {
				agg = p.fn.New(p.fn.ArgTypes)
			}
		}
		for ; at < hi; at++ {
			if err := p.add(agg, at, &count); err != nil {
				return err
			}
		}
		if grows && last == hi && i > 0 {
			p.set(i, p.w.out[p.rows[i-1]][p.f])
			continue
		}
		last = hi
		if p.fn.Star {
			p.set(i, types.NewInt(count))
			continue
		}
		d, err := agg.Result(p.w.r.EC)
		if err != nil {
			return err
		}
		p.set(i, d)
		if err := p.w.r.tick(); err != nil {
			return err
		}
	}
	return nil
}

func (p *partition) add(agg builtins.Aggregator, row int, count *int64) error {
	p.load(row)
	if p.fn.Filter != nil {
		ok, err := evalBool(p.w.r, p.fn.Filter)
		if err != nil || !ok {
			return err
		}
	}
	*count++
	if p.fn.Star {
		return nil
	}
	args := make([]types.Datum, len(p.fn.Args))
	for i, a := range p.fn.Args {
		d, err := a(p.w.r)
		if err != nil {
			return err
		}
		if d.IsNull() && p.fn.Strict {
			return nil
		}
		args[i] = d
	}
	return agg.Add(p.w.r.EC, args)
}
