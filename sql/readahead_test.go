package sql

import (
	"fmt"
	"strings"
	"testing"
)

// TestReadingAheadIsNotSeen runs statements over a table of several pages: whole, cut short by a LIMIT,
// ended by an error, suspended, and in transactions that go on. Under the race detector it shows that one
// goroutine at a time uses the transaction.
func TestReadingAheadIsNotSeen(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	mustRun(t, s, "create table t (a int primary key, b text)")
	mustRun(t, s, "insert into t select g, repeat('x', 400) from generate_series(1, 12000) g")
	mustShow(t, s, "select count(*), sum(a), min(length(b)) from t", "12000|72006000|400 SELECT 1")
	mustShow(t, s, "select count(*) from (select * from t limit 9000) q", "9000 SELECT 1")
	mustShow(t, s, "select count(*) from t x join t y using (a)", "12000 SELECT 1")
	mustShow(t, s, "select a from t where b like 'x%' and a > 8000 limit 1", "8001 SELECT 1")
	if _, err := query(t, s, "select 1 / (a - 10000) from t"); err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Error(err)
	}
	mustShow(t, s, "begin", "BEGIN")
	for i := range 20 {
		mustShow(t, s, fmt.Sprintf("select exists (select * from t where b <> 'y' and a > %d)", 5000+100*i), "t SELECT 1")
		mustShow(t, s, fmt.Sprintf("update t set b = 'z' where a = %d", 11000+i), "UPDATE 1")
	}
	mustShow(t, s, "select count(*) from t where b = 'z'", "20 SELECT 1")
	mustShow(t, s, "declare c cursor for select a from t where b <> 'q'", "DECLARE CURSOR")
	mustShow(t, s, "fetch 1 from c", "1 FETCH 1")
	mustShow(t, s, "move 9999 from c", "MOVE 9999")
	mustShow(t, s, "delete from t where a = 11999", "DELETE 1")
	mustShow(t, s, "fetch 1 from c", "10001 FETCH 1")
	mustShow(t, s, "commit", "COMMIT")
	mustShow(t, s, "select count(*) from t", "11999 SELECT 1")
}
