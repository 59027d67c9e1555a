package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// HashJoin builds a table of its right side by the join keys and probes it with the left. If the table
// grows too large, both sides are cut into partitions by the hash of their keys, so that rows that
// might be partners are in partitions of the same number, and these are joined one by one.
type HashJoin struct {
	Kind         bind.JoinKind
	L, R         Node
	LKeys, RKeys []Eval
	On           Eval // what remains beside the keys
	Text         []string
	LCols, RCols []bind.ColID
	// Mark says, of a semi or anti join, that its sides are swapped: R's rows are the result's. L's
	// mark those that have a partner, and the marked (unmarked) ones are yielded at the end.
	Mark bool
}

// Open implements Node.
func (n *HashJoin) Open(r *Run) (Cursor, error) {
	c := newHashCursor(n, r, 0)
	in, err := n.R.Open(r)
	if err != nil {
		return nil, err
	}
	err = c.build(in)
	in.Close()
	if err != nil {
		return nil, err
	}
	l, err := n.L.Open(r)
	if err != nil {
		return nil, err
	}
	return c, c.start(l)
}

// Explain implements Node.
func (n *HashJoin) Explain() Explained {
	kind := hashKind(n.Kind)
	if n.Mark {
		kind = " Right" + kind
	}
	return Explained{Title: "Hash" + kind, Details: []string{"Hash Cond: " + joinConds(n.Text)}, Kids: []Node{n.L, n.R}}
}

func hashKind(k bind.JoinKind) string {
	if k == bind.JoinInner {
		return " Join"
	}
	return kindName(k)
}

// keepsRight says that right rows without a partner may be results.
func (n *HashJoin) keepsRight() bool {
	return n.Kind == bind.JoinRight || n.Kind == bind.JoinFull || n.Mark
}

type hashCursor struct {
	n     *HashJoin
	r     *Run
	level int
	l     Cursor
	mem   account
	s     slab
	t     joinTable
	loose []types.Row // right rows with a NULL key
	key   []types.Datum

	at      int32 // next row of the table to look at, -1: fetch a left row
	hash    uint64
	matched bool
	rest    *rowsCursor // right rows without (Mark: with) a partner, at the end

	// Once the table was too large: both sides in partitions, part the next one, sub the present
	// one's join.
	right, left *partitions
	part        int
	sub         *hashCursor
}

// joinTable is the right side: rows chained by hash, in their order.
type joinTable struct {
	rows   []types.Row
	keys   [][]types.Datum
	hashes []uint64
	used   []bool
	heads  []int32
	next   []int32
}

// joinEntry is what a row takes beside itself and its keys.
const joinEntry = 80

// chain makes the table ready to be probed.
func (t *joinTable) chain() {
	size := hashIndexFirst
	for size < len(t.rows) {
		size *= 2
	}
	t.heads, t.next = make([]int32, size), make([]int32, len(t.rows))
	for i := range t.heads {
		t.heads[i] = -1
	}
	for i := len(t.rows) - 1; i >= 0; i-- { // backwards, so that chains are in order
		h := t.hashes[i] & uint64(size-1)
		t.next[i], t.heads[h] = t.heads[h], int32(i)
	}
}

func newHashCursor(n *HashJoin, r *Run, level int) *hashCursor {
	return &hashCursor{n: n, r: r, level: level, mem: account{r: r}, at: -1}
}

func (c *hashCursor) evalKey(keys []Eval) (null bool, err error) {
	c.key = c.key[:0]
	for _, k := range keys {
		d, err := k(c.r)
		if err != nil {
			return false, err
		}
		null = null || d.IsNull()
		c.key = append(c.key, d)
	}
	return null, nil
}

func (c *hashCursor) build(in Cursor) error {
	keepLoose := c.n.Kind == bind.JoinRight || c.n.Kind == bind.JoinFull || c.n.Mark && c.n.Kind == bind.JoinAnti
	for {
		ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		null, err := c.evalKey(c.n.RKeys)
		if err != nil {
			return err
		}
		if null && !keepLoose {
			continue
		}
		if err := c.keep(null); err != nil {
			return err
		}
		if err := c.r.tick(); err != nil {
			return err
		}
	}
	c.t.chain()
	return nil
}

// keep stores the present right row.
func (c *hashCursor) keep(null bool) error {
	h := hashVals(c.key)
	if c.right != nil {
		return c.right.add(h)
	}
	row, size := c.s.save(c.r, c.n.RCols)
	if null {
		c.loose = append(c.loose, row)
		return c.mem.add(size + 24)
	}
	key, keySize := c.s.own(c.key)
	c.t.rows, c.t.keys, c.t.hashes = append(c.t.rows, row), append(c.t.keys, key), append(c.t.hashes, h)
	c.t.used = append(c.t.used, false)
	if err := c.mem.add(size + keySize + joinEntry); err != nil || !c.mem.full() || c.level >= spillLevelMax {
		return err
	}
	return c.spill()
}

// spill moves the table to partitions.
func (c *hashCursor) spill() error {
	c.right = newPartitions(c.r, c.n.RCols, c.level)
	for i, row := range c.t.rows {
		if err := c.right.addRow(c.t.hashes[i], row); err != nil {
			return err
		}
	}
	for _, row := range c.loose {
		if err := c.right.addRow(0, row); err != nil {
			return err
		}
	}
	c.t, c.loose, c.s = joinTable{}, nil, slab{}
	c.mem.release()
	return nil
}

// start begins to probe with the left side.
func (c *hashCursor) start(l Cursor) error {
	c.l = l
	if c.right == nil {
		return nil
	}
	if err := c.right.finish(); err != nil {
		return err
	}
	c.left = newPartitions(c.r, c.n.LCols, c.level)
	for {
		ok, err := l.Next()
		if err != nil {
			return err
		}
		if !ok {
			return c.left.finish()
		}
		if _, err := c.evalKey(c.n.LKeys); err != nil {
			return err
		}
		if err := c.left.add(hashVals(c.key)); err != nil {
			return err
		}
		if err := c.r.tick(); err != nil {
			return err
		}
	}
}

// Next implements Cursor.
func (c *hashCursor) Next() (bool, error) {
	if c.right != nil {
		return c.nextPartition()
	}
	for {
		if c.rest != nil {
			return c.rest.Next()
		}
		if c.hash == 0 && c.at < 0 || c.at == doneRow {
			ok, err := c.nextLeft()
			if err != nil {
				return false, err
			}
			if !ok {
				if !c.startRest() {
					return false, nil
				}
				continue
			}
		}
		ok, err := c.probe()
		if err != nil || ok {
			return ok, err
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
}

// nextPartition joins the partitions one after the other.
func (c *hashCursor) nextPartition() (bool, error) {
	for {
		if c.sub == nil {
			if c.part >= spillPartitions {
				return false, nil
			}
			c.sub = newHashCursor(c.n, c.r, c.level+1)
			in := c.right.cursor(c.part)
			err := c.sub.build(in)
			in.Close()
			if err != nil {
				return false, err
			}
			if err := c.sub.start(c.left.cursor(c.part)); err != nil {
				return false, err
			}
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

// doneRow says that the present left row is finished with.
const doneRow = -2

func (c *hashCursor) nextLeft() (bool, error) {
	ok, err := c.l.Next()
	if err != nil || !ok {
		return false, err
	}
	null, err := c.evalKey(c.n.LKeys)
	if err != nil {
		return false, err
	}
	c.at, c.matched = -1, false
	c.hash = hashVals(c.key) | 1<<63 // never 0: that is no left row yet
	if !null && len(c.t.rows) > 0 {
		c.at = c.t.heads[hashVals(c.key)&uint64(len(c.t.heads)-1)]
	}
	return true, nil
}

// probe finds the present left row's next partner.
func (c *hashCursor) probe() (bool, error) {
	for c.at >= 0 {
		i := c.at
		c.at = c.t.next[i]
		if c.t.hashes[i]|1<<63 != c.hash || c.n.Mark && c.t.used[i] || !equalVals(c.t.keys[i], c.key) {
			continue
		}
		layout(c.n.RCols).load(c.r, c.t.rows[i])
		if c.n.On != nil {
			ok, err := evalBool(c.r, c.n.On)
			if err != nil {
				return false, err
			}
			if !ok {
				continue
			}
		}
		c.matched, c.t.used[i] = true, true
		switch {
		case c.n.Mark:
			continue
		case c.n.Kind == bind.JoinSemi:
			c.at = doneRow
			return true, nil
		case c.n.Kind == bind.JoinAnti:
			c.at = doneRow
			return false, nil
		}
		return true, nil
	}
	c.at = doneRow
	if c.matched || c.n.Mark {
		return false, nil
	}
	switch c.n.Kind {
	case bind.JoinLeft, bind.JoinFull:
		layout(c.n.RCols).clear(c.r)
		return true, nil
	case bind.JoinAnti:
		return true, nil
	}
	return false, nil
}

// startRest begins with the right rows that found no partner, or under Mark did.
func (c *hashCursor) startRest() bool {
	if !c.n.keepsRight() {
		return false
	}
	rows, want := c.loose, c.n.Mark && c.n.Kind == bind.JoinSemi
	for i, row := range c.t.rows {
		if c.t.used[i] == want {
			rows = append(rows, row)
		}
	}
	layout(c.n.LCols).clear(c.r)
	c.rest = &rowsCursor{r: c.r, l: c.n.RCols, rows: rows}
	return true
}

// Close implements Cursor.
func (c *hashCursor) Close() {
	if c.sub != nil {
		c.sub.Close()
		c.sub = nil
	}
	if c.right != nil {
		c.right.close()
	}
	if c.left != nil {
		c.left.close()
	}
	if c.l != nil {
		c.l.Close()
	}
	c.t, c.loose, c.rest = joinTable{}, nil, nil
	c.mem.release()
}
