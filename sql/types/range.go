package types

import (
	"cmp"
	"encoding/binary"
	"math"
	"strings"
	"unsafe"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// RangeValue is a range's value (manual 8.17). A bound that is NULL is none: the range has no end on
// that side, which is not the same as a bound of 'infinity'.
//
// It is canonical: an empty range has no bounds, a bound that is none is not included, and the bounds of
// int4range, int8range and daterange are [lower, upper), so that ranges with the same elements are equal.
type RangeValue struct {
	Lower, Upper       Datum
	LowerInc, UpperInc bool
	Empty              bool
}

// rangeSubtypes are the types of the bounds; no two range types have the same.
var rangeSubtypes = [...]struct{ of, sub T }{
	{Int4Range, Int4}, {NumRange, Numeric}, {TsRange, Timestamp}, {TstzRange, TimestampTZ}, {DateRange, Date}, {Int8Range, Int8},
}

// IsRange says whether the type is a range, or a domain over one.
func (t T) IsRange() bool { return t.Kind() == KindRange && t.Plain().OID != OIDAnyRange }

// Subtype is the type of a range's bounds; ok is false for other types.
func (t T) Subtype() (sub T, ok bool) {
	oid := t.Plain().OID
	for i := range rangeSubtypes {
		if rangeSubtypes[i].of.OID == oid {
			return rangeSubtypes[i].sub, true
		}
	}
	return T{}, false
}

// RangeOf is the type of ranges over a type; ok is false where there is none.
func RangeOf(sub T) (t T, ok bool) {
	for i := range rangeSubtypes {
		if rangeSubtypes[i].sub.OID == sub.OID {
			return rangeSubtypes[i].of, true
		}
	}
	return T{}, false
}

func rangeDatum(r RangeValue) Datum { return Datum{p: unsafe.Pointer(&r), k: KindRange} }

// Range is a range's value, which must not be changed.
func (d Datum) Range() *RangeValue {
	d.must(KindRange)
	return (*RangeValue)(d.p)
}

// EmptyRange makes the range without elements.
func EmptyRange() Datum { return rangeDatum(RangeValue{Empty: true}) }

// NewRange makes a range of a type out of bounds, as they may be written. Errors: 22000 for bounds in the
// wrong order, 22003 and 22008 if the canonical form has a bound that the subtype does not.
func NewRange(t T, r RangeValue) (Datum, error) {
	switch {
	case r.Empty:
		return EmptyRange(), nil
	case !r.Lower.IsNull() && !r.Upper.IsNull():
		c := Compare(r.Lower, r.Upper)
		if c > 0 {
			return Null, sqlerr.New(sqlerr.DataException, "range lower bound must be less than or equal to range upper bound")
		}
		if c == 0 && !(r.LowerInc && r.UpperInc) {
			return EmptyRange(), nil
		}
	}
	if !r.Lower.IsNull() && !r.LowerInc {
		next, ok, err := following(t, r.Lower)
		if err != nil {
			return Null, err
		}
		r.Lower, r.LowerInc = next, ok
	}
	if !r.Upper.IsNull() && r.UpperInc {
		next, ok, err := following(t, r.Upper)
		if err != nil {
			return Null, err
		}
		r.Upper, r.UpperInc = next, !ok
	}
	return r.Datum(), nil
}

// following is the next element of a discrete subtype; ok is false if d has none, and then d is returned.
func following(t T, d Datum) (next Datum, ok bool, err error) {
	switch t.Plain().OID {
	case OIDInt4Range:
		if d.n == math.MaxInt32 {
			return d, false, outOfRange("integer")
		}
		return NewInt(d.n + 1), true, nil
	case OIDInt8Range:
		if d.n == math.MaxInt64 {
			return d, false, outOfRange("bigint")
		}
		return NewInt(d.n + 1), true, nil
	case OIDDateRange:
		if d.n == DateInfinity || d.n == DateNegInfinity {
			return d, false, nil
		}
		if d.n+1 >= dateEnd {
			return d, false, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range")
		}
		return NewDate(d.n + 1), true, nil
	}
	return d, false, nil
}

// Datum makes a value of bounds that are those of canonical ranges of one type.
func (r RangeValue) Datum() Datum {
	r.LowerInc, r.UpperInc = r.LowerInc && !r.Lower.IsNull(), r.UpperInc && !r.Upper.IsNull()
	if !r.Lower.IsNull() && !r.Upper.IsNull() {
		if c := Compare(r.Lower, r.Upper); c > 0 || c == 0 && !(r.LowerInc && r.UpperInc) {
			return EmptyRange()
		}
	}
	return rangeDatum(r)
}

// RangeBound is one end of a range that is not empty.
type RangeBound struct {
	Val       Datum // NULL: no end
	Inc       bool
	fromAbove bool // an upper bound
}

// From and To are the ends.
func (r *RangeValue) From() RangeBound { return RangeBound{r.Lower, r.LowerInc, false} }

// To is the upper end.
func (r *RangeValue) To() RangeBound { return RangeBound{r.Upper, r.UpperInc, true} }

// place says where a bound lies as seen from its value: 0 at it, if it is included; 1 just above it for a lower
// bound and -1 just below it for an upper one; -2 and 2 are beyond all values.
func (b RangeBound) place() int {
	switch {
	case b.Val.IsNull() && b.fromAbove:
		return 2
	case b.Val.IsNull():
		return -2
	case b.Inc:
		return 0
	case b.fromAbove:
		return -1
	}
	return 1
}

// Compare orders bounds, lower and upper ones together: at one value, an upper bound without it comes before
// bounds with it, and those before a lower bound without it.
func (b RangeBound) Compare(c RangeBound) int {
	x, y := b.place(), c.place()
	if !b.Val.IsNull() && !c.Val.IsNull() {
		if v := Compare(b.Val, c.Val); v != 0 {
			return v
		}
		return cmp.Compare(x, y)
	}
	if !b.Val.IsNull() {
		x = 0
	}
	if !c.Val.IsNull() {
		y = 0
	}
	return cmp.Compare(x, y)
}

// compare orders ranges as Postgres does: the empty one first, then by lower, then by upper bound.
func (r *RangeValue) compare(o *RangeValue) int {
	if r.Empty || o.Empty {
		return cmp.Compare(boolInt(o.Empty), boolInt(r.Empty))
	}
	if c := r.From().Compare(o.From()); c != 0 {
		return c
	}
	return r.To().Compare(o.To())
}

// Contains says whether all elements of o are in r.
func (r *RangeValue) Contains(o *RangeValue) bool {
	if o.Empty || r.Empty {
		return o.Empty
	}
	return r.From().Compare(o.From()) <= 0 && r.To().Compare(o.To()) >= 0
}

// Has says whether a value is in the range.
func (r *RangeValue) Has(v Datum) bool {
	return r.Contains(&RangeValue{Lower: v, Upper: v, LowerInc: true, UpperInc: true})
}

// Before says whether all of r lies below all of o; no empty range does.
func (r *RangeValue) Before(o *RangeValue) bool {
	return !r.Empty && !o.Empty && r.To().Compare(o.From()) < 0
}

// Overlaps says whether the ranges have an element in common.
func (r *RangeValue) Overlaps(o *RangeValue) bool {
	return !r.Empty && !o.Empty && r.From().Compare(o.To()) <= 0 && o.From().Compare(r.To()) <= 0
}

// Adjacent says whether one range begins where the other ends.
func (r *RangeValue) Adjacent(o *RangeValue) bool {
	meet := func(to, from RangeBound) bool {
		return !to.Val.IsNull() && !from.Val.IsNull() && to.Inc != from.Inc && Compare(to.Val, from.Val) == 0
	}
	return !r.Empty && !o.Empty && (meet(r.To(), o.From()) || meet(o.To(), r.From()))
}

// Merge is the smallest range that contains both.
func (r *RangeValue) Merge(o *RangeValue) RangeValue {
	switch {
	case r.Empty:
		return *o
	case o.Empty:
		return *r
	}
	return spanned(pickBound(o.From(), r.From(), -1), pickBound(o.To(), r.To(), 1))
}

// Intersect is what the ranges have in common.
func (r *RangeValue) Intersect(o *RangeValue) RangeValue {
	if !r.Overlaps(o) {
		return RangeValue{Empty: true}
	}
	return spanned(pickBound(r.From(), o.From(), 1), pickBound(r.To(), o.To(), -1))
}

// Minus is what is left of r; ok is false if that is two ranges.
func (r *RangeValue) Minus(o *RangeValue) (left RangeValue, ok bool) {
	if !r.Overlaps(o) {
		return *r, true
	}
	begins, ends := r.From().Compare(o.From()) < 0, r.To().Compare(o.To()) > 0
	switch {
	case begins && ends:
		return RangeValue{}, false
	case begins:
		return spanned(r.From(), o.From().turned()), true
	case ends:
		return spanned(o.To().turned(), r.To()), true
	}
	return RangeValue{Empty: true}, true
}

// turned is the end of what lies on the other side.
func (b RangeBound) turned() RangeBound { return RangeBound{b.Val, !b.Inc, !b.fromAbove} }

// pickBound is the upper one, or with sign -1 the lower one, and a if they are equal, which 1.0 and 1.00 are.
func pickBound(a, b RangeBound, sign int) RangeBound {
	if a.Compare(b)*sign >= 0 {
		return a
	}
	return b
}

func spanned(from, to RangeBound) RangeValue {
	return RangeValue{Lower: from.Val, LowerInc: from.Inc, Upper: to.Val, UpperInc: to.Inc}
}

// rangeFlags are the first byte of a range on the wire.
type rangeFlags byte

const (
	rangeEmpty    rangeFlags = 0x01
	rangeLowerInc rangeFlags = 0x02
	rangeUpperInc rangeFlags = 0x04
	rangeNoLower  rangeFlags = 0x08
	rangeNoUpper  rangeFlags = 0x10
)

func (r *RangeValue) flags() (f rangeFlags) {
	if r.Empty {
		return rangeEmpty
	}
	for _, b := range []struct {
		is  bool
		bit rangeFlags
	}{{r.LowerInc, rangeLowerInc}, {r.UpperInc, rangeUpperInc}, {r.Lower.IsNull(), rangeNoLower}, {r.Upper.IsNull(), rangeNoUpper}} {
		if b.is {
			f |= b.bit
		}
	}
	return f
}

// bounds is a range with these flags whose bounds have no values yet.
func (f rangeFlags) bounds() RangeValue {
	return RangeValue{Empty: f&rangeEmpty != 0, LowerInc: f&rangeLowerInc != 0, UpperInc: f&rangeUpperInc != 0}
}

func appendBinaryRange(dst []byte, t T, r *RangeValue) []byte {
	sub, _ := t.Subtype()
	dst = append(dst, byte(r.flags()))
	for _, b := range []Datum{r.Lower, r.Upper} {
		if !b.IsNull() {
			dst = appendSized(dst, sub, b)
		}
	}
	return dst
}

func parseBinaryRange(t T, b []byte) (Datum, error) {
	sub, ok := t.Subtype()
	if len(b) == 0 || !ok {
		return Null, badBinary(t)
	}
	f := rangeFlags(b[0])
	b = b[1:]
	r := f.bounds()
	bound := func(none rangeFlags) (d Datum, err error) {
		if f&(rangeEmpty|none) != 0 {
			return Null, nil
		}
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return Null, badBinary(t)
		}
		end := 4 + binary.BigEndian.Uint32(b)
		d, err = ParseBinary(sub, b[4:end])
		b = b[end:]
		return d, err
	}
	var err error
	if r.Lower, err = bound(rangeNoLower); err == nil {
		r.Upper, err = bound(rangeNoUpper)
	}
	if err == nil && len(b) != 0 {
		err = badBinary(t)
	}
	if err != nil {
		return Null, err
	}
	return NewRange(t, r)
}

// parseRange reads [1,10), (,"a b"] and empty.
func parseRange(t T, s string, env *Env) (Datum, error) {
	p := rangeParser{s: s}
	r, texts, err := p.parse()
	if err != nil {
		return Null, err
	}
	sub, _ := t.Subtype()
	for i, d := range []*Datum{&r.Lower, &r.Upper} {
		if texts[i] != nil {
			if *d, err = ParseText(sub, *texts[i], env); err != nil {
				return Null, err
			}
		}
	}
	return NewRange(t, r)
}

type rangeParser struct {
	s string
	i int
}

func (p *rangeParser) malformed(detail string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "malformed range literal: \"%s\"", p.s).WithDetail("%s", detail)
}

// peek is the next byte, 0 at the end.
func (p *rangeParser) peek() byte {
	if p.i >= len(p.s) {
		return 0
	}
	return p.s[p.i]
}

// took steps over a byte if it is the next.
func (p *rangeParser) took(c byte) bool {
	if p.peek() == c && p.i < len(p.s) {
		p.i++
		return true
	}
	return false
}

func (p *rangeParser) blanks() {
	for p.i < len(p.s) && strings.IndexByte(" \t\n\r\v\f", p.s[p.i]) >= 0 {
		p.i++
	}
}

const emptyRange = "empty"

// parse reads a literal; a bound that is none has no text.
func (p *rangeParser) parse() (r RangeValue, texts [2]*string, err error) {
	p.blanks()
	if rest := p.s[p.i:]; len(rest) >= len(emptyRange) && strings.EqualFold(rest[:len(emptyRange)], emptyRange) {
		p.i += len(emptyRange)
		if p.blanks(); p.i < len(p.s) {
			return r, texts, p.malformed(`Junk after "empty" key word.`)
		}
		return RangeValue{Empty: true}, texts, nil
	}
	r.LowerInc = p.took('[')
	if !r.LowerInc && !p.took('(') {
		return r, texts, p.malformed("Missing left parenthesis or bracket.")
	}
	if texts[0], err = p.bound(); err != nil {
		return r, texts, err
	}
	if !p.took(',') {
		return r, texts, p.malformed("Missing comma after lower bound.")
	}
	if texts[1], err = p.bound(); err != nil {
		return r, texts, err
	}
	r.UpperInc = p.took(']')
	if !r.UpperInc && !p.took(')') {
		return r, texts, p.malformed("Too many commas.")
	}
	if p.blanks(); p.i < len(p.s) {
		return r, texts, p.malformed("Junk after right parenthesis or bracket.")
	}
	return r, texts, nil
}

// bound reads up to a comma, parenthesis or bracket, which it leaves; nothing at all is no bound.
func (p *rangeParser) bound() (*string, error) {
	ends := func() bool { c := p.peek(); return c == ',' || c == ')' || c == ']' }
	if ends() {
		return nil, nil
	}
	var b []byte
	for quoted := false; quoted || !ends(); p.i++ {
		if p.i >= len(p.s) {
			return nil, p.malformed("Unexpected end of input.")
		}
		c := p.s[p.i]
		switch {
		case c == '\\':
			if p.i++; p.i >= len(p.s) {
				return nil, p.malformed("Unexpected end of input.")
			}
			b = append(b, p.s[p.i])
		case c == '"' && quoted && p.i+1 < len(p.s) && p.s[p.i+1] == '"':
			p.i++
			b = append(b, '"')
		case c == '"':
			quoted = !quoted
		default:
			b = append(b, c)
		}
	}
	text := string(b)
	return &text, nil
}

func appendRange(dst []byte, t T, r *RangeValue, env *Env) []byte {
	if r.Empty {
		return append(dst, emptyRange...)
	}
	sub, _ := t.Subtype()
	bound := func(dst []byte, d Datum) []byte {
		if d.IsNull() {
			return dst
		}
		s := Format(sub, d, env)
		if s == "" || strings.ContainsAny(s, "\"\\()[], \t\n\r\v\f") {
			return appendQuoted(dst, s, `""`, `\\`)
		}
		return append(dst, s...)
	}
	open, end := byte('('), byte(')')
	if r.LowerInc {
		open = '['
	}
	if r.UpperInc {
		end = ']'
	}
	dst = bound(append(dst, open), r.Lower)
	dst = bound(append(dst, ','), r.Upper)
	return append(dst, end)
}
