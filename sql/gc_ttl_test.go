package sql

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestHowLongOldVersionsAreKept(t *testing.T) {
	_, srv := newTestServerEnv(t)
	s := newTestSession(t, srv)
	kept := func(want time.Duration) {
		t.Helper()
		snap, err := srv.cfg.Catalog.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range snap.Tables(s.db.ID) {
			if o.Name == "t" && o.GCTTL != want {
				t.Errorf("%s, not %s", o.GCTTL, want)
			}
		}
	}
	mustShow(t, s, "create table t (a int primary key) with (fillfactor=70, gc_ttl='90 min')", "CREATE TABLE")
	kept(90 * time.Minute)
	mustShow(t, s, "alter table t set (gc_ttl='2 days')", "ALTER TABLE")
	kept(48 * time.Hour)
	mustShow(t, s, "select reloptions from pg_class where relname = 't'", "{fillfactor=70,\"gc_ttl=2 days\"} SELECT 1")
	for _, v := range []string{"soon", "-1 day", "500 ms", "9000000 years"} {
		wantError(t, s, "alter table t set (gc_ttl='"+v+"')", sqlerr.InvalidParameterValue)
	}
	kept(48 * time.Hour)
	mustShow(t, s, "alter table t reset (gc_ttl)", "ALTER TABLE")
	kept(0)
	mustShow(t, s, "select reloptions from pg_class where relname = 't'", "{fillfactor=70} SELECT 1")

	mustShow(t, s, "show cairn.gc_ttl", "1h SHOW")
	wantError(t, s, "set cairn.gc_ttl = '5min'", sqlerr.CantChangeRuntimeParam)
	wantError(t, s, "alter system set cairn.gc_ttl = '5ms'", sqlerr.InvalidParameterValue)
	mustShow(t, s, "alter system set cairn.gc_ttl = '5min'", "ALTER SYSTEM")
	mustShow(t, s, "show cairn.gc_ttl", "5min SHOW")
	for v, want := range map[string]time.Duration{"5min": 5 * time.Minute, "1h": time.Hour, "": 0, "10ms": 0} {
		if got, ok := ParseGCTTL(v); got != want || ok != (want > 0) {
			t.Errorf("%q is read as %s, %t", v, got, ok)
		}
	}
}
