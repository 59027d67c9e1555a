package exec

import (
	"fmt"
	"strings"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// OneRow yields one row without columns.
type OneRow struct{}

type oneRowCursor struct{ done bool }

// Open implements Node.
func (OneRow) Open(*Run) (Cursor, error) { return &oneRowCursor{}, nil }

// Explain implements Node.
func (OneRow) Explain() Explained { return Explained{Title: "Result"} }

func (c *oneRowCursor) Next() (bool, error) {
	ok := !c.done
	c.done = true
	return ok, nil
}

func (c *oneRowCursor) Close() {}

// Values yields computed rows.
type Values struct {
	Rows [][]Eval
	Cols []bind.ColID
}

type valuesCursor struct {
	n  *Values
	r  *Run
	at int
}

// Open implements Node.
func (n *Values) Open(r *Run) (Cursor, error) { return &valuesCursor{n: n, r: r}, nil }

// Explain implements Node.
func (n *Values) Explain() Explained {
	return Explained{Title: fmt.Sprintf("Values Scan (%d rows)", len(n.Rows))}
}

func (c *valuesCursor) Next() (bool, error) {
	if c.at >= len(c.n.Rows) {
		return false, nil
	}
	for i, e := range c.n.Rows[c.at] {
		d, err := e(c.r)
		if err != nil {
			return false, err
		}
		c.r.Slots[c.n.Cols[i]] = d
	}
	c.at++
	return true, nil
}

func (c *valuesCursor) Close() {}

// Filter keeps the rows for which Pred is true.
type Filter struct {
	In   Node
	Pred Eval
	Text string
}

type filterCursor struct {
	in   Cursor
	rest lateCursor // in, if it has more to give for rows that pass
	pred Eval
	r    *Run
}

// lateCursor is a cursor that has not decoded all of its row yet.
type lateCursor interface{ late() error }

// Open implements Node.
func (n *Filter) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	if err != nil {
		return nil, err
	}
	rest, _ := in.(lateCursor)
	return &filterCursor{in: in, rest: rest, pred: n.Pred, r: r}, nil
}

// Explain implements Node.
func (n *Filter) Explain() Explained {
	return Explained{Title: "Filter", Details: []string{n.Text}, Kids: []Node{n.In}}
}

func (c *filterCursor) Next() (bool, error) {
	for {
		ok, err := c.in.Next()
		if err != nil || !ok {
			return false, err
		}
		if ok, err = evalBool(c.r, c.pred); err != nil {
			return false, err
		}
		if ok {
			if c.rest != nil {
				err = c.rest.late()
			}
			return err == nil, err
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
}

func (c *filterCursor) Close() { c.in.Close() }

// Item computes a register.
type Item struct {
	ID bind.ColID
	E  Eval
}

// Project computes registers.
type Project struct {
	In    Node
	Items []Item
}

type projectCursor struct {
	in Cursor
	n  *Project
	r  *Run
}

// Open implements Node.
func (n *Project) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	if err != nil {
		return nil, err
	}
	return &projectCursor{in: in, n: n, r: r}, nil
}

// Explain implements Node; EXPLAIN does not show it, as in Postgres.
func (n *Project) Explain() Explained { return n.In.Explain() }

func (c *projectCursor) Next() (bool, error) {
	ok, err := c.in.Next()
	if err != nil || !ok {
		return false, err
	}
	return true, compute(c.r, c.n.Items)
}

func compute(r *Run, items []Item) error {
	for i := range items {
		d, err := items[i].E(r)
		if err != nil {
			return err
		}
		r.Slots[items[i].ID] = d
	}
	return nil
}

func (c *projectCursor) Close() { c.in.Close() }

// Limit cuts.
type Limit struct {
	In            Node
	Count, Offset Eval
	Ties          []bind.SortKey
}

type limitCursor struct {
	in          Cursor
	r           *Run
	skip, left  int64
	unlimited   bool
	ties        []bind.SortKey
	last        []types.Datum
	inTies, end bool
}

// Open implements Node.
func (n *Limit) Open(r *Run) (Cursor, error) {
	c := &limitCursor{r: r, unlimited: true, ties: n.Ties}
	if n.Offset != nil {
		v, null, err := limitValue(r, n.Offset, sqlerr.InvalidRowCountInResultOffsetClause, "OFFSET")
		if err != nil {
			return nil, err
		}
		if !null {
			c.skip = v
		}
	}
	if n.Count != nil {
		v, null, err := limitValue(r, n.Count, sqlerr.InvalidRowCountInLimitClause, "LIMIT")
		if err != nil {
			return nil, err
		}
		c.left, c.unlimited = v, null
	}
	in, err := n.In.Open(r)
	c.in = in
	return c, err
}

func limitValue(r *Run, e Eval, code sqlerr.Code, clause string) (int64, bool, error) {
	d, err := e(r)
	if err != nil || d.IsNull() {
		return 0, true, err
	}
	if d.Int() < 0 {
		return 0, false, sqlerr.New(code, "%s must not be negative", clause)
	}
	return d.Int(), false, nil
}

// Explain implements Node.
func (n *Limit) Explain() Explained { return Explained{Title: "Limit", Kids: []Node{n.In}} }

func (c *limitCursor) Next() (bool, error) {
	for ; c.skip > 0; c.skip-- {
		ok, err := c.in.Next()
		if err != nil || !ok {
			return false, err
		}
	}
	if !c.unlimited && c.left == 0 {
		return c.nextTie()
	}
	ok, err := c.in.Next()
	c.left--
	if ok && c.left == 0 && len(c.ties) > 0 {
		c.last = c.tieKey()
	}
	return ok, err
}

func (c *limitCursor) tieKey() []types.Datum {
	out := make([]types.Datum, len(c.ties))
	for i, k := range c.ties {
		out[i] = c.r.Slots[k.ID]
	}
	return out
}

func (c *limitCursor) nextTie() (bool, error) {
	if c.last == nil || c.end {
		return false, nil
	}
	ok, err := c.in.Next()
	if err != nil || !ok {
		return false, err
	}
	c.end = !equalVals(c.last, c.tieKey())
	return !c.end, nil
}

func (c *limitCursor) Close() { c.in.Close() }

// Func is one function of a FuncScan or ProjectSet.
type Func struct {
	Name   string
	Args   []Eval
	Series func(r *Run, args []types.Datum) (Rows, error)
	Scalar Eval
	Cols   []bind.ColID
	// Strict functions yield nothing for a NULL argument.
	Strict bool
}

func (f *Func) open(r *Run) (Rows, error) {
	if f.Scalar != nil {
		d, err := f.Scalar(r)
		return &oneValue{row: types.Row{d}}, err
	}
	args := make([]types.Datum, len(f.Args))
	for i, a := range f.Args {
		d, err := a(r)
		if err != nil {
			return nil, err
		}
		if d.IsNull() && f.Strict {
			return &oneValue{done: true}, nil
		}
		args[i] = d
	}
	return f.Series(r, args)
}

type oneValue struct {
	row  types.Row
	done bool
}

func (o *oneValue) Next() (types.Row, bool, error) {
	ok := !o.done
	o.done = true
	return o.row, ok, nil
}

// FuncScan runs functions in FROM side by side; shorter ones are filled up with NULLs.
type FuncScan struct {
	Funcs []Func
	Ord   bind.ColID
}

// Open implements Node.
func (n *FuncScan) Open(r *Run) (Cursor, error) {
	c := &funcCursor{r: r, funcs: n.Funcs, ord: n.Ord}
	return c, c.start()
}

// Explain implements Node.
func (n *FuncScan) Explain() Explained {
	names := make([]string, len(n.Funcs))
	for i, f := range n.Funcs {
		names[i] = f.Name
	}
	return Explained{Title: "Function Scan on " + strings.Join(names, ", ")}
}

type funcCursor struct {
	r     *Run
	funcs []Func
	rows  []Rows
	ended []bool
	ord   bind.ColID
	n     int64
}

func (c *funcCursor) start() error {
	c.rows = make([]Rows, len(c.funcs))
	c.ended = make([]bool, len(c.funcs))
	c.n = 0
	for i := range c.funcs {
		var err error
		if c.rows[i], err = c.funcs[i].open(c.r); err != nil {
			return err
		}
	}
	return nil
}

func (c *funcCursor) Next() (bool, error) {
	any := false
	for i := range c.funcs {
		cols := c.funcs[i].Cols
		var row types.Row
		ok := false
		if !c.ended[i] {
			var err error
			if row, ok, err = c.rows[i].Next(); err != nil {
				return false, err
			}
			c.ended[i] = !ok
		}
		any = any || ok
		for j, id := range cols {
			if ok {
				c.r.Slots[id] = row[j]
			} else {
				c.r.Slots[id] = types.Null
			}
		}
	}
	c.n++
	if c.ord >= 0 {
		c.r.Slots[c.ord] = types.NewInt(c.n)
	}
	if !any {
		return false, nil
	}
	return true, c.r.tick()
}

func (c *funcCursor) Close() {}

// ProjectSet runs set-returning functions of a target list for each input row.
type ProjectSet struct {
	In    Node
	Funcs []Func
}

type projectSetCursor struct {
	in  Cursor
	f   *funcCursor
	has bool
}

// Open implements Node.
func (n *ProjectSet) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	return &projectSetCursor{in: in, f: &funcCursor{r: r, funcs: n.Funcs, ord: -1}}, err
}

// Explain implements Node.
func (n *ProjectSet) Explain() Explained { return Explained{Title: "ProjectSet", Kids: []Node{n.In}} }

func (c *projectSetCursor) Next() (bool, error) {
	for {
		if c.has {
			ok, err := c.f.Next()
			if err != nil || ok {
				return ok, err
			}
			c.has = false
		}
		ok, err := c.in.Next()
		if err != nil || !ok {
			return false, err
		}
		if err := c.f.start(); err != nil {
			return false, err
		}
		c.has = true
	}
}

func (c *projectSetCursor) Close() { c.in.Close() }

// VirtualScan reads a computed table.
type VirtualScan struct {
	Table    *bind.VirtualTable
	Cols     []bind.ColID
	TableOID bind.ColID
	Alias    string
	// Key, if not nil, is the value of column KeyCol in all rows that are wanted; Text says so.
	Key    Eval
	KeyCol int
	Text   string
}

// ColumnValue is a value of a column of a computed table.
type ColumnValue struct {
	Col   int
	Value types.Datum
}

type virtualCursor struct {
	n    *VirtualScan
	r    *Run
	rows Rows
}

// Open implements Node.
func (n *VirtualScan) Open(r *Run) (Cursor, error) {
	var by *ColumnValue
	if n.Key != nil {
		v, err := n.Key(r)
		if err != nil {
			return nil, err
		}
		by = &ColumnValue{Col: n.KeyCol, Value: v}
	}
	rows, err := r.VirtualRows(r.Ctx, n.Table, by)
	return &virtualCursor{n: n, r: r, rows: rows}, err
}

// Explain implements Node.
func (n *VirtualScan) Explain() Explained {
	x := Explained{Title: "Virtual Scan on " + n.Alias}
	if n.Text != "" {
		x.Details = []string{"Key: " + n.Text}
	}
	return x
}

func (c *virtualCursor) Next() (bool, error) {
	row, ok, err := c.rows.Next()
	if err != nil || !ok {
		return false, err
	}
	for i, id := range c.n.Cols {
		c.r.Slots[id] = row[i]
	}
	c.r.Slots[c.n.TableOID] = types.NewOID(c.n.Table.OID)
	return true, c.r.tick()
}

func (c *virtualCursor) Close() {}
