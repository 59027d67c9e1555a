package sql

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/cairndb/cairn/sql/hba"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestRolesAreAdmitted(t *testing.T) {
	srv := newTestServer(t)
	root := newTestSession(t, srv)
	mustShow(t, root, "create role idle", "CREATE ROLE")
	mustShow(t, root, "create role two login connection limit 2", "CREATE ROLE")
	mustShow(t, root, "create role old login password 'x' valid until '2001-01-01'", "CREATE ROLE")
	mustShow(t, root, "create role forever login password 'x' valid until 'infinity'", "CREATE ROLE")
	connect := func(user string) (*Session, *sqlerr.Error) {
		s, err := srv.NewSession(t.Context(), SessionArgs{User: user, Database: "defaultdb"})
		var e *sqlerr.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		return s, e
	}
	if _, e := connect("idle"); e == nil || e.Message != `role "idle" is not permitted to log in` || e.Severity != sqlerr.SeverityFatal {
		t.Errorf("%v", e)
	}
	var open []*Session
	for range 2 {
		s, e := connect("two")
		if e != nil {
			t.Fatal(e)
		}
		open = append(open, s)
	}
	if _, e := connect("two"); e == nil || e.Message != `too many connections for role "two"` || e.Code != sqlerr.TooManyConnections {
		t.Errorf("%v", e)
	}
	open[0].Close()
	if s, e := connect("two"); e != nil {
		t.Error(e)
	} else {
		s.Close()
	}
	open[1].Close()
	for user, want := range map[string]bool{"old": true, "forever": false, "two": false} {
		if r, _, err := srv.LookupRole(t.Context(), user); err != nil || r.Expired != want {
			t.Errorf("%s: %+v %v", user, r, err)
		}
	}
}

func TestConnectionRulesAreASetting(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	match := func() (*hba.Rule, bool) {
		r, ok, err := srv.ConnectionRule(t.Context(), hba.Client{Database: "d", User: "ann", Addr: netip.MustParseAddr("10.0.0.1")})
		if err != nil {
			t.Fatal(err)
		}
		return r, ok
	}
	if _, ok := match(); ok {
		t.Error("there are rules")
	}
	mustShow(t, s, "create role dba", "CREATE ROLE")
	mustShow(t, s, "create role ann in role dba", "CREATE ROLE")
	mustShow(t, s, "alter system set cairn.hba = 'host all +dba 10.0.0.0/8 trust; host all all all reject'", "ALTER SYSTEM")
	if r, ok := match(); !ok || r == nil || r.Method != hba.Trust {
		t.Errorf("%+v", r)
	}
	mustShow(t, s, "select line_number, type, user_name, address, netmask, auth_method from pg_hba_file_rules",
		"1|host|{+dba}|10.0.0.0|255.0.0.0|trust 2|host|{all}|all|NULL|reject SELECT 2")
	mustShow(t, s, "revoke dba from ann", "REVOKE ROLE")
	if r, ok := match(); !ok || r == nil || r.Method != hba.Reject {
		t.Errorf("%+v", r)
	}
	w := &textWriter{s: s}
	if err := s.ExecSimple(t.Context(), "alter system set cairn.hba = 'host all all all peer'", w); !sqlerr.HasCode(err, sqlerr.InvalidParameterValue) {
		t.Error(err)
	}
	mustShow(t, s, "alter system reset cairn.hba", "ALTER SYSTEM")
	if _, ok := match(); ok {
		t.Error("there are still rules")
	}
	mustShow(t, s, "alter system set max_connections = 20", "ALTER SYSTEM")
	if n := srv.ConnectionsMax(); n != 20 {
		t.Error(n)
	}
}
