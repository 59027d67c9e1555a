package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// Distinct drops rows whose registers On equal an earlier row's (First: the previous row's, over
// sorted input). When the keys take too much memory, rows of others are written to partitions and
// looked at afterwards.
type Distinct struct {
	In     Node
	InCols []bind.ColID // the registers of the input that are read
	On     []bind.ColID
	First  bool
}

type distinctCursor struct {
	n    *Distinct
	in   Cursor
	r    *Run
	seen *rowMap
	key  []types.Datum

	last  types.Row // First: the previous key
	level int
	mem   account
	parts *partitions
	part  int
	sub   *distinctCursor
	ended bool
}

// Open implements Node.
func (n *Distinct) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	return newDistinctCursor(n, r, in, 0), err
}

func newDistinctCursor(n *Distinct, r *Run, in Cursor, level int) *distinctCursor {
	return &distinctCursor{n: n, in: in, r: r, level: level, seen: newRowMap(), key: make([]types.Datum, len(n.On)), mem: account{r: r}}
}

// Explain implements Node.
func (n *Distinct) Explain() Explained {
	title := "HashAggregate (distinct)"
	if n.First {
		title = "Unique"
	}
	return Explained{Title: title, Kids: []Node{n.In}}
}

// Next implements Cursor.
func (c *distinctCursor) Next() (bool, error) {
	for !c.ended {
		ok, err := c.in.Next()
		if err != nil {
			return false, err
		}
		if !ok {
			c.ended = true
			break
		}
		for i, id := range c.n.On {
			c.key[i] = c.r.Slots[id]
		}
		added, err := c.add()
		if err != nil || added {
			return added, err
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
	return c.nextPartition()
}

// add says whether the present row is the first of its kind.
func (c *distinctCursor) add() (bool, error) {
	if c.n.First {
		if c.last != nil && equalVals(c.last, c.key) {
			return false, nil
		}
		var s slab
		c.last, _ = s.own(c.key)
		return true, nil
	}
	h := hashVals(c.key)
	if c.seen.findHashed(h, c.key) >= 0 {
		return false, nil
	}
	if c.mem.full() && c.level < spillLevelMax && len(c.seen.keys) > 0 {
		if c.parts == nil {
			c.parts = newPartitions(c.r, c.n.InCols, c.level)
		}
		return false, c.parts.add(h)
	}
	own, size := c.seen.s.own(c.key)
	c.seen.insert(h, own)
	return true, c.mem.add(size + rowMapEntry)
}

// nextPartition goes on with the rows that there was no room for.
func (c *distinctCursor) nextPartition() (bool, error) {
	if c.parts == nil {
		return false, nil
	}
	if c.part == 0 {
		c.seen = newRowMap()
		c.mem.release()
		if err := c.parts.finish(); err != nil {
			return false, err
		}
	}
	for {
		if c.sub == nil {
			if c.part >= spillPartitions {
				return false, nil
			}
			c.sub = newDistinctCursor(c.n, c.r, c.parts.cursor(c.part), c.level+1)
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
func (c *distinctCursor) Close() {
	if c.sub != nil {
		c.sub.Close()
	}
	if c.parts != nil {
		c.parts.close()
	}
	c.in.Close()
	c.mem.release()
}
