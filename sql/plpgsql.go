package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/plpgsql"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// How PL/pgSQL runs: functions and procedures in it, and DO. The tree of package plpgsql is walked; each
// piece of SQL in it is a prepared statement whose parameters are all variables of the body, by their
// numbers, so that it is planned once for a session (as long as the record variables have the same columns).
//
//	n := n + r.x     SELECT n + r.x, bound with Variables{n: 0, r: 1}, run with frame.vals
//	FOR r IN SELECT  its rows are read before the body runs for the first: what the body writes is not seen
//	EXCEPTION        a savepoint, to which all goes back if a handler takes the error
//
// As with routines in SQL, all is run in the transaction of the statement that calls, and again with it. A
// change of the schema cannot be undone at a savepoint: an error after one passes its block by.
//
// Limits: the rows of a FOR and those that a function returns are held in memory, within the statement's budget.

// procedure is a body in PL/pgSQL with the plans that a session has made for it.
type procedure struct {
	// name is as errors show it: f(integer), or inline_code_block.
	name string
	f    *schema.Function
	body *plpgsql.Body
	// types are those of the variables. open are the variables whose type comes with their value: records.
	types []types.T
	open  []plpgsql.VarNum
	// want are the columns of what it returns; row says that this is a row, not a value.
	want  []builtins.Column
	row   bool
	plans map[*plpgsql.Expr]*part
}

// part is a piece of SQL of a body, with its plan.
type part struct {
	p *prepared
	// made is for which types of the open variables, into for which types of results.
	made, into []types.T
	// rowType is the type of the rows that plan gives.
	plan    *plan.Plan
	rowType types.T
}

// compile makes a body ready to run: it finds the types of its variables.
func (s *Session) compile(ctx context.Context, f *schema.Function, name string, args []types.T, ret types.T) (*procedure, error) {
	isNew := f.ID == 0
	p := &procedure{name: name, f: f, plans: map[*plpgsql.Expr]*part{}}
	var err error
	if p.body, err = bind.ProcedureBody(f, isNew); err != nil {
		return nil, err
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	env := s.bindEnv(snap)
	if len(f.SearchPath) > 0 {
		env.SearchPath = f.SearchPath
	}
	p.types = make([]types.T, len(p.body.Vars))
	copy(p.types, bind.ParamTypes(f, args))
	for i, v := range p.body.Vars {
		if v.Param {
			continue
		}
		t, open, err := variableType(env, p, v.Type)
		if err != nil {
			return nil, err
		}
		if p.types[i] = t; open {
			p.open = append(p.open, plpgsql.VarNum(i))
		}
	}
	if ret.OID != types.OIDVoid && ret.OID != 0 {
		p.row = ret.OID == types.OIDRecord || f.RowsOf != 0 || ret.IsComposite()
		if p.want, err = bind.RoutineColumns(env, f, ret); err != nil {
			return nil, err
		}
		p.row = p.row && (len(f.Columns) > 0 || f.RowsOf != 0)
	}
	return p, nil
}

// variableType is a variable's type; open says that it comes with the value.
func variableType(env bind.Env, p *procedure, t plpgsql.Type) (out types.T, open bool, err error) {
	switch {
	case t.Record:
		return types.Record, true, nil
	case t.Known == "any":
		return types.Text, true, nil
	case t.Known != "":
		out, err = bind.VariableType(env, t.Known)
		return out, false, err
	case t.SQL != "":
		if out, err = bind.VariableType(env, t.SQL); err == nil && out.OID == types.OIDRecord {
			return types.Record, true, nil
		}
		if err == nil && out.IsPolymorphic() {
			err = sqlerr.Unsupported("a variable of type %s", out)
		}
		return out, false, err
	case !t.Rows && len(t.Of) == 1:
		for i, v := range p.body.Vars {
			if v.Name == t.Of[0] && p.types[i].OID != 0 {
				return p.types[i], false, nil
			}
		}
		return out, false, sqlerr.New(sqlerr.UndefinedObject, "variable \"%s\" does not exist", t.Of[0])
	}
	quoted := make([]string, len(t.Of))
	for i, n := range t.Of {
		quoted[i] = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
	}
	if t.Rows {
		out, err = bind.VariableType(env, strings.Join(quoted, "."))
		if sqlerr.HasCode(err, sqlerr.UndefinedObject) {
			err = sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", strings.Join(t.Of, "."))
		}
		return out, false, err
	}
	row, err := bind.VariableType(env, strings.Join(quoted[:len(quoted)-1], "."))
	column := t.Of[len(t.Of)-1]
	switch {
	case sqlerr.HasCode(err, sqlerr.UndefinedObject):
		return out, false, sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", strings.Join(t.Of[:len(t.Of)-1], "."))
	case err != nil:
		return out, false, err
	case !row.IsComposite() || row.Field(column) < 0:
		return out, false, sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", column, strings.Join(t.Of[:len(t.Of)-1], "."))
	}
	return row.FieldType(row.Field(column)), false, nil
}

// doBlock runs DO.
func (s *Session) doBlock(ctx context.Context, n *pg.DoStmt, st parser.Stmt, w ResultWriter) error {
	at := 0
	f := &schema.Function{Language: schema.PLpgSQL, Procedure: true}
	for _, a := range n.Args {
		d := a.GetDefElem()
		switch text := d.Arg.GetString_().GetSval(); {
		case d.Defname == "as":
			f.Body, at = text, int(d.Location)
		case d.Defname == "language" && !strings.EqualFold(text, "plpgsql"):
			return sqlerr.New(sqlerr.UndefinedObject, "language \"%s\" does not exist", text)
		}
	}
	// What the block does to the schema takes effect with the transaction, as in a transaction block.
	s.tx.done++
	out := s.out
	s.out = w
	defer func() { s.out = out }()
	p, err := s.compile(ctx, f, "inline_code_block", nil, types.Void)
	if err != nil {
		return inConstant(err, st.Query, at)
	}
	if _, err := s.runProcedure(ctx, p, nil); err != nil {
		return err
	}
	return w.CommandComplete("DO")
}

// inConstant gives an error in a body the place in the statement that holds the body.
func inConstant(err error, query string, at int) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) || e.Position == 0 {
		return err
	}
	return e.MovedTo(parser.InConstant(query, at, e.Position))
}

// frame is a body that runs.
type frame struct {
	s *Session
	p *procedure
	// vals and types are those of the variables.
	vals  []types.Datum
	types []types.T
	// rows are what it returns; mem counts them.
	rows []types.Row
	mem  *exec.Run
	// at is the statement that runs, or has failed. during is said in its place.
	at     plpgsql.Stmt
	during string
	// caught are the errors whose handlers run.
	caught []*sqlerr.Error
	// affected is ROW_COUNT.
	affected int64
}

// runProcedure runs a body and returns its rows.
func (s *Session) runProcedure(ctx context.Context, p *procedure, args []types.Datum) ([]types.Row, error) {
	f := &frame{s: s, p: p, vals: make([]types.Datum, len(p.types)), types: slices.Clone(p.types), mem: s.account()}
	defer f.mem.Done()
	for i := range f.vals {
		f.vals[i] = types.Null
	}
	if p.f != nil {
		for i, a := range p.f.Args {
			if a.Mode != schema.ArgOut && a.Mode != schema.ArgTable && len(args) > 0 {
				f.vals[i], args = args[0], args[1:]
			}
		}
	}
	f.found(false)
	end, err := f.block(ctx, p.body.Block)
	if err == nil {
		err = f.finish(end)
	}
	if err != nil {
		return nil, f.located(ctx, err)
	}
	return f.rows, nil
}

// account counts what is held in memory beside the operators of a statement.
func (s *Session) account() *exec.Run {
	r := new(exec.Run)
	s.budget(r)
	return r
}

// finish is what happens at the end of a body.
func (f *frame) finish(end flow) error {
	fn := f.p.f
	switch {
	case len(f.p.want) == 0 || fn.SetOf || end.kind == flowReturn && len(f.rows) > 0:
		return nil
	case len(fn.Outputs()) > 0:
		return f.outputs()
	case end.kind == flowReturn:
		return nil // a row that is NULL
	}
	f.at, f.during = nil, ""
	return sqlerr.New(sqlerr.NoReturnStatement, "control reached end of function without RETURN")
}

// outputs adds a row of the output parameters.
func (f *frame) outputs() error {
	var row types.Row
	for i, a := range f.p.f.Args {
		if a.Mode != schema.ArgIn && a.Mode != schema.ArgVariadic {
			row = append(row, f.vals[i])
		}
	}
	return f.keep(row)
}

func (f *frame) keep(row types.Row) error {
	f.rows = append(f.rows, row)
	return f.mem.Keep(row)
}

// located adds the place to an error, as Postgres words it. What a handler has raised again has one.
func (f *frame) located(ctx context.Context, err error) error {
	err = mapError(withCause(ctx, err), f.s)
	var e *sqlerr.Error
	if !errors.As(err, &e) || isRetryable(err) || slices.Contains(f.caught, e) || len(e.Where) > whereBytesMax {
		return err
	}
	where := "PL/pgSQL function " + f.p.name
	switch {
	case f.at == nil:
	case f.during != "":
		where += fmt.Sprintf(" line %d during %s", f.at.Line(), f.during)
	default:
		where += fmt.Sprintf(" line %d at %s", f.at.Line(), f.at.Kind())
	}
	if e.Where != "" {
		where = e.Where + "\n" + where
	}
	if e.InternalQuery == "" && e.Position != 0 { // of what is called from inside
		e = e.MovedTo(0)
	}
	return e.WithWhere("%s", where)
}

func (f *frame) found(yes bool) { f.vals[f.p.body.Found] = types.NewBool(yes) }

// prepare finds the plan of a piece of SQL. into are the types of the first results, rows says that the result
// is wanted.
func (f *frame) prepare(e *plpgsql.Expr, into []types.T, rows bool) (*part, error) {
	var made []types.T
	for _, v := range f.p.open {
		made = append(made, f.types[v])
	}
	c := f.p.plans[e]
	if c != nil && slices.Equal(c.made, made) && slices.Equal(c.into, into) {
		return c, nil
	}
	stmts, err := parser.Parse(e.Statement())
	if err != nil {
		return nil, inPart(err, e.Shown(), e.Statement())
	}
	if len(stmts) != 1 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "syntax error in \"%s\"", e.Text)
	}
	v := &bind.Variables{Types: slices.Clone(f.types), Into: into, Rows: rows, UseColumn: f.p.body.UseColumn, UseVariable: f.p.body.UseVariable}
	for _, x := range e.Visible() {
		v.Names = append(v.Names, bind.VariableName{Label: x.Label, Name: x.Name, Num: int(x.Num)})
	}
	c = &part{p: &prepared{stmt: stmts[0], body: &bind.Body{Function: f.p.f, Vars: v, Last: rows}}, made: made, into: into}
	c.p.stmt.Text = "" // the statement that calls is the one that is named
	f.p.plans[e] = c
	return c, nil
}

// inPart gives an error the piece of SQL that its position is in: shown is a tail of text.
func inPart(err error, shown, text string) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) || e.Position == 0 || e.InternalQuery != "" {
		return err
	}
	pos := max(e.Position-len([]rune(text))+len([]rune(shown)), 1)
	return e.MovedTo(pos).WithInternal(shown)
}

// result is what a piece of SQL has given.
type result struct {
	rows []types.Row
	cols []bind.ResultCol
	// affected is how many rows were changed, or read.
	affected int64
	// reads says that it is a query.
	reads bool
}

// run runs a piece of SQL that is planned, and keeps up to max of its rows, or all. mem counts them.
func (f *frame) run(ctx context.Context, c *part, vals []types.Datum, max int, mem *exec.Run) (*result, error) {
	s := f.s
	po := &portal{p: c.p, params: vals}
	defer po.close(s)
	err := s.openPlan(ctx, po, false)
	if po.plan != nil && c.plan != po.plan {
		c.plan, c.rowType = po.plan, types.T{}
	}
	if err != nil {
		return nil, err
	}
	st := po.plan.Stmt
	if st.Effects {
		s.calledEffects = true
	}
	res := &result{cols: st.Cols, reads: st.Kind == bind.KindSelect}
	for {
		ok, err := po.cur.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if !st.Returning {
			continue
		}
		res.affected++
		if max > 0 && len(res.rows) == max {
			if st.Writes {
				continue
			}
			break
		}
		row := make(types.Row, len(po.plan.Out))
		for i, id := range po.plan.Out {
			row[i] = po.run.Slots[id]
		}
		if mem != nil {
			if err := mem.Keep(row); err != nil {
				return nil, err
			}
		}
		res.rows = append(res.rows, row)
	}
	if !st.Returning {
		res.affected = po.run.Affected
	}
	po.run.Quiesce()
	return res, s.settle(ctx)
}

// value evaluates an expression. want is the type that it shall have; with the zero T it keeps its own.
func (f *frame) value(ctx context.Context, e *plpgsql.Expr, want types.T) (types.Datum, types.T, error) {
	var into []types.T
	if want.OID != 0 {
		into = []types.T{want}
	}
	c, err := f.prepare(e, into, true)
	if err != nil {
		return types.Null, want, err
	}
	res, err := f.run(ctx, c, f.vals, 2, nil)
	switch {
	case err != nil:
		return types.Null, want, f.inExpression(inPart(err, e.Shown(), e.Statement()), e, c)
	case len(res.cols) != 1:
		return types.Null, want, sqlerr.New(sqlerr.SyntaxError, "query returned %d columns", len(res.cols))
	case len(res.rows) > 1:
		return types.Null, want, sqlerr.New(sqlerr.CardinalityViolation, "query returned more than one row")
	case len(res.rows) == 0:
		return types.Null, res.cols[0].Type, nil
	}
	return res.rows[0][0], res.cols[0].Type, nil
}

// inExpression adds the expression to an error that planning it has met, as Postgres words it.
func (f *frame) inExpression(err error, e *plpgsql.Expr, c *part) error {
	what := "SQL expression \"" + e.Text + "\""
	if e.Assignment != "" {
		what = "PL/pgSQL assignment \"" + e.Assignment + "\""
	}
	if c.plan != nil {
		return err
	}
	return f.within(err, what)
}

// holds evaluates a condition; NULL does not hold.
func (f *frame) holds(ctx context.Context, e *plpgsql.Expr) (bool, error) {
	d, _, err := f.value(ctx, e, types.Bool)
	return err == nil && !d.IsNull() && d.Bool(), err
}

// text evaluates an expression as it is printed.
func (f *frame) text(ctx context.Context, e *plpgsql.Expr) (string, bool, error) {
	d, t, err := f.value(ctx, e, types.T{})
	if err != nil || d.IsNull() {
		return "", false, err
	}
	return types.Format(t, d, f.s.env), true, nil
}

// rowType is the type of the rows of a piece of SQL.
func (c *part) rowTypeOf(cols []bind.ResultCol) types.T {
	if c.rowType.OID == 0 {
		var names []string
		var ts []types.T
		for _, col := range cols {
			names, ts = append(names, col.Name), append(ts, col.Type)
		}
		c.rowType = types.RecordOf(names, ts)
	}
	return c.rowType
}

// query runs what rows are taken from, with types that the first columns shall have.
func (f *frame) query(ctx context.Context, q plpgsql.Query, into []types.T, max int, mem *exec.Run) (*result, *part, error) {
	if !q.Dynamic {
		c, err := f.prepare(q.Expr, into, true)
		if err != nil {
			return nil, nil, err
		}
		if !bind.Bindable(c.p.stmt.Tree) {
			return nil, nil, sqlerr.New(sqlerr.SyntaxError, "cannot open %s query as cursor", strings.ToUpper(firstWord(q.Expr.Text)))
		}
		res, err := f.run(ctx, c, f.vals, max, mem)
		return res, c, f.inStatement(err, q.Expr.Statement())
	}
	text, vals, v, err := f.dynamic(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	stmts, err := parser.Parse(text)
	if err != nil {
		return nil, nil, inPart(err, text, text)
	}
	if len(stmts) != 1 || !bind.Bindable(stmts[0].Tree) {
		return nil, nil, sqlerr.New(sqlerr.SyntaxError, "cannot open %s query as cursor", strings.ToUpper(firstWord(text)))
	}
	v.Into, v.Rows = into, true
	c := &part{p: &prepared{stmt: stmts[0], body: &bind.Body{Function: f.p.f, Vars: v, Last: true}}}
	res, err := f.run(ctx, c, vals, max, mem)
	return res, c, f.inStatement(err, text)
}

func firstWord(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// dynamic evaluates the text of EXECUTE, and its parameters.
func (f *frame) dynamic(ctx context.Context, q plpgsql.Query) (string, []types.Datum, *bind.Variables, error) {
	text, ok, err := f.text(ctx, q.Expr)
	if err == nil && !ok {
		err = sqlerr.New(sqlerr.NullValueNotAllowed, "query string argument of EXECUTE is null")
	}
	v := &bind.Variables{}
	var vals []types.Datum
	for _, e := range q.Using {
		if err != nil {
			break
		}
		var d types.Datum
		var t types.T
		d, t, err = f.value(ctx, e, types.T{})
		vals, v.Types = append(vals, d), append(v.Types, t)
	}
	return text, vals, v, err
}

// inStatement adds the statement to an error, as Postgres words it.
func (f *frame) inStatement(err error, text string) error {
	if err == nil {
		return nil
	}
	return f.within(inPart(err, text, text), "SQL statement \""+text+"\"")
}

// within adds a line to an error's context, unless a piece of SQL is shown with it.
func (f *frame) within(err error, line string) error {
	err = mapError(err, f.s)
	var e *sqlerr.Error
	if !errors.As(err, &e) || isRetryable(err) || e.InternalQuery != "" || len(e.Where) > whereBytesMax {
		return err
	}
	if e.Where != "" {
		line = e.Where + "\n" + line
	}
	return e.WithWhere("%s", line)
}
