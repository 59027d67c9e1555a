package sql

import (
	"testing"

	"github.com/cairndb/cairn/schema"
)

// TestTemporaryTablesGoWithTheirSession: at its end, and when the node that left them starts again.
func TestTemporaryTablesGoWithTheirSession(t *testing.T) {
	env, srv := newTestServerEnv(t)
	watcher := newTestSession(t, srv)
	run := func(s *Session, text string) string {
		w := &textWriter{s: s}
		if err := s.ExecSimple(t.Context(), text, w); err != nil {
			return errorText(err)
		}
		return w.out.String()
	}
	const schemas = "select count(*) from pg_namespace where nspname like 'pg_temp%'"
	left := newTestSession(t, srv)
	run(left, "create temp table a (x int); insert into a values (1)")
	ended, err := srv.NewSession(t.Context(), SessionArgs{User: "root", Database: "defaultdb", BackendPID: 2})
	if err != nil {
		t.Fatal(err)
	}
	run(ended, "create temp table a (x int); create temp view v as select * from a")
	if got := run(watcher, schemas); got != "2\nSELECT 1\n" {
		t.Fatalf("two sessions have temporary tables: %s", got)
	}
	ended.Close()
	if got := run(watcher, schemas); got != "1\nSELECT 1\n" {
		t.Fatalf("after the end of one session: %s", got)
	}
	if got := run(left, "select x from a"); got != "1\nSELECT 1\n" {
		t.Fatalf("the other session's table: %s", got)
	}
	// The node starts again, without the sessions that it had.
	again := NewServer(Config{DB: env.DB, Catalog: schema.NewCatalog(schema.Config{Store: schema.NewStore(env.DB), Clock: env.Clock, NodeID: 1})})
	snap, err := again.cfg.Catalog.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found := srv.leftTemp(snap); len(found) != 0 {
		t.Fatalf("a running node takes its sessions' schemas for left over: %v", found)
	}
	again.dropLeft(again.leftTemp(snap))
	if got := run(newTestSession(t, again), schemas); got != "0\nSELECT 1\n" {
		t.Fatalf("after the node started again: %s", got)
	}
}
