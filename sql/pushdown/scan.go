package pushdown

import (
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/types"
)

// Scan is what is to be done to the rows of a scan. It is not changed once Text is in use.
type Scan struct {
	Table *schema.Table
	Index schema.IndexID
	// Base is the register of the table's first column.
	Base bind.ColID
	// Filter are conditions of which a row must meet all.
	Filter []bind.Expr
	// Aggregate: rows that pass are aggregated, by Groups.
	Aggregate bool
	Groups    []bind.Item
	Aggs      []bind.AggCall
}

// New keeps of the conditions what can be done beside the data; whole says that it is all.
func New(t *schema.Table, index schema.IndexID, base bind.ColID, filter []bind.Expr) (s *Scan, whole bool) {
	s = &Scan{Table: t, Index: index, Base: base}
	for _, e := range filter {
		if s.expressible(e) {
			s.Filter = append(s.Filter, e)
		}
	}
	return s, len(s.Filter) == len(filter)
}

// Aggregating is s with an aggregation above it, nil if that cannot be done beside the data.
func (s *Scan) Aggregating(r *bind.Agg) *Scan {
	out := *s
	out.Aggregate, out.Groups, out.Aggs = true, r.Groups, r.Aggs
	if r.Sets != nil {
		return nil
	}
	for _, g := range r.Groups {
		if !s.expressible(g.E) || !plain(g.E.Type()) {
			return nil
		}
	}
	for i := range r.Aggs {
		if !s.aggregable(&r.Aggs[i]) {
			return nil
		}
	}
	return &out
}

func (s *Scan) aggregable(a *bind.AggCall) bool {
	if a.Distinct || len(a.Order) > 0 || len(a.Args) > 1 || a.Filter != nil && !s.expressible(a.Filter) {
		return false
	}
	for _, e := range a.Args {
		if !s.expressible(e) {
			return false
		}
	}
	if a.Star {
		return a.M.Name == "count"
	}
	_, ok := a.M.NewAgg(types1(a.Args)).(builtins.Mergeable)
	return ok
}

func types1(es []bind.Expr) []types.T {
	ts := make([]types.T, len(es))
	for i, e := range es {
		ts[i] = e.Type()
	}
	return ts
}

// program is the text's form on the wire.
type program struct {
	Table     schema.Table   `wire:"1"`
	Index     schema.IndexID `wire:"2"`
	Filter    []expr         `wire:"3"`
	Aggregate bool           `wire:"4"`
	Groups    []expr         `wire:"5"`
	Aggs      []aggregate    `wire:"6"`
}

type aggregate struct {
	Name   string `wire:"1"`
	Star   bool   `wire:"2"`
	Args   []expr `wire:"3"`
	Filter []expr `wire:"4"` // one or none
}

// Text is the program for a statement's parameters; nil if there is nothing for it to do.
func (s *Scan) Text(params []types.Datum) []byte {
	if len(s.Filter) == 0 && !s.Aggregate {
		return nil
	}
	w := writer{base: s.Base, params: params}
	p := program{Table: *s.Table, Index: s.Index, Filter: w.exprs(s.Filter), Aggregate: s.Aggregate}
	for _, g := range s.Groups {
		p.Groups = append(p.Groups, w.expr(g.E))
	}
	for i := range s.Aggs {
		a := &s.Aggs[i]
		x := aggregate{Name: a.M.Name, Star: a.Star, Args: w.exprs(a.Args)}
		if a.Filter != nil {
			x.Filter = []expr{w.expr(a.Filter)}
		}
		p.Aggs = append(p.Aggs, x)
	}
	return p.AppendWire(nil)
}
