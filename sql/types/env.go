package types

import "time"

// Env is what values need from a session to be read and written as text. A nil *Env means UTC,
// the wall clock, and no catalog.
type Env struct {
	// Loc is the session's time zone; nil is UTC.
	Loc *time.Location
	// Now is the transaction's time, for 'now' and 'today'; the zero value is the wall clock.
	Now time.Time
	// Reg translates names of relations for regclass; nil refuses names.
	Reg RegResolver
	// ByteaEscape is bytea_output = 'escape'.
	ByteaEscape bool
	// FloatDigits is extra_float_digits when it is zero or less, minus one; 0 is shortest-precise.
	FloatDigits int
	// DateOrder is how dates without a name of a month are read, after DateStyle.
	DateOrder DateOrder
	// Clocked, if it is set, becomes true when a value depends on Now.
	Clocked *bool
}

// DateOrder is the order of the parts of a date whose year does not come first.
type DateOrder uint8

// The orders.
const (
	DateMDY DateOrder = iota
	DateDMY
	DateYMD
)

func (e *Env) dateOrder() DateOrder {
	if e == nil {
		return DateMDY
	}
	return e.DateOrder
}

// RegResolver finds catalog objects by name and number; the schema layer implements it.
type RegResolver interface {
	// RelationByName resolves a possibly qualified, possibly quoted name along the search path.
	RelationByName(name string) (OID, error)
	// RelationName gives a name that RelationByName would resolve; ok is false if there is none.
	RelationName(oid OID) (name string, ok bool)
	// NamespaceByName and NamespaceName do the same for schemas.
	NamespaceByName(name string) (OID, error)
	NamespaceName(oid OID) (name string, ok bool)
	// FunctionByName finds the only function of a name.
	FunctionByName(name string) (OID, error)
	// TypeByName and TypeByOID find types that users made, and arrays of them.
	TypeByName(name string) (T, bool)
	TypeByOID(oid OID) (T, bool)
	// TypeName prints the name of a user's type, or of an array of such, with its schema unless the
	// search path finds it without.
	TypeName(t T) string
}

func (e *Env) loc() *time.Location {
	if e == nil || e.Loc == nil {
		return time.UTC
	}
	return e.Loc
}

func (e *Env) now() time.Time {
	if e != nil && e.Clocked != nil {
		*e.Clocked = true
	}
	if e == nil || e.Now.IsZero() {
		return time.Now()
	}
	return e.Now
}

// NameOf is what format_type prints for a type.
func (e *Env) NameOf(t T) string {
	if t.User == nil || e == nil || e.Reg == nil {
		return t.String()
	}
	return e.Reg.TypeName(t)
}

// TypeOf gives the type of a number, one made by a user too.
func (e *Env) TypeOf(oid OID) (T, bool) {
	if t, ok := Of(oid); ok {
		return t, true
	}
	if e == nil || e.Reg == nil {
		return T{}, false
	}
	return e.Reg.TypeByOID(oid)
}
