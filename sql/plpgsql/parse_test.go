package plpgsql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// TestScope: an expression sees the variables declared before it, inner ones first.
func TestScope(t *testing.T) {
	b, err := Parse(`<<outer>> declare a int; b int := 1; begin
		<<inner>> declare b int; c text := 'x'; begin a := b; end;
		for i in 1..2 loop a := i; end loop;
	end`, "f", []Param{{"p"}, {""}})
	if err != nil {
		t.Fatal(err)
	}
	shown := func(e *Expr) string {
		var names []string
		for _, v := range e.Visible() {
			names = append(names, fmt.Sprintf("%s.%s=%d", v.Label, v.Name, v.Num))
		}
		return strings.Join(names, " ")
	}
	around := "outer.b=4 outer.a=3 f.found=2 f.p=0"
	inner := b.Block.Body[0].(*Block)
	loop := b.Block.Body[1].(*ForInt)
	for _, c := range []struct {
		of   *Expr
		want string
	}{
		{b.Vars[4].Default, "outer.a=3 f.found=2 f.p=0"},
		{b.Vars[6].Default, "inner.b=5 " + around},
		{inner.Body[0].(*Assign).Value, "inner.c=6 inner.b=5 " + around},
		{loop.Hi, around},
		{loop.Body[0].(*Assign).Value, ".i=7 " + around},
	} {
		if got := shown(c.of); got != c.want {
			t.Errorf("%q sees %s, not %s", c.of.Text, got, c.want)
		}
	}
	if to := inner.Body[0].(*Assign).Target.Var; to != 3 {
		t.Errorf("a is variable %d", to)
	}
}

// TestSyntaxErrors: errors say where they are, as characters of the body.
func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		body, msg string
		pos       int
	}{
		{"begin x := 1; end", `"x" is not a known variable`, 7},
		{"begin if é then end", "syntax error at end of input", 20},
		{"begin return 1 end", `syntax error at end of input`, 19},
		{"begin null; end; x", `syntax error at or near "x"`, 18},
		{"begin loop exit nope; end loop; end", `there is no label "nope" attached to any block or loop enclosing this statement`, 17},
		{"begin exit; end", "EXIT cannot be used outside a loop, unless it has a label", 7},
		{"declare a int; a text; begin end", `syntax error at or near "a"`, 16},
		{"declare a constant int := 1; begin a := 2; end", `variable "a" is declared CONSTANT`, 36},
		{"declare a int not null; begin end", `variable "a" must have a default value, since it's declared NOT NULL`, 9},
		{"begin raise '%'; end", "too few parameters specified for RAISE", 13},
		{"begin raise nosuch; end", `unrecognized exception condition "nosuch"`, 13},
		{"<<a>> begin end b", `end label "b" differs from block's label "a"`, 17},
		{"begin perform (1; end", "syntax error at end of input", 22},
		{"begin perform 1); end", `mismatched parentheses at or near ")"`, 16},
		{"begin update t set ; end", `syntax error at end of input`, 19},
		{"begin for i in 1 loop end loop; end", "loop variable of loop over rows must be a record variable or list of scalar variables", 11},
		{"begin select 'x; end", `unterminated quoted string`, 0},
	} {
		b, err := Parse(c.body, "", nil)
		if err == nil {
			err = b.Check()
		}
		e := sqlerr.From(err)
		if e == nil || !strings.HasPrefix(e.Message, c.msg) || c.pos != 0 && e.Position != c.pos {
			t.Errorf("%s: %+v", c.body, e)
		}
	}
}

// TestNesting: what is too deep is refused.
func TestNesting(t *testing.T) {
	for _, part := range []struct{ open, end string }{{"begin ", " end;"}, {"if true then ", " end if;"}, {"loop ", " end loop;"}, {"case when true then ", " end case;"}} {
		deep := "begin " + strings.Repeat(part.open, 10_000) + "null;" + strings.Repeat(part.end, 10_000) + " end"
		if _, err := Parse(deep, "", nil); !sqlerr.HasCode(err, sqlerr.StatementTooComplex) {
			t.Errorf("%s: %v", part.open, err)
		}
	}
}

// FuzzParse: no body has the parser panic, and what it takes has its pieces inside of the body.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"declare a int := 1; r t%rowtype; c constant text not null default 'x'; begin a := a + 1; r.x[2] := 3; end",
		"begin for r, s in execute 'x' using 1, 2 loop exit when a; end loop; foreach x slice 1 in array y loop end loop; end",
		"begin select a, b into strict $1, x from t; insert into t values (1) returning a into x; call p(1); end",
		"<<l>> begin raise exception 'a %', 1 using errcode = 'x', hint = 'y'; exception when others or sqlstate '22012' then raise; end l",
		"#variable_conflict use_column\nbegin if a then return; elsif b then return next; else return query execute x; end if; end",
		"begin case a when 1, 2 then null; else assert a, 'b'; end case; get stacked diagnostics a = message_text; end",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		b, err := Parse(body, "f", []Param{{"a"}, {"x"}})
		if err != nil {
			return
		}
		for _, e := range b.exprs {
			if e.from < 0 || e.from > len(body) || e.Line < 1 {
				t.Errorf("%q stands at %d", e.Text, e.from)
			}
		}
	})
}
