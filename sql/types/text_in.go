package types

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// ParseText reads a value as Postgres's input function of the type does, modifier included.
func ParseText(t T, s string, env *Env) (Datum, error) {
	t = t.Plain()
	switch t.OID {
	case OIDInt4:
		return parseInt(s, math.MinInt32, math.MaxInt32, "integer")
	case OIDInt8:
		return parseInt(s, math.MinInt64, math.MaxInt64, "bigint")
	case OIDText, OIDUnknown, OIDVoid, OIDJSONPath:
		return parseString(s)
	}
	d, err := parseBase(t, s, env)
	if err != nil || t.Mod < 0 {
		return d, err
	}
	return Coerce(d, t, false)
}

func parseBase(t T, s string, env *Env) (Datum, error) {
	switch t.OID {
	case OIDInt2:
		return parseInt(s, math.MinInt16, math.MaxInt16, "smallint")
	case OIDOid, OIDXid:
		return parseOID(s)
	case OIDBool:
		return parseBool(s)
	case OIDFloat4:
		return parseFloat(s, 32, "real")
	case OIDFloat8:
		return parseFloat(s, 64, "double precision")
	case OIDNumeric:
		d, err := ParseDecimal(s)
		if err != nil {
			return Null, err
		}
		return NewDecimal(d), nil
	case OIDVarchar:
		return parseString(s)
	case OIDBPChar:
		return NewBPChar(s), checkUTF8(s)
	case OIDName:
		return NewText(cutName(s)), checkUTF8(s)
	case OIDChar:
		return NewText(s[:min(len(s), 1)]), nil
	case OIDBytea:
		return parseBytea(s)
	case OIDUUID:
		return parseUUID(s)
	}
	return parseRare(t, s, env)
}

func parseRare(t T, s string, env *Env) (Datum, error) {
	switch t.OID {
	case OIDDate:
		return parseDate(s, env)
	case OIDTime:
		return parseTime(s, env)
	case OIDTimestamp:
		return parseTimestamp(s, env)
	case OIDTimestampTZ:
		return parseTimestampTZ(s, env)
	case OIDInterval:
		v, err := ParseInterval(s)
		return NewInterval(v), err
	case OIDJSON:
		_, err := ParseJSON(s)
		return NewJSON(s), err
	case OIDJSONB:
		return ParseJSONB(s)
	case OIDInet, OIDCidr, OIDMacaddr, OIDMacaddr8, OIDTimeTZ, OIDBit, OIDVarbit:
		return parsePacked(t, s, env)
	case OIDRegClass, OIDRegType, OIDRegNamespace, OIDRegProc:
		return parseReg(t, s, env)
	}
	switch {
	case t.IsArray():
		return parseArray(t, s, env)
	case t.IsRange():
		return parseRange(t, s, env)
	case t.IsEnum():
		return parseEnum(t, s)
	case t.IsComposite():
		return parseRecord(t, s, env)
	}
	if t.OID == OIDRecord {
		return Null, sqlerr.New(sqlerr.FeatureNotSupported, "input of anonymous composite types is not implemented")
	}
	return Null, sqlerr.New(sqlerr.FeatureNotSupported, "cannot accept a value of type %s", t)
}

func badSyntax(typ, s string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type %s: \"%s\"", typ, s)
}

func trimSpace(s string) string { return strings.Trim(s, " \t\n\r\f\v") }

func parseInt(s string, lo, hi int64, typ string) (Datum, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && n >= lo && n <= hi {
		return NewInt(n), nil
	}
	n, err = strconv.ParseInt(trimSpace(s), 10, 64)
	if err == nil && n >= lo && n <= hi {
		return NewInt(n), nil
	}
	if err == nil || err.(*strconv.NumError).Err == strconv.ErrRange {
		return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value \"%s\" is out of range for type %s", s, typ)
	}
	return Null, badSyntax(typ, s)
}

func parseOID(s string) (Datum, error) {
	n, err := strconv.ParseInt(trimSpace(s), 10, 64)
	if err != nil {
		return Null, badSyntax("oid", s)
	}
	if n > math.MaxUint32 || n < math.MinInt32 {
		return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value \"%s\" is out of range for type oid", s)
	}
	return NewInt(int64(uint32(n))), nil
}

func parseBool(s string) (Datum, error) {
	w := strings.ToLower(trimSpace(s))
	switch w {
	case "1", "on", "t", "y":
		return NewBool(true), nil
	case "0", "off", "of", "f", "n":
		return NewBool(false), nil
	}
	if w != "" && (strings.HasPrefix("true", w) || strings.HasPrefix("yes", w)) {
		return NewBool(true), nil
	}
	if w != "" && (strings.HasPrefix("false", w) || strings.HasPrefix("no", w)) {
		return NewBool(false), nil
	}
	return Null, badSyntax("boolean", s)
}

func parseFloat(s string, bits int, typ string) (Datum, error) {
	w := trimSpace(s)
	if d := specialDecimal(w); d != nil {
		return NewFloat(decimalToFloat(d)), nil
	}
	if !floatSyntax(w) {
		return Null, badSyntax(typ, s)
	}
	f, err := strconv.ParseFloat(w, bits)
	if err != nil || f == 0 && strings.ContainsAny(mantissa(w), "123456789") {
		return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "\"%s\" is out of range for type %s", w, typ)
	}
	return NewFloat(f), nil
}

func mantissa(w string) string {
	m, _, _ := strings.Cut(strings.ToLower(w), "e")
	return m
}

func floatSyntax(w string) bool { return numberSyntax(w) }

func parseString(s string) (Datum, error) { return NewText(s), checkUTF8(s) }

func checkUTF8(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00")
		}
		if s[i] >= utf8.RuneSelf {
			return checkUTF8Slow(s)
		}
	}
	return nil
}

func checkUTF8Slow(s string) error {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || s[i] == 0 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire,
				"invalid byte sequence for encoding \"UTF8\": 0x%02x", s[i])
		}
		i += n
	}
	return nil
}

// nameBytesMax is NAMEDATALEN-1.
const nameBytesMax = 63

func cutName(s string) string {
	if len(s) <= nameBytesMax {
		return s
	}
	n := nameBytesMax
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func parseBytea(s string) (Datum, error) {
	if strings.HasPrefix(s, `\x`) {
		clean := strings.Map(dropSpace, s[2:])
		b, err := hex.DecodeString(clean)
		if err == nil {
			return NewBytes(string(b)), nil
		}
		for _, c := range clean {
			if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
				return Null, sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal digit: \"%c\"", c)
			}
		}
		return Null, sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal data: odd number of digits")
	}
	return parseByteaEscape(s)
}

func dropSpace(r rune) rune {
	if strings.ContainsRune(" \t\n\r", r) {
		return -1
	}
	return r
}

func parseByteaEscape(s string) (Datum, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\\' {
			out = append(out, '\\')
			i++
			continue
		}
		if i+4 > len(s) {
			return Null, badSyntax0("bytea")
		}
		n, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil {
			return Null, badSyntax0("bytea")
		}
		out = append(out, byte(n))
		i += 3
	}
	return NewBytes(string(out)), nil
}

func badSyntax0(typ string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type %s", typ)
}

func parseUUID(s string) (Datum, error) {
	w := s
	if len(w) >= 2 && w[0] == '{' && w[len(w)-1] == '}' {
		w = w[1 : len(w)-1]
	}
	var u [16]byte
	n := 0
	for i := 0; i < len(w); {
		if w[i] == '-' && n > 0 && n%2 == 0 && n < 16 && w[i-1] != '-' {
			i++
			continue
		}
		if n == 16 || i+2 > len(w) {
			return Null, badSyntax("uuid", s)
		}
		b, err := strconv.ParseUint(w[i:i+2], 16, 8)
		if err != nil {
			return Null, badSyntax("uuid", s)
		}
		u[n] = byte(b)
		n, i = n+1, i+2
	}
	if n != 16 {
		return Null, badSyntax("uuid", s)
	}
	return NewUUID(u), nil
}

func parseReg(t T, s string, env *Env) (Datum, error) {
	if s == "-" {
		return NewInt(0), nil
	}
	if s != "" && digitsAt(s, 0) == len(s) {
		return parseOID(s)
	}
	if t.OID == OIDRegType {
		if env != nil && env.Reg != nil {
			if typ, ok := env.Reg.TypeByName(s); ok {
				return NewOID(typ.OID), nil
			}
		}
		typ, err := ParseName(s)
		return NewOID(typ.OID), err
	}
	if env == nil || env.Reg == nil {
		return Null, sqlerr.Unsupported("looking up the name \"%s\" as %s", s, t)
	}
	oid, err := OID(0), error(nil)
	switch t.OID {
	case OIDRegNamespace:
		oid, err = env.Reg.NamespaceByName(s)
	case OIDRegProc:
		oid, err = env.Reg.FunctionByName(s)
	default:
		oid, err = env.Reg.RelationByName(s)
	}
	return NewOID(oid), err
}
