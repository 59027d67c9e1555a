package rowenc

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/types"
)

// A finite numeric is 0.d1d2d3… × 10^e with d1 > 0. Its key is the tag of its sign, e as an ordered
// integer, then the digits two by two as byte 1+pair, and a zero byte. A negative one has all that
// follows the tag complemented, so that larger magnitudes come first.

const digitsEnd = 0x00

func appendKeyDecimal(b []byte, d *apd.Decimal) []byte {
	switch {
	case d.Form == apd.Infinite && d.Negative:
		return append(b, tagDecNegInf)
	case d.Form == apd.Infinite:
		return append(b, tagDecInf)
	case d.Form != apd.Finite:
		return append(b, tagDecNaN)
	case d.IsZero():
		return append(b, tagDecZero)
	}
	tag := byte(tagDecPos)
	if d.Negative {
		tag = tagDecNeg
	}
	b = append(b, tag)
	start := len(b)
	digits := d.Coeff.String()
	b = appendKeyInt(b, int64(len(digits))+int64(d.Exponent))
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	for i := 0; i < len(digits); i += 2 {
		pair := (digits[i] - '0') * 10
		if i+1 < len(digits) {
			pair += digits[i+1] - '0'
		}
		b = append(b, 1+pair)
	}
	b = append(b, digitsEnd)
	if d.Negative {
		complement(b[start:])
	}
	return b
}

// decimalLength takes the mask of what follows the tag.
func decimalLength(b []byte, mask byte) (int, error) {
	if len(b) < 2 {
		return 0, corrupt("it ends inside a numeric")
	}
	if first := b[1] ^ mask; first < tagNegInt8 || first > tagPosInt1+7 {
		return 0, corrupt("no exponent in a numeric")
	}
	n, err := lengthOf(b[1:], mask)
	if err != nil {
		return 0, err
	}
	for i := 1 + n; i < len(b); i++ {
		if b[i]^mask == digitsEnd {
			return i + 1, nil
		}
	}
	return 0, corrupt("a numeric without end")
}

func decodeKeyDecimal(b []byte, t types.T) (types.Datum, []byte, error) {
	switch b[0] {
	case tagDecNegInf, tagDecInf:
		return types.NewDecimal(types.InfDecimal(b[0] == tagDecNegInf)), b[1:], nil
	case tagDecNaN:
		return types.NewDecimal(types.NaNDecimal()), b[1:], nil
	case tagDecZero:
		return scaled(new(apd.Decimal), t), b[1:], nil
	case tagDecNeg, tagDecPos:
	default:
		return types.Null, b, corrupt("no numeric")
	}
	negative := b[0] == tagDecNeg
	mask := byte(0)
	if negative {
		mask = 0xff
	}
	n, err := decimalLength(b, mask)
	if err != nil || n > len(b) {
		return types.Null, b, corrupt("it ends inside a numeric")
	}
	body := append([]byte(nil), b[1:n]...)
	if negative {
		complement(body)
	}
	d, err := decimalOfBody(body)
	if err != nil {
		return types.Null, b, err
	}
	d.Negative = negative
	return scaled(d, t), b[n:], nil
}

func decimalOfBody(body []byte) (*apd.Decimal, error) {
	e, digits, err := decodeKeyInt(body)
	if err != nil {
		return nil, err
	}
	if e > decimalExponentMax || e < -decimalExponentMax || len(digits) < 2 {
		return nil, corrupt("a numeric's exponent")
	}
	digits = digits[:len(digits)-1]
	text := make([]byte, 0, 2*len(digits))
	for _, c := range digits {
		if c > 100 {
			return nil, corrupt("a numeric's digits")
		}
		text = append(text, '0'+(c-1)/10, '0'+(c-1)%10)
	}
	if text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	d := new(apd.Decimal)
	if _, ok := d.Coeff.SetString(string(text), 10); !ok {
		return nil, corrupt("a numeric's digits")
	}
	d.Exponent = int32(e) - int32(len(text))
	return d, nil
}

// scaled restores the scale that a numeric(p,s) column gives all its values.
func scaled(d *apd.Decimal, t types.T) types.Datum {
	if t.Mod < 0 {
		return types.NewDecimal(d)
	}
	_, s := t.PrecisionScale()
	return types.NewDecimal(types.RoundDecimal(d, s))
}

// NeedsValue says whether the key form of d loses something (1.00 against 1.0, -0.0), so that the
// column must be repeated in the row's value.
func NeedsValue(d types.Datum, t types.T) bool {
	switch d.Kind() {
	case types.KindDecimal:
		return decimalNeedsValue(d.Decimal(), t)
	case types.KindFloat:
		return d.Float() == 0 && math.Signbit(d.Float())
	case types.KindInterval:
		return true
	case types.KindBPChar:
		return types.NewString(t, trimBlanks(d.Str())).Str() != d.Str()
	case types.KindArray:
		elem, _ := t.Elem()
		for _, e := range d.Array().Elems {
			if NeedsValue(e, elem) {
				return true
			}
		}
	case types.KindRange:
		sub, _ := t.Subtype()
		return NeedsValue(d.Range().Lower, sub) || NeedsValue(d.Range().Upper, sub)
	}
	return false
}

func decimalNeedsValue(d *apd.Decimal, t types.T) bool {
	if d.Form != apd.Finite {
		return false
	}
	if t.Mod >= 0 {
		_, s := t.PrecisionScale()
		return -d.Exponent != max(s, 0)
	}
	if d.IsZero() {
		return d.Exponent != 0
	}
	return d.Exponent < 0 && endsInZero(d)
}

func endsInZero(d *apd.Decimal) bool {
	digits := d.Coeff.String()
	return digits[len(digits)-1] == '0'
}
