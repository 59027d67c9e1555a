package types

import (
	"github.com/cairndb/cairn/sql/sqlerr"
)

// ParseText reads a value as Postgres's input function of the type does, modifier included.
func ParseText(t T, s string, env *Env) (Datum, error) { return Null, sqlerr.Unsupported("input") }

// AppendText writes a value as Postgres's output function of the type does. NULL writes nothing.
func AppendText(dst []byte, t T, d Datum, env *Env) []byte { return dst }

// ParseBinary reads the wire's binary format.
func ParseBinary(t T, b []byte) (Datum, error) { return Null, sqlerr.Unsupported("binary input") }

// AppendBinary writes the wire's binary format.
func AppendBinary(dst []byte, t T, d Datum) []byte { return dst }

// Cast converts a value. Explicit casts cut strings silently; others refuse them.
func Cast(d Datum, from, to T, explicit bool, env *Env) (Datum, error) {
	return Null, sqlerr.Unsupported("cast")
}

// Coerce enforces the modifier of t on a value of its base type, as assignment does (or an explicit cast).
func Coerce(d Datum, t T, explicit bool) (Datum, error) { return d, nil }

// CastContext says where a cast may happen without being written.
type CastContext uint8

// Cast contexts, as pg_cast.castcontext, from most to least restricted.
const (
	CastNone CastContext = iota
	CastExplicit
	CastAssignment
	CastImplicit
)

// CanCast says how a type may be turned into another.
func CanCast(from, to T) CastContext { return CastNone }

// Compare orders two non-null values of one family as Postgres does: -1, 0, 1.
func Compare(a, b Datum) int { return 0 }

// Equal says whether two values are equal; NULL equals NULL here.
func Equal(a, b Datum) bool { return false }

// Hash mixes a value into seed; equal values have equal hashes.
func Hash(seed uint64, d Datum) uint64 { return seed }

// ParseName finds a type by the text of a type name: numeric(10,2), int[], timestamp with time zone.
func ParseName(s string) (T, error) { return T{}, sqlerr.Unsupported("type names") }

// ByTypName finds a type by pg_type.typname (int4, bpchar, _text), as the grammar names types.
func ByTypName(name string) (T, bool) {
	oid, ok := catalog.byName[name]
	return T{oid, -1}, ok
}
