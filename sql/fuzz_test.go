package sql

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Whatever a client sends is answered: with rows, or with an error that has an SQLSTATE and is not an
// internal one. FuzzStatement changes the scripts' statements byte by byte, FuzzSpliced exchanges parts of
// them, which tries the binder most; FuzzGenerated writes statements out of every function, operator and type that there is, of which a
// good part runs. All run each statement in the simple protocol and, in the extended one, with NULL for
// every parameter, inside a transaction that is rolled back: one input does not depend on others.

// fuzzTables has a table with a column of each type, c_ and its name, one to join it with, and objects of
// the other kinds.
func fuzzTables() string {
	cols := []string{"id int8 PRIMARY KEY"}
	for _, t := range fuzzTypes {
		cols = append(cols, fmt.Sprintf("c_%s %s", t.name, t.name), fmt.Sprintf("a_%s %s[]", t.name, t.name))
	}
	var rows []string
	for i := range 3 {
		vals := []string{fmt.Sprint(i)}
		for _, t := range fuzzTypes {
			if i == 2 {
				vals = append(vals, "NULL", "NULL")
				continue
			}
			v := t.vals[i%len(t.vals)]
			vals = append(vals, v+"::"+t.name, fmt.Sprintf("ARRAY[%s, NULL]::%s[]", v, t.name))
		}
		rows = append(rows, "("+strings.Join(vals, ", ")+")")
	}
	return `CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TABLE typed (` + strings.Join(cols, ", ") + `);
INSERT INTO typed VALUES ` + strings.Join(rows, ", ") + `;
CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE, c numeric DEFAULT 1, d int GENERATED ALWAYS AS (a + 1) STORED, p pair, m mood, CHECK (a < 1000));
CREATE INDEX ON t (c, b) WHERE a > 0;
INSERT INTO t VALUES (1, 'x', 1.5, DEFAULT, (1, 'y'), 'ok'), (2, NULL, NULL, DEFAULT, NULL, NULL), (3, 'z', -1, DEFAULT, (NULL, NULL), 'sad');
CREATE TABLE r (id serial PRIMARY KEY, a int REFERENCES t ON DELETE CASCADE, n posint);
INSERT INTO r (a, n) VALUES (1, 1), (1, 2), (NULL, NULL);
CREATE VIEW v AS SELECT t.a, r.n FROM t JOIN r USING (a);
CREATE SEQUENCE s;
CREATE FUNCTION f(x int, y int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT x + y';
CREATE FUNCTION rows_of(x int) RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t WHERE a >= x';
CREATE FUNCTION logged(x int) RETURNS int LANGUAGE sql AS 'INSERT INTO r (a) VALUES (NULL); SELECT x';
CREATE FUNCTION parts(x text, OUT y text, OUT n int) LANGUAGE sql STABLE AS 'SELECT 1; SELECT x, length(x)';
CREATE PROCEDURE both_of(a int, INOUT b text) LANGUAGE sql AS 'DELETE FROM r; SELECT b || a';
`
}

// fuzzTypes are the types that generated expressions have, with literals.
var fuzzTypes = []struct {
	oid  types.OID
	name string
	vals []string
}{
	{types.OIDBool, "bool", []string{"true", "false"}},
	{types.OIDInt2, "int2", []string{"1", "0", "'-32768'", "32767"}},
	{types.OIDInt4, "int4", []string{"1", "0", "-1", "'-2147483648'", "2147483647", "7"}},
	{types.OIDInt8, "int8", []string{"1", "0", "-1", "'-9223372036854775808'", "9223372036854775807", "100"}},
	{types.OIDFloat4, "float4", []string{"1.5", "'NaN'", "'-Infinity'", "0", "1e-40"}},
	{types.OIDFloat8, "float8", []string{"1.5", "'NaN'", "'Infinity'", "-0.0", "1e300", "1e-300"}},
	{types.OIDNumeric, "numeric", []string{"1.50", "'NaN'", "'Infinity'", "0", "-1e100", "1e-100", "123456789012345678901234567890"}},
	{types.OIDText, "text", []string{"'a'", "''", "'héé \u4e16'", "'%_\\'", "'YYYY-MM-DD HH24:MI'", "'999D99'", "'(a|b)*'", "'{1,2}'", "'month'"}},
	{types.OIDBPChar, "bpchar", []string{"'ab '", "''"}},
	{types.OIDName, "name", []string{"'n'", "'typed'"}},
	{types.OIDBytea, "bytea", []string{`'\x00ff'`, "''"}},
	{types.OIDDate, "date", []string{"'2024-02-29'", "'infinity'", "'4713-01-01 BC'", "'5874897-12-31'"}},
	{types.OIDTime, "time", []string{"'12:34:56.789'", "'24:00'", "'0:0'"}},
	{types.OIDTimeTZ, "timetz", []string{"'12:34:56+15:59'", "'24:00-15:59'"}},
	{types.OIDTimestamp, "timestamp", []string{"'2024-02-29 12:34:56.789'", "'-infinity'", "'4713-01-01 BC'", "'294276-12-31'"}},
	{types.OIDTimestampTZ, "timestamptz", []string{"'2024-02-29 12:34:56.789+02'", "'infinity'", "'294276-12-31 23:59:59 UTC'"}},
	{types.OIDInterval, "interval", []string{"'1 day'", "'-3 months 2 hours'", "'0'", "'178000000 years'"}},
	{types.OIDUUID, "uuid", []string{"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"}},
	{types.OIDJSON, "json", []string{`'{"a": [1, null, {"b": "x"}]}'`, "'[]'", "'1'", "'null'"}},
	{types.OIDJSONB, "jsonb", []string{`'{"a": [1, null, {"b": "x"}], "k": -1e400}'`, "'[]'", `'"s"'`, "'null'", "'[[1,2],[3]]'"}},
	{types.OIDJSONPath, "jsonpath", []string{"'$.a[*]'", "'strict $ ? (@.b == 1)'", "'$.**.size()'"}},
	{types.OIDInet, "inet", []string{"'10.0.0.1/8'", "'::1'"}},
	{types.OIDCidr, "cidr", []string{"'10.0.0.0/8'", "'::/0'"}},
	{types.OIDMacaddr, "macaddr", []string{"'08:00:2b:01:02:03'"}},
	{types.OIDMacaddr8, "macaddr8", []string{"'08:00:2b:01:02:03:04:05'"}},
	{types.OIDBit, "bit", []string{"B'1'", "B'0'"}},
	{types.OIDVarbit, "varbit", []string{"B'1010'", "B''"}},
	{types.OIDOid, "oid", []string{"23", "0", "1259"}},
	{types.OIDRegClass, "regclass", []string{"'typed'", "0"}},
	{types.OIDRegType, "regtype", []string{"'int4'", "0"}},
	{types.OIDInt4Range, "int4range", []string{"'[1,10)'", "'empty'", "'(,7]'", "'[-2147483648,2147483646]'"}},
	{types.OIDNumRange, "numrange", []string{"'[1.50,2]'", "'(,)'", "'[-Infinity,NaN]'"}},
}

// fuzzTarget runs statements against one session.
type fuzzTarget struct {
	srv *Server
	s   *Session
}

func newFuzzTarget(tb testing.TB) *fuzzTarget {
	f := &fuzzTarget{srv: newTestServer(tb)}
	f.renew(tb)
	if err := f.s.ExecSimple(context.Background(), fuzzTables(), &textWriter{s: f.s}); err != nil {
		tb.Fatalf("the fuzzing tables: %v", errorText(err))
	}
	return f
}

// renew makes a new session. A test's context and clean-up would end with one input.
func (f *fuzzTarget) renew(tb testing.TB) {
	s, err := f.srv.NewSession(context.Background(), SessionArgs{User: "root", Database: "defaultdb", BackendPID: 1})
	if err != nil {
		tb.Fatal(err)
	}
	f.s = s
}

// run runs a query string in a transaction of its own, in both protocols. It returns the first error that
// a client was sent, nil if there was none.
func (f *fuzzTarget) run(tb testing.TB, query string) *sqlerr.Error {
	stmts, err := parser.Parse(query)
	if err != nil {
		f.check(tb, query, err)
		return sqlerr.From(err)
	}
	for _, st := range stmts {
		if leaves(st.Tree) {
			return nil
		}
	}
	ctx := context.Background()
	defer f.renew(tb)
	defer func() {
		if r := recover(); r != nil {
			tb.Errorf("%s\npanic: %v\n%s", query, r, debug.Stack())
			return
		}
		f.s.Close()
	}()
	w := &textWriter{s: f.s, copyIn: []string{"1\tx\n", "\\N\n"}}
	begin := func() {
		if err := f.s.ExecSimple(ctx, "ROLLBACK; BEGIN; SET LOCAL statement_timeout = '2s'", w); err != nil {
			tb.Fatal(err)
		}
	}
	begin()
	simple := f.s.ExecSimple(ctx, query, w)
	f.check(tb, query, simple)
	if len(stmts) == 1 {
		begin()
		f.check(tb, query, f.extended(ctx, query, w))
		f.s.Sync(ctx, w)
	}
	if simple == nil {
		return nil
	}
	return sqlerr.From(simple)
}

func (f *fuzzTarget) extended(ctx context.Context, query string, w ResultWriter) error {
	if err := f.s.Prepare(ctx, w, "", query, nil); err != nil {
		return err
	}
	if err := f.s.DescribeStatement(ctx, w, ""); err != nil {
		return err
	}
	params := make([][]byte, len(f.s.statements[""].params()))
	b := &binaryWriter{ResultWriter: w}
	if err := f.s.Bind(ctx, w, BindArgs{Params: params, ResultFormats: []Format{FormatBinary}}); err != nil {
		return err
	}
	if err := f.s.Execute(ctx, b, "", 1); err != nil {
		return err
	}
	return f.s.Execute(ctx, b, "", 0)
}

// check fails the test for an error that no client should see.
func (f *fuzzTarget) check(tb testing.TB, query string, err error) {
	if err == nil || err == io.EOF {
		return
	}
	e := sqlerr.From(err)
	switch {
	case e.Code == sqlerr.InternalError || len(e.Code) != 5 || e.Message == "":
		tb.Errorf("%s\n%s", query, errorText(err))
	case e.Position > len(query)+1 && e.InternalQuery == "":
		tb.Errorf("%s\nposition is beyond the query:\n%s", query, errorText(err))
	}
}

// binaryWriter prints rows as a client would get them that asks for binary, and again as text.
type binaryWriter struct {
	ResultWriter
	cols []Column
}

func (w *binaryWriter) BeginRows(c []Column) error {
	w.cols = c
	return w.ResultWriter.BeginRows(c)
}

func (w *binaryWriter) Row(r types.Row) error {
	for i, d := range r {
		if !d.IsNull() {
			types.AppendBinary(nil, w.cols[i].Type, d)
		}
	}
	return w.ResultWriter.Row(r)
}

// leaves says whether a statement has effects outside of its transaction.
func leaves(n *pg.Node) bool {
	switch x := n.Node.(type) {
	case *pg.Node_TransactionStmt, *pg.Node_AlterSystemStmt, *pg.Node_CreatedbStmt, *pg.Node_DropdbStmt:
		return true
	case *pg.Node_DiscardStmt, *pg.Node_VacuumStmt:
		return true
	case *pg.Node_VariableSetStmt:
		return x.VariableSetStmt.Name == "statement_timeout"
	}
	return false
}

func FuzzStatement(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		for i, q := range scriptStatements(f, file) {
			if testing.Short() && i%10 != 0 {
				continue
			}
			f.Add(q)
		}
	}
	target := newFuzzTarget(f)
	f.Fuzz(func(t *testing.T, query string) {
		target.run(t, query)
	})
}

func FuzzSpliced(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	target := newFuzzTarget(f)
	var scripts [][]string
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		for _, q := range scriptStatements(f, file) {
			scripts = append(scripts, words.FindAllString(q, -1))
		}
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := &sqlGen{r: rand.New(rand.NewPCG(seed, 1))}
		for range 20 {
			target.run(t, strings.Join(g.splice(pick(g, scripts...), pick(g, scripts...)), ""))
		}
	})
}

// words are the parts of a statement that are exchanged for those of others.
var words = regexp.MustCompile(`'[^']*'|\$\$[^$]*\$\$|\w+|\s+|[^\w\s]`)

// splice puts a part of one statement into another, or takes a part away.
func (g *sqlGen) splice(into, from []string) []string {
	at, begin := g.r.IntN(len(into)), g.r.IntN(len(from))
	part := from[begin:min(len(from), begin+g.r.IntN(8))]
	after := into[min(len(into), at+g.r.IntN(4)):]
	return slices.Concat(into[:at], part, after)
}

// scriptStatements reads the statements of a script of TestLogic.
func scriptStatements(tb testing.TB, file string) (out []string) {
	in, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var stmt strings.Builder
	for line := range strings.Lines(string(in)) {
		if stmt.Len() == 0 && scriptAside.MatchString(line) {
			continue
		}
		stmt.WriteString(line)
		if strings.HasSuffix(line, ";\n") {
			out = append(out, strings.TrimSpace(stmt.String()))
			stmt.Reset()
		}
	}
	return out
}

// scriptAside are a script's lines that are no statements: output, data, comments.
var scriptAside = regexp.MustCompile(`^(    |\n|--|@|\\|[^;]*$\n[^;]*\t)`)

func FuzzGenerated(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	target := newFuzzTarget(f)
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := &sqlGen{r: rand.New(rand.NewPCG(seed, 0)), target: target}
		for range 5 {
			g.scope = nil
			target.run(t, g.statement())
		}
	})
}

// TestGeneratedStatementsRun says that what the generator writes is not mostly refused: then it would
// try little.
func TestGeneratedStatementsRun(t *testing.T) {
	target := newFuzzTarget(t)
	g := &sqlGen{r: rand.New(rand.NewPCG(1, 1)), target: target}
	const n = 200
	ran := 0
	codes := map[sqlerr.Code]int{}
	for range n {
		g.scope = nil
		if e := target.run(t, g.statement()); e == nil {
			ran++
		} else {
			codes[e.Code]++
		}
	}
	if ran < n/4 {
		t.Errorf("%d of %d ran, the others failed with %v", ran, n, codes)
	}
}

// sqlGen writes statements.
type sqlGen struct {
	r      *rand.Rand
	target *fuzzTarget
	depth  int
	scope  []string // the aliases of typed in sight
	agg    bool     // aggregates may stand here
}

const genDepthMax = 4

func (g *sqlGen) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](g *sqlGen, of ...T) T { return of[g.r.IntN(len(of))] }

func (g *sqlGen) statement() string {
	switch n := g.r.IntN(21); {
	case n < 13:
		return g.query()
	case n == 20:
		return "CALL both_of(" + g.expr(types.OIDInt4) + ", " + g.expr(types.OIDText) + ")"
	case n < 14:
		return "EXPLAIN " + pick(g, "", "ANALYZE ", "VERBOSE ") + g.query()
	case n < 15:
		return "CREATE TEMP TABLE made AS " + g.query()
	case n < 17:
		return g.with(func() string {
			g.scope = []string{"typed"}
			t := pick(g, fuzzTypes...)
			return fmt.Sprintf("UPDATE typed SET c_%s = %s WHERE %s RETURNING %s", t.name, g.expr(t.oid), g.expr(types.OIDBool), g.any())
		})
	case n < 18:
		return "INSERT INTO t (a, b) SELECT " + g.expr(types.OIDInt4) + ", " + g.expr(types.OIDText) + " FROM typed ON CONFLICT (" +
			pick(g, "a", "b") + ") DO " + pick(g, "NOTHING", "UPDATE SET b = excluded.b || t.b, c = t.c + 1 WHERE t.a > 1") + " RETURNING t, *"
	case n < 19:
		return g.with(func() string {
			g.scope = []string{"typed"}
			return "DELETE FROM typed USING t WHERE t.a = typed.c_int4 OR " + g.expr(types.OIDBool) + " RETURNING *"
		})
	}
	return g.with(func() string {
		g.scope = []string{"s"}
		return "MERGE INTO t USING typed s ON t.a = s.id AND " + g.expr(types.OIDBool) + " WHEN MATCHED AND " + g.expr(types.OIDBool) +
			" THEN " + pick(g, "DELETE", "DO NOTHING", "UPDATE SET b = "+g.expr(types.OIDText)) +
			" WHEN NOT MATCHED THEN INSERT (a, c) VALUES (s.id + 10, " + g.expr(types.OIDNumeric) + ")"
	})
}

// with has aliases hold inside of do only.
func (g *sqlGen) with(do func() string) string {
	scope, agg, depth := g.scope, g.agg, g.depth
	defer func() { g.scope, g.agg, g.depth = scope, agg, depth }()
	g.depth++
	return do()
}

// query is a SELECT of any kind, also of several.
func (g *sqlGen) query() string {
	q := g.sel(0, "")
	switch n := g.r.IntN(12); {
	case n == 0:
		return q + pick(g, " UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ") + g.sel(0, "") + " ORDER BY 1 LIMIT 3"
	case n == 1:
		return "WITH x AS " + pick(g, "", "MATERIALIZED ", "NOT MATERIALIZED ") + "(" + q + ") SELECT x, x.* FROM x JOIN x y ON true"
	case n == 2:
		return "SELECT count(*), min(q::text) FROM (" + q + ") q"
	case n == 3:
		return "SELECT " + pick(g, "row_to_json(q)", "q IS NULL", "q = q", "array_agg(q)", "(q).x0", "ROW(q.*)") + " FROM (" + q + ") q" + pick(g, "", " GROUP BY q")
	}
	return q
}

// sel is a SELECT of one item of a type, or of several if oid is 0; where goes with the conditions.
func (g *sqlGen) sel(oid types.OID, where string) string {
	return g.with(func() string {
		own := fmt.Sprintf("q%d", g.r.IntN(1000))
		outer := g.scope
		g.scope = []string{own}
		from := "typed " + own
		if g.chance(30) {
			other := own + "b"
			g.scope = append(g.scope, other)
			kind := pick(g, "JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN")
			from += " " + kind + " typed " + other + " ON " + pick(g, own+".id = "+other+".id", g.expr(types.OIDBool))
		}
		if g.chance(15) {
			from += ", LATERAL (SELECT " + g.expr(types.OIDInt8) + " AS l) AS lat"
		}
		if g.chance(10) {
			from += ", " + pick(g, g.series(), "parts("+own+".c_text)", "rows_of(1)")
		}
		if len(outer) > 0 && g.chance(50) {
			g.scope = append(g.scope, outer...)
		}
		cond := ""
		if g.chance(60) {
			cond = " WHERE " + g.expr(types.OIDBool)
		}
		grouped := g.chance(25)
		group := ""
		if grouped {
			key := g.column(pick(g, fuzzTypes...).oid)
			group = pick(g, "", " GROUP BY "+key, " GROUP BY ROLLUP ("+key+", "+own+".id)", " GROUP BY "+own+".id", " GROUP BY "+own+".id HAVING count(*) > 0")
		}
		g.agg = grouped
		var items []string
		for i := range 1 + g.r.IntN(3) {
			if oid != 0 && i > 0 {
				break
			}
			t := oid
			if t == 0 {
				t = pick(g, fuzzTypes...).oid
			}
			e := g.expr(t)
			switch {
			case grouped:
				e = g.aggregate(t)
			case g.chance(10):
				e = g.window(t)
			}
			if oid == 0 {
				e += fmt.Sprintf(" AS x%d", i)
			}
			items = append(items, e)
		}
		q := "SELECT " + pick(g, "", "", "", "DISTINCT ") + strings.Join(items, ", ") + " FROM " + from + cond + group
		if oid == 0 && g.chance(30) {
			q += " ORDER BY 1" + pick(g, "", " DESC", " NULLS FIRST") + pick(g, "", " LIMIT 2", " OFFSET 1", " FETCH FIRST 1 ROW WITH TIES")
		}
		return q
	})
}

func (g *sqlGen) any() string { return g.expr(pick(g, fuzzTypes...).oid) }

// expr is an expression that mostly has the type.
func (g *sqlGen) expr(oid types.OID) string {
	return g.with(func() string {
		if g.depth > genDepthMax+2 || g.chance(30) {
			return g.leaf(oid)
		}
		switch n := g.r.IntN(20); {
		case n < 10:
			if e := g.call(oid); e != "" {
				return e
			}
		case n < 11:
			return "(" + g.any() + ")::" + typeName(oid)
		case n < 12 && oid == types.OIDInt4:
			return pick(g, "f(", "logged(") + g.expr(types.OIDInt4) + ")"
		case n < 12 && oid == types.OIDText:
			return "(parts(" + g.leaf(types.OIDText) + ")).y"
		case n < 12:
			return "CASE WHEN " + g.expr(types.OIDBool) + " THEN " + g.expr(oid) + pick(g, "", " ELSE "+g.expr(oid)) + " END"
		case n < 13:
			return pick(g, "COALESCE", "GREATEST", "LEAST", "NULLIF") + "(" + g.expr(oid) + ", " + g.expr(oid) + ")"
		case n < 14:
			return "(ARRAY[" + g.expr(oid) + ", " + g.leaf(oid) + "])[" + pick(g, "1", "2", "0", g.expr(types.OIDInt4)) + "]"
		case n < 15 && g.depth < genDepthMax:
			return "(" + g.sel(oid, "") + " LIMIT 1)"
		case n < 18 && oid == types.OIDBool:
			return g.condition()
		}
		return g.leaf(oid)
	})
}

func (g *sqlGen) condition() string {
	t := pick(g, fuzzTypes...).oid
	a, b := g.expr(t), g.leaf(t)
	switch g.r.IntN(12) {
	case 0:
		return a + " IS " + pick(g, "", "NOT ") + "NULL"
	case 1:
		return a + " IN (" + b + ", " + g.leaf(t) + ", NULL)"
	case 2:
		return a + " BETWEEN " + b + " AND " + g.leaf(t)
	case 3:
		return a + " IS " + pick(g, "", "NOT ") + "DISTINCT FROM " + b
	case 4:
		return a + pick(g, " = ", " < ", " <> ", " >= ") + pick(g, "ANY", "ALL") + " (ARRAY[" + b + "])"
	case 5:
		if g.depth < genDepthMax {
			return a + pick(g, " IN ", " NOT IN ", " > ALL ", " = ANY ") + "(" + g.sel(t, "") + ")"
		}
	case 6:
		if g.depth < genDepthMax {
			return pick(g, "", "NOT ") + "EXISTS (" + g.sel(0, "") + ")"
		}
	case 7:
		return "(" + a + ", 1)" + pick(g, " = ", " < ", " <> ") + "(" + b + ", 2)"
	case 8:
		return "NOT (" + g.expr(types.OIDBool) + ")"
	case 9:
		return "(" + g.expr(types.OIDBool) + pick(g, " AND ", " OR ") + g.expr(types.OIDBool) + ")"
	case 10:
		return g.expr(types.OIDText) + pick(g, " LIKE ", " ILIKE ", " SIMILAR TO ", " ~ ", " !~* ") + g.leaf(types.OIDText)
	}
	return a + pick(g, " = ", " < ", " <> ", " >= ") + b
}

func typeName(oid types.OID) string {
	if t, ok := types.Of(oid); ok {
		return t.String()
	}
	return "text"
}

func (g *sqlGen) column(oid types.OID) string {
	for _, t := range fuzzTypes {
		if t.oid == oid && len(g.scope) > 0 {
			return pick(g, g.scope...) + ".c_" + t.name
		}
	}
	return g.literal(oid)
}

func (g *sqlGen) leaf(oid types.OID) string {
	if g.chance(50) {
		return g.column(oid)
	}
	return g.literal(oid)
}

func (g *sqlGen) literal(oid types.OID) string {
	for _, t := range fuzzTypes {
		if t.oid == oid {
			if g.chance(8) {
				return "NULL::" + t.name
			}
			return pick(g, t.vals...) + "::" + t.name
		}
	}
	if t, ok := types.Of(oid); ok && t.IsArray() {
		e, _ := t.Elem()
		return "ARRAY[" + g.literal(e.OID) + ", " + g.literal(e.OID) + "]"
	}
	switch oid {
	case types.OIDAny, types.OIDAnyElement, types.OIDAnyNonArray:
		return g.literal(pick(g, fuzzTypes...).oid)
	case types.OIDAnyArray:
		return g.literalArray(pick(g, fuzzTypes...).oid)
	case types.OIDRecord:
		return "ROW(" + g.literal(types.OIDInt4) + ", " + g.literal(types.OIDText) + ")"
	case types.OIDAnyEnum:
		return "'ok'::mood"
	case types.OIDAnyRange:
		return g.literal(types.OIDNumRange)
	}
	return "'1'"
}

func (g *sqlGen) literalArray(oid types.OID) string {
	if len(g.scope) > 0 && g.chance(50) {
		return pick(g, g.scope...) + ".a_" + strings.TrimPrefix(g.column(oid), "")[strings.Index(g.column(oid), ".c_")+3:]
	}
	return pick(g, "ARRAY["+g.literal(oid)+"]", "ARRAY["+g.literal(oid)+", NULL]", "'{}'::"+typeName(oid)+"[]", "ARRAY[["+g.literal(oid)+"]]")
}

// noCall are functions whose effect is not of one transaction, or that wait.
var noCall = regexp.MustCompile(`^(pg_sleep|pg_terminate|pg_cancel|pg_advisory|pg_reload|cairn|pg_stat_statements_reset|crdb|pg_notify)`)

// call calls some function or operator that returns the type; "" if it found none.
func (g *sqlGen) call(oid types.OID) string {
	all := builtins.All()
	for range 2000 {
		o := all[g.r.IntN(len(all))]
		fits := o.Ret.OID == oid || (o.RetOf != nil || o.Ret.IsPolymorphic()) && g.chance(3) || g.chance(1) && g.chance(10)
		if o.Class != builtins.Scalar || !fits || noCall.MatchString(o.Name) {
			continue
		}
		return g.apply(o, g.args(o, func(t types.OID) string {
			if g.depth < genDepthMax {
				return g.expr(t)
			}
			return g.leaf(t)
		}))
	}
	return ""
}

func (g *sqlGen) args(o *builtins.Overload, one func(types.OID) string) (out []string) {
	same := pick(g, fuzzTypes...).oid
	for i, t := range o.Args {
		n := 1
		if o.Variadic && i == len(o.Args)-1 {
			n = g.r.IntN(3)
		}
		for range n {
			switch {
			case t.OID == types.OIDAnyElement || t.OID == types.OIDAnyNonArray:
				out = append(out, one(same))
			case t.OID == types.OIDAnyArray:
				out = append(out, g.literalArray(same))
			case t.OID == types.OIDAnyRange:
				out = append(out, one(types.OIDInt4Range))
			case g.chance(2):
				out = append(out, g.any())
			default:
				out = append(out, one(t.OID))
			}
		}
	}
	if k := len(out) - g.r.IntN(o.Defaults+1); k < len(out) && !o.Variadic {
		out = out[:max(k, 0)]
	}
	return out
}

func (g *sqlGen) apply(o *builtins.Overload, args []string) string {
	switch {
	case !o.Op:
		return o.Name + "(" + strings.Join(args, ", ") + ")"
	case len(args) == 2:
		return "(" + args[0] + " " + o.Name + " " + args[1] + ")"
	case len(args) == 1:
		return "(" + o.Name + " " + args[0] + ")"
	}
	return ""
}

func (g *sqlGen) of(c builtins.Class) *builtins.Overload {
	all := builtins.All()
	for {
		if o := all[g.r.IntN(len(all))]; o.Class == c && !noCall.MatchString(o.Name) {
			return o
		}
	}
}

func (g *sqlGen) aggregate(oid types.OID) string {
	o := g.of(builtins.Aggregate)
	args := g.args(o, g.leaf)
	suffix := pick(g, "", "", " FILTER (WHERE "+g.expr(types.OIDBool)+")")
	if o.Ordered {
		return o.Name + "(" + strings.Join(args[:max(len(args)-1, 0)], ", ") + ") WITHIN GROUP (ORDER BY " + g.leaf(types.OIDFloat8) + ")" + suffix
	}
	if o.Name == "count" && len(args) == 0 {
		args = []string{"*"}
	} else {
		args[0] = pick(g, "", "", "DISTINCT ") + args[0]
		if g.chance(15) {
			args[len(args)-1] += " ORDER BY " + g.leaf(pick(g, fuzzTypes...).oid)
		}
	}
	return o.Name + "(" + strings.Join(args, ", ") + ")" + suffix
}

func (g *sqlGen) window(oid types.OID) string {
	f := pick(g, "row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile("+g.leaf(types.OIDInt4)+")",
		"lag("+g.leaf(oid)+")", "lead("+g.leaf(oid)+", "+g.leaf(types.OIDInt4)+", "+g.leaf(oid)+")", "first_value("+g.leaf(oid)+")",
		"nth_value("+g.leaf(oid)+", "+g.leaf(types.OIDInt4)+")", g.aggregate(oid))
	frame := ""
	if g.chance(50) {
		bound := func() string {
			return pick(g, "UNBOUNDED PRECEDING", "CURRENT ROW", "1 PRECEDING", "1 FOLLOWING", "UNBOUNDED FOLLOWING", g.literal(types.OIDInt4)+" PRECEDING")
		}
		frame = pick(g, " ROWS", " RANGE", " GROUPS") + " BETWEEN " + bound() + " AND " + bound() + pick(g, "", " EXCLUDE TIES", " EXCLUDE CURRENT ROW")
	}
	return f + " OVER (" + pick(g, "", "PARTITION BY "+g.leaf(pick(g, fuzzTypes...).oid)) + " ORDER BY " + g.leaf(pick(g, fuzzTypes...).oid) + frame + ")"
}

func (g *sqlGen) series() string {
	for range 20 {
		o := g.of(builtins.SetReturning)
		if o.Name != "generate_series" {
			return pick(g, "", "LATERAL ") + g.apply(o, g.args(o, g.leaf)) + pick(g, "", " WITH ORDINALITY") + " AS srf"
		}
	}
	return "generate_series(1, " + g.leaf(types.OIDInt2) + ") AS srf"
}
