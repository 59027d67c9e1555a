package types

// A packed value is a string of bytes that compares, byte by byte, as the type's values do. So
// comparing, hashing, keys and rows need not know what it means: only reading and writing text and
// the wire's format do, and whoever computes with it.
//
//	inet, cidr          inet.go
//	macaddr, macaddr8   the address
//	timetz              timetz.go
//	bit, bit varying    bits.go

// ValidPacked says whether bytes from a disk or a key can be a value of the type; the accessors rely
// on it.
func ValidPacked(t T, b string) bool {
	switch t.Plain().OID {
	case OIDInet, OIDCidr:
		return validInet(b)
	case OIDMacaddr:
		return len(b) == 6
	case OIDMacaddr8:
		return len(b) == 8
	case OIDTimeTZ:
		return len(b) == timeTZBytes
	case OIDBit, OIDVarbit:
		return validBits(b)
	}
	return false
}

// Packed are a packed value's bytes.
func (d Datum) Packed() string {
	d.must(KindPacked)
	return d.Str()
}

func parsePacked(t T, s string, env *Env) (Datum, error) {
	switch t.OID {
	case OIDInet, OIDCidr:
		a, err := parseInet(s, t.OID == OIDCidr)
		return NewInet(a), err
	case OIDMacaddr8:
		return parseMac8(s)
	case OIDTimeTZ:
		return parseTimeTZ(s, env)
	case OIDBit, OIDVarbit:
		return parseBits(t, s)
	}
	return parseMac(s)
}

func appendPacked(dst []byte, t T, b string) []byte {
	switch t.OID {
	case OIDInet, OIDCidr:
		return inetOf(b).appendText(dst, t.OID == OIDCidr)
	case OIDTimeTZ:
		return timeTZOf(b).appendText(dst)
	case OIDBit, OIDVarbit:
		return append(dst, b...)
	}
	return appendMac(dst, b)
}

func appendBinaryPacked(dst []byte, t T, b string) []byte {
	switch t.OID {
	case OIDInet, OIDCidr:
		return inetOf(b).appendBinary(dst, t.OID == OIDCidr)
	case OIDTimeTZ:
		return timeTZOf(b).appendBinary(dst)
	case OIDBit, OIDVarbit:
		return appendBinaryBits(dst, b)
	}
	return append(dst, b...)
}

func parseBinaryPacked(t T, b []byte) (Datum, error) {
	switch t.OID {
	case OIDInet, OIDCidr:
		a, err := parseBinaryInet(b, t)
		return NewInet(a), err
	case OIDTimeTZ:
		return parseBinaryTimeTZ(b)
	case OIDBit, OIDVarbit:
		return parseBinaryBits(b, t)
	case OIDMacaddr8:
		if len(b) == 6 {
			return macToMac8(string(b)), nil
		}
	}
	return NewPacked(string(b)), nil
}

func castPacked(d Datum, from, to T) (out Datum, ok bool, err error) {
	switch {
	case to.OID == OIDInet:
		return d, true, nil
	case to.OID == OIDCidr:
		a := d.Inet()
		return NewInet(a.Network()), true, nil
	case to.OID == OIDBit, to.OID == OIDVarbit:
		return d, true, nil
	case to.OID == OIDInt4, to.OID == OIDInt8:
		out, err = intOfBits(d.Packed(), to)
		return out, true, err
	case to.OID == OIDTime:
		return NewTime(d.TimeTZ().Micros), true, nil
	case to.OID == OIDMacaddr8:
		return macToMac8(d.Packed()), true, nil
	case to.OID == OIDMacaddr:
		out, err = mac8ToMac(d.Packed())
		return out, true, err
	case (from.OID == OIDInet || from.OID == OIDCidr) && (to.Kind() == KindText || to.Kind() == KindBPChar):
		return stringOf(to, d.Inet().WithMask()), true, nil
	}
	return Null, false, nil
}
