package types

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// AppendBinary writes the wire's binary format of a non-null value.
func AppendBinary(dst []byte, t T, d Datum) []byte {
	be := binary.BigEndian
	t = t.Plain()
	switch d.k {
	case KindInt:
		switch t.Len() {
		case 2:
			return be.AppendUint16(dst, uint16(d.n))
		case 4:
			return be.AppendUint32(dst, uint32(d.n))
		}
		return be.AppendUint64(dst, uint64(d.n))
	case KindBool:
		return append(dst, byte(d.n))
	case KindFloat:
		if t.OID == OIDFloat4 {
			return be.AppendUint32(dst, math.Float32bits(float32(d.Float())))
		}
		if math.IsNaN(d.Float()) { // one of the many, as Postgres sends it
			return be.AppendUint64(dst, 0x7ff8<<48)
		}
		return be.AppendUint64(dst, uint64(d.n))
	case KindText, KindBPChar, KindBytes, KindUUID, KindJSON:
		return append(dst, d.Str()...)
	case KindJSONB:
		return append(append(dst, 1), d.Str()...) // version 1
	case KindDate:
		return be.AppendUint32(dst, uint32(d.n))
	case KindTime, KindTimestamp, KindTimestampTZ:
		return be.AppendUint64(dst, uint64(d.n))
	case KindPacked:
		return appendBinaryPacked(dst, t, d.Str())
	case KindInterval:
		v := d.Interval()
		dst = be.AppendUint64(dst, uint64(v.Micros))
		dst = be.AppendUint32(dst, uint32(v.Days))
		return be.AppendUint32(dst, uint32(v.Months))
	case KindDecimal:
		return appendBinaryNumeric(dst, d.Decimal())
	case KindArray:
		return appendBinaryArray(dst, t, d.Array())
	case KindRecord:
		return appendBinaryRecord(dst, d.Record())
	case KindRange:
		return appendBinaryRange(dst, t, d.Range())
	case KindEnum:
		return append(dst, d.Label().Name...)
	}
	return dst
}

// Numeric on the wire: ndigits, weight, sign, dscale, then digits of base 10000.
const (
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericPosInf   = 0xD000
	numericNegInf   = 0xF000
)

func appendBinaryNumeric(dst []byte, d *apd.Decimal) []byte {
	be := binary.BigEndian
	sign := uint16(0)
	switch {
	case d.Form == apd.Infinite && d.Negative:
		sign = numericNegInf
	case d.Form == apd.Infinite:
		sign = numericPosInf
	case d.Form != apd.Finite:
		sign = numericNaN
	case d.Negative:
		sign = numericNegative
	}
	if d.Form != apd.Finite {
		scale := uint16(0)
		if d.Form == apd.Infinite {
			scale = 0x20 // means nothing, but Postgres sends it
		}
		return be.AppendUint16(be.AppendUint16(be.AppendUint16(be.AppendUint16(dst, 0), 0), sign), scale)
	}
	digits, weight := base10000(d)
	dst = be.AppendUint16(dst, uint16(len(digits)))
	dst = be.AppendUint16(dst, uint16(weight))
	dst = be.AppendUint16(dst, sign)
	dst = be.AppendUint16(dst, uint16(-d.Exponent))
	for _, g := range digits {
		dst = be.AppendUint16(dst, g)
	}
	return dst
}

// base10000 groups the digits by four around the point; weight is the power of the first group.
func base10000(d *apd.Decimal) (groups []uint16, weight int) {
	text := d.Coeff.String()
	scale := int(-d.Exponent)
	if pad := (4 - scale%4) % 4; scale >= 0 && pad > 0 {
		text += strings.Repeat("0", pad)
		scale += pad
	}
	if lead := len(text) % 4; lead > 0 {
		text = strings.Repeat("0", 4-lead) + text
	}
	weight = (len(text)-scale)/4 - 1
	for i := 0; i < len(text); i += 4 {
		groups = append(groups, uint16(text[i]-'0')*1000+uint16(text[i+1]-'0')*100+uint16(text[i+2]-'0')*10+uint16(text[i+3]-'0'))
	}
	for len(groups) > 0 && groups[0] == 0 {
		groups, weight = groups[1:], weight-1
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	if len(groups) == 0 {
		weight = 0
	}
	return groups, weight
}

func appendBinaryArray(dst []byte, t T, a *ArrayValue) []byte {
	be := binary.BigEndian
	elem := a.Elem
	if e, ok := t.Elem(); ok {
		elem = e
	}
	shape, nulls := a.Shape(), uint32(0)
	for _, e := range a.Elems {
		if e.IsNull() {
			nulls = 1
		}
	}
	dst = be.AppendUint32(be.AppendUint32(be.AppendUint32(dst, uint32(len(shape))), nulls), uint32(elem.OID))
	for _, d := range shape {
		dst = be.AppendUint32(be.AppendUint32(dst, uint32(d.Len)), uint32(d.Lower))
	}
	for _, e := range a.Elems {
		dst = appendSized(dst, elem, e)
	}
	return dst
}

func appendBinaryRecord(dst []byte, r *RecordValue) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, uint32(len(r.Vals)))
	for i, v := range r.Vals {
		dst = be.AppendUint32(dst, uint32(r.Types[i].OID))
		dst = appendSized(dst, r.Types[i], v)
	}
	return dst
}

// appendSized writes a length, -1 for NULL, and the value.
func appendSized(dst []byte, t T, d Datum) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	if d.IsNull() {
		return dst
	}
	dst = AppendBinary(dst, t, d)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func badBinary(t T) error {
	return sqlerr.New(sqlerr.InvalidBinaryRepresentation, "incorrect binary data format for type %s", t.Base())
}

// ParseBinary reads the wire's binary format; t's modifier is enforced as by an assignment.
func ParseBinary(t T, b []byte) (Datum, error) {
	t = t.Plain()
	if t.IsEnum() {
		return parseEnum(t, string(b))
	}
	d, err := parseBinary(t, b)
	if err != nil || t.Mod < 0 {
		return d, err
	}
	return Coerce(d, t, false)
}

func parseBinary(t T, b []byte) (Datum, error) {
	be := binary.BigEndian
	if n := t.Len(); n > 0 && t.OID != OIDName && t.OID != OIDVoid && len(b) != int(n) {
		return Null, badBinary(t)
	}
	switch t.Kind() {
	case KindInt:
		switch t.Len() {
		case 2:
			return NewInt(int64(int16(be.Uint16(b)))), nil
		case 4:
			if t.OID == OIDInt4 {
				return NewInt(int64(int32(be.Uint32(b)))), nil
			}
			return NewInt(int64(be.Uint32(b))), nil
		}
		return NewInt(int64(be.Uint64(b))), nil
	case KindBool:
		return NewBool(b[0] != 0), nil
	case KindFloat:
		if t.OID == OIDFloat4 {
			return NewFloat(float64(math.Float32frombits(be.Uint32(b)))), nil
		}
		return NewFloat(math.Float64frombits(be.Uint64(b))), nil
	case KindText:
		s := string(b)
		return stringOf(t, s), checkUTF8(s)
	case KindBPChar:
		s := string(b)
		return NewBPChar(s), checkUTF8(s)
	case KindBytes:
		return NewBytes(string(b)), nil
	case KindUUID:
		return NewUUID([16]byte(b)), nil
	}
	return parseBinaryRare(t, b)
}

func parseBinaryRare(t T, b []byte) (Datum, error) {
	be := binary.BigEndian
	switch t.Kind() {
	case KindDate:
		return NewDate(int64(int32(be.Uint32(b)))), nil
	case KindTime:
		m := int64(be.Uint64(b))
		if m < 0 || m > microsPerDay {
			return Null, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time out of range")
		}
		return NewTime(m), nil
	case KindTimestamp, KindTimestampTZ:
		m := int64(be.Uint64(b))
		if m != StampInfinity && m != StampNegInf && !stampOK(m) {
			return Null, errStampRange
		}
		return Datum{n: m, k: t.Kind()}, nil
	case KindPacked:
		return parseBinaryPacked(t, b)
	case KindInterval:
		return NewInterval(IntervalValue{Micros: int64(be.Uint64(b)),
			Days: int32(be.Uint32(b[8:])), Months: int32(be.Uint32(b[12:]))}), nil
	case KindDecimal:
		return parseBinaryNumeric(t, b)
	case KindJSON:
		_, err := ParseJSON(string(b))
		return NewJSON(string(b)), err
	case KindJSONB:
		if len(b) == 0 || b[0] != 1 {
			return Null, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "unsupported jsonb version number")
		}
		return ParseJSONB(string(b[1:]))
	case KindArray:
		return parseBinaryArray(t, b)
	case KindRecord:
		if t.IsComposite() {
			return parseBinaryRecord(t, b)
		}
	case KindRange:
		return parseBinaryRange(t, b)
	}
	return Null, sqlerr.Unsupported("binary input of type %s", t)
}

func parseBinaryNumeric(t T, b []byte) (Datum, error) {
	be := binary.BigEndian
	if len(b) < 8 || len(b) != 8+2*int(be.Uint16(b)) {
		return Null, badBinary(t)
	}
	n, weight := int(be.Uint16(b)), int(int16(be.Uint16(b[2:])))
	sign, scale := be.Uint16(b[4:]), int32(be.Uint16(b[6:]))
	switch sign {
	case numericNaN:
		return NewDecimal(NaNDecimal()), nil
	case numericPosInf, numericNegInf:
		return NewDecimal(InfDecimal(sign == numericNegInf)), nil
	case 0, numericNegative:
	default:
		return Null, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "invalid sign in external \"numeric\" value")
	}
	if scale > numericScaleMax {
		return Null, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "invalid scale in external \"numeric\" value")
	}
	text := make([]byte, 0, 4*n+1)
	for i := 0; i < n; i++ {
		g := be.Uint16(b[8+2*i:])
		if g > 9999 {
			return Null, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "invalid digit in external \"numeric\" value")
		}
		text = appendPadded(text, int(g), 4)
	}
	if n == 0 {
		text, weight = append(text, '0'), 0
	}
	d := &apd.Decimal{Exponent: int32(4 * (weight - n + 1)), Negative: sign == numericNegative}
	if n == 0 {
		d.Exponent = 0
	}
	if _, ok := d.Coeff.SetString(string(text), 10); !ok || d.Exponent > numericIntDigitsMax {
		return Null, badBinary(t)
	}
	return NewDecimal(TruncDecimal(normalIfNeeded(d), scale)), nil
}

func parseBinaryArray(t T, b []byte) (Datum, error) {
	be := binary.BigEndian
	elem, _ := t.Elem()
	if len(b) < 12 {
		return Null, badBinary(t)
	}
	dims, oid := be.Uint32(b), OID(be.Uint32(b[8:]))
	if oid != elem.OID {
		return Null, sqlerr.New(sqlerr.DatatypeMismatch, "binary data has array element type %d (%s) instead of expected %d (%s)",
			oid, T{OID: oid, Mod: -1}, elem.OID, elem.Base())
	}
	if dims == 0 {
		return NewArray(elem.Base(), nil), nil
	}
	if dims > arrayDimsMax {
		return Null, tooManyDims(int(dims))
	}
	b = b[12:]
	shape, n := make([]ArrayDim, dims), int64(1)
	for k := range shape {
		if len(b) < 8 {
			return Null, badBinary(t)
		}
		shape[k] = ArrayDim{Len: int32(be.Uint32(b)), Lower: int32(be.Uint32(b[4:]))}
		b = b[8:]
		if n *= int64(shape[k].Len); n < 0 || n > arrayElemsMax || n > int64(len(b))/4 {
			return Null, badBinary(t)
		}
	}
	if n > 0 && !ValidShape(shape, int(n)) {
		return Null, badBinary(t)
	}
	elems := make([]Datum, n)
	for i := range elems {
		if len(b) < 4 {
			return Null, badBinary(t)
		}
		size := int(int32(be.Uint32(b)))
		b = b[4:]
		if size == -1 {
			continue
		}
		if size < 0 || size > len(b) {
			return Null, badBinary(t)
		}
		var err error
		if elems[i], err = ParseBinary(elem, b[:size]); err != nil {
			return Null, err
		}
		b = b[size:]
	}
	if len(b) != 0 {
		return Null, badBinary(t)
	}
	return NewShapedArray(elem.Base(), elems, shape), nil
}
