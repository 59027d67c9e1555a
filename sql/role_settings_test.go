package sql

import (
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestSessionsBeginWithWhatRoleAndDatabaseSay(t *testing.T) {
	srv := newTestServer(t)
	a := newTestSession(t, srv)
	mustRun(t, a, "create database d")
	mustRun(t, a, "create role ann login; create schema app")
	mustRun(t, a, "alter database defaultdb set lock_timeout = '1s'; alter database defaultdb set statement_timeout = '1s'; alter database defaultdb set my.own = 'db'")
	mustRun(t, a, "alter role ann set statement_timeout = '2s'; alter role ann set search_path = app, public; alter role ann set role = root")
	mustRun(t, a, "alter role ann in database defaultdb set search_path = public; alter role ann in database d set lock_timeout = '9s'")
	mustShow(t, a, "show lock_timeout", "0 SHOW") // not before it connects again

	begin := func(database string, params map[string]string) *Session {
		t.Helper()
		s, err := srv.NewSession(t.Context(), SessionArgs{User: "ann", Database: database, Params: params})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	s := begin("defaultdb", nil)
	mustShow(t, s, "show lock_timeout; show statement_timeout; show search_path; show my.own", "1s SHOW 2s SHOW public SHOW db SHOW")
	mustShow(t, s, "set lock_timeout = '7s'; show lock_timeout; reset lock_timeout; show lock_timeout", "SET 7s SHOW RESET 1s SHOW")
	mustShow(t, s, "set statement_timeout = 0; discard all; show statement_timeout", "SET DISCARD ALL 2s SHOW")
	mustShow(t, begin("d", nil), "show lock_timeout; show search_path; show statement_timeout", "9s SHOW app, public SHOW 2s SHOW")
	mustShow(t, begin("defaultdb", map[string]string{"statement_timeout": "5s"}), "show statement_timeout; show lock_timeout", "5s SHOW 1s SHOW")

	// ann is no member of root: that is passed over, and nobody is kept out by it.
	mustShow(t, s, "show role", "none SHOW")
	mustRun(t, a, "grant root to ann")
	mustShow(t, begin("defaultdb", nil), "select current_user", "root SELECT 1")

	mustRun(t, a, "alter database defaultdb reset all; alter role ann reset all")
	mustRun(t, a, "alter role ann in database d set work_mem = '8MB'")
	mustRun(t, a, "drop database d")
	mustShow(t, begin("defaultdb", nil), "show lock_timeout; show statement_timeout; show search_path", "0 SHOW 0 SHOW public SHOW")
	mustShow(t, a, "select count(*) from pg_db_role_setting", "1 SELECT 1")
	wantError(t, a, "alter role ann set max_connections = 7", sqlerr.CantChangeRuntimeParam)
	wantError(t, a, "alter role all set work_mem = '8MB'", sqlerr.FeatureNotSupported)
	mustRun(t, a, "alter role all in database defaultdb set work_mem = '8MB'")
	mustShow(t, begin("defaultdb", nil), "show work_mem", "8MB SHOW")
}
