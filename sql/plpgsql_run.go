package sql

import (
	"context"
	"math"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/plpgsql"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// flow is how a statement ended: the next one follows, or a loop, a block or the body is left.
type flow struct {
	kind  flowKind
	label string // of the loop or block that EXIT and CONTINUE name
}

type flowKind uint8

const (
	flowNext flowKind = iota
	flowExit
	flowContinue
	flowReturn
)

// leaves says what a loop with a label does at the end of its body: done ends it, with out.
func (f flow) leaves(label string) (out flow, done bool) {
	mine := f.label == "" || f.label == label
	switch {
	case f.kind == flowNext, f.kind == flowContinue && mine:
		return flow{}, false
	case f.kind == flowExit && mine:
		return flow{}, true
	}
	return f, true
}

func (f *frame) stmts(ctx context.Context, list []plpgsql.Stmt) (flow, error) {
	for _, st := range list {
		if err := ctx.Err(); err != nil {
			return flow{}, err
		}
		end, err := f.stmt(ctx, st)
		if err != nil || end.kind != flowNext {
			return end, err
		}
	}
	return flow{}, nil
}

func (f *frame) stmt(ctx context.Context, st plpgsql.Stmt) (flow, error) {
	f.at, f.during = st, ""
	switch st := st.(type) {
	case *plpgsql.Block:
		return f.block(ctx, st)
	case *plpgsql.Assign:
		return flow{}, f.assignStmt(ctx, st)
	case *plpgsql.If:
		for _, b := range st.Branches {
			f.at = st
			if yes, err := f.holds(ctx, b.Cond); err != nil || yes {
				if err != nil {
					return flow{}, err
				}
				return f.stmts(ctx, b.Body)
			}
		}
		return f.stmts(ctx, st.Else)
	case *plpgsql.Case:
		return f.caseStmt(ctx, st)
	case *plpgsql.Loop:
		return f.loop(ctx, st)
	case *plpgsql.ForInt:
		return f.forInt(ctx, st)
	case *plpgsql.ForQuery:
		return f.forQuery(ctx, st)
	case *plpgsql.ForEach:
		return f.forEach(ctx, st)
	case *plpgsql.Exit:
		if st.Cond != nil {
			if yes, err := f.holds(ctx, st.Cond); err != nil || !yes {
				return flow{}, err
			}
		}
		if st.Continue {
			return flow{flowContinue, st.Label}, nil
		}
		return flow{flowExit, st.Label}, nil
	case *plpgsql.Return:
		return flow{kind: flowReturn}, f.returns(ctx, st)
	case *plpgsql.ReturnNext:
		return flow{}, f.returnNext(ctx, st)
	case *plpgsql.ReturnQuery:
		return flow{}, f.returnQuery(ctx, st)
	case *plpgsql.Raise:
		return flow{}, f.raise(ctx, st)
	case *plpgsql.Assert:
		return flow{}, f.assert(ctx, st)
	case *plpgsql.SQL:
		return flow{}, f.sql(ctx, st)
	case *plpgsql.Perform:
		res, _, err := f.query(ctx, plpgsql.Query{Expr: st.Query}, nil, 1, nil)
		if err == nil {
			f.done(res)
		}
		return flow{}, err
	case *plpgsql.GetDiagnostics:
		return flow{}, f.diagnostics(ctx, st)
	case *plpgsql.Refused:
		if st.Name == "COMMIT" || st.Name == "ROLLBACK" {
			return flow{}, sqlerr.Unsupported("%s in PL/pgSQL", st.Name).
				WithHint("A body runs in the transaction of the statement that calls it. A block with EXCEPTION is undone by itself.")
		}
		return flow{}, sqlerr.Unsupported("%s in PL/pgSQL", st.Name).WithHint("Use FOR … IN query LOOP.")
	}
	return flow{}, nil // NULL
}

// done notes what a statement of SQL has found.
func (f *frame) done(res *result) {
	f.affected = res.affected
	f.found(res.affected > 0)
}

// block runs a block. If it fails and a handler takes the error, all it did is undone.
func (f *frame) block(ctx context.Context, b *plpgsql.Block) (flow, error) {
	for _, v := range b.Declared {
		f.at, f.during = declaration{plpgsqlLine(f.p.body.Vars[v].Line)}, "statement block local variable initialization"
		if err := f.declare(ctx, v); err != nil {
			return flow{}, err
		}
	}
	end, err := f.body(ctx, b)
	if end.kind == flowExit && end.label != "" && end.label == b.Label {
		end = flow{}
	}
	return end, err
}

// declaration stands for a variable's declaration as the place of an error.
type declaration struct{ plpgsqlLine }

type plpgsqlLine int

// Line implements plpgsql.Stmt.
func (l plpgsqlLine) Line() int { return int(l) }

// Kind implements plpgsql.Stmt.
func (plpgsqlLine) Kind() string { return "" }

// declare gives a variable its first value.
func (f *frame) declare(ctx context.Context, v plpgsql.VarNum) error {
	d := f.p.body.Vars[v]
	f.vals[v] = types.Null
	if slices.Contains(f.p.open, v) {
		f.types[v] = f.p.types[v]
	}
	if d.Default != nil {
		return f.assign(ctx, plpgsql.Target{Var: v}, d.Default)
	}
	if t := f.types[v]; t.IsDomain() { // which may not want NULL
		_, err := f.toDomain(ctx, types.Null, t.Plain(), t)
		return err
	}
	return nil
}

// body runs a block's statements, and the handler that takes their error.
func (f *frame) body(ctx context.Context, b *plpgsql.Block) (flow, error) {
	if len(b.Handlers) == 0 {
		return f.stmts(ctx, b.Body)
	}
	tx := f.s.tx
	sp := f.s.mark()
	rows := len(f.rows)
	end, err := f.stmts(ctx, b.Body)
	if err == nil {
		return end, tx.t.Release(sp.sp)
	}
	if isRetryable(err) || tx.r.ChangeCount() != sp.changes || ctx.Err() != nil {
		return flow{}, err
	}
	e := sqlerr.From(f.located(ctx, err))
	i := slices.IndexFunc(b.Handlers, func(h plpgsql.Handler) bool { return takes(h, e) })
	if i < 0 {
		f.caught = append(f.caught, e) // it has its place
		return flow{}, e
	}
	if err := f.s.rewind(sp); err != nil {
		return flow{}, err
	}
	f.rows = f.rows[:rows]
	h := b.Handlers[i]
	f.caught = append(f.caught, e)
	f.vals[h.SQLState], f.vals[h.SQLErrM] = types.NewText(string(e.Code)), types.NewText(e.Message)
	end, err = f.stmts(ctx, h.Body)
	if err == nil {
		f.caught = f.caught[:len(f.caught)-1]
	}
	return end, err
}

// takes says whether a handler names an error. A condition of a class, like data_exception, is all of it.
func takes(h plpgsql.Handler, e *sqlerr.Error) bool {
	for _, c := range h.Conditions {
		if c == "others" {
			if e.Code != sqlerr.QueryCanceled && e.Code != sqlerr.AssertFailure {
				return true
			}
			continue
		}
		code, ok := sqlerr.ByName(c)
		if !ok {
			code = sqlerr.Code(c)
		}
		if code == e.Code || strings.HasSuffix(string(code), "000") && code.Class() == e.Code.Class() {
			return true
		}
	}
	return false
}

// caseStmt runs the branch that the test's value is among, or whose condition holds.
func (f *frame) caseStmt(ctx context.Context, st *plpgsql.Case) (flow, error) {
	if st.Test != nil {
		d, t, err := f.value(ctx, st.Test, types.T{})
		if err != nil {
			return flow{}, err
		}
		f.vals[st.Var], f.types[st.Var] = d, t
	}
	for _, b := range st.Branches {
		yes, err := f.holds(ctx, b.Cond)
		if err != nil {
			return flow{}, err
		}
		if yes {
			return f.stmts(ctx, b.Body)
		}
	}
	if !st.HasElse {
		return flow{}, sqlerr.New(sqlerr.CaseNotFound, "case not found").WithHint("CASE statement is missing ELSE part.")
	}
	return f.stmts(ctx, st.Else)
}

func (f *frame) loop(ctx context.Context, st *plpgsql.Loop) (flow, error) {
	for {
		if err := ctx.Err(); err != nil {
			return flow{}, err
		}
		if st.Cond != nil {
			f.at = st
			if yes, err := f.holds(ctx, st.Cond); err != nil || !yes {
				return flow{}, err
			}
		}
		end, err := f.stmts(ctx, st.Body)
		if err != nil {
			return flow{}, err
		}
		if out, done := end.leaves(st.Label); done {
			return out, nil
		}
	}
}

func (f *frame) forInt(ctx context.Context, st *plpgsql.ForInt) (flow, error) {
	bound := func(e *plpgsql.Expr, what string) (int64, error) {
		d, _, err := f.value(ctx, e, types.Int4)
		switch {
		case err != nil:
			return 0, err
		case d.IsNull():
			return 0, sqlerr.New(sqlerr.NullValueNotAllowed, "%s of FOR loop cannot be null", what)
		}
		return d.Int(), nil
	}
	lo, err := bound(st.Lo, "lower bound")
	if err != nil {
		return flow{}, err
	}
	hi, err := bound(st.Hi, "upper bound")
	if err != nil {
		return flow{}, err
	}
	step := int64(1)
	if st.Step != nil {
		if step, err = bound(st.Step, "BY value"); err != nil {
			return flow{}, err
		}
		if step <= 0 {
			return flow{}, sqlerr.New(sqlerr.InvalidParameterValue, "BY value of FOR loop must be greater than zero")
		}
	}
	if st.Reverse {
		step = -step
	}
	found := false
	for i := lo; step > 0 && i <= hi || step < 0 && i >= hi; i += step {
		if i > math.MaxInt32 || i < math.MinInt32 {
			break
		}
		if err := ctx.Err(); err != nil {
			return flow{}, err
		}
		found = true
		f.vals[st.Var] = types.NewInt(i)
		end, err := f.stmts(ctx, st.Body)
		if err != nil {
			return flow{}, err
		}
		if out, done := end.leaves(st.Label); done {
			f.found(true)
			return out, nil
		}
	}
	f.found(found)
	return flow{}, nil
}

func (f *frame) forQuery(ctx context.Context, st *plpgsql.ForQuery) (flow, error) {
	mem := f.s.account()
	defer mem.Done()
	res, c, err := f.query(ctx, st.Query, f.intoTypes(st.Into), 0, mem)
	if err != nil {
		return flow{}, err
	}
	if len(res.rows) == 0 {
		if err := f.into(ctx, st.Into, res, c, nil); err != nil {
			return flow{}, err
		}
	}
	for _, row := range res.rows {
		f.at = st
		if err := f.into(ctx, st.Into, res, c, row); err != nil {
			return flow{}, err
		}
		end, err := f.stmts(ctx, st.Body)
		if err != nil {
			return flow{}, err
		}
		if out, done := end.leaves(st.Label); done {
			f.found(true)
			return out, nil
		}
	}
	f.found(len(res.rows) > 0)
	return flow{}, nil
}

func (f *frame) forEach(ctx context.Context, st *plpgsql.ForEach) (flow, error) {
	d, t, err := f.value(ctx, st.Value, types.T{})
	if err != nil {
		return flow{}, err
	}
	elem, ok := t.Elem()
	switch {
	case d.IsNull():
		return flow{}, sqlerr.New(sqlerr.NullValueNotAllowed, "FOREACH expression must not be null")
	case !ok:
		return flow{}, sqlerr.New(sqlerr.DatatypeMismatch, "FOREACH expression must yield an array, not type %s", t)
	case st.Slice != 0:
		return flow{}, sqlerr.Unsupported("FOREACH with SLICE").WithHint("Use FOR … IN 1 .. array_length(a, 1) LOOP.")
	}
	elems := d.Array().Elems
	for _, x := range elems {
		f.at = st
		if err := f.set(ctx, st.Into, x, elem); err != nil {
			return flow{}, err
		}
		end, err := f.stmts(ctx, st.Body)
		if err != nil {
			return flow{}, err
		}
		if out, done := end.leaves(st.Label); done {
			f.found(true)
			return out, nil
		}
	}
	f.found(len(elems) > 0)
	return flow{}, nil
}

// returns is RETURN.
func (f *frame) returns(ctx context.Context, st *plpgsql.Return) error {
	fn := f.p.f
	switch {
	case len(f.p.want) == 0 && st.Value != nil && fn.Procedure:
		return sqlerr.New(sqlerr.DatatypeMismatch, "RETURN cannot have a parameter in a procedure")
	case len(f.p.want) == 0 && st.Value != nil:
		_, _, err := f.value(ctx, st.Value, types.T{}) // of type void
		return err
	case len(f.p.want) == 0:
		return nil
	case fn.SetOf && st.Value != nil:
		return sqlerr.New(sqlerr.DatatypeMismatch, "RETURN cannot have a parameter in function returning set").
			WithHint("Use RETURN NEXT or RETURN QUERY.")
	case fn.SetOf, st.Value == nil && len(fn.Outputs()) > 0:
		return nil
	case st.Value == nil:
		return sqlerr.New(sqlerr.SyntaxError, "missing expression at or near \";\"")
	case len(fn.Outputs()) > 0:
		return sqlerr.New(sqlerr.DatatypeMismatch, "RETURN cannot have a parameter in function with OUT parameters")
	}
	return f.returnValue(ctx, st.Value)
}

// returnValue adds a value, or a row, to what is returned. A row that is NULL is none.
func (f *frame) returnValue(ctx context.Context, e *plpgsql.Expr) error {
	if !f.p.row {
		d, _, err := f.value(ctx, e, f.p.want[0].Type)
		if err != nil {
			return err
		}
		return f.keep(types.Row{d})
	}
	d, t, err := f.value(ctx, e, types.T{})
	switch {
	case err != nil:
		return err
	case !t.IsComposite() && t.OID != types.OIDRecord:
		return sqlerr.New(sqlerr.DatatypeMismatch, "cannot return non-composite value from function returning composite type")
	case d.IsNull() && f.p.f.SetOf:
		return f.keep(nulls(len(f.p.want)))
	case d.IsNull():
		return nil
	}
	rec := d.Record()
	if len(rec.Vals) != len(f.p.want) {
		return sqlerr.New(sqlerr.DatatypeMismatch, "returned record type does not match expected record type").
			WithDetail("Number of returned columns (%d) does not match expected column count (%d).", len(rec.Vals), len(f.p.want))
	}
	row := make(types.Row, len(rec.Vals))
	for i, v := range rec.Vals {
		if row[i], err = types.Cast(v, rec.Types[i], f.p.want[i].Type, false, f.s.env); err != nil {
			return err
		}
	}
	return f.keep(row)
}

func nulls(n int) types.Row {
	row := make(types.Row, n)
	for i := range row {
		row[i] = types.Null
	}
	return row
}

func (f *frame) returnNext(ctx context.Context, st *plpgsql.ReturnNext) error {
	outs := f.p.f.Outputs()
	switch {
	case !f.p.f.SetOf:
		return sqlerr.New(sqlerr.DatatypeMismatch, "cannot use RETURN NEXT in a non-SETOF function")
	case st.Value != nil && len(outs) > 0:
		return sqlerr.New(sqlerr.DatatypeMismatch, "RETURN NEXT cannot have a parameter in function with OUT parameters")
	case st.Value == nil && len(outs) == 0:
		return sqlerr.New(sqlerr.SyntaxError, "missing expression at or near \";\"")
	case st.Value == nil:
		return f.outputs()
	}
	return f.returnValue(ctx, st.Value)
}

func (f *frame) returnQuery(ctx context.Context, st *plpgsql.ReturnQuery) error {
	if !f.p.f.SetOf {
		return sqlerr.New(sqlerr.DatatypeMismatch, "cannot use RETURN QUERY in a non-SETOF function")
	}
	want := make([]types.T, len(f.p.want))
	for i, c := range f.p.want {
		want[i] = c.Type
	}
	res, _, err := f.query(ctx, st.Query, want, 0, f.mem)
	switch {
	case err != nil:
		return err
	case len(res.cols) != len(want):
		return sqlerr.New(sqlerr.DatatypeMismatch, "structure of query does not match function result type").
			WithDetail("Number of returned columns (%d) does not match expected column count (%d).", len(res.cols), len(want))
	}
	f.rows = append(f.rows, res.rows...)
	f.done(res)
	return nil
}

// sql runs a statement.
func (f *frame) sql(ctx context.Context, st *plpgsql.SQL) error {
	if len(st.Into) > 0 {
		return f.sqlInto(ctx, st)
	}
	if !st.Query.Dynamic {
		text := st.Query.Expr.Text
		c, err := f.prepare(st.Query.Expr, nil, false)
		if err != nil {
			return err
		}
		return f.perform(ctx, c, f.vals, text, false)
	}
	text, vals, v, err := f.dynamic(ctx, st.Query)
	if err != nil {
		return err
	}
	stmts, err := parser.Parse(text)
	if err != nil {
		return inPart(err, text, text)
	}
	for _, s := range stmts {
		c := &part{p: &prepared{stmt: s, body: &bind.Body{Function: f.p.f, Vars: v}}}
		if err := f.perform(ctx, c, vals, text, true); err != nil {
			return err
		}
	}
	return nil
}

// perform runs a statement whose rows, if it has any, nobody wants: only EXECUTE may have some.
func (f *frame) perform(ctx context.Context, c *part, vals []types.Datum, text string, dynamic bool) error {
	n := c.p.stmt.Tree
	switch n.Node.(type) {
	case *pg.Node_TransactionStmt:
		return sqlerr.Unsupported("%s in PL/pgSQL", transactionWord(n.GetTransactionStmt())).
			WithHint("A body runs in the transaction of the statement that calls it. A block with EXCEPTION is undone by itself.")
	case *pg.Node_CopyStmt:
		return sqlerr.Unsupported("COPY in PL/pgSQL")
	}
	if !planned(n) {
		if !f.p.f.Procedure {
			return sqlerr.Unsupported("%s in a function", strings.ToUpper(firstWord(text))).
				WithHint("A function may be called in the middle of a statement. Write a procedure, and CALL it, or use DO.")
		}
		f.s.tx.done++ // what it does to the schema takes effect with the transaction, as in a transaction block
		err := f.s.utilities(ctx, c.p, &silentWriter{f.s.out}, utilityOptions{})
		f.affected = 0
		return f.inStatement(err, text)
	}
	if !dynamic && (n.GetSelectStmt() != nil || returning(n)) {
		return sqlerr.New(sqlerr.SyntaxError, "query has no destination for result data").
			WithHint("If you want to discard the results of a SELECT, use PERFORM instead.")
	}
	if call := n.GetCallStmt(); call != nil {
		return f.call(ctx, c, vals, text)
	}
	res, err := f.run(ctx, c, vals, 1, nil)
	if err != nil {
		return f.inStatement(err, text)
	}
	f.affected = res.affected
	if !dynamic && !res.reads {
		f.found(res.affected > 0)
	}
	return nil
}

// call runs CALL. What the procedure puts out goes to the variables that stand for its output parameters.
func (f *frame) call(ctx context.Context, c *part, vals []types.Datum, text string) error {
	res, err := f.run(ctx, c, vals, 1, nil)
	if err != nil || len(res.rows) == 0 || len(res.cols) == 0 {
		return f.inStatement(err, text)
	}
	return sqlerr.Unsupported("CALL of a procedure with output parameters in PL/pgSQL").WithHint("Write a function, and assign its result.")
}

// returning says whether a statement gives rows by RETURNING.
func returning(n *pg.Node) bool {
	return len(n.GetInsertStmt().GetReturningList())+len(n.GetUpdateStmt().GetReturningList())+len(n.GetDeleteStmt().GetReturningList()) > 0
}

// sqlInto runs a statement whose first row is assigned to variables.
func (f *frame) sqlInto(ctx context.Context, st *plpgsql.SQL) error {
	if !st.Query.Dynamic {
		stmts, err := parser.Parse(st.Query.Expr.Text)
		if err != nil {
			return inPart(err, st.Query.Expr.Text, st.Query.Expr.Text)
		}
		if len(stmts) != 1 || stmts[0].Tree.GetSelectStmt() == nil && !returning(stmts[0].Tree) {
			return sqlerr.New(sqlerr.SyntaxError, "INTO used with a command that cannot return data")
		}
	}
	max := 1
	if st.Strict {
		max = 2
	}
	res, c, err := f.query(ctx, st.Query, f.intoTypes(st.Into), max, nil)
	if err != nil {
		return err
	}
	writes := c.plan != nil && c.plan.Stmt.Writes && !st.Query.Dynamic
	switch {
	case st.Strict && len(res.rows) == 0:
		return sqlerr.New(sqlerr.NoDataFound, "query returned no rows")
	case (st.Strict || writes) && res.affected > 1 && len(res.rows) > 0 && (st.Strict || returningMany(c)):
		return sqlerr.New(sqlerr.TooManyRows, "query returned more than one row").
			WithHint("Make sure the query returns a single row, or use LIMIT 1.")
	}
	var row types.Row
	if len(res.rows) > 0 {
		row = res.rows[0]
	}
	if err := f.into(ctx, st.Into, res, c, row); err != nil {
		return err
	}
	f.affected = int64(len(res.rows[:min(len(res.rows), 1)]))
	if !st.Query.Dynamic {
		f.found(len(res.rows) > 0)
	}
	return nil
}

// returningMany: of a statement that changes rows, INTO takes one row only.
func returningMany(c *part) bool { return c.p.stmt.Tree.GetSelectStmt() == nil }

// intoTypes are the types that a query's columns are converted to for some targets; zero for those of records.
func (f *frame) intoTypes(to []plpgsql.Target) []types.T {
	if len(to) == 1 && len(to[0].Path) == 0 {
		t := f.types[to[0].Var]
		if slices.Contains(f.p.open, to[0].Var) {
			return nil
		}
		if t.IsComposite() {
			_, ts := t.Fields()
			return ts
		}
		return []types.T{t}
	}
	out := make([]types.T, len(to))
	for i, x := range to {
		if len(x.Path) == 0 && !slices.Contains(f.p.open, x.Var) {
			out[i] = f.types[x.Var]
		}
	}
	return out
}

// into assigns a row to targets; without one they become NULL. Columns that are too many are left out, those
// that are missing are NULL.
func (f *frame) into(ctx context.Context, to []plpgsql.Target, res *result, c *part, row types.Row) error {
	if len(to) == 1 && len(to[0].Path) == 0 {
		v := to[0].Var
		switch t := f.types[v]; {
		case slices.Contains(f.p.open, v):
			if len(res.cols) == 1 && res.cols[0].Type.IsComposite() && row != nil {
				return f.set(ctx, to[0], row[0], res.cols[0].Type)
			}
			f.types[v], f.vals[v] = c.rowTypeOf(res.cols), types.Null
			if row == nil {
				row = nulls(len(res.cols))
			}
			f.vals[v] = types.NewComposite(f.types[v], row)
			return nil
		case t.IsComposite():
			names, _ := t.Fields()
			vals := nulls(len(names))
			copy(vals, row)
			f.vals[v] = types.NewComposite(t, vals)
			return nil
		}
	}
	for i, x := range to {
		d, t := types.Null, types.Unknown
		if i < len(res.cols) {
			if t = res.cols[i].Type; row != nil {
				d = row[i]
			}
		}
		if err := f.set(ctx, x, d, t); err != nil {
			return err
		}
	}
	return nil
}

func (f *frame) assignStmt(ctx context.Context, st *plpgsql.Assign) error {
	return f.assign(ctx, st.Target, st.Value)
}

// assign gives a target an expression's value.
func (f *frame) assign(ctx context.Context, to plpgsql.Target, e *plpgsql.Expr) error {
	var want types.T
	if t := f.types[to.Var]; len(to.Path) == 0 && !slices.Contains(f.p.open, to.Var) && !t.IsComposite() {
		want = t
	}
	if len(to.Path) > 0 {
		var err error
		if to, err = f.placed(ctx, to); err != nil {
			return err
		}
	}
	d, t, err := f.value(ctx, e, want)
	if err != nil {
		return err
	}
	return f.set(ctx, to, d, t)
}

// placed evaluates a target's subscripts. An index becomes a field of its number.
func (f *frame) placed(ctx context.Context, to plpgsql.Target) (plpgsql.Target, error) {
	path := slices.Clone(to.Path)
	for i, s := range path {
		if s.Index == nil {
			continue
		}
		d, _, err := f.value(ctx, s.Index, types.Int4)
		if err != nil {
			return to, err
		}
		if d.IsNull() {
			return to, sqlerr.New(sqlerr.NullValueNotAllowed, "array subscript in assignment must not be null")
		}
		path[i].At = int32(d.Int())
	}
	return plpgsql.Target{Var: to.Var, Path: path}, nil
}

// set gives a target a value of a type, converted as in an assignment.
func (f *frame) set(ctx context.Context, to plpgsql.Target, d types.Datum, from types.T) error {
	v := f.p.body.Vars[to.Var]
	t := f.types[to.Var]
	open := slices.Contains(f.p.open, to.Var)
	switch {
	case len(to.Path) > 0:
		if open && !t.IsComposite() {
			return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "record \"%s\" is not assigned yet", v.Name).
				WithDetail("The tuple structure of a not-yet-assigned record is indeterminate.")
		}
		whole, err := f.with(ctx, v.Name, f.vals[to.Var], t, to.Path, d, from)
		if err == nil {
			f.vals[to.Var] = whole
		}
		return err
	case open && v.Type.Record && !from.IsComposite() && !d.IsNull() && from.OID != types.OIDRecord:
		return sqlerr.New(sqlerr.DatatypeMismatch, "cannot assign non-composite value to a record variable")
	case open:
		if from.OID == types.OIDRecord && !from.IsComposite() && !d.IsNull() {
			rec := d.Record()
			from = types.RecordOf(recordNames(rec), rec.Types)
		}
		f.types[to.Var], f.vals[to.Var] = from, d
		if d.IsNull() && !from.IsComposite() {
			f.types[to.Var] = f.p.types[to.Var]
		}
		return nil
	}
	d, err := f.convert(ctx, d, from, t)
	if err == nil && d.IsNull() && v.NotNull {
		err = sqlerr.New(sqlerr.NullValueNotAllowed, "null value cannot be assigned to variable \"%s\" declared NOT NULL", v.Name)
	}
	if err == nil {
		f.vals[to.Var] = d
	}
	return err
}

func recordNames(r *types.RecordValue) []string {
	names := slices.Clone(r.Names)
	for i := len(names); i < len(r.Vals); i++ {
		names = append(names, "f"+string(rune('1'+i)))
	}
	return names
}

// convert makes a value of one type one of another, by way of its text where no cast does.
func (f *frame) convert(ctx context.Context, d types.Datum, from, to types.T) (types.Datum, error) {
	env := f.s.env
	switch {
	case from == to:
		return d, nil
	case to.IsDomain():
		return f.toDomain(ctx, d, from, to)
	case d.IsNull():
		return d, nil
	case to.IsComposite() && (from.IsComposite() || from.OID == types.OIDRecord):
		rec := d.Record()
		_, ts := to.Fields()
		vals := nulls(len(ts))
		for i := range min(len(ts), len(rec.Vals)) {
			var err error
			if vals[i], err = f.convert(ctx, rec.Vals[i], rec.Types[i], ts[i]); err != nil {
				return d, err
			}
		}
		return types.NewComposite(to, vals), nil
	}
	if c := types.CanCast(from, to.Plain()); c == types.CastImplicit || c == types.CastAssignment || from.OID == to.OID {
		return types.Cast(d, from, to, false, env)
	}
	return types.Cast(types.NewText(types.Format(from, d, env)), types.Text, to, false, env)
}

// toDomain converts a value as the binder would: a domain's conditions are SQL.
func (f *frame) toDomain(ctx context.Context, d types.Datum, from, to types.T) (types.Datum, error) {
	stmts, err := parser.Parse("SELECT $1")
	if err != nil {
		return d, err
	}
	v := &bind.Variables{Types: []types.T{from}, Into: []types.T{to}, Rows: true}
	c := &part{p: &prepared{stmt: stmts[0], body: &bind.Body{Function: f.p.f, Vars: v, Last: true}}}
	res, err := f.run(ctx, c, []types.Datum{d}, 1, nil)
	if err != nil {
		return d, err
	}
	return res.rows[0][0], nil
}

// with is a value in which a part has been replaced.
func (f *frame) with(ctx context.Context, name string, whole types.Datum, t types.T, path []plpgsql.Step, d types.Datum, from types.T) (types.Datum, error) {
	if len(path) == 0 {
		return f.convert(ctx, d, from, t)
	}
	step := path[0]
	if step.Index == nil {
		if !t.IsComposite() {
			return whole, sqlerr.New(sqlerr.DatatypeMismatch, "cannot assign to field \"%s\" of variable \"%s\" because its type %s is not a composite type", step.Field, name, t)
		}
		i := t.Field(step.Field)
		if i < 0 {
			return whole, sqlerr.New(sqlerr.UndefinedColumn, "record \"%s\" has no field \"%s\"", name, step.Field)
		}
		names, _ := t.Fields()
		vals := nulls(len(names))
		if !whole.IsNull() {
			copy(vals, whole.Record().Vals)
		}
		var err error
		if vals[i], err = f.with(ctx, name, vals[i], t.FieldType(i), path[1:], d, from); err != nil {
			return whole, err
		}
		return types.NewComposite(t, vals), nil
	}
	var subs []types.Subscript
	for len(path) > 0 && path[0].Index != nil {
		subs, path = append(subs, types.Subscript{Lo: path[0].At, Hi: path[0].At}), path[1:]
	}
	elem, ok := t.Elem()
	if !ok {
		return whole, sqlerr.New(sqlerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", t)
	}
	arr := &types.ArrayValue{Elem: elem}
	if !whole.IsNull() {
		arr = whole.Array()
	}
	part, err := f.with(ctx, name, arr.At(subs), elem, path, d, from)
	if err != nil {
		return whole, err
	}
	return arr.With(subs, part)
}

func (f *frame) assert(ctx context.Context, st *plpgsql.Assert) error {
	yes, err := f.holds(ctx, st.Cond)
	if err != nil || yes || f.s.vars.get("plpgsql.check_asserts") == "off" {
		return err
	}
	msg := "assertion failed"
	if st.Message != nil {
		text, ok, err := f.text(ctx, st.Message)
		if err != nil {
			return err
		}
		if ok {
			msg = text
		}
	}
	return sqlerr.New(sqlerr.AssertFailure, "%s", msg)
}

var severities = map[string]sqlerr.Severity{"debug": sqlerr.SeverityDebug, "log": sqlerr.SeverityLog, "info": sqlerr.SeverityInfo,
	"notice": sqlerr.SeverityNotice, "warning": sqlerr.SeverityWarning, "exception": sqlerr.SeverityError}

// raise sends a message, or fails with it.
func (f *frame) raise(ctx context.Context, st *plpgsql.Raise) error {
	if st.Level == "" {
		if len(f.caught) == 0 {
			return sqlerr.New(sqlerr.StackedDiagnosticsOutside, "RAISE without parameters cannot be used outside an exception handler")
		}
		return f.caught[len(f.caught)-1]
	}
	e := sqlerr.New(sqlerr.RaiseException, "%s", st.Condition)
	severity := severities[st.Level]
	if severity == sqlerr.SeverityWarning {
		e.Code = sqlerr.Warning
	} else if severity != sqlerr.SeverityError {
		e.Code = sqlerr.SuccessfulCompletion
	}
	e.Severity = severity
	if st.Condition != "" {
		e.Code = conditionCode(st.Condition)
	}
	if st.Message != "" || st.Condition == "" {
		msg, err := f.format(ctx, st)
		if err != nil {
			return err
		}
		e.Message = msg
	}
	if err := f.raiseOptions(ctx, st, e); err != nil {
		return err
	}
	if e.Message == "" && st.Message == "" {
		e.Message = string(e.Code)
	}
	if severity == sqlerr.SeverityError {
		return e
	}
	return f.s.notice(f.s.out, e)
}

// conditionCode reads a condition's name or SQLSTATE.
func conditionCode(c string) sqlerr.Code {
	if code, ok := sqlerr.ByName(c); ok {
		return code
	}
	return sqlerr.Code(c)
}

// format puts parameters into a message.
func (f *frame) format(ctx context.Context, st *plpgsql.Raise) (string, error) {
	var msg strings.Builder
	params := st.Params
	for i := 0; i < len(st.Message); i++ {
		switch {
		case st.Message[i] != '%':
			msg.WriteByte(st.Message[i])
		case strings.HasPrefix(st.Message[i:], "%%"):
			msg.WriteByte('%')
			i++
		case len(params) > 0:
			text, ok, err := f.text(ctx, params[0])
			if err != nil {
				return "", err
			}
			if !ok {
				text = "<NULL>"
			}
			msg.WriteString(text)
			params = params[1:]
		}
	}
	return msg.String(), nil
}

// raiseOptions reads USING.
func (f *frame) raiseOptions(ctx context.Context, st *plpgsql.Raise, e *sqlerr.Error) error {
	for _, o := range st.Options {
		text, ok, err := f.text(ctx, o.Value)
		if err != nil {
			return err
		}
		if !ok {
			return sqlerr.New(sqlerr.NullValueNotAllowed, "RAISE statement option cannot be null")
		}
		switch o.Name {
		case "errcode":
			if _, known := sqlerr.ByName(text); !known && len(text) != 5 {
				return sqlerr.New(sqlerr.UndefinedObject, "unrecognized exception condition \"%s\"", text)
			}
			e.Code = conditionCode(text)
		case "message":
			if st.Message != "" {
				return sqlerr.New(sqlerr.SyntaxError, "RAISE option already specified: MESSAGE")
			}
			e.Message = text
		case "detail":
			e.Detail = text
		case "hint":
			e.Hint = text
		case "column":
			e.Column = text
		case "constraint":
			e.Constraint = text
		case "datatype":
			e.DataType = text
		case "table":
			e.Table = text
		case "schema":
			e.Schema = text
		}
	}
	return nil
}

func (f *frame) diagnostics(ctx context.Context, st *plpgsql.GetDiagnostics) error {
	var e *sqlerr.Error
	if st.Stacked {
		if len(f.caught) == 0 {
			return sqlerr.New(sqlerr.StackedDiagnosticsOutside, "GET STACKED DIAGNOSTICS cannot be used outside an exception handler")
		}
		e = f.caught[len(f.caught)-1]
	}
	for _, it := range st.Items {
		d, t := types.Null, types.Text
		switch it.Name {
		case "row_count":
			d, t = types.NewInt(f.affected), types.Int8
		case "pg_context":
			where := "PL/pgSQL function " + f.p.name
			d = types.NewText(where + " line " + types.Format(types.Int8, types.NewInt(int64(st.Line())), f.s.env) + " at " + st.Kind())
		case "returned_sqlstate":
			d = types.NewText(string(e.Code))
		case "message_text":
			d = types.NewText(e.Message)
		case "pg_exception_detail":
			d = types.NewText(e.Detail)
		case "pg_exception_hint":
			d = types.NewText(e.Hint)
		case "pg_exception_context":
			d = types.NewText(e.Where)
		case "column_name":
			d = types.NewText(e.Column)
		case "constraint_name":
			d = types.NewText(e.Constraint)
		case "pg_datatype_name":
			d = types.NewText(e.DataType)
		case "table_name":
			d = types.NewText(e.Table)
		case "schema_name":
			d = types.NewText(e.Schema)
		}
		if err := f.set(ctx, it.Target, d, t); err != nil {
			return err
		}
	}
	return nil
}

// silentWriter keeps a statement's rows and tag from the client; notices go through.
type silentWriter struct{ ResultWriter }

// RowDescription implements ResultWriter.
func (*silentWriter) RowDescription([]Column) error { return nil }

// BeginRows implements ResultWriter.
func (*silentWriter) BeginRows([]Column) error { return nil }

// Row implements ResultWriter.
func (*silentWriter) Row(types.Row) error { return nil }

// CommandComplete implements ResultWriter.
func (*silentWriter) CommandComplete(string) error { return nil }
