package types

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
)

// AppendText writes a value as Postgres's output function of the type does. NULL writes nothing.
func AppendText(dst []byte, t T, d Datum, env *Env) []byte {
	t = t.Plain()
	switch d.k {
	case KindInt:
		return appendInt(dst, t, d, env)
	case KindText, KindBPChar, KindJSON, KindJSONB:
		return append(dst, d.Str()...)
	case KindBool:
		if d.n != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case KindFloat:
		return appendFloat(dst, d.Float(), t.OID == OIDFloat4, env)
	case KindDecimal:
		return appendDecimal(dst, d.Decimal())
	case KindTimestamp:
		return appendStamp(dst, d.n, nil)
	case KindTimestampTZ:
		return appendStamp(dst, d.n, env.loc())
	case KindDate:
		return appendDateDatum(dst, d.n)
	case KindTime:
		return appendTimeOfDay(dst, d.n)
	}
	return appendTextRare(dst, t, d, env)
}

func appendTextRare(dst []byte, t T, d Datum, env *Env) []byte {
	switch d.k {
	case KindBytes:
		return appendBytea(dst, d.Str(), env)
	case KindUUID:
		return appendUUID(dst, d.Str())
	case KindPacked:
		return appendPacked(dst, t, d.Str())
	case KindInterval:
		return appendInterval(dst, d.Interval())
	case KindArray:
		return appendArray(dst, t, d.Array(), env)
	case KindRecord:
		return appendRecord(dst, d.Record(), env)
	case KindRange:
		return appendRange(dst, t, d.Range(), env)
	case KindEnum:
		return append(dst, d.Label().Name...)
	}
	return dst
}

// Format is AppendText into a string.
func Format(t T, d Datum, env *Env) string {
	if d.isText() || d.k == KindJSONB || d.k == KindJSON {
		return d.Str()
	}
	return string(AppendText(nil, t, d, env))
}

func appendInt(dst []byte, t T, d Datum, env *Env) []byte {
	switch t.OID {
	case OIDRegClass, OIDRegType, OIDRegNamespace, OIDRegProc:
		return append(dst, regName(t, d.OID(), env)...)
	case OIDInt2Vector, OIDOidVector:
		return strconv.AppendInt(dst, d.n, 10)
	}
	return strconv.AppendInt(dst, d.n, 10)
}

func regName(t T, oid OID, env *Env) string {
	if oid == 0 {
		return "-"
	}
	name, ok := "", false
	switch {
	case t.OID == OIDRegType:
		typ, known := env.TypeOf(oid)
		name, ok = env.NameOf(typ), known
	case env == nil || env.Reg == nil:
	case t.OID == OIDRegClass:
		name, ok = env.Reg.RelationName(oid)
	case t.OID == OIDRegNamespace:
		name, ok = env.Reg.NamespaceName(oid)
	}
	if !ok {
		return strconv.FormatUint(uint64(oid), 10)
	}
	return name
}

// appendFloat writes the shortest digits that read back the same, with an exponent where Postgres
// uses one: below 1e-4, and from 1e15 (1e6 for real) on; or as many digits as extra_float_digits leaves.
func appendFloat(dst []byte, f float64, single bool, env *Env) []byte {
	switch {
	case f != f:
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	bits, limit, digits := 64, 1e15, 15
	if single {
		bits, limit, digits = 32, 1e6, 6
	}
	if env != nil && env.FloatDigits < 0 {
		return strconv.AppendFloat(dst, f, 'g', max(digits+env.FloatDigits+1, 1), bits)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= limit) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

func appendBytea(dst []byte, b string, env *Env) []byte {
	if env == nil || !env.ByteaEscape {
		return hex.AppendEncode(append(dst, `\x`...), []byte(b))
	}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\':
			dst = append(dst, `\\`...)
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func appendUUID(dst []byte, u string) []byte {
	for i := 0; i < len(u); i++ {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, "0123456789abcdef"[u[i]>>4], "0123456789abcdef"[u[i]&15])
	}
	return dst
}

func appendArray(dst []byte, t T, a *ArrayValue, env *Env) []byte {
	elem := a.Elem
	if e, ok := t.Elem(); ok {
		elem = e
	}
	open, sep, end := "{", byte(','), "}"
	if t.OID == OIDInt2Vector || t.OID == OIDOidVector {
		open, sep, end = "", ' ', ""
	}
	one := func(dst []byte, e Datum) []byte {
		if e.IsNull() {
			return append(dst, "NULL"...)
		}
		return appendArrayElem(dst, Format(elem, e, env))
	}
	if a.Dims != nil {
		return appendShaped(dst, a, one)
	}
	dst = append(dst, open...)
	for i, e := range a.Elems {
		if i > 0 {
			dst = append(dst, sep)
		}
		dst = one(dst, e)
	}
	return append(dst, end...)
}

// appendShaped writes an array that needs braces for each dimension, and bounds if any is not from 1.
func appendShaped(dst []byte, a *ArrayValue, one func([]byte, Datum) []byte) []byte {
	bounds := ""
	for _, d := range a.Dims {
		bounds += "[" + strconv.Itoa(int(d.Lower)) + ":" + strconv.Itoa(int(d.Upper())) + "]"
	}
	if slices.ContainsFunc(a.Dims, func(d ArrayDim) bool { return d.Lower != 1 }) {
		dst = append(dst, bounds+"="...)
	}
	at := 0
	var level func(k int)
	level = func(k int) {
		if k == len(a.Dims) {
			dst = one(dst, a.Elems[at])
			at++
			return
		}
		dst = append(dst, '{')
		for i := range a.Dims[k].Len {
			if i > 0 {
				dst = append(dst, ',')
			}
			level(k + 1)
		}
		dst = append(dst, '}')
	}
	level(0)
	return dst
}

func appendArrayElem(dst []byte, s string) []byte {
	if s != "" && !strings.EqualFold(s, "null") && !strings.ContainsAny(s, "{}\",\\ \t\n\r\v\f") {
		return append(dst, s...)
	}
	return appendQuoted(dst, s, `\"`, `\\`)
}

func appendQuoted(dst []byte, s, quote, backslash string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			dst = append(dst, quote...)
		case '\\':
			dst = append(dst, backslash...)
		default:
			dst = append(dst, s[i])
		}
	}
	return append(dst, '"')
}

func appendRecord(dst []byte, r *RecordValue, env *Env) []byte {
	dst = append(dst, '(')
	for i, v := range r.Vals {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.IsNull() {
			continue
		}
		s := Format(r.Types[i], v, env)
		if s == "" || strings.ContainsAny(s, "()\",\\ \t\n\r\v\f") {
			dst = appendQuoted(dst, s, `""`, `\\`)
		} else {
			dst = append(dst, s...)
		}
	}
	return append(dst, ')')
}
