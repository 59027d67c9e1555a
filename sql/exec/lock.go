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
// drops the rows it cannot lock. Rows are locked in batches, which SKIP LOCKED and LIMIT bound to
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
}

func (c *lockCursor) Next() (bool, error) {
	for c.at >= len(c.rows) {
		if c.end {
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
	var rows []types.Row
	for len(rows) < c.n.Batch {
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
	vals, err := c.r.getMany(keys, t.Opts)
	if err != nil {
		return nil, err
	}
	drop := map[int]bool{}
	for i, v := range vals {
		if !v.Exists {
			drop[at[i]] = true
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
