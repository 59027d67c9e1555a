package builtins

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Version is what version() prints: Postgres's number first, as drivers parse it.
const Version = "PostgreSQL 15.0 (Cairn)"

// session0 is a function without arguments that asks the session.
func session0(name string, ret types.T, doc string, f func(s Session) datum) Overload {
	return fn(name, nil, ret, doc, func(ec ectx, _ []datum) (datum, error) {
		if ec == nil || ec.Session == nil {
			return types.Null, sqlerr.Unsupported("function %s() here", name)
		}
		return f(ec.Session), nil
	}).stable()
}

func infoText(key string) func(Session) datum {
	return func(s Session) datum {
		if v, ok := s.Info(key); ok {
			return types.NewText(v)
		}
		return types.Null
	}
}

func infoInt(key string) func(Session) datum {
	return func(s Session) datum {
		v, ok := s.Info(key)
		n, err := strconv.ParseInt(v, 10, 64)
		if !ok || err != nil {
			return types.Null
		}
		return types.NewInt(n)
	}
}

// catalogFn asks the catalog; without one, or without an answer, it is NULL.
func catalogFn(name string, args []types.T, ret types.T, doc string, f func(ec ectx, c Catalog, a []datum) (datum, bool, error)) Overload {
	return fn(name, args, ret, doc, func(ec ectx, a []datum) (datum, error) {
		if ec == nil || ec.Catalog == nil {
			return types.Null, nil
		}
		d, ok, err := f(ec, ec.Catalog, a)
		if err != nil || !ok {
			return types.Null, err
		}
		return d, nil
	}).stable()
}

func systemFuncs() []Overload {
	tx, nm, i4, i8, bo, oid := types.Text, types.Name, types.Int4, types.Int8, types.Bool, types.Oid
	nameOf := func(f func(Session) string) func(Session) datum {
		return func(s Session) datum { return types.NewText(f(s)) }
	}
	out := []Overload{
		fn("version", nil, tx, "version of the server", func(ectx, []datum) (datum, error) { return text(Version) }).stable(),
		session0("current_user", nm, "name of the current user", nameOf(Session.User)), session0("user", nm, "name of the current user", nameOf(Session.User)),
		session0("current_role", nm, "name of the current user", nameOf(Session.User)), session0("session_user", nm, "name of the session's user", nameOf(Session.SessionUser)),
		session0("current_database", nm, "name of the database", nameOf(Session.Database)), session0("current_catalog", nm, "name of the database", nameOf(Session.Database)),
		session0("current_schema", nm, "first schema of the search path", func(s Session) datum {
			if p := s.SearchPath(); len(p) > 0 {
				return types.NewText(p[0])
			}
			return types.Null
		}),
		fn("current_schemas", []types.T{bo}, types.T{OID: 1003, Mod: -1}, "schemas of the search path", func(ec ectx, a []datum) (datum, error) {
			var out []datum
			if a[0].Bool() {
				out = append(out, types.NewText("pg_catalog"))
			}
			if ec != nil && ec.Session != nil {
				for _, p := range ec.Session.SearchPath() {
					if p != "pg_catalog" {
						out = append(out, types.NewText(p))
					}
				}
			}
			return types.NewArray(types.Name, out), nil
		}).stable(),
		session0("pg_backend_pid", i4, "number of the session", func(s Session) datum { return types.NewInt(int64(s.BackendPID())) }),
		session0("inet_server_addr", types.Inet, "address of the server", infoInet("server_addr")), session0("inet_client_addr", types.Inet, "address of the client", infoInet("client_addr")),
		session0("inet_server_port", i4, "port of the server", infoInt("server_port")), session0("inet_client_port", i4, "port of the client", infoInt("client_port")),
		session0("txid_current", i8, "number of the transaction", infoInt("txid")),
		fn("pg_is_in_recovery", nil, bo, "false: every node takes writes", func(ectx, []datum) (datum, error) { return types.NewBool(false), nil }).stable(),
		typeofFunc(),
		f1("pg_encoding_to_char", i4, nm, "name of an encoding", func(_ ectx, a datum) (datum, error) {
			if a.Int() == 6 {
				return text("UTF8")
			}
			return text("")
		}),
		fn("format_type", []types.T{oid, i4}, tx, "name of a type with its modifier", func(ec ectx, a []datum) (datum, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			t, ok := ec.env().TypeOf(a[0].OID())
			if !ok {
				return text("???")
			}
			if !a[1].IsNull() {
				t.Mod = int32(a[1].Int())
				if t == types.Bit { // without a length it is not what bit says in a declaration
					return text(`"bit"`)
				}
			}
			return text(ec.env().NameOf(t))
		}).lenient().stable(),
		f1("pg_size_pretty", i8, tx, "bytes for people", func(_ ectx, a datum) (datum, error) { return text(sizePretty(a.Int())) }),
		catalogFn("pg_get_userbyid", []types.T{oid}, nm, "name of a role", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			s, ok, err := c.UserName(ec.ctx(), a[0].OID())
			if !ok {
				s = fmt.Sprintf("unknown (OID=%d)", a[0].Int())
			}
			return types.NewText(s), true, err
		}),
		catalogFn("pg_get_viewdef", []types.T{oid, bo}, tx, "definition of a view", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			s, ok, err := c.ViewDef(ec.ctx(), a[0].OID())
			return types.NewText(s), ok, err
		}).defaults(1),
		catalogFn("pg_get_viewdef", []types.T{tx, bo}, tx, "definition of a view that is named", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			view, err := types.ParseText(types.RegClass, a[0].Str(), ec.env())
			if err != nil {
				return types.Null, false, err
			}
			s, ok, err := c.ViewDef(ec.ctx(), view.OID())
			return types.NewText(s), ok, err
		}).defaults(1),
		catalogFn("pg_get_indexdef", []types.T{oid, i4, bo}, tx, "definition of an index or one of its columns", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			col, pretty := 0, false
			if len(a) > 1 {
				col = int(a[1].Int())
			}
			if len(a) > 2 {
				pretty = a[2].Bool()
			}
			s, ok, err := c.IndexDef(ec.ctx(), a[0].OID(), col, pretty)
			return types.NewText(s), ok, err
		}).defaults(2),
		catalogFn("pg_get_constraintdef", []types.T{oid, bo}, tx, "definition of a constraint", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			s, ok, err := c.ConstraintDef(ec.ctx(), a[0].OID())
			return types.NewText(s), ok, err
		}).defaults(1),
		fn("pg_get_expr", []types.T{tx, oid, bo}, tx, "an expression's text, which is how catalogs keep it", func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Catalog == nil {
				return a[0], nil
			}
			return text(ec.Catalog.Expr(ec.ctx(), a[0].Str(), a[1].OID()))
		}).defaults(1).stable(),
		catalogFn("pg_get_serial_sequence", []types.T{tx, tx}, tx, "sequence owned by a column", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			rel, err := types.ParseText(types.RegClass, a[0].Str(), ec.env())
			if err != nil {
				return types.Null, false, err
			}
			s, ok, err := c.SerialSequence(ec.ctx(), rel.OID(), a[1].Str())
			return types.NewText(s), ok, err
		}),
		catalogFn("obj_description", []types.T{oid, nm}, tx, "comment on an object", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			catalog := ""
			if len(a) > 1 {
				catalog = a[1].Str()
			}
			s, ok, err := c.Comment(ec.ctx(), catalog, a[0].OID(), 0)
			return types.NewText(s), ok, err
		}).defaults(1),
		catalogFn("col_description", []types.T{oid, i4}, tx, "comment on a column", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			s, ok, err := c.Comment(ec.ctx(), "pg_class", a[0].OID(), int(a[1].Int()))
			return types.NewText(s), ok, err
		}),
		catalogFn("shobj_description", []types.T{oid, nm}, tx, "comment on a shared object", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			s, ok, err := c.Comment(ec.ctx(), a[1].Str(), a[0].OID(), 0)
			return types.NewText(s), ok, err
		}),
	}
	for _, n := range []string{"pg_table_is_visible", "pg_type_is_visible", "pg_function_is_visible", "pg_operator_is_visible",
		"pg_opclass_is_visible", "pg_opfamily_is_visible", "pg_collation_is_visible", "pg_conversion_is_visible",
		"pg_statistics_obj_is_visible", "pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible",
		"pg_ts_template_is_visible"} {
		out = append(out, f1(n, oid, bo, "found without a schema name", func(ec ectx, a datum) (datum, error) {
			if n != "pg_table_is_visible" || ec == nil || ec.Catalog == nil {
				return types.NewBool(true), nil
			}
			v, ok, err := ec.Catalog.RelationVisible(ec.ctx(), a.OID())
			if !ok {
				return types.Null, err
			}
			return types.NewBool(v), err
		}).stable())
	}
	for _, n := range []string{"pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"} {
		out = append(out, catalogFn(n, []types.T{types.RegClass}, i8, "size on disk in bytes", func(ec ectx, c Catalog, a []datum) (datum, bool, error) {
			size, ok, err := c.RelationSizeBytes(ec.ctx(), a[0].OID())
			return types.NewInt(size), ok, err
		}))
	}
	return append(append(out, settingFuncs()...), privilegeFuncs()...)
}

func typeofFunc() Overload {
	o := fn("pg_typeof", []types.T{types.Any}, types.RegType, "type of a value", nil).lenient().stable()
	o.Bind = func(args []types.T) Fn {
		return func(ectx, []datum) (datum, error) { return types.NewOID(args[0].OID), nil }
	}
	return o
}

func sizePretty(n int64) string {
	if n > -10240 && n < 10240 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	n /= 512 // one bit is kept for rounding
	for i, u := range units {
		if n > -2*10240+1 && n < 2*10240-1 || i == len(units)-1 {
			half := n + 1
			if n < 0 {
				half = n - 1
			}
			return strconv.FormatInt(half/2, 10) + " " + u
		}
		n >>= 10
	}
	return ""
}

func settingFuncs() []Overload {
	tx, bo := types.Text, types.Bool
	return []Overload{
		fn("current_setting", []types.T{tx, bo}, tx, "value of a setting", func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Session == nil {
				return types.Null, sqlerr.Unsupported("function current_setting() here")
			}
			v, ok := ec.Session.Setting(strings.ToLower(a[0].Str()))
			if !ok && (len(a) < 2 || !a[1].Bool()) {
				return types.Null, sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", a[0].Str())
			}
			if !ok {
				return types.Null, nil
			}
			return text(v)
		}).defaults(1).stable(),
		fn("set_config", []types.T{tx, tx, bo}, tx, "sets a setting", func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Session == nil {
				return types.Null, sqlerr.Unsupported("function set_config() here")
			}
			if a[0].IsNull() {
				return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "SET requires parameter name")
			}
			return types.NewText(a[1].Str()), ec.Session.SetSetting(a[0].Str(), a[1].Str(), a[2].Bool())
		}).lenient().volatile(),
	}
}
