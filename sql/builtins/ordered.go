package builtins

import (
	"math"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// orderedSets are the aggregates of f(direct) WITHIN GROUP (ORDER BY x). Each row gives them the
// direct arguments and then x, in the order asked for.
func orderedSets() []Overload {
	f8, iv, ae := types.Float8, types.Interval, types.AnyElement
	f8s := types.T{OID: 1022, Mod: -1}
	set := func(name string, args []types.T, ret types.T, doc string, mk func(ts []types.T) Aggregator) Overload {
		o := agg(name, args, ret, doc, mk)
		o.Ordered = true
		return o
	}
	fractions := func(cont bool, elem int) func(ts []types.T) Aggregator {
		return func(ts []types.T) Aggregator { return &percentile{cont: cont, elem: ts[elem].Base()} }
	}
	ivs, _ := iv.Array()
	out := []Overload{
		set("percentile_cont", []types.T{f8, f8}, f8, "value at a fraction of the order, interpolated", fractions(true, 1)),
		set("percentile_cont", []types.T{f8, iv}, iv, "value at a fraction of the order, interpolated", fractions(true, 1)),
		set("percentile_cont", []types.T{f8s, f8}, f8s, "values at fractions of the order, interpolated", fractions(true, 1)),
		set("percentile_cont", []types.T{f8s, iv}, ivs, "values at fractions of the order, interpolated", fractions(true, 1)),
		set("percentile_disc", []types.T{f8, ae}, ae, "first value at or behind a fraction of the order", fractions(false, 1)),
		set("percentile_disc", []types.T{f8s, ae}, types.AnyArray, "first values at or behind fractions of the order", fractions(false, 1)),
		set("mode", []types.T{ae}, ae, "most frequent value, the first of equals", func([]types.T) Aggregator { return &mode{} }),
	}
	return out
}

// percentile keeps all values; they come in order.
type percentile struct {
	cont bool
	elem types.T
	frac datum
	vals []datum
}

func (p *percentile) Add(_ ectx, a []datum) error {
	p.frac = a[0]
	p.vals = append(p.vals, a[1])
	return nil
}

func (p *percentile) Result(ec ectx) (datum, error) {
	if len(p.vals) == 0 {
		return types.Null, nil
	}
	if p.frac.Kind() != types.KindArray {
		return p.at(ec, p.frac)
	}
	var out []datum
	for _, f := range p.frac.Array().Elems {
		d := types.Null
		if !f.IsNull() {
			var err error
			if d, err = p.at(ec, f); err != nil {
				return types.Null, err
			}
		}
		out = append(out, d)
	}
	return types.NewArray(p.elem, out), nil
}

func (p *percentile) at(ec ectx, frac datum) (datum, error) {
	f := frac.Float()
	if !(f >= 0 && f <= 1) {
		return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "percentile value %s is not between 0 and 1", types.Format(types.Float8, frac, nil))
	}
	if !p.cont {
		return p.vals[max(int(math.Ceil(f*float64(len(p.vals))))-1, 0)], nil
	}
	pos := f * float64(len(p.vals)-1)
	lo, hi := p.vals[int(math.Floor(pos))], p.vals[int(math.Ceil(pos))]
	part := pos - math.Floor(pos)
	if p.elem.OID != types.OIDInterval {
		return types.NewFloat(lo.Float() + part*(hi.Float()-lo.Float())), nil
	}
	diff, err := sumIntervals(hi.Interval(), lo.Interval().Negate())
	if err != nil {
		return types.Null, err
	}
	step, err := scaleInterval(diff.Interval(), part)
	if err != nil {
		return types.Null, err
	}
	return sumIntervals(lo.Interval(), step.Interval())
}

type mode struct {
	best, cur datum
	n, most   int
}

func (m *mode) Add(_ ectx, a []datum) error {
	if m.n == 0 || !types.Equal(m.cur, a[0]) {
		m.cur, m.n = a[0], 0
	}
	if m.n++; m.n > m.most {
		m.best, m.most = m.cur, m.n
	}
	return nil
}

func (m *mode) Result(ectx) (datum, error) { return m.best, nil }
