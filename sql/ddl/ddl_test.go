package ddl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/schematest"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

// TestScripts runs testdata/*.txt. A script is a list of lines:
//
//	SQL;            runs it in a transaction of its own
//	begin commit rollback   bracket several
//	insert TABLE v,v,…      puts a row (all columns as text, "null" for NULL)
//	rows TABLE      prints its rows from each of its indexes
//	show TABLE      prints the descriptor as \d would
//	# comment
//
// The output of each follows it, indented; REWRITE=1 writes it anew.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runScript(t, newHarness(t), f) })
		})
		t.Run("txn/"+filepath.Base(f), func(t *testing.T) { runScript(t, newRealHarness(t), f) })
	}
}

func runScript(t *testing.T, h *harness, file string) {
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for sc := bufio.NewScanner(strings.NewReader(string(in))); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "    ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for l := range strings.Lines(h.line(line)) {
			out.WriteString("    " + strings.TrimRight(l, "\n") + "\n")
		}
	}
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := out.String(); got != string(in) {
		t.Errorf("output differs (REWRITE=1 accepts it):\n%s", got)
	}
}

// committer is a transaction of either store.
type committer interface {
	Txn
	Commit(context.Context) error
	Rollback(context.Context) error
}

// harness is a session over a store in memory.
type harness struct {
	t     testing.TB
	ctx   context.Context
	store schema.Store
	start func() committer
	cat   *schema.Catalog
	txn   committer
	r     *schema.Resolver
	inTxn bool
	rowid int64
	out   strings.Builder
}

func newHarness(t *testing.T) *harness {
	clock := hlc.NewClock(hlc.SystemClock{}, 500*time.Millisecond)
	store := schematest.New(clock)
	return &harness{t: t, ctx: t.Context(), store: store, start: func() committer { return store.Begin() },
		cat: schema.NewCatalog(schema.Config{Store: store, Clock: clock, NodeID: 1})}
}

// newRealHarness is a session over the real transaction layer.
func newRealHarness(t testing.TB) *harness {
	env := txntest.New(t)
	store := schema.NewStore(env.DB)
	err := store.Run(t.Context(), "catalog", func(ctx context.Context, t schema.Txn) error {
		for _, kv := range schema.InitialKeyValues() {
			if err := t.Put(ctx, kv.Key, kv.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return &harness{t: t, ctx: t.Context(), store: store,
		start: func() committer { return env.DB.Begin(txn.Options{Name: "session"}) },
		cat:   schema.NewCatalog(schema.Config{Store: store, Clock: env.Clock, NodeID: 1})}
}

// Compile implements Engine.
func (h *harness) Compile(e bind.Expr) (Eval, error) {
	var c exec.Compiler
	f, err := c.Compile(e)
	return func(ctx context.Context, row types.Row) (types.Datum, error) {
		return f(&exec.Run{Ctx: ctx, EC: h.evalContext(), Slots: row})
	}, err
}

func (h *harness) evalContext() *builtins.EvalContext {
	return &builtins.EvalContext{Ctx: h.ctx, Env: &types.Env{}}
}

func (h *harness) bindEnv() bind.Env {
	s, err := h.r.Snapshot(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return bind.Env{Snap: s, Database: 100, SearchPath: []string{"public"}, Types: &types.Env{}, Eval: h.evalContext()}
}

// Columns implements Engine.
func (h *harness) Columns(_ context.Context, q parser.Stmt) ([]bind.ResultCol, error) {
	st, err := bind.Bind(h.bindEnv(), q, nil)
	if err != nil {
		return nil, err
	}
	return st.Cols, nil
}

// Exec implements Engine; it only shows what it was asked to run.
func (h *harness) Fill(ctx context.Context, _ *schema.Table, query string) (int64, error) {
	return h.Exec(ctx, query)
}

func (h *harness) Exec(_ context.Context, query string) (int64, error) {
	fmt.Fprintf(&h.out, "runs: %s\n", query)
	return 0, nil
}

func (h *harness) begin() {
	h.txn = h.start()
	h.r = h.cat.Resolver(h.txn)
}

func (h *harness) end(commit bool) error {
	err := error(nil)
	if commit {
		if err = h.r.PrepareCommit(h.ctx); err == nil {
			err = h.txn.Commit(h.ctx)
		}
	}
	if !commit || err != nil {
		err = errors.Join(err, h.txn.Rollback(h.ctx))
	}
	h.r.Finish(h.ctx, commit && err == nil)
	h.r = nil
	return err
}

func (h *harness) line(line string) string {
	h.out.Reset()
	if err := h.run(line); err != nil {
		h.printError(err)
	}
	return h.out.String()
}

func (h *harness) printError(err error) {
	e := sqlerr.From(err)
	fmt.Fprintf(&h.out, "%s %s: %s\n", orError(e.Severity), e.Code, e.Message)
	if e.Position > 0 {
		fmt.Fprintf(&h.out, "  at %d\n", e.Position)
	}
	if e.Detail != "" {
		fmt.Fprintf(&h.out, "  DETAIL: %s\n", strings.ReplaceAll(e.Detail, "\n", "\n    "))
	}
	if e.Hint != "" {
		fmt.Fprintf(&h.out, "  HINT: %s\n", e.Hint)
	}
}

func orError(s sqlerr.Severity) sqlerr.Severity {
	if s == "" {
		return sqlerr.SeverityError
	}
	return s
}

func (h *harness) run(line string) error {
	cmd, arg, _ := strings.Cut(line, " ")
	switch cmd {
	case "begin":
		h.inTxn = true
		h.begin()
		return nil
	case "commit", "rollback":
		h.inTxn = false
		return h.end(cmd == "commit")
	case "insert", "rows", "show":
		if !h.inTxn {
			h.begin()
		}
		err := map[string]func(string) error{"insert": h.insert, "rows": h.rows, "show": h.show}[cmd](arg)
		if !h.inTxn {
			err = errors.Join(err, h.end(err == nil))
		}
		return err
	}
	return h.statement(line)
}

func (h *harness) statement(query string) error {
	stmts, err := parser.Parse(query)
	if err != nil {
		return err
	}
	if !h.inTxn {
		h.begin()
	}
	env := Env{Guard: contain.Do, Catalog: h.cat, Resolver: h.r, Txn: h.txn, Store: h.store, SearchPath: []string{"public"}, User: "root",
		Database: &schema.Database{Header: schema.Header{ID: 100, Name: "defaultdb"}},
		Explicit: h.inTxn, Bind: h.bindEnv(), Notice: func(e *sqlerr.Error) { h.printError(e) }, Engine: h}
	tag, err := Exec(h.ctx, env, stmts[0])
	if !h.inTxn {
		err = errors.Join(err, h.end(err == nil))
	}
	if err == nil {
		fmt.Fprintln(&h.out, tag)
	}
	return err
}

func (h *harness) table(name string) (*schema.Table, error) {
	o, _, err := h.r.Lookup(h.ctx, 100, []string{"public"}, name)
	if t, ok := o.(*schema.Table); ok {
		return t, nil
	}
	return nil, errors.Join(err, sqlerr.New(sqlerr.UndefinedTable, "no table %s", name))
}

func (h *harness) insert(arg string) error {
	name, vals, _ := strings.Cut(arg, " ")
	t, err := h.table(name)
	if err != nil {
		return err
	}
	texts := strings.Split(vals, ",")
	row := make(types.Row, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		switch {
		case c.Hidden:
			h.rowid++
			row[i] = types.NewInt(1<<40 + h.rowid)
		case texts[0] == "null":
			texts = texts[1:]
		default:
			if row[i], err = types.ParseText(typeOf(c), texts[0], nil); err != nil {
				return err
			}
			texts = texts[1:]
		}
	}
	c := tablekv.NewCodec(t)
	for _, ix := range t.AllIndexes() {
		ic := c.IndexByID(ix.ID)
		key, _, err := ic.Key(row)
		if err != nil {
			return err
		}
		if err := h.txn.PutIfAbsent(h.ctx, key, ic.Value(row)); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) rows(name string) error {
	t, err := h.table(name)
	if err != nil {
		return err
	}
	c := tablekv.NewCodec(t)
	for _, ix := range t.AllIndexes() {
		ic := c.IndexByID(ix.ID)
		at := make([]int, len(t.Columns))
		for i := range at {
			at[i] = -1
			if ic.Covers(i) {
				at[i] = i
			}
		}
		p := t.IndexPrefix(ix.ID)
		kvs, _, err := h.txn.Scan(h.ctx, kvapi.Span{Key: p, EndKey: p.PrefixEnd()}, txn.ScanOptions{})
		if err != nil {
			return err
		}
		fmt.Fprintf(&h.out, "%s:", or(ix.Name, "hidden key"))
		for _, kv := range kvs {
			row := make(types.Row, len(t.Columns))
			if err := ic.NewDecoder(at).Decode(kv.Key, kv.Value, row); err != nil {
				return err
			}
			h.out.WriteString(" (" + h.rowText(t, at, row) + ")")
		}
		h.out.WriteString("\n")
	}
	return nil
}

func or(s, alt string) string {
	if s == "" {
		return alt
	}
	return s
}

func (h *harness) rowText(t *schema.Table, at []int, row types.Row) string {
	var out []string
	for i, d := range row {
		c := &t.Columns[i]
		switch {
		case c.Hidden || at[i] < 0:
		case d.IsNull():
			out = append(out, c.Name+"=null")
		default:
			out = append(out, c.Name+"="+string(types.AppendText(nil, typeOf(c), d, nil)))
		}
	}
	return strings.Join(out, " ")
}

func (h *harness) show(name string) error {
	t, err := h.table(name)
	if err != nil {
		return err
	}
	for _, c := range t.Columns {
		fmt.Fprintf(&h.out, "%d %s %s", c.ID, c.Name, typeOf(&c))
		if c.NotNull {
			h.out.WriteString(" not null")
		}
		if c.Default != "" {
			h.out.WriteString(" default " + c.Default)
		}
		if c.Identity != schema.IdentityNone {
			h.out.WriteString(" identity")
		}
		if c.Hidden {
			h.out.WriteString(" hidden")
		}
		h.out.WriteString("\n")
	}
	for _, ix := range t.AllIndexes() {
		fmt.Fprintf(&h.out, "index %s (%s) unique=%v constraint=%v\n", or(ix.Name, "hidden key"), columnLabel(t, ix.Columns),
			ix.Unique, ix.ConstraintOID != 0)
	}
	for _, c := range t.Checks {
		fmt.Fprintf(&h.out, "check %s (%s)\n", c.Name, c.Expr)
	}
	for _, fk := range t.ForeignKeys {
		fmt.Fprintf(&h.out, "foreign key %s %v to %d columns not valid=%v deferred=%v\n", fk.Name, fk.Columns, len(fk.TargetColumns),
			fk.NotValid, fk.InitiallyDeferred)
	}
	if len(t.ReferencedBy) > 0 {
		fmt.Fprintf(&h.out, "referenced by %d tables\n", len(t.ReferencedBy))
	}
	return nil
}

// BenchmarkAddPrimaryKey moves rows to a primary key, as pgbench -i does.
func BenchmarkAddPrimaryKey(b *testing.B) {
	const rows = 20_000
	for b.Loop() {
		b.StopTimer()
		h := newRealHarness(b)
		h.mustRun("CREATE TABLE t (aid int not null, bid int, filler char(84))")
		for at := 0; at < rows; at += 1000 {
			h.mustRun("begin")
			for i := range 1000 {
				h.mustRun(fmt.Sprintf("insert t %d,1,x", at+i))
			}
			h.mustRun("commit")
		}
		b.StartTimer()
		h.mustRun("ALTER TABLE t ADD PRIMARY KEY (aid)")
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func (h *harness) mustRun(line string) {
	if err := h.run(line); err != nil {
		h.t.Fatalf("%s: %v", line, err)
	}
}

// fork is another session on the same node.
func (h *harness) fork() *harness {
	return &harness{t: h.t, ctx: h.ctx, store: h.store, start: h.start, cat: h.cat}
}

// retried runs a statement as a session does: again while it must be retried.
func (h *harness) retried(query string) error {
	for n := 0; ; n++ {
		err := h.run(query)
		var r interface{ Retryable() bool }
		if err == nil || n == 50 || !errors.As(err, &r) || !r.Retryable() {
			return err
		}
	}
}

func TestSessionsChangeTheSchemaAtOnce(t *testing.T) {
	h := newRealHarness(t)
	h.mustRun("CREATE TABLE shared (a int PRIMARY KEY)")
	const sessions, each = 4, 5
	errs := make(chan error, sessions)
	for i := range sessions {
		s := h.fork()
		go func() {
			var err error
			for n := 0; n < each && err == nil; n++ {
				err = errors.Join(
					s.retried(fmt.Sprintf("CREATE TABLE t%d_%d (a int PRIMARY KEY)", i, n)),
					s.retried(fmt.Sprintf("ALTER TABLE shared ADD COLUMN c%d_%d int", i, n)))
			}
			errs <- err
		}()
	}
	for range sessions {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	h.begin()
	tab, err := h.table("shared")
	if err != nil || len(tab.Columns) != 1+sessions*each {
		t.Errorf("%d columns, %v", len(tab.Columns), err)
	}
	s, err := h.r.Snapshot(h.ctx)
	if err != nil || len(s.Tables(100)) != 1+sessions*each {
		t.Errorf("%d tables, %v", len(s.Tables(100)), err)
	}
	if err := h.end(true); err != nil {
		t.Error(err)
	}
}
