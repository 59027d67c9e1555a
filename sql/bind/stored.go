package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// StoredUse is what an expression is for that is kept with a table and computed from one row.
type StoredUse uint8

// Uses of stored expressions.
const (
	UseGenerated StoredUse = iota
	UseIndex
	UsePredicate
)

var storedUses = [...]struct{ clause, one, mutable string }{
	UseGenerated: {"column generation expressions", "column generation expression", "generation expression is not immutable"},
	UseIndex:     {"index expressions", "index expression", "functions in index expression must be marked IMMUTABLE"},
	UsePredicate: {"index predicates", "index predicate", "functions in index predicate must be marked IMMUTABLE"},
}

// BindStored resolves an expression that is to be kept with a table; column ordinal i is register i.
// It must give the same value for the same row at any time and in any session. column, if not nil,
// is what a generated column's value is assigned to.
func BindStored(env Env, n *pg.Node, query string, t *schema.Table, use StoredUse, column *schema.Column) (e Expr, err error) {
	b := &binder{env: env, query: query, tables: map[schema.DescID]*schema.Table{}, stored: true}
	defer catch(&err)
	sc := b.storedScope(t, b.newCols(len(t.Columns)), use)
	e = b.expr(sc, n)
	switch {
	case use == UsePredicate:
		e = b.boolean(e, "WHERE", b.pos(n))
	case column != nil:
		to := tablekv.TypeOf(column.Type)
		from := e.Type()
		if from.OID != types.OIDUnknown && from != to && types.CanCast(from, to.Plain()) < types.CastAssignment {
			b.at(-1, sqlerr.New(sqlerr.DatatypeMismatch, "column \"%s\" is of type %s but default expression is of type %s",
				column.Name, to.Base(), from.Base()).WithHint("You will need to rewrite or cast the expression."))
		}
		e = b.assign(e, to, column.Name, -1)
	}
	e = b.defaultUnknown(e)
	if use == UseGenerated {
		b.noGenerated(t, e)
	}
	if mutable(e) {
		b.failf(-1, sqlerr.InvalidObjectDefinition, "%s", storedUses[use].mutable)
	}
	return e, nil
}

func (b *binder) noGenerated(t *schema.Table, e Expr) {
	WalkExpr(e, func(Rel) {}, func(x Expr) {
		if c, ok := x.(*Col); ok && t.Columns[c.ID].Generated {
			b.at(c.Pos, sqlerr.New(sqlerr.InvalidObjectDefinition, "cannot use generated column \"%s\" in column generation expression",
				t.Columns[c.ID].Name).WithDetail("A generated column cannot reference another generated column."))
		}
	})
}

func (b *binder) storedScope(t *schema.Table, base ColID, use StoredUse) *scope {
	u := storedUses[use]
	sc := &scope{b: b, clause: u.clause, noAgg: true, noSub: u.one}
	sc.addTable(b.tableRef(t, t.Name, "", base))
	return sc
}

// storedExpr binds a column's generation expression over the row at base.
func (b *binder) storedExpr(t *schema.Table, ordinal int, base ColID) Expr {
	c := &t.Columns[ordinal]
	switch {
	case c.Replaces != 0:
		return &Attempt{E: b.replacing(t, c, base)}
	case t.Rewriting != nil && c.ID == t.Rewriting.Unfit:
		return b.unfit(t, base)
	}
	sc := b.storedScope(t, base, UseIndex)
	return b.assign(b.textExpr(sc, c.Default), tablekv.TypeOf(c.Type), c.Name, -1)
}

// generated are the generated columns of the row at base: all, or only those that are not stored.
func (b *binder) generated(t *schema.Table, base ColID, virtualOnly bool) []Item {
	var out []Item
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Virtual || c.Generated && !virtualOnly {
			out = append(out, Item{ID: base + ColID(i), E: b.storedExpr(t, i, base)})
		}
	}
	return out
}

// refuseGenerated refuses a value for a generated column.
func (b *binder) refuseGenerated(c *schema.Column, format string) {
	if c.Generated {
		b.at(-1, sqlerr.New(sqlerr.GeneratedAlways, format, c.Name).WithDetail("Column \"%s\" is a generated column.", c.Name))
	}
}

// mutable says that an expression may give another value for the same operands at another time or
// in another session.
func mutable(e Expr) bool {
	found := false
	WalkExpr(e, func(Rel) { found = true }, func(x Expr) {
		switch x := x.(type) {
		case *Call:
			found = found || x.M.Vol != builtins.Immutable
		case *Cast:
			found = found || !x.Relabel && mutableCast(x.E.Type(), x.To)
		}
	})
	return found
}

// mutableCast says that a cast depends on a setting, such as the time zone or the style of dates.
func mutableCast(from, to types.T) bool {
	text := func(t types.T) bool { return t.Kind() == types.KindText }
	zoned := func(t types.T) bool { return t.OID == types.OIDTimestampTZ }
	dated := func(t types.T) bool {
		return zoned(t) || t.OID == types.OIDTimeTZ || t.OID == types.OIDDate || t.OID == types.OIDTimestamp || t.Kind() == types.KindEnum || t.IsArray() || t.IsRange()
	}
	switch to.OID {
	case types.OIDRegClass, types.OIDRegType, types.OIDRegProc, types.OIDRegNamespace:
		return true
	}
	switch {
	case text(to):
		return dated(from)
	case text(from):
		return dated(to) || to.OID == types.OIDTime || to.OID == types.OIDInterval
	}
	return zoned(from) != zoned(to) || from.OID == types.OIDTime && to.OID == types.OIDTimeTZ
}

// Same says whether two expressions are the same, register by register.
func Same(a, b Expr) bool { return key(unlabel(a)) == key(unlabel(b)) }

// unlabel takes away casts that leave the value as it is.
func unlabel(e Expr) Expr {
	for {
		c, ok := e.(*Cast)
		if !ok || !c.Relabel {
			return e
		}
		e = c.E
	}
}
