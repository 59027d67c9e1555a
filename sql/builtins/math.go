package builtins

import (
	"math"
	"math/big"
	"math/rand/v2"
	"sort"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func float(name, doc string, f func(x float64) float64) Overload {
	return f1(name, types.Float8, types.Float8, doc, func(_ ectx, a datum) (datum, error) {
		return fitFloat(f(a.Float()), false, a.Float())
	})
}

var errInput = sqlerr.New(sqlerr.NumericValueOutOfRange, "input is out of range")

// bounded is float for functions with a domain.
func bounded(name, doc string, ok func(x float64) bool, f func(x float64) float64) Overload {
	return f1(name, types.Float8, types.Float8, doc, func(_ ectx, a datum) (datum, error) {
		if x := a.Float(); !ok(x) && x == x {
			return types.Null, errInput
		}
		return types.NewFloat(f(a.Float())), nil
	})
}

func mathFuncs() []Overload {
	f8, n, i4 := types.Float8, types.Numeric, types.Int4
	unit := func(x float64) bool { return x >= -1 && x <= 1 }
	finite := func(x float64) bool { return !math.IsInf(x, 0) }
	num := func(name, doc string, f func(d *apd.Decimal) *apd.Decimal) Overload {
		return f1(name, n, n, doc, func(_ ectx, a datum) (datum, error) { return types.NewDecimal(f(a.Decimal())), nil })
	}
	ceil := func(d *apd.Decimal) *apd.Decimal { return directed(d, apd.RoundCeiling) }
	floor := func(d *apd.Decimal) *apd.Decimal { return directed(d, apd.RoundFloor) }
	out := []Overload{
		float("ceil", "smallest whole number not below", math.Ceil), num("ceil", "smallest whole number not below", ceil),
		float("ceiling", "smallest whole number not below", math.Ceil), num("ceiling", "smallest whole number not below", ceil),
		float("floor", "largest whole number not above", math.Floor), num("floor", "largest whole number not above", floor),
		float("round", "nearest whole number, ties to even", math.RoundToEven),
		num("round", "nearest whole number, ties away from zero", func(d *apd.Decimal) *apd.Decimal { return types.RoundDecimal(d, 0) }),
		f2("round", n, i4, n, "rounds to digits behind the point", func(_ ectx, a, b datum) (datum, error) {
			return types.NewDecimal(types.RoundDecimal(a.Decimal(), clampScale(b.Int()))), nil
		}),
		float("trunc", "whole part", math.Trunc),
		num("trunc", "whole part", func(d *apd.Decimal) *apd.Decimal { return types.TruncDecimal(d, 0) }),
		f2("trunc", n, i4, n, "cuts to digits behind the point", func(_ ectx, a, b datum) (datum, error) {
			return types.NewDecimal(types.TruncDecimal(a.Decimal(), clampScale(b.Int()))), nil
		}),
		float("sign", "-1, 0 or 1", func(x float64) float64 {
			if x == 0 || x != x {
				return x
			}
			return math.Copysign(1, x)
		}),
		num("sign", "-1, 0 or 1", func(d *apd.Decimal) *apd.Decimal {
			if d.Form == apd.NaN {
				return d
			}
			return apd.New(int64(d.Sign()), 0)
		}),
		num("trim_scale", "without trailing zeros", func(d *apd.Decimal) *apd.Decimal {
			r := new(apd.Decimal)
			r.Reduce(d)
			return r
		}),
		f1("scale", n, i4, "digits behind the point", func(_ ectx, a datum) (datum, error) { return types.NewInt(int64(types.Scale(a.Decimal()))), nil }),
		f2("power", f8, f8, f8, "power", floatPower), f2("pow", f8, f8, f8, "power", floatPower),
		bounded("asin", "inverse sine", unit, math.Asin), bounded("acos", "inverse cosine", unit, math.Acos),
		bounded("sin", "sine", finite, math.Sin), bounded("cos", "cosine", finite, math.Cos), bounded("tan", "tangent", finite, math.Tan),
		bounded("cot", "cotangent", finite, func(x float64) float64 { return 1 / math.Tan(x) }),
		float("atan", "inverse tangent", math.Atan), float("sinh", "hyperbolic sine", math.Sinh), float("cosh", "hyperbolic cosine", math.Cosh),
		float("tanh", "hyperbolic tangent", math.Tanh), float("cbrt", "cube root", math.Cbrt),
		float("degrees", "radians to degrees", func(x float64) float64 { return x * (180 / math.Pi) }),
		float("radians", "degrees to radians", func(x float64) float64 { return x * (math.Pi / 180) }),
		f2("atan2", f8, f8, f8, "inverse tangent of a quotient", func(_ ectx, a, b datum) (datum, error) {
			return types.NewFloat(math.Atan2(a.Float(), b.Float())), nil
		}),
		fn("pi", nil, f8, "π", func(ectx, []datum) (datum, error) { return types.NewFloat(math.Pi), nil }),
		fn("random", nil, f8, "a random number in [0, 1)", func(ec ectx, _ []datum) (datum, error) {
			if ec != nil && ec.Rand != nil {
				return types.NewFloat(ec.Rand.Float64()), nil
			}
			return types.NewFloat(rand.Float64()), nil
		}).volatile(),
		fn("width_bucket", []types.T{f8, f8, f8, i4}, i4, "number of the bucket a value falls into", widthBucket),
		f2("width_bucket", types.AnyElement, types.AnyArray, i4, "number of the bucket whose lower bounds are given that a value falls into", func(_ ectx, a, b datum) (datum, error) {
			bounds := b.Array().Elems
			for _, d := range bounds {
				if d.IsNull() {
					return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "thresholds array must not contain NULLs")
				}
			}
			return types.NewInt(int64(sort.Search(len(bounds), func(i int) bool { return types.Compare(bounds[i], a) > 0 }))), nil
		}),
	}
	return append(append(out, logFuncs()...), gcdFuncs()...)
}

func clampScale(n int64) int32 { return int32(max(min(n, 2000), -2000)) }

func directed(d *apd.Decimal, mode apd.Rounder) *apd.Decimal {
	if d.Form != apd.Finite || d.Exponent >= 0 {
		return d
	}
	c := apd.BaseContext.WithPrecision(uint32(d.NumDigits() + 2))
	c.Rounding = mode
	out := new(apd.Decimal)
	c.Quantize(out, d, 0)
	return out
}

func logFuncs() []Overload {
	f8, n := types.Float8, types.Numeric
	logCheck := func(x float64) error {
		switch {
		case x == 0:
			return sqlerr.New(sqlerr.InvalidArgumentForLogarithm, "cannot take logarithm of zero")
		case x < 0:
			return sqlerr.New(sqlerr.InvalidArgumentForLogarithm, "cannot take logarithm of a negative number")
		}
		return nil
	}
	flog := func(name, doc string, f func(float64) float64) Overload {
		return f1(name, f8, f8, doc, func(_ ectx, a datum) (datum, error) {
			if err := logCheck(a.Float()); err != nil {
				return types.Null, err
			}
			return types.NewFloat(f(a.Float())), nil
		})
	}
	nlog := func(name, doc string, f func(float64) float64, g func(c *apd.Context, d, x *apd.Decimal) (apd.Condition, error)) Overload {
		return f1(name, n, n, doc, func(_ ectx, a datum) (datum, error) {
			x := toFloat(a).Float()
			if err := logCheck(float64(a.Decimal().Sign())); err != nil {
				return types.Null, err
			}
			size := math.Log10(math.Abs(f(x)))
			return roundTo(numericScaleFor(size, types.Scale(a.Decimal())), size, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
				return g(c, out, a.Decimal())
			})
		})
	}
	sqrtErr := sqlerr.New(sqlerr.InvalidArgumentForPowerFunction, "cannot take square root of a negative number")
	return []Overload{
		flog("ln", "natural logarithm", math.Log), flog("log", "logarithm to base 10", math.Log10), flog("log10", "logarithm to base 10", math.Log10),
		nlog("ln", "natural logarithm", math.Log, (*apd.Context).Ln), nlog("log", "logarithm to base 10", math.Log10, (*apd.Context).Log10),
		nlog("log10", "logarithm to base 10", math.Log10, (*apd.Context).Log10),
		f2("log", n, n, n, "logarithm to a base", func(_ ectx, b, a datum) (datum, error) {
			for _, s := range []int{b.Decimal().Sign(), a.Decimal().Sign()} {
				if err := logCheck(float64(s)); err != nil {
					return types.Null, err
				}
			}
			v := math.Log(toFloat(a).Float()) / math.Log(toFloat(b).Float())
			if math.IsInf(v, 0) || v != v {
				return types.Null, errDivZero
			}
			return roundTo(numericScaleFor(math.Log10(math.Abs(v)), types.Scale(a.Decimal()), types.Scale(b.Decimal())), 20, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
				var x, y apd.Decimal
				c.Ln(&x, a.Decimal())
				c.Ln(&y, b.Decimal())
				return c.Quo(out, &x, &y)
			})
		}),
		f1("exp", f8, f8, "e to a power", func(_ ectx, a datum) (datum, error) {
			r := math.Exp(a.Float())
			if r == 0 && !math.IsInf(a.Float(), -1) {
				return types.Null, errFloatUn
			}
			return fitFloat(r, false, a.Float())
		}),
		f1("exp", n, n, "e to a power", func(_ ectx, a datum) (datum, error) {
			size := toFloat(a).Float() * math.Log10E
			if size > 131072 {
				return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
			}
			return roundTo(numericScaleFor(size, types.Scale(a.Decimal())), size, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
				return c.Exp(out, a.Decimal())
			})
		}),
		f1("sqrt", f8, f8, "square root", func(_ ectx, a datum) (datum, error) {
			if a.Float() < 0 {
				return types.Null, sqrtErr
			}
			return types.NewFloat(math.Sqrt(a.Float())), nil
		}),
		op1("|/", f8, f8, "square root", func(_ ectx, a datum) (datum, error) {
			if a.Float() < 0 {
				return types.Null, sqrtErr
			}
			return types.NewFloat(math.Sqrt(a.Float())), nil
		}),
		op1("||/", f8, f8, "cube root", func(_ ectx, a datum) (datum, error) { return types.NewFloat(math.Cbrt(a.Float())), nil }),
		f1("sqrt", n, n, "square root", func(_ ectx, a datum) (datum, error) {
			d := a.Decimal()
			if d.Sign() < 0 {
				return types.Null, sqrtErr
			}
			if d.Form != apd.Finite {
				return a, nil
			}
			return numericSqrt(d)
		}),
	}
}

// numericSqrt takes its scale from the power of 10000 of the result, as Postgres does.
func numericSqrt(d *apd.Decimal) (datum, error) {
	w, _ := leadingGroup(d)
	root := w * 2 // decimal digits of the root before the point, about
	scale := min(max(divSignificantDigits-root-1, types.Scale(d), 0), displayScaleMax)
	return roundTo(scale, float64(max(root, 0)+4), func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) { return c.Sqrt(out, d) })
}

func widthBucket(_ ectx, a []datum) (datum, error) {
	x, lo, hi, n := a[0].Float(), a[1].Float(), a[2].Float(), a[3].Int()
	switch {
	case n <= 0:
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForWidthBucket, "count must be greater than zero")
	case x != x || lo != lo || hi != hi:
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForWidthBucket, "operand, lower bound, and upper bound cannot be NaN")
	case lo == hi:
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForWidthBucket, "lower bound cannot equal upper bound")
	case math.IsInf(lo, 0) || math.IsInf(hi, 0):
		return types.Null, sqlerr.New(sqlerr.InvalidArgumentForWidthBucket, "lower and upper bounds must be finite")
	}
	if lo > hi {
		x, lo, hi = -x, -lo, -hi
	}
	switch {
	case x < lo:
		return types.NewInt(0), nil
	case x >= hi:
		return fitInt(n+1, true, 4)
	}
	return types.NewInt(int64((x-lo)/(hi-lo)*float64(n)) + 1), nil
}

func gcdFuncs() []Overload {
	out := []Overload{
		f2("gcd", types.Numeric, types.Numeric, types.Numeric, "greatest common divisor", func(_ ectx, a, b datum) (datum, error) { return numericGCD(a, b, false) }),
		f2("lcm", types.Numeric, types.Numeric, types.Numeric, "least common multiple", func(_ ectx, a, b datum) (datum, error) { return numericGCD(a, b, true) }),
	}
	for _, t := range []types.T{types.Int4, types.Int8} {
		w := t.Len()
		out = append(out,
			f2("gcd", t, t, t, "greatest common divisor", func(_ ectx, a, b datum) (datum, error) {
				return fitUint(gcd(absInt(a.Int()), absInt(b.Int())), w)
			}),
			f2("lcm", t, t, t, "least common multiple", func(_ ectx, a, b datum) (datum, error) {
				x, y := absInt(a.Int()), absInt(b.Int())
				if x == 0 || y == 0 {
					return types.NewInt(0), nil
				}
				n, ok := mulInt(int64(x/gcd(x, y)), int64(y))
				if n < 0 {
					ok = false
				}
				return fitInt(n, ok, w)
			}))
	}
	return out
}

// numericGCD is the greatest common divisor of two numerics, or their least common multiple.
func numericGCD(a, b datum, lcm bool) (datum, error) {
	x, y := a.Decimal(), b.Decimal()
	if x.Form != apd.Finite || y.Form != apd.Finite {
		return types.NewDecimal(types.NaNDecimal()), nil
	}
	scale := max(types.Scale(x), types.Scale(y))
	whole := func(d *apd.Decimal) *big.Int {
		n := new(big.Int).Set(types.RoundDecimal(d, scale).Coeff.MathBigInt())
		return n.Abs(n)
	}
	p, q := whole(x), whole(y)
	n := new(big.Int).GCD(nil, nil, p, q)
	if lcm && n.Sign() != 0 {
		n.Mul(n.Div(p, n), q)
	}
	return types.NewDecimal(apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(n), -scale)), nil
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func fitUint(u uint64, w int16) (datum, error) { return fitInt(int64(u), u <= math.MaxInt64, w) }
