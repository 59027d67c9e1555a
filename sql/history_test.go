package sql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn/txntest"
)

// conflictAtCommit fails the next n commits of writing transactions.
func conflictAtCommit(env *txntest.Env, n int) {
	var left atomic.Int64
	left.Store(int64(n))
	env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if end := ba.EndTxnRequest(); end != nil && end.Commit && left.Add(-1) >= 0 {
			return memkv.Fault{Before: kvapi.NewError(kvapi.ErrRefreshFailed, "conflict")}
		}
		return memkv.Fault{}
	})
}

// A transaction that has shown something is run again, unseen, if it shows the same.
func TestATransactionThatHasShownResultsRunsAgain(t *testing.T) {
	for _, tc := range []struct {
		name       string
		statements []string
		again      bool
	}{
		{"reads and writes", []string{"select b from t where a = 1", "update t set b = b + 1 where a = 1", "select b from t where a = 1"}, true},
		{"a savepoint", []string{"update t set b = 9 where a = 1", "savepoint s", "delete from t", "rollback to s", "select * from t"}, true},
		{"settings", []string{"set local search_path = public", "select b from t where a = 1", "set local timezone = 'Asia/Tokyo'",
			"update t set b = 2 where a = 1", "show timezone"}, true},
		{"now", []string{"select now()", "update t set b = 2 where a = 1"}, true},
		{"unseen numbers", []string{"insert into t (a, b) values (nextval('s') + 100, 1)"}, true},
		{"a number that was seen", []string{"insert into t (a, b) values (nextval('s') + 100, 1) returning a", "select currval('s')"}, true},
		{"something random that was seen", []string{"select random(), gen_random_uuid() from t", "update t set b = 2 where a = 1"}, true},
		{"the clock", []string{"select clock_timestamp()", "update t set b = 2 where a = 1"}, true},
		{"an effect outside", []string{"select pg_sleep(0)", "update t set b = 2 where a = 1"}, false},
		{"a schema change", []string{"create table u (a int primary key)", "insert into u values (1)"}, false},
		{"prepared by name", []string{"prepare p(int) as update t set b = $1 where a = 1 returning b, random()", "execute p(7)", "execute p(8)"}, true},
		{"prepared with an effect", []string{"prepare p as select setval('s', 9)", "execute p", "update t set b = 2 where a = 1"}, false},
		{"executed with a call", []string{"prepare p(int) as select $1", "execute p(nextval('s')::int)", "update t set b = 2 where a = 1"}, false},
		{"a name that was given again", []string{"prepare p as select 1", "execute p", "deallocate p", "prepare p as select 1", "update t set b = 2 where a = 1"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env, srv := newTestServerEnv(t)
			a := newTableSession(t, srv)
			mustShow(t, a, "create sequence s", "CREATE SEQUENCE")
			mustShow(t, a, "insert into t values (1, 1), (2, 2)", "INSERT 0 2")
			mustShow(t, a, "begin", "BEGIN")
			for _, q := range tc.statements {
				if got, err := query(t, a, q); err != nil {
					t.Fatalf("%s: %q, %v", q, got, err)
				}
			}
			conflictAtCommit(env, 2)
			got, err := query(t, a, "commit")
			if tc.again && (err != nil || got != "COMMIT" || srv.contention.replays.Load() == 0) {
				t.Errorf("commit: %q, %v, %d replays", got, err, srv.contention.replays.Load())
			}
			if !tc.again && !sqlerr.HasCode(err, sqlerr.SerializationFailure) {
				t.Errorf("commit: %q, %v", got, err)
			}
		})
	}
}

// A transaction without a record is taken for aborted after a fail-over of its
// range, for nobody can tell whether it was. At every level it runs again, unseen.
func TestAnAbortedTransactionRunsAgainAtEachLevel(t *testing.T) {
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			env, srv := newTestServerEnv(t)
			a := newTableSession(t, srv)
			mustShow(t, a, "insert into t values (1, 1), (2, 2)", "INSERT 0 2")
			mustShow(t, a, "begin isolation level "+level, "BEGIN")
			mustShow(t, a, "select b from t where a = 1", "1 SELECT 1")
			mustShow(t, a, "update t set b = b + 1 where a = 1 returning b", "2 UPDATE 1")
			var aborted atomic.Int32
			env.Cluster.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
				if ba.EndTxnRequest() == nil || !ba.EndTxnRequest().Commit || aborted.Add(1) > 2 {
					return memkv.Fault{}
				}
				err := kvapi.NewError(kvapi.ErrTxnAborted, "no record, and none can be made")
				err.Txn = ba.Txn.Clone()
				err.Txn.Status = kvapi.Aborted
				return memkv.Fault{Before: err}
			})
			mustShow(t, a, "commit", "COMMIT")
			if n := srv.contention.replays.Load(); n == 0 {
				t.Error("it did not run again")
			}
			mustShow(t, a, "select b from t where a = 1", "2 SELECT 1")
		})
	}
}

// What a client was shown of a sequence is what is there after its transaction
// ran again.
func TestANumberThatWasShownIsKept(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a := newTableSession(t, srv)
	mustShow(t, a, "create table u (id serial primary key, k uuid default gen_random_uuid(), v int)", "CREATE TABLE")
	mustShow(t, a, "begin", "BEGIN")
	shown, err := query(t, a, "insert into u (v) values (1), (2) returning id, k")
	if err != nil {
		t.Fatal(err)
	}
	mustShow(t, a, "update u set v = v + 1", "UPDATE 2")
	conflictAtCommit(env, 2)
	mustShow(t, a, "commit", "COMMIT")
	if srv.contention.replays.Load() == 0 {
		t.Error("it did not run again")
	}
	there, err := query(t, a, "select id, k from u order by id")
	if want := strings.ReplaceAll(shown, "INSERT 0 2", "SELECT 2"); err != nil || there != want {
		t.Errorf("there is %q, shown was %q; %v", there, shown, err)
	}
	mustShow(t, a, "insert into u (v) values (3) returning id", "3 INSERT 0 1")
	mustShow(t, a, "select currval('u_id_seq')", "3 SELECT 1")
}

func TestATransactionThatWouldShowOtherDataDoesNotRunAgain(t *testing.T) {
	srv := newTestServer(t)
	a, b := newTableSession(t, srv), newTestSession(t, srv)
	mustShow(t, a, "insert into t values (1, 1), (2, 2)", "INSERT 0 2")
	mustShow(t, a, "begin; select b from t where a = 1", "BEGIN 1 SELECT 1")
	mustShow(t, b, "update t set b = 7 where a = 1", "UPDATE 1")
	mustShow(t, a, "update t set b = 3 where a = 2", "UPDATE 1")
	mustShow(t, b, "select b from t where a = 2", "2 SELECT 1") // pushes the commit
	_, err := query(t, a, "commit")
	e := sqlerr.From(err)
	if err == nil || e.Code != sqlerr.SerializationFailure {
		t.Fatalf("commit: %v", err)
	}
	if want := `relation "t", key (a)=(1)`; !strings.Contains(e.Hint, want) {
		t.Errorf("hint is %q, want %q in it", e.Hint, want)
	}
	mustShow(t, a, "select sum(b) from t", "9 SELECT 1")
	got, err := query(t, a, "select table_name, key, shown > 0 from cairn.contention")
	if err != nil || !strings.HasPrefix(got, "t|(a)=(1)|t ") {
		t.Errorf("contention: %q, %v", got, err)
	}
}

// The conflict is real, and the rows that were shown are others.
func TestATransactionRunsAgainWhereOthersChangedWhatItDidNotShow(t *testing.T) {
	srv := newTestServer(t)
	a, b := newTableSession(t, srv), newTestSession(t, srv)
	mustShow(t, a, "insert into t values (1, 1), (2, 2), (3, 3)", "INSERT 0 3")
	mustShow(t, a, "begin; select count(*) from t", "BEGIN 3 SELECT 1")
	mustShow(t, b, "update t set b = 7 where a = 1", "UPDATE 1")
	mustShow(t, a, "update t set b = b + 1 where a = 1", "UPDATE 1")
	mustShow(t, a, "commit", "COMMIT")
	mustShow(t, a, "select b from t where a = 1", "8 SELECT 1")
	if srv.contention.replays.Load() != 1 {
		t.Errorf("%d replays", srv.contention.replays.Load())
	}
}

func TestALongTransactionIsNotRememberedForEver(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a := newTableSession(t, srv)
	mustShow(t, a, "insert into t values (1, 1)", "INSERT 0 1")
	mustShow(t, a, "begin", "BEGIN")
	for range historyStepsMax + 1 {
		mustShow(t, a, "select 1", "1 SELECT 1")
	}
	if h := a.tx.history; !h.off || h.steps != nil {
		t.Errorf("%d steps", len(h.steps))
	}
	mustShow(t, a, "update t set b = 2 where a = 1", "UPDATE 1")
	conflictAtCommit(env, 1)
	wantError(t, a, "commit", sqlerr.SerializationFailure)
}

func TestATransactionOfTheExtendedProtocolRunsAgain(t *testing.T) {
	env, srv := newTestServerEnv(t)
	a := newTableSession(t, srv)
	mustShow(t, a, "insert into t values (1, 1)", "INSERT 0 1")
	w := &textWriter{s: a}
	ctx := t.Context()
	exec := func(q string, params ...[]byte) {
		t.Helper()
		err := a.Prepare(ctx, w, "", q, nil)
		if err == nil {
			err = a.Bind(ctx, w, BindArgs{Params: params})
		}
		if err == nil {
			err = a.Execute(ctx, w, "", 0)
		}
		if serr := a.Sync(ctx, w); err == nil {
			err = serr
		}
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		w.out.Reset() // the client has it
	}
	exec("begin")
	exec("select b from t where a = $1", []byte("1"))
	exec("update t set b = b + $1 where a = 1", []byte("5"))
	conflictAtCommit(env, 3)
	exec("commit")
	if srv.contention.replays.Load() == 0 {
		t.Error("nothing was run again")
	}
	mustShow(t, a, "select b from t", "6 SELECT 1")
}

func TestContentionKeepsTheKeysWithTheMostConflicts(t *testing.T) {
	var c contention
	for i := range 5 * contentionKeysMax {
		c.add(kvapi.Key(fmt.Sprint("once", i)), "r", nil, conflictRetried)
		c.add(kvapi.Key("often"), "r", nil, conflictShown)
	}
	top := c.top()
	if len(top) != contentionKeysMax || string(top[0].key) != "often" || top[0].shown != 5*contentionKeysMax {
		t.Errorf("%d keys, first %+v", len(top), top[0])
	}
}

func BenchmarkDigestOfARow(b *testing.B) {
	srv := newTestServer(b)
	s := newTestSession(b, srv)
	h := newHistory(0)
	d := &digest{ResultWriter: nowhere{}, s: s, h: h}
	d.hash.SetSeed(h.seed)
	_ = d.BeginRows([]Column{{Type: types.Int8}, {Type: types.Text}})
	row := types.Row{types.NewInt(42), types.NewText("twenty bytes of text")}
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Row(row)
		d.rows = 0
	}
}

// Clients add one to what they were shown. An increment that is lost was
// computed from something that a run unseen did not show.
func TestNoIncrementOfWhatWasShownIsLost(t *testing.T) {
	for _, tc := range []struct{ level, read string }{
		{"serializable", "select b from t where a = 1"},
		{"repeatable read", "select b from t where a = 1"},
		{"read committed", "select b from t where a = 1 for update"},
	} {
		t.Run(tc.level, func(t *testing.T) {
			srvs := gateways(t, 3)
			mustShow(t, newTableSession(t, srvs[0]), "insert into t values (1, 0), (2, 0)", "INSERT 0 2")
			const clients, each = 6, 25
			var wg sync.WaitGroup
			for i := range clients {
				s := newTestSession(t, srvs[i%len(srvs)])
				wg.Go(func() {
					for range each {
						increment(t, s, tc.level, tc.read)
					}
				})
			}
			wg.Wait()
			s := newTestSession(t, srvs[0])
			mustShow(t, s, "select b from t order by a", fmt.Sprintf("%d %d SELECT 2", clients*each, clients*each))
		})
	}
}

func increment(t *testing.T, s *Session, level, read string) {
	for {
		_, err := query(t, s, "begin isolation level "+level)
		var shown, got string
		if err == nil {
			shown, err = query(t, s, read)
		}
		if err == nil {
			n, _ := strconv.Atoi(strings.Fields(shown)[0])
			_, err = query(t, s, fmt.Sprintf("update t set b = %d where a = 1", n+1))
		}
		if err == nil {
			_, err = query(t, s, "update t set b = b + 1 where a = 2")
		}
		if err == nil {
			if got, err = query(t, s, "commit"); err == nil && got == "COMMIT" {
				return
			}
		}
		if !sqlerr.HasCode(err, sqlerr.SerializationFailure) && !sqlerr.HasCode(err, sqlerr.DeadlockDetected) {
			t.Errorf("%v", err)
			return
		}
		_, _ = query(t, s, "rollback")
	}
}
