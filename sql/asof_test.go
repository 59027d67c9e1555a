package sql

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func wantError(t *testing.T, s *Session, q string, code sqlerr.Code) {
	t.Helper()
	if got, err := query(t, s, q); !sqlerr.HasCode(err, code) {
		t.Errorf("%s: %q, %v; want %s", q, got, err, code)
	}
}

func TestATransactionReadsThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestSession(t, newTestServer(t))
		mustShow(t, a, "create table t (a int primary key, b int)", "CREATE TABLE")
		mustShow(t, a, "insert into t values (1, 1)", "INSERT 0 1")
		time.Sleep(10 * time.Second)
		then := time.Now().UTC().Format(time.RFC3339Nano)
		time.Sleep(10 * time.Second)
		mustShow(t, a, "update t set b = 2", "UPDATE 1")

		mustShow(t, a, "begin; set local cairn.read_as_of = '-10s'; select b from t", "BEGIN SET 1 SELECT 1")
		wantError(t, a, "update t set b = 3", sqlerr.ReadOnlySQLTransaction)
		mustShow(t, a, "rollback", "ROLLBACK")
		mustShow(t, a, "select b from t", "2 SELECT 1")

		mustShow(t, a, fmt.Sprintf("set cairn.read_as_of = '%s'", then), "SET")
		mustShow(t, a, "select b from t", "1 SELECT 1")
		wantError(t, a, "select b from t for update", sqlerr.ReadOnlySQLTransaction)
		mustShow(t, a, "begin; select b from t; commit", "BEGIN 1 SELECT 1 COMMIT")
		mustShow(t, a, "reset cairn.read_as_of", "RESET")
		mustShow(t, a, "select b from t", "2 SELECT 1")

		for _, v := range []string{"10s", time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano), "soon", "1900-01-01"} {
			wantError(t, a, fmt.Sprintf("set cairn.read_as_of = '%s'", v), sqlerr.InvalidParameterValue)
		}
		mustShow(t, a, "begin; select cairn.as_of('-10s'::interval) < now(); select b from t; commit", "BEGIN t SELECT 1 1 SELECT 1 COMMIT")
		mustShow(t, a, fmt.Sprintf("begin; select cairn.as_of('%s'::timestamptz) is null; select b from t; commit", then), "BEGIN f SELECT 1 1 SELECT 1 COMMIT")
		mustShow(t, a, "select b from t", "2 SELECT 1")
		wantError(t, a, "select cairn.as_of('-10s'::interval)", sqlerr.NoActiveSQLTransaction)
		wantError(t, a, "begin; select cairn.as_of('10s'::interval)", sqlerr.InvalidParameterValue)
		mustShow(t, a, "rollback", "ROLLBACK")
		mustShow(t, a, "begin; select 1", "BEGIN 1 SELECT 1")
		wantError(t, a, "select cairn.as_of('-1s'::interval)", sqlerr.ActiveSQLTransaction)
		mustShow(t, a, "rollback; begin; select 1", "ROLLBACK BEGIN 1 SELECT 1")
		wantError(t, a, "set local cairn.read_as_of = '-1s'", sqlerr.ActiveSQLTransaction)
		mustShow(t, a, "rollback", "ROLLBACK")
	})
}

func TestATableWhoseDefinitionChangedIsNotReadInItsPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestSession(t, newTestServer(t))
		mustShow(t, a, "create table t (a int primary key)", "CREATE TABLE")
		time.Sleep(10 * time.Second)
		mustShow(t, a, "alter table t add column b int default 7", "ALTER TABLE")
		mustShow(t, a, "set cairn.read_as_of = '-5s'", "SET")
		wantError(t, a, "select * from t", sqlerr.ObjectNotInPrerequisiteState)
		time.Sleep(10 * time.Second)
		mustShow(t, a, "select * from t", "SELECT 0")
	})
}

func TestAPastThatIsCollectedIsRefused(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a := newTestSession(t, srv)
	mustShow(t, a, "create table t (a int primary key)", "CREATE TABLE")
	env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if ba.Txn != nil && ba.Txn.ReadTimestamp.AddNanos(int64(time.Hour)).WallTime < time.Now().UnixNano() {
			return memkv.Fault{Before: kvapi.NewError(kvapi.ErrBelowGCThreshold, "collected")}
		}
		return memkv.Fault{}
	})
	mustShow(t, a, "set cairn.read_as_of = '-1 day'", "SET")
	wantError(t, a, "select * from t", sqlerr.SnapshotTooOld)
}

func TestAStrictCommitEndsWhenEveryClockIsPastIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, srv := newTestServerEnv(t)
		a := newTestSession(t, srv)
		mustShow(t, a, "create table t (a int primary key)", "CREATE TABLE")
		took := func(q string) time.Duration {
			t.Helper()
			start := time.Now()
			if got, err := query(t, a, q); err != nil {
				t.Fatalf("%s: %q, %v", q, got, err)
			}
			return time.Since(start)
		}
		offset := env.Clock.MaxOffset()
		if d := took("insert into t values (1)"); d >= offset {
			t.Errorf("a plain commit took %v", d)
		}
		wantError(t, a, "set cairn.consistency = 'eventual'", sqlerr.InvalidParameterValue)
		for _, q := range []string{
			"begin; set local cairn.consistency = 'strict'; insert into t values (2); commit",
			"begin; set local cairn.consistency = 'strict'; select * from t; commit",
		} {
			if d := took(q); d <= offset {
				t.Errorf("%s took %v, clocks differ by %v", q, d, offset)
			}
		}
		if d := took("begin; set local cairn.consistency = 'strict'; insert into t values (3); rollback"); d >= offset {
			t.Errorf("a rollback took %v", d)
		}
		// Locks are released before the wait.
		b := newTestSession(t, srv)
		mustShow(t, a, "set cairn.consistency = 'strict'", "SET")
		done := make(chan error)
		go func() {
			_, err := query(t, a, "update t set a = 20 where a = 2")
			done <- err
		}()
		time.Sleep(offset / 2)
		synctest.Wait()
		start := time.Now()
		mustShow(t, b, "select a from t order by a for update", "1 20 SELECT 2")
		if d := time.Since(start); d >= offset/4 {
			t.Errorf("a reader waited %v for the clocks", d)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestSettingsOfBeforeTheFirstQueryOutliveItsRetry(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a := newTestSession(t, srv)
	mustShow(t, a, "create table t (a int primary key)", "CREATE TABLE")
	mustShow(t, a, "insert into t values (1)", "INSERT 0 1")
	mustShow(t, a, "begin", "BEGIN")
	mustShow(t, a, "set local application_name = 'x'", "SET")
	var failed atomic.Bool
	env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if ba.Txn != nil && ba.Requests[0].Lock != kvapi.LockNone && !failed.Swap(true) {
			return memkv.Fault{Before: kvapi.NewError(kvapi.ErrRefreshFailed, "conflict")}
		}
		return memkv.Fault{}
	})
	mustShow(t, a, "update t set a = 2 where a = 1", "UPDATE 1")
	if !failed.Load() {
		t.Fatal("nothing to retry")
	}
	if got, _ := query(t, a, "show application_name"); !strings.HasPrefix(got, "x") {
		t.Errorf("application_name is %s", got)
	}
}
