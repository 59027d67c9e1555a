package builtins

import (
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func agg(name string, args []types.T, ret types.T, doc string, mk func(args []types.T) Aggregator) Overload {
	return Overload{Name: name, Class: Aggregate, Args: args, Ret: ret, Vol: Immutable, Strict: true, Doc: doc, NewAgg: mk}
}

func aggregates() []Overload {
	one := func(t types.T) []types.T { return []types.T{t} }
	out := []Overload{
		agg("count", nil, types.Int8, "number of rows", func([]types.T) Aggregator { return &counter{} }),
		agg("count", one(types.Any), types.Int8, "number of values that are not NULL", func([]types.T) Aggregator { return &counter{} }),
		agg("sum", one(types.Int2), types.Int8, "sum", func([]types.T) Aggregator { return &intSum{} }),
		agg("sum", one(types.Int4), types.Int8, "sum", func([]types.T) Aggregator { return &intSum{} }),
		agg("sum", one(types.Int8), types.Numeric, "sum", newNumericSum),
		agg("sum", one(types.Numeric), types.Numeric, "sum", newNumericSum),
		agg("sum", one(types.Float4), types.Float4, "sum", func([]types.T) Aggregator { return &floatSum{single: true} }),
		agg("sum", one(types.Float8), types.Float8, "sum", func([]types.T) Aggregator { return &floatSum{} }),
		agg("sum", one(types.Interval), types.Interval, "sum", func([]types.T) Aggregator { return &intervalSum{} }),
		agg("avg", one(types.Interval), types.Interval, "arithmetic mean", func([]types.T) Aggregator { return &intervalSum{mean: true} }),
		agg("avg", one(types.Float4), types.Float8, "arithmetic mean", func([]types.T) Aggregator { return &floatSum{mean: true} }),
		agg("avg", one(types.Float8), types.Float8, "arithmetic mean", func([]types.T) Aggregator { return &floatSum{mean: true} }),
		agg("bool_and", one(types.Bool), types.Bool, "true if all are", func([]types.T) Aggregator { return &boolAgg{stop: false} }),
		agg("every", one(types.Bool), types.Bool, "true if all are", func([]types.T) Aggregator { return &boolAgg{stop: false} }),
		agg("bool_or", one(types.Bool), types.Bool, "true if any is", func([]types.T) Aggregator { return &boolAgg{stop: true} }),
		lenientAgg(agg("string_agg", []types.T{types.Text, types.Text}, types.Text, "texts joined by a delimiter", func([]types.T) Aggregator { return &stringAgg{} })),
		lenientAgg(agg("string_agg", []types.T{types.Bytea, types.Bytea}, types.Bytea, "bytes joined by a delimiter", func([]types.T) Aggregator { return &stringAgg{bytes: true} })),
		arrayAgg(), jsonAgg("json_agg", types.JSON), jsonAgg("jsonb_agg", types.JSONB),
	}
	for _, t := range []types.T{types.Int2, types.Int4, types.Int8, types.Numeric} {
		out = append(out, agg("avg", one(t), types.Numeric, "arithmetic mean", func([]types.T) Aggregator { return &numericSum{mean: true} }))
	}
	return append(append(out, minMax()...), deviations()...)
}

func lenientAgg(o Overload) Overload { o.Strict = false; return o }

type counter struct{ n int64 }

func (c *counter) Add(ectx, []datum) error    { c.n++; return nil }
func (c *counter) Result(ectx) (datum, error) { return types.NewInt(c.n), nil }

type intSum struct {
	sum  int64
	some bool
}

func (s *intSum) Add(_ ectx, a []datum) error {
	n, ok := addInt(s.sum, a[0].Int())
	if !ok {
		return errInt8
	}
	s.sum, s.some = n, true
	return nil
}

func (s *intSum) Result(ectx) (datum, error) {
	if !s.some {
		return types.Null, nil
	}
	return types.NewInt(s.sum), nil
}

// numericSum adds in machine words as long as they fit, and exactly beyond: the sum is small, less and
// big together.
type numericSum struct {
	small int64       // of integers
	less  types.Small // of small numerics
	big   *apd.Decimal
	n     int64
	mean  bool
}

func newNumericSum([]types.T) Aggregator { return &numericSum{} }

func (s *numericSum) Add(_ ectx, a []datum) error {
	s.n++
	if a[0].Kind() == types.KindInt {
		if n, ok := addInt(s.small, a[0].Int()); ok {
			s.small = n
			return nil
		}
		a = []datum{types.NewDecimal(apd.New(a[0].Int(), 0))}
	}
	if x, ok := types.SmallOf(a[0].Decimal()); ok {
		sum, fits := s.less.Add(x)
		if fits {
			s.less = sum
			return nil
		}
		s.less, a = x, []datum{s.less.Datum()} // what there is goes to the large part
	}
	sum, err := s.plus(a[0])
	if err == nil {
		s.big = sum.Decimal()
	}
	return err
}

func (s *numericSum) plus(d datum) (datum, error) {
	if s.big == nil {
		return d, nil
	}
	return addDecimals(nil, types.NewDecimal(s.big), d)
}

var (
	addDecimals = small(types.Small.Add, exact((*apd.Context).Add))
	mulDecimals = small(types.Small.Mul, exact((*apd.Context).Mul))
	subDecimals = small(types.Small.Sub, exact((*apd.Context).Sub))
)

func (s *numericSum) Result(ectx) (datum, error) {
	if s.n == 0 {
		return types.Null, nil
	}
	total, err := addDecimals(nil, types.NewDecimal(apd.New(s.small, 0)), s.less.Datum())
	if err != nil {
		return types.Null, err
	}
	if s.big != nil {
		if total, err = addDecimals(nil, total, types.NewDecimal(s.big)); err != nil {
			return types.Null, err
		}
	}
	if !s.mean {
		return total, nil
	}
	return numericDiv(nil, total, types.NewDecimal(apd.New(s.n, 0)))
}

type floatSum struct {
	sum          float64
	n            int64
	single, mean bool
}

func (s *floatSum) Add(_ ectx, a []datum) error {
	d, err := fitFloat(s.sum+a[0].Float(), s.single, s.sum, a[0].Float())
	s.sum = d.Float()
	s.n++
	return err
}

func (s *floatSum) Result(ectx) (datum, error) {
	switch {
	case s.n == 0:
		return types.Null, nil
	case s.mean:
		return types.NewFloat(s.sum / float64(s.n)), nil
	}
	return types.NewFloat(s.sum), nil
}

type intervalSum struct {
	sum  types.IntervalValue
	n    int64
	mean bool
}

func (s *intervalSum) Add(_ ectx, a []datum) error {
	d, err := sumIntervals(s.sum, a[0].Interval())
	if err == nil {
		s.sum = d.Interval()
	}
	s.n++
	return err
}

func (s *intervalSum) Result(ectx) (datum, error) {
	switch {
	case s.n == 0:
		return types.Null, nil
	case s.mean:
		return scaleInterval(s.sum, 1/float64(s.n))
	}
	return types.NewInterval(s.sum), nil
}

// boolAgg is decided by the first value equal to stop.
type boolAgg struct{ stop, seen, some bool }

func (b *boolAgg) Add(_ ectx, a []datum) error {
	b.some = true
	b.seen = b.seen || a[0].Bool() == b.stop
	return nil
}

func (b *boolAgg) Result(ectx) (datum, error) {
	if !b.some {
		return types.Null, nil
	}
	return types.NewBool(b.seen == b.stop), nil
}

type stringAgg struct {
	b           strings.Builder
	some, bytes bool
}

func (s *stringAgg) Add(_ ectx, a []datum) error {
	if a[0].IsNull() {
		return nil
	}
	if s.some {
		s.b.WriteString(a[1].Str())
	}
	s.b.WriteString(a[0].Str())
	s.some = true
	return nil
}

func (s *stringAgg) Result(ectx) (datum, error) {
	switch {
	case !s.some:
		return types.Null, nil
	case s.bytes:
		return types.NewBytes(s.b.String()), nil
	}
	return types.NewText(s.b.String()), nil
}

type arrayAggregate struct {
	elem types.T
	vals []datum
	some bool
}

func (s *arrayAggregate) Add(_ ectx, a []datum) error {
	s.vals, s.some = append(s.vals, a[0]), true
	return nil
}

func (s *arrayAggregate) Result(ectx) (datum, error) {
	if !s.some {
		return types.Null, nil
	}
	if elem, ok := s.elem.Elem(); ok {
		return types.StackArrays(elem.Base(), s.vals, sqlerr.New(sqlerr.ArraySubscriptError, "cannot accumulate arrays of different dimensionality"))
	}
	return types.NewArray(s.elem, s.vals), nil
}

func arrayAgg() Overload {
	o := agg("array_agg", []types.T{types.AnyElement}, types.AnyArray, "all values, NULLs included, as an array", func(args []types.T) Aggregator {
		return &arrayAggregate{elem: args[0].Base()}
	})
	o.Strict = false
	o.RetOf = func(args []types.T) types.T {
		if args[0].IsArray() {
			return args[0].Base()
		}
		t, _ := args[0].Base().Array()
		return t
	}
	return o
}

type jsonAggregate struct {
	t    types.T
	ret  types.T
	v    types.JSONValue
	some bool
}

func (s *jsonAggregate) Add(ec ectx, a []datum) error {
	v, err := toJSON(ec, s.t, a[0])
	s.v.Elems, s.some = append(s.v.Elems, v), true
	return err
}

func (s *jsonAggregate) Result(ectx) (datum, error) {
	if !s.some {
		return types.Null, nil
	}
	s.v.Kind = types.JSONArray
	if s.ret == types.JSONB {
		return types.NewJSONB(s.v), nil
	}
	return types.NewJSON(string(types.AppendJSON(nil, s.v, true))), nil
}

func jsonAgg(name string, ret types.T) Overload {
	o := agg(name, []types.T{types.Any}, ret, "all values, NULLs included, as a JSON array", func(args []types.T) Aggregator {
		return &jsonAggregate{t: args[0], ret: ret}
	})
	o.Strict = false
	return o
}

type extreme struct {
	best datum
	sign int
}

func (e *extreme) Add(_ ectx, a []datum) error {
	if e.best.IsNull() || types.Compare(a[0], e.best)*e.sign > 0 {
		e.best = a[0]
	}
	return nil
}

func (e *extreme) Result(ectx) (datum, error) { return e.best, nil }

func minMax() []Overload {
	var out []Overload
	for _, t := range []types.T{types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.Text,
		types.BPChar, types.Date, types.Time, types.Timestamp, types.TimestampTZ, types.Interval, types.Inet, types.TimeTZ, types.Oid, types.AnyArray, types.AnyEnum} {
		out = append(out,
			agg("min", []types.T{t}, t, "smallest value", func([]types.T) Aggregator { return &extreme{sign: -1} }),
			agg("max", []types.T{t}, t, "largest value", func([]types.T) Aggregator { return &extreme{sign: 1} }))
	}
	return out
}

// deviation keeps count, mean and sum of squared differences (Youngs and Cramer, 1971), and exact
// sums for numerics.
type deviation struct {
	n              float64
	sx, sxx        float64 // as in regression
	sum, squares   *apd.Decimal
	exact          bool
	sample, isRoot bool
}

func (d *deviation) Add(_ ectx, a []datum) error {
	d.n++
	if !d.exact {
		x := a[0].Float()
		d.sx += x
		if d.n > 1 {
			t := x*d.n - d.sx
			d.sxx += t * t / (d.n * (d.n - 1))
		} else {
			d.sxx = x - x // NaN of what is not finite
		}
		return nil
	}
	x := decimalOf(a[0])
	var sq apd.Decimal
	if x.Form != apd.Finite {
		d.sum.Form = apd.NaN
		return nil
	}
	apd.BaseContext.Mul(&sq, x, x)
	apd.BaseContext.Add(d.sum, d.sum, x)
	apd.BaseContext.Add(d.squares, d.squares, &sq)
	return nil
}

func (d *deviation) Result(ectx) (datum, error) {
	div := d.n
	if d.sample {
		div--
	}
	if d.n == 0 || div == 0 {
		return types.Null, nil
	}
	if d.exact {
		return d.exactResult(int64(div))
	}
	v := d.sxx / div
	if d.isRoot {
		v = math.Sqrt(v)
	}
	return types.NewFloat(v), nil
}

func decimalOf(d datum) *apd.Decimal {
	if d.Kind() == types.KindInt {
		return apd.New(d.Int(), 0)
	}
	return d.Decimal()
}

// exactResult is (n·Σx² - (Σx)²) / (n·div).
func (d *deviation) exactResult(div int64) (datum, error) {
	if d.sum.Form == apd.NaN {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	n := apd.New(int64(d.n), 0)
	var a, b, nd apd.Decimal
	apd.BaseContext.Mul(&a, n, d.squares)
	apd.BaseContext.Mul(&b, d.sum, d.sum)
	apd.BaseContext.Sub(&a, &a, &b)
	apd.BaseContext.Mul(&nd, n, apd.New(div, 0))
	if a.Sign() <= 0 {
		return types.NewDecimal(apd.New(0, 0)), nil
	}
	v := quoBig(&a, &nd, divScale(&a, &nd), false)
	if !d.isRoot {
		return types.NewDecimal(v), nil
	}
	return numericSqrt(v)
}

func deviations() []Overload {
	var out []Overload
	for _, k := range []struct {
		name, doc      string
		sample, isRoot bool
	}{
		{"stddev", "sample standard deviation", true, true}, {"stddev_samp", "sample standard deviation", true, true},
		{"stddev_pop", "population standard deviation", false, true}, {"variance", "sample variance", true, false},
		{"var_samp", "sample variance", true, false}, {"var_pop", "population variance", false, false},
	} {
		out = append(out,
			agg(k.name, []types.T{types.Float8}, types.Float8, k.doc, func([]types.T) Aggregator {
				return &deviation{sample: k.sample, isRoot: k.isRoot}
			}))
		for _, t := range []types.T{types.Int2, types.Int4, types.Int8, types.Numeric} {
			out = append(out, agg(k.name, []types.T{t}, types.Numeric, k.doc, func([]types.T) Aggregator {
				return &deviation{sample: k.sample, isRoot: k.isRoot, exact: true, sum: new(apd.Decimal), squares: new(apd.Decimal)}
			}))
		}
	}
	return out
}
