package rowenc

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// AppendKey appends the ordered encoding of d.
func AppendKey(b []byte, d types.Datum, t types.T, desc bool) []byte { return b }

// DecodeKey reads one encoded value and returns the bytes after it.
func DecodeKey(b []byte, t types.T, desc bool) (d types.Datum, rest []byte, err error) {
	return types.Null, b, sqlerr.Unsupported("keys")
}

// SkipKey steps over one encoded value of any type and either direction.
func SkipKey(b []byte) (rest []byte, err error) { return b, sqlerr.Unsupported("keys") }

// NeedsValue says whether the key form of d loses something (1.00 against 1.0, -0.0), so that the
// column must be repeated in the row's value.
func NeedsValue(d types.Datum, t types.T) bool { return false }

// KeyEncodable says whether a type can be part of a key.
func KeyEncodable(t types.T) bool { return true }
