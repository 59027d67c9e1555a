package builtins

import "github.com/cairndb/cairn/sql/types"

// expandArrayFuncs are information_schema._pg_expandarray of the arrays that system catalogs have: the
// elements with their numbers, as values with columns x and n. JDBC reads keys and indexes by it.
func expandArrayFuncs() []Overload {
	var out []Overload
	for _, elem := range []types.T{types.Int2, types.Int4, types.Oid, types.Name, types.Text} {
		arr, _ := elem.Array()
		args := []types.T{arr}
		switch elem {
		case types.Int2:
			args = append(args, types.T{OID: types.OIDInt2Vector, Mod: -1})
		case types.Oid:
			args = append(args, types.T{OID: types.OIDOidVector, Mod: -1})
		}
		names, ts := []string{"x", "n"}, []types.T{elem, types.Int4}
		ret := types.RecordOf(names, ts)
		for _, arg := range args {
			out = append(out, srf("information_schema._pg_expandarray", []types.T{arg}, ret, "elements of an array with their numbers",
				func(_ ectx, a []datum) (Rows, error) {
					var rows []datum
					for i, e := range a[0].Array().Elems {
						rows = append(rows, types.NewRecord(names, ts, []datum{e, types.NewInt(int64(i + 1))}))
					}
					return single(rows), nil
				}))
		}
	}
	return out
}
