package sql

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/ddl"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

type utilityOptions struct {
	describe bool // the simple protocol: announce columns
	alone    bool // nothing else is in the query string
	formats  []Format
	params   []types.Datum
}

// utility runs a statement that is not planned.
func (s *Session) utility(ctx context.Context, p *prepared, w ResultWriter, o utilityOptions) error {
	switch n := p.stmt.Tree.Node.(type) {
	case *pg.Node_TransactionStmt:
		return s.transaction(ctx, n.TransactionStmt, w)
	case *pg.Node_VariableSetStmt:
		return s.set(n.VariableSetStmt, w)
	case *pg.Node_VariableShowStmt:
		return s.show(n.VariableShowStmt, w, o)
	case *pg.Node_AlterSystemStmt:
		return s.alterSystem(ctx, n.AlterSystemStmt.Setstmt, w, o.alone || s.simpleDDL())
	case *pg.Node_PrepareStmt:
		return s.prepareStmt(ctx, n.PrepareStmt, p.stmt, w)
	case *pg.Node_ExecuteStmt:
		return s.executeStmt(ctx, n.ExecuteStmt, p.stmt, w, o)
	case *pg.Node_DeallocateStmt:
		return s.deallocate(n.DeallocateStmt, w)
	case *pg.Node_DiscardStmt:
		return s.discard(ctx, n.DiscardStmt, w)
	case *pg.Node_ExplainStmt:
		return s.explain(ctx, n.ExplainStmt, p.stmt, w, o)
	case *pg.Node_CopyStmt:
		return s.copy(ctx, n.CopyStmt, p.stmt, w, o.alone)
	case *pg.Node_SelectStmt:
		return s.selectInto(ctx, n.SelectStmt, p.stmt, w, o)
	case *pg.Node_ConstraintsSetStmt:
		return s.setConstraints(ctx, n.ConstraintsSetStmt, w)
	case *pg.Node_DeclareCursorStmt:
		return s.declare(ctx, n.DeclareCursorStmt, p, w, o)
	case *pg.Node_FetchStmt:
		return s.fetchStmt(ctx, n.FetchStmt, w, o)
	case *pg.Node_ClosePortalStmt:
		return s.closeCursor(n.ClosePortalStmt, w)
	case *pg.Node_ListenStmt:
		return s.listenStmt(n.ListenStmt, w)
	case *pg.Node_NotifyStmt:
		return s.notifyStmt(n.NotifyStmt, w)
	case *pg.Node_UnlistenStmt:
		return s.unlistenStmt(n.UnlistenStmt, w)
	case *pg.Node_DoStmt:
		return s.doBlock(ctx, n.DoStmt, p.stmt, w)
	case *pg.Node_VacuumStmt:
		return s.analyzeStmt(ctx, n.VacuumStmt, w)
	case *pg.Node_LockStmt:
		return s.lockTable(ctx, n.LockStmt, w)
	}
	return s.ddl(ctx, p.stmt, w, o.alone)
}

// utilityColumns are the columns of a statement that is not planned.
func (s *Session) utilityColumns(n *pg.Node) []Column {
	text := func(name string) Column { return Column{Name: name, Type: types.Text} }
	switch x := n.Node.(type) {
	case *pg.Node_VariableShowStmt:
		if x.VariableShowStmt.Name == "all" {
			return []Column{text("name"), text("setting"), text("description")}
		}
		return []Column{text(showName(x.VariableShowStmt.Name))}
	case *pg.Node_ExplainStmt:
		if o, err := explainOptions(x.ExplainStmt); err == nil && o.format == "json" {
			return []Column{{Name: "QUERY PLAN", Type: types.JSON}}
		}
		return []Column{text("QUERY PLAN")}
	case *pg.Node_FetchStmt:
		if c := s.cursors[x.FetchStmt.Portalname]; c != nil && !x.FetchStmt.Ismove {
			return append([]Column{}, c.cols...)
		}
	case *pg.Node_ExecuteStmt:
		if p := s.statements[x.ExecuteStmt.Name]; p != nil {
			return slices.Clone(s.columns(p, nil)) // the caller sets formats
		}
	}
	return nil
}

// texts writes rows of text.
func (s *Session) textRows(n *pg.Node, w ResultWriter, o utilityOptions, rows [][]string) error {
	cols := withFormats(s.utilityColumns(n), o.formats)
	if o.describe {
		if err := w.RowDescription(cols); err != nil {
			return err
		}
	}
	if err := w.BeginRows(cols); err != nil {
		return err
	}
	for _, r := range rows {
		row := make(types.Row, len(r))
		for i, v := range r {
			row[i] = types.NewText(v)
		}
		if err := w.Row(row); err != nil {
			return err
		}
	}
	return nil
}

// ddl runs a statement that changes the schema.
func (s *Session) ddl(ctx context.Context, st parser.Stmt, w ResultWriter, alone bool) error {
	if s.tx.readOnly {
		return sqlerr.New(sqlerr.ReadOnlySQLTransaction, "cannot change the schema in a read-only transaction")
	}
	if err := s.pendingChecks(st.Tree); err != nil {
		return err
	}
	if err := s.readCursors(ctx); err != nil {
		return err
	}
	if err := s.makeSerializable(ctx); err != nil {
		return err
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	s.tx.r.ShareRanges(s.vars.get(sharedRanges) == "on")
	var noticeErr error
	env := s.ddlEnv(snap)
	env.Resolver, env.Txn = s.tx.r, s.tx.t
	env.Explicit = s.tx.explicit || s.tx.done > 0 || !alone && !s.simpleDDL()
	env.Notice = func(e *sqlerr.Error) {
		if err := s.notice(w, e); err != nil {
			noticeErr = err
		}
	}
	env.NoticeNow = func(e *sqlerr.Error) {
		env.Notice(e)
		if f, ok := w.(Flusher); ok {
			if err := f.Flush(); err != nil {
				noticeErr = err
			}
		}
	}
	tag, err := ddl.Exec(ctx, env, st)
	if err != nil {
		return err
	}
	if noticeErr != nil {
		return noticeErr
	}
	return w.CommandComplete(tag)
}

// simpleDDL: in the extended protocol a statement is alone if nothing ran before it.
func (s *Session) simpleDDL() bool { return s.tx.done == 0 }

// engine is what DDL needs of execution.
type engine struct{ s *Session }

// Compile implements ddl.Engine.
func (e engine) Compile(x bind.Expr) (ddl.Eval, error) {
	var c exec.Compiler
	f, err := c.Compile(x)
	if err != nil {
		return nil, err
	}
	run := &exec.Run{EC: &e.s.ec}
	return func(ctx context.Context, row types.Row) (d types.Datum, err error) {
		run.Ctx, run.Slots = ctx, row
		err = e.s.guard(func() (err error) {
			d, err = f(run)
			return err
		})
		return d, err
	}, nil
}

// Columns implements ddl.Engine.
func (e engine) Columns(ctx context.Context, st parser.Stmt) ([]bind.ResultCol, error) {
	snap, err := e.s.tx.r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	env := e.s.bindEnv(snap)
	env.NoParams = true
	b, err := bind.Bind(env, st, nil)
	if err != nil {
		return nil, err
	}
	return b.Cols, nil
}

// Fill implements ddl.Engine.
func (e engine) Fill(ctx context.Context, view *schema.Table, query string) (int64, error) {
	e.s.filling = view
	defer func() { e.s.filling = nil }()
	return e.Exec(ctx, query)
}

// Exec implements ddl.Engine.
func (e engine) Exec(ctx context.Context, query string) (int64, error) {
	stmts, err := parser.Parse(query)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, st := range stmts {
		affected, err := e.one(ctx, st)
		if n += affected; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (e engine) one(ctx context.Context, st parser.Stmt) (affected int64, err error) {
	po := &portal{p: &prepared{stmt: st, noParams: true}}
	defer po.close(e.s)
	if err := e.s.open(ctx, po, false); err != nil {
		return 0, err
	}
	return po.run.Affected, nil
}

// selectInto is CREATE TABLE AS under its older name.
func (s *Session) selectInto(ctx context.Context, n *pg.SelectStmt, st parser.Stmt, w ResultWriter, o utilityOptions) error {
	q := proto.Clone(n).(*pg.SelectStmt)
	q.IntoClause = nil
	as := &pg.CreateTableAsStmt{Query: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: q}}, Into: n.IntoClause,
		Objtype: pg.ObjectType_OBJECT_TABLE, IsSelectInto: true}
	tree := &pg.Node{Node: &pg.Node_CreateTableAsStmt{CreateTableAsStmt: as}}
	return s.ddl(ctx, parser.Stmt{Tree: tree, Query: st.Query, Text: st.Text}, w, o.alone)
}

func (s *Session) set(n *pg.VariableSetStmt, w ResultWriter) error {
	name := strings.ToLower(n.Name)
	var err error
	switch n.Kind {
	case pg.VariableSetKind_VAR_SET_VALUE:
		if n.IsLocal && !s.tx.explicit {
			return s.noEffect("SET LOCAL", w)
		}
		err = s.setVar(name, setValue(name, n.Args), n.IsLocal, w)
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
		err = s.resetVar(name, w)
	case pg.VariableSetKind_VAR_RESET_ALL:
		err = s.resetAll(w)
	case pg.VariableSetKind_VAR_SET_MULTI:
		err = s.setMulti(n, w)
	case pg.VariableSetKind_VAR_SET_CURRENT:
		err = s.setVar(name, s.vars.get(name), n.IsLocal, w)
	}
	if err != nil {
		return err
	}
	if n.Kind == pg.VariableSetKind_VAR_RESET || n.Kind == pg.VariableSetKind_VAR_RESET_ALL {
		return w.CommandComplete("RESET")
	}
	return w.CommandComplete("SET")
}

// noEffect is what a statement says that means nothing outside a transaction block.
func (s *Session) noEffect(what string, w ResultWriter) error {
	if err := s.notice(w, warning(sqlerr.NoActiveSQLTransaction, what+" can only be used in transaction blocks")); err != nil {
		return err
	}
	return w.CommandComplete("SET")
}

func (s *Session) resetAll(w ResultWriter) error {
	for name := range s.vars.vals {
		if strings.HasPrefix(name, "transaction_") || name == idempotencyKey {
			continue
		}
		if err := s.resetVar(name, w); err != nil {
			return err
		}
	}
	return nil
}

// setValue joins the values of SET name = a, b.
func setValue(name string, args []*pg.Node) string {
	var parts []string
	for _, a := range args {
		v := constText(a)
		if name == "search_path" {
			v = quotePath(v)
		}
		parts = append(parts, v)
	}
	return strings.Join(parts, ", ")
}

func quotePath(v string) string {
	for _, c := range v {
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != ',' && c != ' ' && c != '"' {
			return `"` + v + `"`
		}
	}
	return v
}

func constText(n *pg.Node) string {
	if t := n.GetTypeCast(); t != nil { // SET TIME ZONE INTERVAL …
		return constText(t.Arg)
	}
	c := n.GetAConst()
	if c == nil {
		return n.GetString_().GetSval()
	}
	switch v := c.Val.(type) {
	case *pg.A_Const_Sval:
		return v.Sval.Sval
	case *pg.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.GetIval()))
	case *pg.A_Const_Fval:
		return v.Fval.Fval
	case *pg.A_Const_Boolval:
		return strconv.FormatBool(v.Boolval.GetBoolval())
	}
	return "0"
}

// setMulti is SET TRANSACTION and SET SESSION CHARACTERISTICS.
func (s *Session) setMulti(n *pg.VariableSetStmt, w ResultWriter) error {
	switch strings.ToUpper(n.Name) {
	case "TRANSACTION":
		if !s.tx.explicit {
			return s.notice(w, warning(sqlerr.NoActiveSQLTransaction, "SET TRANSACTION can only be used in transaction blocks"))
		}
		return s.txnModes(n.Args, "")
	case "SESSION CHARACTERISTICS":
		return s.txnModes(n.Args, "default_")
	}
	return sqlerr.Unsupported("SET %s", n.Name)
}

// txnModes applies ISOLATION LEVEL, READ ONLY and the like.
func (s *Session) txnModes(opts []*pg.Node, prefix string) error {
	for _, o := range opts {
		d := o.GetDefElem()
		v := constText(d.Arg)
		var err error
		switch d.Defname {
		case "transaction_isolation":
			err = s.setVar(prefix+d.Defname, v, false, nil)
		case "transaction_read_only":
			on := v == "1" || v == "true"
			if prefix == "" && s.tx != nil {
				if !on && s.tx.readOnly && s.tx.done > 0 {
					return sqlerr.New(sqlerr.ActiveSQLTransaction, "transaction read-write mode must be set before any query")
				}
				s.tx.readOnly = on
			} else if prefix != "" {
				err = s.setVar("default_transaction_read_only", onOff(on), false, nil)
			}
		case "transaction_deferrable":
			on := v == "1" || v == "true"
			if prefix == "" && s.tx != nil {
				s.tx.deferrable = on
			} else if prefix != "" {
				err = s.setVar("default_transaction_deferrable", onOff(on), false, nil)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func showName(name string) string {
	if d, ok := varDefs[strings.ToLower(name)]; ok && d.report != "" {
		return d.report
	}
	return strings.ToLower(name)
}

func (s *Session) show(n *pg.VariableShowStmt, w ResultWriter, o utilityOptions) error {
	node := &pg.Node{Node: &pg.Node_VariableShowStmt{VariableShowStmt: n}}
	var rows [][]string
	if n.Name == "all" {
		for _, name := range s.vars.names() {
			rows = append(rows, []string{showName(name), s.vars.get(name), ""})
		}
	} else {
		v, ok := s.vars.lookup(n.Name)
		if !ok {
			return sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", n.Name)
		}
		if strings.EqualFold(n.Name, "transaction_read_only") && s.tx.readOnly {
			v = "on"
		}
		rows = [][]string{{v}}
	}
	if err := s.textRows(node, w, o, rows); err != nil {
		return err
	}
	return w.CommandComplete("SHOW")
}

func (s *Session) prepareStmt(ctx context.Context, n *pg.PrepareStmt, st parser.Stmt, w ResultWriter) error {
	if _, ok := s.statements[n.Name]; ok {
		return sqlerr.New(sqlerr.DuplicatePreparedStatement, "prepared statement \"%s\" already exists", n.Name)
	}
	p := &prepared{name: n.Name, stmt: parser.Stmt{Tree: n.Query, Query: st.Query, Text: st.Text}}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	env := s.bindEnv(snap)
	for _, t := range n.Argtypes {
		x, err := bind.TypeName(env, st.Query, t.GetTypeName())
		if err != nil {
			return err
		}
		p.hints = append(p.hints, x)
	}
	if _, err := s.planFor(ctx, p); err != nil {
		return err
	}
	p.text, p.made, p.fromSQL = st.Text, time.Now(), true
	s.statements[n.Name] = p
	return w.CommandComplete("PREPARE")
}

func (s *Session) executeStmt(ctx context.Context, n *pg.ExecuteStmt, st parser.Stmt, w ResultWriter, o utilityOptions) error {
	p, err := s.statement(n.Name)
	if err != nil {
		return err
	}
	if _, err := s.planFor(ctx, p); err != nil {
		return err
	}
	ts := p.params()
	if len(n.Params) != len(ts) {
		return sqlerr.New(sqlerr.SyntaxError, "wrong number of parameters for prepared statement \"%s\"", n.Name).
			WithDetail("Expected %d parameters but got %d.", len(ts), len(n.Params))
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	params := make([]types.Datum, len(ts))
	for i, x := range n.Params {
		e, err := bind.BindExpr(s.bindEnv(snap), x, st.Query, nil, ts[i])
		if err != nil {
			return err
		}
		f, err := (&exec.Compiler{}).Compile(e)
		if err != nil {
			return err
		}
		if params[i], err = f(&exec.Run{Ctx: ctx, EC: &s.ec, Params: o.params}); err != nil {
			return err
		}
	}
	return s.runPlanned(ctx, p, w, runOptions{params: params, formats: o.formats, describe: o.describe})
}

func (s *Session) deallocate(n *pg.DeallocateStmt, w ResultWriter) error {
	if n.Name == "" {
		clear(s.statements)
		return w.CommandComplete("DEALLOCATE ALL")
	}
	if _, err := s.statement(n.Name); err != nil {
		return err
	}
	delete(s.statements, n.Name)
	return w.CommandComplete("DEALLOCATE")
}

func (s *Session) discard(ctx context.Context, n *pg.DiscardStmt, w ResultWriter) error {
	switch n.Target {
	case pg.DiscardMode_DISCARD_ALL:
		if s.tx.explicit {
			return sqlerr.New(sqlerr.ActiveSQLTransaction, "DISCARD ALL cannot run inside a transaction block")
		}
		if err := s.resetAll(w); err != nil {
			return err
		}
		if err := s.advisory.UnlockAll(ctx); err != nil {
			return err
		}
		if err := s.dropTemp(ctx); err != nil {
			return err
		}
		s.tx.listens = append(s.tx.listens, listenChange{stop: true})
		clear(s.statements)
		clear(s.currval)
		for name := range s.cursors {
			s.endCursor(name)
		}
		return w.CommandComplete("DISCARD ALL")
	case pg.DiscardMode_DISCARD_SEQUENCES:
		clear(s.currval)
		return w.CommandComplete("DISCARD SEQUENCES")
	case pg.DiscardMode_DISCARD_PLANS:
		return w.CommandComplete("DISCARD PLANS")
	}
	if err := s.dropTemp(ctx); err != nil {
		return err
	}
	return w.CommandComplete("DISCARD TEMP")
}
