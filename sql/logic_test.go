package sql

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/pushdown"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn/txntest"
)

// TestLogic runs testdata/*.txt over the real transaction layer and a store in memory. A script is
// SQL statements, each ended by a line that ends in ';', and below each its output, indented by
// four spaces: rows as values separated by '|', then the command tag; errors as Postgres's psql
// shows them with VERBOSITY verbose, in short. Lines that begin with '--' are comments, and
//
//	@name      switches to another session, made on first use
//	notifications show below the statement after which the client gets them
//	COPY … FROM STDIN takes the lines up to "\." as its data
//
// REWRITE=1 writes the output anew.
func TestLogic(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) { runLogic(t, f) })
	}
}

func newTestServer(t testing.TB) *Server {
	_, srv := newTestServerEnv(t)
	return srv
}

func newTestServerEnv(t testing.TB) (*txntest.Env, *Server) {
	env := txntest.New(t)
	env.Cluster.Programs = &pushdown.Programs{}
	store := schema.NewStore(env.DB)
	err := store.Run(t.Context(), "catalog", func(ctx context.Context, tx schema.Txn) error {
		for _, kv := range schema.InitialKeyValues() {
			if err := tx.Put(ctx, kv.Key, kv.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cat := schema.NewCatalog(schema.Config{Store: store, Clock: env.Clock, NodeID: 1})
	return env, NewServer(Config{DB: env.DB, Catalog: cat})
}

func newTestSession(t testing.TB, srv *Server) *Session {
	s, err := srv.NewSession(t.Context(), SessionArgs{User: "root", Database: "defaultdb", BackendPID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func runLogic(t *testing.T, file string) {
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	srv := newTestServer(t)
	sessions := map[string]*Session{"": newTestSession(t, srv)}
	cur := sessions[""]
	var out, stmt strings.Builder
	lines := bufio.NewScanner(strings.NewReader(string(in)))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "    ") && stmt.Len() == 0 {
			continue
		}
		out.WriteString(line + "\n")
		if stmt.Len() == 0 && (line == "" || strings.HasPrefix(line, "--")) {
			continue
		}
		if strings.HasPrefix(line, "@") {
			name := line[1:]
			if sessions[name] == nil {
				sessions[name] = newTestSession(t, srv)
			}
			cur = sessions[name]
			continue
		}
		stmt.WriteString(line + "\n")
		if !strings.HasSuffix(line, ";") {
			continue
		}
		w := &textWriter{s: cur}
		if u := strings.ToUpper(line); strings.HasPrefix(u, "COPY") && strings.Contains(u, "STDIN") {
			for lines.Scan() {
				out.WriteString(lines.Text() + "\n")
				if lines.Text() == `\.` {
					break
				}
				w.copyIn = append(w.copyIn, lines.Text()+"\n")
			}
		}
		err := cur.ExecSimple(t.Context(), strings.TrimSpace(stmt.String()), w)
		stmt.Reset()
		if err != nil {
			w.out.WriteString(errorText(err))
		}
		for _, n := range cur.Notifications() {
			fmt.Fprintf(&w.out, "Asynchronous notification %q with payload %q\n", n.Channel, n.Payload)
		}
		for l := range strings.Lines(timings.ReplaceAllString(w.out.String(), "$1 T")) {
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
		t.Errorf("output differs (REWRITE=1 accepts it):\n%s", firstDifference(string(in), got))
	}
}

// timings are the numbers of EXPLAIN ANALYZE that differ from run to run.
var timings = regexp.MustCompile(`(actual time=|Planning Time:|Execution Time:) ?[0-9.]+`)

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			lo := max(i-4, 0)
			return fmt.Sprintf("line %d\nwant:\n%s\ngot:\n%s", i+1, strings.Join(w[lo:min(i+6, len(w))], "\n"),
				strings.Join(g[lo:min(i+6, len(g))], "\n"))
		}
	}
	return "longer than expected"
}

func errorText(err error) string {
	e := sqlerr.From(err)
	s := fmt.Sprintf("ERROR:  %s: %s\n", e.Code, e.Message)
	if e.Detail != "" {
		s += "DETAIL:  " + e.Detail + "\n"
	}
	if e.Hint != "" {
		s += "HINT:  " + e.Hint + "\n"
	}
	if e.Where != "" {
		s += "CONTEXT:  " + e.Where + "\n"
	}
	if e.InternalQuery != "" {
		s += "QUERY:  " + e.InternalQuery + "\n"
	}
	if e.Position > 0 {
		s += fmt.Sprintf("POSITION:  %d\n", e.Position)
	}
	return s
}

// textWriter is a ResultWriter for people.
type textWriter struct {
	s      *Session
	out    strings.Builder
	cols   []Column
	copyIn []string
	marks  []string
	sent   Mark // what is before it has left
}

func (w *textWriter) Mark() Mark { return Mark(w.out.Len()) }
func (w *textWriter) Rewind(m Mark) bool {
	if m < w.sent {
		return false
	}
	s := w.out.String()[:min(int(m), w.out.Len())]
	w.out.Reset()
	w.out.WriteString(s)
	return true
}
func (w *textWriter) Ack(a Ack) error { fmt.Fprintf(&w.out, "ack %d\n", a); return nil }
func (w *textWriter) ParameterDescription(ts []types.T) error {
	fmt.Fprintln(&w.out, "params", ts)
	return nil
}
func (w *textWriter) RowDescription([]Column) error { return nil }
func (w *textWriter) BeginRows(c []Column) error    { w.cols = c; return nil }
func (w *textWriter) Row(r types.Row) error {
	for i, d := range r {
		if i > 0 {
			w.out.WriteByte('|')
		}
		if d.IsNull() {
			w.out.WriteString("NULL")
			continue
		}
		w.out.Write(types.AppendText(nil, w.cols[i].Type, d, w.s.Env()))
	}
	w.out.WriteByte('\n')
	return nil
}
func (w *textWriter) CommandComplete(tag string) error { w.out.WriteString(tag + "\n"); return nil }
func (w *textWriter) EmptyQuery() error                { return nil }
func (w *textWriter) PortalSuspended() error           { w.out.WriteString("suspended\n"); return nil }
func (w *textWriter) Notice(e *sqlerr.Error) error {
	fmt.Fprintf(&w.out, "%s:  %s\n", e.Severity, e.Message)
	return nil
}
func (w *textWriter) ParameterStatus(string, string) error { return nil }
func (w *textWriter) CopyIn(Format, int) (CopyReader, error) {
	fmt.Fprintln(&w.out, "copy in")
	w.sent = w.Mark()
	return &lineReader{w.copyIn}, nil
}
func (w *textWriter) CopyOut(Format, int) error { return nil }
func (w *textWriter) CopyData(b []byte) error   { w.out.Write(b); return nil }
func (w *textWriter) CopyDone() error           { return nil }

type lineReader struct{ lines []string }

func (r *lineReader) Next() ([]byte, error) {
	if len(r.lines) == 0 {
		return nil, io.EOF
	}
	l := r.lines[0]
	r.lines = r.lines[1:]
	return []byte(l), nil
}
