package types

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// CastContext says where a cast may happen without being written.
type CastContext uint8

// Cast contexts, as pg_cast.castcontext, from most to least restricted.
const (
	CastNone CastContext = iota
	CastExplicit
	CastAssignment
	CastImplicit
)

type castPair struct{ from, to OID }

// casts are the rows of pg_cast that are not about going through text.
var casts = buildCasts()

func buildCasts() map[castPair]CastContext {
	m := map[castPair]CastContext{}
	add := func(c CastContext, from OID, to ...OID) {
		for _, t := range to {
			m[castPair{from, t}] = c
		}
	}
	const i, a, e = CastImplicit, CastAssignment, CastExplicit
	add(i, OIDInt2, OIDInt4, OIDInt8, OIDFloat4, OIDFloat8, OIDNumeric)
	add(a, OIDInt4, OIDInt2)
	add(i, OIDInt4, OIDInt8, OIDFloat4, OIDFloat8, OIDNumeric)
	add(a, OIDInt8, OIDInt2, OIDInt4)
	add(i, OIDInt8, OIDFloat4, OIDFloat8, OIDNumeric)
	add(a, OIDNumeric, OIDInt2, OIDInt4, OIDInt8)
	add(i, OIDNumeric, OIDFloat4, OIDFloat8)
	add(a, OIDFloat4, OIDInt2, OIDInt4, OIDInt8, OIDNumeric)
	add(i, OIDFloat4, OIDFloat8)
	add(a, OIDFloat8, OIDInt2, OIDInt4, OIDInt8, OIDNumeric, OIDFloat4)
	add(e, OIDInt4, OIDBool, OIDChar)
	add(e, OIDBool, OIDInt4)
	add(e, OIDChar, OIDInt4)
	add(i, OIDText, OIDVarchar, OIDBPChar, OIDName, OIDRegClass)
	add(a, OIDText, OIDChar)
	add(i, OIDVarchar, OIDText, OIDBPChar, OIDName, OIDRegClass)
	add(a, OIDVarchar, OIDChar)
	add(i, OIDBPChar, OIDText, OIDVarchar, OIDName)
	add(a, OIDBPChar, OIDChar)
	add(i, OIDName, OIDText)
	add(a, OIDName, OIDVarchar, OIDBPChar)
	add(i, OIDChar, OIDText)
	add(a, OIDChar, OIDVarchar, OIDBPChar)
	add(a, OIDBool, OIDText, OIDVarchar, OIDBPChar)
	add(i, OIDDate, OIDTimestamp, OIDTimestampTZ)
	add(a, OIDTimestamp, OIDDate, OIDTime)
	add(i, OIDTimestamp, OIDTimestampTZ)
	add(a, OIDTimestampTZ, OIDDate, OIDTime, OIDTimestamp)
	add(i, OIDTime, OIDInterval, OIDTimeTZ)
	add(a, OIDTimestampTZ, OIDTimeTZ)
	add(a, OIDTimeTZ, OIDTime)
	add(e, OIDInt4, OIDBit)
	add(e, OIDInt8, OIDBit)
	add(e, OIDBit, OIDInt4, OIDInt8)
	add(i, OIDBit, OIDVarbit)
	add(i, OIDVarbit, OIDBit)
	add(a, OIDInterval, OIDTime)
	add(a, OIDJSON, OIDJSONB)
	add(a, OIDJSONB, OIDJSON)
	add(e, OIDJSONB, OIDBool, OIDNumeric, OIDInt2, OIDInt4, OIDInt8, OIDFloat4, OIDFloat8)
	for _, reg := range []OID{OIDRegClass, OIDRegType, OIDRegProc, OIDRegNamespace} {
		add(i, OIDOid, reg)
		add(i, reg, OIDOid)
		add(a, reg, OIDInt4, OIDInt8)
		for _, n := range []OID{OIDInt2, OIDInt4, OIDInt8} {
			add(i, n, reg)
		}
	}
	for _, n := range []OID{OIDInt2, OIDInt4, OIDInt8} {
		add(i, n, OIDOid)
	}
	add(a, OIDOid, OIDInt4, OIDInt8)
	add(i, OIDCidr, OIDInet)
	add(a, OIDInet, OIDCidr)
	add(i, OIDMacaddr, OIDMacaddr8)
	add(i, OIDMacaddr8, OIDMacaddr)
	add(i, OIDInt2Vector, 1005)
	add(i, OIDOidVector, 1028)
	return m
}

// CanCast says how a type may be turned into another, as pg_cast and the rules of the manual's
// section 10.4 do: anything to a string by assignment, a string to anything by an explicit cast.
func CanCast(from, to T) CastContext {
	if from.OID == to.OID {
		return CastImplicit
	}
	from, to = from.Plain(), to.Plain()
	if from.OID == to.OID || from.OID == OIDUnknown || to.OID == OIDAny {
		return CastImplicit
	}
	if c, ok := casts[castPair{from.OID, to.OID}]; ok {
		return c
	}
	if fe, ok := from.Elem(); ok && to.OID != OIDInt2Vector && to.OID != OIDOidVector {
		if te, ok := to.Elem(); ok {
			return CanCast(fe, te)
		}
	}
	switch {
	case from.IsComposite() && to.OID == OIDRecord:
		return CastImplicit
	case from.OID == OIDVoid && to.IsString():
		return CastExplicit
	case from.Category() == CategoryPseudo && from.OID != OIDRecord || to.Category() == CategoryPseudo:
		return CastNone
	case to.IsString():
		return CastAssignment
	case from.IsString():
		return CastExplicit
	}
	return CastNone
}

// Cast converts a value. Explicit casts cut strings to length silently; others refuse them.
func Cast(d Datum, from, to T, explicit bool, env *Env) (Datum, error) {
	if d.IsNull() || from == to {
		return d, nil
	}
	from, to = from.Plain(), to.Plain()
	out, err := d, error(nil)
	if from.OID != to.OID {
		out, err = castBase(d, from, to, explicit, env)
	} else if elem, ok := to.Elem(); ok && to.Mod >= 0 {
		return castElems(d, elem, elem, explicit, env)
	}
	if err != nil || to.Mod < 0 || out.k == KindArray {
		return out, err
	}
	return Coerce(out, to, explicit)
}

func castBase(d Datum, from, to T, explicit bool, env *Env) (Datum, error) {
	switch d.k {
	case KindText, KindBPChar:
		return castString(d, from, to, explicit, env)
	case KindInt, KindFloat, KindDecimal:
		if to.IsNumeric() {
			return castNumber(d, from, to)
		}
		if to.OID == OIDBit {
			return bitsOfInt(d.n, to), nil
		}
	case KindBool:
		if to.OID == OIDInt4 {
			return NewInt(d.n), nil
		}
	case KindDate, KindTimestamp, KindTimestampTZ, KindTime, KindInterval:
		if out, ok := castStamp(d, to, env); ok {
			return out, nil
		}
	case KindJSON, KindJSONB:
		if out, ok, err := castJSON(d, to); ok {
			return out, err
		}
	case KindRecord:
		if to.OID == OIDRecord {
			return d, nil
		}
	case KindPacked:
		if out, ok, err := castPacked(d, from, to); ok {
			return out, err
		}
	case KindArray:
		if elem, ok := to.Elem(); ok {
			return castElems(d, d.Array().Elem, elem, explicit, env)
		}
	}
	return castRest(d, from, to, env)
}

func castRest(d Datum, from, to T, env *Env) (Datum, error) {
	if from.OID == OIDInt4 && to.OID == OIDBool {
		return NewBool(d.n != 0), nil
	}
	if from.OID == OIDInt4 && to.OID == OIDChar {
		if d.n < -128 || d.n > 127 {
			return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "\"char\" out of range")
		}
		return NewText(string([]byte{byte(d.n)})), nil
	}
	if to.Kind() == KindText || to.Kind() == KindBPChar {
		s := Format(from, d, env)
		if d.k == KindBool {
			s = map[bool]string{true: "true", false: "false"}[d.Bool()]
		}
		return stringOf(to, s), nil
	}
	return Null, sqlerr.New(sqlerr.CannotCoerce, "cannot cast type %s to %s", from.Base(), to.Base())
}

// stringOf makes a string of one of the string types.
func stringOf(t T, s string) Datum {
	switch t.OID {
	case OIDBPChar:
		return NewBPChar(s)
	case OIDName:
		return NewText(cutName(s))
	case OIDChar:
		return NewText(s[:min(len(s), 1)])
	}
	return NewText(s)
}

func castString(d Datum, from, to T, explicit bool, env *Env) (Datum, error) {
	if k := to.Kind(); k == KindText || k == KindBPChar {
		if to.OID == OIDBPChar {
			return NewBPChar(d.Str()), nil
		}
		return stringOf(to, trimBlanksOf(d)), nil
	}
	if from.OID == OIDChar && to.OID == OIDInt4 {
		if d.n == 0 {
			return NewInt(0), nil
		}
		return NewInt(int64(int8(d.Str()[0]))), nil
	}
	if explicit && to.IsArray() && to.Mod >= 0 {
		out, err := ParseText(to.Base(), d.Str(), env)
		if err != nil {
			return Null, err
		}
		elem, _ := to.Elem()
		return castElems(out, elem.Base(), elem, explicit, env)
	}
	base := to.Base()
	if to.IsArray() {
		base = to
	}
	return ParseText(base, trimBlanksOf(d), env)
}

func castNumber(d Datum, from, to T) (Datum, error) {
	switch to.OID {
	case OIDInt2:
		return toInt(d, math.MinInt16, math.MaxInt16, "smallint")
	case OIDInt4:
		if from.Kind() == KindInt && from.OID != OIDInt8 && from.OID != OIDInt2 {
			return NewInt(int64(int32(d.n))), nil // an oid's bits
		}
		return toInt(d, math.MinInt32, math.MaxInt32, "integer")
	case OIDInt8:
		return toInt(d, math.MinInt64, math.MaxInt64, "bigint")
	case OIDFloat8:
		return NewFloat(d.toFloat()), nil
	case OIDFloat4:
		f := d.toFloat()
		r := float64(float32(f))
		if math.IsInf(r, 0) && !math.IsInf(f, 0) {
			return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: overflow")
		}
		if r == 0 && f != 0 {
			return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: underflow")
		}
		return NewFloat(r), nil
	case OIDNumeric:
		if d.k == KindFloat {
			digits := 15
			if from.OID == OIDFloat4 {
				digits = 6
			}
			return NewDecimal(floatToDecimal(d.Float(), digits)), nil
		}
		return NewDecimal(d.toDecimal()), nil
	}
	if d.n < 0 && from.OID == OIDInt8 || d.n > math.MaxUint32 {
		return Null, outOfRange("OID")
	}
	return NewInt(int64(uint32(d.n))), nil // oid and reg*
}

func toInt(d Datum, lo, hi int64, typ string) (Datum, error) {
	switch d.k {
	case KindDecimal:
		n, err := decimalToInt(d.Decimal(), lo, hi, typ)
		return NewInt(n), err
	case KindFloat:
		f := math.RoundToEven(d.Float())
		if f != f || f < float64(lo) || f > float64(hi) || f >= 1<<63 {
			return Null, outOfRange(typ)
		}
		return NewInt(int64(f)), nil
	}
	if d.n < lo || d.n > hi {
		return Null, outOfRange(typ)
	}
	return d, nil
}

func castStamp(d Datum, to T, env *Env) (Datum, bool) {
	switch to.OID {
	case OIDTimestamp:
		switch d.k {
		case KindDate:
			return NewTimestamp(dateToMicros(d.n)), true
		case KindTimestampTZ:
			return NewTimestamp(ToLocal(d.n, env.loc())), true
		}
	case OIDTimestampTZ:
		switch d.k {
		case KindDate:
			return NewTimestampTZ(FromLocal(dateToMicros(d.n), env.loc())), true
		case KindTimestamp:
			return NewTimestampTZ(FromLocal(d.n, env.loc())), true
		}
	case OIDDate, OIDTime:
		return castStampPart(d, to, env)
	case OIDTimeTZ:
		switch d.k {
		case KindTime:
			return TimeToTZ(d.n, env), true
		case KindTimestampTZ:
			return timeTZAt(d.n, env.loc()), true
		}
	case OIDInterval:
		if d.k == KindTime {
			return NewInterval(IntervalValue{Micros: d.n}), true
		}
	}
	return Null, false
}

func castStampPart(d Datum, to T, env *Env) (Datum, bool) {
	local := d.n
	switch d.k {
	case KindTimestampTZ:
		local = ToLocal(d.n, env.loc())
	case KindTimestamp:
	case KindInterval:
		if to.OID != OIDTime {
			return Null, false
		}
		local = d.Interval().Micros
	default:
		return Null, false
	}
	if to.OID == OIDDate {
		return NewDate(stampToDate(local)), true
	}
	return NewTime(local - floorDiv(local, microsPerDay)*microsPerDay), true
}

func castJSON(d Datum, to T) (out Datum, ok bool, err error) {
	switch to.OID {
	case OIDJSON:
		return NewJSON(d.Str()), true, nil
	case OIDJSONB:
		out, err = ParseJSONB(d.Str())
		return out, true, err
	}
	if d.k != KindJSONB || !to.IsNumeric() && to.OID != OIDBool {
		return Null, false, nil
	}
	v := JSONOf(d)
	switch {
	case v.Kind == JSONBool && to.OID == OIDBool:
		return NewBool(v.Bool), true, nil
	case v.Kind == JSONNumber && to.OID != OIDBool:
		out, err = castNumber(NewDecimal(v.Num), Numeric, to)
		return out, true, err
	}
	return Null, true, sqlerr.New(sqlerr.InvalidParameterValue, "cannot cast jsonb %s to type %s", v.TypeName(), to.Base())
}

// TypeName is what json_typeof prints.
func (v JSONValue) TypeName() string {
	return [...]string{"null", "string", "number", "boolean", "array", "object"}[v.Kind]
}

func castElems(d Datum, from, to T, explicit bool, env *Env) (Datum, error) {
	in := d.Array().Elems
	out := make([]Datum, len(in))
	for i, e := range in {
		var err error
		if out[i], err = Cast(e, from.Base(), to, explicit, env); err != nil {
			return Null, err
		}
	}
	return d.Array().WithElems(to.Base(), out), nil
}

// Coerce enforces t's modifier on a value of its base type: as an explicit cast, which cuts, or as
// an assignment, which refuses.
func Coerce(d Datum, t T, explicit bool) (Datum, error) {
	t = t.Plain()
	if t.Mod < 0 || d.IsNull() {
		return d, nil
	}
	switch t.OID {
	case OIDVarchar, OIDBPChar:
		return coerceString(d, t, explicit)
	case OIDNumeric:
		return coerceNumeric(d, t)
	case OIDTimeTZ:
		return NewTimeTZ(d.TimeTZ().round(t.Mod)), nil
	case OIDBit, OIDVarbit:
		return coerceBits(d, t, explicit)
	case OIDTime:
		return NewTime(roundMicros(d.n, t.Mod)), nil
	case OIDTimestamp:
		return NewTimestamp(roundMicros(d.n, t.Mod)), nil
	case OIDTimestampTZ:
		return NewTimestampTZ(roundMicros(d.n, t.Mod)), nil
	}
	if t.IsArray() && d.k == KindArray {
		elem, _ := t.Elem()
		return castElems(d, elem.Base(), elem, explicit, nil)
	}
	return d, nil
}

func roundMicros(m int64, digits int32) int64 {
	if digits >= 6 || m == StampInfinity || m == StampNegInf {
		return m
	}
	unit := int64(pow10(int(6 - digits)))
	return floorDiv(m+unit/2, unit) * unit
}

func coerceString(d Datum, t T, explicit bool) (Datum, error) {
	s, n := d.Str(), int(t.Length())
	if len(s) <= n { // at most n characters, since none is shorter than a byte
		return fitString(t, s, n), nil
	}
	chars, cut := 0, len(s)
	for i := range s {
		if chars == n {
			cut = i
		}
		chars++
	}
	if chars > n {
		if !explicit && trimBlanks(s[cut:]) != "" {
			return Null, sqlerr.New(sqlerr.StringDataRightTruncation, "value too long for type %s", t)
		}
		return fitString(t, s[:cut], n), nil
	}
	return fitString(t, s, n), nil
}

// fitString pads char(n) with blanks to n characters.
func fitString(t T, s string, n int) Datum {
	if t.OID != OIDBPChar {
		return NewText(s)
	}
	if missing := n - utf8.RuneCountInString(s); missing > 0 {
		s += strings.Repeat(" ", missing)
	}
	return NewBPChar(s)
}
