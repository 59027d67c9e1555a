package types

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// NaNDecimal and InfDecimal make numeric's special values.
func NaNDecimal() *apd.Decimal { return &apd.Decimal{Form: apd.NaN} }

// InfDecimal is plus or minus infinity.
func InfDecimal(negative bool) *apd.Decimal {
	return &apd.Decimal{Form: apd.Infinite, Negative: negative}
}

// ParseDecimal reads a numeric as Postgres does: blanks around, NaN, Infinity, exponents.
func ParseDecimal(s string) (*apd.Decimal, error) {
	trimmed := trimSpace(s)
	if d := specialDecimal(trimmed); d != nil {
		return d, nil
	}
	if !numberSyntax(trimmed) {
		return nil, badSyntax("numeric", s)
	}
	d, _, err := apd.NewFromString(trimmed)
	if err != nil || d.Exponent+int32(d.NumDigits()) > numericIntDigitsMax || -d.Exponent > numericScaleMax {
		return nil, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
	}
	return normalIfNeeded(d), nil
}

func normalIfNeeded(d *apd.Decimal) *apd.Decimal {
	if d.Exponent > 0 || d.Negative && d.IsZero() {
		return normalDecimal(d)
	}
	return d
}

func specialDecimal(s string) *apd.Decimal {
	switch strings.ToLower(s) {
	case "nan":
		return NaNDecimal()
	case "inf", "infinity", "+inf", "+infinity":
		return InfDecimal(false)
	case "-inf", "-infinity":
		return InfDecimal(true)
	}
	return nil
}

// numberSyntax accepts [+-]digits[.digits][e[+-]digits] with at least one digit before the e.
func numberSyntax(s string) bool {
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	whole := digitsAt(s, i)
	i += whole
	frac := 0
	if i < len(s) && s[i] == '.' {
		i++
		frac = digitsAt(s, i)
		i += frac
	}
	if whole+frac == 0 {
		return false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n := digitsAt(s, i)
		if n == 0 || n > 6 {
			return false
		}
		i += n
	}
	return i == len(s)
}

func digitsAt(s string, i int) int {
	n := 0
	for i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '9' {
		n++
	}
	return n
}

func appendDecimal(dst []byte, d *apd.Decimal) []byte {
	switch d.Form {
	case apd.Finite:
		return d.Append(dst, 'f')
	case apd.Infinite:
		if d.Negative {
			return append(dst, "-Infinity"...)
		}
		return append(dst, "Infinity"...)
	}
	return append(dst, "NaN"...)
}

func decimalToFloat(d *apd.Decimal) float64 {
	switch d.Form {
	case apd.Finite:
		f, _ := strconv.ParseFloat(d.Text('e'), 64)
		return f
	case apd.Infinite:
		if d.Negative {
			return math.Inf(-1)
		}
		return math.Inf(1)
	}
	return math.NaN()
}

// floatToDecimal goes through 15 significant digits, as Postgres's float8_numeric does.
func floatToDecimal(f float64, digits int) *apd.Decimal {
	switch {
	case f != f:
		return NaNDecimal()
	case math.IsInf(f, 0):
		return InfDecimal(f < 0)
	}
	d, _, err := apd.NewFromString(strconv.FormatFloat(f, 'g', digits, 64))
	if err != nil {
		return NaNDecimal()
	}
	return trimZeros(normalIfNeeded(d))
}

// trimZeros cuts zeros behind the point: %g prints none, strconv's 'g' with digits does.
func trimZeros(d *apd.Decimal) *apd.Decimal {
	if d.Exponent >= 0 {
		return d
	}
	var r apd.Decimal
	r.Reduce(d)
	return normalIfNeeded(&r)
}

// Scale is the number of digits behind the point that d prints.
func Scale(d *apd.Decimal) int32 {
	if d.Form != apd.Finite {
		return 0
	}
	return -d.Exponent
}

// RoundDecimal rounds half away from zero to scale digits behind the point (scale may be negative).
func RoundDecimal(d *apd.Decimal, scale int32) *apd.Decimal {
	if d.Form != apd.Finite || -d.Exponent == scale {
		return d
	}
	out := new(apd.Decimal)
	ctx := exactContext(int64(d.NumDigits()) + int64(max(scale+d.Exponent, 0)) + 2)
	ctx.Quantize(out, d, -scale) // cannot fail: the precision holds every digit
	return normalIfNeeded(out)
}

// TruncDecimal cuts digits behind scale.
func TruncDecimal(d *apd.Decimal, scale int32) *apd.Decimal {
	if d.Form != apd.Finite || -d.Exponent == scale {
		return d
	}
	out := new(apd.Decimal)
	ctx := exactContext(int64(d.NumDigits()) + int64(max(scale+d.Exponent, 0)) + 2)
	ctx.Rounding = apd.RoundDown
	ctx.Quantize(out, d, -scale)
	return normalIfNeeded(out)
}

// exactContext rounds half away from zero when a digit must go, which the callers' precision avoids.
func exactContext(digits int64) *apd.Context {
	c := apd.BaseContext.WithPrecision(uint32(digits))
	c.Rounding = apd.RoundHalfUp
	c.Traps = 0
	return c
}

func coerceNumeric(d Datum, t T) (Datum, error) {
	p, s := t.PrecisionScale()
	v := d.Decimal()
	if v.Form == apd.NaN {
		return d, nil
	}
	if v.Form == apd.Infinite {
		return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d cannot hold an infinite value.", p, s)
	}
	r := RoundDecimal(v, s)
	if s >= 0 && -r.Exponent < s { // 1 must print as 1.00
		r = RoundDecimal(r, s)
	}
	if !r.IsZero() && int32(r.NumDigits())+r.Exponent > p-s {
		limit := "1"
		if p-s != 0 {
			limit = "10^" + strconv.Itoa(int(p-s))
		}
		return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "numeric field overflow").
			WithDetail("A field with precision %d, scale %d must round to an absolute value less than %s.", p, s, limit)
	}
	return NewDecimal(r), nil
}

// decimalToInt rounds half away from zero and refuses what is outside [lo, hi].
func decimalToInt(d *apd.Decimal, lo, hi int64, typ string) (int64, error) {
	switch d.Form {
	case apd.Infinite:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "cannot convert infinity to %s", typ)
	case apd.NaN, apd.NaNSignaling:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "cannot convert NaN to %s", typ)
	}
	i, err := RoundDecimal(d, 0).Int64()
	if err != nil || i < lo || i > hi {
		return 0, outOfRange(typ)
	}
	return i, nil
}

func outOfRange(typ string) error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "%s out of range", typ)
}
