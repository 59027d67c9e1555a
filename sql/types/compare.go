package types

import (
	"cmp"
	"math"
	"math/bits"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Compare orders two non-null values of one family as Postgres does: -1, 0, 1. Ints, floats and
// numerics compare with each other; other mixtures break invariant I2 and panic.
func Compare(a, b Datum) int {
	if a.k == b.k {
		switch a.k {
		case KindInt, KindBool, KindDate, KindTime, KindTimestamp, KindTimestampTZ, KindEnum:
			return cmp.Compare(a.n, b.n)
		case KindText, KindBytes, KindUUID, KindPacked, KindJSON:
			return strings.Compare(a.Str(), b.Str())
		case KindFloat:
			return compareFloat(a.Float(), b.Float())
		}
		return compareSlow(a, b)
	}
	return compareMixed(a, b)
}

func compareSlow(a, b Datum) int {
	switch a.k {
	case KindDecimal:
		return compareDecimal(a.Decimal(), b.Decimal())
	case KindBPChar:
		return strings.Compare(trimBlanks(a.Str()), trimBlanks(b.Str()))
	case KindInterval:
		return a.Interval().compare(b.Interval())
	case KindJSONB:
		return compareJSONB(a.Str(), b.Str())
	case KindArray:
		x, y := a.Array(), b.Array()
		if c := compareAll(x.Elems, y.Elems); c != 0 {
			return c
		}
		return compareShapes(x.Dims, y.Dims)
	case KindRecord:
		return compareAll(a.Record().Vals, b.Record().Vals)
	case KindRange:
		return a.Range().compare(b.Range())
	}
	return 0 // two NULLs
}

func compareMixed(a, b Datum) int {
	switch {
	case a.isNumber() && b.isNumber():
		if a.k == KindFloat || b.k == KindFloat {
			return compareFloat(a.toFloat(), b.toFloat())
		}
		return compareDecimal(a.toDecimal(), b.toDecimal())
	case a.isText() && b.isText():
		return strings.Compare(trimBlanksOf(a), trimBlanksOf(b))
	case a.isStamp() && b.isStamp():
		return cmp.Compare(a.stampMicros(), b.stampMicros())
	}
	panic("types: comparing values of different families")
}

func (d Datum) isNumber() bool { return d.k == KindInt || d.k == KindFloat || d.k == KindDecimal }
func (d Datum) isText() bool   { return d.k == KindText || d.k == KindBPChar }
func (d Datum) isStamp() bool {
	return d.k == KindDate || d.k == KindTimestamp || d.k == KindTimestampTZ
}

func (d Datum) stampMicros() int64 {
	if d.k != KindDate {
		return d.n
	}
	return dateToMicros(d.n)
}

func (d Datum) toFloat() float64 {
	switch d.k {
	case KindInt:
		return float64(d.n)
	case KindDecimal:
		return decimalToFloat(d.Decimal())
	}
	return d.Float()
}

func (d Datum) toDecimal() *apd.Decimal {
	if d.k == KindInt {
		return apd.New(d.n, 0)
	}
	return d.Decimal()
}

// compareFloat puts NaN above everything and equal to itself, and -0 equal to 0.
func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return cmp.Compare(boolInt(a != a), boolInt(b != b))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// compareDecimal orders -Infinity < finite < Infinity < NaN.
func compareDecimal(a, b *apd.Decimal) int {
	if x, ok := SmallOf(a); ok {
		if y, ok := SmallOf(b); ok {
			if x, y, ok := align(x, y); ok {
				return cmp.Compare(x.Coeff, y.Coeff)
			}
		}
	}
	if a.Form == apd.Finite && b.Form == apd.Finite {
		return a.Cmp(b)
	}
	return cmp.Compare(decimalRank(a), decimalRank(b))
}

func decimalRank(d *apd.Decimal) int {
	switch {
	case d.Form == apd.Finite:
		return 0
	case d.Form == apd.Infinite && d.Negative:
		return -1
	case d.Form == apd.Infinite:
		return 1
	}
	return 2
}

func compareAll(a, b []Datum) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if c := CompareNulls(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// CompareNulls is Compare with NULL above everything and equal to itself, as ORDER BY ASC sorts.
func CompareNulls(a, b Datum) int {
	if a.k == KindNull || b.k == KindNull {
		return cmp.Compare(boolInt(a.k == KindNull), boolInt(b.k == KindNull))
	}
	return Compare(a, b)
}

// Equal says whether two values are equal; NULL equals NULL here, as in DISTINCT and GROUP BY.
func Equal(a, b Datum) bool {
	if a.k == b.k {
		switch a.k {
		case KindInt, KindBool, KindDate, KindTime, KindTimestamp, KindTimestampTZ, KindEnum:
			return a.n == b.n
		case KindText, KindBytes, KindUUID, KindPacked:
			return a.Str() == b.Str()
		}
	}
	return CompareNulls(a, b) == 0
}

// trimBlanks cuts trailing blanks, which do not count in char(n).
func trimBlanks(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

func trimBlanksOf(d Datum) string {
	if d.k == KindBPChar {
		return trimBlanks(d.Str())
	}
	return d.Str()
}

// compare holds a month for 30 days and a day for 24 hours, as Postgres does. The sum needs more
// than 64 bits.
func (v IntervalValue) compare(w IntervalValue) int {
	vh, vl := v.span()
	wh, wl := w.span()
	if c := cmp.Compare(vh, wh); c != 0 {
		return c
	}
	return cmp.Compare(vl, wl)
}

// span is the interval in microseconds as a 128-bit number.
func (v IntervalValue) span() (hi int64, lo uint64) {
	days := int64(v.Months)*30 + int64(v.Days)
	neg := days < 0
	mag := uint64(days)
	if neg {
		mag = -mag
	}
	h, l := bits.Mul64(mag, microsPerDay)
	if neg {
		var borrow uint64
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
	}
	l, carry := bits.Add64(l, uint64(v.Micros), 0)
	h, _ = bits.Add64(h, uint64(v.Micros>>63), carry)
	return int64(h), l
}

const (
	hashPrime = 0x9E3779B97F4A7C15 // 2^64 / golden ratio
	hashNull  = 0x5bd1e995
)

func mix(seed, v uint64) uint64 {
	hi, lo := bits.Mul64(seed^v, hashPrime)
	return hi ^ lo ^ v
}

// Hash mixes a value into seed; values that are Equal have equal hashes, also int against
// numeric against float.
func Hash(seed uint64, d Datum) uint64 {
	switch d.k {
	case KindNull:
		return mix(seed, hashNull)
	case KindInt, KindBool, KindTime, KindTimestamp, KindTimestampTZ, KindEnum:
		return mix(seed, uint64(d.n))
	case KindDate:
		return mix(seed, uint64(dateToMicros(d.n)))
	case KindFloat:
		return hashFloat(seed, d.Float())
	case KindText, KindBytes, KindUUID, KindPacked, KindJSON:
		return hashString(seed, d.Str())
	}
	return hashSlow(seed, d)
}

func hashSlow(seed uint64, d Datum) uint64 {
	switch d.k {
	case KindDecimal:
		return hashDecimal(seed, d.Decimal())
	case KindBPChar:
		return hashString(seed, trimBlanks(d.Str()))
	case KindJSONB:
		return mix(seed, 'j') // canonical text is not unique (1.0 and 1): equality decides
	case KindInterval:
		hi, lo := d.Interval().span()
		return mix(mix(seed, uint64(hi)), lo)
	case KindArray:
		return hashAll(seed, d.Array().Elems)
	case KindRecord:
		return hashAll(seed, d.Record().Vals)
	case KindRange:
		r := d.Range()
		return Hash(Hash(mix(seed, uint64(r.flags())), r.Lower), r.Upper)
	}
	return seed
}

func hashAll(seed uint64, ds []Datum) uint64 {
	for _, d := range ds {
		seed = Hash(seed, d)
	}
	return mix(seed, uint64(len(ds)))
}

// hashFloat hashes whole numbers as ints do.
func hashFloat(seed uint64, f float64) uint64 {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return mix(seed, uint64(int64(f)))
	}
	if f != f {
		f = math.NaN()
	}
	return mix(seed, math.Float64bits(f))
}

func hashDecimal(seed uint64, d *apd.Decimal) uint64 {
	if s, ok := SmallOf(d); ok && s.Scale == 0 {
		return mix(seed, uint64(s.Coeff))
	}
	if d.Form == apd.Finite {
		var r apd.Decimal
		r.Reduce(d)
		if i, err := r.Int64(); err == nil {
			return mix(seed, uint64(i))
		}
	}
	return hashFloat(seed, decimalToFloat(d))
}

func hashString(seed uint64, s string) uint64 {
	h := seed ^ uint64(len(s))*hashPrime
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h = mix(h, w)
		s = s[8:]
	}
	var w uint64
	for i := 0; i < len(s); i++ {
		w |= uint64(s[i]) << (8 * i)
	}
	return mix(h, w)
}
