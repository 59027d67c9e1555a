package sql

import (
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestAlterSystemGivesAParameterAnotherDefault(t *testing.T) {
	srv := newTestServer(t)
	a, b := newTestSession(t, srv), newTestSession(t, srv)
	mustShow(t, b, "set lock_timeout = '3s'", "SET")
	mustShow(t, a, "alter system set cairn.consistency = strict", "ALTER SYSTEM")
	mustShow(t, a, "alter system set lock_timeout = '5s'", "ALTER SYSTEM")
	c := newTestSession(t, srv)
	for _, tc := range []struct {
		s           *Session
		query, want string
	}{
		{a, "show cairn.consistency", "strict SHOW"},
		{b, "show cairn.consistency", "strict SHOW"},
		{c, "show lock_timeout", "5s SHOW"},
		{b, "show lock_timeout", "3s SHOW"},
		{b, "reset lock_timeout", "RESET"},
		{b, "show lock_timeout", "5s SHOW"},
		{a, "set cairn.consistency = default", "SET"}, // to the default, which is the cluster's
		{a, "show cairn.consistency", "strict SHOW"},
		{a, "set cairn.consistency = 'default'", "SET"},
		{a, "select setting, source, reset_val, boot_val from pg_settings where name = 'cairn.consistency'", "default|session|strict|default SELECT 1"},
		{c, "select setting, source from pg_settings where name = 'cairn.consistency'", "strict|configuration file SELECT 1"},
		{c, "alter system set lock_timeout to '9s'", "ALTER SYSTEM"},
		{b, "show lock_timeout", "9s SHOW"},
		{c, "alter system reset lock_timeout", "ALTER SYSTEM"},
		{b, "show lock_timeout", "0 SHOW"},
		{c, "alter system reset all", "ALTER SYSTEM"},
		{c, "show cairn.consistency", "default SHOW"},
	} {
		mustShow(t, tc.s, tc.query, tc.want)
	}
	if b.vars.lockTimeout != 0 {
		t.Errorf("the lock timeout in effect is %s", b.vars.lockTimeout)
	}
}

// The cluster's default has commits wait.
func TestAStrictClusterIsStrictForAllSessions(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a := newTableSession(t, srv)
	mustShow(t, newTestSession(t, srv), "alter system set cairn.consistency = 'strict'", "ALTER SYSTEM")
	before := env.DB.Metrics().StrictWaits.Load()
	mustShow(t, a, "insert into t values (1, 1)", "INSERT 0 1")
	if env.DB.Metrics().StrictWaits.Load() == before {
		t.Error("a commit did not wait")
	}
}

func TestAlterSystemRefuses(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	for _, tc := range []struct {
		query string
		code  sqlerr.Code
	}{
		{"alter system set nonsense = 1", sqlerr.UndefinedObject},
		{"alter system set cairn.nonsense = 1", sqlerr.UndefinedObject},
		{"alter system set server_version = '9'", sqlerr.CantChangeRuntimeParam},
		{"alter system set cairn.read_as_of = '-1s'", sqlerr.CantChangeRuntimeParam},
		{"alter system reset role", sqlerr.CantChangeRuntimeParam},
		{"alter system set lock_timeout = 'long'", sqlerr.InvalidParameterValue},
		{"begin; alter system set lock_timeout = '1s'", sqlerr.ActiveSQLTransaction},
	} {
		_, err := query(t, s, tc.query)
		if !sqlerr.HasCode(err, tc.code) {
			t.Errorf("%s: %v", tc.query, err)
		}
		_, _ = query(t, s, "rollback")
	}
}
