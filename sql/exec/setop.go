package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// SetOp is UNION ALL, INTERSECT or EXCEPT, these with or without ALL. UNION is a Distinct above it. When
// the keys of INTERSECT or EXCEPT take too much memory, rows of others, of both sides, are written to
// partitions and looked at afterwards.
type SetOp struct {
	Kind         bind.SetKind
	All          bool
	L, R         Node
	LCols, RCols []bind.ColID
	Cols         []bind.ColID
}

// Open implements Node.
func (n *SetOp) Open(r *Run) (Cursor, error) {
	c := newSetCursor(n, r, 0)
	if n.Kind != bind.Union {
		in, err := n.R.Open(r)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		if err := c.countRight(in); err != nil {
			return nil, err
		}
	}
	in, err := n.L.Open(r)
	c.in, c.cols = in, n.LCols
	return c, err
}

func newSetCursor(n *SetOp, r *Run, level int) *setCursor {
	return &setCursor{n: n, r: r, level: level, seen: newRowMap(), mem: account{r: r}, key: make([]types.Datum, len(n.Cols))}
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
	ended bool
	seen  *rowMap
	count []int // for INTERSECT and EXCEPT: how often the right side has each key
	key   []types.Datum

	level int
	mem   account
	// lparts and rparts hold the rows of keys that there was no room for, sub works on one part of them.
	lparts, rparts *partitions
	part           int
	sub            *setCursor
}

func (c *setCursor) load(cols []bind.ColID) {
	for i, id := range cols {
		c.key[i] = c.r.Slots[id]
	}
}

// full says that no more keys are to be held.
func (c *setCursor) full() bool {
	return c.mem.full() && c.level < spillLevelMax && len(c.seen.keys) > 0
}

// add holds a key that the right side does not have, or not yet.
func (c *setCursor) add(h uint64) (at int, err error) {
	own, size := c.seen.s.own(c.key)
	c.count = append(c.count, 0)
	return c.seen.insert(h, own), c.mem.add(size + rowMapEntry)
}

// putAside writes the present row of one side to its partition.
func (c *setCursor) putAside(parts **partitions, cols []bind.ColID, h uint64) error {
	if *parts == nil {
		*parts = newPartitions(c.r, cols, c.level)
	}
	return (*parts).add(h)
}

func (c *setCursor) countRight(in Cursor) error {
	for {
		ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		c.load(c.n.RCols)
		h := hashVals(c.key)
		i := c.seen.findHashed(h, c.key)
		switch {
		case i < 0 && c.full():
			if err := c.putAside(&c.rparts, c.n.RCols, h); err != nil {
				return err
			}
			continue
		case i < 0:
			if i, err = c.add(h); err != nil {
				return err
			}
		}
		c.count[i]++
		if err := c.r.tick(); err != nil {
			return err
		}
	}
	if c.rparts != nil {
		return c.rparts.finish()
	}
	return nil
}

// Next implements Cursor.
func (c *setCursor) Next() (bool, error) {
	for !c.ended {
		ok, err := c.in.Next()
		if err != nil {
			return false, err
		}
		if !ok {
			if c.n.Kind != bind.Union || c.right {
				c.ended = true
				break
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
	return c.nextPartition()
}

// keep says whether the present row is of the result; of one that was put aside it is not known yet.
func (c *setCursor) keep() (bool, error) {
	if c.n.Kind == bind.Union {
		return true, nil
	}
	h := hashVals(c.key)
	i := c.seen.findHashed(h, c.key)
	if i < 0 && c.rparts != nil {
		return false, c.putAside(&c.lparts, c.n.LCols, h)
	}
	switch {
	case c.n.Kind == bind.Intersect:
		if i < 0 || c.count[i] <= 0 {
			return false, nil
		}
		c.count[i]--
		if !c.n.All {
			c.count[i] = 0
		}
		return true, nil
	case c.n.All:
		if i < 0 {
			return true, nil
		}
		c.count[i]--
		return c.count[i] < 0, nil
	case i >= 0:
		return false, nil // seen on the right, or here before
	case c.full():
		return false, c.putAside(&c.lparts, c.n.LCols, h)
	}
	_, err := c.add(h)
	return true, err
}

// nextPartition goes on with the rows that there was no room for.
func (c *setCursor) nextPartition() (bool, error) {
	if c.lparts == nil {
		return false, nil
	}
	if c.part == 0 {
		c.seen, c.count = newRowMap(), nil
		c.mem.release()
		if err := c.lparts.finish(); err != nil {
			return false, err
		}
	}
	for {
		if c.sub == nil {
			if c.part >= spillPartitions {
				return false, nil
			}
			c.sub = newSetCursor(c.n, c.r, c.level+1)
			if c.rparts != nil {
				in := c.rparts.cursor(c.part)
				err := c.sub.countRight(in)
				in.Close()
				if err != nil {
					return false, err
				}
			}
			c.sub.in, c.sub.cols = c.lparts.cursor(c.part), c.n.LCols
			c.part++
		}
		ok, err := c.sub.Next()
		if err != nil || ok {
			return ok, err
		}
		c.sub.Close()
		c.sub = nil
	}
}

// Close implements Cursor.
func (c *setCursor) Close() {
	if c.sub != nil {
		c.sub.Close()
		c.sub = nil
	}
	if c.lparts != nil {
		c.lparts.close()
	}
	if c.rparts != nil {
		c.rparts.close()
	}
	if c.in != nil {
		c.in.Close()
	}
	c.mem.release()
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

// cteState is a WITH query's rows in one Run. Those of a recursive one are found as they are read, so that
// it may have no end where a LIMIT has.
type cteState struct {
	kept *rowStore // of one that is not recursive
	// all are the rows of a recursive one, those from from to to the ones of the last round. seen are those
	// of a UNION, nil otherwise.
	all      *rowArray
	seen     *keySet
	from, to int
	rounds   int
	done     bool
}

func (s *cteState) close() {
	s.kept.close()
	s.all.close()
	if s.seen != nil {
		s.seen.close()
	}
}

func (c *CTE) state(r *Run) *cteState {
	s, ok := r.state[c.State].(*cteState)
	if !ok {
		s = &cteState{}
		if c.Recursive != nil {
			s.all = newRowArray(r, c.Cols)
			if !c.UnionAll {
				s.seen = &keySet{mem: account{r: r}}
			}
		}
		r.state[c.State] = s
	}
	return s
}

// compute fills the rows, once per Run.
func (c *CTE) compute(r *Run) (*cteState, error) {
	s := c.state(r)
	for !s.done {
		if err := c.more(r, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// more finds rows that are not there yet, or that there are none: of a recursive query those that the
// recursive term yields for the rows of the round before.
func (c *CTE) more(r *Run, s *cteState) (err error) {
	switch {
	case c.Recursive == nil:
		s.kept.close()
		s.kept, err = r.keep(c.Cols, c.Plan)
		s.done = err == nil
		return err
	case s.rounds == 0:
		err = s.round(r, c.Plan, c.Cols)
	case s.rounds > recursionMax:
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "recursive query \"%s\" does not end", c.Name)
	default:
		err = s.round(r, c.Recursive, c.RecCols)
	}
	if err != nil {
		return err
	}
	s.rounds++
	if s.done = s.from == s.to; s.done && s.seen != nil {
		s.seen.close()
	}
	return r.Ctx.Err()
}

// round adds the rows of a term, without those that were seen.
func (s *cteState) round(r *Run, term Node, cols layout) error {
	in, err := term.Open(r)
	if err != nil {
		return err
	}
	defer in.Close()
	before := arrayReader{a: s.all}
	var sl slab
	for {
		ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			s.from, s.to = s.to, s.all.n
			return nil
		}
		row, _ := sl.save(r, cols)
		if s.seen != nil {
			added, err := s.seen.add(hashVals(row), s.all.n, func(i int) (bool, error) {
				old, err := before.row(i)
				return err == nil && equalVals(old, row), err
			})
			if err != nil {
				return err
			}
			if !added {
				continue
			}
		}
		if err := s.all.addRow(row); err != nil {
			return err
		}
	}
}

// CTEScan reads a WITH query's rows.
type CTEScan struct {
	CTE  *CTE
	Cols []bind.ColID
	Work bool
}

// Open implements Node.
func (n *CTEScan) Open(r *Run) (Cursor, error) {
	s := n.CTE.state(r)
	switch {
	case n.Work:
		return s.all.cursor(n.Cols, s.from, s.to), nil
	case n.CTE.Recursive != nil:
		return &recursiveCursor{c: n.CTE, s: s, r: r, l: n.Cols, reader: arrayReader{a: s.all}}, nil
	}
	s, err := n.CTE.compute(r)
	if err != nil {
		return nil, err
	}
	return s.kept.cursor(r, n.Cols), nil
}

// recursiveCursor reads a recursive query's rows, and has more found at their end.
type recursiveCursor struct {
	c      *CTE
	s      *cteState
	r      *Run
	l      layout
	reader arrayReader
	at     int
}

// Next implements Cursor.
func (c *recursiveCursor) Next() (bool, error) {
	for c.at >= c.s.all.n {
		if c.s.done {
			return false, nil
		}
		if err := c.c.more(c.r, c.s); err != nil {
			return false, err
		}
	}
	row, err := c.reader.row(c.at)
	if err != nil {
		return false, err
	}
	c.l.load(c.r, row)
	c.at++
	return true, c.r.tick()
}

// Close implements Cursor. The rows stay for others.
func (c *recursiveCursor) Close() {}

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
			s.close()
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
