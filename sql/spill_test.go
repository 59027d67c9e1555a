package sql

import (
	"fmt"
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
	{"SetOp Intersect", "select s, id % 1500 from a intersect select s, id % 1400 from a"},
	{"SetOp Intersect All", "select id % 1300 from a intersect all select w + id % 700 from b"},
	{"SetOp Except", "select s, id from a except select s, id from a where g > 40"},
	{"SetOp Except", "select id % 1500 from a except select id from b where id > 2900"},
	{"SetOp Except All", "select id % 1300 from a except all select id % 1200 from a"},
	{"WindowAgg", "select id, row_number() over w, rank() over w, sum(g) over w, lag(s, 2) over w from a window w as (partition by g % 3 order by v, id)"},
	{"WindowAgg", "select id, dense_rank() over (order by g), ntile(7) over (partition by s order by id), last_value(id) over (partition by g order by id rows between 1 preceding and 2 following) from a"},
	{"WindowAgg", "select id, sum(id) over (order by id rows between 3 preceding and current row exclude ties), count(*) over () from a"},
	{"WindowAgg", "select id, count(*) over (order by g range between 2 preceding and 1 following exclude group), first_value(id) over (order by g, id groups between 2 preceding and 1 following) from a"},
	{"CTE Scan", "with recursive r as (select 1 as n, repeat('x', 30) as s union all select n + 1, s from r where n < 2500) select count(*), sum(n), max(s) from r"},
	{"CTE Scan", "with recursive r as (select id, s from a where id < 900 union select id + 37, s from r where id < 2000) select count(*), sum(id), max(s) from r"},
}

// spillWrites are modifications, with a query that shows what they did, and may return rows.
var spillWrites = []struct{ write, query string }{
	{"update a set v = v + id, s = s || '!' where id % 5 <> 0", "select id, v, s from a order by id"},
	{"update a set g = b.w from b where b.a_id % 100 = a.id % 100 and b.id < 300", "select id from a order by id"},
	{"update a set id = id + 1 where id > 1500 returning id, s", "select id, s from a order by id"},
	{"delete from a using b where b.a_id = a.id and b.w in (3, 4) returning a.id, b.w", "select id, s from a order by id"},
	{"insert into a select id + 5000, g, v, s from a", "select id, s from a order by id"},
	{"merge into a using b on a.id = b.id when matched and a.g > 50 then delete when matched then update set s = 'm' || b.w when not matched then insert values (b.id, b.w)", "select id, g, s from a order by id"},
	{"delete from a", "select count(*) from a"},
}

// TestSpilledModificationsAreTheSame compares modifications with and without temporary files.
func TestSpilledModificationsAreTheSame(t *testing.T) {
	env, srv := newTestServerEnv(t)
	srv = newBoundedServer(t, env, srv.cfg.Catalog, 0)
	s := newTestSession(t, srv)
	for _, q := range spillTables {
		mustRun(t, s, q)
	}
	for _, q := range spillWrites {
		var outs [2]string
		for i := range outs {
			mustRun(t, s, fmt.Sprintf("set cairn.force_spill = %d", []int{0, 30000}[i]))
			mustRun(t, s, "begin")
			wrote, err := query(t, s, q.write)
			if err != nil {
				t.Fatal(q.write, err)
			}
			shown, err := query(t, s, q.query)
			if err != nil {
				t.Fatal(err)
			}
			outs[i] = sortedRows(wrote) + shown
			mustRun(t, s, "rollback")
		}
		if outs[0] != outs[1] {
			t.Errorf("%s: answers differ:\n%.300s\n%.300s", q.write, outs[0], outs[1])
		}
	}
	mustRun(t, s, "begin")
	p, err := query(t, s, "explain analyze update a set s = s || '!' where id % 5 <> 0")
	if err != nil || !strings.Contains(p, "Spilled: ") {
		t.Errorf("nothing was spilled: %v\n%s", err, p)
	}
	mustRun(t, s, "rollback")
	if used := srv.memory.Used(); used != 0 {
		t.Errorf("statements that ended hold %d bytes", used)
	}
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
		{"set cairn.statement_mem = '1MB'; set work_mem = '64MB'", "select count(distinct s || y) from a, generate_series(1, 20) y", "53200", ""},
		{"", "select count(*) over (partition by s order by y) from a, generate_series(1, 20) y limit 1", "", ""},
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
