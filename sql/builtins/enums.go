package builtins

import "github.com/cairndb/cairn/sql/types"

// enumFuncs tell about an enum's values. The argument gives the type and may be NULL.
func enumFuncs() []Overload {
	e, ea := types.AnyEnum, types.AnyArray
	of := func(name string, n int, ret types.T, doc string, f func(t types.T, a []datum) datum) Overload {
		o := fn(name, []types.T{e, e}[:n], ret, doc, nil).lenient().stable()
		o.Bind = func(args []types.T) Fn {
			t := args[0].Plain()
			return func(_ ectx, a []datum) (datum, error) { return f(t, a), nil }
		}
		return o
	}
	at := func(t types.T, i int) datum {
		if !t.IsEnum() || len(t.User.Labels) == 0 {
			return types.Null
		}
		return types.NewEnum(&t.User.Labels[i])
	}
	between := func(t types.T, a []datum) datum {
		var out []datum
		for i := range t.User.Labels {
			d := types.NewEnum(&t.User.Labels[i])
			low := len(a) > 1 && !a[0].IsNull() && types.Compare(d, a[0]) < 0
			high := len(a) > 1 && !a[1].IsNull() && types.Compare(d, a[1]) > 0
			if !low && !high {
				out = append(out, d)
			}
		}
		return types.NewArray(t, out)
	}
	return []Overload{
		of("enum_first", 1, e, "first value of the argument's enum type", func(t types.T, _ []datum) datum { return at(t, 0) }),
		of("enum_last", 1, e, "last value of the argument's enum type", func(t types.T, _ []datum) datum { return at(t, len(t.User.Labels)-1) }),
		of("enum_range", 1, ea, "all values of the argument's enum type, in order", between),
		of("enum_range", 2, ea, "the values between two of an enum type; NULL is its first or last", between),
	}
}
