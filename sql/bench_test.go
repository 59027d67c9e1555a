package sql

import (
	"context"
	"fmt"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// nullWriter takes results and forgets them.
type nullWriter struct {
	textWriter
	rows int
}

func (w *nullWriter) Mark() Mark                           { return 1 }
func (w *nullWriter) Rewind(Mark) bool                     { return true }
func (w *nullWriter) Ack(Ack) error                        { return nil }
func (w *nullWriter) ParameterDescription([]types.T) error { return nil }
func (w *nullWriter) Row(types.Row) error                  { w.rows++; return nil }
func (w *nullWriter) CommandComplete(string) error         { return nil }
func (w *nullWriter) Notice(*sqlerr.Error) error           { return nil }
func (w *nullWriter) ParameterStatus(string, string) error { return nil }

// pointPaths are the statements whose cost is watched: what one costs in KV calls is asserted by
// TestPointPathCalls, what it costs in allocations is printed by BenchmarkPoint.
var pointPaths = []struct {
	name, sql string
	args      func(i int) []string
	batches   int64
}{
	{"select", "select b from t where a = $1", func(i int) []string { return []string{fmt.Sprint(i % 1000)} }, 1},
	{"insert", "insert into t values ($1, $2)", func(i int) []string { return []string{fmt.Sprint(i + 1_000_000), "x"} }, 1},
	{"update", "update t set b = $2 where a = $1", func(i int) []string { return []string{fmt.Sprint(i % 1000), "y"} }, 2},
	{"delete", "delete from t where a = $1", func(i int) []string { return []string{fmt.Sprint(-i - 1)} }, 1},
}

func prepareAll(t testing.TB, s *Session) {
	w := &nullWriter{}
	run := func(q string) {
		if err := s.ExecSimple(t.Context(), q, w); err != nil {
			t.Fatal(err)
		}
	}
	run("create table t (a int primary key, b text)")
	run("insert into t select g, 'v' || g from generate_series(0, 999) g")
	for _, p := range pointPaths {
		if err := s.Prepare(t.Context(), w, p.name, p.sql, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func runExtended(ctx context.Context, s *Session, name string, args []string, w ResultWriter) error {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	if err := s.Bind(ctx, w, BindArgs{Statement: name, Params: raw}); err != nil {
		return err
	}
	if err := s.Execute(ctx, w, "", 0); err != nil {
		return err
	}
	return s.Sync(ctx, w)
}

func TestPointPathCalls(t *testing.T) {
	env, srv := newTestServerEnv(t)
	s := newTestSession(t, srv)
	prepareAll(t, s)
	for _, p := range pointPaths {
		w := &nullWriter{}
		for i := range 2 { // the first makes the plan
			before := env.DB.Metrics().Batches.Load()
			if err := runExtended(t.Context(), s, p.name, p.args(i), w); err != nil {
				t.Fatal(p.name, err)
			}
			if n := env.DB.Metrics().Batches.Load() - before; i == 1 && n != p.batches {
				t.Errorf("%s: %d batches, want %d", p.name, n, p.batches)
			}
		}
	}
}

func BenchmarkPoint(b *testing.B) {
	s := newTestSession(b, newTestServer(b))
	prepareAll(b, s)
	for _, p := range pointPaths {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			w := &nullWriter{}
			for i := 0; b.Loop(); i++ {
				if err := runExtended(b.Context(), s, p.name, p.args(i), w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCounting is what pg_stat_statements adds to an execution of a prepared statement.
func BenchmarkCounting(b *testing.B) {
	s := newTestSession(b, newTestServer(b))
	prepareAll(b, s)
	w := &nullWriter{}
	if err := runExtended(b.Context(), s, "select", pointPaths[0].args(1), w); err != nil {
		b.Fatal(err)
	}
	p := s.statements["select"]
	b.ReportAllocs()
	for b.Loop() {
		s.countBegin()
		s.countEnd(p)
	}
}
