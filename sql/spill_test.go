package sql

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn/txntest"
)

// newBoundedServer is a server whose statements share so much memory.
func newBoundedServer(t *testing.T, env *txntest.Env, catalog *schema.Catalog, bytes int64) *Server {
	return NewServer(Config{DB: env.DB, Catalog: catalog, TempDir: t.TempDir(), MemoryBytesMax: bytes})
}

var spillTables = []string{
	"create table a (id int primary key, g int, v numeric, s text)",
	"create table b (id int primary key, a_id int, w int)",
	"insert into a select x, x % 97, x::numeric / 7, repeat(chr(65 + x % 26), x % 40) from generate_series(1, 3000) x",
	"insert into b select x, case when x % 11 = 0 then null else x * 7 % 4000 end, x % 13 from generate_series(1, 4000) x",
	"analyze",
}

// spillQueries each have an operator that spills, named by what EXPLAIN shows.
var spillQueries = []struct{ operator, query string }{
	{"Sort", "select id, s from a order by s desc, id"},
	{"Sort", "select id, s from a order by g"},
	{"Top-N Sort", "select id, s from a order by v desc limit 500"},
	{"HashAggregate", "select s, count(*), sum(v), min(id), max(s) from a group by s"},
	{"HashAggregate", "select id % 1500, count(distinct g), array_agg(id order by id desc), count(*) filter (where g > 50) from a group by 1"},
	{"HashAggregate (distinct)", "select distinct g, s from a"},
	{"Hash Join", "select a.id, b.id, s from a join b on b.a_id = a.id"},
	{"Hash Left Join|Hash Right Join", "select a.id, b.w from a left join b on b.a_id = a.id and b.w > 3"},
	{"Hash Left Join|Hash Right Join", "select b.id, a.s from b left join a on b.a_id = a.id"},
	{"Hash Full Join", "select a.id, b.id from a full join b on b.a_id = a.id and b.id = a.g + 5"},
	{"Semi Join", "select id from a where exists (select * from b where a_id = a.id and b.w <> a.g)"},
	{"Anti Join", "select id from a where not exists (select * from b where a_id = a.id and b.w <> a.g)"},
	{"Anti Join", "select id from b where not exists (select * from a where a_id = a.id)"},
	{"HashAggregate (distinct)", "select s from a union select id::text from b"},
	{"CTE Scan", "with x as materialized (select * from b) select count(*), sum(y.w) from x join x y on x.id = y.id and x.w <> y.w + 1"},
	{"Nested Loop", "select count(*), sum(x.id) from a x join a y on x.s < y.s and x.g < 40 and y.g < 35 and x.id < y.id - 2000"},
	{"Unique", "select distinct on (g) g, id from a order by g, v desc"},
	{"Unique", "select distinct on (s, g) s, g from a order by s"},
}

// TestSpilledAnswersAreTheSame compares with and without temporary files. The order of rows counts where
// the query says one.
func TestSpilledAnswersAreTheSame(t *testing.T) {
	env, srv := newTestServerEnv(t)
	srv = newBoundedServer(t, env, srv.cfg.Catalog, 0)
	plain, forced := newTestSession(t, srv), newTestSession(t, srv)
	for _, s := range spillTables {
		mustRun(t, plain, s)
	}
	mustRun(t, forced, "set cairn.force_spill = 30000")
	for _, q := range spillQueries {
		want, err := query(t, plain, q.query)
		if err != nil {
			t.Fatal(q.query, err)
		}
		got, err := query(t, forced, q.query)
		if err != nil {
			t.Fatal(q.query, err)
		}
		if !strings.Contains(q.query, " order by ") || strings.Contains(q.query, "(id order by") {
			got, want = sortedRows(got), sortedRows(want)
		}
		if got != want {
			t.Errorf("%s: answers differ:\n%.300s\n%.300s", q.query, got, want)
		}
		p, err := query(t, forced, "explain analyze "+q.query)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(strings.ReplaceAll(strings.ReplaceAll(q.operator, "(", `\(`), ")", `\)`)).MatchString(p) || !strings.Contains(p, "Spilled: ") {
			t.Errorf("%s: no %s that spilled:\n%s", q.query, q.operator, p)
		}
	}
	if files, _ := os.ReadDir(srv.cfg.TempDir); len(files) > 0 {
		t.Errorf("%d temporary files have names", len(files))
	}
	if used := srv.memory.Used(); used != 0 {
		t.Errorf("statements that ended hold %d bytes", used)
	}
}

func TestMemoryAndTemporaryFilesHaveBounds(t *testing.T) {
	env, srv := newTestServerEnv(t)
	srv = newBoundedServer(t, env, srv.cfg.Catalog, 1<<20)
	s := newTestSession(t, srv)
	for _, q := range spillTables {
		mustRun(t, s, q)
	}
	for _, c := range []struct{ set, query, code, detail string }{
		{"", "select max(x.id) from (select id from a union select id + 1 from a) x, (select array_agg(s) from a, b where b.w = a.g) y", "", ""},
		{"", "select count(*) over (partition by s order by y) from a, generate_series(1, 20) y limit 1", "53200", "The statements of this node"},
		{"set cairn.statement_mem = '1MB'; set work_mem = '64MB'", "select count(*) over (partition by s order by y) from a, generate_series(1, 20) y limit 1", "53200", ""},
		{"set cairn.force_spill = 30000; set temp_file_limit = '20kB'", "select * from a order by s", "53400", ""},
		{"set temp_file_limit = -1", "select count(*) from (select * from a order by s) x", "", ""},
	} {
		if c.set != "" {
			mustRun(t, s, c.set)
		}
		_, err := query(t, s, c.query)
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.query, err)
			}
			continue
		}
		e := sqlerr.From(err)
		if err == nil || string(e.Code) != c.code || !strings.Contains(e.Detail, c.detail) {
			t.Errorf("%s: %v, %s", c.query, err, e.Detail)
		}
		if used := srv.memory.Used(); used != 0 {
			t.Fatalf("%s: %d bytes are still held", c.query, used)
		}
	}
	for _, c := range []struct{ set, want string }{
		{"set work_mem = '10kB'", "10 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)"},
		{"set work_mem = '10 pears'", "invalid value for parameter \"work_mem\": \"10 pears\""},
	} {
		if _, err := query(t, s, c.set); err == nil || sqlerr.From(err).Message != c.want {
			t.Errorf("%s: %v", c.set, err)
		}
	}
	if _, err := query(t, s, "select g from generate_series(1, 10) g order by 1 / (g - 5) limit 1"); err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("an operator that does not open: %v", err)
	}
	mustShow(t, s, "set work_mem = 2048", "SET")
	mustShow(t, s, "show work_mem", "2MB SHOW")
}
