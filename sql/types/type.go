package types

import (
	"strconv"

	"github.com/cairndb/cairn/schema/usertype"
)

// T is a SQL type: Postgres's number of it and its modifier. It is small and comparable.
type T struct {
	OID OID
	// Mod is Postgres's typmod: -1 for none; length+4 for char types; ((p<<16)|s)+4 for numeric;
	// digits of a second for times. It belongs to the element in an array type.
	Mod int32
	// User is the definition of a type made by a user (for an array of such, the
	// elements'); nil for Postgres's own types. Two copies of one definition are
	// equal types with unequal pointers: compare with Same.
	User *usertype.Type
}

// Same says whether two types are the same, whatever copy of a definition they hold.
func (t T) Same(u T) bool { return t.OID == u.OID && t.Mod == u.Mod }

// Types without a modifier.
var (
	Bool         = T{OID: OIDBool, Mod: -1}
	Bytea        = T{OID: OIDBytea, Mod: -1}
	Char         = T{OID: OIDChar, Mod: -1} // the one-byte type "char" of the catalogs
	Name         = T{OID: OIDName, Mod: -1}
	Int8         = T{OID: OIDInt8, Mod: -1}
	Int2         = T{OID: OIDInt2, Mod: -1}
	Int4         = T{OID: OIDInt4, Mod: -1}
	Text         = T{OID: OIDText, Mod: -1}
	Oid          = T{OID: OIDOid, Mod: -1}
	JSON         = T{OID: OIDJSON, Mod: -1}
	Float4       = T{OID: OIDFloat4, Mod: -1}
	Float8       = T{OID: OIDFloat8, Mod: -1}
	Unknown      = T{OID: OIDUnknown, Mod: -1}
	BPChar       = T{OID: OIDBPChar, Mod: -1}
	Varchar      = T{OID: OIDVarchar, Mod: -1}
	Date         = T{OID: OIDDate, Mod: -1}
	Time         = T{OID: OIDTime, Mod: -1}
	Timestamp    = T{OID: OIDTimestamp, Mod: -1}
	TimestampTZ  = T{OID: OIDTimestampTZ, Mod: -1}
	Interval     = T{OID: OIDInterval, Mod: -1}
	Numeric      = T{OID: OIDNumeric, Mod: -1}
	RegClass     = T{OID: OIDRegClass, Mod: -1}
	RegType      = T{OID: OIDRegType, Mod: -1}
	RegProc      = T{OID: OIDRegProc, Mod: -1}
	RegNamespace = T{OID: OIDRegNamespace, Mod: -1}
	Record       = T{OID: OIDRecord, Mod: -1}
	Any          = T{OID: OIDAny, Mod: -1}
	AnyNonArray  = T{OID: OIDAnyNonArray, Mod: -1}
	AnyArray     = T{OID: OIDAnyArray, Mod: -1}
	AnyEnum      = T{OID: OIDAnyEnum, Mod: -1}
	AnyElement   = T{OID: OIDAnyElement, Mod: -1}
	AnyRange     = T{OID: OIDAnyRange, Mod: -1}
	Void         = T{OID: OIDVoid, Mod: -1}
	UUID         = T{OID: OIDUUID, Mod: -1}
	TimeTZ       = T{OID: OIDTimeTZ, Mod: -1}
	Bit          = T{OID: OIDBit, Mod: -1}
	Varbit       = T{OID: OIDVarbit, Mod: -1}
	Inet         = T{OID: OIDInet, Mod: -1}
	Cidr         = T{OID: OIDCidr, Mod: -1}
	Macaddr      = T{OID: OIDMacaddr, Mod: -1}
	Macaddr8     = T{OID: OIDMacaddr8, Mod: -1}
	JSONB        = T{OID: OIDJSONB, Mod: -1}
	JSONPath     = T{OID: OIDJSONPath, Mod: -1}
	TextArray    = T{OID: 1009, Mod: -1}
	Int4Array    = T{OID: 1007, Mod: -1}
	Int8Array    = T{OID: 1016, Mod: -1}
	Int4Range    = T{OID: OIDInt4Range, Mod: -1}
	Int8Range    = T{OID: OIDInt8Range, Mod: -1}
	NumRange     = T{OID: OIDNumRange, Mod: -1}
	TsRange      = T{OID: OIDTsRange, Mod: -1}
	TstzRange    = T{OID: OIDTstzRange, Mod: -1}
	DateRange    = T{OID: OIDDateRange, Mod: -1}
)

// Of gives the type of a number, without modifier; ok is false for a number not known here.
func Of(oid OID) (t T, ok bool) {
	_, ok = catalog.byOID[oid]
	return T{OID: oid, Mod: -1}, ok
}

// VarcharN is character varying(n).
func VarcharN(n int32) T { return T{OID: OIDVarchar, Mod: n + 4} }

// CharN is character(n).
func CharN(n int32) T { return T{OID: OIDBPChar, Mod: n + 4} }

// NumericPS is numeric(precision, scale).
func NumericPS(precision, scale int32) T {
	return T{OID: OIDNumeric, Mod: precision<<16 | scale&0x7ff + 4}
}

// WithMod returns the type with another modifier.
func (t T) WithMod(mod int32) T { return T{t.OID, mod, t.User} }

// Base returns the type without modifier.
func (t T) Base() T { return T{t.OID, -1, t.User} }

func (t T) info() *info {
	if t.User != nil {
		return t.userInfo()
	}
	return catalog.byOID[t.OID]
}

// Valid says whether the type is one this package knows.
func (t T) Valid() bool { return t.info() != nil }

// Kind says which Datum representation values of the type have.
func (t T) Kind() Kind {
	switch t.OID {
	case OIDInt8, OIDInt4, OIDInt2:
		return KindInt
	case OIDText, OIDVarchar:
		return KindText
	case OIDNumeric:
		return KindDecimal
	case OIDDate:
		return KindDate
	case OIDBPChar:
		return KindBPChar
	case OIDBool:
		return KindBool
	case OIDFloat8:
		return KindFloat
	case OIDTimestampTZ:
		return KindTimestampTZ
	case OIDTimestamp:
		return KindTimestamp
	}
	switch {
	case t.User == nil:
	case t.IsDomain():
		return t.Plain().Kind()
	case t.IsEnum():
		return KindEnum
	case t.IsComposite():
		return KindRecord
	default:
		return KindArray
	}
	if in := t.info(); in != nil {
		return in.kind
	}
	return KindNull
}

// Family is the kind of the type's values: int2, int4 and int8 are one family, and so on.
func (t T) Family() Kind { return t.Kind() }

// Category is pg_type.typcategory.
func (t T) Category() Category {
	if in := t.info(); in != nil {
		return in.category
	}
	return CategoryUser
}

// Preferred is pg_type.typispreferred.
func (t T) Preferred() bool { in := t.info(); return in != nil && in.preferred }

// Len is pg_type.typlen.
func (t T) Len() int16 {
	if in := t.info(); in != nil {
		return in.len
	}
	return -1
}

// ByVal is pg_type.typbyval.
func (t T) ByVal() bool { in := t.info(); return in != nil && in.byVal }

// TypeName is pg_type.typname: int4, not integer.
func (t T) TypeName() string {
	if in := t.info(); in != nil {
		return in.name
	}
	return "???"
}

// IsArray says whether the type is an array.
func (t T) IsArray() bool { _, ok := t.Elem(); return ok }

// Elem is the type of an array's elements; ok is false for other types.
func (t T) Elem() (elem T, ok bool) {
	if t.User != nil {
		return t.userElem()
	}
	oid, ok := catalog.elem[t.OID]
	return T{OID: oid, Mod: t.Mod}, ok
}

// FirstSubscript is that of the first element of arrays of the type: the vectors of the system catalogs
// begin at 0.
func (t T) FirstSubscript() int64 {
	if t.OID == OIDInt2Vector || t.OID == OIDOidVector {
		return 0
	}
	return 1
}

// Array is the type of arrays of t; ok is false where there is none (unknown, void, arrays).
func (t T) Array() (array T, ok bool) {
	in := t.info()
	if in == nil || in.array == 0 {
		return T{}, false
	}
	return T{in.array, t.Mod, t.User}, true
}

// IsString says whether values are texts to the user: text, varchar, char, name.
func (t T) IsString() bool { return t.Category() == CategoryString }

// IsNumeric says whether the type takes part in arithmetic: ints, floats, numeric, oid.
func (t T) IsNumeric() bool { return t.Category() == CategoryNumeric }

// IsPolymorphic says whether the type stands for one found at the call.
func (t T) IsPolymorphic() bool {
	switch t.OID {
	case OIDAny, OIDAnyElement, OIDAnyNonArray, OIDAnyArray, OIDAnyEnum, OIDAnyRange:
		return true
	}
	return false
}

// All lists every known type, scalars first, for pg_type.
func All() []T {
	var out []T
	for i := range typeInfos {
		out = append(out, T{OID: typeInfos[i].oid, Mod: -1})
	}
	for i := range vectorInfos {
		out = append(out, T{OID: vectorInfos[i].oid, Mod: -1})
	}
	for i := range typeInfos {
		if a := typeInfos[i].array; a != 0 {
			out = append(out, T{OID: a, Mod: -1})
		}
	}
	return out
}

// String is what format_type prints: character varying(10), timestamp with time zone.
func (t T) String() string {
	if elem, ok := t.Elem(); ok && t.OID != OIDInt2Vector && t.OID != OIDOidVector {
		return elem.String() + "[]"
	}
	in := t.info()
	if in == nil {
		return "???"
	}
	if t.Mod < 0 {
		return in.sqlName
	}
	return t.nameWithMod(in.sqlName)
}

func (t T) nameWithMod(name string) string {
	switch t.OID {
	case OIDVarchar, OIDBPChar:
		return name + "(" + strconv.Itoa(int(t.Mod-4)) + ")"
	case OIDNumeric:
		p, s := t.PrecisionScale()
		return name + "(" + strconv.Itoa(int(p)) + "," + strconv.Itoa(int(s)) + ")"
	case OIDBit:
		return "bit(" + strconv.Itoa(int(t.Mod)) + ")"
	case OIDVarbit:
		return name + "(" + strconv.Itoa(int(t.Mod)) + ")"
	case OIDTime, OIDTimeTZ, OIDTimestamp, OIDTimestampTZ:
		prec := "(" + strconv.Itoa(int(t.Mod)) + ")"
		for i := range name { // "timestamp without …": the digits stand after the first word
			if name[i] == ' ' {
				return name[:i] + prec + name[i:]
			}
		}
	}
	return name
}

// Length is n of varchar(n) and char(n), or -1.
func (t T) Length() int32 {
	if t.Mod < 4 {
		return -1
	}
	return t.Mod - 4
}

// PrecisionScale are p and s of numeric(p,s); precision is 0 when there is no modifier.
func (t T) PrecisionScale() (precision, scale int32) {
	if t.Mod < 4 {
		return 0, 0
	}
	m := t.Mod - 4
	scale = m & 0x7ff
	if scale > 1023 {
		scale -= 2048 // 11 bits, signed
	}
	return m >> 16 & 0xffff, scale
}
