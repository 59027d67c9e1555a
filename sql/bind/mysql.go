package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
)

// allColumns is a name that no column has. In a statement of MySQL's dialect (parser.Stmt.MySQL),
// SET "*" = EXCLUDED."*" assigns every column, and t."*" is t's primary key, which may be hidden; of a
// subquery that selects it, it is the same key.
const allColumns = "*"

// keyOf gives a table's primary key, as a row where it has several columns; nil if it is not that
// which is named.
func (b *binder) keyOf(t *tableRef, name string) Expr {
	if !b.mysql || name != allColumns {
		return nil
	}
	r := &Row{}
	add := func(c *scopeCol) {
		r.Elems = append(r.Elems, c.expr(-1))
		r.Names = append(r.Names, c.name)
	}
	if t.desc != nil && len(t.cols) == len(t.desc.Columns) {
		for _, k := range t.desc.Primary.Columns {
			add(t.cols[t.desc.ColumnOrdinal(k.ID)])
		}
	} else {
		for _, c := range t.cols {
			if c.name != allColumns {
				return nil
			}
			add(c)
		}
	}
	switch len(r.Elems) {
	case 0:
		return nil
	case 1:
		return r.Elems[0]
	}
	return r
}

// namesKey says that an item of SELECT is t."*".
func namesKey(n *pg.Node) bool {
	c := n.GetColumnRef()
	return c != nil && len(c.Fields) > 1 && c.Fields[len(c.Fields)-1].GetString_().GetSval() == allColumns
}

// replaceAll assigns every column that can be what EXCLUDED, the scope's last table, has.
func (b *binder) replaceAll(sc *scope, t *schema.Table, need *Need) []SetCol {
	excluded := sc.tables[len(sc.tables)-1]
	var out []SetCol
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Hidden || c.Generated || c.Identity == schema.IdentityAlways {
			continue
		}
		need.Columns[c.ID] = true
		out = append(out, SetCol{Ordinal: i, E: excluded.cols[i].expr(-1)})
	}
	return out
}

// orNext has NULL stand for an identity column's next number, as MySQL has it for AUTO_INCREMENT; a
// nil result is the default.
func (b *binder) orNext(c *schema.Column, e Expr) Expr {
	if !b.mysql || c.Identity == schema.IdentityNone || c.Sequence == 0 {
		return e
	}
	switch x := e.(type) {
	case *Const:
		if x.D.IsNull() {
			return nil
		}
	case *Param:
		// The value is known when the statement runs: a second evaluation costs nothing.
		t := b.defaultExpr(c)
		return &Coalesce{Args: []Expr{b.assign(x, t.Type(), c.Name, -1), t}, T: t.Type()}
	}
	return e
}
