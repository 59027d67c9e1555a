package sql

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// What a session's settings, or a type made by a user, have a say in is computed as the
// session would that asked for the change, whoever writes a row meanwhile.
func TestConversionsFollowTheSettingsOfWhoAsks(t *testing.T) {
	for _, c := range []struct{ column, set, stmt, meanwhile, check, want string }{
		{"'02/01/2003'", "set datestyle = 'dmy'", "alter table t alter column s type date using s::date",
			"set datestyle = 'mdy'; update t set s = '03/04/2005' where id = 7; insert into t values (0, 0, 0, '31/12/1999')",
			"select distinct s from t order by 1", "1999-12-31 2003-01-02 2005-04-03 SELECT 3"},
		{"'2003-07-01 12:00'", "set time zone 'America/Denver'", "alter table t alter column s type timestamptz using s::timestamptz",
			"set time zone 'Asia/Tokyo'; update t set s = '2005-07-01' where id = 7", "select distinct s at time zone 'UTC' from t order by 1",
			"2003-07-01 18:00:00 2005-07-01 06:00:00 SELECT 2"},
		{"'2003-07-01 12:00'", "set time zone '-3'", "alter table t alter column s type text using to_char(s::timestamptz, 'HH24 OF')",
			"set time zone 'Asia/Tokyo'; update t set s = '2005-07-01' where id = 7", "select distinct s from t order by 1", "00 -03 12 -03 SELECT 2"},
		{"'x'", "set search_path = app", "alter table public.t alter column s type mood using s::mood",
			"update t set s = 'y' where id = 7", "select distinct s, pg_typeof(s) from t order by 1", "y|app.mood x|app.mood SELECT 2"},
		{"'x'", "", "alter table t alter column s type timestamp using now()", "update t set s = 'y' where id = 7",
			"select count(distinct s) from t", "1 SELECT 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			gs := newDDLGateways(t)
			a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
			fillTable(t, a, 1500)
			mustRun(t, a, "create schema app; create type app.mood as enum ('y', 'x'); create type public.mood as enum ('z'); "+
				"update t set s = "+c.column+"; create index t_s on t (s)")
			release := holdJobs(gs)
			done := make(chan error, 1)
			go func() { _, err := query(t, a, c.set+"; "+c.stmt); done <- err }()
			atPhase(t, gs.nodes[1], 3)
			mustRun(t, b, c.meanwhile)
			if strings.Contains(c.stmt, "mood") { // what the rows depend on stays as it is
				mustRun(t, b, "begin")
				wantError(t, b, "alter type app.mood rename value 'x' to 'z'", sqlerr.ObjectInUse)
				mustRun(t, b, "rollback")
			}
			release()
			if err := <-done; err != nil {
				t.Errorf("%s: %v", c.stmt, err)
			}
			mustRun(t, b, "reset time zone")
			mustShow(t, b, c.check, c.want)
			mustShow(t, b, "select job_type, status from cairn.jobs order by job_id desc limit 1", "REWRITE TABLE|succeeded SELECT 1")
			checkTable(t, gs.nodes[1], "t")
		})
	}
}

// Foreign keys hold on, at both ends, if the values stay equal to what they were;
// else the table is out of use, which the statement says.
func TestColumnsOfForeignKeysAreChangedByJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		untilRowIDs()
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 1500)
		mustRun(t, a, "create unique index t_u on t (u)")
		mustRun(t, a, "create table r (id int primary key, t int references t on update cascade on delete set null, u int references t (u))")
		mustRun(t, a, "insert into r select g, g, g from generate_series(1, 1200) g")
		rewrites := 0
		for _, c := range []struct {
			stmt   string
			online bool
		}{
			{"alter table t alter column id type numeric", true},
			{"alter table r alter column t type numeric, alter column u type smallint", true},
			{"alter table r drop constraint r_pkey", true},
			{"alter table r alter column t type int", false},
			{"alter table r alter column u type int using u + 0", false},
			{"alter table t alter column u type int using u + 0", false},
			{"alter table t alter column id type int", false},
		} {
			before, err := query(t, a, "select count(*) from cairn.jobs")
			if err != nil {
				t.Fatal(err)
			}
			out, err := query(t, a, c.stmt)
			after, _ := query(t, a, "select count(*) from cairn.jobs")
			if err != nil || c.online != (before != after) || c.online == strings.Contains(out, "is out of use while its rows are written anew") {
				t.Errorf("%s: %q, %v; jobs %s, then %s", c.stmt, out, err, before, after)
			}
			if c.online {
				rewrites++
			}
			wantError(t, b, "insert into r values (-1, -1, 1)", sqlerr.ForeignKeyViolation)
			wantError(t, b, "delete from t where u = 5", sqlerr.ForeignKeyViolation)
			mustRun(t, b, "update t set id = id + 10000 where u = 1300; insert into r values (1300, 11300, 1300); update t set id = 1300 where u = 1300")
			mustShow(t, b, "select t::int, u from r where id = 1300", "1300|1300 SELECT 1")
			mustRun(t, b, "delete from r where id = 1300")
			checkTable(t, gs.nodes[1], "t")
			checkTable(t, gs.nodes[1], "r")
		}
		mustShow(t, b, "select count(*) from cairn.jobs where job_type = 'REWRITE TABLE' and status = 'succeeded'", strconv.Itoa(rewrites)+" SELECT 1")
	})
}

// CASCADE says nothing where there is nothing to take along.
func TestAPrimaryKeyIsDroppedWithWhatRefersToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		untilRowIDs()
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 1500)
		mustShow(t, a, "alter table t drop constraint t_pkey cascade", "ALTER TABLE")
		mustShow(t, b, "select job_type, status from cairn.jobs", "REWRITE TABLE|succeeded SELECT 1")
		mustRun(t, a, "alter table t add primary key (id); create table r (t int references t)")
		out, err := query(t, a, "alter table t drop constraint t_pkey cascade")
		if err != nil || !strings.Contains(out, "is out of use while its rows are written anew") || !strings.Contains(out, "drop cascades to constraint r_t_fkey on table r") {
			t.Errorf("%q, %v", out, err)
		}
		mustShow(t, b, "select count(*) from pg_constraint where conrelid in ('t'::regclass, 'r'::regclass)", "0 SELECT 1")
		checkTable(t, gs.nodes[1], "t")
	})
}

// A table that loses its key gets a hidden one, and is in use all the while.
func TestAPrimaryKeyIsDroppedByAJob(t *testing.T) {
	for _, meanwhile := range []string{
		"update t set s = 'y' where id = 5; insert into t values (0, 1, 0, 'z'); delete from t where id = 1400",
		"truncate t; insert into t values (8, 8, 8, '8')",
		"update t set id = id + 5000",
		"select cairn.cancel_job((select max(job_id) from cairn.jobs))",
	} {
		for phase := range uint8(4) {
			synctest.Test(t, func(t *testing.T) {
				untilRowIDs()
				gs := newDDLGateways(t)
				a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
				fillTable(t, a, 1500)
				mustRun(t, a, "create unique index t_u on t (u); create index t_k on t (k) include (s) where k > 3")
				mustRun(t, a, "create table m as select * from t")
				var free atomic.Bool
				for _, g := range gs.nodes {
					g.srv.jobFault = func(r *jobs.Record) error {
						if (r.Column != 0) == (phase < 2) && r.Phase == 2+phase%2 && r.State == jobs.Running && !free.Load() {
							return errInjected
						}
						return nil
					}
				}
				before := definition(t, b, "t")
				done := make(chan error, 1)
				go func() { _, err := query(t, a, "alter table t drop constraint t_pkey"); done <- err }()
				for {
					r := atPhase(t, gs.nodes[1], 2+phase%2)
					if (r.Column != 0) == (phase < 2) {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				mustRun(t, b, meanwhile)
				if !strings.HasPrefix(meanwhile, "select") {
					mustRun(t, b, strings.ReplaceAll(strings.ReplaceAll(meanwhile, "truncate t", "truncate m"), " t ", " m "))
				}
				free.Store(true)
				err := <-done
				canceled := sqlerr.HasCode(err, sqlerr.QueryCanceled)
				if err != nil && !canceled || canceled != strings.HasPrefix(meanwhile, "select") {
					t.Errorf("%s in phase %d: %v", meanwhile, phase, err)
				}
				checkTable(t, gs.nodes[1], "t")
				mustShow(t, b, "select count(*) from (table t except table m) x", "0 SELECT 1")
				mustShow(t, b, "select (select count(*) from t) = (select count(*) from m)", "t SELECT 1")
				if after := definition(t, b, "t"); (after == before) != canceled {
					t.Errorf("%s\nwas\n%s", after, before)
				}
				if !canceled {
					mustRun(t, b, "insert into t select id, 9, 20000, 'again' from t where id in (8, 5008)")
					mustRun(t, b, "alter table t drop column id; alter table t add column id serial primary key")
				}
				checkTable(t, gs.nodes[1], "t")
			})
		}
	}
}

// untilRowIDs waits in a bubble, where it is 2000, until there can be hidden keys.
func untilRowIDs() { time.Sleep(time.Until(rowIDEpoch.AddDate(1, 0, 0))) }

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

// A row may pass by the job that reads the table, from keys that come to keys that were.
func TestARowThatMovesIsWrittenAnew(t *testing.T) {
	for _, change := range []string{
		"alter table t drop constraint t_pkey, add primary key (u)",
		"alter table t drop constraint t_pkey",
		"alter table t alter column s type varchar(9)",
	} {
		synctest.Test(t, func(t *testing.T) {
			untilRowIDs()
			gs := newDDLGateways(t)
			a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
			fillTable(t, a, 1500)
			mustRun(t, a, "alter table t alter column u set not null")
			mustRun(t, a, "create index t_k on t (k) include (s); create unique index t_u on t (u, k)")
			reached, release := make(chan struct{}), make(chan struct{})
			calls := 0
			gs.nodes[0].srv.jobFault = func(r *jobs.Record) error {
				if r.Phase != 2 || r.Column != 0 {
					return nil
				}
				if calls++; calls == 2 { // the first chunk is done
					close(reached)
					<-release
				}
				return nil
			}
			done := make(chan error, 1)
			go func() { _, err := query(t, a, change); done <- err }()
			<-reached
			if _, err := query(t, b, "update t set id = -id where id = 1400"); err != nil {
				t.Error(err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Errorf("%s: %v", change, err)
			}
			checkTable(t, gs.nodes[1], "t")
		})
	}
}
