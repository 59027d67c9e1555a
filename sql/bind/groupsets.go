package bind

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// GroupingSets yields each row of its input once for each of Sets, so that a plain grouping above it
// by Items, SetID and Bits groups by all sets at once.
//
//	GROUP BY ROLLUP (a, b)       row (1, 2) → (1, 2, set 0) (1, NULL, set 1) (NULL, NULL, set 2)
type GroupingSets struct {
	In Rel
	// Items are what is grouped by; those that are not of the set are NULL.
	Items []Item
	// Sets are the grouping sets as indexes into Items.
	Sets [][]int
	// SetID gets the number of the set: equal sets stay apart.
	SetID ColID
	// Bits are the calls of GROUPING.
	Bits []GroupingBits
}

// GroupingBits is a call of GROUPING: a bit for each argument, 1 if it is not of the row's set.
type GroupingBits struct {
	ID   ColID
	Args []int
}

// Value is what the call gives for a set.
func (g GroupingBits) Value(set []int) int64 {
	v := int64(0)
	for _, a := range g.Args {
		v <<= 1
		if !slices.Contains(set, a) {
			v |= 1
		}
	}
	return v
}

// Grouping is GROUPING(…) until the groups are known.
type Grouping struct {
	Args []Expr
	Pos  []int32
}

// Type implements Expr.
func (*Grouping) Type() types.T { return types.Int4 }

const (
	// groupingSetsMax, cubeMax and groupingArgsMax are Postgres's limits.
	groupingSetsMax = 4096
	cubeMax         = 12
	groupingArgsMax = 31
)

func (b *binder) grouping(sc *scope, n *pg.GroupingFunc) Expr {
	if sc.noAgg || sc.agg == nil {
		b.failf(n.Location, sqlerr.GroupingError, "grouping operations are not allowed in %s", sc.place())
	}
	if sc.inAgg {
		b.failf(n.Location, sqlerr.GroupingError, "aggregate function calls cannot be nested")
	}
	if len(n.Args) > groupingArgsMax {
		b.failf(n.Location, sqlerr.TooManyArguments, "GROUPING must have fewer than 32 arguments")
	}
	inner := *sc
	inner.inAgg = true
	g := &Grouping{Args: b.exprs(&inner, n.Args)}
	for _, a := range n.Args {
		g.Pos = append(g.Pos, b.pos(a))
	}
	sc.agg.grouping = true
	return g
}

// groupSets binds GROUP BY into the expressions grouped by and, if there is more than one grouping
// set, the sets.
func (st *selectState) groupSets() (groups []Expr, sets [][]int) {
	g := &setMaker{st: st, at: map[string]int{}}
	sets = [][]int{nil}
	for _, n := range st.s.GroupClause {
		var next [][]int
		more := g.item(n)
		if len(sets)*len(more) > groupingSetsMax {
			st.b.failf(-1, sqlerr.StatementTooComplex, "too many grouping sets present (maximum %d)", groupingSetsMax)
		}
		for _, a := range sets {
			for _, m := range more {
				next = append(next, union(a, m))
			}
		}
		sets = next
	}
	if st.s.GroupDistinct {
		sets = distinctSets(sets)
	}
	if len(sets) == 1 {
		return g.groups, nil
	}
	return g.groups, sets
}

// setMaker numbers the expressions of grouping sets.
type setMaker struct {
	st     *selectState
	groups []Expr
	at     map[string]int
}

// item gives the sets that one element of GROUP BY stands for.
func (g *setMaker) item(n *pg.Node) [][]int {
	s := n.GetGroupingSet()
	if s == nil {
		return [][]int{g.list(n)}
	}
	var out [][]int
	switch s.Kind {
	case pg.GroupingSetKind_GROUPING_SET_ROLLUP:
		parts := g.lists(s.Content)
		for n := len(parts); n >= 0; n-- {
			out = append(out, union(nil, slices.Concat(parts[:n]...)))
		}
	case pg.GroupingSetKind_GROUPING_SET_CUBE:
		parts := g.lists(s.Content)
		if len(parts) > cubeMax {
			g.st.b.failf(s.Location, sqlerr.TooManyColumns, "CUBE is limited to %d elements", cubeMax)
		}
		for mask := 1<<len(parts) - 1; mask >= 0; mask-- {
			var set []int
			for i, p := range parts {
				if mask&(1<<(len(parts)-1-i)) != 0 {
					set = union(set, p)
				}
			}
			out = append(out, set)
		}
	case pg.GroupingSetKind_GROUPING_SET_SETS:
		for _, c := range s.Content {
			out = append(out, g.item(c)...)
		}
	default:
		out = [][]int{nil}
	}
	return out
}

func (g *setMaker) lists(ns []*pg.Node) [][]int {
	var out [][]int
	for _, n := range ns {
		out = append(out, g.list(n))
	}
	return out
}

// list is an expression, or several in parentheses.
func (g *setMaker) list(n *pg.Node) []int {
	if r := n.GetRowExpr(); r != nil && r.RowFormat == pg.CoercionForm_COERCE_IMPLICIT_CAST {
		var out []int
		for _, a := range r.Args {
			out = union(out, g.list(a))
		}
		return out
	}
	e := g.st.groupExpr(n)
	k := key(e)
	i, ok := g.at[k]
	if !ok {
		i = len(g.groups)
		g.at[k] = i
		g.groups = append(g.groups, e)
	}
	return []int{i}
}

func union(a, b []int) []int {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

func distinctSets(sets [][]int) [][]int {
	var out [][]int
	var seen [][]int
	for _, s := range sets {
		k := slices.Sorted(slices.Values(s))
		if !slices.ContainsFunc(seen, func(o []int) bool { return slices.Equal(o, k) }) {
			seen, out = append(seen, k), append(out, s)
		}
	}
	return out
}

// expand puts the grouping sets below the aggregation.
func (u *ungrouper) expand() {
	b := u.st.b
	g := &GroupingSets{In: u.a.In, Sets: u.st.sets, SetID: b.newCols(1)}
	for _, e := range u.st.groups {
		id := b.newCols(1)
		g.Items = append(g.Items, Item{ID: id, E: e})
		// Above the aggregation a column's own register has the value of the group, as without
		// sets: subqueries refer to it. Below, aggregates read the column as it is.
		above := id
		if c, ok := e.(*Col); ok {
			above = c.ID
		}
		u.byKey[key(e)] = above
		u.a.Groups = append(u.a.Groups, Item{ID: above, E: &Col{ID: id, T: e.Type(), Name: Format(e), Pos: -1}})
	}
	u.a.Groups = append(u.a.Groups, Item{ID: g.SetID, E: &Col{ID: g.SetID, T: types.Int4, Pos: -1}})
	u.a.In, u.a.Sets, u.sets = g, g, g
}

// groupingCall replaces GROUPING by the register that has its value.
func (u *ungrouper) groupingCall(e *Grouping) Expr {
	bits := GroupingBits{}
	for i, a := range e.Args {
		at := slices.IndexFunc(u.st.groups, func(g Expr) bool { return key(g) == key(a) })
		if at < 0 {
			u.st.b.failf(e.Pos[i], sqlerr.GroupingError, "arguments to GROUPING must be grouping expressions of the associated query level")
		}
		bits.Args = append(bits.Args, at)
	}
	if u.sets == nil {
		return &Const{D: types.NewInt(0), T: types.Int4, Pos: -1}
	}
	for _, o := range u.sets.Bits {
		if slices.Equal(o.Args, bits.Args) {
			return &Col{ID: o.ID, T: types.Int4, Name: "GROUPING", Pos: -1}
		}
	}
	bits.ID = u.st.b.newCols(1)
	u.sets.Bits = append(u.sets.Bits, bits)
	c := &Col{ID: bits.ID, T: types.Int4, Name: "GROUPING", Pos: -1}
	u.a.Groups = append(u.a.Groups, Item{ID: bits.ID, E: c})
	return c
}
