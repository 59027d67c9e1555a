package sql

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestIndexesAgreeWithRows changes a table at random, whose indexes are partial or on expressions,
// and asks each question in two ways: one that an index answers, and one that reads the rows.
func TestIndexesAgreeWithRows(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	exec := func(t testing.TB, text string) string {
		w := &textWriter{s: s}
		if err := s.ExecSimple(t.Context(), text, w); err != nil {
			return errorText(err)
		}
		return w.out.String()
	}
	// The second text of a pair says the same so that no index can be used: || '' and + 0 hide it.
	pairs := [][2]string{
		{"select id from r where lower(v) = 'b' order by id", "select id from r where lower(v || '') = 'b' order by id"},
		{"select id from r where n = 2 and on_ order by id", "select id from r where n + 0 = 2 and (on_ and true is not false) order by id"},
		{"select id from r where g = 4 order by id", "select id from r where n * 2 = 4 order by id"},
		{"select id from r where g + 1 > 3 and v is not null order by id", "select id from r where n + n > 2 and v || '' is not null order by id"},
	}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		exec(t, "drop table if exists r")
		exec(t, `create table r (id int primary key, v text, n int, on_ bool, g int generated always as (n * 2) stored);
			create index on r (lower(v)); create unique index on r (n) where on_; create index on r (g);
			create index on r ((g + 1)) where v is not null`)
		id := rapid.IntRange(1, 6)
		v := rapid.SampledFrom([]string{"'a'", "'B'", "'b'", "NULL"})
		n := rapid.SampledFrom([]string{"1", "2", "3", "NULL"})
		b := rapid.SampledFrom([]string{"true", "false", "NULL"})
		draw := func(label string, g *rapid.Generator[string]) string { return g.Draw(rt, label) }
		var log []string
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			var text string
			i := id.Draw(rt, "id")
			switch rapid.IntRange(0, 5).Draw(rt, "op") {
			case 0:
				text = fmt.Sprintf("insert into r values (%d, %s, %s, %s)", i, draw("v", v), draw("n", n), draw("b", b))
			case 1:
				text = fmt.Sprintf("update r set v = %s, n = %s where id = %d", draw("v", v), draw("n", n), i)
			case 2:
				text = fmt.Sprintf("update r set on_ = %s where id >= %d", draw("b", b), i)
			case 3:
				text = fmt.Sprintf("delete from r where lower(v) = lower(%s)", draw("v", v))
			case 4:
				text = fmt.Sprintf("insert into r values (%d, %s, %s, %s) on conflict (n) where on_ do update set v = excluded.v, n = r.n + 1",
					i, draw("v", v), draw("n", n), draw("b", b))
			case 5:
				text = fmt.Sprintf("insert into r values (%d, %s, %s, %s) on conflict (id) do update set v = excluded.v, on_ = excluded.on_",
					i, draw("v", v), draw("n", n), draw("b", b))
			}
			log = append(log, text+" → "+strings.TrimSpace(exec(t, text)))
		}
		for _, p := range pairs {
			if got, want := exec(t, p[0]), exec(t, p[1]); got != want {
				rt.Fatalf("%s\nby an index:\n%sfrom the rows:\n%safter\n%s", p[0], got, want, strings.Join(log, "\n"))
			}
		}
		if dup := exec(t, "select n from r where on_ is true group by n having count(n) > 1"); dup != "SELECT 0\n" {
			rt.Fatalf("a unique partial index has %safter\n%s", dup, strings.Join(log, "\n"))
		}
	})
}
