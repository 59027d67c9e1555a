package statements

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestNormalize(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"SELECT 1", "SELECT $1"},
		{"SELECT -1, a-1, a - -1, - 2.5e-3", "SELECT $1, a-$2, a - $3, $4"},
		{"SELECT * FROM t WHERE a = 1 AND b IN ('x', 'y''z')", "SELECT * FROM t WHERE a = $1 AND b IN ($2, $3)"},
		{"SELECT $1, 5, $3", "SELECT $1, $4, $3"},
		{`SELECT "a 1", t1.a2 FROM t1`, `SELECT "a 1", t1.a2 FROM t1`},
		{"SELECT E'a\\'b', B'01', X'1F', N'x', U&'d', $$it's$$, $q$ $$ $q$", "SELECT $1, $2, $3, $4, $5, $6, $7"},
		{"SELECT 'a'\n  'b', 'c' 'd'", "SELECT $1, $2 $3"},
		{"SELECT 1 -- not 2\n/* nor 3 /* or 4 */ */ + 5", "SELECT $1 -- not 2\n/* nor 3 /* or 4 */ */ + $2"},
		{"SELECT true, null, a IS NULL, b IS NOT NULL, c IS TRUE, NOT false", "SELECT $1, $2, a IS NULL, b IS NOT NULL, c IS TRUE, NOT $3"},
		{"SELECT a::varchar(10), CAST(b AS numeric(10, 2)), left(c, 3)", "SELECT a::varchar(10), CAST(b AS numeric(10, 2)), left(c, $1)"},
		{"SELECT a, count(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10", "SELECT a, count(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1"},
		{"SELECT interval '1 day', date '2020-01-01'", "SELECT interval $1, date $2"},
		{"SELECT a[1:2], ARRAY[1, 2]", "SELECT a[$1:$2], ARRAY[$3, $4]"},
		{"SELECT a->'k'->>'l', b #>> '{x}', c<-1, d@>-1", "SELECT a->$1->>$2, b #>> $3, c<$4, d@>-$5"},
		{"INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO t VALUES ($1, $2), ($3, $4)"},
		{"SELECT 'ü' AS é", "SELECT $1 AS é"},
		{"", ""}, {"'open", "$1"}, {"$x$open", "$1"}, {"/* open", "/* open"}, {`"open`, `"open`}, {"$", "$"}, {"e'\\", "$1"},
	} {
		if got := Normalize(tc.in, Options{}); got.Text != tc.want {
			t.Errorf("%s\n%s\nwant\n%s", tc.in, got.Text, tc.want)
		}
	}
}

func TestOneNumber(t *testing.T) {
	number := func(s string) int64 { return Normalize(s, Options{}).Number }
	for _, same := range [][]string{
		{"SELECT a FROM t WHERE b = 1", "select  A from T\twhere b=-22.5", "SELECT a /* x */ FROM t -- y\n WHERE b = 'z'"},
		{"SELECT -a - 1", "select - a - 7"},
	} {
		for _, s := range same {
			if number(s) != number(same[0]) {
				t.Errorf("%q and %q", s, same[0])
			}
		}
	}
	seen := map[int64]string{}
	for _, s := range []string{"SELECT a", `SELECT "A"`, "SELECT b", "SELECT ab", "SELECT a b", "SELECT 1", "SELECT $1", "SELECT -a",
		"SELECT 1, 2", "SELECT a FROM t ORDER BY 1", "SELECT a FROM t ORDER BY 2", "SELECT - - a"} {
		if was, ok := seen[number(s)]; ok {
			t.Errorf("%q and %q are one", s, was)
		}
		seen[number(s)] = s
	}
}

func TestOfUtilities(t *testing.T) {
	const role = "ALTER ROLE a PASSWORD 'secret' CONNECTION LIMIT 3"
	if got := Normalize(role, Options{StringsOnly: true}).Text; got != "ALTER ROLE a PASSWORD $1 CONNECTION LIMIT 3" {
		t.Error(got)
	}
	if got := Normalize(role, Options{Keep: true}); got.Text != role || got.Number == Normalize("ALTER ROLE a PASSWORD 'x' CONNECTION LIMIT 3", Options{Keep: true}).Number {
		t.Error(got)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"SELECT 1", "SELECT 'a''b' || $q$x$q$ -- c", "a-1e-", "U&\"x\" E'\\", "((])[", "..5", "/*/**/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := Normalize(s, Options{})
		if b := Normalize(s, Options{}); a != b {
			t.Fatal("not the same twice")
		}
		if a.Number == 0 || len(a.Text) > TextBytesMax+len("…") {
			t.Fatal(a)
		}
	})
}

func shape(n int64) Shape { return Shape{Text: fmt.Sprint("q", n), Number: n} }

func TestLeastUsedGo(t *testing.T) {
	tab := NewTable(time.Now())
	tab.max = 100
	hot := tab.Entry(Who{}, shape(1))
	for i := int64(2); i < 3000; i++ {
		if i%20 == 0 {
			hot.Executed(time.Millisecond, 1)
		}
		tab.Entry(Who{}, shape(i)).Executed(time.Millisecond, 1)
		if len(tab.byKey) > 100 {
			t.Fatal("too many")
		}
	}
	rows, dealloc, _ := tab.Report()
	if hot.Gone() || dealloc < 100 || len(rows) < 90 {
		t.Errorf("gone %v, %d evictions, %d rows", hot.Gone(), dealloc, len(rows))
	}
}

func TestReset(t *testing.T) {
	begin := time.Unix(1, 0)
	tab := NewTable(begin)
	a, b := tab.Entry(Who{RoleID: 1, Database: 5}, shape(1)), tab.Entry(Who{RoleID: 2, Database: 5}, shape(1))
	a.Executed(1, 1)
	b.Executed(1, 1)
	if a == b || tab.Entry(Who{RoleID: 1, Database: 5}, shape(1)) != a {
		t.Error("entries are by role, database and number")
	}
	tab.Reset(2, 0, 0, time.Unix(2, 0))
	if rows, _, since := tab.Report(); a.Gone() || !b.Gone() || len(rows) != 1 || since != begin {
		t.Error("a role's")
	}
	tab.Reset(0, 0, 0, time.Unix(3, 0))
	if rows, _, since := tab.Report(); !a.Gone() || len(rows) != 0 || since != time.Unix(3, 0) {
		t.Error("all")
	}
}

// What two nodes counted is, merged, what one would have counted.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var one, left, right Times
		var all []float64
		for range 1 + rng.IntN(40) {
			ms := rng.ExpFloat64() * 10
			all = append(all, ms)
			one.Add(ms)
			if rng.IntN(3) == 0 {
				left.Add(ms)
			} else {
				right.Add(ms)
			}
		}
		rows := Merge([]Row{{Number: 1, Execs: left, Rows: 2}}, []Row{{Number: 1, Execs: right, Rows: 3}, {Number: 2}})
		got := rows[0].Execs
		mean, variance := 0.0, 0.0
		for _, x := range all {
			mean += x / float64(len(all))
		}
		for _, x := range all {
			variance += (x - mean) * (x - mean) / float64(len(all))
		}
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9*(1+math.Abs(a)) }
		if got.Count != one.Count || got.Min != one.Min || got.Max != one.Max || !near(got.Total, one.Total) || !near(got.Mean, mean) ||
			!near(got.Stddev(), math.Sqrt(variance)) || !near(one.Stddev(), math.Sqrt(variance)) || rows[0].Rows != 5 || len(rows) != 2 {
			t.Fatalf("%+v, want %+v", got, one)
		}
	}
}
