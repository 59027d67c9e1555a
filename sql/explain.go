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
	analyze, err := explainOptions(n)
	if err != nil {
		return err
	}
	q := n.Query
	p := &prepared{stmt: parser.Stmt{Tree: q, Query: st.Query, Text: st.Text}}
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
	if ok, err := s.useTables(ctx, b); err != nil || !ok {
		return err
	}
	opts := plan.Options{}
	if analyze {
		opts.Wrap = func(n exec.Node) exec.Node { return exec.NewTimed(n) }
	}
	pl, err := plan.Build(b, opts)
	if err != nil {
		return err
	}
	var lines []string
	if analyze {
		if lines, err = s.analyze(ctx, pl, o); err != nil {
			return err
		}
	}
	e := &explainer{}
	e.node(pl.Root, 0)
	for i, sub := range pl.Subplans {
		e.lines = append(e.lines, fmt.Sprintf("  SubPlan %d", i+1))
		e.node(sub, 2)
	}
	rows := make([][]string, 0, len(e.lines)+len(lines))
	for _, l := range append(e.lines, lines...) {
		rows = append(rows, []string{l})
	}
	node := &pg.Node{Node: &pg.Node_ExplainStmt{ExplainStmt: n}}
	if err := s.textRows(node, w, o, rows); err != nil {
		return err
	}
	return w.CommandComplete("EXPLAIN")
}

func explainOptions(n *pg.ExplainStmt) (analyze bool, err error) {
	for _, o := range n.Options {
		d := o.GetDefElem()
		v := ""
		if d.Arg != nil {
			v = strings.ToLower(constText(d.Arg))
		}
		on := v == "" || v == "on" || v == "true" || v == "1"
		switch d.Defname {
		case "analyze":
			analyze = on
		case "format":
			if v != "text" {
				return false, sqlerr.Unsupported("EXPLAIN (FORMAT %s)", strings.ToUpper(v))
			}
		case "verbose", "costs", "buffers", "timing", "summary", "settings", "wal", "generic_plan":
		default:
			return false, sqlerr.New(sqlerr.SyntaxError, "unrecognized EXPLAIN option \"%s\"", d.Defname)
		}
	}
	return analyze, nil
}

// analyze runs a plan and throws its rows away.
func (s *Session) analyze(ctx context.Context, pl *plan.Plan, o utilityOptions) ([]string, error) {
	if err := s.allowed(pl.Stmt); err != nil {
		return nil, err
	}
	r := new(exec.Run)
	r.Reset(pl.Slots, pl.States)
	r.Ctx, r.KV, r.EC, r.Params = ctx, s.kv(), &s.ec, o.params
	r.MemoryMax, r.Wrote, r.VirtualRows = s.srv.cfg.StatementBytesMax, s.wrote, s.virtualRows
	r.DurableLocks, r.Changed = s.durableLocks(), s.rowChanged
	s.ec.Ctx = ctx
	before := s.tx.t.Stats()
	start := time.Now()
	cur, err := pl.Root.Open(r)
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	for {
		ok, err := cur.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("KV Calls: %d  KV Rows: %d  KV Round Trips: %d", r.KVCalls, r.KVRows, s.tx.t.Stats().Batches-before.Batches),
		fmt.Sprintf("Execution Time: %.3f ms", float64(time.Since(start).Microseconds())/1000),
	}, nil
}

type explainer struct{ lines []string }

// node prints an operator and what is below it, as Postgres indents plans.
func (e *explainer) node(n exec.Node, depth int) {
	x := n.Explain()
	actual := ""
	if t, ok := n.(*exec.Timed); ok {
		actual = t.Actual()
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
