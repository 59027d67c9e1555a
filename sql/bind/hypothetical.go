package bind

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// hypothetical are the aggregates that say where a row would stand among those of the group.
var hypothetical = map[string]bool{"rank": true, "dense_rank": true, "percent_rank": true, "cume_dist": true}

// hypotheticalSet binds rank(h, …) WITHIN GROUP (ORDER BY k, …) and its kin as counts of the rows that
// stand before h:
//
//	rank          1 + count(*) FILTER (WHERE k before h)
//	dense_rank    1 + count(DISTINCT (k)) FILTER (WHERE k before h)
//	percent_rank  count(*) FILTER (WHERE k before h) / count(*), 0 without rows
//	cume_dist     (1 + count(*) FILTER (WHERE k not behind h)) / (1 + count(*))
func (b *binder) hypotheticalSet(sc *scope, name string, fc *pg.FuncCall) Expr {
	if fc.AggDistinct {
		b.failf(fc.Location, sqlerr.SyntaxError, "cannot use DISTINCT with WITHIN GROUP")
	}
	inner := sc.inAggregate()
	args := b.exprs(inner, fc.Args)
	var keys []Expr
	var order []SortKey
	for _, o := range fc.AggOrder {
		e := b.defaultUnknown(b.expr(inner, o.GetSortBy().Node))
		keys, order = append(keys, e), append(order, b.sortKey(o.GetSortBy(), e.Type()))
	}
	if len(args) != len(keys) {
		b.hypotheticalMismatch(name, args, keys, fc.Location)
	}
	var filter []Expr
	if fc.AggFilter != nil {
		filter = append(filter, b.boolean(b.expr(inner.in("FILTER", true), fc.AggFilter), "FILTER", b.pos(fc.AggFilter)))
	}
	sc = b.aggScope(sc, inner, &AggCall{Args: slices.Concat(args, keys, filter)}, fc.Location)
	before, same := b.standing(args, keys, order, fc.Location)
	count := func(conds ...Expr) Expr {
		return b.countRows(sc, nil, append(filter[:len(filter):len(filter)], conds...), fc.Location)
	}
	one := &Const{D: types.NewInt(1), T: types.Int8, Pos: -1}
	float := func(e Expr) Expr { return b.coerce(e, types.Float8, types.CastExplicit, -1) }
	switch name {
	case "rank":
		return b.op("+", count(before), one, -1)
	case "dense_rank":
		conds := append(filter[:len(filter):len(filter)], before)
		return b.op("+", b.countRows(sc, &Row{Elems: keys, Names: make([]string, len(keys))}, conds, fc.Location), one, -1)
	case "percent_rank":
		all := count()
		none := b.op("=", all, &Const{D: types.NewInt(0), T: types.Int8, Pos: -1}, -1)
		return &Case{Whens: []When{{none, &Const{D: types.NewFloat(0), T: types.Float8, Pos: -1}}},
			Else: b.op("/", float(count(before)), float(all), -1), T: types.Float8}
	}
	upTo := &Or{Args: []Expr{before, same}}
	return b.op("/", float(b.op("+", count(upTo), one, -1)), float(b.op("+", count(), one, -1)), -1)
}

// standing are the conditions that a row's keys sort before the arguments, and with them.
func (b *binder) standing(args, keys []Expr, order []SortKey, pos int32) (before, same Expr) {
	for i := len(keys) - 1; i >= 0; i-- {
		pair := []Expr{keys[i], args[i]}
		b.common("WITHIN GROUP", pair, pos)
		k, h := pair[0], pair[1]
		op, low, high := "<", h, k // where one of them is NULL: low is, if the key is to be before
		if order[i].Desc {
			op = ">"
		}
		if order[i].NullsFirst {
			low, high = k, h
		}
		first := Expr(&Or{Args: []Expr{b.op(op, k, h, pos),
			&And{Args: []Expr{&IsNull{E: low}, &IsNull{E: high, Negate: true}}}}})
		equal := Expr(&Distinct{L: k, R: h, Negate: true})
		if before == nil {
			before, same = first, equal
			continue
		}
		before = &Or{Args: []Expr{first, &And{Args: []Expr{equal, before}}}}
		same = &And{Args: []Expr{equal, same}}
	}
	return before, same
}

// countRows is count(*), or count(DISTINCT distinct), of the rows for which all conditions hold.
func (b *binder) countRows(sc *scope, distinct Expr, conds []Expr, pos int32) Expr {
	c := AggCall{Star: distinct == nil, Distinct: distinct != nil}
	if distinct != nil {
		c.Args = []Expr{distinct}
	}
	var err error
	c.M, err = builtins.ResolveFunc("count", exprTypes(c.Args))
	b.check(pos, err)
	switch len(conds) {
	case 0:
	case 1:
		c.Filter = conds[0]
	default:
		c.Filter = &And{Args: conds}
	}
	return b.addAgg(sc, c, pos)
}

func (b *binder) hypotheticalMismatch(name string, args, keys []Expr, pos int32) {
	var names []string
	for _, e := range append(args[:len(args):len(args)], keys...) {
		names = append(names, e.Type().Base().String())
	}
	b.at(pos, sqlerr.New(sqlerr.UndefinedFunction, "function %s(%s) does not exist", name, strings.Join(names, ", ")).
		WithHint("To use the hypothetical-set aggregate %s, the number of hypothetical direct arguments (here %d) must match the number of ordering columns (here %d).",
			name, len(args), len(keys)))
}
