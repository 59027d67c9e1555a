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

const keyed = "begin; set local cairn.idempotency_key = 'k'; "

func newTableSession(t *testing.T, srv *Server) *Session {
	s := newTestSession(t, srv)
	mustShow(t, s, "create table t (a int primary key, b int)", "CREATE TABLE")
	return s
}

func TestATransactionWithAKeyCommitsOnce(t *testing.T) {
	srv := newTestServer(t)
	a := newTableSession(t, srv)
	mustShow(t, a, keyed+"insert into t values (1, 1); commit", "BEGIN SET INSERT 0 1 COMMIT")
	wantError(t, a, keyed+"insert into t values (2, 2); commit", sqlerr.TransactionAlreadyCommitted)
	mustShow(t, a, "rollback", "ROLLBACK")
	mustShow(t, a, "select cairn.transaction_outcome('k')", "committed SELECT 1")
	mustShow(t, a, "select count(*) from t", "1 SELECT 1")

	mustShow(t, a, "begin; set local cairn.idempotency_key = 'other'; insert into t values (3, 3); rollback", "BEGIN SET INSERT 0 1 ROLLBACK")
	mustShow(t, a, "begin; set local cairn.idempotency_key = 'other'; insert into t values (3, 3); commit", "BEGIN SET INSERT 0 1 COMMIT")
	mustShow(t, a, "select count(*) from t", "2 SELECT 1")
}

func TestAnOutcomeThatWasAskedForIsFinal(t *testing.T) {
	a := newTableSession(t, newTestServer(t))
	mustShow(t, a, "select cairn.transaction_outcome('k')", "never seen SELECT 1")
	wantError(t, a, keyed+"insert into t values (1, 1); commit", sqlerr.TransactionAlreadyAborted)
	mustShow(t, a, "rollback", "ROLLBACK")
	mustShow(t, a, "select cairn.transaction_outcome('k')", "never seen SELECT 1")
	mustShow(t, a, "select count(*) from t", "0 SELECT 1")
}

func TestWhereAKeyMayBeSet(t *testing.T) {
	a := newTableSession(t, newTestServer(t))
	wantError(t, a, "set cairn.idempotency_key = 'k'", sqlerr.NoActiveSQLTransaction)
	mustShow(t, a, "begin; select 1", "BEGIN 1 SELECT 1")
	wantError(t, a, "set local cairn.idempotency_key = 'k'", sqlerr.ActiveSQLTransaction)
	mustShow(t, a, "rollback; begin", "ROLLBACK BEGIN")
	wantError(t, a, "set local cairn.idempotency_key = ''", sqlerr.InvalidParameterValue)
	mustShow(t, a, "rollback", "ROLLBACK")
	mustShow(t, a, keyed+"select 1", "BEGIN SET 1 SELECT 1")
	wantError(t, a, "select cairn.transaction_outcome('k')", sqlerr.ActiveSQLTransaction)
	mustShow(t, a, "rollback", "ROLLBACK")
}

// Commits are cut at every batch, before and after its effect; the client then
// runs the transaction again under its key until it is told a result.
func TestARowIsInsertedOnceWhateverAnswersAreLost(t *testing.T) {
	for _, level := range []string{"serializable", "repeatable read", "read committed"} {
		for cut := range 12 {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprint(level, cut, after), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testLostAnswer(t, level, cut, after) })
				})
			}
		}
	}
}

func testLostAnswer(t *testing.T, level string, cut int, after bool) {
	env, srv := newTestServerEnv(t)
	a, b := newTableSession(t, srv), newTestSession(t, srv)
	var batches atomic.Int64
	lost := kvapi.NewError(kvapi.ErrAmbiguous, "the answer was lost")
	lost.MaybeApplied = true
	env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if ba.Txn == nil {
			return memkv.Fault{}
		}
		switch {
		case batches.Add(1)-1 != int64(cut):
			return memkv.Fault{}
		case after:
			return memkv.Fault{After: lost}
		}
		return memkv.Fault{Before: kvapi.NewError(kvapi.ErrNodeUnreachable, "lost")}
	})
	run := func(s *Session) error {
		defer s.ExecSimple(context.Background(), "rollback", &textWriter{s: s})
		for _, q := range []string{"begin isolation level " + level, "set local cairn.idempotency_key = 'k'",
			"update t set b = b + 1 where a = 1", "insert into t select 1 + count(*), 1 from t", "commit"} {
			if _, err := query(t, s, q); err != nil {
				return err
			}
		}
		return nil
	}
	err := run(a)
	want := "1 SELECT 1"
	for i := 0; err != nil && !sqlerr.HasCode(err, sqlerr.TransactionAlreadyCommitted); i++ {
		if i == 10 {
			t.Fatalf("still %v", err)
		}
		err = run(b)
	}
	mustShow(t, b, "select count(*) from t", want)
	mustShow(t, b, "select cairn.transaction_outcome('k')", "committed SELECT 1")
}

func TestTheOutcomeAfterALostAnswerIsTheTruth(t *testing.T) {
	for _, after := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			env, srv := newTestServerEnv(t)
			a, b := newTableSession(t, srv), newTestSession(t, srv)
			var cut atomic.Bool
			env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
				if end := ba.EndTxnRequest(); end == nil || !end.Commit || cut.Swap(true) {
					return memkv.Fault{}
				}
				lost := kvapi.NewError(kvapi.ErrAmbiguous, "lost")
				lost.MaybeApplied = true
				if after {
					return memkv.Fault{After: lost}
				}
				return memkv.Fault{Before: lost}
			})
			got, err := query(t, a, keyed+"insert into t values (1, 1); commit")
			if err == nil && !strings.HasSuffix(got, "COMMIT") {
				t.Fatalf("%q", got)
			}
			o, oerr := query(t, b, "select cairn.transaction_outcome('k')")
			n, _ := query(t, b, "select count(*) from t")
			if oerr != nil || strings.HasPrefix(o, "committed") != strings.HasPrefix(n, "1") {
				t.Errorf("after %v: commit says %v, the outcome is %q, %v; rows: %s", after, err, o, oerr, n)
			}
			if err == nil && !strings.HasPrefix(o, "committed") {
				t.Errorf("after %v: a commit became %q", after, o)
			}
		})
	}
}

func TestAKeyIsAsNewAfterItsRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, srv := newTestServerEnv(t)
		a := newTableSession(t, srv)
		mustShow(t, a, "set cairn.idempotency_retention = '1h'", "SET")
		mustShow(t, a, keyed+"insert into t values (1, 1); commit", "BEGIN SET INSERT 0 1 COMMIT")
		time.Sleep(59 * time.Minute)
		wantError(t, a, keyed+"insert into t values (2, 2); commit", sqlerr.TransactionAlreadyCommitted)
		mustShow(t, a, "rollback", "ROLLBACK")
		time.Sleep(2 * time.Minute)
		mustShow(t, a, keyed+"insert into t values (2, 2); commit", "BEGIN SET INSERT 0 1 COMMIT")
		wantError(t, a, keyed, sqlerr.TransactionAlreadyCommitted)
		mustShow(t, a, "rollback", "ROLLBACK")

		key := outcomeKey(a.db.ID, "k")
		if err := a.sweepFrom(t.Context(), key[:len(key)-32]); err != nil {
			t.Fatal(err)
		}
		if _, ok := env.Cluster.Value(key); !ok {
			t.Error("a record was swept in its time")
		}
		time.Sleep(2 * time.Hour)
		if err := a.sweepFrom(t.Context(), key[:len(key)-32]); err != nil {
			t.Fatal(err)
		}
		if _, ok := env.Cluster.Value(key); ok {
			t.Error("an expired record is still there")
		}
	})
}
