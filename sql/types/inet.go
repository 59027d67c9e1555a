package types

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// InetValue is an address with the length of its network's prefix: a value of inet and cidr. Addr is
// never an IPv4 address in IPv6 form by accident: ::ffff:1.2.3.4 stays IPv6.
type InetValue struct {
	Addr netip.Addr
	Bits int
}

// Postgres orders by family, then by the bits of the network that both have, then the shorter
// prefix first, then by the whole address. These bytes do the same:
//
//	family 4|6   network, host bits 0   prefix length   address, left out if it is the network
//
// If two networks agree in the bits of the shorter prefix, the shorter has zeros where the longer
// goes on, and so comes first, by its bytes or else by its length.

// NewInet makes an inet, or a cidr if no bit is set behind the prefix. A zero one makes NULL.
func NewInet(a InetValue) Datum {
	if !a.Addr.IsValid() {
		return Null
	}
	network := a.Network().Addr
	b := make([]byte, 0, 34)
	b = append(b, 6)
	if a.Addr.Is4() {
		b[0] = 4
	}
	b = append(append(b, network.AsSlice()...), byte(a.Bits))
	if network != a.Addr {
		b = append(b, a.Addr.AsSlice()...)
	}
	return NewPacked(string(b))
}

func validInet(b string) bool {
	if b == "" || b[0] != 4 && b[0] != 6 {
		return false
	}
	size := inetBytes(b[0])
	return (len(b) == 2+size || len(b) == 2+2*size) && int(b[1+size]) <= 8*size
}

func inetBytes(family byte) int {
	if family == 4 {
		return 4
	}
	return 16
}

func inetOf(b string) InetValue {
	size := inetBytes(b[0])
	addr := b[1 : 1+size]
	if len(b) > 2+size {
		addr = b[2+size:]
	}
	a, _ := netip.AddrFromSlice([]byte(addr))
	return InetValue{a, int(b[1+size])}
}

// Inet is the value of an inet or cidr.
func (d Datum) Inet() InetValue { return inetOf(d.Packed()) }

// Max is the longest prefix: 32 or 128.
func (a InetValue) Max() int { return a.Addr.BitLen() }

// Network is the address with all bits behind the prefix zero.
func (a InetValue) Network() InetValue {
	p, _ := a.Addr.Prefix(a.Bits)
	return InetValue{p.Addr(), a.Bits}
}

// Contains says whether b's network lies in a's, or is a's.
func (a InetValue) Contains(b InetValue) bool {
	if a.Addr.Is4() != b.Addr.Is4() || b.Bits < a.Bits {
		return false
	}
	return InetValue{b.Addr, a.Bits}.Network() == a.Network()
}

// Host is the address alone.
func (a InetValue) Host() string {
	if b := a.Addr.As16(); a.Addr.Is6() && strings.Trim(string(b[:12]), "\x00") == "" && b[12]|b[13] != 0 {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String() // "IPv4-compatible", which Go does not know
	}
	return a.Addr.String()
}

// WithMask is the address and the prefix, always.
func (a InetValue) WithMask() string { return a.Host() + "/" + strconv.Itoa(a.Bits) }

func (a InetValue) appendText(dst []byte, cidr bool) []byte {
	if !cidr && a.Bits == a.Max() {
		return append(dst, a.Host()...)
	}
	return append(dst, a.WithMask()...)
}

// parseInet reads 10.1.2.3/8, 10/8, ::1/64 and, for a cidr, also 10.1: what is missing is zero, and
// the prefix is then as long as the class of the address says, or as what was written.
func parseInet(s string, cidr bool) (InetValue, error) {
	typ := "inet"
	if cidr {
		typ = "cidr"
	}
	text, mask, masked := strings.Cut(s, "/")
	bits := -1
	if masked {
		n, err := strconv.ParseUint(mask, 10, 8)
		if err != nil || mask[0] == '+' || n > 128 {
			return InetValue{}, badSyntax(typ, s)
		}
		bits = int(n)
	}
	var a InetValue
	ok := false
	if strings.Contains(text, ":") {
		a, ok = parseInet6(text, bits)
	} else {
		a, ok = parseInet4(text, bits, cidr)
	}
	if !ok || a.Bits > a.Max() {
		return InetValue{}, badSyntax(typ, s)
	}
	if cidr && a.Network() != a {
		return InetValue{}, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid cidr value: \"%s\"", s).
			WithDetail("Value has bits set to right of mask.")
	}
	return a, nil
}

func parseInet6(text string, bits int) (InetValue, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return InetValue{}, false
	}
	if bits < 0 {
		bits = 128
	}
	return InetValue{addr, bits}, true
}

func parseInet4(text string, bits int, cidr bool) (InetValue, bool) {
	var b [4]byte
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return InetValue{}, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil || p[0] == '+' {
			return InetValue{}, false
		}
		b[i] = byte(n)
	}
	switch n := len(parts); {
	case bits < 0 && cidr:
		bits = classBits(b[0], n)
	case bits < 0 && n < 4, !cidr && n < 4 && bits/8 > n:
		return InetValue{}, false
	case bits < 0:
		bits = 32
	}
	return InetValue{netip.AddrFrom4(b), bits}, true
}

// classBits is the prefix of the address classes of old, if not more octets were written.
func classBits(first byte, octets int) int {
	bits := 8
	switch {
	case first >= 240:
		bits = 32
	case first >= 224:
		bits = 8
	case first >= 192:
		bits = 24
	case first >= 128:
		bits = 16
	}
	if bits < 8*octets {
		return 8 * octets
	}
	if first == 224 && bits == 8 {
		return 4
	}
	return bits
}

// Families on the wire: the AF_INET of most systems, and one more.
const (
	wireInet4 = 2
	wireInet6 = 3
)

func (a InetValue) appendBinary(dst []byte, cidr bool) []byte {
	family, isCidr := byte(wireInet6), byte(0)
	if a.Addr.Is4() {
		family = wireInet4
	}
	if cidr {
		isCidr = 1
	}
	return append(append(dst, family, byte(a.Bits), isCidr, byte(a.Max()/8)), a.Addr.AsSlice()...)
}

func parseBinaryInet(b []byte, t T) (InetValue, error) {
	bad := func(what string) (InetValue, error) {
		return InetValue{}, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "invalid %s in external \"%s\" value", what, t.TypeName())
	}
	switch {
	case len(b) < 4:
		return InetValue{}, badBinary(t)
	case b[0] != wireInet4 && b[0] != wireInet6:
		return bad("address family")
	}
	size := 4
	if b[0] == wireInet6 {
		size = 16
	}
	switch {
	case int(b[1]) > 8*size:
		return bad("bits")
	case int(b[3]) != size || len(b) != 4+size:
		return bad("length")
	}
	addr, _ := netip.AddrFromSlice(b[4:])
	a := InetValue{addr, int(b[1])}
	if t.OID == OIDCidr && a.Network() != a {
		return InetValue{}, sqlerr.New(sqlerr.InvalidBinaryRepresentation, "invalid external \"cidr\" value").
			WithDetail("Value has bits set to right of mask.")
	}
	return a, nil
}

// Abbrev is a cidr without the octets that are zero because of its prefix: 10.1/16.
func (a InetValue) Abbrev() string {
	b := a.Addr.AsSlice()
	if !a.Addr.Is4() {
		return abbrev6(b, a.Bits)
	}
	parts := []string{"0"}
	if n := (a.Bits + 7) / 8; n > 0 {
		parts = parts[:0]
		for _, o := range b[:n] {
			parts = append(parts, strconv.Itoa(int(o)))
		}
	}
	return strings.Join(parts, ".") + "/" + strconv.Itoa(a.Bits)
}

// abbrev6 writes the words that the prefix reaches, at least two, with the longest run of zeros as
// "::" and what comes last of an IPv4 address in dots.
func abbrev6(b []byte, bits int) string {
	suffix := "/" + strconv.Itoa(bits)
	if bits == 0 {
		return "::" + suffix
	}
	words := max((bits+15)/16, 2)
	word := func(i int) int { return int(b[2*i])<<8 | int(b[2*i+1]) }
	start, run := 0, 0
	for i := 0; i < words; {
		n := 0
		for i+n < words && word(i+n) == 0 {
			n++
		}
		if n > run {
			start, run = i, n
		}
		i += n + 1
	}
	v4 := run != words && start == 0 && (run == 6 || run == 5 && word(5) == 0xffff || run == 7 && b[14] != 0 && b[15] != 1)
	var out strings.Builder
	for p := 0; p < words; p++ {
		switch {
		case run > 0 && p >= start && p < start+run:
			if p == start {
				out.WriteByte(':')
			}
			if p == words-1 {
				out.WriteByte(':')
			}
		case v4 && p > 5:
			out.WriteByte(":."[p-6])
			out.WriteString(strconv.Itoa(int(b[2*p])))
			if p != 7 || bits > 120 {
				out.WriteString("." + strconv.Itoa(int(b[2*p+1])))
			}
		default:
			if out.Len() > 0 {
				out.WriteByte(':')
			}
			out.WriteString(strconv.FormatInt(int64(word(p)), 16))
		}
	}
	return out.String() + suffix
}
