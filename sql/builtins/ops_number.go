package builtins

import (
	"math"
	"math/bits"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

var (
	errDivZero = sqlerr.New(sqlerr.DivisionByZero, "division by zero")
	errInt2    = sqlerr.New(sqlerr.NumericValueOutOfRange, "smallint out of range")
	errInt4    = sqlerr.New(sqlerr.NumericValueOutOfRange, "integer out of range")
	errInt8    = sqlerr.New(sqlerr.NumericValueOutOfRange, "bigint out of range")
	errFloatOv = sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: overflow")
	errFloatUn = sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: underflow")
)

// fitInt checks a result against the width of its type; ok is false after a 64-bit overflow.
func fitInt(n int64, ok bool, width int16) (datum, error) {
	switch {
	case width == 8 && !ok:
		return types.Null, errInt8
	case width == 4 && (!ok || n != int64(int32(n))):
		return types.Null, errInt4
	case width == 2 && (!ok || n != int64(int16(n))):
		return types.Null, errInt2
	}
	return types.NewInt(n), nil
}

func addInt(a, b int64) (int64, bool) { s := a + b; return s, (s > a) == (b > 0) || b == 0 }
func subInt(a, b int64) (int64, bool) { s := a - b; return s, (s < a) == (b > 0) || b == 0 }

func mulInt(a, b int64) (int64, bool) {
	if a == int64(int32(a)) && b == int64(int32(b)) {
		return a * b, true
	}
	hi, lo := bits.Mul64(absInt(a), absInt(b))
	if neg := (a < 0) != (b < 0); neg {
		return a * b, hi == 0 && lo <= 1<<63
	}
	return a * b, hi == 0 && lo < 1<<63
}

func absInt(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func intOps() []Overload {
	var out []Overload
	ints := []types.T{types.Int2, types.Int4, types.Int8}
	for _, l := range ints {
		for _, r := range ints {
			ret := l
			if r.Len() > l.Len() {
				ret = r
			}
			w := ret.Len()
			out = append(out,
				op2("+", l, r, ret, "sum", func(_ ectx, a, b datum) (datum, error) {
					n, ok := addInt(a.Int(), b.Int())
					return fitInt(n, ok, w)
				}),
				op2("-", l, r, ret, "difference", func(_ ectx, a, b datum) (datum, error) {
					n, ok := subInt(a.Int(), b.Int())
					return fitInt(n, ok, w)
				}),
				op2("*", l, r, ret, "product", func(_ ectx, a, b datum) (datum, error) {
					n, ok := mulInt(a.Int(), b.Int())
					return fitInt(n, ok, w)
				}),
				op2("/", l, r, ret, "quotient, truncated towards zero", func(_ ectx, a, b datum) (datum, error) {
					if b.Int() == 0 {
						return types.Null, errDivZero
					}
					return fitInt(a.Int()/b.Int(), a.Int() != math.MinInt64 || b.Int() != -1, w)
				}))
		}
		out = append(out, sameIntOps(l)...)
	}
	return out
}

func sameIntOps(t types.T) []Overload {
	w := t.Len()
	mod := func(_ ectx, a, b datum) (datum, error) {
		if b.Int() == 0 {
			return types.Null, errDivZero
		}
		return types.NewInt(a.Int() % b.Int()), nil
	}
	bit := func(name, doc string, f func(a, b int64) int64) Overload {
		return op2(name, t, t, t, doc, func(_ ectx, a, b datum) (datum, error) { return types.NewInt(f(a.Int(), b.Int())), nil })
	}
	neg := func(_ ectx, a datum) (datum, error) { return fitInt(-a.Int(), a.Int() != math.MinInt64, w) }
	abs := func(_ ectx, a datum) (datum, error) {
		return fitInt(int64(absInt(a.Int())), a.Int() != math.MinInt64, w)
	}
	mask := int64(w)*8 - 1
	shift := func(left bool) Fn2 {
		return func(_ ectx, a, b datum) (datum, error) {
			n := a.Int() >> (b.Int() & mask)
			if left {
				n = a.Int() << (b.Int() & mask)
			}
			switch w {
			case 2:
				n = int64(int16(n))
			case 4:
				n = int64(int32(n))
			}
			return types.NewInt(n), nil
		}
	}
	return []Overload{
		op2("%", t, t, t, "remainder", mod), f2("mod", t, t, t, "remainder", mod),
		bit("&", "bitwise and", func(a, b int64) int64 { return a & b }),
		bit("|", "bitwise or", func(a, b int64) int64 { return a | b }),
		bit("#", "bitwise exclusive or", func(a, b int64) int64 { return a ^ b }),
		op2("<<", t, types.Int4, t, "shift left", shift(true)), op2(">>", t, types.Int4, t, "shift right", shift(false)),
		op1("~", t, t, "bitwise not", func(_ ectx, a datum) (datum, error) { return types.NewInt(^a.Int()), nil }),
		op1("-", t, t, "negation", neg), op1("+", t, t, "the operand", same),
		op1("@", t, t, "absolute value", abs), f1("abs", t, t, "absolute value", abs),
	}
}

func same(_ ectx, a datum) (datum, error) { return a, nil }

// fitFloat refuses infinities that no operand brought in.
func fitFloat(r float64, single bool, operands ...float64) (datum, error) {
	if single {
		r = float64(float32(r))
	}
	if math.IsInf(r, 0) {
		for _, o := range operands {
			if math.IsInf(o, 0) {
				return types.NewFloat(r), nil
			}
		}
		return types.Null, errFloatOv
	}
	return types.NewFloat(r), nil
}

func floatOps() []Overload {
	var out []Overload
	floats := []types.T{types.Float4, types.Float8}
	for _, l := range floats {
		for _, r := range floats {
			ret := types.Float8
			if l == types.Float4 && r == types.Float4 {
				ret = types.Float4
			}
			out = append(out, floatArith(l, r, ret)...)
		}
		out = append(out,
			op1("-", l, l, "negation", func(_ ectx, a datum) (datum, error) { return types.NewFloat(-a.Float()), nil }),
			op1("+", l, l, "the operand", same),
			op1("@", l, l, "absolute value", func(_ ectx, a datum) (datum, error) { return types.NewFloat(math.Abs(a.Float())), nil }),
			f1("abs", l, l, "absolute value", func(_ ectx, a datum) (datum, error) { return types.NewFloat(math.Abs(a.Float())), nil }))
	}
	return append(out, op2("^", types.Float8, types.Float8, types.Float8, "power", floatPower))
}

func floatArith(l, r, ret types.T) []Overload {
	single := ret == types.Float4
	arith := func(name, doc string, f func(a, b float64) float64) Overload {
		return op2(name, l, r, ret, doc, func(_ ectx, a, b datum) (datum, error) {
			x, y := a.Float(), b.Float()
			return fitFloat(f(x, y), single, x, y)
		})
	}
	return []Overload{
		arith("+", "sum", func(a, b float64) float64 { return a + b }),
		arith("-", "difference", func(a, b float64) float64 { return a - b }),
		arith("*", "product", func(a, b float64) float64 { return a * b }),
		op2("/", l, r, ret, "quotient", func(_ ectx, a, b datum) (datum, error) {
			x, y := a.Float(), b.Float()
			if y == 0 && x == x {
				return types.Null, errDivZero
			}
			return fitFloat(x/y, single, x, y)
		}),
	}
}

func floatPower(_ ectx, a, b datum) (datum, error) {
	x, y := a.Float(), b.Float()
	if x == 0 && y < 0 {
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
	}
	if x < 0 && y != math.Trunc(y) {
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForPowerFunction, "a negative number raised to a non-integer power yields a complex result")
	}
	return fitFloat(math.Pow(x, y), false, x, y)
}

// small computes in machine words where operands and result fit, and with general where not.
func small(op func(a, b types.Small) (types.Small, bool), general Fn2) Fn2 {
	return func(ec ectx, a, b datum) (datum, error) {
		if x, ok := types.SmallOf(a.Decimal()); ok {
			if y, ok := types.SmallOf(b.Decimal()); ok {
				if r, ok := op(x, y); ok {
					return r.Datum(), nil
				}
			}
		}
		return general(ec, a, b)
	}
}

// exact computes sums, differences and products without rounding.
func exact(op func(c *apd.Context, d, x, y *apd.Decimal) (apd.Condition, error)) Fn2 {
	return func(_ ectx, a, b datum) (datum, error) {
		x, y := a.Decimal(), b.Decimal()
		if x.Form != apd.Finite || y.Form != apd.Finite {
			return special(op, x, y)
		}
		out := new(apd.Decimal)
		if _, err := op(&apd.BaseContext, out, x, y); err != nil {
			return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
		}
		return types.NewDecimal(out), nil
	}
}

// special computes with infinities and NaN in floating point, which has the same rules.
func special(op func(c *apd.Context, d, x, y *apd.Decimal) (apd.Condition, error), x, y *apd.Decimal) (datum, error) {
	out := new(apd.Decimal)
	c := apd.BaseContext
	c.Traps = 0
	if x.Form == apd.NaN || y.Form == apd.NaN {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	op(&c, out, x, y)
	if out.Form == apd.NaN || out.Form == apd.NaNSignaling {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	return types.NewDecimal(out), nil
}

func numericOps() []Overload {
	n := types.Numeric
	add := addDecimals
	neg := func(_ ectx, a datum) (datum, error) {
		d := new(apd.Decimal)
		return types.NewDecimal(d.Neg(a.Decimal())), nil
	}
	abs := func(_ ectx, a datum) (datum, error) {
		d := new(apd.Decimal)
		return types.NewDecimal(d.Abs(a.Decimal())), nil
	}
	return []Overload{
		op2("+", n, n, n, "sum", add),
		op2("-", n, n, n, "difference", subDecimals),
		op2("*", n, n, n, "product", mulDecimals),
		op2("/", n, n, n, "quotient with at least 16 significant digits", numericDiv),
		op2("%", n, n, n, "remainder", numericMod), f2("mod", n, n, n, "remainder", numericMod),
		op2("^", n, n, n, "power", numericPower), f2("power", n, n, n, "power", numericPower), f2("pow", n, n, n, "power", numericPower),
		f2("div", n, n, n, "integer quotient", func(_ ectx, a, b datum) (datum, error) {
			q, err := quoScale(a.Decimal(), b.Decimal(), 0, true)
			return q, err
		}),
		op1("-", n, n, "negation", neg), op1("+", n, n, "the operand", same),
		op1("@", n, n, "absolute value", abs), f1("abs", n, n, "absolute value", abs),
	}
}

// numericDiv keeps 16 significant digits, reckoned in groups of four as Postgres stores them.
func numericDiv(_ ectx, a, b datum) (datum, error) {
	x, y := a.Decimal(), b.Decimal()
	return quoScale(x, y, divScale(x, y), false)
}

const (
	divSignificantDigits = 16
	displayScaleMax      = 1000
)

func divScale(x, y *apd.Decimal) int32 {
	wx, fx := leadingGroup(x)
	wy, fy := leadingGroup(y)
	q := wx - wy
	if fx <= fy {
		q--
	}
	scale := max(divSignificantDigits-q*4, types.Scale(x), types.Scale(y), 0)
	return min(scale, displayScaleMax)
}

// leadingGroup is the power of 10000 of the first group of four digits, and its value.
func leadingGroup(d *apd.Decimal) (weight int32, first int) {
	if d.Form != apd.Finite || d.IsZero() {
		return 0, 0
	}
	digits := d.Coeff.String()
	whole := len(digits) + int(d.Exponent) // digits before the point; may be negative
	weight = int32((whole+3)/4) - 1
	if whole <= 0 {
		weight = int32(-((-whole)/4 + 1))
	}
	take := whole - int(weight)*4 // 1 to 4
	for i := 0; i < take; i++ {
		first *= 10
		if i < len(digits) {
			first += int(digits[i] - '0')
		}
	}
	return weight, first
}

func quoScale(x, y *apd.Decimal, scale int32, truncate bool) (datum, error) {
	if x.Form == apd.NaN || y.Form == apd.NaN {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	if y.IsZero() {
		return types.Null, errDivZero
	}
	if x.Form == apd.Infinite && y.Form == apd.Infinite {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	if x.Form == apd.Infinite {
		return types.NewDecimal(types.InfDecimal(x.Negative != y.Negative)), nil
	}
	if y.Form == apd.Infinite {
		return types.NewDecimal(apd.New(0, 0)), nil
	}
	return types.NewDecimal(quoBig(x, y, scale, truncate)), nil
}

// quoBig divides integers scaled so that the quotient has scale digits behind the point, and
// rounds half away from zero.
func quoBig(x, y *apd.Decimal, scale int32, truncate bool) *apd.Decimal {
	var num, den, rem apd.BigInt
	num.Set(&x.Coeff)
	den.Set(&y.Coeff)
	shift := int64(scale) + int64(x.Exponent) - int64(y.Exponent)
	var pow apd.BigInt
	pow.Exp(apd.NewBigInt(10), apd.NewBigInt(max(shift, -shift)), nil)
	if shift >= 0 {
		num.Mul(&num, &pow)
	} else {
		den.Mul(&den, &pow)
	}
	out := &apd.Decimal{Exponent: -scale, Negative: x.Negative != y.Negative}
	out.Coeff.QuoRem(&num, &den, &rem)
	rem.Add(&rem, &rem)
	if !truncate && rem.Cmp(&den) >= 0 {
		out.Coeff.Add(&out.Coeff, apd.NewBigInt(1))
	}
	return out
}

func numericMod(_ ectx, a, b datum) (datum, error) {
	x, y := a.Decimal(), b.Decimal()
	if x.Form == apd.NaN || y.Form == apd.NaN {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	if y.IsZero() {
		return types.Null, errDivZero
	}
	if x.Form == apd.Infinite {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	if y.Form == apd.Infinite {
		return a, nil
	}
	scale := max(types.Scale(x), types.Scale(y))
	q := quoBig(x, y, 0, true)
	out := new(apd.Decimal)
	apd.BaseContext.Mul(out, q, y)
	apd.BaseContext.Sub(out, x, out)
	return types.NewDecimal(types.RoundDecimal(out, scale)), nil
}

func numericPower(_ ectx, a, b datum) (datum, error) {
	x, y := a.Decimal(), b.Decimal()
	if x.Form != apd.Finite || y.Form != apd.Finite {
		d, err := floatPower(nil, toFloat(a), toFloat(b))
		if err != nil {
			return types.Null, err
		}
		return types.Cast(d, types.Float8, types.Numeric, true, nil)
	}
	if x.IsZero() && y.Negative {
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
	}
	yi, whole := wholeOf(y)
	if x.Negative && !whole {
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForPowerFunction, "a negative number raised to a non-integer power yields a complex result")
	}
	scale := max(divSignificantDigits, types.Scale(x))
	var one apd.Decimal
	switch {
	case x.IsZero() && !y.IsZero():
		return types.NewDecimal(types.RoundDecimal(apd.New(0, 0), scale)), nil
	case y.IsZero() || one.Abs(x).Cmp(apd.New(1, 0)) == 0:
		// Powers of one need no arithmetic, however large they are.
		r := apd.New(1, 0)
		r.Negative = x.Negative && whole && !isEven(y)
		return types.NewDecimal(types.RoundDecimal(r, scale)), nil
	case whole && absInt(yi) > 100000 && !x.IsZero() && x.NumDigits() > 1 && y.Negative == (math.Abs(toFloat(a).Float()) < 1):
		return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
	}
	approx := math.Log10(math.Abs(toFloat(a).Float())) * toFloat(b).Float()
	if approx > 131072 {
		return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
	}
	if approx < -displayScaleMax-20 {
		return types.NewDecimal(types.RoundDecimal(apd.New(0, 0), displayScaleMax)), nil
	}
	if !whole || absInt(yi) > math.MaxInt32 {
		scale = numericScaleFor(approx, types.Scale(x), types.Scale(y))
	}
	return roundTo(scale, approx, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) { return c.Pow(out, x, y) })
}

// isEven says that a whole number can be divided by two.
func isEven(d *apd.Decimal) bool {
	var r apd.Decimal
	r.Reduce(d)
	return r.Exponent > 0 || r.Exponent == 0 && r.Coeff.MathBigInt().Bit(0) == 0
}

func wholeOf(d *apd.Decimal) (int64, bool) {
	var r apd.Decimal
	r.Reduce(d)
	n, err := r.Int64()
	return n, err == nil && r.Exponent >= 0
}

func toFloat(d datum) datum {
	f, _ := types.Cast(d, types.Numeric, types.Float8, true, nil)
	return f
}

// numericScaleFor keeps 16 significant digits of a result of about 10^log10.
func numericScaleFor(log10 float64, scales ...int32) int32 {
	if math.IsNaN(log10) || math.IsInf(log10, 0) {
		log10 = 0
	}
	scale := int32(divSignificantDigits - int(log10))
	for _, s := range scales {
		scale = max(scale, s)
	}
	return min(max(scale, 0), displayScaleMax)
}

// roundTo computes with enough digits and rounds to scale.
func roundTo(scale int32, log10 float64, f func(c *apd.Context, out *apd.Decimal) (apd.Condition, error)) (datum, error) {
	if math.IsNaN(log10) || math.IsInf(log10, 0) {
		log10 = 0
	}
	c := apd.BaseContext.WithPrecision(uint32(max(int(scale)+int(log10), 16) + 10))
	out := new(apd.Decimal)
	if _, err := f(c, out); err != nil {
		return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
	}
	return types.NewDecimal(types.RoundDecimal(out, scale)), nil
}
