package sql

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var planSeed = flag.Uint64("plan-seed", 0, "run TestPlansAgree with this seed only")

// planModes are ways of planning that must give the same rows. The last is the dumb twin: joins in the
// order written, by nested loops, over whole tables, and every subquery run for each row.
var planModes = []string{
	"",
	"set enable_hashjoin = off",
	"set enable_nestloop = off",
	"set enable_indexscan = off",
	"set cairn.force_spill = 200",
	"set cairn.pushdown = force",
	"set cairn.force_spill = 200; set enable_nestloop = off",
	"set cairn.optimizer = off; set enable_hashjoin = off; set enable_indexscan = off",
}

// TestPlansAgree runs random queries in every mode, before and after ANALYZE.
func TestPlansAgree(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4}
	if *planSeed != 0 {
		seeds = []uint64{*planSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			srv := newTestServer(t)
			sessions := make([]*Session, len(planModes))
			for i, mode := range planModes {
				sessions[i] = newTestSession(t, srv)
				if mode != "" {
					if _, err := query(t, sessions[i], mode); err != nil {
						t.Fatal(err)
					}
				}
			}
			g := &queryMaker{rnd: rnd}
			for _, s := range g.tables() {
				if _, err := query(t, sessions[0], s); err != nil {
					t.Fatal(s, err)
				}
			}
			for i := range 120 {
				if i == 60 {
					if _, err := query(t, sessions[0], "analyze"); err != nil {
						t.Fatal(err)
					}
				}
				q := g.query()
				want, err := query(t, sessions[len(sessions)-1], q)
				if err != nil {
					t.Fatalf("%s: %v", q, err)
				}
				for j, s := range sessions[:len(sessions)-1] {
					if got, err := query(t, s, q); err != nil || sortedRows(got) != sortedRows(want) {
						p, _ := query(t, s, "explain "+q)
						t.Fatalf("seed %d, query %d, %q:\n%s\n%s, %v; as written: %s\n%s", seed, i, planModes[j], q, got, err, want, p)
					}
				}
			}
		})
	}
}

func sortedRows(s string) string {
	rows := strings.Fields(s)
	slices.Sort(rows)
	return strings.Join(rows, " ")
}

// queryMaker makes random tables and queries over them. Values are few, so that rows meet, and NULLs
// many.
type queryMaker struct {
	rnd *rand.Rand
	n   int // for aliases
}

func (g *queryMaker) one(of ...string) string { return of[g.rnd.IntN(len(of))] }

func (g *queryMaker) chance(percent int) bool { return g.rnd.IntN(100) < percent }

func (g *queryMaker) tables() (out []string) {
	for i, name := range []string{"r", "s", "t", "u"} {
		out = append(out, fmt.Sprintf("create table %s (k int primary key, a int, b int not null, c text, d date)", name))
		for range i {
			out = append(out, fmt.Sprintf("create index on %s (%s)", name, g.one("a", "b", "a, b", "b desc, a", "c", "d")))
		}
		if g.chance(50) {
			out = append(out, fmt.Sprintf("create unique index on %s (b, k)", name))
		}
		rows := []string{}
		for k := range g.rnd.IntN(25) {
			rows = append(rows, fmt.Sprintf("(%d, %s, %d, %s, %s)", k, g.value("a"), g.rnd.IntN(6), g.value("c"), g.value("d")))
		}
		if len(rows) > 0 {
			out = append(out, fmt.Sprintf("insert into %s values %s", name, strings.Join(rows, ", ")))
		}
	}
	return out
}

func (g *queryMaker) value(col string) string {
	if col == "a" && g.chance(20) || col != "b" && col != "k" && g.chance(10) {
		return "null"
	}
	switch col {
	case "c":
		return "'" + g.one("x", "y", "zz", "xyz") + "'"
	case "d":
		return fmt.Sprintf("'2024-01-%02d'", 1+g.rnd.IntN(6))
	}
	return fmt.Sprint(g.rnd.IntN(6))
}

func (g *queryMaker) alias() string {
	g.n++
	return fmt.Sprintf("x%d", g.n)
}

func (g *queryMaker) query() string {
	g.n = 0
	from, names := g.from()
	where := ""
	if conds := g.conditions(names, 2); conds != "" {
		where = " where " + conds
	}
	switch g.rnd.IntN(5) {
	case 0:
		return fmt.Sprintf("select count(*), min(%s), max(%s), sum(%s.b) from %s%s", g.ref(names, "a"), g.ref(names, "k"), names[0], from, where)
	case 1:
		col := g.ref(names, g.one("a", "b", "c"))
		q := fmt.Sprintf("select %s, count(*), sum(%s) from %s%s group by 1", col, g.ref(names, "a"), from, where)
		if g.chance(40) {
			q = fmt.Sprintf("select * from (%s) as q (g, n, s) where g is not null and n > 1", q)
		}
		return q
	}
	var cols []string
	for _, n := range names {
		cols = append(cols, n+"."+g.one("k", "a", "b", "c", "d"))
	}
	if g.chance(30) {
		cols = append(cols, "coalesce("+g.scalar(names)+", -1)")
	}
	return fmt.Sprintf("select %s from %s%s", strings.Join(cols, ", "), from, where)
}

func (g *queryMaker) table() (text, name string) {
	name = g.alias()
	if g.chance(12) {
		return fmt.Sprintf("(select a, b, min(k) as k, max(c) as c, max(d) as d from %s group by a, b) as %s", g.one("r", "s", "t", "u"), name), name
	}
	return g.one("r", "s", "t", "u") + " " + name, name
}

// from is a list of joins and commas.
func (g *queryMaker) from() (text string, names []string) {
	text, first := g.table()
	names = []string{first}
	for range g.rnd.IntN(4) {
		t, n := g.table()
		switch g.rnd.IntN(6) {
		case 0, 1:
			text = fmt.Sprintf("%s join %s on %s", text, t, g.pairs(names, n))
		case 2, 3:
			text = fmt.Sprintf("%s left join %s on %s", text, t, g.pairs(names, n))
		case 4:
			text = fmt.Sprintf("%s %s join %s on %s", text, g.one("right", "full"), t, g.equality(names, n))
		default:
			text = fmt.Sprintf("%s cross join %s", text, t)
		}
		names = append(names, n)
	}
	return text, names
}

func (g *queryMaker) ref(names []string, col string) string {
	return names[g.rnd.IntN(len(names))] + "." + col
}

func (g *queryMaker) equality(names []string, n string) string {
	if g.chance(15) {
		return fmt.Sprintf("%s = %s.c", g.ref(names, "c"), n)
	}
	return fmt.Sprintf("%s = %s.%s", g.ref(names, g.one("a", "b", "k")), n, g.one("a", "b", "k"))
}

func (g *queryMaker) pairs(names []string, n string) string {
	out := g.equality(names, n)
	if g.chance(30) {
		out += " and " + g.equality(names, n)
	}
	if g.chance(30) {
		out += " and " + g.simple(append([]string{n}, names...))
	}
	if g.chance(10) {
		return g.ref(names, "b") + " < " + n + ".a"
	}
	return out
}

func (g *queryMaker) simple(names []string) string {
	switch g.rnd.IntN(9) {
	case 0:
		return g.ref(names, "a") + g.one(" is null", " is not null")
	case 1:
		return fmt.Sprintf("%s in (%s, %s)", g.ref(names, "b"), g.value("b"), g.value("b"))
	case 2:
		return fmt.Sprintf("%s like '%s'", g.ref(names, "c"), g.one("x%", "%z%", "y"))
	case 3:
		return fmt.Sprintf("%s %s date '2024-01-02' + interval '%s'", g.ref(names, "d"), g.one("<", "<=", ">", ">=", "="), g.one("1 day", "30 hours"))
	case 4:
		return fmt.Sprintf("%s between %d and %d", g.ref(names, "k"), g.rnd.IntN(10), 5+g.rnd.IntN(10))
	case 5:
		return fmt.Sprintf("%s %s %s", g.ref(names, "a"), g.one("=", "<", ">="), g.ref(names, "b"))
	case 6:
		return fmt.Sprintf("(%s = %s and %s = %s or %s = %s and %s = %s)", g.ref(names, "a"), g.value("b"), g.ref(names, "b"), g.value("b"),
			g.ref(names, "a"), g.value("b"), g.ref(names, "b"), g.value("b"))
	case 7:
		x := fmt.Sprintf("%s = %s", g.ref(names, "b"), g.ref(names, "k"))
		return fmt.Sprintf("(%s and %s = %s or %s and %s = %s)", x, g.ref(names, "a"), g.value("b"), x, g.ref(names, "b"), g.value("b"))
	}
	return fmt.Sprintf("%s %s %s", g.ref(names, g.one("a", "b", "k")), g.one("=", "<>", "<", ">"), g.value("b"))
}

func (g *queryMaker) conditions(names []string, depth int) string {
	var out []string
	for range g.rnd.IntN(4) {
		switch {
		case depth > 0 && g.chance(40):
			out = append(out, g.subquery(names, depth-1))
		case g.chance(10):
			out = append(out, "("+g.simple(names)+" or "+g.simple(names)+")")
		case g.chance(10):
			out = append(out, "not ("+g.simple(names)+")")
		case len(names) > 1 && g.chance(30):
			out = append(out, g.ref(names, "b")+" = "+g.ref(names, g.one("a", "b")))
		default:
			out = append(out, g.simple(names))
		}
	}
	return strings.Join(out, " and ")
}

func (g *queryMaker) subquery(names []string, depth int) string {
	t, n := g.table()
	inner := g.conditions([]string{n}, depth)
	if inner != "" {
		inner = " and " + inner
	}
	link := fmt.Sprintf("%s.%s = %s", n, g.one("a", "b", "k"), g.ref(names, g.one("a", "b", "k")))
	switch g.rnd.IntN(6) {
	case 0, 1:
		return fmt.Sprintf("%s (select * from %s where %s%s)", g.one("exists", "not exists"), t, link, inner)
	case 2:
		return fmt.Sprintf("%s %s (select %s.%s from %s where true%s)", g.ref(names, "b"), g.one("in", "not in"), n, g.one("a", "b"), t, inner)
	case 3:
		return fmt.Sprintf("%s in (select %s.a from %s where %s%s)", g.ref(names, "b"), n, t, link, inner)
	case 4:
		return fmt.Sprintf("exists (select 1 from %s where %s and %s.b <> %s%s)", t, link, n, g.ref(names, "b"), inner)
	}
	return fmt.Sprintf("%s %s %s", g.ref(names, g.one("a", "b")), g.one("<", ">=", "="), g.scalar(names))
}

func (g *queryMaker) scalar(names []string) string {
	t, n := g.table()
	link := fmt.Sprintf("%s.%s = %s", n, g.one("a", "b", "k"), g.ref(names, g.one("a", "b", "k")))
	if g.chance(40) {
		link += " and " + g.simple([]string{n})
	}
	return fmt.Sprintf("(select %s from %s where %s)", g.one("count(*)", "max("+n+".a)", "1 + sum("+n+".b)", "coalesce(min("+n+".b), 3)", "count("+n+".a) + 1"), t, link)
}
