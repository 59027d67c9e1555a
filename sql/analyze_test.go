package sql

import (
	"context"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

func TestStatisticsFollowChanges(t *testing.T) {
	env, srv := newTestServerEnv(t)
	s := newTestSession(t, srv)
	rows := func(want string) {
		t.Helper()
		mustShow(t, s, "select reltuples from pg_class where relname = 't'", want+" SELECT 1")
	}
	auto := func() {
		t.Helper()
		if err := srv.autoAnalyzeOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, s, "create table t (a int primary key, b int)")
	mustRun(t, s, "insert into t select g, g from generate_series(1, 400) g")
	auto()
	rows("-1") // too few to be worth it
	mustRun(t, s, "insert into t select g, g from generate_series(401, 20000) g")
	auto()
	rows("20000")
	mustRun(t, s, "delete from t where a <= 2000")
	auto()
	rows("20000") // less than a tenth and 500
	mustRun(t, s, "update t set b = 1 where a <= 2700")
	auto()
	rows("18000")
	mustRun(t, s, "copy t from stdin") // ends at once
	mustRun(t, s, "alter system set cairn.auto_analyze = off")
	mustRun(t, s, "delete from t")
	auto()
	rows("18000")

	stored := func() (n int) {
		err := env.DB.Run(t.Context(), txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
			kvs, _, err := tx.Scan(ctx, kvapi.Span{Key: keys.StatsPrefix, EndKey: keys.StatsPrefix.PrefixEnd()}, txn.ScanOptions{})
			n = len(kvs)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := stored(); n != 1 {
		t.Errorf("%d tables have statistics", n)
	}
	mustRun(t, s, "drop table t")
	if err := srv.sweepStats(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := stored(); n != 0 {
		t.Errorf("%d tables that are gone have statistics", n)
	}
}

// TestPlansAreMadeAnewWhenStatisticsChange prepares a statement, and has another node's ANALYZE be
// noticed.
func TestPlansAreMadeAnewWhenStatisticsChange(t *testing.T) {
	_, srv := newTestServerEnv(t)
	other := NewServer(Config{DB: srv.cfg.DB, Catalog: srv.cfg.Catalog})
	s, o := newTestSession(t, srv), newTestSession(t, other)
	mustRun(t, s, "create table big (a int primary key, b int); create table small (a int primary key, b int)")
	mustRun(t, s, "insert into big select g, g from generate_series(1, 5000) g; insert into small select g, g from generate_series(1, 3) g")
	mustRun(t, s, "prepare p as select count(*) from big join small using (a)")
	mustShow(t, s, "execute p", "3 SELECT 1")
	plan := func() string {
		p := s.statements["p"].plan.Root.Explain()
		return p.Kids[0].Explain().Title
	}
	if before := plan(); !strings.HasPrefix(before, "Hash Join") {
		t.Errorf("nothing is known, and the plan is %s", before)
	}
	mustRun(t, o, "analyze")
	mustShow(t, s, "execute p", "3 SELECT 1")
	if p := plan(); !strings.HasPrefix(p, "Hash Join") {
		t.Errorf("before the other node's news: %s", p)
	}
	srv.stats.Expire()
	mustShow(t, s, "execute p", "3 SELECT 1")
	if after := plan(); !strings.HasPrefix(after, "Lookup Join") {
		t.Errorf("after ANALYZE the plan is %s", after)
	}
}
