package sql

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// besideQueries are asked with and without work beside the data; of each, so many rows at least are taken there.
var besideQueries = []struct {
	taken int
	query string
}{
	{990, "select id from a where g = 3 and n > 2900"},
	{3000, "select count(*) from a"},
	{3000, "select count(*), count(n), sum(n), sum(b), avg(n), avg(v), min(s), max(d), bool_and(n > 0), bool_or(n = 7) from a"},
	{3000, "select g, count(*), sum(v), max(n) filter (where s like '%B%') from a group by g"},
	{3000, "select g % 3, s is null, count(*) from a where d > '2024-01-05' and n not in (5, 6) or n between 9 and 12 group by 1, 2"},
	{3000, "select case when n % 2 = 0 then 'even' else 'odd' end, count(*), avg(b) from a group by 1"},
	{3000, "select sum(n) from a where n < 0"},
	{3000, "select g, sum(n) from a where n < 0 group by g"},
	{2900, "select a.id, c.id from a join a c on c.id = a.id + 1 where a.g = 1 and c.n is distinct from 4"},
	{2000, "select n, count(*) from a group by n"}, // more groups than are made beside the data
	{0, "select sum(f) from a"},                    // depends on the order of its rows
	{0, "select count(distinct g) from a"},
	{0, "select array_agg(id order by id) from a where now() is null"},
	{2900, "select to_char(d, 'Day') from a where n = 5"},
}

func TestAnswersAreTheSameWithWorkBesideTheData(t *testing.T) {
	srv := newTestServer(t)
	plain, beside := newTestSession(t, srv), newTestSession(t, srv)
	for _, s := range []string{
		"create table a (id int primary key, g int, n int, b bigint, v numeric(12, 3), f float8, s text, d date)",
		`insert into a select x, x % 30, case when x % 17 = 0 then null else x end, x::bigint << 40, x::numeric / 7, x / 3.0,
			case when x % 5 > 0 then repeat(chr(65 + x % 26), x % 9) end, date '2024-01-01' + x % 90 from generate_series(1, 3000) x`,
		"analyze",
	} {
		mustRun(t, plain, s)
	}
	mustRun(t, plain, "set cairn.pushdown = off")
	mustRun(t, beside, "set cairn.pushdown = force")
	count := regexp.MustCompile(`Rows Done Beside Data: (\d+)`)
	for _, q := range besideQueries {
		want, err := query(t, plain, q.query)
		if err != nil {
			t.Fatalf("%s: %v", q.query, err)
		}
		got, err := query(t, beside, q.query)
		if err != nil || sortedRows(got) != sortedRows(want) {
			t.Errorf("%s: %q, %v; without work beside the data %q", q.query, got, err, want)
		}
		shown, err := query(t, beside, "explain analyze "+q.query)
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		if m := count.FindStringSubmatch(shown); m != nil {
			taken, _ = strconv.Atoi(m[1])
		}
		if taken < q.taken || q.taken == 0 && taken > 0 {
			t.Errorf("%s: %d rows were taken beside the data, not %d:\n%s", q.query, taken, q.taken, shown)
		}
	}
}

// What a row has that cannot be computed is told by the gateway, and own writes are seen.
func TestWorkBesideTheDataInATransaction(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	mustRun(t, s, "create table a (id int primary key, n int)")
	mustRun(t, s, "insert into a select x, x from generate_series(1, 100) x")
	mustRun(t, s, "set cairn.pushdown = force")
	for _, tc := range []struct{ query, want string }{
		{"select count(*) from a where 10 / (n - 50) > 0", "22012"},
		{"select sum(100 / (n - 50)) from a", "22012"},
		{"begin", ""},
		{"update a set n = 1000 where id = 5", ""},
		{"insert into a values (101, 1)", ""},
		{"delete from a where id = 7", ""},
	} {
		if _, err := query(t, s, tc.query); sqlState(err) != tc.want {
			t.Errorf("%s: %v", tc.query, err)
		}
	}
	if got, err := query(t, s, "select count(*), sum(n), max(n) from a where n <> 3"); err != nil || got != "99|6036|1000 SELECT 1" {
		t.Errorf("%q, %v", got, err)
	}
}

func sqlState(err error) string {
	if err == nil {
		return ""
	}
	return string(sqlerr.From(err).Code)
}
