package plan

import (
	"math"
	"slices"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// Selectivity is the share of rows that a condition keeps. What a column's statistics say counts;
// where there are none, or the condition is none that they can answer, fixed fractions do. Several
// conditions are taken as independent, but for the two ends of a range.

// colInfo is a stored column that a register holds.
type colInfo struct {
	table *schema.Table
	ord   int
	known *stats.Table
	stat  *stats.Column
	typ   types.T
}

// collect notes which stored column each register holds.
func (p *planner) collect(r bind.Rel) {
	bind.WalkRel(r, func(r bind.Rel) {
		s, ok := r.(*bind.Scan)
		if !ok {
			return
		}
		var known *stats.Table
		if p.o.Stats != nil {
			known = p.o.Stats(s.Table)
		}
		for i := range s.Table.Columns {
			c := &s.Table.Columns[i]
			p.cols[s.Base+bind.ColID(i)] = &colInfo{table: s.Table, ord: i, known: known, stat: known.Column(c), typ: tablekv.TypeOf(c.Type)}
		}
	}, func(bind.Expr) {})
}

// plainCol is the register that an expression merely reads.
func plainCol(e bind.Expr) (bind.ColID, bool) {
	for {
		switch x := e.(type) {
		case *bind.Cast:
			if !x.Relabel {
				return 0, false
			}
			e = x.E
		case *bind.Col:
			return x.ID, true
		default:
			return 0, false
		}
	}
}

func (p *planner) tableRows(t *schema.Table) float64 {
	if p.o.Stats != nil {
		if k := p.o.Stats(t); k != nil {
			return max(k.Rows, 1)
		}
	}
	return EstimateRows
}

// distinctValues guesses how many different values a register has among some rows.
func (p *planner) distinctValues(id bind.ColID, rows float64) float64 {
	c := p.cols[id]
	if c == nil {
		return max(min(rows, distinctDefault), 1)
	}
	d := float64(distinctDefault)
	if c.stat != nil {
		d = c.stat.Distinct
	} else if uniqueAlone(c.table, c.ord) {
		d = p.tableRows(c.table)
	}
	return max(min(d, rows), 1)
}

// uniqueAlone says that a column is a unique key by itself.
func uniqueAlone(t *schema.Table, ord int) bool {
	is := func(ix *schema.Index) bool {
		return ix.Unique && ix.IsPublic() && ix.Where == 0 && len(ix.Columns) == 1 && ix.Columns[0].ID == t.Columns[ord].ID
	}
	if len(t.Primary.Columns) == 1 && t.Primary.Columns[0].ID == t.Columns[ord].ID {
		return true
	}
	for i := range t.Indexes {
		if is(&t.Indexes[i]) {
			return true
		}
	}
	return false
}

// selectivity is that of all conditions together.
func (p *planner) selectivity(preds []bind.Expr) float64 {
	s := 1.0
	var ranges map[bind.ColID]*rangeOf
	var open map[string]bool
	for _, e := range preds {
		if id, lo, hi, ok := p.rangeCond(e); ok {
			if ranges == nil {
				ranges = map[bind.ColID]*rangeOf{}
			}
			r := ranges[id]
			if r == nil {
				r = &rangeOf{lo: 0, hi: 1}
				ranges[id] = r
			}
			r.lo, r.hi = max(r.lo, lo), min(r.hi, hi)
			continue
		}
		if k, upper, ok := p.unknownRange(e); ok {
			if was, ok := open[k]; ok && was != upper {
				s *= bothEndsFraction / rangeFraction // the other end was there already
				continue
			}
			open = with(open, k, upper)
		}
		s *= p.sel(e)
	}
	for id, r := range ranges {
		s *= max(r.hi-r.lo, p.leastOf(id))
	}
	return min(max(s, 0), 1)
}

// unknownRange is one end of a range of which nothing is known: of what, and which end.
func (p *planner) unknownRange(e bind.Expr) (of string, upper, ok bool) {
	c, isCall := e.(*bind.Call)
	if !isCall || !c.M.Op || len(c.Args) != 2 || c.M.Name == "=" || mirrored[c.M.Name] == "" {
		return "", false, false
	}
	if _, ok := p.sampled(e); ok {
		return "", false, false
	}
	a, op := c.Args[0], c.M.Name
	if len(bind.Refs(a)) == 0 {
		a, op = c.Args[1], mirrored[op]
	}
	return bind.Key(a), op == "<" || op == "<=", true
}

func with(m map[string]bool, k string, v bool) map[string]bool {
	if m == nil {
		m = map[string]bool{}
	}
	m[k] = v
	return m
}

type rangeOf struct{ lo, hi float64 }

// leastOf is the least that a range is taken to keep: one value's rows.
func (p *planner) leastOf(id bind.ColID) float64 {
	if c := p.cols[id]; c != nil && c.stat != nil {
		return min(c.stat.EqualAny(), 0.01)
	}
	return 0.001
}

// rangeCond reads col op constant as a part (lo, hi) of the column's values in order.
func (p *planner) rangeCond(e bind.Expr) (id bind.ColID, lo, hi float64, ok bool) {
	c, isCall := e.(*bind.Call)
	if !isCall || !c.M.Op || len(c.Args) != 2 || c.M.Name == "=" || mirrored[c.M.Name] == "" {
		return 0, 0, 0, false
	}
	op, a, b := c.M.Name, c.Args[0], c.Args[1]
	if _, ok := plainCol(a); !ok {
		op, a, b = mirrored[op], b, a
	}
	id, ok = plainCol(a)
	info := p.cols[id]
	if !ok || info == nil || info.stat == nil || !info.stat.Ranges() {
		return 0, 0, 0, false
	}
	key, ok := constKey(info.typ, b)
	if !ok {
		return 0, 0, 0, false
	}
	below, notNull := info.stat.Below(key), 1-info.stat.NullFrac
	equal := info.stat.Equal(key)
	switch op {
	case "<":
		return id, 0, below, true
	case "<=":
		return id, 0, min(below+equal, notNull), true
	case ">":
		return id, min(below+equal, notNull), notNull, true
	}
	return id, below, notNull, true
}

// constKey encodes a constant as a value of a column's type.
func constKey(t types.T, e bind.Expr) ([]byte, bool) {
	for {
		c, ok := e.(*bind.Cast)
		if !ok || !c.Relabel {
			break
		}
		e = c.E
	}
	c, ok := e.(*bind.Const)
	if !ok || c.D.IsNull() || !rowenc.KeyEncodable(t) {
		return nil, false
	}
	d := c.D
	if c.T.Kind() != t.Kind() {
		var err error
		if d, err = types.Cast(d, c.T, types.T{OID: t.OID, Mod: -1, User: t.User}, true, &types.Env{}); err != nil {
			return nil, false
		}
	}
	if d.Kind() != t.Kind() {
		return nil, false
	}
	return rowenc.AppendKey(nil, d, t, false), true
}

// sel is the share of one condition.
func (p *planner) sel(e bind.Expr) float64 {
	switch e := e.(type) {
	case *bind.Const:
		if !e.D.IsNull() && e.D.Bool() {
			return 1
		}
		return 0
	case *bind.And:
		return p.selectivity(e.Args)
	case *bind.Or:
		s := 0.0
		for _, a := range e.Args {
			x := p.selectivity(conjuncts(a))
			s += x - s*x
		}
		return s
	case *bind.Not:
		return 1 - p.sel(e.E)
	case *bind.IsNull:
		f := 0.005
		if id, ok := plainCol(e.E); ok && p.cols[id] != nil && p.cols[id].stat != nil {
			f = p.cols[id].stat.NullFrac
		}
		if e.Negate {
			return 1 - f
		}
		return f
	case *bind.In:
		if id, ok := plainCol(e.E); ok {
			s := 0.0
			for _, v := range e.List {
				s += p.equalTo(id, v)
			}
			s = min(s, 1)
			if e.Negate {
				return 1 - s
			}
			return s
		}
		if s, ok := p.sampled(e); ok {
			return s
		}
		s := min(equalityFraction*float64(len(e.List)), 1)
		if e.Negate {
			return 1 - s
		}
		return s
	case *bind.Quant:
		if id, ok := plainCol(e.E); ok && !e.All && e.Op.Name == "=" {
			return min(10*p.equalTo(id, e.Array), 1)
		}
	case *bind.Col:
		if c := p.cols[e.ID]; c != nil && c.stat != nil {
			return c.stat.Equal(rowenc.AppendKey(nil, types.NewBool(true), types.Bool, false))
		}
		return 0.5
	case *bind.Subquery:
		return 0.5
	case *bind.Call:
		if e.M.Op && len(e.Args) == 2 {
			if s, ok := p.selCompare(e); ok {
				return s
			}
		}
	}
	if s, ok := p.sampled(e); ok {
		return s
	}
	if c, ok := e.(*bind.Call); ok && c.M.Op && slices.Contains(containing, c.M.Name) {
		return containFraction
	}
	return filterFraction
}

// containing are the operators that ask what a value holds.
var containing = []string{"@>", "<@", "?", "?&", "?|", "&&"}

func (p *planner) selCompare(e *bind.Call) (float64, bool) {
	switch e.M.Name {
	case "=", "<>":
		a, b := e.Args[0], e.Args[1]
		ida, oka := plainCol(a)
		idb, okb := plainCol(b)
		var s float64
		switch {
		case oka && okb && len(p.cols) > 0:
			s = 1 / max(p.distinctValues(ida, math.Inf(1)), p.distinctValues(idb, math.Inf(1)))
		case oka:
			s = p.equalTo(ida, b)
		case okb:
			s = p.equalTo(idb, a)
		default:
			if s, ok := p.sampled(e); ok {
				return s, true
			}
			s = 0.005
		}
		if e.M.Name == "<>" {
			s = 1 - s
		}
		return s, true
	case "<", "<=", ">", ">=":
		if id, lo, hi, ok := p.rangeCond(e); ok {
			return max(hi-lo, p.leastOf(id)), true
		}
		if s, ok := p.sampled(e); ok {
			return s, true
		}
		return rangeFraction, true
	}
	return 0, false
}

// equalTo is the share of rows whose column equals a value, known or not.
func (p *planner) equalTo(id bind.ColID, v bind.Expr) float64 {
	c := p.cols[id]
	if c == nil {
		return 0.005
	}
	if c.stat != nil {
		if key, ok := constKey(c.typ, v); ok {
			return c.stat.Equal(key)
		}
		return c.stat.EqualAny()
	}
	if uniqueAlone(c.table, c.ord) {
		return 1 / p.tableRows(c.table)
	}
	return equalityFraction
}

// sampled computes a condition over a column's common values and bounds of buckets: it stands for any
// condition on one column that has no formula, as LIKE or a function of it.
func (p *planner) sampled(e bind.Expr) (float64, bool) {
	if p.o.Eval == nil {
		return 0, false
	}
	id, ok := onlyColumn(e)
	c := p.cols[id]
	if !ok || c == nil || c.stat == nil || len(c.stat.Common)+len(c.stat.Bounds) < 2 {
		return 0, false
	}
	f, err := p.c.Compile(e)
	if err != nil {
		return 0, false
	}
	r := &exec.Run{EC: p.o.Eval, Slots: make([]types.Datum, p.st.NumCols)}
	holds := func(key []byte) float64 {
		d, _, err := rowenc.DecodeKey(key, c.typ, false)
		if err != nil {
			return filterFraction // only its beginning is known
		}
		r.Slots[id] = d
		v, err := f(r)
		if err != nil || v.IsNull() || !v.Bool() {
			return 0
		}
		return 1
	}
	s, rest := 0.0, 1-c.stat.NullFrac
	for i := range c.stat.Common {
		rest -= c.stat.Common[i].Freq
		s += c.stat.Common[i].Freq * holds(c.stat.Common[i].Key)
	}
	if n := len(c.stat.Bounds); n > 0 {
		hits := 0.0
		for _, b := range c.stat.Bounds {
			hits += holds(b)
		}
		// None of a hundred says less than one in a hundred, not none at all.
		s += max(rest, 0) * max(hits, 0.5) / float64(n)
	}
	return min(max(s, 0.0001), 1), true
}

// onlyColumn is the one register that an expression reads, if it is computed from nothing else.
func onlyColumn(e bind.Expr) (bind.ColID, bool) {
	id, found, ok := bind.ColID(0), false, true
	bind.WalkExpr(e, func(bind.Rel) { ok = false }, func(x bind.Expr) {
		switch x := x.(type) {
		case *bind.Col:
			ok = ok && (!found || id == x.ID)
			id, found = x.ID, true
		case *bind.Call:
			ok = ok && x.M.Vol != 'v'
		case *bind.Param, *bind.Subquery, *bind.DomainCheck, *bind.DomainValue:
			ok = false
		}
	})
	return id, ok && found
}

// groups guesses how many different combinations of values there are among some rows.
func (p *planner) groups(items []bind.Item, rows float64) float64 {
	n := 1.0
	for _, g := range items {
		d := max(min(rows, distinctDefault), 1)
		if id, ok := plainCol(g.E); ok {
			d = p.distinctValues(id, rows)
		} else if id, ok := onlyColumn(g.E); ok {
			d = min(p.distinctValues(id, rows), distinctDefault)
		}
		n *= d
	}
	return max(min(n, rows*0.9), 1)
}
