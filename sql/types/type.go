package types

import "strconv"

// T is a SQL type: Postgres's number of it and its modifier. It is small and comparable.
type T struct {
	OID OID
	// Mod is Postgres's typmod: -1 for none; length+4 for char types; ((p<<16)|s)+4 for numeric;
	// digits of a second for times. It belongs to the element in an array type.
	Mod int32
}

// Types without a modifier.
var (
	Bool         = T{OIDBool, -1}
	Bytea        = T{OIDBytea, -1}
	Char         = T{OIDChar, -1} // the one-byte type "char" of the catalogs
	Name         = T{OIDName, -1}
	Int8         = T{OIDInt8, -1}
	Int2         = T{OIDInt2, -1}
	Int4         = T{OIDInt4, -1}
	Text         = T{OIDText, -1}
	Oid          = T{OIDOid, -1}
	JSON         = T{OIDJSON, -1}
	Float4       = T{OIDFloat4, -1}
	Float8       = T{OIDFloat8, -1}
	Unknown      = T{OIDUnknown, -1}
	BPChar       = T{OIDBPChar, -1}
	Varchar      = T{OIDVarchar, -1}
	Date         = T{OIDDate, -1}
	Time         = T{OIDTime, -1}
	Timestamp    = T{OIDTimestamp, -1}
	TimestampTZ  = T{OIDTimestampTZ, -1}
	Interval     = T{OIDInterval, -1}
	Numeric      = T{OIDNumeric, -1}
	RegClass     = T{OIDRegClass, -1}
	RegType      = T{OIDRegType, -1}
	RegProc      = T{OIDRegProc, -1}
	RegNamespace = T{OIDRegNamespace, -1}
	Record       = T{OIDRecord, -1}
	Any          = T{OIDAny, -1}
	AnyArray     = T{OIDAnyArray, -1}
	AnyElement   = T{OIDAnyElement, -1}
	Void         = T{OIDVoid, -1}
	UUID         = T{OIDUUID, -1}
	JSONB        = T{OIDJSONB, -1}
	TextArray    = T{1009, -1}
	Int4Array    = T{1007, -1}
	Int8Array    = T{1016, -1}
)

// Of gives the type of a number, without modifier; ok is false for a number not known here.
func Of(oid OID) (t T, ok bool) {
	_, ok = catalog.byOID[oid]
	return T{oid, -1}, ok
}

// VarcharN is character varying(n).
func VarcharN(n int32) T { return T{OIDVarchar, n + 4} }

// CharN is character(n).
func CharN(n int32) T { return T{OIDBPChar, n + 4} }

// NumericPS is numeric(precision, scale).
func NumericPS(precision, scale int32) T {
	return T{OIDNumeric, precision<<16 | scale&0x7ff + 4}
}

// WithMod returns the type with another modifier.
func (t T) WithMod(mod int32) T { return T{t.OID, mod} }

// Base returns the type without modifier.
func (t T) Base() T { return T{t.OID, -1} }

func (t T) info() *info { return catalog.byOID[t.OID] }

// Valid says whether the type is one this package knows.
func (t T) Valid() bool { return t.info() != nil }

// Kind says which Datum representation values of the type have.
func (t T) Kind() Kind {
	switch t.OID {
	case OIDInt8, OIDInt4, OIDInt2:
		return KindInt
	case OIDText, OIDVarchar:
		return KindText
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
func (t T) IsArray() bool { _, ok := catalog.elem[t.OID]; return ok }

// Elem is the type of an array's elements; ok is false for other types.
func (t T) Elem() (elem T, ok bool) {
	oid, ok := catalog.elem[t.OID]
	return T{oid, t.Mod}, ok
}

// Array is the type of arrays of t; ok is false where there is none (unknown, void, arrays).
func (t T) Array() (array T, ok bool) {
	in := t.info()
	if in == nil || in.array == 0 {
		return T{}, false
	}
	return T{in.array, t.Mod}, true
}

// IsString says whether values are texts to the user: text, varchar, char, name.
func (t T) IsString() bool { return t.Category() == CategoryString }

// IsNumeric says whether the type takes part in arithmetic: ints, floats, numeric, oid.
func (t T) IsNumeric() bool { return t.Category() == CategoryNumeric }

// IsPolymorphic says whether the type stands for one found at the call.
func (t T) IsPolymorphic() bool {
	return t.OID == OIDAny || t.OID == OIDAnyElement || t.OID == OIDAnyArray
}

// All lists every known type, scalars first, for pg_type.
func All() []T {
	var out []T
	for i := range typeInfos {
		out = append(out, T{typeInfos[i].oid, -1})
	}
	for i := range vectorInfos {
		out = append(out, T{vectorInfos[i].oid, -1})
	}
	for i := range typeInfos {
		if a := typeInfos[i].array; a != 0 {
			out = append(out, T{a, -1})
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
	case OIDTime, OIDTimestamp, OIDTimestampTZ:
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
