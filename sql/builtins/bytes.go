package builtins

import (
	"crypto/sha256"
	"crypto/sha512"
	"math/bits"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// byteFuncs look into and change byteas. Bit 0 is the lowest of the first byte.
func byteFuncs() []Overload {
	by, i4, i8 := types.Bytea, types.Int4, types.Int8
	index := func(d datum, n, size int64) error {
		if n < 0 || n >= size {
			return sqlerr.New(sqlerr.ArraySubscriptError, "index %d out of valid range, 0..%d", n, size-1)
		}
		return nil
	}
	bitSize := func(d datum) int64 { return 8 * int64(len(d.Str())) }
	return []Overload{
		f2("get_byte", by, i4, i4, "a byte as a number", func(_ ectx, a, n datum) (datum, error) {
			if err := index(a, n.Int(), int64(len(a.Str()))); err != nil {
				return types.Null, err
			}
			return types.NewInt(int64(a.Str()[n.Int()])), nil
		}),
		fn("set_byte", []types.T{by, i4, i4}, by, "with a byte replaced", func(_ ectx, a []datum) (datum, error) {
			if err := index(a[0], a[1].Int(), int64(len(a[0].Str()))); err != nil {
				return types.Null, err
			}
			b := []byte(a[0].Str())
			b[a[1].Int()] = byte(a[2].Int())
			return types.NewBytes(string(b)), nil
		}),
		f2("get_bit", by, i8, i4, "a bit", func(_ ectx, a, n datum) (datum, error) {
			if err := index(a, n.Int(), bitSize(a)); err != nil {
				return types.Null, err
			}
			return types.NewInt(int64(a.Str()[n.Int()/8] >> (n.Int() % 8) & 1)), nil
		}),
		fn("set_bit", []types.T{by, i8, i4}, by, "with a bit replaced", func(_ ectx, a []datum) (datum, error) {
			n := a[1].Int()
			if err := index(a[0], n, bitSize(a[0])); err != nil {
				return types.Null, err
			}
			if v := a[2].Int(); v != 0 && v != 1 {
				return types.Null, sqlerr.New(sqlerr.InvalidParameterValue, "new bit must be 0 or 1")
			}
			b := []byte(a[0].Str())
			b[n/8] = b[n/8]&^(1<<(n%8)) | byte(a[2].Int())<<(n%8)
			return types.NewBytes(string(b)), nil
		}),
		f1("bit_count", by, i8, "number of bits that are set", func(_ ectx, a datum) (datum, error) {
			n := 0
			for i := 0; i < len(a.Str()); i++ {
				n += bits.OnesCount8(a.Str()[i])
			}
			return types.NewInt(int64(n)), nil
		}),
		f1("sha224", by, by, "SHA-224", func(_ ectx, a datum) (datum, error) {
			s := sha256.Sum224([]byte(a.Str()))
			return types.NewBytes(string(s[:])), nil
		}),
		f1("sha384", by, by, "SHA-384", func(_ ectx, a datum) (datum, error) {
			s := sha512.Sum384([]byte(a.Str()))
			return types.NewBytes(string(s[:])), nil
		}),
	}
}
