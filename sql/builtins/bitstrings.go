package builtins

import (
	"strconv"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// bitFuncs are the operators and functions of bit strings. Bit 0 is the first.
func bitFuncs() []Overload {
	bt, vb, i4, i8 := types.Bit, types.Varbit, types.Int4, types.Int8
	one := map[bool]byte{true: '1', false: '0'}
	pair := func(op, verb, doc string, f func(x, y bool) bool) Overload {
		return op2(op, bt, bt, bt, doc, func(_ ectx, a, b datum) (datum, error) { return joinBits(a, b, verb, f) })
	}
	size := func(name, doc string, f func(n int) int) Overload {
		return f1(name, bt, i4, doc, func(_ ectx, a datum) (datum, error) { return types.NewInt(int64(f(len(a.Packed())))), nil })
	}
	shift := func(op, doc string, sign int64) Overload {
		return op2(op, bt, i4, bt, doc, func(_ ectx, a, n datum) (datum, error) { return shiftBits(a.Packed(), sign*n.Int()), nil })
	}
	and := func(x, y bool) bool { return x && y }
	or := func(x, y bool) bool { return x || y }
	xor := func(x, y bool) bool { return x != y }
	out := []Overload{
		pair("&", "AND", "bitwise AND", and), pair("|", "OR", "bitwise OR", or), pair("#", "XOR", "bitwise exclusive OR", xor),
		op1("~", bt, bt, "bitwise NOT", func(_ ectx, a datum) (datum, error) {
			b := []byte(a.Packed())
			for i := range b {
				b[i] ^= 1
			}
			return types.NewBits(string(b)), nil
		}),
		shift("<<", "shifted left", 1), shift(">>", "shifted right", -1),
		op2("||", vb, vb, vb, "concatenation", func(_ ectx, a, b datum) (datum, error) {
			if len(a.Packed())+len(b.Packed()) > types.BitsMax {
				return types.Null, sqlerr.New(sqlerr.ProgramLimitExceeded, "bit string length exceeds the maximum allowed (%d)", types.BitsMax)
			}
			return types.NewBits(a.Packed() + b.Packed()), nil
		}),
		size("length", "number of bits", func(n int) int { return n }), size("bit_length", "number of bits", func(n int) int { return n }),
		size("octet_length", "number of bytes that hold it", func(n int) int { return (n + 7) / 8 }),
		f1("bit_count", bt, i8, "number of bits that are set", func(_ ectx, a datum) (datum, error) {
			return types.NewInt(int64(types.OnesCount(a.Packed()))), nil
		}),
		f2("get_bit", bt, i4, i4, "a bit", func(_ ectx, a, n datum) (datum, error) {
			if err := bitIndex(a, n); err != nil {
				return types.Null, err
			}
			return types.NewInt(int64(a.Packed()[n.Int()] & 1)), nil
		}),
		fn("set_bit", []types.T{bt, i4, i4}, bt, "with a bit replaced", func(_ ectx, a []datum) (datum, error) {
			if err := bitIndex(a[0], a[1]); err != nil {
				return types.Null, err
			}
			if v := a[2].Int(); v != 0 && v != 1 {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "new bit must be 0 or 1")
			}
			b := []byte(a[0].Packed())
			b[a[1].Int()] = one[a[2].Int() == 1]
			return types.NewBits(string(b)), nil
		}),
		f2("position", bt, bt, i4, "place of a part", func(_ ectx, s, sub datum) (datum, error) {
			if s.Packed() == "" {
				return types.NewInt(0), nil
			}
			return types.NewInt(strpos(s.Packed(), sub.Packed())), nil
		}),
		fn("substring", []types.T{bt, i4, i4}, bt, "part of a bit string", func(_ ectx, a []datum) (datum, error) {
			from, to, err := bounds(a)
			n := int64(len(a[0].Packed()))
			if err != nil {
				return types.Null, err
			}
			return types.NewBits(a[0].Packed()[min(from, n):min(to, n)]), nil
		}).defaults(1),
		fn("overlay", []types.T{bt, bt, i4, i4}, bt, "with a part replaced", func(_ ectx, a []datum) (datum, error) {
			s, from, n := a[0].Packed(), a[2].Int(), int64(len(a[1].Packed()))
			if len(a) > 3 {
				n = a[3].Int()
			}
			if from <= 0 {
				return types.Null, errNegativeSubstring
			}
			at := func(i int64) int64 { return min(max(i, 0), int64(len(s))) }
			return types.NewBits(s[:at(from-1)] + a[1].Packed() + s[at(from-1+n):]), nil
		}).defaults(1),
	}
	for name, g := range map[string]struct {
		verb string
		f    func(x, y bool) bool
	}{"bit_and": {"AND", and}, "bit_or": {"OR", or}, "bit_xor": {"XOR", xor}} {
		out = append(out, agg(name, []types.T{bt}, bt, "bitwise, over all values", func([]types.T) Aggregator {
			return &bitStringAgg{verb: g.verb, f: g.f}
		}))
	}
	return out
}

func bitIndex(a, n datum) error {
	if size := len(a.Packed()); n.Int() < 0 || n.Int() >= int64(size) {
		return sqlerr.New(sqlerr.ArraySubscriptError, "bit index %s out of valid range (0..%s)", strconv.FormatInt(n.Int(), 10), strconv.Itoa(size-1))
	}
	return nil
}

func joinBits(a, b datum, verb string, f func(x, y bool) bool) (datum, error) {
	x, y := a.Packed(), b.Packed()
	if len(x) != len(y) {
		return types.Null, sqlerr.New(sqlerr.StringDataLengthMismatch, "cannot %s bit strings of different sizes", verb)
	}
	out := make([]byte, len(x))
	for i := range out {
		out[i] = '0'
		if f(x[i] == '1', y[i] == '1') {
			out[i] = '1'
		}
	}
	return types.NewBits(string(out)), nil
}

// shiftBits shifts to the left, by less than nothing to the right, and fills up with zeros.
func shiftBits(b string, n int64) datum {
	out := make([]byte, len(b))
	for i := range out {
		out[i] = '0'
		if from := int64(i) + n; from >= 0 && from < int64(len(b)) {
			out[i] = b[from]
		}
	}
	return types.NewBits(string(out))
}

type bitStringAgg struct {
	verb string
	f    func(x, y bool) bool
	v    datum
}

func (g *bitStringAgg) Add(_ ectx, a []datum) (err error) {
	if g.v.IsNull() {
		g.v = a[0]
		return nil
	}
	g.v, err = joinBits(g.v, a[0], g.verb, g.f)
	return err
}

func (g *bitStringAgg) Result(ectx) (datum, error) { return g.v, nil }
