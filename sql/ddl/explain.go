package ddl

import (
	"context"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Explain lists the steps of a statement that changes the schema: what is read
// and written, and for whom the table is out of use meanwhile. It runs the
// statement up to where rows or other users would notice, in a transaction that
// the caller rolls back; so it finds the same errors, but for those of rows.
func Explain(ctx context.Context, env Env, in parser.Stmt) ([]string, error) {
	if !explainable(in.Tree) {
		return nil, sqlerr.Unsupported("explaining this statement").
			WithHint("CREATE and DROP of tables and indexes, ALTER TABLE, TRUNCATE and renaming can be explained.")
	}
	var steps []string
	env.Plan = func(step string) { steps = append(steps, step) }
	env.Notice = nil
	env.Resolver.DryRun()
	tag, err := Exec(ctx, env, in)
	if err != nil {
		return nil, err
	}
	var out []string
	var names []string
	for _, o := range env.Resolver.Held() {
		names = append(names, o.Head().Name)
	}
	if len(names) > 0 {
		out = append(out, fmt.Sprintf("wait for the transactions that use %s; who comes later waits until the next commit", strings.Join(names, ", ")))
	}
	out = append(out, steps...)
	if len(steps) == 0 {
		out = append(out, "read and write no rows")
	}
	if !strings.HasPrefix(out[len(out)-1], "publish") {
		out = append(out, "commit the new definitions")
	}
	for i := range out {
		out[i] = "  ->  " + out[i]
	}
	return append([]string{tag}, out...), nil
}

func explainable(n *pg.Node) bool {
	switch n.Node.(type) {
	case *pg.Node_CreateStmt, *pg.Node_IndexStmt, *pg.Node_AlterTableStmt, *pg.Node_RenameStmt, *pg.Node_TruncateStmt, *pg.Node_DropStmt:
		return true
	}
	return false
}

func (s *stmt) plan(format string, args ...any) { s.Plan(fmt.Sprintf(format, args...)) }

// rowsOf says how many rows a table has, as far as is known.
func (s *stmt) rowsOf(ctx context.Context, t *schema.Table) string {
	if s.CountRows != nil {
		if n := s.CountRows(ctx, t.ID); n > 0 {
			return fmt.Sprintf("about %d rows of %s", n, t.Name)
		}
	}
	return "all rows of " + t.Name
}

// explain lists what run does.
func (w *rewrite) explain(ctx context.Context) {
	var what []string
	for _, ic := range w.targets {
		if ic.IsPrimary() {
			what = append(what, "write them anew")
		}
	}
	for _, ic := range w.targets {
		if !ic.IsPrimary() {
			what = append(what, "write an entry of index "+ic.Index.Name+" for each")
		}
	}
	if len(w.checks)+len(w.notNull) > 0 {
		what = append(what, "check each")
	}
	w.plan("read %s: %s", w.rowsOf(ctx, w.old), strings.Join(what, ", "))
}

// explainBuild lists what buildOnline does.
func (s *stmt) explainBuild(ctx context.Context, t *schema.Table, add func(context.Context, *tableMaker, *schema.Table) (*schema.Index, error)) error {
	t = t.Clone()
	m, err := s.changer(ctx, t)
	if err != nil {
		return err
	}
	ix, err := add(ctx, m, t)
	if err != nil {
		return err
	}
	s.plan("publish index %s, of which writers only remove entries; %s is in use all the while", ix.Name, t.Name)
	s.plan("when no transaction is older than that: publish it again, and all writers keep it up")
	unique := ""
	if ix.Unique {
		unique = " that must be the only one of its key"
	}
	s.plan("when no transaction is older than that, job: read %s in chunks, and write an entry%s for each", s.rowsOf(ctx, t), unique)
	s.plan("publish it for readers; if the job fails or is canceled, take it back")
	return nil
}

// explainProof lists what proveOnline does.
func (s *stmt) explainProof(ctx context.Context, t *schema.Table, light *pg.AlterTableStmt, rec jobs.Record) error {
	if !rec.Keep {
		sub := *s
		sub.Jobs = nil
		if err := sub.alterTable(ctx, light); err != nil {
			return err
		}
		s.plan("commit the constraint, NOT VALID: from here on all writers keep it, and the table is in use")
	}
	s.plan("job: read %s in chunks, and check each", s.rowsOf(ctx, t))
	s.plan("publish that the constraint holds; if a row breaks it, or the job is canceled, it is %s",
		map[bool]string{true: "NOT VALID as before", false: "taken back"}[rec.Keep])
	return nil
}
