package builtins

import (
	"math/big"
	"net/netip"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func infoInet(key string) func(Session) datum {
	return func(s Session) datum {
		v, _ := s.Info(key)
		a, err := netip.ParseAddr(v)
		if err != nil { // a connection that has no address
			return types.Null
		}
		a = a.Unmap()
		return types.NewInet(types.InetValue{Addr: a, Bits: a.BitLen()})
	}
}

// inetFuncs compute with addresses and networks. What takes an inet takes a cidr too, by a cast.
func inetFuncs() []Overload {
	in, ci, tx, i4, bo := types.Inet, types.Cidr, types.Text, types.Int4, types.Bool
	of := func(f func(a types.InetValue) types.InetValue) Fn1 {
		return func(_ ectx, a datum) (datum, error) { return types.NewInet(f(a.Inet())), nil }
	}
	number := func(f func(a types.InetValue) int) Fn1 {
		return func(_ ectx, a datum) (datum, error) { return types.NewInt(int64(f(a.Inet()))), nil }
	}
	str := func(f func(a types.InetValue) string) Fn1 {
		return func(_ ectx, a datum) (datum, error) { return text(f(a.Inet())) }
	}
	test := func(op, doc string, f func(a, b types.InetValue) bool) Overload {
		return op2(op, in, in, bo, doc, func(_ ectx, a, b datum) (datum, error) { return types.NewBool(f(a.Inet(), b.Inet())), nil })
	}
	mask := func(a types.InetValue, hosts bool) []byte {
		b := make([]byte, a.Max()/8)
		for i := range a.Max() {
			if (i >= a.Bits) == hosts {
				b[i/8] |= 0x80 >> (i % 8)
			}
		}
		return b
	}
	whole := func(b []byte) types.InetValue {
		a, _ := netip.AddrFromSlice(b)
		return types.InetValue{Addr: a, Bits: a.BitLen()}
	}
	return append([]Overload{
		test("<<", "is contained in", func(a, b types.InetValue) bool { return b.Contains(a) && a.Bits > b.Bits }),
		test("<<=", "is contained in or equals", func(a, b types.InetValue) bool { return b.Contains(a) }),
		test(">>", "contains", func(a, b types.InetValue) bool { return a.Contains(b) && b.Bits > a.Bits }),
		test(">>=", "contains or equals", func(a, b types.InetValue) bool { return a.Contains(b) }),
		test("&&", "contains or is contained in", func(a, b types.InetValue) bool { return a.Contains(b) || b.Contains(a) }),
		f1("abbrev", in, tx, "the address, with the prefix if it is not the whole", func(_ ectx, a datum) (datum, error) {
			return text(types.Format(types.Inet, a, nil))
		}),
		f1("abbrev", ci, tx, "the network without the octets that its prefix leaves zero", str(types.InetValue.Abbrev)),
		f1("broadcast", in, in, "last address of the network", of(func(a types.InetValue) types.InetValue {
			return types.InetValue{Addr: bitwise(a, mask(a, true), func(x, y byte) byte { return x | y }), Bits: a.Bits}
		})),
		f1("family", in, i4, "4 or 6", number(func(a types.InetValue) int {
			if a.Addr.Is4() {
				return 4
			}
			return 6
		})),
		f1("host", in, tx, "the address alone", str(types.InetValue.Host)),
		f1("hostmask", in, in, "mask of the bits that the prefix leaves", of(func(a types.InetValue) types.InetValue { return whole(mask(a, true)) })),
		f1("netmask", in, in, "mask of the prefix's bits", of(func(a types.InetValue) types.InetValue { return whole(mask(a, false)) })),
		f1("masklen", in, i4, "length of the prefix", number(func(a types.InetValue) int { return a.Bits })),
		f1("network", in, ci, "the network of the address", of(types.InetValue.Network)),
		f1("cidr", in, ci, "the network of the address", of(types.InetValue.Network)),
		f1("text", in, tx, "address and prefix", str(types.InetValue.WithMask)),
		f2("set_masklen", in, i4, in, "with a prefix of another length", setMasklen(false)),
		f2("set_masklen", ci, i4, ci, "with a prefix of another length", setMasklen(true)),
		f2("inet_same_family", in, in, bo, "both are IPv4, or both IPv6", func(_ ectx, a, b datum) (datum, error) {
			return types.NewBool(a.Inet().Addr.Is4() == b.Inet().Addr.Is4()), nil
		}),
		f2("inet_merge", in, in, ci, "smallest network that has both", inetMerge),
	}, inetMath()...)
}

func setMasklen(cidr bool) Fn2 {
	return func(_ ectx, d, n datum) (datum, error) {
		a := d.Inet()
		a.Bits = int(n.Int())
		if n.Int() == -1 {
			a.Bits = a.Max()
		}
		if a.Bits < 0 || a.Bits > a.Max() {
			return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "invalid mask length: %d", n.Int())
		}
		if cidr {
			a = a.Network()
		}
		return types.NewInet(a), nil
	}
}

func inetMerge(_ ectx, x, y datum) (datum, error) {
	a, b := x.Inet(), y.Inet()
	if a.Addr.Is4() != b.Addr.Is4() {
		return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot merge addresses from different families")
	}
	for a.Bits = min(a.Bits, b.Bits); !a.Contains(types.InetValue{Addr: b.Addr, Bits: a.Bits}); {
		a.Bits--
	}
	return types.NewInet(a.Network()), nil
}

func bitwise(a types.InetValue, b []byte, op func(x, y byte) byte) netip.Addr {
	out := a.Addr.AsSlice()
	for i := range out {
		out[i] = op(out[i], b[i])
	}
	addr, _ := netip.AddrFromSlice(out)
	return addr
}

func inetMath() []Overload {
	in, i8 := types.Inet, types.Int8
	bits := func(op, verb, doc string, f func(x, y byte) byte) Overload {
		return op2(op, in, in, in, doc, func(_ ectx, x, y datum) (datum, error) {
			a, b := x.Inet(), y.Inet()
			if a.Addr.Is4() != b.Addr.Is4() {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot %s inet values of different sizes", verb)
			}
			return types.NewInet(types.InetValue{Addr: bitwise(a, b.Addr.AsSlice(), f), Bits: max(a.Bits, b.Bits)}), nil
		})
	}
	add := func(a, n datum, sign int64) (datum, error) {
		return inetAdd(a.Inet(), new(big.Int).Mul(big.NewInt(n.Int()), big.NewInt(sign)))
	}
	return []Overload{
		op1("~", in, in, "bitwise NOT", func(_ ectx, x datum) (datum, error) {
			a := x.Inet()
			return types.NewInet(types.InetValue{Addr: bitwise(a, a.Addr.AsSlice(), func(x, _ byte) byte { return ^x }), Bits: a.Bits}), nil
		}),
		bits("&", "AND", "bitwise AND", func(x, y byte) byte { return x & y }),
		bits("|", "OR", "bitwise OR", func(x, y byte) byte { return x | y }),
		op2("+", in, i8, in, "address so many further", func(_ ectx, a, n datum) (datum, error) { return add(a, n, 1) }),
		op2("+", i8, in, in, "address so many further", func(_ ectx, n, a datum) (datum, error) { return add(a, n, 1) }),
		op2("-", in, i8, in, "address so many back", func(_ ectx, a, n datum) (datum, error) { return add(a, n, -1) }),
		op2("-", in, in, i8, "distance of addresses", func(_ ectx, x, y datum) (datum, error) {
			a, b := x.Inet(), y.Inet()
			if a.Addr.Is4() != b.Addr.Is4() {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "cannot subtract inet values of different sizes")
			}
			n := new(big.Int).Sub(inetNumber(a), inetNumber(b))
			if !n.IsInt64() {
				return types.Null, errInetRange
			}
			return types.NewInt(n.Int64()), nil
		}),
	}
}

var errInetRange = sqlerr.New(sqlerr.NumericValueOutOfRange, "result is out of range")

func inetNumber(a types.InetValue) *big.Int { return new(big.Int).SetBytes(a.Addr.AsSlice()) }

func inetAdd(a types.InetValue, n *big.Int) (datum, error) {
	n.Add(n, inetNumber(a))
	if n.Sign() < 0 || n.BitLen() > a.Max() {
		return types.Null, errInetRange
	}
	addr, _ := netip.AddrFromSlice(n.FillBytes(make([]byte, a.Max()/8)))
	return types.NewInet(types.InetValue{Addr: addr, Bits: a.Bits}), nil
}

// macFuncs compute with hardware addresses.
func macFuncs() []Overload {
	var out []Overload
	for _, t := range []types.T{types.Macaddr, types.Macaddr8} {
		two := func(op, doc string, f func(x, y byte) byte) Overload {
			return op2(op, t, t, t, doc, func(_ ectx, a, b datum) (datum, error) {
				x := []byte(a.Packed())
				for i := range x {
					x[i] = f(x[i], b.Packed()[i])
				}
				return types.NewPacked(string(x)), nil
			})
		}
		out = append(out,
			two("&", "bitwise AND", func(x, y byte) byte { return x & y }),
			two("|", "bitwise OR", func(x, y byte) byte { return x | y }),
			op1("~", t, t, "bitwise NOT", func(_ ectx, a datum) (datum, error) {
				x := []byte(a.Packed())
				for i := range x {
					x[i] = ^x[i]
				}
				return types.NewPacked(string(x)), nil
			}),
			f1("trunc", t, t, "the manufacturer's part, the rest zero", func(_ ectx, a datum) (datum, error) {
				b := a.Packed()
				return types.NewPacked(b[:3] + string(make([]byte, len(b)-3))), nil
			}))
	}
	return append(out, f1("macaddr8_set7bit", types.Macaddr8, types.Macaddr8, "as the last half of an IPv6 address", func(_ ectx, a datum) (datum, error) {
		b := []byte(a.Packed())
		b[0] |= 2
		return types.NewPacked(string(b)), nil
	}))
}
