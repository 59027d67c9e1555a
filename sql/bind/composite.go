package bind

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// coerceRow makes ROW(…), or a whole row of a table, a value of a composite type: column by column,
// by place.
func (b *binder) coerceRow(r *Row, to types.T, ctx types.CastContext, pos int32) Expr {
	names, ts := to.Fields()
	mismatch := func(detail string) {
		b.at(pos, sqlerr.New(sqlerr.CannotCoerce, "cannot cast type record to %s", to.Base()).WithDetail("%s", detail))
	}
	switch {
	case len(r.Elems) < len(ts):
		mismatch("Input has too few columns.")
	case len(r.Elems) > len(ts):
		mismatch("Input has too many columns.")
	}
	out := &Row{Names: names, T: to.Base(), Optional: r.Optional, Key: r.Key}
	for i, e := range r.Elems {
		if r.given != nil {
			e = r.given[i]
		}
		c := b.coerce(e, ts[i], ctx, placeOf(e, pos))
		if c == nil {
			b.at(placeOf(e, pos), sqlerr.New(sqlerr.CannotCoerce, "cannot cast type record to %s", to.Base()).
				WithDetail("Cannot cast type %s to %s in column %d.", e.Type().Base(), ts[i].Base(), i+1))
		}
		out.Elems = append(out.Elems, c)
	}
	return out
}

// placeOf is where a column or literal stands in the statement, if it knows.
func placeOf(e Expr, pos int32) int32 {
	switch e := e.(type) {
	case *Const:
		if e.Pos >= 0 {
			return e.Pos
		}
	case *Col:
		if e.Pos >= 0 {
			return e.Pos
		}
	}
	return pos
}

// field binds (e).name.
func (b *binder) field(e Expr, name string, pos int32) Expr {
	t := e.Type().Plain()
	if r, ok := e.(*Row); ok {
		for i, x := range r.Elems {
			if len(r.Names) > 0 && r.Names[i] == name || len(r.Names) == 0 && name == "f"+strconv.Itoa(i+1) {
				return x
			}
		}
	}
	if t.IsComposite() {
		if i := t.Field(name); i >= 0 {
			return &Field{E: e, Idx: i, T: t.FieldType(i)}
		}
		b.failf(pos, sqlerr.UndefinedColumn, "column \"%s\" not found in data type %s", name, t.Base())
	}
	if t.OID != types.OIDRecord {
		b.failf(pos, sqlerr.WrongObjectType, "column notation .%s applied to type %s, which is not a composite type", name, e.Type().Base())
	}
	b.failf(pos, sqlerr.UndefinedColumn, "could not identify column \"%s\" in record data type", name)
	return nil
}

// fieldStar expands (e).* in a select list; ok is false for anything else.
func (b *binder) fieldStar(sc *scope, n *pg.Node) (out []target, ok bool) {
	a := n.GetAIndirection()
	if a == nil || a.Indirection[len(a.Indirection)-1].GetAStar() == nil {
		return nil, false
	}
	e := b.indirection(sc, &pg.A_Indirection{Arg: a.Arg, Indirection: a.Indirection[:len(a.Indirection)-1]})
	if r, isRow := e.(*Row); isRow && len(r.Names) > 0 {
		for i, x := range r.Elems {
			out = append(out, target{e: x, name: r.Names[i], col: sc.columnOf(x)})
		}
		return out, true
	}
	t := e.Type().Plain()
	switch {
	case t.IsComposite():
		names, ts := t.Fields()
		for i := range names {
			out = append(out, target{e: &Field{E: e, Idx: i, T: ts[i]}, name: names[i]})
		}
		return out, true
	case t.OID == types.OIDRecord:
		b.failf(b.pos(n), sqlerr.WrongObjectType, "record type has not been registered")
	}
	b.failf(b.pos(n), sqlerr.WrongObjectType, "type %s is not composite", e.Type().Base())
	return nil, true
}

// tableRowType finds the row type of a table or view. Values of it can be computed with, and no column can
// have it.
func (b *binder) tableRowType(sc *schema.Schema, name string) (types.T, bool) {
	o, ix := b.env.Snap.Relation(sc.ID, name)
	if ix != nil {
		return types.T{}, false
	}
	if t, ok := o.(*schema.Table); ok && b.tables != nil {
		b.tables[t.ID] = t // a plan that has the type ends with the table's version
	}
	return b.rowTypeOf(o)
}

func (b *binder) rowTypeOf(o schema.Object) (types.T, bool) {
	if o == nil {
		return types.T{}, false
	}
	u := b.env.Snap.RowType(o)
	if u == nil {
		return types.T{}, false
	}
	return types.OfUser(u), true
}

// wholeRow is a table's name used as a value. A function that returns one column gives that.
func (b *binder) wholeRow(t *tableRef) Expr {
	if t.scalar && len(t.cols) == 1 {
		return t.cols[0].expr(-1)
	}
	r := &Row{Optional: t.optional, Key: -1}
	var ts []types.T
	for i, c := range t.cols {
		if c.hidden || c.name == "" {
			continue
		}
		if t.desc != nil && t.desc.Columns[i].NotNull {
			r.Key = len(r.Elems)
		}
		r.Elems, r.Names, ts = append(r.Elems, c.expr(-1)), append(r.Names, c.name), append(ts, c.t)
	}
	var typed bool
	if t.desc != nil {
		r.T, typed = b.rowTypeOf(t.desc)
	} else if t.view != nil {
		r.T, typed = b.rowTypeOf(t.view)
	}
	if t.row.OID != 0 {
		r.T, typed = t.row, true
	}
	if !typed || len(r.T.User.Fields) != len(ts) {
		r.T = types.RecordOf(r.Names, ts)
	}
	return r
}

// setPart is SET column.field = value: a row with the other fields as they are, or as an earlier part
// of the same SET made them.
func (b *binder) setPart(sc *scope, t, names *schema.Table, r *pg.ResTarget, out []SetCol, seen map[int]bool, multi map[*pg.Node][]Expr) []SetCol {
	i := b.columnIndex(names, r.Name, r.Location)
	c := &t.Columns[i]
	typ := types.T{OID: types.OID(c.Type.OID), Mod: -1, User: c.Type.User}
	if r.Indirection[0].GetAIndices() != nil && r.Val.GetMultiAssignRef() == nil {
		return b.setSubscript(sc, t, names, i, r, out, seen)
	}
	name := r.Indirection[0].GetString_()
	if name == nil || len(r.Indirection) > 1 || r.Val.GetMultiAssignRef() != nil {
		b.unsupported(r.Location, "assignment to a part of a column")
	}
	b.refuseGenerated(c, "column \"%s\" can only be updated to DEFAULT")
	if !typ.IsComposite() {
		b.failf(r.Location, sqlerr.DatatypeMismatch, "cannot assign to field \"%s\" of column \"%s\" because its type %s is not a composite type",
			name.Sval, c.Name, typ.Base())
	}
	at := typ.Field(name.Sval)
	if at < 0 {
		b.failf(r.Location, sqlerr.UndefinedColumn, "cannot assign to field \"%s\" of column \"%s\" because there is no such column in data type %s",
			name.Sval, c.Name, typ.Base())
	}
	k := slices.IndexFunc(out, func(s SetCol) bool { return s.Ordinal == i })
	if k < 0 {
		k = len(out)
		out = append(out, SetCol{Ordinal: i, E: b.fieldsOf(sc, t, i, typ)})
		seen[i] = true
		b.need(names, schema.PrivUpdate).Columns[names.Columns[i].ID] = true
	}
	row, ok := out[k].E.(*Row)
	if !ok {
		b.failf(-1, sqlerr.SyntaxError, "multiple assignments to same column \"%s\"", r.Name)
	}
	row.Elems[at] = b.assign(b.expr(sc, r.Val), typ.FieldType(at), name.Sval, b.pos(r.Val))
	return out
}

// setSubscript is SET column[i] = value, of an array or a jsonb.
func (b *binder) setSubscript(sc *scope, t, names *schema.Table, i int, r *pg.ResTarget, out []SetCol, seen map[int]bool) []SetCol {
	c := &t.Columns[i]
	b.refuseGenerated(c, "column \"%s\" can only be updated to DEFAULT")
	k := slices.IndexFunc(out, func(s SetCol) bool { return s.Ordinal == i })
	if k < 0 {
		k = len(out)
		out = append(out, SetCol{Ordinal: i, E: b.columnValue(sc, t, i)})
		seen[i] = true
		b.need(names, schema.PrivUpdate).Columns[names.Columns[i].ID] = true
	} else if _, ok := out[k].E.(*SetPart); !ok {
		b.failf(-1, sqlerr.SyntaxError, "multiple assignments to same column \"%s\"", r.Name)
	}
	out[k].E = b.withPart(sc, out[k].E, r, b.expr(sc, r.Val))
	return out
}

// withPart is a column's value with the part that r names replaced.
func (b *binder) withPart(sc *scope, e Expr, r *pg.ResTarget, v Expr) Expr {
	typ := e.Type().Plain()
	set := &SetPart{E: e, T: e.Type()}
	elem, isArray := typ.Elem()
	slice := false
	for _, n := range r.Indirection {
		ix := n.GetAIndices()
		switch {
		case ix == nil:
			b.unsupported(r.Location, "assignment to a field of an element")
		case isArray:
			set.Subs = append(set.Subs, b.sub(sc, ix))
			slice = slice || ix.IsSlice
		case typ.OID != types.OIDJSONB:
			b.failf(r.Location, sqlerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", typ.Base())
		case ix.IsSlice:
			b.failf(r.Location, sqlerr.DatatypeMismatch, "jsonb subscript does not support slices")
		default:
			key := b.expr(sc, ix.Uidx)
			if key.Type().OID != types.OIDInt4 {
				key = b.mustCast(key, types.Text, b.pos(ix.Uidx))
			}
			set.Path = append(set.Path, key)
		}
	}
	want := types.JSONB
	if isArray {
		if want = elem; slice {
			want = typ
		}
	}
	set.Value = b.coerce(v, want, types.CastAssignment, b.pos(r.Val))
	if set.Value == nil {
		b.at(r.Location, sqlerr.New(sqlerr.DatatypeMismatch, "subscripted assignment to \"%s\" requires type %s but expression is of type %s", r.Name, want.Base(), v.Type().Base()).
			WithHint("You will need to rewrite or cast the expression."))
	}
	return set
}

// columnValue is what a column of the row that is changed holds.
func (b *binder) columnValue(sc *scope, t *schema.Table, i int) Expr {
	for _, ref := range sc.tables {
		if ref.desc == t {
			return ref.cols[i].expr(-1)
		}
	}
	b.unsupported(-1, "assignment to a part of a column here")
	return nil
}

// fieldsOf is a column's value, taken apart and put together again.
func (b *binder) fieldsOf(sc *scope, t *schema.Table, i int, typ types.T) *Row {
	names, ts := typ.Fields()
	row := &Row{Names: names, T: typ}
	for _, ref := range sc.tables {
		if ref.desc != t {
			continue
		}
		for k := range ts {
			row.Elems = append(row.Elems, &Field{E: ref.cols[i].expr(-1), Idx: k, T: ts[k]})
		}
		return row
	}
	b.unsupported(-1, "assignment to a part of a column here")
	return nil
}
