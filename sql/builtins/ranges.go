package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// rangeFuncs compute with ranges (manual 9.20).
func rangeFuncs() []Overload {
	ar, ae, bo := types.AnyRange, types.AnyElement, types.Bool
	bound := func(name, doc string, of func(r *types.RangeValue) datum) Overload {
		return f1(name, ar, ae, doc, func(_ ectx, a datum) (datum, error) { return of(a.Range()), nil })
	}
	is := func(name, doc string, of func(r *types.RangeValue) bool) Overload {
		return f1(name, ar, bo, doc, func(_ ectx, a datum) (datum, error) { return types.NewBool(of(a.Range())), nil })
	}
	out := []Overload{
		bound("lower", "lower bound, NULL if there is none", func(r *types.RangeValue) datum { return r.Lower }),
		bound("upper", "upper bound, NULL if there is none", func(r *types.RangeValue) datum { return r.Upper }),
		is("isempty", "whether nothing is in the range", func(r *types.RangeValue) bool { return r.Empty }),
		is("lower_inc", "whether the lower bound is in the range", func(r *types.RangeValue) bool { return r.LowerInc }),
		is("upper_inc", "whether the upper bound is in the range", func(r *types.RangeValue) bool { return r.UpperInc }),
		is("lower_inf", "whether there is no lower bound", func(r *types.RangeValue) bool { return !r.Empty && r.Lower.IsNull() }),
		is("upper_inf", "whether there is no upper bound", func(r *types.RangeValue) bool { return !r.Empty && r.Upper.IsNull() }),
		f2("range_merge", ar, ar, ar, "smallest range that has both", func(_ ectx, a, b datum) (datum, error) {
			return a.Range().Merge(b.Range()).Datum(), nil
		}),
		agg("range_intersect_agg", []types.T{ar}, ar, "what all ranges have in common", func([]types.T) Aggregator { return &rangeIntersection{} }),
	}
	out = append(out, rangeOps()...)
	for _, t := range []types.T{types.Int4Range, types.Int8Range, types.NumRange, types.TsRange, types.TstzRange, types.DateRange} {
		sub, _ := t.Subtype()
		make2 := func(_ ectx, a []datum) (datum, error) {
			return types.NewRange(t, types.RangeValue{Lower: a[0], Upper: a[1], LowerInc: true})
		}
		out = append(out,
			fn(t.TypeName(), []types.T{sub, sub}, t, "range from a bound up to, but without, another; NULL for none", make2).lenient(),
			fn(t.TypeName(), []types.T{sub, sub, types.Text}, t, "range between bounds, of which (, ), [ and ] say whether they are in it", newRange(t)).lenient())
	}
	return out
}

func newRange(t types.T) Fn {
	return func(_ ectx, a []datum) (datum, error) {
		if a[2].IsNull() {
			return types.Null, sqlerr.New(sqlerr.DataException, "range constructor flags argument must not be null")
		}
		s := a[2].Str()
		if len(s) != 2 || s[0] != '[' && s[0] != '(' || s[1] != ']' && s[1] != ')' {
			return types.Null, sqlerr.New(sqlerr.SyntaxError, "invalid range bound flags").
				WithHint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\".")
		}
		return types.NewRange(t, types.RangeValue{Lower: a[0], Upper: a[1], LowerInc: s[0] == '[', UpperInc: s[1] == ']'})
	}
}

// rangeOps are the operators, each also under the name of its function.
func rangeOps() []Overload {
	ar, ae, bo := types.AnyRange, types.AnyElement, types.Bool
	var out []Overload
	both := func(op, name string, l, r, ret types.T, doc string, f Fn2) {
		out = append(out, op2(op, l, r, ret, doc, f), f2(name, l, r, ret, doc, f))
	}
	test := func(op, name, doc string, ok func(a, b *types.RangeValue) bool) {
		both(op, name, ar, ar, bo, doc, func(_ ectx, a, b datum) (datum, error) { return types.NewBool(ok(a.Range(), b.Range())), nil })
	}
	test("@>", "range_contains", "contains", (*types.RangeValue).Contains)
	test("<@", "range_contained_by", "is contained in", func(a, b *types.RangeValue) bool { return b.Contains(a) })
	test("&&", "range_overlaps", "have an element in common", (*types.RangeValue).Overlaps)
	test("<<", "range_before", "is strictly left of", (*types.RangeValue).Before)
	test(">>", "range_after", "is strictly right of", func(a, b *types.RangeValue) bool { return b.Before(a) })
	test("&<", "range_overleft", "does not extend to the right of", func(a, b *types.RangeValue) bool {
		return !a.Empty && !b.Empty && a.To().Compare(b.To()) <= 0
	})
	test("&>", "range_overright", "does not extend to the left of", func(a, b *types.RangeValue) bool {
		return !a.Empty && !b.Empty && a.From().Compare(b.From()) >= 0
	})
	test("-|-", "range_adjacent", "is adjacent to", (*types.RangeValue).Adjacent)
	both("@>", "range_contains_elem", ar, ae, bo, "contains the element", func(_ ectx, a, b datum) (datum, error) {
		return types.NewBool(a.Range().Has(b)), nil
	})
	both("<@", "elem_contained_by_range", ae, ar, bo, "is an element of", func(_ ectx, a, b datum) (datum, error) {
		return types.NewBool(b.Range().Has(a)), nil
	})
	both("+", "range_union", ar, ar, ar, "union, which must have no gap", func(_ ectx, a, b datum) (datum, error) {
		x, y := a.Range(), b.Range()
		if !x.Empty && !y.Empty && !x.Overlaps(y) && !x.Adjacent(y) {
			return types.Null, sqlerr.New(sqlerr.DataException, "result of range union would not be contiguous")
		}
		return x.Merge(y).Datum(), nil
	})
	both("*", "range_intersect", ar, ar, ar, "intersection", func(_ ectx, a, b datum) (datum, error) {
		return a.Range().Intersect(b.Range()).Datum(), nil
	})
	both("-", "range_minus", ar, ar, ar, "difference, which must have no gap", func(_ ectx, a, b datum) (datum, error) {
		left, ok := a.Range().Minus(b.Range())
		if !ok {
			return types.Null, sqlerr.New(sqlerr.DataException, "result of range difference would not be contiguous")
		}
		return left.Datum(), nil
	})
	return out
}

type rangeIntersection struct {
	all  datum
	some bool
}

func (s *rangeIntersection) Add(_ ectx, a []datum) error {
	if s.some {
		s.all = s.all.Range().Intersect(a[0].Range()).Datum()
	} else {
		s.all, s.some = a[0], true
	}
	return nil
}

func (s *rangeIntersection) Result(ectx) (datum, error) { return s.all, nil }

// StateTypes implements Mergeable.
func (s *rangeIntersection) StateTypes(arg types.T) []types.T { return []types.T{arg} }

// State implements Mergeable.
func (s *rangeIntersection) State() []datum { return []datum{s.all} }

// Merge implements Mergeable.
func (s *rangeIntersection) Merge(st []datum) error {
	if st[0].IsNull() {
		return nil
	}
	return s.Add(nil, st)
}
