package bind

import (
	"slices"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// scope is what names mean at one place of a query.
type scope struct {
	b      *binder
	parent *scope
	// tables serve qualified names, cols unqualified ones and *. After JOIN USING they differ.
	tables []*tableRef
	cols   []*scopeCol
	ctes   map[string]*CTE

	// clause names the clause for errors, and noAgg forbids aggregates and window functions in it.
	clause string
	noAgg  bool
	inAgg  bool
	agg    *aggState
	srf    *[]TableFunc // where set-returning functions of a target list go; nil forbids them
	win    *winState
	// barred are tables that may not be referred to here, though they are near.
	barred []*tableRef
	// noSub, if not empty, forbids subqueries and says in what.
	noSub string
	// domain is what VALUE stands for in a domain's CHECK.
	domain *DomainValue
	// outer is what a FROM item that is not lateral sees.
	outer *scope
	// clauseOf is where the subquery is that sees this scope: aggregates over its columns belong there.
	clauseOf *scope
}

// tableRef is a FROM item under its name.
type tableRef struct {
	name   string
	schema string
	cols   []*scopeCol
	desc   *schema.Table
	scan   *Scan
	// secure is the filter of row-level security over scan, nil for none.
	secure *Filter
	// need collects the columns that are read, nil where nobody asks.
	need *Need
	// derived says what the rows were computed by, where there is no scan to lock.
	derived string
	// view is set for a view. optional: an outer join may have found no row.
	view *schema.View
	// row is the type of its rows where a function has returned them, zero for others.
	row      types.T
	optional bool
	// scalar: a function has returned single values, of which the table's name is one.
	scalar bool
}

type scopeCol struct {
	name   string
	id     ColID
	t      types.T
	hidden bool
	// value says that it is all that a function in FROM returned.
	value bool
	// aliased: its name is one that the query gave it.
	aliased bool
	table   *tableRef
	oid     types.OID
	att     int16
}

func (c *scopeCol) expr(pos int32) *Col {
	if c.table != nil && c.table.need != nil && c.att > 0 && !c.hidden {
		c.table.need.Columns[schema.ColumnID(c.att)] = true
	}
	n := c.name
	if c.table != nil && c.table.name != "" {
		n = c.table.name + "." + c.name
	}
	return &Col{ID: c.id, T: c.t, Name: n, Pos: pos}
}

func (sc *scope) addTable(t *tableRef) {
	sc.tables = append(sc.tables, t)
	sc.cols = append(sc.cols, t.cols...)
}

// place names the clause in what says that something is not allowed there.
func (sc *scope) place() string {
	switch sc.clause {
	case "":
		return "FROM clause of their own query level"
	case "JOIN/ON":
		return "JOIN conditions"
	}
	return sc.clause
}

// child makes a scope that sees everything of sc, for a clause.
func (sc *scope) in(clause string, noAgg bool) *scope {
	c := *sc
	c.clause, c.noAgg = clause, noAgg
	return &c
}

// tableRef makes the FROM item of a stored table whose registers start at base.
func (b *binder) tableRef(t *schema.Table, name, schemaName string, base ColID) *tableRef {
	r := &tableRef{name: name, schema: schemaName, desc: t}
	for i := range t.Columns {
		c := &t.Columns[i]
		name := c.Name
		if c.Filling { // nobody can name it yet
			name = ""
		}
		r.cols = append(r.cols, &scopeCol{name: name, id: base + ColID(i), t: tablekv.TypeOf(c.Type),
			hidden: c.Hidden, table: r, oid: types.OID(t.ID), att: int16(c.ID)})
	}
	if f := b.facades[t]; f != nil { // * is in the view's order
		slices.SortStableFunc(r.cols, func(x, y *scopeCol) int { return f.place(x) - f.place(y) })
	}
	return r
}

// lookup finds an unqualified column in this scope and then outer ones.
func (sc *scope) lookup(name string, pos int32) *scopeCol {
	for s := sc; s != nil; s = s.parent {
		var found *scopeCol
		for _, c := range s.cols {
			if c.name != name {
				continue
			}
			if found != nil && found.id != c.id {
				sc.b.failf(pos, sqlerr.AmbiguousColumn, "column reference \"%s\" is ambiguous", name)
			}
			found = c
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// table finds a FROM item by its name.
func (sc *scope) table(schemaName, name string, pos int32) *tableRef {
	for s := sc; s != nil; s = s.parent {
		var found *tableRef
		for _, t := range s.tables {
			if t.name != name || schemaName != "" && t.schema != schemaName {
				continue
			}
			if found != nil {
				sc.b.failf(pos, sqlerr.AmbiguousAlias, "table reference \"%s\" is ambiguous", name)
			}
			found = t
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// refuseBarred says so where a table is known and may not be referred to.
func (sc *scope) refuseBarred(name string, pos int32) {
	for s := sc; s != nil; s = s.parent {
		for _, t := range s.barred {
			if t.name == name {
				sc.b.at(pos, sqlerr.New(sqlerr.UndefinedTable, "invalid reference to FROM-clause entry for table \"%s\"", name).
					WithHint("There is an entry for table \"%s\", but it cannot be referenced from this part of the query.", name))
			}
		}
	}
}

// refuseAliased says so where a table is referred to by its own name, which its alias hides.
func (sc *scope) refuseAliased(schemaName, name string, pos int32) {
	for s := sc; s != nil && schemaName == ""; s = s.parent {
		for _, t := range s.tables {
			if t.desc != nil && t.desc.Name == name && t.name != "" {
				sc.b.at(pos, sqlerr.New(sqlerr.UndefinedTable, "invalid reference to FROM-clause entry for table \"%s\"", name).
					WithHint("Perhaps you meant to reference the table alias \"%s\".", t.name))
			}
		}
	}
}

func (t *tableRef) col(name string) *scopeCol {
	for _, c := range t.cols {
		if c.name == name {
			return c
		}
	}
	return nil
}

// cte finds a WITH query by name.
func (sc *scope) cte(name string) *CTE {
	for s := sc; s != nil; s = s.parent {
		if c := s.ctes[name]; c != nil {
			return c
		}
	}
	return nil
}

// local says whether a register belongs to this level's FROM clause.
func (sc *scope) local(id ColID) bool {
	for _, t := range sc.tables {
		for _, c := range t.cols {
			if c.id == id {
				return true
			}
		}
	}
	for _, c := range sc.cols {
		if c.id == id {
			return true
		}
	}
	return false
}

// missingColumn fails as Postgres does, with its hint for names that are close.
func (sc *scope) missingColumn(table, name string, pos int32) {
	if table != "" {
		sc.b.failf(pos, sqlerr.UndefinedColumn, "column %s.%s does not exist", table, name)
	}
	if hint := missingColumns[name]; hint != "" && len(sc.tables) > 0 {
		sc.b.at(pos, sqlerr.Unsupported("system column %s", name).WithHint("%s", hint))
	}
	e := sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" does not exist", name)
	if h := sc.hint(name); h != "" {
		e = e.WithHint("%s", h)
	}
	sc.b.at(pos, e)
}

func (sc *scope) hint(name string) string {
	best, bestDist := "", 4
	for s := sc; s != nil; s = s.parent {
		for _, t := range s.tables {
			for _, c := range t.cols {
				if d := editDistance(name, c.name); !c.hidden && d < bestDist && d <= len(name)/2 {
					best, bestDist = t.name+"."+c.name, d
				}
			}
		}
	}
	if best == "" {
		return ""
	}
	return "Perhaps you meant to reference the column \"" + best + "\"."
}

func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 99
	}
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
		}
		prev = cur
	}
	return prev[len(b)]
}
