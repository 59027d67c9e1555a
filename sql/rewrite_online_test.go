package sql

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestTypesAndKeysAreChangedByJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 1500)
		mustRun(t, a, "create index t_k on t (k) include (s); create unique index t_u on t (u); create index t_e on t ((k / 2)) where k > 3")
		for _, c := range []struct{ stmt, check, want string }{
			{"alter table t alter column s type varchar(5)", "select s, pg_typeof(s) from t where id = 7", "x|character varying SELECT 1"},
			{"alter table t alter column k type numeric", "select k, k / 2, pg_typeof(k) from t where id = 7", "7|3.5000000000000000|numeric SELECT 1"},
			{"alter table t alter column u type text using 'u' || u::text", "select id from t where u = 'u9'", "9 SELECT 1"},
			{"alter table t alter column id type text", "select k from t where id = '9'", "9 SELECT 1"},
			{"alter table t drop constraint t_pkey, add primary key (u, id)", "select k from t where id = '9' and u = 'u9'", "9 SELECT 1"},
		} {
			mustRun(t, a, c.stmt)
			mustShow(t, b, c.check, c.want)
			checkTable(t, gs.nodes[1], "t")
			mustShow(t, b, "select count(*) from t", "1500 SELECT 1")
		}
		mustShow(t, b, "select job_type, status, count(*) from cairn.jobs where job_type <> 'CREATE INDEX' group by 1, 2", "REWRITE TABLE|succeeded|5 SELECT 1")

		// What depends on the session's time zone is computed by that of who changes the type.
		mustRun(t, a, "alter table t add column at timestamp default '2026-01-02 03:00', add column d date default '2026-01-02'")
		mustRun(t, a, "set time zone 'America/Denver'; alter table t alter column at type timestamptz, alter column d type timestamptz")
		mustShow(t, b, "select distinct at at time zone 'UTC', d at time zone 'UTC' from t", "2026-01-02 10:00:00|2026-01-02 07:00:00 SELECT 1")
		mustRun(t, a, "alter table t alter column at type timestamp, alter column d type date")
		mustShow(t, b, "select distinct at, d from t", "2026-01-02 03:00:00|2026-01-02 SELECT 1")
		mustShow(t, b, "select count(*) from cairn.jobs where job_type = 'REWRITE TABLE'", "7 SELECT 1")
		mustRun(t, a, "alter table t drop column at, drop column d")
		mustShow(t, b, "select indexname from pg_indexes where tablename = 't' order by 1", "t_e t_k t_pkey t_u SELECT 4")
		for stmt, code := range map[string]sqlerr.Code{
			"alter table t alter column s type int using s::int":                         sqlerr.InvalidTextRepresentation,
			"alter table t alter column k type int using nullif(k, 7), add check(k > 0)": sqlerr.CheckViolation,
			"alter table t alter column u type int using length(u)":                      sqlerr.UniqueViolation,
			"alter table t drop constraint t_pkey, add primary key (k)":                  sqlerr.UniqueViolation,
			"alter table t alter column u type int using nullif(k, 7)::int":              sqlerr.NotNullViolation,
		} {
			before := definition(t, b, "t")
			wantError(t, a, stmt, code)
			if after := definition(t, b, "t"); after != before {
				t.Errorf("%s: %s\nwas\n%s", stmt, after, before)
			}
			checkTable(t, gs.nodes[1], "t")
		}
		mustRun(t, a, "create view v as select id, u from t")
		wantError(t, a, "alter table t alter column u type varchar(80)", sqlerr.FeatureNotSupported)
		mustRun(t, a, "alter table t alter column s set default 'abc'")
		wantError(t, a, "alter table t alter column s type int using length(s)", sqlerr.DatatypeMismatch)
	})
}

// holdJobs has jobs stop before their last step, until it is called.
func holdJobs(gs *ddlGateways) (release func()) {
	var free atomic.Bool
	for _, g := range gs.nodes {
		g.srv.jobFault = func(r *jobs.Record) error {
			if r.Phase == 3 && r.State == jobs.Running && !free.Load() {
				return errInjected
			}
			return nil
		}
	}
	return func() { free.Store(true) }
}

// Who writes a row that cannot be converted is not told so: the change fails, if the
// row is still there in the end.
func TestARowThatDoesNotFitFailsTheChange(t *testing.T) {
	for _, c := range []struct {
		meanwhile string
		code      sqlerr.Code
		message   string
	}{
		{"update t set s = 'abc' where id = 5", sqlerr.InvalidTextRepresentation, `invalid input syntax for type integer: "abc"`},
		{"update t set s = null where id = 5", sqlerr.NotNullViolation, `column "s" of relation "t" contains null values`},
		{"insert into t values (0, 1, 0, '-03')", sqlerr.CheckViolation, `check constraint "c" of relation "t" is violated by some row`},
		{"update t set s = 'abc' where id = 5; update t set s = '5' where id = 5", "", ""},
		{"insert into t values (0, 1, 0, 'abc'), (-1, 1, -1, 'abc'); delete from t where id < 0; update t set s = '0', id = 1501 where id = 0", "", ""},
		{"begin; update t set s = 'abc'; rollback", "", ""},
		{"truncate t; insert into t values (8, 8, 8, '8')", "", ""},
		{"select cairn.cancel_job((select max(job_id) from cairn.jobs))", sqlerr.QueryCanceled, "job %d was canceled"},
	} {
		t.Run(c.meanwhile, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gs := newDDLGateways(t)
				a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
				fillTable(t, a, 1500)
				mustRun(t, a, "update t set s = id::text; alter table t add constraint c check (s::text in ('abc', '-03') or s::bigint >= -2)")
				mustRun(t, a, "create index t_s on t (s) include (k)")
				release := holdJobs(gs)
				before := definition(t, b, "t")
				done := make(chan error, 1)
				notNull := ""
				if c.code == sqlerr.NotNullViolation {
					notNull = ", alter column s set not null"
				}
				go func() {
					_, err := query(t, a, "alter table t alter column s type int using s::int"+notNull)
					done <- err
				}()
				id := atPhase(t, gs.nodes[1], 3).ID
				mustRun(t, b, "begin")
				wantError(t, b, "create index on t (k)", sqlerr.ObjectInUse)
				mustRun(t, b, "rollback")
				mustRun(t, b, c.meanwhile)
				index := make(chan error, 1)
				go func() { _, err := query(t, gs.nodes[2].session(t), "create index t_k on t (k)"); index <- err }() // which waits
				synctest.Wait()
				release()
				err := <-done
				switch e := sqlerr.From(err); {
				case c.code == "" && err != nil, c.code != "" && (err == nil || e.Code != c.code):
					t.Errorf("%v", err)
				case c.code != "" && e.Message != c.message && e.Message != fmt.Sprintf(c.message, id):
					t.Errorf("%q", e.Message)
				}
				if err := <-index; err != nil {
					t.Errorf("the next change: %v", err)
				}
				mustRun(t, a, "drop index t_k")
				if after := definition(t, b, "t"); (after == before) != (c.code != "") {
					t.Errorf("%s\nwas\n%s", after, before)
				}
				checkTable(t, gs.nodes[1], "t")
			})
		})
	}
}

// A key that two rows had, while the index was built that allows one, is the
// remaining row's when the other is gone.
func TestAKeyOfTwoRowsIsKeptByTheOther(t *testing.T) {
	for _, meanwhile := range []string{
		"insert into t values (0, 1, 1400, 'b'); delete from t where id = 1400",
		"insert into t values (0, 1, 1400, 'b'); update t set u = 9999 where id = 1400",
		"insert into t values (0, 1, 1400, 'b'); update t set s = 'c' where id = 1400; delete from t where id = 1400",
	} {
		synctest.Test(t, func(t *testing.T) {
			gs := newDDLGateways(t)
			a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
			fillTable(t, a, 1500)
			reached, release := make(chan struct{}), make(chan struct{})
			calls := 0
			gs.nodes[0].srv.jobFault = func(r *jobs.Record) error {
				if r.Phase != 2 {
					return nil
				}
				if calls++; calls == 2 { // the first chunk is done
					close(reached)
					<-release
				}
				return nil
			}
			done := make(chan error, 1)
			go func() { _, err := query(t, a, "create unique index t_u on t (u) include (s)"); done <- err }()
			<-reached
			mustRun(t, b, meanwhile)
			close(release)
			if err := <-done; err != nil {
				t.Errorf("%s: %v", meanwhile, err)
			}
			checkTable(t, gs.nodes[1], "t")
			wantError(t, b, "insert into t values (-1, 1, 1400, 'b')", sqlerr.UniqueViolation)
		})
	}
}
