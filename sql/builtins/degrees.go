package builtins

import (
	"math"

	"github.com/cairndb/cairn/sql/types"
)

// degreeFuncs are the trigonometric functions in degrees, which give exact results at the multiples
// of 30 and 45 degrees where their relatives in radians cannot, and the inverse hyperbolic ones.
func degreeFuncs() []Overload {
	f8 := types.Float8
	unit := func(x float64) bool { return x >= -1 && x <= 1 }
	finite := func(x float64) bool { return !math.IsInf(x, 0) }
	deg := func(x float64) float64 { return x * (180 / math.Pi) }
	return []Overload{
		bounded("sind", "sine of degrees", finite, sind),
		bounded("cosd", "cosine of degrees", finite, func(x float64) float64 { return sind(90 - math.Abs(math.Mod(x, 360))) }),
		bounded("tand", "tangent of degrees", finite, tand),
		bounded("cotd", "cotangent of degrees", finite, func(x float64) float64 { return 1 / tand(x) }),
		bounded("asind", "inverse sine in degrees", unit, func(x float64) float64 { return exactDegrees(deg(math.Asin(x)), x, sind) }),
		bounded("acosd", "inverse cosine in degrees", unit, func(x float64) float64 { return 90 - exactDegrees(deg(math.Asin(x)), x, sind) }),
		float("atand", "inverse tangent in degrees", func(x float64) float64 { return exactDegrees(deg(math.Atan(x)), x, tand) }),
		f2("atan2d", f8, f8, f8, "inverse tangent of a quotient in degrees", func(_ ectx, a, b datum) (datum, error) {
			return types.NewFloat(math.Round(deg(math.Atan2(a.Float(), b.Float()))*1e13) / 1e13), nil
		}),
		float("asinh", "inverse hyperbolic sine", math.Asinh),
		bounded("acosh", "inverse hyperbolic cosine", func(x float64) bool { return x >= 1 }, math.Acosh),
		bounded("atanh", "inverse hyperbolic tangent", unit, math.Atanh),
	}
}

// sind reduces its argument to [0, 90], where the values at 30 and 90 degrees are exact.
func sind(x float64) float64 {
	if x != x {
		return x
	}
	x = math.Mod(x, 360)
	sign := 1.0
	if x < 0 {
		x, sign = -x, -sign
	}
	if x > 180 {
		x, sign = 360-x, -sign
	}
	if x > 90 {
		x = 180 - x
	}
	switch x {
	case 0:
		return 0
	case 30:
		return sign * 0.5
	case 90:
		return sign
	}
	return sign * math.Sin(x*(math.Pi/180))
}

func tand(x float64) float64 {
	if x != x {
		return x
	}
	x = math.Mod(x, 360)
	sign := 1.0
	if x < 0 {
		x, sign = -x, -sign
	}
	if x > 180 {
		x, sign = 360-x, -sign
	}
	if x > 90 {
		x, sign = 180-x, -sign
	}
	switch x {
	case 0:
		return 0
	case 45:
		return sign
	case 90:
		return sign * math.Inf(1)
	}
	return sign * math.Tan(x*(math.Pi/180))
}

// exactDegrees is the whole number of degrees next to d if it is the inverse exactly.
func exactDegrees(d, x float64, f func(float64) float64) float64 {
	if r := math.Round(d); f(r) == x {
		return r
	}
	return d
}
