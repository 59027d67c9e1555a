package builtins

import (
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func arrayFuncs() []Overload {
	aa, ae, tx, i4, bo := types.AnyArray, types.AnyElement, types.Text, types.Int4, types.Bool
	appendTo := func(_ ectx, a []datum) (datum, error) {
		if err := oneDimension(a[0], "argument must be empty or one-dimensional array"); err != nil {
			return types.Null, err
		}
		return joinElems(a[0], a[1:], nil, a[1]), nil
	}
	prepend := func(_ ectx, a []datum) (datum, error) {
		if err := oneDimension(a[1], "argument must be empty or one-dimensional array"); err != nil {
			return types.Null, err
		}
		return joinElems(a[1], nil, a[:1], a[0]), nil
	}
	cat := func(_ ectx, a []datum) (datum, error) {
		switch {
		case a[0].IsNull():
			return a[1], nil
		case a[1].IsNull():
			return a[0], nil
		}
		return a[0].Array().Concat(a[1].Array())
	}
	asOp := func(o Overload) Overload { o.Op, o.Name = true, "||"; return o }
	app := (fn("array_append", []types.T{aa, ae}, aa, "with an element at the end", appendTo).lenient())
	pre := (fn("array_prepend", []types.T{ae, aa}, aa, "with an element at the front", prepend).lenient())
	both := fn("array_cat", []types.T{aa, aa}, aa, "joined", cat).lenient()
	contains := func(a, b datum) bool {
		for _, e := range b.Array().Elems {
			if e.IsNull() || indexOf(a.Array().Elems, e) < 0 {
				return false
			}
		}
		return true
	}
	return []Overload{
		app, pre, both, asOp(both), asOp(app), asOp(pre),
		op2("@>", aa, aa, bo, "contains", func(_ ectx, a, b datum) (datum, error) { return types.NewBool(contains(a, b)), nil }),
		op2("<@", aa, aa, bo, "is contained in", func(_ ectx, a, b datum) (datum, error) { return types.NewBool(contains(b, a)), nil }),
		op2("&&", aa, aa, bo, "have an element in common", func(_ ectx, a, b datum) (datum, error) {
			for _, e := range b.Array().Elems {
				if !e.IsNull() && indexOf(a.Array().Elems, e) >= 0 {
					return types.NewBool(true), nil
				}
			}
			return types.NewBool(false), nil
		}),
		f1("cardinality", aa, i4, "number of elements", func(_ ectx, a datum) (datum, error) { return types.NewInt(int64(len(a.Array().Elems))), nil }),
		f2("array_length", aa, i4, i4, "length of a dimension", dimension(func(d types.ArrayDim) int32 { return d.Len })),
		f2("array_upper", aa, i4, i4, "upper bound of a dimension", dimension(types.ArrayDim.Upper)),
		f2("array_lower", aa, i4, i4, "lower bound of a dimension", dimension(func(d types.ArrayDim) int32 { return d.Lower })),
		f1("array_ndims", aa, i4, "number of dimensions", func(_ ectx, a datum) (datum, error) {
			if len(a.Array().Elems) == 0 {
				return types.Null, nil
			}
			return types.NewInt(int64(len(a.Array().Shape()))), nil
		}),
		(fn("array_position", []types.T{aa, ae}, i4, "place of an element", func(_ ectx, a []datum) (datum, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			if err := oneDimension(a[0], "searching for elements in multidimensional arrays is not supported"); err != nil {
				return types.Null, err
			}
			if i := indexOf(a[0].Array().Elems, a[1]); i >= 0 {
				return types.NewInt(int64(i) + int64(a[0].Array().Shape()[0].Lower)), nil
			}
			return types.Null, nil
		}).lenient()),
		(fn("array_remove", []types.T{aa, ae}, aa, "without an element", func(_ ectx, a []datum) (datum, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			if err := oneDimension(a[0], "removing elements from multidimensional arrays is not supported"); err != nil {
				return types.Null, err
			}
			var out []datum
			for _, e := range a[0].Array().Elems {
				if !types.Equal(e, a[1]) {
					out = append(out, e)
				}
			}
			return types.NewArray(a[0].Array().Elem, out), nil
		}).lenient()),
		(fn("array_positions", []types.T{aa, ae}, types.Int4Array, "places of an element", func(_ ectx, a []datum) (datum, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			var at []datum
			for i, e := range a[0].Array().Elems {
				if types.Equal(e, a[1]) {
					at = append(at, types.NewInt(int64(i)+1))
				}
			}
			return types.NewArray(types.Int4, at), nil
		}).lenient()),
		(fn("array_replace", []types.T{aa, ae, ae}, aa, "with an element replaced by another", func(_ ectx, a []datum) (datum, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			out := append([]datum(nil), a[0].Array().Elems...)
			for i, e := range out {
				if types.Equal(e, a[1]) {
					out[i] = a[2]
				}
			}
			return a[0].Array().WithElems(a[0].Array().Elem, out), nil
		}).lenient()),
		fn("string_to_array", []types.T{tx, tx, tx}, types.TextArray, "parts of a delimited text", func(_ ectx, a []datum) (datum, error) {
			return splitText(a), nil
		}).defaults(1).lenient(),
		arrayToString(),
	}
}

func indexOf(es []datum, d datum) int {
	for i, e := range es {
		if types.Equal(e, d) {
			return i
		}
	}
	return -1
}

func joinElems(arr datum, after, before []datum, sample datum) datum {
	var out []datum
	out = append(out, before...)
	elem := elemOf(sample)
	if !arr.IsNull() {
		elem = arr.Array().Elem
		out = append(out, arr.Array().Elems...)
	}
	return types.NewArray(elem, append(out, after...))
}

// elemOf guesses a type for an array made of one value; the column's type decides how it prints.
func elemOf(d datum) types.T {
	for _, t := range []types.T{types.Int8, types.Text, types.Bool, types.Float8, types.Numeric, types.Date, types.Timestamp, types.TimestampTZ, types.UUID, types.JSONB} {
		if t.Kind() == d.Kind() {
			return t
		}
	}
	return types.Text
}

// dimension tells something about the n-th dimension.
func dimension(of func(types.ArrayDim) int32) Fn2 {
	return func(_ ectx, a, n datum) (datum, error) {
		shape := a.Array().Shape()
		if n.Int() < 1 || n.Int() > int64(len(shape)) {
			return types.Null, nil
		}
		return types.NewInt(int64(of(shape[n.Int()-1]))), nil
	}
}

// oneDimension refuses arrays of more.
func oneDimension(a datum, message string) error {
	if a.IsNull() || len(a.Array().Shape()) <= 1 {
		return nil
	}
	code := sqlerr.FeatureNotSupported
	if message[0] == 'a' {
		code = sqlerr.DataException
	}
	return sqlerr.New(code, "%s", message)
}

func splitText(a []datum) datum {
	if a[0].IsNull() {
		return types.Null
	}
	s := a[0].Str()
	var parts []string
	switch {
	case s == "":
	case a[1].IsNull():
		parts = strings.Split(s, "")
	case a[1].Str() == "":
		parts = []string{s}
	default:
		parts = strings.Split(s, a[1].Str())
	}
	out := textArray(parts)
	for i, p := range parts {
		if len(a) > 2 && !a[2].IsNull() && p == a[2].Str() {
			out.Array().Elems[i] = types.Null
		}
	}
	return out
}

func arrayToString() Overload {
	o := fn("array_to_string", []types.T{types.AnyArray, types.Text, types.Text}, types.Text, "elements joined by a delimiter", nil).defaults(1).lenient().stable()
	o.Bind = func(args []types.T) Fn {
		elem, _ := args[0].Elem()
		return func(ec ectx, a []datum) (datum, error) {
			if a[0].IsNull() || a[1].IsNull() {
				return types.Null, nil
			}
			var parts []string
			for _, e := range a[0].Array().Elems {
				switch {
				case !e.IsNull():
					parts = append(parts, types.Format(elem, e, ec.env()))
				case len(a) > 2 && !a[2].IsNull():
					parts = append(parts, a[2].Str())
				}
			}
			return text(strings.Join(parts, a[1].Str()))
		}
	}
	return o
}
