package exec

import (
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// LookupJoin reads, for batches of left rows, the right rows by an index: by a unique key, of which each
// left row finds one at most, or by the first columns of an index (Many).
//
//	left rows ──▶ different keys ──▶ one batch of Gets, or of scans of each key's entries
//	    │                                   │ entries of a secondary index: one more batch, of their rows
//	    └────────── pos ──────────────▶ hits of each key
type LookupJoin struct {
	Kind  bind.JoinKind // inner, left, semi, anti
	L     Node
	Table *tablekv.Codec
	Index *tablekv.IndexCodec
	Keys  []Eval // over the left row, one per key column
	Many  bool
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
	return &lookupCursor{n: n, r: r, l: l, mem: account{r: r}}, err
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
	s    slab
	pos  []int32 // which of keys each row has, -1: a NULL in it
	keys []kvapi.Key
	// hits are the right rows, those of keys[i] from from[i] to from[i+1].
	hits []hit
	from []int32
	mem  account
	// batch is how many left rows are read at a time: few at first, as few may be wanted.
	batch int

	at      int   // the present left row
	next    int32 // its next hit
	matched bool
}

// hit is an entry, or the row that it points to.
type hit struct {
	key   kvapi.Key
	value []byte
}

// Next implements Cursor.
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
		ok, err := c.step()
		if err != nil || ok {
			return ok, err
		}
		if err := c.r.tick(); err != nil {
			return false, err
		}
	}
}

// fill reads a batch of left rows and the right rows they ask for, each key once.
func (c *lookupCursor) fill() error {
	c.mem.release()
	c.rows, c.pos, c.keys, c.hits, c.from, c.s = c.rows[:0], c.pos[:0], c.keys[:0], c.hits[:0], c.from[:0], slab{}
	most := LookupBatchMax
	if c.n.Many {
		most = lookupManyMax
	}
	c.batch = min(max(c.batch*lookupGrowth, lookupFirst), most)
	most = c.batch
	seen := map[string]int32{}
	for len(c.rows) < most {
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
		row, size := c.s.save(c.r, c.n.LCols)
		if err := c.mem.add(size); err != nil {
			return err
		}
		c.rows = append(c.rows, row)
		p := int32(-1)
		if key != nil {
			var dup bool
			if p, dup = seen[string(key)]; !dup {
				p = int32(len(c.keys))
				seen[string(key)] = p
				c.keys = append(c.keys, key)
			}
		}
		c.pos = append(c.pos, p)
	}
	var err error
	if c.n.Many {
		err = c.readMany()
	} else {
		err = c.readOnes()
	}
	if err == nil && c.n.Fetch != nil {
		err = c.fetch()
	}
	c.start(0)
	return err
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

func (c *lookupCursor) readOnes() error {
	opts := c.n.Opts
	if c.n.Fetch != nil {
		opts = looking(opts)
	}
	vals, err := c.r.getMany(c.keys, opts)
	for i, v := range vals {
		c.from = append(c.from, int32(len(c.hits)))
		if v.Exists {
			c.hits = append(c.hits, hit{c.keys[i], v.Data})
		}
	}
	c.from = append(c.from, int32(len(c.hits)))
	return err
}

// readMany scans the entries of each key; spans have to ascend.
func (c *lookupCursor) readMany() error {
	slotOf := make([]int, len(c.keys))
	for i := range slotOf {
		slotOf[i] = i
	}
	slices.SortFunc(slotOf, func(a, b int) int { return c.keys[a].Compare(c.keys[b]) })
	spans := make([]kvapi.Span, len(c.keys))
	for i, k := range slotOf {
		spans[i] = kvapi.Span{Key: c.keys[k], EndKey: c.keys[k].PrefixEnd()}
	}
	found, err := c.r.scanMany(spans)
	if err != nil {
		return err
	}
	of := make([][]kvapi.KeyValue, len(c.keys))
	for i, k := range slotOf {
		of[k] = found[i]
	}
	for _, rows := range of {
		c.from = append(c.from, int32(len(c.hits)))
		for _, kv := range rows {
			c.hits = append(c.hits, hit{kv.Key, kv.Value})
			if err := c.mem.add(64 + len(kv.Key) + len(kv.Value)); err != nil {
				return err
			}
		}
	}
	c.from = append(c.from, int32(len(c.hits)))
	return nil
}

// fetch replaces index entries by the rows they point to.
func (c *lookupCursor) fetch() error {
	keys := make([]kvapi.Key, len(c.hits))
	row := c.r.Slots[c.n.Base : int(c.n.Base)+len(c.n.Table.Types)]
	for i, h := range c.hits {
		if err := c.n.Dec.Decode(h.key, h.value, c.r.Slots); err != nil {
			return err
		}
		k, _, err := c.n.Table.Primary.Key(row)
		if err != nil {
			return err
		}
		keys[i] = k
	}
	for start := 0; start < len(keys); start += fetchBatchMax {
		part := keys[start:min(start+fetchBatchMax, len(keys))]
		vals, err := c.r.getMany(part, c.n.Opts)
		if err != nil {
			return err
		}
		for i, v := range vals {
			c.hits[start+i] = hit{part[i], v.Data}
			if !v.Exists { // skipped, or gone
				c.hits[start+i].key = nil
			}
			if err := c.mem.add(len(v.Data)); err != nil {
				return err
			}
		}
	}
	return nil
}

// start makes left row i the present one.
func (c *lookupCursor) start(i int) {
	c.at, c.matched = i, false
	if i < len(c.rows) && c.pos[i] >= 0 && int(c.pos[i]) < len(c.from)-1 {
		c.next = c.from[c.pos[i]]
	}
}

// step takes the present left row's next partner, or ends it.
func (c *lookupCursor) step() (bool, error) {
	i := c.at
	layout(c.n.LCols).load(c.r, c.rows[i])
	if p := c.pos[i]; p >= 0 {
		for c.next < c.from[p+1] {
			h := &c.hits[c.next]
			c.next++
			ok, err := c.matches(h)
			if err != nil {
				return false, err
			}
			if !ok {
				continue
			}
			c.matched = true
			switch c.n.Kind {
			case bind.JoinSemi:
				c.start(i + 1)
				return true, nil
			case bind.JoinAnti:
				c.start(i + 1)
				return false, nil
			}
			return true, nil
		}
	}
	alone := !c.matched
	c.start(i + 1)
	switch {
	case !alone:
		return false, nil
	case c.n.Kind == bind.JoinLeft:
		layout(c.n.RCols).clear(c.r)
		return true, nil
	}
	return c.n.Kind == bind.JoinAnti, nil
}

// matches loads a right row and checks the rest of the condition.
func (c *lookupCursor) matches(h *hit) (bool, error) {
	if h.key == nil {
		return false, nil
	}
	dec := c.n.Dec
	if c.n.Fetch != nil {
		dec = c.n.Fetch
	}
	if err := dec.Decode(h.key, h.value, c.r.Slots); err != nil {
		return false, err
	}
	if err := compute(c.r, c.n.Virtual); err != nil {
		return false, err
	}
	if c.n.On == nil {
		return true, nil
	}
	return evalBool(c.r, c.n.On)
}

// Close implements Cursor.
func (c *lookupCursor) Close() {
	c.mem.release()
	c.l.Close()
}
