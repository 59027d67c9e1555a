package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// SetOp is UNION ALL, INTERSECT or EXCEPT, these with or without ALL. UNION is a Distinct above it.
type SetOp struct {
	Kind         bind.SetKind
	All          bool
	L, R         Node
	LCols, RCols []bind.ColID
	Cols         []bind.ColID
}

// Open implements Node.
func (n *SetOp) Open(r *Run) (Cursor, error) {
	c := &setCursor{n: n, r: r, seen: newRowMap(), key: make([]types.Datum, len(n.Cols))}
	if n.Kind != bind.Union {
		if err := c.countRight(); err != nil {
			return nil, err
		}
	}
	in, err := n.L.Open(r)
	c.in, c.cols = in, n.LCols
	return c, err
}

// Explain implements Node.
func (n *SetOp) Explain() Explained {
	name := [...]string{"Append", "SetOp Intersect", "SetOp Except"}[n.Kind]
	if n.All && n.Kind != bind.Union {
		name += " All"
	}
	return Explained{Title: name, Kids: []Node{n.L, n.R}}
}

type setCursor struct {
	n     *SetOp
	r     *Run
	in    Cursor
	cols  []bind.ColID
	right bool
	seen  *rowMap
	count []int // for INTERSECT and EXCEPT: how often the right side has each key
	key   []types.Datum
}

func (c *setCursor) load(cols []bind.ColID) {
	for i, id := range cols {
		c.key[i] = c.r.Slots[id]
	}
}

func (c *setCursor) countRight() error {
	in, err := c.n.R.Open(c.r)
	if err != nil {
		return err
	}
	defer in.Close()
	for {
		ok, err := in.Next()
		if err != nil || !ok {
			return err
		}
		c.load(c.n.RCols)
		i, added, err := c.seen.addScratch(c.r, c.key)
		if err != nil {
			return err
		}
		if added {
			c.count = append(c.count, 0)
		}
		c.count[i]++
	}
}

func (c *setCursor) Next() (bool, error) {
	for {
		ok, err := c.in.Next()
		if err != nil {
			return false, err
		}
		if !ok {
			if c.n.Kind != bind.Union || c.right {
				return false, nil
			}
			c.in.Close()
			if c.in, err = c.n.R.Open(c.r); err != nil {
				return false, err
			}
			c.right, c.cols = true, c.n.RCols
			continue
		}
		c.load(c.cols)
		keep, err := c.keep()
		if err != nil {
			return false, err
		}
		if keep {
			for i, id := range c.n.Cols {
				c.r.Slots[id] = c.key[i]
			}
			return true, nil
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
}

func (c *setCursor) keep() (bool, error) {
	switch {
	case c.n.Kind == bind.Union && c.n.All:
		return true, nil
	case c.n.Kind == bind.Union:
		_, added, err := c.seen.addScratch(c.r, c.key)
		return added, err
	case c.n.Kind == bind.Intersect:
		i := c.seen.find(c.key)
		if i < 0 || c.count[i] <= 0 {
			return false, nil
		}
		c.count[i]--
		if !c.n.All {
			c.count[i] = 0
		}
		return true, nil
	}
	i, added, err := c.seen.addScratch(c.r, c.key)
	if err != nil {
		return false, err
	}
	if added {
		c.count = append(c.count, 0)
	}
	if !c.n.All {
		return added, nil // seen on the right, or here before
	}
	c.count[i]--
	return c.count[i] < 0, nil
}

func (c *setCursor) Close() {
	if c.in != nil {
		c.in.Close()
	}
}

// CTE is the plan of a WITH query.
type CTE struct {
	State     int
	Name      string
	Plan      Node
	Cols      []bind.ColID
	Recursive Node
	RecCols   []bind.ColID
	UnionAll  bool
}

// cteState is a WITH query's rows in one Run.
type cteState struct {
	kept *rowStore // of one that is not recursive
	rows []types.Row
	work []types.Row
	done bool
}

func (c *CTE) state(r *Run) *cteState {
	s, ok := r.state[c.State].(*cteState)
	if !ok {
		s = &cteState{}
		r.state[c.State] = s
	}
	return s
}

// compute fills the rows, once per Run.
func (c *CTE) compute(r *Run) (*cteState, error) {
	s := c.state(r)
	if s.done {
		return s, nil
	}
	if c.Recursive == nil {
		var err error
		s.kept, err = r.keep(c.Cols, c.Plan)
		s.done = err == nil
		return s, err
	}
	rows, err := layout(c.Cols).drain(r, c.Plan)
	if err != nil {
		return nil, err
	}
	s.done = true
	return s, c.recurse(r, s, rows)
}

// recurse runs the recursive term over the rows of the round before until a round finds no new row.
func (c *CTE) recurse(r *Run, s *cteState, rows []types.Row) error {
	seen := newRowMap()
	for round := 0; len(rows) > 0; round++ {
		if round > recursionMax {
			return sqlerr.New(sqlerr.ProgramLimitExceeded, "recursive query \"%s\" does not end", c.Name)
		}
		if !c.UnionAll {
			rows = newRows(seen, rows)
		}
		s.rows = append(s.rows, rows...)
		s.work = rows
		if err := r.Ctx.Err(); err != nil {
			return err
		}
		var err error
		if rows, err = layout(c.RecCols).drain(r, c.Recursive); err != nil {
			return err
		}
	}
	return nil
}

func newRows(seen *rowMap, rows []types.Row) []types.Row {
	out := rows[:0]
	for _, row := range rows {
		if _, added := seen.add(row); added {
			out = append(out, row)
		}
	}
	return out
}

// CTEScan reads a WITH query's rows.
type CTEScan struct {
	CTE  *CTE
	Cols []bind.ColID
	Work bool
}

// Open implements Node.
func (n *CTEScan) Open(r *Run) (Cursor, error) {
	if n.Work {
		return &rowsCursor{r: r, l: n.Cols, rows: n.CTE.state(r).work}, nil
	}
	s, err := n.CTE.compute(r)
	if err != nil {
		return nil, err
	}
	if s.kept != nil {
		return s.kept.cursor(r, n.Cols), nil
	}
	return &rowsCursor{r: r, l: n.Cols, rows: s.rows}, nil
}

// Explain implements Node.
func (n *CTEScan) Explain() Explained {
	title := "CTE Scan on " + n.CTE.Name
	if n.Work {
		title = "WorkTable Scan on " + n.CTE.Name
	}
	return Explained{Title: title}
}

// With runs the modifying WITH queries before its input; the others wait until they are read.
type With struct {
	In   Node
	CTEs []*CTE
	Run  []*CTE
}

// Open implements Node.
func (n *With) Open(r *Run) (Cursor, error) {
	for _, c := range n.CTEs {
		if s, ok := r.state[c.State].(*cteState); ok {
			s.kept.close()
		}
		r.state[c.State] = nil // a query inside a subquery starts anew each time
	}
	for _, c := range n.Run {
		affected := r.Affected
		if _, err := c.compute(r); err != nil {
			return nil, err
		}
		r.Affected = affected
	}
	return n.In.Open(r)
}

// Explain implements Node.
func (n *With) Explain() Explained {
	x := Explained{Title: "With", Kids: []Node{n.In}}
	for _, c := range n.CTEs {
		x.Kids = append(x.Kids, &named{Node: c.Plan, name: "CTE " + c.Name})
		if c.Recursive != nil {
			x.Kids = append(x.Kids, &named{Node: c.Recursive, name: "CTE " + c.Name + " (recursive)"})
		}
	}
	return x
}

// named puts a heading above a plan in EXPLAIN.
type named struct {
	Node
	name string
}

// Explain implements Node.
func (n *named) Explain() Explained { return Explained{Title: n.name, Kids: []Node{n.Node}} }
