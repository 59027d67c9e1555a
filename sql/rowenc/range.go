package rowenc

import "github.com/cairndb/cairn/sql/types"

// A range's key is its tag, then its lower and its upper bound, in the order of ranges: the empty one, then
// those without lower bound, then by it; a lower bound that is included comes before one that is not, an
// upper one after.
//
//	empty                    01
//	lower   none 02          03 value 01 included | 02 not
//	upper   none 02          01 value 01 not | 02 included
const (
	rangeEmpty     = 0x01
	rangeNoLower   = 0x02
	rangeLower     = 0x03
	rangeUpper     = 0x01
	rangeNoUpper   = 0x02
	rangeBoundLow  = 0x01
	rangeBoundHigh = 0x02
)

func appendKeyRange(b []byte, r *types.RangeValue) []byte {
	b = append(b, tagRange)
	if r.Empty {
		return append(b, rangeEmpty)
	}
	bound := func(d types.Datum, first bool, is, none byte) {
		if d.IsNull() {
			b = append(b, none)
			return
		}
		b = appendAsc(append(b, is), d)
		if first {
			b = append(b, rangeBoundLow)
		} else {
			b = append(b, rangeBoundHigh)
		}
	}
	bound(r.Lower, r.LowerInc, rangeLower, rangeNoLower)
	bound(r.Upper, !r.UpperInc, rangeUpper, rangeNoUpper)
	return b
}

// decodeKeyRange reads what appendKeyRange wrote.
func decodeKeyRange(b []byte, t types.T) (types.Datum, []byte, error) {
	sub, ok := t.Subtype()
	n, err := lengthOf(b, 0)
	if b[0] != tagRange || !ok || err != nil || n > len(b) {
		return types.Null, b, corrupt("no range")
	}
	in, rest := b[1:n], b[n:]
	if in[0] == rangeEmpty {
		return types.EmptyRange(), rest, nil
	}
	var r types.RangeValue
	bound := func(none byte) (d types.Datum, high bool) {
		what := in[0]
		in = in[1:]
		if what == none || err != nil {
			return types.Null, false
		}
		if d, in, err = decodeAsc(in, sub); err == nil && d.IsNull() {
			err = corrupt("a range's bound")
		}
		if err != nil {
			return types.Null, false
		}
		high = in[0] == rangeBoundHigh
		in = in[1:]
		return d, high
	}
	var high bool
	r.Lower, high = bound(rangeNoLower)
	r.LowerInc = !high
	if err == nil {
		r.Upper, r.UpperInc = bound(rangeNoUpper)
	}
	if err != nil {
		return types.Null, b, err
	}
	d, err := types.NewRange(t, r)
	if err != nil {
		return types.Null, b, corrupt("a range's bounds")
	}
	return d, rest, nil
}

// rangeLength is the length of a range's encoding, whose parts it checks.
func rangeLength(b []byte, mask byte) (int, error) {
	at := 1
	one := func() byte {
		if at >= len(b) {
			return 0
		}
		at++
		return b[at-1] ^ mask
	}
	bound := func(what, is, none byte) bool {
		if what == none {
			return true
		}
		if what != is || at >= len(b) || b[at]^mask == tagArray || b[at]^mask == tagRange { // never written; and recursion must be bounded
			return false
		}
		n, err := lengthOf(b[at:], mask)
		if at += n; err != nil {
			return false
		}
		end := one()
		return end == rangeBoundLow || end == rangeBoundHigh
	}
	first := one()
	if first == rangeEmpty {
		return at, nil
	}
	if !bound(first, rangeLower, rangeNoLower) || !bound(one(), rangeUpper, rangeNoUpper) {
		return 0, corrupt("a range's bounds")
	}
	return at, nil
}
