package exec

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// NestedLoop opens its right side anew for each left row; the right side may read the left's
// registers (lateral). Kinds: inner, left, semi, anti.
type NestedLoop struct {
	Kind  bind.JoinKind
	L, R  Node
	On    Eval // nil: true
	Text  string
	RCols []bind.ColID // cleared for left rows without a match
	// LCols are saved while the right side is materialised; Materialize keeps the right side's rows,
	// which must not depend on the left.
	Materialize bool
}

type loopCursor struct {
	n       *NestedLoop
	r       *Run
	l, rc   Cursor
	matched bool
	kept    []types.Row
	read    bool
}

// Open implements Node.
func (n *NestedLoop) Open(r *Run) (Cursor, error) {
	l, err := n.L.Open(r)
	return &loopCursor{n: n, r: r, l: l}, err
}

// Explain implements Node.
func (n *NestedLoop) Explain() Explained {
	x := Explained{Title: "Nested Loop" + kindName(n.Kind), Kids: []Node{n.L, n.R}}
	if n.Text != "" {
		x.Details = []string{"Join Filter: " + n.Text}
	}
	return x
}

func kindName(k bind.JoinKind) string {
	return [...]string{"", " Left Join", " Right Join", " Full Join", " Semi Join", " Anti Join"}[k]
}

func (c *loopCursor) openRight() error {
	if !c.n.Materialize {
		rc, err := c.n.R.Open(c.r)
		c.rc = rc
		return err
	}
	if !c.read {
		rows, err := layout(c.n.RCols).drain(c.r, c.n.R)
		if err != nil {
			return err
		}
		c.kept, c.read = rows, true
	}
	c.rc = &rowsCursor{r: c.r, l: c.n.RCols, rows: c.kept}
	return nil
}

func (c *loopCursor) Next() (bool, error) {
	for {
		if c.rc == nil {
			ok, err := c.l.Next()
			if err != nil || !ok {
				return false, err
			}
			if err := c.openRight(); err != nil {
				return false, err
			}
			c.matched = false
		}
		ok, done, err := c.step()
		if err != nil || ok {
			return ok, err
		}
		if done {
			c.closeRight()
		}
	}
}

// step takes one right row. done says that the left row is finished with.
func (c *loopCursor) step() (emit, done bool, err error) {
	ok, err := c.rc.Next()
	if err != nil {
		return false, true, err
	}
	if !ok {
		c.closeRight()
		return c.unmatched(), true, nil
	}
	if c.n.On != nil {
		if ok, err = evalBool(c.r, c.n.On); err != nil || !ok {
			if err == nil {
				err = c.r.tick()
			}
			return false, false, err
		}
	}
	c.matched = true
	switch c.n.Kind {
	case bind.JoinSemi:
		c.closeRight()
		return true, true, nil
	case bind.JoinAnti:
		return false, true, nil
	}
	return true, false, nil
}

// unmatched says whether a left row without a match is a result.
func (c *loopCursor) unmatched() bool {
	if c.matched {
		return false
	}
	switch c.n.Kind {
	case bind.JoinLeft:
		layout(c.n.RCols).clear(c.r)
		return true
	case bind.JoinAnti:
		return true
	}
	return false
}

func (c *loopCursor) closeRight() {
	if c.rc != nil {
		c.rc.Close()
		c.rc = nil
	}
}

func (c *loopCursor) Close() {
	c.closeRight()
	c.l.Close()
}

// LookupJoin reads, for batches of left rows, the right rows by a unique key.
type LookupJoin struct {
	Kind  bind.JoinKind // inner, left, semi, anti
	L     Node
	Table *tablekv.Codec
	Index *tablekv.IndexCodec
	Keys  []Eval // over the left row, one per key column
	Dec   *tablekv.Decoder
	// Fetch and Base are as in IndexScan, for a secondary index.
	Fetch        *tablekv.Decoder
	Virtual      []Item // as in IndexScan
	Base         bind.ColID
	On           Eval
	Text         []string
	Alias        string
	LCols, RCols []bind.ColID
	Opts         txn.GetOptions
}

// Open implements Node.
func (n *LookupJoin) Open(r *Run) (Cursor, error) {
	l, err := n.L.Open(r)
	return &lookupCursor{n: n, r: r, l: l}, err
}

// Explain implements Node.
func (n *LookupJoin) Explain() Explained {
	return Explained{Title: "Lookup Join" + kindName(n.Kind) + " using " + n.Index.Index.Name + " on " + n.Alias,
		Details: []string{"Lookup Cond: " + joinConds(n.Text)}, Kids: []Node{n.L}}
}

type lookupCursor struct {
	n    *LookupJoin
	r    *Run
	l    Cursor
	end  bool
	rows []types.Row
	pos  []int // index into vals, -1: a NULL key
	keys []kvapi.Key
	vals []txn.Value
	at   int
}

func (c *lookupCursor) Next() (bool, error) {
	for {
		if c.at >= len(c.rows) {
			if c.end {
				return false, nil
			}
			if err := c.fill(); err != nil {
				return false, err
			}
			continue
		}
		i := c.at
		c.at++
		ok, err := c.emit(i)
		if err != nil || ok {
			return ok, err
		}
	}
}

// fill reads a batch of left rows and the right rows they ask for, each key once.
func (c *lookupCursor) fill() error {
	c.rows, c.pos, c.keys, c.at = c.rows[:0], c.pos[:0], c.keys[:0], 0
	seen := map[string]int{}
	for len(c.rows) < LookupBatchMax {
		ok, err := c.l.Next()
		if err != nil {
			return err
		}
		if !ok {
			c.end = true
			break
		}
		key, err := c.key()
		if err != nil {
			return err
		}
		row := make(types.Row, len(c.n.LCols))
		for i, id := range c.n.LCols {
			row[i] = c.r.Slots[id]
		}
		c.rows = append(c.rows, row)
		p := -1
		if key != nil {
			var dup bool
			if p, dup = seen[string(key)]; !dup {
				p = len(c.keys)
				seen[string(key)] = p
				c.keys = append(c.keys, key)
			}
		}
		c.pos = append(c.pos, p)
	}
	return c.read()
}

func (c *lookupCursor) key() (kvapi.Key, error) {
	b := append(make(kvapi.Key, 0, len(c.n.Index.Prefix)+24), c.n.Index.Prefix...)
	for i, k := range c.n.Keys {
		d, err := k(c.r)
		if err != nil || d.IsNull() {
			return nil, err
		}
		b = c.n.Index.AppendKeyCol(b, i, d)
	}
	return b, nil
}

func (c *lookupCursor) read() error {
	opts := c.n.Opts
	if c.n.Fetch != nil {
		opts = txn.GetOptions{}
	}
	var err error
	c.vals, err = c.r.getMany(c.keys, opts)
	if err != nil || c.n.Fetch == nil {
		return err
	}
	return c.fetch()
}

// fetch replaces index entries by the rows they point to.
func (c *lookupCursor) fetch() error {
	var keys []kvapi.Key
	var at []int
	row := c.r.Slots[c.n.Base : int(c.n.Base)+len(c.n.Table.Types)]
	for i, v := range c.vals {
		if !v.Exists {
			continue
		}
		if err := c.n.Dec.Decode(c.keys[i], v.Data, c.r.Slots); err != nil {
			return err
		}
		k, _, err := c.n.Table.Primary.Key(row)
		if err != nil {
			return err
		}
		keys, at = append(keys, k), append(at, i)
	}
	vals, err := c.r.getMany(keys, c.n.Opts)
	for i, v := range vals {
		c.keys[at[i]], c.vals[at[i]] = keys[i], v
	}
	return err
}

func (c *lookupCursor) emit(i int) (bool, error) {
	layout(c.n.LCols).load(c.r, c.rows[i])
	match := c.pos[i] >= 0 && c.vals[c.pos[i]].Exists
	if match {
		dec := c.n.Dec
		if c.n.Fetch != nil {
			dec = c.n.Fetch
		}
		if err := dec.Decode(c.keys[c.pos[i]], c.vals[c.pos[i]].Data, c.r.Slots); err != nil {
			return false, err
		}
		if err := compute(c.r, c.n.Virtual); err != nil {
			return false, err
		}
		if c.n.On != nil {
			var err error
			if match, err = evalBool(c.r, c.n.On); err != nil {
				return false, err
			}
		}
	}
	switch c.n.Kind {
	case bind.JoinLeft:
		if !match {
			layout(c.n.RCols).clear(c.r)
		}
		return true, nil
	case bind.JoinAnti:
		return !match, nil
	}
	return match, nil
}

func (c *lookupCursor) Close() { c.l.Close() }
