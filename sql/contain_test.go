package sql

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// breakClock has cairn.follower_read_timestamp() panic in this session.
func breakClock(s *Session) { s.ec.Clock = nil }

// A function that panics fails its statement and transaction; the session goes on, and gives back what the
// statement held.
func TestAFunctionThatPanicsFailsItsStatement(t *testing.T) {
	env, srv := newTestServerEnv(t)
	srv = newBoundedServer(t, env, srv.cfg.Catalog, 64<<20)
	var out bytes.Buffer
	srv.log = slog.New(slog.NewTextHandler(&out, nil))
	s := newTestSession(t, srv)
	mustRun(t, s, "create table t (id int primary key, at timestamptz)")
	mustRun(t, s, "insert into t select x from generate_series(1, 100) x")
	breakClock(s)
	for _, q := range []string{
		"select cairn.follower_read_timestamp()",
		"select id from t order by cairn.follower_read_timestamp(), id",
		"select id, cairn.follower_read_timestamp() from t",
		"update t set at = cairn.follower_read_timestamp() where id > 50",
		"insert into t values (1000, cairn.follower_read_timestamp())",
		"create table u as select cairn.follower_read_timestamp()",
		"alter table t add column c timestamptz default cairn.follower_read_timestamp()",
		"explain analyze select cairn.follower_read_timestamp()",
		"copy (select cairn.follower_read_timestamp()) to stdout",
		"do $$ begin perform cairn.follower_read_timestamp(); end $$",
		"prepare p as select cairn.follower_read_timestamp(); execute p",
	} {
		out.Reset()
		_, err := query(t, s, q)
		if e := sqlerr.From(err); e.Code != sqlerr.InternalError || !strings.HasPrefix(e.Message, "internal error: ") || !strings.Contains(e.Hint, "report") {
			t.Fatalf("%s: %v", q, err)
		}
		if log := out.String(); strings.Count(log, "a statement panicked") != 1 || !strings.Contains(log, "sql/builtins") {
			t.Errorf("%s: log %q", q, log)
		}
		if s.running || srv.memory.Used() != 0 || s.TxnStatus() != TxnIdle {
			t.Fatalf("%s: running %v, %d bytes, %c", q, s.running, srv.memory.Used(), s.TxnStatus())
		}
		mustShow(t, s, "select count(*), count(at) from t", "100|0 SELECT 1")
	}
}

func TestAPanicFailsItsTransaction(t *testing.T) {
	s := newTestSession(t, newTestServer(t))
	mustRun(t, s, "create table t (id int primary key)")
	breakClock(s)
	mustRun(t, s, "begin")
	mustRun(t, s, "insert into t values (1)")
	mustRun(t, s, "declare c cursor for select id, cairn.follower_read_timestamp() from t")
	if _, err := query(t, s, "fetch c"); !sqlerr.HasCode(err, sqlerr.InternalError) {
		t.Fatal(err)
	}
	if _, err := query(t, s, "select 1"); !sqlerr.HasCode(err, sqlerr.InFailedSQLTransaction) {
		t.Fatal(err)
	}
	mustShow(t, s, "commit", "ROLLBACK")
	mustShow(t, s, "select count(*) from t", "0 SELECT 1")

	// What is computed at the commit is evaluation too.
	mustRun(t, s, "begin")
	mustRun(t, s, "insert into t values (1)")
	mustRun(t, s, "declare c cursor with hold for select cairn.follower_read_timestamp()")
	if _, err := query(t, s, "commit"); !sqlerr.HasCode(err, sqlerr.InternalError) {
		t.Fatal(err)
	}
	mustShow(t, s, "select count(*) from t", "0 SELECT 1")
}

func TestAPanicInTheExtendedProtocol(t *testing.T) {
	s := newTestSession(t, newTestServer(t))
	breakClock(s)
	w := &textWriter{s: s}
	if err := s.Prepare(t.Context(), w, "", "select cairn.follower_read_timestamp()", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(t.Context(), w, BindArgs{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Execute(t.Context(), w, "", 0); !sqlerr.HasCode(err, sqlerr.InternalError) {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	mustShow(t, s, "select 1", "1 SELECT 1")
}

// A computed table's rows are evaluation too.
func TestAPanicOfACatalog(t *testing.T) {
	s := newTestSession(t, newTestServer(t))
	s.pg.Database = nil
	if _, err := query(t, s, "select * from pg_catalog.pg_class"); !sqlerr.HasCode(err, sqlerr.InternalError) {
		t.Fatal(err)
	}
	mustShow(t, s, "select 1", "1 SELECT 1")
}
