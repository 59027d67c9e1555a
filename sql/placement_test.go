package sql

import (
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestWhatATableMayAskForItsReplicas(t *testing.T) {
	_, srv := newTestServerEnv(t)
	s := newTestSession(t, srv)
	asks := func(replicas int, locality string) {
		t.Helper()
		snap, err := srv.cfg.Catalog.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range snap.Tables(s.db.ID) {
			if o.Name == "t" && (o.Replicas != replicas || o.Locality != locality || o.KeepsApart() != (replicas > 0 || locality != "")) {
				t.Errorf("%d replicas in %q", o.Replicas, o.Locality)
			}
		}
	}
	mustShow(t, s, "create table t (a int primary key) with (replicas = 5, locality = 'region=eu')", "CREATE TABLE")
	asks(5, "region=eu")
	mustShow(t, s, "select reloptions from pg_class where relname = 't'", "{replicas=5,locality=region=eu} SELECT 1")
	for _, v := range []string{"replicas = 1", "replicas = 10", "replicas = many", "replicas", "locality = 'eu'", "locality = 'a=1,a=2'"} {
		wantError(t, s, "alter table t set ("+v+")", sqlerr.InvalidParameterValue)
	}
	asks(5, "region=eu")
	mustShow(t, s, "alter table t reset (replicas)", "ALTER TABLE")
	asks(0, "region=eu")
	mustShow(t, s, "alter table t set (replicas = 7)", "ALTER TABLE")
	mustShow(t, s, "alter table t reset (locality)", "ALTER TABLE")
	asks(7, "")
	mustShow(t, s, "alter table t reset (replicas)", "ALTER TABLE")
	asks(0, "")
}
