package sql

import (
	"context"
	"strings"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// extendedScript runs Parse, Bind, Describe, Execute and Sync of one statement and returns what the
// client saw.
func extendedScript(t *testing.T, s *Session, q string, maxRows int, args ...string) string {
	t.Helper()
	w := &textWriter{s: s}
	ctx := context.Background()
	step := func(err error) bool {
		if err != nil {
			w.out.WriteString(errorText(err))
		}
		return err == nil
	}
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	_ = step(s.Prepare(ctx, w, "", q, nil)) && step(s.DescribeStatement(ctx, w, "")) &&
		step(s.Bind(ctx, w, BindArgs{Params: raw})) && step(s.DescribePortal(ctx, w, "")) &&
		step(s.Execute(ctx, w, "", maxRows)) && (maxRows == 0 || step(s.Execute(ctx, w, "", 0)))
	step(s.Sync(ctx, w))
	return strings.ReplaceAll(strings.TrimSpace(w.out.String()), "\n", "; ") + " " + string(s.TxnStatus())
}

func TestExtended(t *testing.T) {
	s := newTestSession(t, newTestServer(t))
	for _, c := range []struct {
		q    string
		max  int
		args []string
		want string
	}{
		{"create table t (a int primary key, b text)", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3; CREATE TABLE I"},
		{"insert into t values ($1, $2)", 0, []string{"1", "x"}, "ack 0; params [integer text]; ack 3; ack 1; ack 3; INSERT 0 1 I"},
		{"insert into t values ($1, $2)", 0, []string{"1", "y"}, "ack 0; params [integer text]; ack 3; ack 1; ack 3; " +
			"ERROR:  23505: duplicate key value violates unique constraint \"t_pkey\"; DETAIL:  Key (a)=(1) already exists. I"},
		{"select b from t where a = $1", 0, []string{"1"}, "ack 0; params [integer]; ack 1; x; SELECT 1 I"},
		{"select generate_series(1, $1::int)", 2, []string{"3"}, "ack 0; params [integer]; ack 1; 1; 2; suspended; 3; SELECT 3 I"},
		{"select $1 + 1", 0, []string{"x"}, "ack 0; params [integer]; ERROR:  22P02: invalid input syntax for type integer: \"x\"; " +
			"CONTEXT:  unnamed portal parameter $1 I"},
		{"begin", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3; BEGIN T"},
		{"select 1/0", 0, nil, "ack 0; params []; ack 1; ERROR:  22012: division by zero E"},
		{"select 1", 0, nil, "ERROR:  25P02: current transaction is aborted, commands ignored until end of transaction block E"},
		{"rollback", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3; ROLLBACK I"},
		// A statement knows its parameters also when its table is this transaction's own.
		{"begin", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3; BEGIN T"},
		{"create table own (a int primary key)", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3; CREATE TABLE T"},
		{"insert into own values ($1) returning a", 0, []string{"7"}, "ack 0; params [integer]; ack 1; 7; INSERT 0 1 T"},
		{"rollback", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3; ROLLBACK I"},
		{"", 0, nil, "ack 0; params []; ack 3; ack 1; ack 3 I"},
	} {
		if got := extendedScript(t, s, c.q, c.max, c.args...); strings.TrimSpace(got) != strings.TrimSpace(c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.q, got, c.want)
		}
	}
}

// TestRetryIsInvisible: two implicit transactions that conflict all the time both get through, and
// no increment is lost.
func TestRetryIsInvisible(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	must := func(s *Session, q string) {
		w := &textWriter{s: s}
		if err := s.ExecSimple(context.Background(), q, w); err != nil && !sqlerr.HasCode(err, sqlerr.DuplicateTable) {
			t.Error(q, err, sqlerr.From(err).Detail)
		}
	}
	must(s, "create table c (id int primary key, n int)")
	must(s, "insert into c values (1, 0), (2, 0)")
	done := make(chan bool)
	for range 2 {
		o := newTestSession(t, srv)
		go func() {
			for range 50 {
				// reads both rows, so that the two always conflict
				must(o, "begin; select sum(n) from c; update c set n = n + 1 where id = 1; commit")
			}
			done <- true
		}()
	}
	<-done
	<-done
	w := &textWriter{s: s}
	if err := s.ExecSimple(context.Background(), "select n from c where id = 1", w); err != nil || !strings.HasPrefix(w.out.String(), "100\n") {
		t.Fatal(err, w.out.String())
	}
}
