package exec

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// LockTarget is a table whose rows LockRows locks.
type LockTarget struct {
	Codec *tablekv.Codec
	Base  bind.ColID
	Opts  txn.GetOptions
}

// LockRows locks each row it passes on (FOR UPDATE, FOR SHARE) by reading it again. SKIP LOCKED
// drops the rows it cannot lock, and those that others have changed since they were found, as if the
// others still had them locked: only what it has locked must hold (txn.GetOptions). Rows are locked in batches, which SKIP LOCKED and LIMIT bound to
// the rows wanted.
type LockRows struct {
	In      Node
	Targets []LockTarget
	Cols    []bind.ColID
	// Batch is how many rows may be locked ahead of the reader: 1 under a LIMIT.
	Batch int
}

// Open implements Node.
func (n *LockRows) Open(r *Run) (Cursor, error) {
	in, err := n.In.Open(r)
	return &lockCursor{n: n, r: r, in: in}, err
}

// Explain implements Node.
func (n *LockRows) Explain() Explained { return Explained{Title: "LockRows", Kids: []Node{n.In}} }

type lockCursor struct {
	n    *LockRows
	r    *Run
	in   Cursor
	rows []types.Row
	at   int
	end  bool
	// Rows are locked one by one, and the first was taken: from then on the first
	// that is free of several is wanted, and left are those after it.
	missed bool
	left   []types.Row
}

// triedMax is how many rows are tried at once.
const triedMax = 64

func (c *lockCursor) Next() (bool, error) {
	for c.at >= len(c.rows) {
		if c.end && len(c.left) == 0 {
			return false, nil
		}
		if err := c.fill(); err != nil {
			return false, err
		}
	}
	layout(c.n.Cols).load(c.r, c.rows[c.at])
	c.at++
	return true, nil
}

func (c *lockCursor) fill() error {
	c.rows, c.at = c.rows[:0], 0
	rows, want := c.left, c.n.Batch
	c.left = nil
	if c.missed {
		want = triedMax
	}
	for len(rows) < want && !c.end {
		ok, err := c.in.Next()
		if err != nil {
			return err
		}
		if !ok {
			c.end = true
			break
		}
		row := make(types.Row, len(c.n.Cols))
		for i, id := range c.n.Cols {
			row[i] = c.r.Slots[id]
		}
		rows = append(rows, row)
	}
	for i := range c.n.Targets {
		var err error
		if rows, err = c.lock(&c.n.Targets[i], rows); err != nil {
			return err
		}
	}
	c.rows = rows
	c.missed = c.missed || len(rows) == 0 && c.n.Batch == 1 && len(c.n.Targets) == 1 && c.n.Targets[0].Opts.Wait == kvapi.WaitSkip
	return nil
}

// lock locks one table's part of the rows and returns those that could be.
func (c *lockCursor) lock(t *LockTarget, rows []types.Row) ([]types.Row, error) {
	keys := make([]kvapi.Key, 0, len(rows))
	at := make([]int, 0, len(rows))
	for i, row := range rows {
		layout(c.n.Cols).load(c.r, row)
		tr := c.r.Slots[t.Base : int(t.Base)+len(t.Codec.Types)]
		if tr[t.Codec.Primary.Keys[0].Ordinal].IsNull() {
			continue // the null side of an outer join
		}
		k, _, err := t.Codec.Primary.Key(tr)
		if err != nil {
			return nil, err
		}
		keys, at = append(keys, k), append(at, i)
	}
	o := t.Opts
	o.Since = c.r.foundAt
	if c.missed {
		o.FoundMax = 1
	}
	vals, err := c.r.getMany(keys, o)
	if err != nil {
		return nil, err
	}
	drop := map[int]bool{}
	for i, v := range vals {
		if !v.Exists {
			drop[at[i]] = true
		}
		if v.Left {
			c.left = append(c.left, rows[at[i]])
		}
	}
	out := rows[:0]
	for i, row := range rows {
		if !drop[i] {
			out = append(out, row)
		}
	}
	return out, nil
}

func (c *lockCursor) Close() { c.in.Close() }
