package node

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// rows returns what a query shows, columns by |, rows by newlines.
func (c *client) rows(sql string) string {
	c.t.Helper()
	rs, err := c.conn.PgConn().Exec(c.t.Context(), sql).ReadAll()
	if err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	var lines []string
	for _, r := range rs {
		for _, row := range r.Rows {
			var cols []string
			for _, v := range row {
				cols = append(cols, string(v))
			}
			lines = append(lines, strings.Join(cols, "|"))
		}
	}
	return strings.Join(lines, "\n")
}

// pg_locks shows, on any gateway, who holds a row, who waits for it, and in
// which sessions, wherever the range's lease is.
func TestLocksOfAllNodesAreShownWithTheirSessions(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b, other := c.client(0), c.client(1), c.client(2)
	a.exec("CREATE TABLE held (id int PRIMARY KEY, v int)")
	a.exec("INSERT INTO held VALUES (1, 0), (2, 0)")
	a.exec("SET application_name = 'holder'")
	b.exec("SET application_name = 'waiter'")
	a.exec("BEGIN")
	a.exec("SELECT * FROM held WHERE id = 1 FOR UPDATE")
	a.exec("SELECT * FROM held WHERE id = 2 FOR SHARE")
	a.exec("SELECT pg_advisory_lock(77)")
	done := make(chan error, 1)
	go func() {
		_, err := b.conn.Exec(t.Context(), "UPDATE held SET v = 1 WHERE id = 1")
		done <- err
	}()
	const query = `SELECT l.locktype, c.relname, l.objid, l.mode, l.granted, l.pid, l.waitstart IS NOT NULL
		FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'held' OR l.locktype = 'advisory' ORDER BY l.mode, l.granted`
	pidA, pidB := a.rows("SELECT pg_backend_pid()"), ""
	for end := time.Now().Add(20 * time.Second); pidB == "" && time.Now().Before(end); {
		pidB = other.rows("SELECT pid FROM cairn.locks WHERE application_name = 'waiter'")
	}
	want := strings.Join([]string{
		"tuple|held||AccessExclusiveLock|t|" + pidA + "|f",
		"advisory||77|AccessExclusiveLock|t|" + pidA + "|f",
		"tuple|held||ExclusiveLock|f|" + pidB + "|t",
		"tuple|held||RowShareLock|t|" + pidA + "|f"}, "\n")
	if got := sorted(other.rows(query)); pidB == "" || got != sorted(want) {
		t.Errorf("pg_locks:\n%s\nwant\n%s", got, want)
	}
	if got := other.rows("SELECT table_name, key, application_name, strength, durable, granted FROM cairn.locks WHERE key LIKE '%(1)' AND granted"); got != "held|(id)=(1)|holder|update|t|t" {
		t.Errorf("cairn.locks: %s", got)
	}
	const activity = `SELECT application_name, datname, usename, state, client_addr = '127.0.0.1', xact_start IS NOT NULL, query FROM pg_stat_activity
		WHERE application_name <> '' AND backend_start < now() AND query_start BETWEEN now() - interval '1 hour' AND now() + interval '1 min'`
	want = "holder|defaultdb|root|idle in transaction|t|t|SELECT pg_backend_pid()\n" +
		"waiter|defaultdb|root|active|t|t|UPDATE held SET v = 1 WHERE id = 1"
	if got := sorted(other.rows(activity)); got != want {
		t.Errorf("pg_stat_activity:\n%s\nwant\n%s", got, want)
	}
	a.exec("COMMIT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a.exec("SELECT pg_advisory_unlock_all()")
	if got := other.rows("SELECT state, xact_start FROM pg_stat_activity WHERE application_name = 'holder'"); got != "idle|" {
		t.Errorf("after the commit: %s", got)
	}
}

// Sessions can be interrupted and ended from any gateway, by those who may.
func TestSessionsAreInterruptedFromAnyGateway(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b := c.client(0), c.client(1)
	pid := a.rows("SELECT pg_backend_pid()")
	done := make(chan error, 1)
	go func() {
		_, err := a.conn.Exec(t.Context(), "SELECT pg_sleep(600)")
		done <- err
	}()
	for end := time.Now().Add(20 * time.Second); b.rows("SELECT state FROM pg_stat_activity WHERE pid = "+pid) != "active" && time.Now().Before(end); {
	}
	if got := b.rows("SELECT pg_cancel_backend(" + pid + ")"); got != "t" {
		t.Errorf("pg_cancel_backend: %s", got)
	}
	var e *pgconn.PgError
	if err := <-done; !errors.As(err, &e) || e.Code != "57014" {
		t.Errorf("the canceled statement: %v", err)
	}
	b.exec("CREATE ROLE nobody_special")
	b.exec("SET ROLE nobody_special")
	b.fails("42501", "SELECT pg_terminate_backend("+pid+")")
	b.exec("RESET ROLE")
	if got := b.rows("SELECT pg_terminate_backend(" + pid + "), pg_terminate_backend(1)"); got != "t|f" {
		t.Errorf("pg_terminate_backend: %s", got)
	}
	a.fails("57P01", "SELECT 1")
}

func sorted(lines string) string {
	l := strings.Split(lines, "\n")
	slices.Sort(l)
	return strings.Join(l, "\n")
}

// The error of a lost transaction names the session that won, also one of
// another gateway, and one that has committed without leaving an intent.
func TestAConflictNamesTheOtherApplication(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b := c.client(0), c.client(1)
	a.exec("CREATE TABLE fought (id int PRIMARY KEY, v int)")
	a.exec("INSERT INTO fought VALUES (1, 0), (2, 0)")
	b.exec("SET application_name = 'shop'")
	pid := b.rows("SELECT pg_backend_pid()")
	a.exec("BEGIN ISOLATION LEVEL REPEATABLE READ")
	a.exec("SELECT pg_sleep(0), v FROM fought")
	b.exec("UPDATE fought SET v = 1 WHERE id = 1")
	e := a.fails("40001", "UPDATE fought SET v = 2 WHERE id = 1")
	want := regexp.MustCompile(`^The transaction might succeed if retried\. The conflict was in relation "fought", key \(id\)=\(1\), ` +
		`with transaction [0-9a-f]+ of application "shop" \(pid ` + pid + `\), whose statement began [0-9.]+ m?s ago and which committed [0-9.]+ m?s ago\.$`)
	if !want.MatchString(e.Hint) {
		t.Errorf("hint %q", e.Hint)
	}
	a.exec("ROLLBACK")
}

// pg_stat_statements has, on any gateway, one row for what ran on several, and
// a reset holds on all.
func TestStatementsOfAllNodesAreCountedTogether(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b := c.client(0), c.client(1)
	a.exec("CREATE TABLE counted (id int PRIMARY KEY, v int)")
	a.exec("INSERT INTO counted VALUES (1, 0), (2, 0)")
	a.exec("SELECT pg_stat_statements_reset()")
	a.exec("SELECT v FROM counted WHERE id = 1")
	b.exec("SELECT v FROM counted WHERE id = 2")
	b.exec("SELECT v FROM counted WHERE id = 3")
	const query = "SELECT query, calls, rows, min_exec_time > 0, total_exec_time >= 3 * min_exec_time FROM pg_stat_statements WHERE query LIKE '%counted%'"
	for i := range 3 {
		if got := c.client(i).rows(query); got != "SELECT v FROM counted WHERE id = $1|3|2|t|t" {
			t.Errorf("on node %d: %s", i+1, got)
		}
	}
	c.client(2).exec("SELECT pg_stat_statements_reset()")
	if got := a.rows("SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT v %'"); got != "0" {
		t.Errorf("%s are left", got)
	}
}

// When ALTER SYSTEM returns, sessions of all nodes go by it, also those that
// were there before.
func TestAlterSystemHoldsOnAllNodesAtOnce(t *testing.T) {
	c := startCluster(t, 3)
	a, b := c.client(0), c.client(1)
	if got := b.rows("SHOW cairn.consistency"); got != "default" {
		t.Errorf("consistency is %s", got)
	}
	a.exec("ALTER SYSTEM SET cairn.consistency = 'strict'")
	for _, s := range []*client{a, b, c.client(2)} {
		if got := s.rows("SHOW cairn.consistency"); got != "strict" {
			t.Errorf("consistency is %s", got)
		}
	}
}
