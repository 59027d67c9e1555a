package types

import (
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func appendMac(dst []byte, b string) []byte {
	const digits = "0123456789abcdef"
	for i := 0; i < len(b); i++ {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, digits[b[i]>>4], digits[b[i]&15])
	}
	return dst
}

// macShapes are the ways to write six bytes: digits of one group, and what is between them. Only
// groups of single bytes may leave a leading zero out.
var macShapes = []struct {
	digits int
	sep    string
}{{2, ":"}, {2, "-"}, {6, ":"}, {6, "-"}, {4, "."}, {4, "-"}, {12, ""}}

func parseMac(s string) (Datum, error) {
	w := trimSpace(s)
	for _, shape := range macShapes {
		groups := []string{w}
		if shape.sep != "" {
			groups = strings.Split(w, shape.sep)
		}
		if b, ok, err := macOf(groups, shape.digits, s); ok || err != nil {
			return NewPacked(b), err
		}
	}
	return Null, badSyntax("macaddr", s)
}

func macOf(groups []string, digits int, all string) (b string, ok bool, err error) {
	if len(groups)*digits != 12 {
		return "", false, nil
	}
	for _, g := range groups {
		switch {
		case digits == 2 && len(g) > 2 && hexOnly(g):
			return "", false, sqlerr.New(sqlerr.NumericValueOutOfRange, "invalid octet value in \"macaddr\" value: \"%s\"", all)
		case digits == 2 && len(g) == 1:
			g = "0" + g
		}
		if len(g) != digits || !hexOnly(g) {
			return "", false, nil
		}
		b += unhex(g)
	}
	return b, true, nil
}

func hexOnly(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

func unhex(s string) string {
	b := make([]byte, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		n, _ := strconv.ParseUint(s[i:i+2], 16, 8)
		b = append(b, byte(n))
	}
	return string(b)
}

// parseMac8 reads six or eight bytes, with one kind of separator or none between any of them.
func parseMac8(s string) (Datum, error) {
	w, b, sep := trimSpace(s), "", byte(0)
	for w != "" {
		if len(w) < 2 || !hexOnly(w[:2]) || len(b) == 8 {
			return Null, badSyntax("macaddr8", s)
		}
		b, w = b+unhex(w[:2]), w[2:]
		if w == "" || w[0] != ':' && w[0] != '-' && w[0] != '.' {
			continue
		}
		if sep != 0 && sep != w[0] || len(w) == 1 {
			return Null, badSyntax("macaddr8", s)
		}
		sep, w = w[0], w[1:]
	}
	switch len(b) {
	case 6:
		return macToMac8(b), nil
	case 8:
		return NewPacked(b), nil
	}
	return Null, badSyntax("macaddr8", s)
}

func macToMac8(b string) Datum { return NewPacked(b[:3] + "\xff\xfe" + b[3:]) }

func mac8ToMac(b string) (Datum, error) {
	if b[3:5] != "\xff\xfe" {
		return Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "macaddr8 data out of range to convert to macaddr").
			WithHint("Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.")
	}
	return NewPacked(b[:3] + b[5:]), nil
}
