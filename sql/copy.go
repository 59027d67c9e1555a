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
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

func (s *Session) copy(ctx context.Context, n *pg.CopyStmt, st parser.Stmt, w ResultWriter, alone bool) error {
	if n.Filename != "" || n.IsProgram {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "COPY to or from a file or program of the server is not allowed").
			WithHint("Use COPY … FROM STDIN or TO STDOUT; psql's \\copy command does so with local files.")
	}
	f, err := copyOptions(n, st)
	if err != nil {
		return err
	}
	s.replay.off = true
	if n.IsFrom {
		return s.copyFrom(ctx, n, st, f, w, alone)
	}
	return s.copyTo(ctx, n, st, f, w)
}

// copyFrom is an INSERT whose rows come from the client: the same checks, batches and defaults.
//
// That keys are free is checked by the writes themselves, which is half the work. A statement that is
// all of its transaction leaves it to the commit; another asks, at its end, for the rows that have not
// been sent by then. A flush that finds a duplicate ends the transaction for good, so it is not done
// where a savepoint could be gone back to.
func (s *Session) copyFrom(ctx context.Context, n *pg.CopyStmt, st parser.Stmt, f copyFormat, w ResultWriter, alone bool) error {
	cols := quoteNames(n.Attlist)
	rel := quoteIdent(n.Relation.Relname)
	if n.Relation.Schemaname != "" {
		rel = quoteIdent(n.Relation.Schemaname) + "." + rel
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	env := s.bindEnv(snap)
	pl, ts, names, err := s.copyPlan(ctx, env, rel, cols, st)
	if err != nil {
		return err
	}
	if err := s.allowed(pl.Stmt); err != nil {
		return err
	}
	if len(pl.Root.(*exec.Insert).Policies) > 0 {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY FROM not supported with row-level security").
			WithHint("Use INSERT statements instead.")
	}
	if err := f.findColumns(names); err != nil {
		return err
	}
	if err := s.readCursors(ctx); err != nil {
		return err
	}
	in, err := w.CopyIn(f.wire(), len(ts))
	if err != nil {
		return err
	}
	src := &copySource{f: f, in: in, types: ts, names: names, table: n.Relation.Relname, env: s.env}
	ins := pl.Root.(*exec.Insert)
	ins.In, ins.Stream = src, true
	r := new(exec.Run)
	r.Reset(pl.Slots, pl.States)
	r.Ctx, r.KV, r.EC, r.Params = ctx, s.kv(), &s.ec, make([]types.Datum, len(ts))
	s.budget(r)
	defer r.Done()
	r.Wrote, r.VirtualRows = s.wrote, s.virtualRows
	r.Changed, s.ec.Ctx = s.rowChanged, ctx
	r.CountChanges = s.srv.countChanges
	r.Blind = len(s.tx.savepoints) == 0
	if _, err := ins.Open(r); err != nil {
		return err
	}
	if r.Blind && (!alone || s.tx.explicit) {
		if err := s.tx.t.ProveConditions(ctx); err != nil {
			return err
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.count.rows = r.Affected
	return s.complete(w, fmt.Sprintf("COPY %d", r.Affected))
}

// copyPlan plans INSERT INTO t (…) VALUES ($1, …), with the columns' types as the parameters'.
func (s *Session) copyPlan(ctx context.Context, env bind.Env, rel string, cols []string, st parser.Stmt) (*plan.Plan, []types.T, []string, error) {
	probe, err := s.bindText(env, "SELECT * FROM "+rel, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(probe.Tables) != 1 {
		return nil, nil, nil, sqlerr.New(sqlerr.WrongObjectType, "cannot copy to %s: it is not a table", rel)
	}
	table := probe.Tables[0]
	if len(cols) == 0 {
		for _, c := range table.VisibleColumns() {
			if !c.Generated {
				cols = append(cols, quoteIdent(c.Name))
			}
		}
	}
	var ts []types.T
	var names, params []string
	for i, q := range cols {
		name := unquoteIdent(q)
		c := columnNamed(table, name)
		if c == nil {
			return nil, nil, nil, sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" of relation \"%s\" does not exist", name, table.Name)
		}
		if c.Generated {
			return nil, nil, nil, generatedInCopy(c)
		}
		ts = append(ts, tablekv.TypeOf(c.Type))
		names = append(names, name)
		params = append(params, fmt.Sprintf("$%d", i+1))
	}
	text := "INSERT INTO " + rel + " (" + strings.Join(cols, ", ") + ") OVERRIDING SYSTEM VALUE VALUES (" + strings.Join(params, ", ") + ")"
	b, err := s.bindText(env, text, ts)
	if err != nil {
		return nil, nil, nil, err
	}
	if ok, err := s.useTables(ctx, b); err != nil || !ok {
		if err == nil {
			err = &schema.StaleError{Name: table.Name}
		}
		return nil, nil, nil, err
	}
	pl, err := plan.Build(b, plan.Options{Eval: &s.ec})
	return pl, ts, names, err
}

func generatedInCopy(c *schema.Column) error {
	return sqlerr.New(sqlerr.InvalidColumnReference, "column \"%s\" is a generated column", c.Name).
		WithDetail("Generated columns cannot be used in COPY.")
}

// copiedOut checks the columns that COPY TO names, and gives those of a table that it does not name
// any of, if that is not all.
func (s *Session) copiedOut(ctx context.Context, n *pg.CopyStmt, rel string) ([]string, error) {
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	probe, err := s.bindText(s.bindEnv(snap), "SELECT FROM "+rel, nil)
	if err != nil || len(probe.Tables) != 1 {
		return quoteNames(n.Attlist), nil // the query itself says what is wrong
	}
	for _, a := range n.Attlist {
		if c := columnNamed(probe.Tables[0], a.GetString_().GetSval()); c != nil && c.Generated {
			return nil, generatedInCopy(c)
		}
	}
	if len(n.Attlist) > 0 || !slices.ContainsFunc(probe.Tables[0].Columns, func(c schema.Column) bool { return c.Generated && !c.Virtual }) {
		return quoteNames(n.Attlist), nil
	}
	var out []string
	for _, c := range probe.Tables[0].VisibleColumns() {
		if !c.Generated {
			out = append(out, quoteIdent(c.Name))
		}
	}
	return out, nil
}

func columnNamed(t *schema.Table, name string) *schema.Column {
	if c := t.Column(name); c != nil && !c.Hidden {
		return c
	}
	return nil
}

func (s *Session) bindText(env bind.Env, text string, params []types.T) (*bind.Stmt, error) {
	stmts, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	env.NoParams = len(params) == 0
	b, err := bind.Bind(env, stmts[0], params)
	if err != nil {
		e := *sqlerr.From(err)
		e.Position = 0 // it would point into this text, which the client has never seen
		return nil, &e
	}
	return b, b.Check(env.Snap.Contents, s.user())
}

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func unquoteIdent(s string) string { return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`) }

func quoteNames(ns []*pg.Node) []string {
	var out []string
	for _, n := range ns {
		out = append(out, quoteIdent(n.GetString_().GetSval()))
	}
	return out
}

// copyTo writes a table or a query's result.
func (s *Session) copyTo(ctx context.Context, n *pg.CopyStmt, st parser.Stmt, f copyFormat, w ResultWriter) error {
	p := &prepared{stmt: parser.Stmt{Tree: n.Query, Query: st.Query, Text: st.Text}}
	if n.Query == nil {
		rel := quoteIdent(n.Relation.Relname)
		if n.Relation.Schemaname != "" {
			rel = quoteIdent(n.Relation.Schemaname) + "." + rel
		}
		cols := "*"
		if names, err := s.copiedOut(ctx, n, rel); err != nil {
			return err
		} else if len(names) > 0 {
			cols = strings.Join(names, ", ")
		}
		stmts, err := parser.Parse("SELECT " + cols + " FROM " + rel)
		if err != nil {
			return err
		}
		p.stmt = stmts[0]
	}
	po := &portal{p: p}
	defer po.close(s)
	if err := s.open(ctx, po, false); err != nil {
		if n.Query == nil {
			err = aboutCopied(err, n.Relation.Relname)
		}
		return err
	}
	cols := planColumns(po.plan.Stmt, nil)
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	if err := f.findColumns(names); err != nil {
		return err
	}
	if err := w.CopyOut(f.wire(), len(cols)); err != nil {
		return err
	}
	cw := &copyWriter{f: f, cols: cols, env: s.env, w: w}
	if err := cw.head(); err != nil {
		return err
	}
	for {
		ok, err := po.cur.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := cw.row(po.run.Slots, po.plan.Out); err != nil {
			return err
		}
	}
	if err := cw.tail(); err != nil {
		return err
	}
	if err := w.CopyDone(); err != nil {
		return err
	}
	s.count.rows = cw.n
	return w.CommandComplete(fmt.Sprintf("COPY %d", cw.n))
}

// aboutCopied words an error about a table that COPY names as Postgres does; its position would
// point into the query made for it.
func aboutCopied(err error, table string) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Position = 0
	if what, ok := strings.CutSuffix(e.Message, " does not exist"); ok && e.Code == sqlerr.UndefinedColumn {
		c.Message = fmt.Sprintf("%s of relation \"%s\" does not exist", what, table)
	}
	return &c
}

// copyWriter formats rows for COPY TO.
type copyWriter struct {
	f    copyFormat
	cols []Column
	env  *types.Env
	w    ResultWriter
	buf  []byte
	val  []byte
	n    int64
}

// head writes what comes before the rows.
func (c *copyWriter) head() error {
	c.buf = c.buf[:0]
	switch {
	case c.f.binary:
		return c.w.CopyData(append(c.buf, copyBinaryHead...))
	case !c.f.header:
		return nil
	}
	for i, col := range c.cols {
		if i > 0 {
			c.buf = append(c.buf, c.f.delim)
		}
		c.value([]byte(col.Name), false)
	}
	c.buf = append(c.buf, '\n')
	return c.w.CopyData(c.buf)
}

func (c *copyWriter) row(slots []types.Datum, out []bind.ColID) error {
	c.buf = c.buf[:0]
	c.n++
	if c.f.binary {
		return c.binaryRow(slots, out)
	}
	for i, id := range out {
		if i > 0 {
			c.buf = append(c.buf, c.f.delim)
		}
		d := slots[id]
		if d.IsNull() {
			c.buf = append(c.buf, c.f.null...)
			continue
		}
		c.val = types.AppendText(c.val[:0], c.cols[i].Type, d, c.env)
		c.value(c.val, c.f.forceQuote.has(i))
	}
	c.buf = append(c.buf, '\n')
	return c.w.CopyData(c.buf)
}

// value appends a value with what the format needs to read it back.
func (c *copyWriter) value(v []byte, quote bool) {
	if c.f.csv {
		c.csvValue(v, quote)
		return
	}
	for _, b := range v {
		switch b {
		case '\\':
			c.buf = append(c.buf, '\\', '\\')
		case '\n':
			c.buf = append(c.buf, '\\', 'n')
		case '\r':
			c.buf = append(c.buf, '\\', 'r')
		case '\t':
			c.buf = append(c.buf, '\\', 't')
		case '\b':
			c.buf = append(c.buf, '\\', 'b')
		case '\f':
			c.buf = append(c.buf, '\\', 'f')
		case '\v':
			c.buf = append(c.buf, '\\', 'v')
		case c.f.delim:
			c.buf = append(c.buf, '\\', b)
		default:
			c.buf = append(c.buf, b)
		}
	}
}

func (c *copyWriter) csvValue(v []byte, quote bool) {
	quote = quote || string(v) == c.f.null || string(v) == `\.`
	for _, b := range v {
		quote = quote || b == c.f.delim || b == c.f.quote || b == '\n' || b == '\r'
	}
	if !quote {
		c.buf = append(c.buf, v...)
		return
	}
	c.buf = append(c.buf, c.f.quote)
	for _, b := range v {
		if b == c.f.quote || b == c.f.escape {
			c.buf = append(c.buf, c.f.escape)
		}
		c.buf = append(c.buf, b)
	}
	c.buf = append(c.buf, c.f.quote)
}
