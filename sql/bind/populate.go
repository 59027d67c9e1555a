package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// populates says that a FROM item is json_populate_record or one of its kin.
func (b *binder) populates(n *pg.Node) bool {
	parts := stringList(n.GetFuncCall().GetFuncname())
	return len(parts) > 0 && builtins.JSONPopulate(parts[len(parts)-1], types.T{}) != nil
}

// populate binds json_populate_record(base, json) in FROM: the columns are those of base's type.
func (b *binder) populate(sc *scope, fs *FuncScan, t *tableRef, fc *pg.FuncCall) {
	name := b.funcName(fc)
	args := b.exprs(sc, fc.Args)
	if len(args) != 2 {
		_, err := builtins.ResolveFunc(name, exprTypes(args))
		b.check(fc.Location, err)
	}
	row := args[0].Type()
	if !row.IsComposite() {
		b.failf(fc.Location, sqlerr.DatatypeMismatch, "first argument of %s must be a row type", name)
	}
	o := builtins.JSONPopulate(name, row)
	f := b.tableFunc(builtins.Match{Overload: o, CastTo: o.Args, Ret: types.Record}, b.castArgs(builtins.Match{Overload: o, CastTo: o.Args}, args, fc.Location))
	fs.Funcs = append(fs.Funcs, f)
	if t.name == "" {
		t.name = name
	}
	names, ts := row.Fields()
	for i := range names {
		t.cols = append(t.cols, &scopeCol{name: names[i], id: f.Cols[i], t: ts[i], table: t})
	}
}
