package bind

import (
	"cmp"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// facade is a view that is written through (rewriteHandler.c, "automatically updatable"): its rows are
// rows of one table, and its columns columns of that.
//
//	INSERT INTO v, UPDATE v, DELETE FROM v
//	   │ names, privileges              │ rows, defaults, constraints
//	   ▼                                ▼
//	names: the table's columns as     table, with the view's rights ─▶ policies of its owner
//	  the view calls them; those        │
//	  that it has not have no name      └─ rows that fulfil the conditions of all views between
//
// A row that is written must fulfil the conditions for which a CHECK OPTION asks, last of all.
type facade struct {
	view  *schema.View
	table *schema.Table
	names *schema.Table
	// order are the ordinals of the table's columns in the view's order.
	order []int
	// below is the view that the view reads, nil if that is the table; from is how it names it.
	below *facade
	from  *pg.RangeVar
	where *pg.Node
	query string
}

// NotUpdatable says why Postgres would not write through a view with this query, "" if it would.
func NotUpdatable(s *pg.SelectStmt) string {
	returns := func(is func(*pg.FuncCall) bool) bool {
		found := false
		for _, n := range s.TargetList {
			parser.Walk(n, func(m proto.Message) {
				if fc, ok := m.(*pg.FuncCall); ok && is(fc) {
					found = true
				}
			})
		}
		return found
	}
	name := func(fc *pg.FuncCall) string { return fc.Funcname[len(fc.Funcname)-1].GetString_().GetSval() }
	switch {
	case len(s.DistinctClause) > 0:
		return "Views containing DISTINCT are not automatically updatable."
	case len(s.GroupClause) > 0:
		return "Views containing GROUP BY are not automatically updatable."
	case s.HavingClause != nil:
		return "Views containing HAVING are not automatically updatable."
	case s.Op != pg.SetOperation_SETOP_NONE:
		return "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable."
	case s.WithClause != nil:
		return "Views containing WITH are not automatically updatable."
	case s.LimitCount != nil || s.LimitOffset != nil:
		return "Views containing LIMIT or OFFSET are not automatically updatable."
	case returns(func(fc *pg.FuncCall) bool { return fc.Over == nil && builtins.IsAggregate(name(fc)) }):
		return "Views that return aggregate functions are not automatically updatable."
	case returns(func(fc *pg.FuncCall) bool { return fc.Over != nil }):
		return "Views that return window functions are not automatically updatable."
	case returns(func(fc *pg.FuncCall) bool { return returnsSet(name(fc)) }):
		return "Views that return set-returning functions are not automatically updatable."
	case len(s.FromClause) != 1 || s.FromClause[0].GetRangeVar() == nil:
		return "Views that do not select from a single table or view are not automatically updatable."
	}
	return ""
}

func returnsSet(name string) bool {
	return slices.ContainsFunc(builtins.Lookup(name), func(o *builtins.Overload) bool { return o.Class == builtins.SetReturning })
}

// writeHints are what Postgres says of how else a view could be written to.
var writeHints = map[string]string{
	"insert into": "To enable inserting into the view, provide an INSTEAD OF INSERT trigger or an unconditional ON INSERT DO INSTEAD rule.",
	"update":      "To enable updating the view, provide an INSTEAD OF UPDATE trigger or an unconditional ON UPDATE DO INSTEAD rule.",
	"delete from": "To enable deleting from the view, provide an INSTEAD OF DELETE trigger or an unconditional ON DELETE DO INSTEAD rule.",
}

// writePrivileges are what each asks for.
var writePrivileges = map[string]schema.Privileges{"insert into": schema.PrivInsert, "update": schema.PrivUpdate, "delete from": schema.PrivDelete}

// throughView resolves a view that a statement changes.
func (b *binder) throughView(v *schema.View, verb string) *facade {
	defer b.enter()()
	stmts, err := parser.Parse(v.Query)
	b.check(-1, err)
	s := stmts[0].Tree.GetSelectStmt()
	refuse := func(why string) {
		b.at(-1, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cannot %s view \"%s\"", verb, v.Name).
			WithDetail("%s", why).WithHint("%s", writeHints[verb]))
	}
	if why := NotUpdatable(s); why != "" {
		refuse(why)
	}
	f := &facade{view: v, from: s.FromClause[0].GetRangeVar(), where: s.WhereClause, query: v.Query}
	var columns *tableRef
	b.inWorldOf(f, func() {
		obj, vt := b.relation(f.from)
		switch o := obj.(type) {
		case *schema.Table:
			if o.Matview != nil {
				refuse("Views that do not select from a single table or view are not automatically updatable.")
			}
			f.table, columns = o, b.tableRef(o, f.from.Relname, f.from.Schemaname, 0)
		case *schema.View:
			f.below = b.throughView(o, verb)
			f.table, columns = f.below.table, b.tableRef(f.below.names, f.from.Relname, f.from.Schemaname, 0)
		default:
			if vt == nil {
				b.missingRelation(f.from)
			}
			refuse("Views that do not select from a single table or view are not automatically updatable.")
		}
		b.needBelow(f, schema.PrivSelect)
		b.needBelow(f, writePrivileges[verb])
		if f.from.Alias != nil {
			b.renameCols(columns, stringList(f.from.Alias.Colnames))
		}
	})
	b.nameColumns(f, s, columns, refuse)
	if b.facades == nil {
		b.facades = map[*schema.Table]*facade{}
	}
	b.facades[f.names] = f
	return f
}

// nameColumns makes the table of names.
func (b *binder) nameColumns(f *facade, s *pg.SelectStmt, columns *tableRef, refuse func(string)) {
	f.names = f.table.Clone()
	f.names.Header = f.view.Header
	for i := range f.names.Columns {
		c := &f.names.Columns[i]
		c.Name, c.Hidden = "", true
	}
	computed := ""
	for i, n := range s.TargetList {
		ref := n.GetResTarget().GetVal().GetColumnRef()
		var col *scopeCol
		if ref != nil {
			names := stringList(ref.Fields)
			col = columns.col(names[len(names)-1])
		}
		if col == nil || col.hidden {
			computed = cmp.Or(computed, f.view.Columns[i].Name)
			continue
		}
		ord := int(col.id)
		if slices.Contains(f.order, ord) {
			b.unsupported(-1, "writing to view \"%s\", which has a column twice,", f.view.Name)
		}
		f.order = append(f.order, ord)
		of, c := &f.view.Columns[i], &f.names.Columns[ord]
		c.Name, c.Hidden, c.ID, c.ACL = of.Name, false, of.ID, of.ACL
	}
	switch {
	case len(f.order) == 0:
		refuse("Views that have no updatable columns are not automatically updatable.")
	case computed != "":
		fail(sqlerr.Unsupported("writing to view \"%s\", whose column \"%s\" is computed,", f.view.Name, computed).
			WithHint("Write to the table that it reads."))
	case b.mysql:
		b.unsupported(-1, "writing to a view in this dialect")
	}
}

// inWorldOf binds what a view's query says, as view does.
func (b *binder) inWorldOf(f *facade, bind func()) {
	path, query, owner, fn := b.env.SearchPath, b.query, b.asOwner, b.fn
	b.asOwner, b.fn, b.query = f.view.Owner, nil, f.query
	if len(f.view.SearchPath) > 0 {
		b.env.SearchPath = f.view.SearchPath
	}
	b.inView++
	bind()
	b.inView--
	b.env.SearchPath, b.query, b.asOwner, b.fn = path, query, owner, fn
}

// needBelow: the view's owner must be allowed what its user does.
func (b *binder) needBelow(f *facade, p schema.Privileges) {
	if f.below != nil {
		b.need(f.below.view, p)
		return
	}
	b.need(f.table, p)
}

// condition binds that of a view over the table's row at base; nil for none.
func (b *binder) condition(f *facade, base ColID) (e Expr) {
	if f.where == nil {
		return nil
	}
	b.inWorldOf(f, func() {
		of := f.table
		if f.below != nil {
			of = f.below.names
		}
		sc := &scope{b: b, clause: "WHERE"}
		b.add(sc, b.tableRef(of, f.from.Relname, f.from.Schemaname, base), f.from.Alias)
		e = b.where(sc, f.where, "WHERE")
	})
	return e
}

// rowsOf keeps the rows of a view among those of the table.
func (b *binder) rowsOf(f *facade, in Rel, base ColID) Rel {
	for ; f != nil; f = f.below {
		if e := b.condition(f, base); e != nil {
			in = &Filter{In: in, Pred: e}
		}
	}
	return in
}

// viewChecks are the conditions that the row at base must fulfil to be one of the view's, the innermost first.
func (b *binder) viewChecks(f *facade, base ColID) (out []CheckExpr) {
	cascaded := false
	for ; f != nil; f = f.below {
		if cascaded || f.view.CheckOption != schema.NoCheckOption {
			if e := b.condition(f, base); e != nil {
				out = append(out, CheckExpr{Name: f.view.Name, View: true, E: &BoolTest{E: e, Want: types.NewBool(true)}})
			}
		}
		cascaded = cascaded || f.view.CheckOption == schema.CascadedCheckOption
	}
	slices.Reverse(out)
	return out
}

// owner is whose rights on the table count, "" for the user's.
func (f *facade) owner() string {
	if f == nil {
		return ""
	}
	for f.below != nil {
		f = f.below
	}
	return f.view.Owner
}

// place is where a column of the names stands in the view, behind all of it if it is not there.
func (f *facade) place(c *scopeCol) int {
	if c.hidden {
		return len(f.order)
	}
	return int(c.att)
}
