package exec

import (
	"errors"
	"sort"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/types"
)

// AggFunc is one aggregate of an Agg.
type AggFunc struct {
	ID       bind.ColID
	Args     []Eval
	ArgTypes []types.T
	Filter   Eval
	Distinct bool
	Strict   bool
	Star     bool // count(*): rows are counted without a call
	Order    []bind.SortKey
	New      func(args []types.T) builtins.Aggregator
	Name     string
}

// Agg groups its input by hash. Without groups (Global) it yields exactly one row. When the groups take
// too much memory, no more are begun: rows of others are written to partitions by the hash of their
// group, which are aggregated one by one after the groups in memory have been yielded.
type Agg struct {
	In     Node
	InCols []bind.ColID // the registers of the input that are read
	Groups []Item
	Funcs  []AggFunc
	Global bool
	// GroupTypes are those of Groups, where groups may come from elsewhere in parts (Beside); State numbers
	// the cursor in Run.state for the scan that is told of them, -1 where there is none.
	GroupTypes []types.T
	State      int
	// Always are keys of groups that are there also without rows.
	Always [][]types.Datum
	Text   []string
}

// Open implements Node.
func (n *Agg) Open(r *Run) (Cursor, error) {
	c := newAggCursor(n, r, 0)
	in, err := n.In.Open(r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if n.State >= 0 {
		r.state[n.State] = c
	}
	if n.Global {
		c.groups = append(c.groups, c.newGroup())
	}
	for _, key := range n.Always {
		if _, _, err := c.m.addScratch(r, key); err != nil {
			return nil, err
		}
		c.groups = append(c.groups, c.newGroup())
	}
	return c, c.read(in)
}

func newAggCursor(n *Agg, r *Run, level int) *aggCursor {
	return &aggCursor{n: n, r: r, level: level, m: newRowMap(), mem: account{r: r}}
}

// Explain implements Node.
func (n *Agg) Explain() Explained {
	x := Explained{Title: "Aggregate", Kids: []Node{n.In}}
	if !n.Global {
		x.Title = "HashAggregate"
		x.Details = []string{"Group Key: " + joinComma(n.Text)}
	}
	return x
}

func joinComma(ss []string) string {
	out := ""
	for i, s := range ss {
		if i > 0 {
			out += ", "
		}
		out += s
	}
	return out
}

type aggCursor struct {
	n      *Agg
	r      *Run
	m      *rowMap
	groups [][]aggState
	key    []types.Datum
	args   []types.Datum
	at     int

	// groupsMax bounds the groups, 0 for no bound.
	groupsMax  int
	partial    *rowenc.RowDecoder
	partialRow types.Row

	level int
	mem   account
	// parts hold the rows of groups that there was no room for, sub is the aggregation of one.
	parts *partitions
	part  int
	sub   *aggCursor
	slab  []aggState
}

// aggState is one aggregate over one group.
type aggState struct {
	agg   builtins.Aggregator
	count int64
	seen  *rowMap
	kept  []keptArgs // arguments waiting for their ORDER BY
}

type keptArgs struct{ args, keys []types.Datum }

func (c *aggCursor) newGroup() []aggState {
	if len(c.slab) < len(c.n.Funcs) {
		c.slab = make([]aggState, 64*len(c.n.Funcs))
	}
	g := c.slab[:len(c.n.Funcs):len(c.n.Funcs)]
	c.slab = c.slab[len(g):]
	for i := range g {
		f := &c.n.Funcs[i]
		if !f.Star {
			g[i].agg = f.New(f.ArgTypes)
		}
		if f.Distinct {
			g[i].seen = newRowMap()
		}
	}
	return g
}

func (c *aggCursor) read(in Cursor) error {
	for {
		ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			if c.parts != nil {
				return c.parts.finish()
			}
			return nil
		}
		g, err := c.group()
		if err != nil {
			return err
		}
		for i := range g {
			if err := c.feed(&c.n.Funcs[i], &g[i]); err != nil {
				return err
			}
		}
		if err := c.r.tick(); err != nil {
			return err
		}
	}
}

func (c *aggCursor) group() ([]aggState, error) {
	if c.n.Global {
		return c.groups[0], nil
	}
	c.key = c.key[:0]
	for _, g := range c.n.Groups {
		d, err := g.E(c.r)
		if err != nil {
			return nil, err
		}
		c.key = append(c.key, d)
	}
	h := hashVals(c.key)
	if i := c.m.findHashed(h, c.key); i >= 0 {
		return c.groups[i], nil
	}
	if c.mem.full() && c.level < spillLevelMax && len(c.groups) > 0 {
		if c.parts == nil {
			c.parts = newPartitions(c.r, c.n.InCols, c.level)
		}
		return nil, c.parts.add(h)
	}
	return c.begin(h, c.key)
}

// errGroups is what FragmentRun meets instead of the groupsMax+1st group.
var errGroups = errors.New("exec: too many groups")

// begin begins a group.
func (c *aggCursor) begin(h uint64, key []types.Datum) ([]aggState, error) {
	if c.groupsMax > 0 && len(c.groups) >= c.groupsMax {
		return nil, errGroups
	}
	own, size := c.m.s.own(key)
	if err := c.mem.add(size + rowMapEntry + aggStateBytes*len(c.n.Funcs)); err != nil {
		return nil, err
	}
	c.m.insert(h, own)
	c.groups = append(c.groups, c.newGroup())
	return c.groups[len(c.groups)-1], nil
}

// aggStateBytes is what an aggregate over a group is taken to need.
const aggStateBytes = 128

// feed gives the present row to one aggregate.
func (c *aggCursor) feed(f *AggFunc, s *aggState) error {
	var counts bool
	var err error
	if c.args, counts, err = f.arguments(c.r, c.args[:0]); err != nil || !counts {
		return err
	}
	if f.Star {
		s.count++
		return nil
	}
	if s.seen != nil {
		before := len(s.seen.keys)
		_, added, err := s.seen.addScratch(c.r, c.args)
		if err != nil || !added {
			return err
		}
		c.mem.used += int64(rowSize(s.seen.keys[before]) + rowMapEntry) // held already
	}
	if len(f.Order) > 0 || f.Distinct {
		return c.keep(f, s)
	}
	return s.agg.Add(c.r.EC, c.args)
}

// arguments appends the arguments that the present row has for the aggregate, if the row counts.
func (f *AggFunc) arguments(r *Run, args []types.Datum) (_ []types.Datum, counts bool, err error) {
	if f.Filter != nil {
		if ok, err := evalBool(r, f.Filter); err != nil || !ok {
			return args, false, err
		}
	}
	if f.Star {
		return args, true, nil
	}
	for _, a := range f.Args {
		d, err := a(r)
		if err != nil || d.IsNull() && f.Strict {
			return args, false, err
		}
		args = append(args, d)
	}
	return args, true, nil
}

// keep stores a row's arguments until all are there and can be ordered; DISTINCT orders too, as
// Postgres does by sorting.
func (c *aggCursor) keep(f *AggFunc, s *aggState) error {
	k := keptArgs{args: append([]types.Datum(nil), c.args...)}
	size := 48
	for _, o := range f.Order {
		k.keys = append(k.keys, c.r.Slots[o.ID])
	}
	for _, d := range k.args {
		size += 2 * d.SizeBytes()
	}
	s.kept = append(s.kept, k)
	return c.mem.add(size)
}

func rowSize(row []types.Datum) int {
	size := 24
	for _, d := range row {
		size += d.SizeBytes()
	}
	return size
}

func (c *aggCursor) Next() (bool, error) {
	if c.at >= len(c.groups) {
		return c.nextPartition()
	}
	g := c.groups[c.at]
	if !c.n.Global {
		for i, it := range c.n.Groups {
			c.r.Slots[it.ID] = c.m.keys[c.at][i]
		}
	}
	for i := range g {
		d, err := c.result(&c.n.Funcs[i], &g[i])
		if err != nil {
			return false, err
		}
		c.r.Slots[c.n.Funcs[i].ID] = d
	}
	c.groups[c.at] = nil
	c.at++
	return true, nil
}

func (c *aggCursor) result(f *AggFunc, s *aggState) (types.Datum, error) {
	if f.Star {
		return types.NewInt(s.count), nil
	}
	sort.SliceStable(s.kept, func(i, j int) bool { return keptLess(f, &s.kept[i], &s.kept[j]) })
	for _, k := range s.kept {
		if err := s.agg.Add(c.r.EC, k.args); err != nil {
			return types.Null, err
		}
	}
	return s.agg.Result(c.r.EC)
}

func keptLess(f *AggFunc, a, b *keptArgs) bool {
	for i := range f.Order {
		if cmp := compareKey(&f.Order[i], a.keys[i], b.keys[i]); cmp != 0 {
			return cmp < 0
		}
	}
	if len(f.Order) > 0 {
		return false
	}
	natural := bind.SortKey{}
	for i := range a.args {
		if cmp := compareKey(&natural, a.args[i], b.args[i]); cmp != 0 {
			return cmp < 0
		}
	}
	return false
}

// nextPartition goes on with the groups that there was no room for.
func (c *aggCursor) nextPartition() (bool, error) {
	if c.parts == nil {
		return false, nil
	}
	if c.part == 0 {
		c.groups, c.m, c.at, c.slab = nil, newRowMap(), 0, nil
		c.mem.release()
	}
	for {
		if c.sub == nil {
			if c.part >= spillPartitions {
				return false, nil
			}
			c.sub = newAggCursor(c.n, c.r, c.level+1)
			in := c.parts.cursor(c.part)
			c.part++
			err := c.sub.read(in)
			in.Close()
			if err != nil {
				return false, err
			}
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
func (c *aggCursor) Close() {
	if c.sub != nil {
		c.sub.Close()
	}
	if c.parts != nil {
		c.parts.close()
	}
	c.groups, c.m = nil, nil
	c.mem.release()
}
