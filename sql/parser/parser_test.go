package parser

import (
	"strings"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

func TestSplit(t *testing.T) {
	got, err := Parse("select 1; ; select 'a;b' ;")
	if err != nil || len(got) != 2 || got[1].Text != "select 'a;b'" {
		t.Fatalf("%v %v", got, err)
	}
}

func TestErrorPosition(t *testing.T) {
	for _, c := range []struct {
		q, msg string
		pos    int
	}{
		{"selec 1", `syntax error at or near "selec"`, 1},
		{"select 'é', from", `syntax error at or near "from"`, 13},
		{"select (1", `syntax error at end of input`, 10},
	} {
		_, err := Parse(c.q)
		e := sqlerr.From(err)
		if e == nil || e.Message != c.msg || e.Position != c.pos || e.Code != sqlerr.SyntaxError {
			t.Errorf("%s: %+v", c.q, e)
		}
	}
}

// The grammar takes EXPLAIN of no change of the schema; the error says what does.
func TestExplainOfAChangeHasAHint(t *testing.T) {
	for q, hint := range map[string]bool{
		"explain alter table t add column n int":               true,
		"EXPLAIN (analyze, format json) CREATE INDEX ON t (a)": true,
		"explain analyze verbose drop table t":                 true,
		"explain selec 1":                                      false,
		"alter tabel t":                                        false,
	} {
		_, err := Parse(q)
		if e := sqlerr.From(err); e == nil || e.Code != sqlerr.SyntaxError || strings.Contains(e.Hint, "cairn.explain_change") != hint {
			t.Errorf("%s: %+v", q, e)
		}
	}
}

func TestDeepNesting(t *testing.T) {
	n := 100000
	_, err := Parse("select " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n))
	if err == nil {
		t.Skip("this build of the grammar takes it")
	}
}
