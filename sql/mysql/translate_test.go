package mysql

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// TestTranslate compares testdata/translate.txt: a MySQL statement, a line of four dashes, what it
// becomes. REWRITE=1 writes it anew.
func TestTranslate(t *testing.T) {
	const path = "testdata/translate.txt"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(raw)), "\n\n") {
		if strings.HasPrefix(block, "#") {
			out.WriteString(block + "\n\n")
			continue
		}
		in, _, _ := strings.Cut(block, "\n----")
		out.WriteString(in + "\n----\n" + rendered(in) + "\n\n")
	}
	got := strings.TrimSpace(out.String()) + "\n"
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := strings.Split(string(raw), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(want) || want[i] != line {
			t.Fatalf("%s:%d is %q; REWRITE=1 accepts the new output", path, i+1, line)
		}
	}
	if len(want) != len(strings.Split(got, "\n")) {
		t.Fatalf("%s has more lines than the output; REWRITE=1 accepts it", path)
	}
}

// rendered prints a translation, which must parse, or its error.
func rendered(in string) string {
	if _, err := Translate(in); err != nil {
		return "error " + errorLine(err)
	}
	texts, err := TranslateText(in, Options{})
	if err != nil {
		return "error " + errorLine(err)
	}
	var lines []string
	for _, x := range texts {
		for _, q := range x.Queries {
			lines = append(lines, q+";")
		}
		for _, n := range x.Notices {
			lines = append(lines, string(n.Severity)+": "+n.Message)
		}
	}
	return strings.Join(lines, "\n")
}

func errorLine(err error) string {
	e := sqlerr.From(err)
	s := fmt.Sprintf("%s: %s", e.Code, e.Message)
	if e.Position > 0 {
		s += fmt.Sprintf(" at %d", e.Position)
	}
	if e.InternalQuery != "" {
		s += " of " + e.InternalQuery
	}
	return s
}

func TestPlaceholders(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"SELECT a FROM t WHERE b = ? LIMIT ?, ?", `SELECT "a" FROM "t" WHERE ("b" = $1) LIMIT $3 OFFSET $2`},
		{"SELECT '?', `?` /* ? */ FROM t WHERE b = ? -- ?\n AND c = ?", `SELECT '?' AS "?", "?" FROM "t" WHERE (("b" = $1) AND ("c" = $2))`},
		{"SELECT a FROM t WHERE a LIKE '\\'?' AND GREATEST(?, b) > ?", `SELECT "a" FROM "t" WHERE (("a" LIKE '''?') AND (CASE WHEN NOT ($1 IS NULL OR "b" IS NULL) THEN greatest($1, "b") END > $2))`},
	} {
		texts, err := TranslateText(c.in, Options{})
		if err != nil || len(texts) != 1 || texts[0].Queries[0] != c.want {
			t.Errorf("%s\n%v %v", c.in, texts, err)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		in, msg string
		pos     int
	}{
		{"SELEC 1", `syntax error at or near "SELEC"`, 1},
		{"SELECT 'é', FROM t", `syntax error at or near "FROM"`, 13},
		{"SELECT 1 +\n  FROM t", `syntax error at or near "FROM"`, 14},
		{"SELECT (1", `syntax error at end of input`, 10},
		{"SELECT 1; SELECT 2 2", `syntax error at or near "2"`, 20},
		{"CREATE TABLE t (a int,\n\n  b foo)", `syntax error at or near "foo"`, 29},
	} {
		_, err := Translate(c.in)
		e := sqlerr.From(err)
		if e == nil || e.Code != sqlerr.SyntaxError || e.Message != c.msg || e.Position != c.pos {
			t.Errorf("%s: %v", c.in, errorText(err))
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return errorLine(err)
}

// TestDeepNesting holds I1 for each way that a tree can grow deep.
func TestDeepNesting(t *testing.T) {
	n := 200_000
	for name, q := range map[string]string{
		"parentheses": "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n),
		"signs":       "SELECT " + strings.Repeat("- ", n) + "1",
		"not":         "SELECT " + strings.Repeat("NOT ", n) + "1",
		"sum":         "SELECT 1" + strings.Repeat("+1", n),
		"and":         "SELECT 1" + strings.Repeat(" AND a", n),
		"tables":      "SELECT 1 FROM t" + strings.Repeat(", t", n),
		"joins":       "SELECT 1 FROM t" + strings.Repeat(" JOIN t", n),
		"functions":   "SELECT " + strings.Repeat("f(", n) + "1" + strings.Repeat(")", n),
		"case":        "SELECT " + strings.Repeat("CASE WHEN a THEN ", n) + "1" + strings.Repeat(" END", n),
		"comment":     "SELECT /*! " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " */",
		"union":       "SELECT 1" + strings.Repeat(" UNION (SELECT 1", n) + strings.Repeat(")", n),
	} {
		_, err := Translate(q)
		if !sqlerr.HasCode(err, sqlerr.StatementTooComplex) {
			t.Errorf("%s: %.200s", name, errorText(err))
		}
	}
	for name, q := range map[string]string{
		"rows": "INSERT INTO t VALUES (1, 'a')" + strings.Repeat(", (2, 'b')", 20_000),
		"list": "SELECT 1 FROM t WHERE a IN (1" + strings.Repeat(", 2", 20_000) + ")",
	} {
		if _, err := Translate(q); err != nil {
			t.Errorf("%s: %.200s", name, errorText(err))
		}
	}
}

// TestDoubling: some functions print an argument twice.
func TestDoubling(t *testing.T) {
	q := strings.Repeat("GREATEST(", 60) + "a" + strings.Repeat(", 1)", 60)
	if _, err := Translate("SELECT " + q); !sqlerr.HasCode(err, sqlerr.ProgramLimitExceeded) {
		t.Errorf("%.200s", errorText(err))
	}
}

// FuzzTranslate: no input makes the translator panic, and what it gives parses.
func FuzzTranslate(f *testing.F) {
	raw, err := os.ReadFile("testdata/translate.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, block := range strings.Split(string(raw), "\n\n") {
		in, _, _ := strings.Cut(block, "\n----")
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, q string) {
		out, err := Translate(q)
		if err != nil {
			// Postgres refuses one thing that MySQL's grammar takes: an empty name.
			if e := sqlerr.From(err); e.Code == sqlerr.InternalError || !strings.HasPrefix(e.Message, "zero-length") && e.InternalQuery != "" && e.Code == sqlerr.SyntaxError {
				t.Fatalf("%q: %s", q, errorLine(err))
			}
			return
		}
		for _, s := range out {
			if s.First.Tree == nil {
				t.Fatalf("%q: no statement", q)
			}
		}
	})
}
