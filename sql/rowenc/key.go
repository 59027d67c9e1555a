package rowenc

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Tags begin every encoded value. They stay below 0x80, so that a complemented (descending) value
// is told by its first byte and SkipKey needs no type.
const (
	tagArrayEnd  = 0x00 // below every element
	tagFalse     = 0x04
	tagTrue      = 0x05
	tagNegInt8   = 0x10 // a negative int of 8 bytes; …0x17: of 1 byte
	tagSmallInt  = 0x18 // 0; …0x47: 47
	tagPosInt1   = 0x48 // an int of 1 byte; …0x4f: of 8 bytes
	tagFloat     = 0x50
	tagDecNegInf = 0x52
	tagDecNeg    = 0x53
	tagDecZero   = 0x54
	tagDecPos    = 0x55
	tagDecInf    = 0x56
	tagDecNaN    = 0x57
	tagBytes     = 0x60
	tagUUID      = 0x61
	tagInterval  = 0x62
	tagArray     = 0x64
	tagRange     = 0x65
	tagNull      = 0x7f // the largest: NULLs come last, and first in descending keys

	smallIntMax = tagPosInt1 - tagSmallInt - 1

	escape     = 0x00
	escapedNul = 0xff
	bytesEnd   = 0x01
)

// KeyEncodable says whether a type can be part of a key.
func KeyEncodable(t types.T) bool {
	if elem, ok := t.Elem(); ok {
		return KeyEncodable(elem)
	}
	switch t.Kind() {
	case types.KindJSON, types.KindJSONB, types.KindRecord, types.KindNull:
		return false
	}
	return true
}

// AppendKey appends the ordered encoding of d. The type must be KeyEncodable.
func AppendKey(b []byte, d types.Datum, t types.T, desc bool) []byte {
	start := len(b)
	b = appendAsc(b, d)
	if desc {
		complement(b[start:])
	}
	return b
}

func complement(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

func appendAsc(b []byte, d types.Datum) []byte {
	switch d.Kind() {
	case types.KindInt, types.KindDate, types.KindTime, types.KindTimestamp, types.KindTimestampTZ, types.KindEnum:
		return appendKeyInt(b, d.Int())
	case types.KindText, types.KindBytes, types.KindPacked:
		return appendKeyBytes(b, d.Str())
	case types.KindBPChar:
		return appendKeyBytes(b, trimBlanks(d.Str()))
	case types.KindNull:
		return append(b, tagNull)
	case types.KindBool:
		if d.Bool() {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case types.KindUUID:
		return append(append(b, tagUUID), d.Str()...)
	case types.KindFloat:
		return appendKeyFloat(b, d.Float())
	case types.KindDecimal:
		return appendKeyDecimal(b, d.Decimal())
	case types.KindInterval:
		hi, lo := d.Interval().Span()
		b = binary.BigEndian.AppendUint64(append(b, tagInterval), uint64(hi)^1<<63)
		return binary.BigEndian.AppendUint64(b, lo)
	case types.KindArray:
		b = append(b, tagArray)
		for _, e := range d.Array().Elems {
			b = appendAsc(b, e)
		}
		return appendKeyDims(append(b, tagArrayEnd), d.Array().Dims)
	case types.KindRange:
		return appendKeyRange(b, d.Range())
	}
	panic("rowenc: type cannot be part of a key")
}

// appendKeyDims writes the number of an array's dimensions, 0 for one from 1 on, and each of them:
// arrays with the same elements are in this order.
func appendKeyDims(b []byte, dims []types.ArrayDim) []byte {
	b = appendKeyInt(b, int64(len(dims)))
	for _, d := range dims {
		b = appendKeyInt(appendKeyInt(b, int64(d.Len)), int64(d.Lower))
	}
	return b
}

// decodeKeyDims reads what appendKeyDims wrote.
func decodeKeyDims(b []byte, elems int) (dims []types.ArrayDim, rest []byte, err error) {
	n, b, err := decodeKeyInt(b)
	for i := int64(0); i < n && err == nil; i++ {
		var length, lower int64
		if length, b, err = decodeKeyInt(b); err == nil {
			lower, b, err = decodeKeyInt(b)
		}
		dims = append(dims, types.ArrayDim{Len: int32(length), Lower: int32(lower)})
	}
	if err == nil && !types.ValidShape(dims, elems) {
		err = corrupt("an array's dimensions")
	}
	return dims, b, err
}

func trimBlanks(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// appendKeyInt: the tag carries sign and number of bytes, or the number itself if it is small.
func appendKeyInt(b []byte, n int64) []byte {
	if n >= 0 && n <= smallIntMax {
		return append(b, byte(tagSmallInt+n))
	}
	var size int
	if n > 0 {
		size = (bits.Len64(uint64(n)) + 7) / 8
		b = append(b, byte(tagPosInt1+size-1))
	} else {
		size = max((bits.Len64(^uint64(n))+7)/8, 1)
		b = append(b, byte(tagNegInt8+8-size))
	}
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

func appendKeyFloat(b []byte, f float64) []byte {
	u := math.Float64bits(f)
	switch {
	case f != f:
		u = math.MaxUint64
	case f == 0:
		u = 1 << 63
	case u>>63 != 0:
		u = ^u
	default:
		u |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(append(b, tagFloat), u)
}

func appendKeyBytes(b []byte, s string) []byte {
	b = append(b, tagBytes)
	for i := 0; i < len(s); i++ {
		if s[i] == escape {
			b = append(b, escape, escapedNul)
		} else {
			b = append(b, s[i])
		}
	}
	return append(b, escape, bytesEnd)
}

func corrupt(what string) error {
	return sqlerr.New(sqlerr.DataCorrupted, "corrupt key: %s", what)
}

// DecodeKey reads one encoded value and returns the bytes after it. Strings alias b where they
// hold no escapes and the direction is ascending.
func DecodeKey(b []byte, t types.T, desc bool) (d types.Datum, rest []byte, err error) {
	if !desc {
		return decodeAsc(b, t)
	}
	rest, err = SkipKey(b)
	if err != nil {
		return types.Null, b, err
	}
	var space [32]byte
	flipped := append(space[:0], b[:len(b)-len(rest)]...)
	complement(flipped)
	d, left, err := decodeAsc(flipped, t)
	if err == nil && len(left) != 0 {
		err = corrupt("value and length differ")
	}
	return d, rest, err
}

func decodeAsc(b []byte, t types.T) (types.Datum, []byte, error) {
	if len(b) == 0 {
		return types.Null, b, corrupt("it ends before a value")
	}
	tag := b[0]
	if tag == tagNull {
		return types.Null, b[1:], nil
	}
	switch t.Kind() {
	case types.KindInt:
		n, rest, err := decodeKeyInt(b)
		return types.NewInt(n), rest, err
	case types.KindDate, types.KindTime, types.KindTimestamp, types.KindTimestampTZ:
		n, rest, err := decodeKeyInt(b)
		return types.NewCount(t.Kind(), n), rest, err
	case types.KindText, types.KindBytes, types.KindBPChar:
		s, rest, err := decodeKeyBytes(b)
		return types.NewString(t, s), rest, err
	case types.KindPacked:
		s, rest, err := decodeKeyBytes(b)
		if err == nil && !types.ValidPacked(t, s) {
			err = corrupt("no value of its type")
		}
		return types.NewPacked(s), rest, err
	case types.KindBool:
		if tag != tagTrue && tag != tagFalse {
			return types.Null, b, corrupt("no boolean")
		}
		return types.NewBool(tag == tagTrue), b[1:], nil
	case types.KindUUID:
		if tag != tagUUID || len(b) < 17 {
			return types.Null, b, corrupt("no uuid")
		}
		return types.NewUUID([16]byte(b[1:17])), b[17:], nil
	}
	return decodeRare(b, t)
}

func decodeRare(b []byte, t types.T) (types.Datum, []byte, error) {
	switch t.Kind() {
	case types.KindFloat:
		if b[0] != tagFloat || len(b) < 9 {
			return types.Null, b, corrupt("no float")
		}
		return types.NewFloat(floatOf(binary.BigEndian.Uint64(b[1:]))), b[9:], nil
	case types.KindDecimal:
		return decodeKeyDecimal(b, t)
	case types.KindInterval:
		if b[0] != tagInterval || len(b) < 17 {
			return types.Null, b, corrupt("no interval")
		}
		hi := int64(binary.BigEndian.Uint64(b[1:]) ^ 1<<63)
		return types.NewInterval(types.IntervalOfSpan(hi, binary.BigEndian.Uint64(b[9:]))), b[17:], nil
	case types.KindArray:
		return decodeKeyArray(b, t.Plain())
	case types.KindRange:
		return decodeKeyRange(b, t.Plain())
	case types.KindEnum:
		n, rest, err := decodeKeyInt(b)
		if err != nil {
			return types.Null, b, err
		}
		d, ok := t.Plain().EnumAt(n)
		if !ok {
			return types.Null, b, corrupt("no label of the enum")
		}
		return d, rest, nil
	}
	return types.Null, b, sqlerr.Unsupported("a key of type %s", t)
}

func floatOf(u uint64) float64 {
	switch {
	case u == math.MaxUint64:
		return math.NaN()
	case u>>63 != 0:
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

func decodeKeyInt(b []byte) (int64, []byte, error) {
	if len(b) == 0 {
		return 0, b, corrupt("no integer")
	}
	tag := b[0]
	switch {
	case tag >= tagSmallInt && tag < tagPosInt1:
		return int64(tag - tagSmallInt), b[1:], nil
	case tag < tagNegInt8 || tag > tagPosInt1+7:
		return 0, b, corrupt("no integer")
	}
	size, n := int(tag)-tagPosInt1+1, int64(0)
	if tag < tagSmallInt {
		size, n = 8-int(tag-tagNegInt8), -1
	}
	if len(b) < 1+size {
		return 0, b, corrupt("it ends inside an integer")
	}
	for _, c := range b[1 : 1+size] {
		n = n<<8 | int64(c)
	}
	return n, b[1+size:], nil
}

// bytesBody finds the terminator: the length of the escaped body, and how many escapes it holds.
// mask is 0xff in descending keys.
func bytesBody(b []byte, mask byte) (body, escapes int, err error) {
	for i := 0; i+1 < len(b); i++ {
		if b[i]^mask != escape {
			continue
		}
		switch b[i+1] ^ mask {
		case bytesEnd:
			return i, escapes, nil
		case escapedNul:
			escapes++
			i++
		default:
			return 0, 0, corrupt("bad escape in a string")
		}
	}
	return 0, 0, corrupt("a string without end")
}

func decodeKeyBytes(b []byte) (string, []byte, error) {
	if b[0] != tagBytes {
		return "", b, corrupt("no string")
	}
	n, escapes, err := bytesBody(b[1:], 0)
	if err != nil {
		return "", b, err
	}
	body, rest := b[1:1+n], b[1+n+2:]
	if escapes == 0 {
		return alias(body), rest, nil
	}
	out := make([]byte, 0, n-escapes)
	for i := 0; i < n; i++ {
		out = append(out, body[i])
		if body[i] == escape {
			i++
		}
	}
	return alias(out), rest, nil
}

func decodeKeyArray(b []byte, t types.T) (types.Datum, []byte, error) {
	elem, ok := t.Elem()
	if b[0] != tagArray || !ok {
		return types.Null, b, corrupt("no array")
	}
	var elems []types.Datum
	for b = b[1:]; len(b) > 0 && b[0] != tagArrayEnd; {
		d, rest, err := decodeAsc(b, elem)
		if err != nil {
			return types.Null, b, err
		}
		elems, b = append(elems, d), rest
	}
	if len(b) == 0 {
		return types.Null, b, corrupt("an array without end")
	}
	dims, rest, err := decodeKeyDims(b[1:], len(elems))
	return types.NewShapedArray(elem.Base(), elems, dims), rest, err
}

// SkipKey steps over one encoded value of any type and either direction.
func SkipKey(b []byte) (rest []byte, err error) {
	if len(b) == 0 {
		return b, corrupt("it ends before a value")
	}
	mask := byte(0)
	if b[0] >= 0x80 {
		mask = 0xff
	}
	n, err := lengthOf(b, mask)
	if err == nil && n > len(b) {
		err = corrupt("it ends inside a value")
	}
	if err != nil {
		return b, err
	}
	return b[n:], nil
}

// lengthOf is the length of the value at the start of b, which may be longer than b.
func lengthOf(b []byte, mask byte) (int, error) {
	if len(b) == 0 {
		return 0, corrupt("it ends before a value")
	}
	switch tag := b[0] ^ mask; {
	case tag >= tagNegInt8 && tag < tagSmallInt:
		return 1 + 8 - int(tag-tagNegInt8), nil
	case tag >= tagSmallInt && tag < tagPosInt1, tag == tagNull, tag == tagTrue, tag == tagFalse,
		tag == tagDecZero, tag == tagDecInf, tag == tagDecNegInf, tag == tagDecNaN:
		return 1, nil
	case tag >= tagPosInt1 && tag <= tagPosInt1+7:
		return 1 + int(tag-tagPosInt1) + 1, nil
	case tag == tagFloat:
		return 9, nil
	case tag == tagUUID, tag == tagInterval:
		return 17, nil
	case tag == tagBytes:
		n, _, err := bytesBody(b[1:], mask)
		return 1 + n + 2, err
	case tag == tagDecPos:
		return decimalLength(b, mask)
	case tag == tagDecNeg:
		return decimalLength(b, ^mask)
	case tag == tagArray:
		return arrayLength(b, mask)
	case tag == tagRange:
		return rangeLength(b, mask)
	}
	return 0, corrupt("unknown tag")
}

// dimsLength is the length of an array's encoding whose dimensions begin at at.
func dimsLength(b []byte, at int, mask byte) (int, error) {
	if at >= len(b) || b[at]^mask < tagSmallInt || b[at]^mask >= tagPosInt1 {
		return 0, corrupt("an array without dimensions")
	}
	for n := 2*int(b[at]^mask-tagSmallInt) + 1; n > 0; n-- {
		if at >= len(b) {
			return 0, corrupt("an array without dimensions")
		}
		length, err := lengthOf(b[at:], mask)
		if err != nil {
			return 0, err
		}
		at += length
	}
	return at, nil
}

func arrayLength(b []byte, mask byte) (int, error) {
	for at := 1; at < len(b); {
		if b[at]^mask == tagArrayEnd {
			return dimsLength(b, at+1, mask)
		}
		if b[at]^mask == tagArray {
			return 0, corrupt("nested array") // never written; and recursion must be bounded
		}
		n, err := lengthOf(b[at:], mask)
		if err != nil {
			return 0, err
		}
		at += n
	}
	return 0, corrupt("an array without end")
}
