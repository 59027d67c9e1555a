package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// A statement or expression of a body in PL/pgSQL may name variables. They are its parameters: a variable's
// number is its place among their values. A name that could be a column as well is an error, unless the body
// says which it is (Postgres manual, 43.11.1).

// Variables are what a part of a body in PL/pgSQL may name.
type Variables struct {
	// Names are those in scope, inner ones first.
	Names []VariableName
	// Types are those of all variables by their numbers. A record that nothing has been assigned to is
	// types.Record.
	Types []types.T
	// Into are the types that the result's first columns are converted to; nil leaves all as they are.
	Into []types.T
	// Rows says that the result is wanted, also of INSERT, UPDATE and DELETE with RETURNING.
	Rows bool
	// UseColumn and UseVariable say what a name means that could be both.
	UseColumn, UseVariable bool
}

// VariableName is a variable's name, its block's label ("" for none) and its number.
type VariableName struct {
	Label, Name string
	Num         int
}

// withVariables binds a part of a body in PL/pgSQL.
func (b *binder) withVariables(n *pg.Node, body *Body) (st *Stmt) {
	v := body.Vars
	fn := &activeFunc{f: body.Function, vars: v}
	for i, t := range v.Types {
		b.params, b.named = append(b.params, t), append(b.named, true)
		fn.vals = append(fn.vals, &Param{Idx: i, T: t.Plain(), Pos: -1})
	}
	b.inBody(body.Function, b.query, fn, func() {
		b.inView-- // errors have their position in the part
		defer func() { b.inView++ }()
		if !v.Rows {
			st = b.statement(n)
			return
		}
		q := b.query_(nil, b.resultOf(n, types.Void), queryOptions{targets: v.Into})
		b.intoTypes(q, v.Into)
		st = &Stmt{Kind: KindSelect, Rel: q.rel, Cols: q.resultCols(), Returning: true}
	})
	return st
}

// intoTypes makes a query's first columns what they are assigned to. What no assignment converts is, as in
// Postgres, converted by way of its text.
func (b *binder) intoTypes(q *query, ts []types.T) {
	p := &Project{In: q.rel}
	for i := range min(len(ts), len(q.cols)) {
		c, t := &q.cols[i], ts[i]
		if t.OID == 0 || c.t == t {
			continue
		}
		var e Expr = &Col{ID: c.id, T: c.t, Name: c.name, Pos: -1}
		if lit := literal(q, i); lit != nil {
			e = b.coerceUnknown(&Const{D: lit.D, T: types.Unknown, Pos: lit.Pos}, t, types.CastAssignment, lit.Pos)
		} else if to := b.coerce(e, t, types.CastAssignment, -1); to != nil {
			e = to
		} else {
			e = b.mustCast(b.mustCast(e, types.Text, -1), t, -1)
		}
		c.id, c.t = b.newCols(1), t
		p.Items = append(p.Items, Item{ID: c.id, E: e})
	}
	if len(p.Items) > 0 {
		p.Out = q.ids()
		q.rel = p
	}
}

// variable is a variable by its name, or by its block's label and its name; nil if there is none.
func (b *binder) variable(label, name string) Expr {
	if b.fn == nil || b.fn.vars == nil {
		return nil
	}
	for _, v := range b.fn.vars.Names {
		if v.Name == name && (label == "" || v.Label == label) {
			return copyOr(b.fn.vals[v.Num])
		}
	}
	return nil
}

// preferred is the variable that a column's name means, nil if it means the column.
func (b *binder) preferred(name string, pos int32) Expr {
	v := b.variable("", name)
	switch {
	case v == nil || b.fn.vars.UseColumn:
		return nil
	case b.fn.vars.UseVariable:
		return v
	}
	b.at(pos, sqlerr.New(sqlerr.AmbiguousColumn, "column reference \"%s\" is ambiguous", name).
		WithDetail("It could refer to either a PL/pgSQL variable or a table column."))
	return nil
}

// partOfVariable is record.field, label.variable or label.record.field; nil if there is none.
func (b *binder) partOfVariable(first, second, third string, pos int32) Expr {
	if b.fn == nil || b.fn.vars == nil {
		return nil
	}
	if first != "" {
		if v := b.variable(first, second); v != nil {
			return b.fieldOf(v, second, third, pos)
		}
		return nil
	}
	if v := b.variable("", second); v != nil {
		return b.fieldOf(v, second, third, pos)
	}
	return b.variable(second, third)
}

// fieldOf is a field of a variable.
func (b *binder) fieldOf(v Expr, name, field string, pos int32) Expr {
	t := v.Type().Plain()
	switch {
	case !t.IsComposite() && t.OID == types.OIDRecord:
		b.at(-1, notAssigned(name))
	case t.IsComposite() && t.Field(field) < 0:
		b.failf(pos, sqlerr.UndefinedColumn, "record \"%s\" has no field \"%s\"", name, field)
	case !t.IsComposite():
		return nil
	}
	return b.field(v, field, pos)
}

func notAssigned(record string) *sqlerr.Error {
	return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "record \"%s\" is not assigned yet", record).
		WithDetail("The tuple structure of a not-yet-assigned record is indeterminate.")
}

// starOfVariable is record.* in a select list, nil if there is no such variable.
func (b *binder) starOfVariable(parts []string, pos int32) (out []target) {
	label := ""
	if len(parts) > 1 {
		label = parts[len(parts)-2]
	}
	name := parts[len(parts)-1]
	v := b.variable(label, name)
	if v == nil {
		return nil
	}
	t := v.Type().Plain()
	if !t.IsComposite() {
		if t.OID == types.OIDRecord {
			b.at(-1, notAssigned(name))
		}
		return nil
	}
	names, ts := t.Fields()
	for i := range names {
		out = append(out, target{e: &Field{E: copyOr(v), Idx: i, T: ts[i]}, name: names[i]})
	}
	return out
}

// RoutineColumns are the columns of what a routine returns, of which ret is the type.
func RoutineColumns(env Env, f *schema.Function, ret types.T) (cols []builtins.Column, err error) {
	b := &binder{env: env, tables: map[schema.DescID]*schema.Table{}}
	defer catch(&err)
	return b.returnedColumns(&userCallee{activeFunc: activeFunc{f: f}, ret: ret}), nil
}

// VariableType reads the type of a variable, which may be that of a table's rows.
func VariableType(env Env, name string) (types.T, error) {
	stmts, err := parser.Parse("SELECT NULL::" + name)
	if err != nil || len(stmts) != 1 || len(stmts[0].Tree.GetSelectStmt().GetTargetList()) != 1 {
		return types.T{}, sqlerr.New(sqlerr.SyntaxError, "invalid type name \"%s\"", name)
	}
	cast := stmts[0].Tree.GetSelectStmt().TargetList[0].GetResTarget().Val.GetTypeCast()
	if cast == nil {
		return types.T{}, sqlerr.New(sqlerr.SyntaxError, "invalid type name \"%s\"", name)
	}
	return ParamTypeName(env, "", cast.TypeName)
}

// ParamTypes are the types of a routine's parameters in a call with some types of arguments.
func ParamTypes(f *schema.Function, args []types.T) (out []types.T) {
	for _, a := range f.Args {
		if a.Mode != schema.ArgOut && a.Mode != schema.ArgTable {
			out, args = append(out, args[0]), args[1:]
			continue
		}
		out = append(out, tablekv.TypeOf(a.Type))
	}
	return out
}
