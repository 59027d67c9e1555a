package types

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// A bit string is held as its text, a byte '0' or '1' for each bit. That is eight times what it
// could take; but bytes then compare as Postgres compares bits, a prefix first, parts are cut out by
// bytes, and strings of thousands of bits are rare.

// NewBits makes a bit string of its digits.
func NewBits(digits string) Datum { return NewPacked(digits) }

func validBits(b string) bool { return strings.Trim(b, "01") == "" }

// parseBits reads 101, b101 or x1F. Postgres looks at the length before the digits.
func parseBits(t T, s string) (Datum, error) {
	if err := bitsFit(t, s); err != nil {
		return Null, err
	}
	switch {
	case s != "" && (s[0] == 'x' || s[0] == 'X'):
		return parseHexBits(s[1:])
	case s != "" && (s[0] == 'b' || s[0] == 'B'):
		s = s[1:]
	}
	for _, c := range s {
		if c != '0' && c != '1' {
			return Null, sqlerr.New(sqlerr.InvalidTextRepresentation, "\"%c\" is not a valid binary digit", c)
		}
	}
	return NewBits(s), nil
}

func bitsFit(t T, s string) error {
	n := len(s)
	switch {
	case t.Mod < 0 || s == "":
	case s[0] == 'x' || s[0] == 'X':
		n = 4 * (n - 1)
	case s[0] == 'b' || s[0] == 'B':
		n--
	}
	return bitLength(t, n)
}

// bitLength refuses a length that the type does not have.
func bitLength(t T, n int) error {
	switch {
	case t.Mod < 0 || n == int(t.Mod) || t.OID == OIDVarbit && n < int(t.Mod):
		return nil
	case t.OID == OIDVarbit:
		return sqlerr.New(sqlerr.StringDataRightTruncation, "bit string too long for type bit varying(%d)", t.Mod)
	}
	return sqlerr.New(sqlerr.StringDataLengthMismatch, "bit string length %d does not match type bit(%d)", n, t.Mod)
}

func parseHexBits(s string) (Datum, error) {
	b := make([]byte, 0, 4*len(s))
	for _, c := range s {
		at := strings.IndexRune("0123456789abcdef", unicode.ToLower(c))
		if at < 0 {
			return Null, sqlerr.New(sqlerr.InvalidTextRepresentation, "\"%c\" is not a valid hexadecimal digit", c)
		}
		b = appendBits(b, uint64(at), 4)
	}
	return NewBits(string(b)), nil
}

// appendBits writes the lowest n bits of v, and its sign before them if there are more than 64.
func appendBits(dst []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, '0'+byte(uint64(int64(v)>>min(i, 63))&1))
	}
	return dst
}

// bitsOfInt is the cast of an integer: its lowest bits, or its sign on the left.
func bitsOfInt(v int64, t T) Datum {
	return NewBits(string(appendBits(nil, uint64(v), int(max(t.Mod, 1)))))
}

func intOfBits(b string, to T) (Datum, error) {
	width, name := 32, "integer"
	if to.OID == OIDInt8 {
		width, name = 64, "bigint"
	}
	if len(b) > width {
		return Null, outOfRange(name)
	}
	v := uint64(0)
	for i := 0; i < len(b); i++ {
		v = v<<1 | uint64(b[i]&1)
	}
	if width == 32 {
		return NewInt(int64(int32(v))), nil
	}
	return NewInt(int64(v)), nil
}

// coerceBits enforces a length: an explicit cast cuts and fills on the right, an assignment refuses.
func coerceBits(d Datum, t T, explicit bool) (Datum, error) {
	b, n := d.Packed(), int(t.Mod)
	err := bitLength(t, len(b))
	switch {
	case err == nil:
		return d, nil
	case !explicit:
		return Null, err
	case len(b) > n:
		return NewBits(b[:n]), nil
	}
	return NewBits(b + strings.Repeat("0", n-len(b))), nil
}

func appendBinaryBits(dst []byte, b string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	for i := 0; i < len(b); i += 8 {
		var octet byte
		for j := i; j < i+8; j++ {
			octet <<= 1
			if j < len(b) {
				octet |= b[j] & 1
			}
		}
		dst = append(dst, octet)
	}
	return dst
}

func parseBinaryBits(b []byte, t T) (Datum, error) {
	if len(b) < 4 {
		return Null, badBinary(t)
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || n > BitsMax {
		return Null, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "invalid length in external bit string")
	}
	if len(b)-4 != (n+7)/8 {
		return Null, badBinary(t)
	}
	out := make([]byte, 0, n+7)
	for _, octet := range b[4:] {
		out = appendBits(out, uint64(octet), 8)
	}
	return NewBits(string(out[:n])), nil
}

// OnesCount counts the bits that are set.
func OnesCount(b string) (n int) {
	for i := 0; i < len(b); i++ {
		n += bits.OnesCount8(b[i] & 1)
	}
	return n
}
