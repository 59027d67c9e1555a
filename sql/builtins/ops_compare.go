package builtins

import "github.com/cairndb/cairn/sql/types"

// test decides from Compare's result.
type test struct {
	op, doc string
	ok      func(c int) bool
	ints    Fn2
}

func intTest(ok func(a, b int64) bool) Fn2 {
	return func(_ *EvalContext, a, b types.Datum) (types.Datum, error) {
		return types.NewBool(ok(a.Int(), b.Int())), nil
	}
}

func tests() []test {
	return []test{
		{"=", "equal", func(c int) bool { return c == 0 }, intTest(func(a, b int64) bool { return a == b })},
		{"<>", "not equal", func(c int) bool { return c != 0 }, intTest(func(a, b int64) bool { return a != b })},
		{"<", "less than", func(c int) bool { return c < 0 }, intTest(func(a, b int64) bool { return a < b })},
		{"<=", "less than or equal", func(c int) bool { return c <= 0 }, intTest(func(a, b int64) bool { return a <= b })},
		{">", "greater than", func(c int) bool { return c > 0 }, intTest(func(a, b int64) bool { return a > b })},
		{">=", "greater than or equal", func(c int) bool { return c >= 0 }, intTest(func(a, b int64) bool { return a >= b })},
	}
}

// comparablePairs are the operand types of comparisons, as pg_operator has them. Types that cast
// implicitly (varchar, name, regclass) come in through text and oid.
func comparablePairs() [][2]types.T {
	var ps [][2]types.T
	for _, t := range []types.T{types.Bool, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8,
		types.Numeric, types.Text, types.BPChar, types.Char, types.Name, types.Bytea, types.UUID, types.Inet, types.TimeTZ, types.Bit, types.Varbit, types.Macaddr, types.Macaddr8, types.Date, types.Time,
		types.Timestamp, types.TimestampTZ, types.Interval, types.Oid, types.JSONB, types.AnyArray, types.Record, types.AnyEnum, types.AnyRange} {
		ps = append(ps, [2]types.T{t, t})
	}
	for _, family := range [][]types.T{{types.Int2, types.Int4, types.Int8}, {types.Float4, types.Float8}} {
		for _, a := range family {
			for _, b := range family {
				if a != b {
					ps = append(ps, [2]types.T{a, b})
				}
			}
		}
	}
	return append(ps, [2]types.T{types.Date, types.Timestamp}, [2]types.T{types.Timestamp, types.Date},
		[2]types.T{types.Name, types.Text}, [2]types.T{types.Text, types.Name})
}

func comparisonOps() []Overload {
	var out []Overload
	for _, te := range tests() {
		for _, p := range comparablePairs() {
			out = append(out, Overload{Name: te.op, Op: true, Class: Scalar, Args: []types.T{p[0], p[1]}, Ret: types.Bool,
				Vol: Immutable, Strict: true, Doc: te.doc, Fn2: te.fn(p)})
		}
		for _, p := range [][2]types.T{{types.Date, types.TimestampTZ}, {types.TimestampTZ, types.Date},
			{types.Timestamp, types.TimestampTZ}, {types.TimestampTZ, types.Timestamp}} {
			out = append(out, Overload{Name: te.op, Op: true, Class: Scalar, Args: []types.T{p[0], p[1]}, Ret: types.Bool,
				Vol: Stable, Strict: true, Doc: te.doc + ", in the session's time zone", Fn2: zonedTest(te, p)})
		}
	}
	return append(out, logicFuncs()...)
}

func (te test) fn(p [2]types.T) Fn2 {
	if p[0].Kind() == types.KindInt || p[0].Kind() == p[1].Kind() && isCount(p[0].Kind()) {
		return te.ints
	}
	if p[0].OID == types.OIDRecord {
		return func(_ *EvalContext, a, b types.Datum) (types.Datum, error) {
			if err := types.ComparableRecords(a.Record(), b.Record()); err != nil {
				return types.Null, err
			}
			return types.NewBool(te.ok(types.Compare(a, b))), nil
		}
	}
	if te.op == "=" || te.op == "<>" {
		want := te.op == "="
		return func(_ *EvalContext, a, b types.Datum) (types.Datum, error) {
			return types.NewBool(types.Equal(a, b) == want), nil
		}
	}
	return func(_ *EvalContext, a, b types.Datum) (types.Datum, error) {
		return types.NewBool(te.ok(types.Compare(a, b))), nil
	}
}

func isCount(k types.Kind) bool {
	switch k {
	case types.KindBool, types.KindEnum, types.KindDate, types.KindTime, types.KindTimestamp, types.KindTimestampTZ:
		return true
	}
	return false
}

func zonedTest(te test, p [2]types.T) Fn2 {
	return func(ec *EvalContext, a, b types.Datum) (types.Datum, error) {
		x, err := types.Cast(a, p[0], types.TimestampTZ, false, ec.env())
		if err != nil {
			return types.Null, err
		}
		y, err := types.Cast(b, p[1], types.TimestampTZ, false, ec.env())
		return types.NewBool(te.ok(types.Compare(x, y))), err
	}
}

func logicFuncs() []Overload {
	b := types.Bool
	return []Overload{
		f2("booleq", b, b, b, "boolean equality", func(_ *EvalContext, x, y types.Datum) (types.Datum, error) {
			return types.NewBool(x.Bool() == y.Bool()), nil
		}),
	}
}

// op2, op1, f1, f2 and fn shorten the tables: strict and immutable unless said otherwise.
func op2(name string, l, r, ret types.T, doc string, fn Fn2) Overload {
	return Overload{Name: name, Op: true, Class: Scalar, Args: []types.T{l, r}, Ret: ret, Vol: Immutable, Strict: true, Doc: doc, Fn2: fn}
}

func op1(name string, r, ret types.T, doc string, fn Fn1) Overload {
	return Overload{Name: name, Op: true, Class: Scalar, Args: []types.T{r}, Ret: ret, Vol: Immutable, Strict: true, Doc: doc, Fn1: fn}
}

func f1(name string, a, ret types.T, doc string, fn Fn1) Overload {
	return Overload{Name: name, Class: Scalar, Args: []types.T{a}, Ret: ret, Vol: Immutable, Strict: true, Doc: doc, Fn1: fn}
}

func f2(name string, a, b, ret types.T, doc string, fn Fn2) Overload {
	return Overload{Name: name, Class: Scalar, Args: []types.T{a, b}, Ret: ret, Vol: Immutable, Strict: true, Doc: doc, Fn2: fn}
}

func fn(name string, args []types.T, ret types.T, doc string, f Fn) Overload {
	return Overload{Name: name, Class: Scalar, Args: args, Ret: ret, Vol: Immutable, Strict: true, Doc: doc, Fn: f}
}

func (o Overload) stable() Overload           { o.Vol = Stable; return o }
func (o Overload) volatile() Overload         { o.Vol = Volatile; return o }
func (o Overload) lenient() Overload          { o.Strict = false; return o }
func (o Overload) variadic() Overload         { o.Variadic = true; return o }
func (o Overload) defaults(n int) Overload    { o.Defaults = n; return o }
func (o Overload) named(name string) Overload { o.Name = name; return o }

// Datum and Error keep the tables' function literals short.
type (
	datum = types.Datum
	ectx  = *EvalContext
)
