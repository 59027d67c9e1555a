package types

import "math/bits"

// The constructors here serve decoders of trusted bytes (rowenc): they check nothing.

// NewCount makes a value of one of the kinds that are a plain number.
func NewCount(k Kind, n int64) Datum { return Datum{n: n, k: k} }

// NewString makes a value of one of the kinds that are a string of bytes, aliasing s. A char(n)
// gets its padding.
func NewString(t T, s string) Datum {
	k := t.Kind()
	if k == KindBPChar && t.Mod >= 4 {
		return fitString(t, s, int(t.Length()))
	}
	return stringDatum(k, s)
}

// Span is the interval's length as a 128-bit number of microseconds, by which intervals compare.
func (v IntervalValue) Span() (hi int64, lo uint64) { return v.span() }

// IntervalOfSpan makes an interval of a length: whole days, then the rest.
func IntervalOfSpan(hi int64, lo uint64) IntervalValue {
	neg := hi < 0
	h, l := uint64(hi), lo
	if neg {
		var borrow uint64
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
	}
	if h >= microsPerDay { // beyond any interval: corrupt bytes
		return IntervalValue{}
	}
	days, rest := bits.Div64(h, l, microsPerDay)
	months := days / 30
	v := IntervalValue{Months: int32(months), Days: int32(days % 30), Micros: int64(rest)}
	if over := int64(months) - int64(v.Months); over != 0 { // days beyond 2^31 months do not occur in tables
		v.Months = 1<<31 - 1
		v.Days = int32(int64(days) - int64(v.Months)*30)
	}
	if neg {
		return v.Negate()
	}
	return v
}
