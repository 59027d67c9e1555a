// Package wire holds the few primitives that generated codecs are made of:
// the Protocol Buffers wire format (varints, length-delimited fields, tags;
// see "Encoding" in the Protocol Buffers documentation) over plain Go structs.
//
// Why not protobuf's own Go types: on the hot paths a batch is one flat struct
// with typed numbers and embedded timestamps, where protoc-gen-go would give a
// pointer and an allocation for each. The bytes are the same, so a .proto
// reader can read them, unknown fields are skipped, and fields may be added.
//
// Decoded byte slices alias the input; whoever keeps them keeps the input.
// Package wiregen writes the code that calls this package.
package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// Type is a Protocol Buffers wire type.
type Type uint8

// Wire types in use; groups are not.
const (
	Varint  Type = 0
	Fixed64 Type = 1
	Bytes   Type = 2
	Fixed32 Type = 5
)

// ErrTruncated and ErrMalformed are the only errors of decoding.
var (
	ErrTruncated = errors.New("wire: truncated message")
	ErrMalformed = errors.New("wire: malformed message")
)

// AppendTag appends a field's tag.
func AppendTag(b []byte, field int, t Type) []byte {
	return binary.AppendUvarint(b, uint64(field)<<3|uint64(t))
}

// AppendUint appends a varint field.
func AppendUint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(AppendTag(b, field, Varint), v)
}

// AppendInt appends a zigzag varint field.
func AppendInt(b []byte, field int, v int64) []byte {
	return AppendUint(b, field, uint64(v)<<1^uint64(v>>63))
}

// AppendBytes appends a length-delimited field.
func AppendBytes[T ~[]byte | ~string](b []byte, field int, v T) []byte {
	b = binary.AppendUvarint(AppendTag(b, field, Bytes), uint64(len(v)))
	return append(b, v...)
}

// AppendFloat appends a fixed 64-bit field.
func AppendFloat(b []byte, field int, v float64) []byte {
	return binary.LittleEndian.AppendUint64(AppendTag(b, field, Fixed64), math.Float64bits(v))
}

// Begin starts a nested message: it appends the tag and one byte for the
// length, and returns where the body starts. End fills the length in.
func Begin(b []byte, field int) ([]byte, int) {
	b = append(AppendTag(b, field, Bytes), 0)
	return b, len(b)
}

// End closes the nested message whose body began at start. Bodies of 128
// bytes or more are moved up to make room for the longer length.
func End(b []byte, start int) []byte {
	n := len(b) - start
	if n < 0x80 {
		b[start-1] = byte(n)
		return b
	}
	var l [binary.MaxVarintLen64]byte
	extra := binary.PutUvarint(l[:], uint64(n)) - 1
	b = append(b, l[:extra]...)
	copy(b[start+extra:], b[start:start+n])
	copy(b[start-1:], l[:extra+1])
	return b
}

// Tag cuts a tag off b.
func Tag(b []byte) (field int, t Type, rest []byte, err error) {
	v, rest, err := Uint(b)
	if err != nil {
		return 0, 0, nil, err
	}
	if v>>3 == 0 || v>>3 > math.MaxInt32 {
		return 0, 0, nil, ErrMalformed
	}
	return int(v >> 3), Type(v & 7), rest, nil
}

// Uint cuts a varint off b.
func Uint(b []byte) (uint64, []byte, error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], nil
	}
	v, n := binary.Uvarint(b)
	switch {
	case n == 0:
		return 0, nil, ErrTruncated
	case n < 0:
		return 0, nil, ErrMalformed
	}
	return v, b[n:], nil
}

// Int cuts a zigzag varint off b.
func Int(b []byte) (int64, []byte, error) {
	v, rest, err := Uint(b)
	return int64(v>>1) ^ -int64(v&1), rest, err
}

// Cut cuts a length-delimited field's body off b; it aliases b.
func Cut(b []byte) (body, rest []byte, err error) {
	n, rest, err := Uint(b)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(rest)) {
		return nil, nil, ErrTruncated
	}
	return rest[:n:n], rest[n:], nil
}

// CutArray fills dst with a length-delimited field of exactly its size.
func CutArray(dst, b []byte) (rest []byte, err error) {
	body, rest, err := Cut(b)
	if err != nil {
		return nil, err
	}
	if len(body) != len(dst) {
		return nil, ErrMalformed
	}
	copy(dst, body)
	return rest, nil
}

// Float cuts a fixed 64-bit field off b.
func Float(b []byte) (float64, []byte, error) {
	if len(b) < 8 {
		return 0, nil, ErrTruncated
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:], nil
}

// Skip cuts the value of an unknown field off b.
func Skip(b []byte, t Type) (rest []byte, err error) {
	switch t {
	case Varint:
		_, rest, err = Uint(b)
	case Bytes:
		_, rest, err = Cut(b)
	case Fixed64, Fixed32:
		n := 8
		if t == Fixed32 {
			n = 4
		}
		if len(b) < n {
			return nil, ErrTruncated
		}
		rest = b[n:]
	default:
		err = ErrMalformed
	}
	return rest, err
}
