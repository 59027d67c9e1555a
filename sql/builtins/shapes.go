package builtins

import (
	"math/big"
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// shapeFuncs tell and make the shape of arrays and numbers.
func shapeFuncs() []Overload {
	aa, ae, tx, i4, n := types.AnyArray, types.AnyElement, types.Text, types.Int4, types.Numeric
	fill := fn("array_fill", []types.T{ae, types.Int4Array, types.Int4Array}, aa, "array of so many equal elements", nil).defaults(1).lenient()
	fill.Bind = func(ts []types.T) Fn {
		elem := ts[0].Base()
		return func(_ ectx, a []datum) (datum, error) {
			if a[1].IsNull() || len(a) > 2 && a[2].IsNull() {
				return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "dimension array or low bound array cannot be null")
			}
			dims := a[1].Array().Elems
			switch {
			case len(dims) == 0:
				return types.NewArray(elem, nil), nil
			case len(dims) > 6:
				return types.Null, sqlerr.New(sqlerr.ProgramLimitExceeded, "number of dimensions (%d) exceeds the maximum allowed (6)", len(dims))
			case len(a) > 2 && len(a[2].Array().Elems) != len(dims):
				return types.Null, sqlerr.New(sqlerr.ArraySubscriptError, "wrong number of array subscripts").
					WithDetail("Low bound array has different size than dimensions array.")
			}
			shape, size := make([]types.ArrayDim, len(dims)), int64(1)
			for k, d := range dims {
				low := types.NewInt(1)
				if len(a) > 2 {
					low = a[2].Array().Elems[k]
				}
				if d.IsNull() || low.IsNull() {
					return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "dimension values cannot be null")
				}
				if size *= d.Int(); d.Int() < 0 || size > arrayFillMax {
					return types.Null, sqlerr.New(sqlerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", arrayFillMax)
				}
				shape[k] = types.ArrayDim{Len: int32(d.Int()), Lower: int32(low.Int())}
			}
			out := make([]datum, size)
			for i := range out {
				out[i] = a[0]
			}
			return types.NewShapedArray(elem, out, shape), nil
		}
	}
	return []Overload{fill,
		f1("array_dims", aa, tx, "bounds of the array, as text", func(_ ectx, a datum) (datum, error) {
			if len(a.Array().Elems) == 0 {
				return types.Null, nil
			}
			s := ""
			for _, d := range a.Array().Shape() {
				s += "[" + strconv.Itoa(int(d.Lower)) + ":" + strconv.Itoa(int(d.Upper())) + "]"
			}
			return text(s)
		}),
		f2("trim_array", aa, i4, aa, "without so many elements at the end", func(_ ectx, a, k datum) (datum, error) {
			first := types.ArrayDim{Lower: 1}
			if shape := a.Array().Shape(); len(shape) > 0 {
				first = shape[0]
			}
			if k.Int() < 0 || k.Int() > int64(first.Len) {
				return types.Null, sqlerr.New(sqlerr.ArraySubscriptError, "number of elements to trim must be between 0 and %d", first.Len)
			}
			return a.Array().Slice([]types.Subscript{{Lo: first.Lower, Hi: first.Upper() - int32(k.Int()), Slice: true}}), nil
		}),
		f1("factorial", types.Int8, n, "product of the whole numbers up to it", func(_ ectx, a datum) (datum, error) {
			switch {
			case a.Int() < 0:
				return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "factorial of a negative number is undefined")
			case a.Int() > 32177: // more digits than numeric holds
				return types.Null, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
			}
			d := new(apd.Decimal)
			d.Coeff.SetMathBigInt(new(big.Int).MulRange(1, max(a.Int(), 1)))
			return types.NewDecimal(d), nil
		}),
		f1("min_scale", n, i4, "digits behind the point that are needed", func(_ ectx, a datum) (datum, error) {
			d := a.Decimal()
			if d.Form != apd.Finite {
				return types.Null, nil
			}
			var r apd.Decimal
			r.Reduce(d)
			return types.NewInt(int64(max(-r.Exponent, 0))), nil
		}),
	}
}

// arrayFillMax bounds array_fill, as Postgres's limit on the memory of an array does.
const arrayFillMax = 1 << 24

// nameFuncs find objects by name and tell about the server; NULL is what is not there.
func nameFuncs() []Overload {
	tx := types.Text
	var out []Overload
	for _, r := range []struct {
		name string
		t    types.T
	}{{"to_regclass", types.RegClass}, {"to_regtype", types.RegType}, {"to_regnamespace", types.RegNamespace}} {
		out = append(out, f1(r.name, tx, r.t, "object of a name, or NULL", func(ec ectx, a datum) (datum, error) {
			if s := a.Str(); s != "" && s[0] >= '0' && s[0] <= '9' {
				return types.Null, nil
			}
			d, err := types.ParseText(r.t, a.Str(), ec.env())
			if sqlerr.HasCode(err, sqlerr.UndefinedTable) || sqlerr.HasCode(err, sqlerr.UndefinedObject) || sqlerr.HasCode(err, sqlerr.InvalidSchemaName) {
				return types.Null, nil
			}
			return d, err
		}).stable())
	}
	constant := func(name string, t types.T, d datum, doc string) Overload {
		return fn(name, nil, t, doc, func(ectx, []datum) (datum, error) { return d, nil }).stable()
	}
	return append(out,
		constant("pg_client_encoding", types.Name, types.NewText("UTF8"), "encoding of the session's texts"),
		constant("getdatabaseencoding", types.Name, types.NewText("UTF8"), "encoding of the database"),
		constant("pg_my_temp_schema", types.Oid, types.NewInt(0), "schema of the session's temporary tables, 0 for none"),
		constant("pg_jit_available", types.Bool, types.NewBool(false), "whether expressions can be compiled"),
		constant("pg_trigger_depth", types.Int4, types.NewInt(0), "how many triggers are running"),
		f1("pg_char_to_encoding", types.Name, types.Int4, "number of an encoding", func(_ ectx, a datum) (datum, error) {
			if a.Str() == "UTF8" || a.Str() == "utf8" {
				return types.NewInt(6), nil
			}
			return types.NewInt(-1), nil
		}),
		f1("pg_encoding_max_length", types.Int4, types.Int4, "most bytes of a character", func(_ ectx, a datum) (datum, error) {
			if a.Int() == 6 {
				return types.NewInt(4), nil
			}
			return types.Null, nil
		}),
		session0("txid_current_if_assigned", types.Int8, "number of the transaction, if it has one", infoInt("txid")),
	)
}
