package sql

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// query runs statements in a session and returns what psql would show.
func query(t testing.TB, s *Session, q string) (string, error) {
	t.Helper()
	w := &textWriter{s: s}
	err := s.ExecSimple(t.Context(), q, w)
	return strings.ReplaceAll(strings.TrimSpace(w.out.String()), "\n", " "), err
}

func mustShow(t *testing.T, s *Session, q, want string) {
	t.Helper()
	if got, err := query(t, s, q); err != nil || got != want {
		t.Fatalf("%s: %q, %v; want %q", q, got, err, want)
	}
}

// loadRows is more than a transaction keeps in its buffer.
const loadRows = 20_000

var load = fmt.Sprintf("insert into t select g, repeat('x', 200) from generate_series(1, %d) g", loadRows)

func TestALoadIntoATruncatedTableIsSeenAsAWhole(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a, b := newTestSession(t, srv), newTestSession(t, srv)
	mustShow(t, a, "create table t (a int, b text)", "CREATE TABLE")
	mustShow(t, a, "insert into t values (-1, 'old')", "INSERT 0 1")
	mustShow(t, a, "begin", "BEGIN")
	mustShow(t, a, "truncate t", "TRUNCATE TABLE")
	mustShow(t, a, load, fmt.Sprintf("INSERT 0 %d", loadRows))
	if env.DB.Metrics().Aside.Load() == 0 || env.Cluster.Intents() != 0 {
		t.Errorf("%d batches aside, %d intents", env.DB.Metrics().Aside.Load(), env.Cluster.Intents())
	}
	mustShow(t, a, "select count(*), min(a) from t", fmt.Sprintf("%d|1 SELECT 1", loadRows))
	mustShow(t, a, "update t set b = 'y' where a = 7", "UPDATE 1")
	mustShow(t, a, "delete from t where a > 10 and a <= 110", "DELETE 100")
	mustShow(t, a, "commit", "COMMIT")
	mustShow(t, b, "select count(*), min(a), max(b) from t", fmt.Sprintf("%d|1|y SELECT 1", loadRows-100))
}

func TestALoadRolledBackLeavesTheOldRowsAndIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock is before the first hidden row id: tables have keys.
		env, srv := newTestServerEnv(t)
		a := newTestSession(t, srv)
		mustShow(t, a, "create table t (a int primary key, b text)", "CREATE TABLE")
		mustShow(t, a, "insert into t values (-1, 'old')", "INSERT 0 1")
		mustShow(t, a, "begin", "BEGIN")
		mustShow(t, a, "truncate t", "TRUNCATE TABLE")
		mustShow(t, a, load, fmt.Sprintf("INSERT 0 %d", loadRows))
		aside := env.DB.Metrics().Aside.Load()
		mustShow(t, a, "rollback", "ROLLBACK")
		mustShow(t, a, "select * from t", "-1|old SELECT 1")
		// A table that the transaction itself created goes as a whole.
		mustShow(t, a, "begin", "BEGIN")
		mustShow(t, a, "create table u (a int primary key, b text)", "CREATE TABLE")
		mustShow(t, a, strings.Replace(load, "into t", "into u", 1), fmt.Sprintf("INSERT 0 %d", loadRows))
		mustShow(t, a, "rollback", "ROLLBACK")
		if env.DB.Metrics().Aside.Load() < 2*aside || aside == 0 {
			t.Fatal("nothing was written aside")
		}
		if n := rowsStored(t, env.DB); n < loadRows {
			t.Fatalf("%d rows before the sweep", n)
		}
		time.Sleep(5 * time.Minute)
		if err := srv.cfg.Catalog.SweepDropped(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := rowsStored(t, env.DB); n != 1 {
			t.Errorf("%d rows are stored after the sweep, want the one of t", n)
		}
	})
}

// TestWhatIsReplacedOrDroppedIsSwept: every statement that leaves data behind
// which nobody reads any more has it removed.
func TestWhatIsReplacedOrDroppedIsSwept(t *testing.T) {
	const rows = 500
	for _, c := range []struct {
		name, setUp, stmt, tag string
		// per row, before the sweep and after it
		before, after int
	}{
		{"primary key added", "create table t (a int, b text)", "alter table t add primary key (a)", "ALTER TABLE", 2, 1},
		{"primary key dropped", "create table t (a int primary key, b text)", "alter table t drop constraint t_pkey", "ALTER TABLE", 2, 1},
		{"column type changed", "create table t (a int primary key, b text)", "alter table t alter column b type varchar(300)", "ALTER TABLE", 2, 1},
		{"index dropped", "create table t (a int primary key, b text); create index i on t (b)", "drop index i", "DROP INDEX", 2, 1},
		{"constraint dropped", "create table t (a int primary key, b text, unique (b, a))", "alter table t drop constraint t_b_a_key", "ALTER TABLE", 2, 1},
		{"column with an index dropped", "create table t (a int primary key, b text); create index i on t (b)", "alter table t drop column b", "ALTER TABLE", 2, 1},
		{"table emptied", "create table t (a int primary key, b text); create index i on t (b)", "truncate t", "TRUNCATE TABLE", 2, 0},
		{"table dropped", "create table t (a int primary key, b text); create index i on t (b)", "drop table t", "DROP TABLE", 2, 0},
		{"schema dropped", "create schema s; create table s.t (a int primary key, b text); set search_path = s", "drop schema s cascade", "DROP SCHEMA", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(30 * 365 * 24 * time.Hour) // the bubble's clock begins before hidden row ids do
				env, srv := newTestServerEnv(t)
				a := newTestSession(t, srv)
				if got, err := query(t, a, c.setUp); err != nil {
					t.Fatal(got, err)
				}
				mustShow(t, a, fmt.Sprintf("insert into t select g, 'x' from generate_series(1, %d) g", rows), fmt.Sprintf("INSERT 0 %d", rows))
				if got, err := query(t, a, c.stmt); err != nil || !strings.HasSuffix(got, c.tag) {
					t.Fatal(got, err)
				}
				if n := rowsStored(t, env.DB); n != c.before*rows {
					t.Errorf("%d rows are stored before the sweep, want %d", n, c.before*rows)
				}
				time.Sleep(5 * time.Minute)
				if err := srv.cfg.Catalog.SweepDropped(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := rowsStored(t, env.DB); n != c.after*rows {
					t.Errorf("%d rows are stored after the sweep, want %d", n, c.after*rows)
				}
				if c.after > 0 {
					mustShow(t, a, "select count(*) from t", fmt.Sprintf("%d SELECT 1", rows))
				}
			})
		})
	}
}

// rowsStored counts the rows of all tables that the store holds, whether or
// not a descriptor leads to them.
func rowsStored(t *testing.T, db *txn.DB) int {
	t.Helper()
	tx := db.Begin(txn.Options{})
	rows, _, err := tx.Scan(t.Context(), kvapi.Span{Key: keys.Table(100), EndKey: keys.Table(1 << 30)}, txn.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

// TestAnIndexBuildUnderReaders gives a table its key while others read it, in
// transactions that began before, during and after.
func TestAnIndexBuildUnderReaders(t *testing.T) {
	_, srv := newTestServerEnv(t)
	a, early := newTestSession(t, srv), newTestSession(t, srv)
	mustShow(t, a, "create table t (a int, b text)", "CREATE TABLE")
	mustShow(t, a, "create table other (a int)", "CREATE TABLE")
	mustShow(t, a, load, fmt.Sprintf("INSERT 0 %d", loadRows))
	mustShow(t, early, "begin", "BEGIN")
	mustShow(t, early, "select count(*) from other", "0 SELECT 1")
	want := fmt.Sprintf("%d|%d SELECT 1", loadRows, loadRows*(loadRows+1)/2)
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		r := newTestSession(t, srv)
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if got, err := query(t, r, "select count(*), sum(a) from t"); err != nil || got != want {
				done <- fmt.Errorf("a reader saw %q, %v; want %q", got, err, want)
				return
			}
		}
	}()
	mustShow(t, a, "alter system set cairn.backfill_share = 100", "ALTER SYSTEM")
	mustRun(t, a, "alter table t add primary key (a)")
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	// The transaction reads at a time at which the new index was empty.
	mustShow(t, early, "select count(*), sum(a) from t", want)
	mustShow(t, early, "commit", "COMMIT")
	mustShow(t, a, "select count(*), sum(a) from t where a > 0", want)
}

func TestAKeyWithDuplicatesChangesNothing(t *testing.T) {
	_, srv := newTestServerEnv(t)
	a := newTestSession(t, srv)
	mustShow(t, a, "create table t (a int, b text)", "CREATE TABLE")
	mustShow(t, a, load, fmt.Sprintf("INSERT 0 %d", loadRows))
	mustShow(t, a, "insert into t values (4711, 'again')", "INSERT 0 1")
	_, err := query(t, a, "alter table t add primary key (a)")
	e := sqlerr.From(err)
	if e.Code != sqlerr.UniqueViolation || e.Detail != "Key (a)=(4711) is duplicated." {
		t.Fatalf("%v, detail %q", err, e.Detail)
	}
	mustShow(t, a, "select count(*) from t", fmt.Sprintf("%d SELECT 1", loadRows+1))
	mustShow(t, a, "delete from t where b = 'again'", "DELETE 1")
	mustShow(t, a, "alter system set cairn.backfill_share = 100", "ALTER SYSTEM")
	mustRun(t, a, "alter table t add primary key (a)")
	// In a load of a new index it is found, too, however far apart they are.
	mustShow(t, a, "begin", "BEGIN")
	mustShow(t, a, "truncate t", "TRUNCATE TABLE")
	mustShow(t, a, load, fmt.Sprintf("INSERT 0 %d", loadRows))
	_, err = query(t, a, "insert into t values (1, 'again')")
	if e := sqlerr.From(err); e.Code != sqlerr.UniqueViolation || e.Detail != "Key (a)=(1) already exists." {
		t.Fatalf("%v, detail %q", err, e.Detail)
	}
	mustShow(t, a, "rollback", "ROLLBACK")
	mustShow(t, a, "select count(*) from t", fmt.Sprintf("%d SELECT 1", loadRows))
}

// TestAChangeMayTakeLong holds a table for longer than its mark lives without
// renewal.
func TestAChangeMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, srv := newTestServerEnv(t)
		a := newTestSession(t, srv)
		mustShow(t, a, "create table t (a int, b text)", "CREATE TABLE")
		s, err := srv.cfg.Catalog.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tab := s.Tables(s.Database("defaultdb").ID)[0]
		tx := env.DB.Begin(txn.Options{})
		r := srv.cfg.Catalog.Resolver(tx)
		change := func(ctx context.Context) error {
			if err := r.BeginChange(ctx); err != nil {
				return err
			}
			if err := r.Hold(ctx, "ALTER TABLE", tab.ID); err != nil {
				return err
			}
			time.Sleep(45 * time.Second)
			c := tab.Clone()
			c.Comment = "slow"
			r.Put(c)
			if err := r.PrepareCommit(ctx); err != nil {
				return err
			}
			return tx.Commit(ctx)
		}
		err = change(t.Context())
		r.Finish(t.Context(), err == nil)
		if err != nil {
			t.Fatal(err)
		}
	})
}
