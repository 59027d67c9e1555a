package builtins

import "github.com/cairndb/cairn/sql/types"

// privilegeFuncs are has_table_privilege and its relatives. Each comes in six forms: for the
// session's role or one by name or number, on an object by name or number.
func privilegeFuncs() []Overload {
	tx, oid, bo, i2 := types.Text, types.Oid, types.Bool, types.Int2
	ask := func(q PrivilegeQuestion) func(ec ectx, c Catalog) (datum, bool, error) {
		return func(ec ectx, c Catalog) (datum, bool, error) {
			has, ok, err := c.Privilege(ec.ctx(), q)
			return types.NewBool(has), ok, err
		}
	}
	var out []Overload
	add := func(name, kind, doc string, column []types.T) {
		for _, who := range []types.T{{}, types.Name, oid} {
			for _, what := range []types.T{tx, oid} {
				var args []types.T
				if who.OID != 0 {
					args = append(args, who)
				}
				args = append(args, what)
				args = append(args, column...)
				args = append(args, tx)
				out = append(out, catalogFn(name, args, bo, doc, func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
					q := PrivilegeQuestion{Kind: kind, Me: who.OID == 0, Privilege: a[len(a)-1].Str()}
					if !q.Me {
						if who.OID == types.OIDOid {
							q.RoleOID = a[0].OID()
						} else {
							q.Role = a[0].Str()
						}
						a = a[1:]
					}
					if what.OID == types.OIDOid {
						q.ObjectOID = a[0].OID()
					} else {
						q.Object = a[0].Str()
					}
					if len(column) > 0 && column[0].OID == types.OIDInt2 {
						q.ColumnNum = int(a[1].Int())
					} else if len(column) > 0 {
						q.Column = a[1].Str()
					}
					return ask(q)(ec, c)
				}))
			}
		}
	}
	for _, kind := range []string{"table", "schema", "database", "sequence", "type"} {
		add("has_"+kind+"_privilege", kind, "whether a role has a privilege on a "+kind, nil)
	}
	add("has_any_column_privilege", "any_column", "whether a role has a privilege on some column", nil)
	add("has_column_privilege", "column", "whether a role has a privilege on a column", []types.T{tx})
	add("has_column_privilege", "column", "whether a role has a privilege on a column", []types.T{i2})
	add("pg_has_role", "role", "whether a role is a member of another", nil)
	// What Cairn has no objects of, everyone may use, as in Postgres before a REVOKE.
	yes := func(ectx, []datum) (datum, error) { return types.NewBool(true), nil }
	for _, n := range []string{"function", "language", "tablespace", "foreign_data_wrapper", "server", "parameter"} {
		name := "has_" + n + "_privilege"
		for _, what := range []types.T{tx, oid} {
			out = append(out, fn(name, []types.T{what, tx}, bo, "true: none can be taken away", yes).stable())
			for _, who := range []types.T{types.Name, oid} {
				out = append(out, fn(name, []types.T{who, what, tx}, bo, "true: none can be taken away", yes).stable())
			}
		}
	}
	return out
}
