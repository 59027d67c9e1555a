package sql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// DO runs the part of PL/pgSQL that migration tools write: statements, IF, RAISE, and blocks that
// catch errors (Postgres manual, 43.6.8). There are no variables and no loops. A block that catches
// errors is a savepoint; a change of the schema cannot be undone in it, so that an error after one
// passes it by.

// plStmt is a statement as libpg_query prints it: its kind and its parts.
type plStmt map[string]plBody

type plBody struct {
	Line       int      `json:"lineno"`
	Body       []plStmt `json:"body"`
	Exceptions *struct {
		Block struct {
			List []struct {
				Exception plHandler `json:"PLpgSQL_exception"`
			} `json:"exc_list"`
		} `json:"PLpgSQL_exception_block"`
	} `json:"exceptions"`
	Cond     *plExpr  `json:"cond"`
	ThenBody []plStmt `json:"then_body"`
	Elsif    []struct {
		If plBody `json:"PLpgSQL_if_elsif"`
	} `json:"elsif_list"`
	Stmts    []plStmt `json:"stmts"`
	ElseBody []plStmt `json:"else_body"`
	SQL      *plExpr  `json:"sqlstmt"`
	Into     bool     `json:"into"`
	Expr     *plExpr  `json:"expr"`
	Level    int      `json:"elog_level"`
	CondName string   `json:"condname"`
	Message  string   `json:"message"`
	Params   []plExpr `json:"params"`
	Options  []any    `json:"options"`
}

type plHandler struct {
	Conditions []struct {
		Condition struct {
			Name string `json:"condname"`
		} `json:"PLpgSQL_condition"`
	} `json:"conditions"`
	Action []plStmt `json:"action"`
}

type plExpr struct {
	Expr struct {
		Query string `json:"query"`
	} `json:"PLpgSQL_expr"`
}

// doBlock runs DO.
func (s *Session) doBlock(ctx context.Context, n *pg.DoStmt, st parser.Stmt, w ResultWriter) error {
	for _, a := range n.Args {
		d := a.GetDefElem()
		if lang := d.Arg.GetString_().GetSval(); d.Defname == "language" && !strings.EqualFold(lang, "plpgsql") {
			return sqlerr.New(sqlerr.UndefinedObject, "language \"%s\" does not exist", lang)
		}
	}
	tree, err := pg.ParsePlPgSqlToJSON(st.Text)
	if err != nil {
		return sqlerr.New(sqlerr.SyntaxError, "%s", err.Error())
	}
	var funcs []struct {
		F struct {
			Datums []map[string]struct {
				Name string `json:"refname"`
			} `json:"datums"`
			Action plStmt `json:"action"`
		} `json:"PLpgSQL_function"`
	}
	if err := json.Unmarshal([]byte(tree), &funcs); err != nil || len(funcs) != 1 {
		return sqlerr.New(sqlerr.InternalError, "cannot read the block: %v", err)
	}
	for _, d := range funcs[0].F.Datums {
		for _, v := range d {
			if !slices.Contains([]string{"found", "sqlstate", "sqlerrm"}, v.Name) {
				return sqlerr.Unsupported("a variable (%s) in DO", v.Name)
			}
		}
	}
	// What the block does to the schema takes effect with the transaction, as in a transaction block.
	s.tx.done++
	b := &doRun{s: s, w: w}
	if err := b.stmt(ctx, funcs[0].F.Action); err != nil && err != errDoReturn {
		return err
	}
	return w.CommandComplete("DO")
}

// doRun is a running block.
type doRun struct {
	s *Session
	w ResultWriter
	// caught is the error whose handler runs.
	caught *sqlerr.Error
}

// errDoReturn is RETURN.
var errDoReturn = errors.New("return")

func (b *doRun) stmts(ctx context.Context, list []plStmt) error {
	for _, st := range list {
		if err := b.stmt(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

func (b *doRun) stmt(ctx context.Context, st plStmt) error {
	for kind, p := range st {
		switch kind {
		case "PLpgSQL_stmt_block":
			return b.block(ctx, p)
		case "PLpgSQL_stmt_if":
			return b.choose(ctx, p)
		case "PLpgSQL_stmt_execsql":
			if p.Into {
				return sqlerr.Unsupported("SELECT INTO a variable in DO")
			}
			return b.where(b.run(ctx, p.SQL.Expr.Query), p.SQL, p.Line, "SQL statement")
		case "PLpgSQL_stmt_perform":
			_, err := b.value(ctx, p.Expr.Expr.Query, true)
			return b.where(err, p.Expr, p.Line, "PERFORM")
		case "PLpgSQL_stmt_raise":
			return b.where(b.raise(ctx, p), nil, p.Line, "RAISE")
		case "PLpgSQL_stmt_return":
			return errDoReturn
		}
		return sqlerr.Unsupported("%s in DO", strings.ToUpper(strings.TrimPrefix(kind, "PLpgSQL_stmt_"))).
			WithHint("DO runs SQL statements, PERFORM, IF, RAISE and blocks with EXCEPTION.")
	}
	return nil // NULL
}

// where adds the place to an error, as Postgres words it.
func (b *doRun) where(err error, sql *plExpr, line int, at string) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) || e.Where != "" || isRetryable(err) {
		return err
	}
	text := fmt.Sprintf("PL/pgSQL function inline_code_block line %d at %s", line, at)
	if sql != nil {
		text = "SQL statement \"" + sql.Expr.Query + "\"\n" + text
	}
	return e.WithWhere("%s", text)
}

// block runs a block. If it fails and a handler takes the error, all it did is undone.
func (b *doRun) block(ctx context.Context, p plBody) error {
	if p.Exceptions == nil {
		return b.stmts(ctx, p.Body)
	}
	tx := b.s.tx
	sp, undo, changes := tx.t.Savepoint(), len(tx.undo), tx.r.ChangeCount()
	err := b.stmts(ctx, p.Body)
	if err == nil || err == errDoReturn {
		if err := tx.t.Release(sp); err != nil {
			return err
		}
		return err
	}
	e := sqlerr.From(mapError(withCause(ctx, err), b.s))
	if isRetryable(err) || tx.r.ChangeCount() != changes {
		return err
	}
	for _, x := range p.Exceptions.Block.List {
		takes, bad := handles(&x.Exception, e)
		if bad != nil {
			return bad
		}
		if !takes {
			continue
		}
		if err := tx.t.RollbackTo(sp); err != nil {
			return err
		}
		b.s.undoVars(tx.undo[undo:], false)
		tx.undo = tx.undo[:undo]
		outer := b.caught
		b.caught = e
		defer func() { b.caught = outer }()
		return b.stmts(ctx, x.Exception.Action)
	}
	return err
}

// handles says whether a handler's WHEN names an error.
func handles(h *plHandler, e *sqlerr.Error) (bool, error) {
	for _, c := range h.Conditions {
		name := strings.ToLower(c.Condition.Name)
		code := sqlerr.Code(strings.ToUpper(name))
		if len(name) != 5 {
			var ok bool
			if code, ok = sqlerr.ByName(name); !ok && name != "others" {
				return false, sqlerr.New(sqlerr.UndefinedObject, "unrecognized exception condition \"%s\"", c.Condition.Name)
			}
		}
		if name == "others" && e.Code != sqlerr.QueryCanceled || code == e.Code {
			return true, nil
		}
	}
	return false, nil
}

func (b *doRun) choose(ctx context.Context, p plBody) error {
	yes, err := b.holds(ctx, p.Cond)
	if err != nil {
		return err
	}
	if yes {
		return b.stmts(ctx, p.ThenBody)
	}
	for _, e := range p.Elsif {
		if yes, err = b.holds(ctx, e.If.Cond); err != nil {
			return err
		}
		if yes {
			return b.stmts(ctx, e.If.Stmts)
		}
	}
	return b.stmts(ctx, p.ElseBody)
}

func (b *doRun) holds(ctx context.Context, cond *plExpr) (bool, error) {
	d, err := b.value(ctx, "SELECT ("+cond.Expr.Query+")::boolean", false)
	return err == nil && !d.IsNull() && d.Bool(), err
}

// raise sends a message, or fails with it.
func (b *doRun) raise(ctx context.Context, p plBody) error {
	if p.Message == "" && p.CondName == "" && b.caught != nil {
		return b.caught // RAISE; in a handler
	}
	if len(p.Options) > 0 || p.CondName != "" {
		return sqlerr.Unsupported("RAISE with a condition or USING in DO")
	}
	var msg strings.Builder
	params := p.Params
	for i := 0; i < len(p.Message); i++ {
		switch {
		case p.Message[i] != '%':
			msg.WriteByte(p.Message[i])
		case strings.HasPrefix(p.Message[i:], "%%"):
			msg.WriteByte('%')
			i++
		case len(params) == 0:
			return sqlerr.New(sqlerr.SyntaxError, "too few parameters specified for RAISE")
		default:
			text, err := b.text(ctx, params[0].Expr.Query)
			if err != nil {
				return err
			}
			msg.WriteString(text)
			params = params[1:]
		}
	}
	if len(params) > 0 {
		return sqlerr.New(sqlerr.SyntaxError, "too many parameters specified for RAISE")
	}
	severity := raiseLevel(p.Level)
	if severity == sqlerr.SeverityError {
		return sqlerr.New(sqlerr.RaiseException, "%s", msg.String())
	}
	return b.s.notice(b.w, sqlerr.New(sqlerr.SuccessfulCompletion, "%s", msg.String()).WithSeverity(severity))
}

// raiseLevel reads Postgres's numbers (elog.h).
func raiseLevel(level int) sqlerr.Severity {
	switch level {
	case 14:
		return sqlerr.SeverityDebug
	case 17:
		return sqlerr.SeverityInfo
	case 18:
		return sqlerr.SeverityNotice
	case 19:
		return sqlerr.SeverityWarning
	case 21:
		return sqlerr.SeverityError
	}
	return sqlerr.SeverityLog
}

// text evaluates a parameter of RAISE.
func (b *doRun) text(ctx context.Context, expr string) (string, error) {
	if b.caught != nil {
		switch strings.ToLower(strings.TrimSpace(expr)) {
		case "sqlerrm":
			return b.caught.Message, nil
		case "sqlstate":
			return string(b.caught.Code), nil
		}
	}
	d, err := b.value(ctx, "SELECT ("+expr+")::text", false)
	if err != nil || d.IsNull() {
		return "<NULL>", err
	}
	return d.Str(), nil
}

// run runs a statement whose result nobody wants, so that it must not be rows.
func (b *doRun) run(ctx context.Context, text string) error {
	return b.exec(ctx, text, &doWriter{ResultWriter: b.w, noRows: true})
}

// value runs a query and returns the first column of its first row, NULL if it has none.
func (b *doRun) value(ctx context.Context, query string, any bool) (types.Datum, error) {
	w := &doWriter{ResultWriter: b.w}
	err := b.exec(ctx, query, w)
	if err == nil && !any && w.rows > 1 {
		err = sqlerr.New(sqlerr.CardinalityViolation, "query returned more than one row")
	}
	return w.first, err
}

func (b *doRun) exec(ctx context.Context, text string, w ResultWriter) error {
	stmts, err := parser.Parse(text)
	if err != nil {
		return err
	}
	for _, st := range stmts {
		switch st.Tree.Node.(type) {
		case *pg.Node_TransactionStmt:
			return sqlerr.New(sqlerr.InvalidTransactionTermination, "invalid transaction termination")
		case *pg.Node_CopyStmt:
			return sqlerr.Unsupported("COPY in DO")
		}
		if err := b.s.execStatement(ctx, &prepared{stmt: st, noParams: true}, w, false); err != nil {
			e := *sqlerr.From(mapError(err, b.s))
			if isRetryable(err) {
				return err
			}
			e.Position = 0 // it would point into a part of the block
			return &e
		}
	}
	return nil
}

// doWriter keeps a statement's rows and tag from the client; notices go through.
type doWriter struct {
	ResultWriter
	noRows bool
	rows   int
	first  types.Datum
}

// RowDescription implements ResultWriter.
func (w *doWriter) RowDescription([]Column) error {
	if w.noRows {
		return sqlerr.New(sqlerr.SyntaxError, "query has no destination for result data").
			WithHint("If you want to discard the results of a SELECT, use PERFORM instead.")
	}
	return nil
}

// BeginRows implements ResultWriter.
func (w *doWriter) BeginRows([]Column) error { return nil }

// Row implements ResultWriter.
func (w *doWriter) Row(r types.Row) error {
	if w.rows++; w.rows == 1 && len(r) > 0 {
		w.first = r[0]
	}
	return nil
}

// CommandComplete implements ResultWriter.
func (w *doWriter) CommandComplete(string) error { return nil }
