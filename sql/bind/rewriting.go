package bind

import (
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// While a job writes a table anew (schema.Rewriting), every row that is written has virtual columns
// that say what it will be:
//
//	present row ──Default of Replaces──▶ values of the row to be ─┬─▶ entries of the table to be
//	                                       │ an error, NULL, CHECK │
//	                                       └──────▶ unfit ─────────┘─▶ or one in Refused
//
// A row that cannot be one of the table to be is no error for who writes it: the table is still as
// it was. All columns are computed from the present row alone, so that a scan can leave out those
// that nobody reads.

// BindVirtual resolves what a virtual column of a table is computed from; column ordinal i is
// register i.
func BindVirtual(env Env, t *schema.Table, ordinal int) (e Expr, err error) {
	b := &binder{env: env, tables: map[schema.DescID]*schema.Table{}, stored: true}
	defer catch(&err)
	return b.storedExpr(t, ordinal, b.newCols(len(t.Columns))), nil
}

// BindReplacing is BindVirtual of a column that replaces another, with its errors.
func BindReplacing(env Env, t *schema.Table, c *schema.Column) (e Expr, err error) {
	b := &binder{env: env, tables: map[schema.DescID]*schema.Table{}, stored: true}
	defer catch(&err)
	return b.replacing(t, c, b.newCols(len(t.Columns))), nil
}

// replacing is the value that takes the place of another column's in the row at base.
func (b *binder) replacing(t *schema.Table, c *schema.Column, base ColID) Expr {
	old := t.ColumnByID(c.Replaces)
	if old.Virtual {
		return b.ofRowToBe(t, base, func(sc *scope) Expr {
			return b.assign(b.textExpr(sc, old.Default), tablekv.TypeOf(c.Type), old.Name, -1)
		})
	}
	return b.settled(t.Rewriting.Settings, func() Expr {
		sc := b.storedScope(t, base, UseIndex)
		return b.assign(b.textExpr(sc, c.Default), tablekv.TypeOf(c.Type), old.Name, -1)
	})
}

// ofRowToBe is an expression over the row that the row at base is to become, computed from the latter.
func (b *binder) ofRowToBe(t *schema.Table, base ColID, bind func(*scope) Expr) Expr {
	next := t.Rewritten()
	toBe := b.newCols(len(next.Columns))
	e := bind(b.storedScope(next, toBe, UseIndex))
	return Rewrite(e, func(x Expr) Expr {
		col, ok := x.(*Col)
		if !ok || col.ID < toBe || col.ID >= toBe+ColID(len(next.Columns)) {
			return nil
		}
		id := next.Columns[col.ID-toBe].ID
		if by := t.ReplacedBy(id); by != nil {
			return b.replacing(t, by, base)
		}
		return &Col{ID: base + ColID(t.ColumnOrdinal(id)), T: col.T, Name: col.Name, Pos: -1}
	})
}

// unfit is true if the row at base cannot be one of the table to be.
func (b *binder) unfit(t *schema.Table, base ColID) Expr {
	rw := t.Rewriting
	try := &Attempt{E: &Const{D: types.NewBool(false), T: types.Bool, Pos: -1}}
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Replaces != 0 {
			try.Also = append(try.Also, b.replacing(t, c, base))
		}
	}
	var broken []Expr
	next := t.Rewritten()
	for _, id := range rw.NotNull {
		broken = append(broken, b.ofRowToBe(t, base, func(sc *scope) Expr {
			return &IsNull{E: sc.tables[0].cols[next.ColumnOrdinal(id)].expr(-1)}
		}))
	}
	for _, c := range t.Checks {
		for _, oid := range rw.Checks {
			if c.OID == oid {
				broken = append(broken, b.ofRowToBe(t, base, func(sc *scope) Expr {
					return &BoolTest{E: b.boolean(b.textExpr(sc, c.Expr), "CHECK", -1), Want: types.NewBool(false)}
				}))
			}
		}
	}
	switch len(broken) {
	case 0:
	case 1:
		try.E = broken[0]
	default:
		try.E = &Or{Args: broken}
	}
	return &Coalesce{Args: []Expr{try, &Const{D: types.NewBool(true), T: types.Bool, Pos: -1}}, T: types.Bool}
}
