package types

import (
	"math"
	"math/bits"

	"github.com/cockroachdb/apd/v3"
)

// Most numerics are small: prices, quantities, rates. Their sums, products and comparisons are made in
// machine words; what does not fit is left to apd, whose general case takes ten times as long.

// Small is a finite numeric: Coeff · 10^-Scale.
type Small struct {
	Coeff int64
	Scale int32
}

const smallScaleMax = 18

// tens are the powers of ten that an int64 holds.
var tens = [smallScaleMax + 1]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// SmallOf is d in machine words, if it fits.
func SmallOf(d *apd.Decimal) (Small, bool) {
	if d.Form != apd.Finite || d.Exponent > 0 || d.Exponent < -smallScaleMax || !d.Coeff.IsUint64() {
		return Small{}, false
	}
	u := d.Coeff.Uint64()
	if u > math.MaxInt64 {
		return Small{}, false
	}
	c := int64(u)
	if d.Negative {
		c = -c
	}
	return Small{c, -d.Exponent}, true
}

// Datum makes a numeric of it.
func (s Small) Datum() Datum {
	d := &apd.Decimal{Exponent: -s.Scale, Negative: s.Coeff < 0}
	u := uint64(s.Coeff)
	if s.Coeff < 0 {
		u = -u
	}
	d.Coeff.SetUint64(u)
	return NewDecimal(d)
}

// at brings s to a larger scale.
func (s Small) at(scale int32) (Small, bool) {
	if s.Scale == scale {
		return s, true
	}
	c, ok := mulInt(s.Coeff, tens[scale-s.Scale])
	return Small{c, scale}, ok
}

func align(a, b Small) (Small, Small, bool) {
	scale := max(a.Scale, b.Scale)
	a, ok1 := a.at(scale)
	b, ok2 := b.at(scale)
	return a, b, ok1 && ok2
}

// Add is a + b, if it fits.
func (s Small) Add(b Small) (Small, bool) {
	a, b, ok := align(s, b)
	c := a.Coeff + b.Coeff
	return Small{c, a.Scale}, ok && (c > a.Coeff) == (b.Coeff > 0)
}

// Sub is a - b, if it fits.
func (s Small) Sub(b Small) (Small, bool) {
	b.Coeff = -b.Coeff // Coeff is never the least int64: SmallOf
	return s.Add(b)
}

// Mul is a · b, if it fits.
func (s Small) Mul(b Small) (Small, bool) {
	c, ok := mulInt(s.Coeff, b.Coeff)
	scale := s.Scale + b.Scale
	return Small{c, scale}, ok && scale <= smallScaleMax
}

func mulInt(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}
