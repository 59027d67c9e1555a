package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// explain shows a plan; with ANALYZE the statement runs and each operator is timed.
func (s *Session) explain(ctx context.Context, n *pg.ExplainStmt, st parser.Stmt, w ResultWriter, o utilityOptions) error {
	opt, err := explainOptions(n)
	if err != nil {
		return err
	}
	start := time.Now()
	q := n.Query
	p := &prepared{stmt: parser.Stmt{Tree: q, Query: st.Query, Text: st.Text, MySQL: st.MySQL}}
	if x := q.GetExecuteStmt(); x != nil {
		if p, err = s.statement(x.Name); err != nil {
			return err
		}
	} else if !planned(q) {
		return sqlerr.Unsupported("EXPLAIN of this statement")
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	b, err := bind.Bind(s.bindEnv(snap), p.stmt, p.hints)
	if err != nil {
		return err
	}
	if err := b.Check(snap.Contents, s.user()); err != nil {
		return err
	}
	if ok, err := s.useTables(ctx, b); err != nil || !ok {
		return err
	}
	opts, err := s.planOptions(ctx, b)
	if err != nil {
		return err
	}
	if opt.analyze && len(b.Params) > len(o.params) {
		if q.GetExecuteStmt() != nil {
			return sqlerr.Unsupported("EXPLAIN ANALYZE EXECUTE of a statement with parameters")
		}
		return sqlerr.New(sqlerr.UndefinedParameter, "there is no parameter $%d", len(o.params)+1)
	}
	if opt.analyze {
		opts.Wrap = func(n exec.Node) exec.Node { return exec.NewTimed(n) }
	}
	pl, err := plan.Build(b, opts)
	if err != nil {
		return err
	}
	run := explainRun{planning: time.Since(start)}
	if opt.analyze {
		if err = s.analyze(ctx, pl, o, &run); err != nil {
			return err
		}
	}
	node := &pg.Node{Node: &pg.Node_ExplainStmt{ExplainStmt: n}}
	if opt.format != "text" {
		rows := [][]string{{structured(opt, pl, run).format(opt.format)}}
		if err := s.textRows(node, w, o, rows); err != nil {
			return err
		}
		return w.CommandComplete("EXPLAIN")
	}
	e := &explainer{timing: opt.timing, costs: opt.costs, pl: pl}
	e.node(pl.Root, 0)
	for i, sub := range pl.Subplans {
		e.lines = append(e.lines, fmt.Sprintf("  SubPlan %d", i+1))
		e.node(sub, 2)
	}
	rows := make([][]string, 0, len(e.lines)+3)
	for _, l := range append(e.lines, run.lines(opt)...) {
		rows = append(rows, []string{l})
	}
	if err := s.textRows(node, w, o, rows); err != nil {
		return err
	}
	return w.CommandComplete("EXPLAIN")
}

// analyze runs a plan and throws its rows away.
func (s *Session) analyze(ctx context.Context, pl *plan.Plan, o utilityOptions, out *explainRun) error {
	if err := s.allowed(pl.Stmt); err != nil {
		return err
	}
	r := new(exec.Run)
	r.Reset(pl.Slots, pl.States)
	r.Ctx, r.KV, r.EC, r.Params = ctx, s.kv(), &s.ec, o.params
	s.budget(r)
	r.NoBeside, r.BesideAtOnce = s.vars.pushdownOff, s.vars.pushdownForced
	defer r.Done()
	r.Wrote, r.VirtualRows = s.wrote, s.virtualRows
	r.DurableLocks, r.Changed = s.durableLocks(), s.rowChanged
	r.CountChanges = s.srv.countChanges
	s.ec.Ctx = ctx
	before := s.tx.t.Stats()
	start := time.Now()
	r.ReadAhead = !pl.Stmt.Writes && !pl.Stmt.Volatile && !pl.Stmt.Virtual
	defer r.Quiesce()
	cur, err := pl.Root.Open(r)
	if err != nil {
		return err
	}
	defer cur.Close()
	for {
		ok, err := cur.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
	}
	r.Quiesce()
	if err := s.settle(ctx); err != nil {
		return err
	}
	out.spilledFiles, out.spilledBytes = r.Spilled.Files, r.Spilled.Bytes
	after := s.tx.t.Stats()
	out.beside = r.KVBeside
	out.kvCalls, out.kvRows, out.roundTrips = r.KVCalls, r.KVRows, after.Batches-before.Batches
	out.followerReads = after.FollowerReads - before.FollowerReads
	out.execution = time.Since(start)
	return nil
}

// lines are what the text format says of the whole statement.
func (r explainRun) lines(o explainOpts) []string {
	var out []string
	if o.analyze {
		out = append(out, fmt.Sprintf("KV Calls: %d  KV Rows: %d  KV Round Trips: %d", r.kvCalls, r.kvRows, r.roundTrips))
		if r.beside > 0 {
			out = append(out, fmt.Sprintf("Rows Done Beside Data: %d", r.beside))
		}
		if r.followerReads > 0 {
			out = append(out, fmt.Sprintf("Follower Reads: %d", r.followerReads))
		}
	}
	if o.analyze && r.spilledFiles > 0 {
		out = append(out, fmt.Sprintf("Spilled: %d files, %dkB", r.spilledFiles, (r.spilledBytes+1023)>>10))
	}
	if o.summary {
		out = append(out, fmt.Sprintf("Planning Time: %.3f ms", millisOf(r.planning)))
	}
	if o.summary && o.analyze {
		out = append(out, fmt.Sprintf("Execution Time: %.3f ms", millisOf(r.execution)))
	}
	return out
}

type explainer struct {
	lines  []string
	timing bool
	costs  bool
	pl     *plan.Plan
}

// node prints an operator and what is below it, as Postgres indents plans.
func (e *explainer) node(n exec.Node, depth int) {
	n = shownNode(n)
	x := n.Explain()
	actual := ""
	if est, ok := e.pl.Estimates[n]; ok && e.costs {
		actual = fmt.Sprintf("  (cost=0.00..%.2f rows=%.0f width=0)", est.Cost, est.Rows)
	}
	if t, ok := n.(*exec.Timed); ok {
		actual += t.Actual(e.timing)
	}
	pad, arrow := strings.Repeat(" ", max(depth*6-4, 0)), ""
	if depth > 0 {
		arrow = "->  "
	}
	e.lines = append(e.lines, pad+arrow+x.Title+actual)
	in := strings.Repeat(" ", max(depth*6-4, 0)+len(arrow)+2)
	for _, d := range x.Details {
		e.lines = append(e.lines, in+d)
	}
	for _, k := range x.Kids {
		e.node(k, depth+1)
	}
}
