package exec

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// Beside is work on an IndexScan's rows that is done beside the data, by the nodes that lead the ranges (package
// pushdown). Its filter only drops rows that the Filter above would drop, so that is asked again for those that
// come.
type Beside struct {
	// Program is its text for these parameters; nil if there is none.
	Program func(params []types.Datum) []byte
	// Aggregates: it also aggregates rows, for the Agg whose cursor is Run.state[Sink].
	Aggregates bool
	Sink       int
}

// Fragment is the part of a plan that is done beside the data: decode, filter, aggregate. It is immutable.
type Fragment struct {
	Dec           *tablekv.Decoder
	Slots, States int
	Filter        Eval // may be nil
	Agg           *Agg // may be nil: rows are only dropped
}

// FragmentRun is a Fragment at work on the rows of one scan; it implements kvapi.Program.
type FragmentRun struct {
	f    *Fragment
	r    *Run
	agg  *aggCursor
	args []fragmentArgs // of each aggregate, for the present row
	// failed: the state is that of no set of rows.
	failed bool
}

type fragmentArgs struct {
	vals   []types.Datum
	counts bool
}

// Start begins a run.
func (f *Fragment) Start() *FragmentRun {
	r := &Run{Ctx: context.Background(), EC: &builtins.EvalContext{Env: &types.Env{}}, MemoryMax: fragmentBytesMax}
	r.Reset(f.Slots, f.States)
	x := &FragmentRun{f: f, r: r}
	if f.Agg != nil {
		x.agg = newAggCursor(f.Agg, r, 0)
		x.agg.groupsMax = fragmentGroupsMax
		x.args = make([]fragmentArgs, len(f.Agg.Funcs))
		if f.Agg.Global {
			x.agg.groups = append(x.agg.groups, x.agg.newGroup())
		}
	}
	return x
}

// Take implements kvapi.Program. Whatever goes wrong with a row, the gateway is to meet it and to say so; so
// with a panic, which fails a statement but does not end a node.
func (x *FragmentRun) Take(key kvapi.Key, value []byte) (taken bool) {
	if x.failed {
		return false
	}
	err := contain.Do(func() error {
		taken = x.take(key, value)
		return nil
	})
	if err != nil {
		x.failed, taken = true, false
	}
	return taken
}

func (x *FragmentRun) take(key kvapi.Key, value []byte) bool {
	if err := x.f.Dec.Decode(key, value, x.r.Slots); err != nil {
		return false
	}
	if x.f.Filter != nil {
		ok, err := evalBool(x.r, x.f.Filter)
		if err != nil || !ok {
			return err == nil
		}
	}
	return x.agg != nil && x.aggregate()
}

// aggregate adds the row to its group: whole, or not at all.
func (x *FragmentRun) aggregate() bool {
	for i := range x.args {
		a := &x.args[i]
		var err error
		if a.vals, a.counts, err = x.agg.n.Funcs[i].arguments(x.r, a.vals[:0]); err != nil {
			return false
		}
	}
	g, err := x.agg.group()
	if err != nil {
		return false
	}
	for i := range g {
		switch {
		case !x.args[i].counts:
		case x.agg.n.Funcs[i].Star:
			g[i].count++
		case g[i].agg.Add(x.r.EC, x.args[i].vals) != nil:
			x.failed = true
		}
	}
	return true
}

// Partial implements kvapi.Program: the groups, each a row of its key and the states of its aggregates.
func (x *FragmentRun) Partial() (groups []byte, ok bool) {
	if x.failed || x.agg == nil {
		return nil, !x.failed
	}
	err := contain.Do(func() error {
		groups = x.encoded()
		return nil
	})
	return groups, err == nil
}

// encoded are the groups as bytes.
func (x *FragmentRun) encoded() []byte {
	ts := x.agg.n.partialTypes()
	ids := columnIDs(len(ts))
	var b, one []byte
	row := make(types.Row, 0, len(ts))
	for i, g := range x.agg.groups {
		row = row[:0]
		if !x.agg.n.Global {
			row = append(row, x.agg.m.keys[i]...)
		}
		for j := range g {
			if x.agg.n.Funcs[j].Star {
				row = append(row, types.NewInt(g[j].count))
			} else {
				row = append(row, g[j].agg.(builtins.Mergeable).State()...)
			}
		}
		one = rowenc.AppendFullRow(one[:0], ids, ts, row)
		b = binary.AppendUvarint(b, uint64(len(one)))
		b = append(b, one...)
	}
	return b
}

// columnIDs are 1 to n.
func columnIDs(n int) []rowenc.ColumnID {
	ids := make([]rowenc.ColumnID, n)
	for i := range ids {
		ids[i] = rowenc.ColumnID(i + 1)
	}
	return ids
}

// partialTypes are the types of a group's key and of the states of its aggregates.
func (n *Agg) partialTypes() []types.T {
	ts := slices.Clone(n.GroupTypes)
	for i := range n.Funcs {
		f := &n.Funcs[i]
		if f.Star {
			ts = append(ts, types.Int8)
		} else {
			ts = append(ts, f.New(f.ArgTypes).(builtins.Mergeable).StateTypes(f.argType())...)
		}
	}
	return ts
}

func (f *AggFunc) argType() types.T {
	if len(f.ArgTypes) == 0 {
		return types.Any
	}
	return f.ArgTypes[0]
}

// Mergeable says whether parts of a group's rows may be aggregated apart.
func (f *AggFunc) Mergeable() bool {
	if f.Star {
		return true
	}
	if f.Distinct || len(f.Order) > 0 || f.New == nil {
		return false
	}
	_, ok := f.New(f.ArgTypes).(builtins.Mergeable)
	return ok
}

// wantsPartials says whether more groups may come that were aggregated elsewhere: they cannot be put aside.
func (c *aggCursor) wantsPartials() bool { return !c.mem.full() }

// absorb takes in the groups of a FragmentRun.
func (c *aggCursor) absorb(b []byte) error {
	bad := sqlerr.New(sqlerr.InternalError, "a node answered with groups that are none")
	if c.partial == nil {
		ts := c.n.partialTypes()
		at := make([]int, len(ts))
		for i := range at {
			at[i] = i
		}
		c.partial = rowenc.NewRowDecoder(columnIDs(len(ts)), ts, at)
		c.partialRow = make(types.Row, len(ts))
	}
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || uint64(len(b)-n) < size {
			return bad
		}
		if err := c.partial.Decode(b[n:n+int(size)], c.partialRow); err != nil {
			return bad.WithCause(err)
		}
		b = b[n+int(size):]
		if err := c.merge(c.partialRow); err != nil {
			return err
		}
	}
	return nil
}

// merge takes in one group: its key, and the states of its aggregates.
func (c *aggCursor) merge(row types.Row) error {
	g, err := c.keyed(row[:len(c.n.GroupTypes)])
	if err != nil {
		return err
	}
	states := row[len(c.n.GroupTypes):]
	for i := range g {
		if c.n.Funcs[i].Star {
			g[i].count += states[0].Int()
			states = states[1:]
			continue
		}
		agg := g[i].agg.(builtins.Mergeable)
		n := len(agg.StateTypes(c.n.Funcs[i].argType()))
		if err := agg.Merge(states[:n]); err != nil {
			return err
		}
		states = states[n:]
	}
	return nil
}

// keyed is the group with a key, whether or not there is room for another.
func (c *aggCursor) keyed(key []types.Datum) ([]aggState, error) {
	if c.n.Global {
		return c.groups[0], nil
	}
	h := hashVals(key)
	if i := c.m.findHashed(h, key); i >= 0 {
		return c.groups[i], nil
	}
	return c.begin(h, key)
}
