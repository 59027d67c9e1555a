package plpgsql

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// stmts reads statements up to one of some words, which it leaves.
func (p *reader) stmts(until ...string) []Stmt {
	var out []Stmt
	for !p.isWord(0, until...) {
		if p.atEnd() {
			p.syntaxError()
		}
		if p.takeSign(";") {
			p.at--
			p.syntaxError()
		}
		out = append(out, p.stmt())
	}
	return out
}

// assigns says whether an assignment begins here: a name with its fields and subscripts, and := or =.
func (p *reader) assigns() bool {
	if t := p.peek(0); t.word == "" && t.kind != pg.Token_PARAM {
		return false
	}
	for i, depth := 1, 0; ; i++ {
		switch t := p.peek(i); {
		case t.kind == pg.Token_NUL || p.isSign(i, ";"):
			return false
		case p.isSign(i, "["):
			depth++
		case p.isSign(i, "]"):
			depth--
		case depth > 0:
		case p.isSign(i, ":="), p.isSign(i, "="):
			return true
		case p.isSign(i, "."):
			i++
		default:
			return false
		}
	}
}

func (p *reader) stmt() Stmt {
	line := p.here()
	if p.assigns() {
		from := p.peek(0).from
		s := &Assign{at: line, Target: p.target()}
		p.at++ // := or =
		s.Value = p.expr(";")
		s.Value.Assignment = p.text[from : s.Value.from+len(s.Value.Text)]
		p.wantSign(";")
		return s
	}
	label := p.label()
	switch {
	case p.isWord(0, "declare", "begin"):
		b := p.block(label)
		p.wantSign(";")
		return b
	case p.isWord(0, "loop", "while", "for", "foreach"):
		return p.loop(line, label)
	case label != "":
		p.syntaxError()
	case p.takeWord("if"):
		return p.choice(line)
	case p.takeWord("case"):
		return p.caseStmt(line)
	}
	s := p.simple(line)
	p.wantSign(";")
	return s
}

// simple reads a statement that holds no others, without its semicolon.
func (p *reader) simple(line at) Stmt {
	switch {
	case p.isWord(0, "null") && p.isSign(1, ";"):
		p.at++
		return &Null{line}
	case p.takeWord("exit"):
		return p.exit(line, false)
	case p.takeWord("continue"):
		return p.exit(line, true)
	case p.takeWord("return"):
		return p.returns(line)
	case p.takeWord("raise"):
		return p.raise(line)
	case p.takeWord("assert"):
		s := &Assert{at: line, Cond: p.expr(",", ";")}
		if p.takeSign(",") {
			s.Message = p.expr(";")
		}
		return s
	case p.isWord(0, "perform"):
		p.at++
		return &Perform{at: line, Query: p.expr(";")}
	case p.takeWord("execute"):
		return p.execute(line)
	case p.isWord(0, "get") && p.isWord(1, "diagnostics", "current", "stacked"):
		p.at++
		return p.diagnostics(line)
	case p.isWord(0, "open", "fetch", "move", "close"):
		return p.refused(line, strings.ToUpper(p.peek(0).word))
	case p.isWord(0, "commit", "rollback"):
		return p.refused(line, strings.ToUpper(p.peek(0).word))
	case p.peek(0).word == "":
		p.syntaxError()
	}
	return p.sql(line)
}

func (p *reader) refused(line at, name string) Stmt {
	for !p.isSign(0, ";") && !p.atEnd() {
		p.at++
	}
	return &Refused{at: line, Name: name}
}

// sql reads a statement of SQL. INTO names variables, but after INSERT and MERGE.
func (p *reader) sql(line at) Stmt {
	s := &SQL{at: line}
	first := p.peek(0)
	var text strings.Builder
	from, end, depth := first.from, first.end, 0
	for ; ; p.at++ {
		t := p.peek(0)
		if t.kind == pg.Token_NUL {
			p.syntaxError()
		}
		if depth == 0 && p.isSign(0, ";") {
			break
		}
		depth += p.nesting()
		if depth == 0 && p.isWord(0, "into") && t.from != first.from && !p.isWord(-1, "insert", "merge", "import") &&
			!strings.EqualFold(first.word, "create") {
			if s.Into != nil {
				p.failAt(t, sqlerr.SyntaxError, "INTO specified more than once")
			}
			p.at++
			s.Strict = p.takeWord("strict")
			s.Into = p.targets()
			p.at--
			// Blanks in its place keep the positions of what follows.
			text.WriteString(p.text[from:t.from] + strings.Repeat(" ", utf8.RuneCountInString(p.text[t.from:p.peek(0).end])))
			from = p.peek(0).end
			end = from
			continue
		}
		end = t.end
	}
	text.WriteString(p.text[from:end])
	s.Query.Expr = p.exprOf(first.from, first.end)
	s.Query.Expr.Prefix, s.Query.Expr.Text = "", strings.TrimRight(text.String(), " ")
	return s
}

// query reads what rows are taken from: a query, or EXECUTE.
func (p *reader) query(until string) Query {
	if !p.takeWord("execute") {
		q := Query{Expr: p.expr(until)}
		q.Expr.Prefix = ""
		return q
	}
	q := Query{Dynamic: true, Expr: p.expr(until, "using")}
	if p.takeWord("using") {
		q.Using = p.exprs(until)
	}
	return q
}

func (p *reader) exprs(until string) []*Expr {
	out := []*Expr{p.expr(",", until)}
	for p.takeSign(",") {
		out = append(out, p.expr(",", until))
	}
	return out
}

func (p *reader) execute(line at) Stmt {
	s := &SQL{at: line}
	s.Query = Query{Dynamic: true, Expr: p.expr("into", "using", ";")}
	for {
		switch {
		case s.Into == nil && p.takeWord("into"):
			s.Strict = p.takeWord("strict")
			s.Into = p.targets()
		case s.Query.Using == nil && p.takeWord("using"):
			s.Query.Using = []*Expr{p.expr(",", "into", ";")}
			for p.takeSign(",") {
				s.Query.Using = append(s.Query.Using, p.expr(",", "into", ";"))
			}
		default:
			return s
		}
	}
}

func (p *reader) choice(line at) Stmt {
	s := &If{at: line}
	for {
		b := Branch{Cond: p.expr("then")}
		p.wantWord("then")
		p.deeper(func() { b.Body = p.stmts("elsif", "elseif", "else", "end") })
		s.Branches = append(s.Branches, b)
		if !p.takeWord("elsif", "elseif") {
			break
		}
	}
	if p.takeWord("else") {
		p.deeper(func() { s.Else = p.stmts("end") })
	}
	p.wantWord("end")
	p.wantWord("if")
	p.wantSign(";")
	return s
}

// deeper reads what is nested, without a scope of its own.
func (p *reader) deeper(read func()) { p.within("", read) }

func (p *reader) caseStmt(line at) Stmt {
	s := &Case{at: line}
	p.within("", func() {
		if !p.isWord(0, "when") {
			s.Test = p.expr("when")
			s.Var = p.declare(Var{Name: "__Case__Variable__", Type: Type{Known: "any"}})
		}
		for p.takeWord("when") {
			e := p.expr("then")
			if s.Test != nil {
				e.Prefix, e.Text = "SELECT \"__Case__Variable__\" IN (", e.Text+")"
			}
			p.wantWord("then")
			s.Branches = append(s.Branches, Branch{Cond: e, Body: p.stmts("when", "else", "end")})
		}
		if len(s.Branches) == 0 {
			p.syntaxError()
		}
		if s.HasElse = p.takeWord("else"); s.HasElse {
			s.Else = p.stmts("end")
		}
	})
	p.wantWord("end")
	p.wantWord("case")
	p.wantSign(";")
	return s
}

// loop reads LOOP, WHILE, FOR and FOREACH.
func (p *reader) loop(line at, label string) (s Stmt) {
	body := func() []Stmt {
		p.wantWord("loop")
		p.loops = append(p.loops, label)
		out := p.stmts("end")
		p.loops = p.loops[:len(p.loops)-1]
		p.wantWord("end")
		p.wantWord("loop")
		p.endLabel(label)
		p.wantSign(";")
		return out
	}
	p.within(label, func() {
		switch word := p.next().word; word {
		case "loop":
			p.at--
			s = &Loop{at: line, Label: label, Body: body()}
		case "while":
			l := &Loop{at: line, Label: label, Cond: p.expr("loop")}
			l.Body = body()
			s = l
		case "foreach":
			l := &ForEach{at: line, Label: label, Into: p.target()}
			if p.takeWord("slice") {
				n, err := strconv.Atoi(p.textOf(p.peek(0)))
				if err != nil {
					p.syntaxError()
				}
				l.Slice = n
				p.at++
			}
			p.wantWord("in")
			p.wantWord("array")
			l.Value = p.expr("loop")
			l.Body = body()
			s = l
		default:
			s = p.forLoop(line, label, body)
		}
	})
	return s
}

// forLoop reads FOR: over integers if two dots stand before LOOP, else over rows.
func (p *reader) forLoop(line at, label string, body func() []Stmt) Stmt {
	if p.overIntegers() {
		t := p.peek(0)
		name := p.name()
		p.wantWord("in")
		l := &ForInt{at: line, Label: label, Reverse: p.takeWord("reverse")}
		l.Lo = p.expr("..")
		p.wantSign("..")
		l.Hi = p.expr("by", "loop")
		if p.takeWord("by") {
			l.Step = p.expr("loop")
		}
		l.Var = p.declare(Var{Name: name, Type: Type{Known: "integer"}, Line: p.line(t.from)})
		l.Body = body()
		return l
	}
	l := &ForQuery{at: line, Label: label}
	t := p.peek(0)
	if target, ok := p.maybeTarget(); ok {
		l.Into = []Target{target}
		for p.takeSign(",") {
			l.Into = append(l.Into, p.target())
		}
	} else {
		p.failAt(t, sqlerr.SyntaxError, "loop variable of loop over rows must be a record variable or list of scalar variables")
	}
	p.wantWord("in")
	l.Query = p.query("loop")
	l.Body = body()
	return l
}

func (p *reader) overIntegers() bool {
	for i, depth := 0, 0; ; i++ {
		switch t := p.peek(i); {
		case t.kind == pg.Token_NUL || p.isSign(i, ";") || depth == 0 && p.isWord(i, "loop"):
			return false
		case p.isSign(i, "("), p.isSign(i, "["):
			depth++
		case p.isSign(i, ")"), p.isSign(i, "]"):
			depth--
		case depth == 0 && p.isSign(i, ".."):
			return true
		}
	}
}

func (p *reader) exit(line at, again bool) Stmt {
	s := &Exit{at: line, Continue: again}
	word := "EXIT"
	if again {
		word = "CONTINUE"
	}
	if t := p.peek(0); t.word != "" && !p.isWord(0, "when") {
		s.Label = p.name()
		inBlock := slices.Contains(p.blocks, s.Label)
		switch {
		case again && inBlock && !slices.Contains(p.loops, s.Label):
			p.failAt(t, sqlerr.SyntaxError, "block label \"%s\" cannot be used in CONTINUE", s.Label)
		case !inBlock && !slices.Contains(p.loops, s.Label):
			p.failAt(t, sqlerr.SyntaxError, "there is no label \"%s\" attached to any block or loop enclosing this statement", s.Label)
		}
	} else if len(p.loops) == 0 {
		p.failAt(p.peek(-1), sqlerr.SyntaxError, "%s cannot be used outside a loop, unless it has a label", word)
	}
	if p.takeWord("when") {
		s.Cond = p.expr(";")
	}
	return s
}

func (p *reader) returns(line at) Stmt {
	switch {
	case p.takeWord("next"):
		s := &ReturnNext{at: line}
		if !p.isSign(0, ";") {
			s.Value = p.expr(";")
		}
		return s
	case p.takeWord("query"):
		return &ReturnQuery{at: line, Query: p.query(";")}
	}
	s := &Return{at: line}
	if !p.isSign(0, ";") {
		s.Value = p.expr(";")
	}
	return s
}

var levels = []string{"debug", "log", "info", "notice", "warning", "exception"}

// raiseOptions are what USING of RAISE may say.
var raiseOptions = []string{"errcode", "message", "detail", "hint", "column", "constraint", "datatype", "table", "schema"}

func (p *reader) raise(line at) Stmt {
	s := &Raise{at: line, Level: "exception"}
	if p.isSign(0, ";") {
		s.Level = ""
		return s
	}
	if slices.ContainsFunc(levels, func(l string) bool { return p.isWord(0, l) }) {
		s.Level = p.next().word
	}
	switch t := p.peek(0); {
	case t.kind == pg.Token_SCONST:
		p.raiseFormat(s)
	case p.isWord(0, "using"):
	case p.isWord(0, "sqlstate") && p.peek(1).kind == pg.Token_SCONST:
		p.at++
		s.Condition = unquote(p.textOf(p.next()))
		if len(s.Condition) != 5 {
			p.at--
			p.failAt(p.peek(0), sqlerr.SyntaxError, "invalid SQLSTATE code")
		}
	default:
		if s.Condition = p.name(); s.Condition != "" {
			if _, ok := sqlerr.ByName(s.Condition); !ok {
				p.failAt(t, sqlerr.UndefinedObject, "unrecognized exception condition \"%s\"", s.Condition)
			}
		}
	}
	if p.takeWord("using") {
		for {
			name := p.name()
			if !slices.Contains(raiseOptions, name) {
				p.at--
				p.failAt(p.peek(0), sqlerr.SyntaxError, "unrecognized RAISE statement option at or near \"%s\"", name)
			}
			if !p.takeSign("=") && !p.takeSign(":=") {
				p.syntaxError()
			}
			s.Options = append(s.Options, RaiseOption{Name: name, Value: p.expr(",", ";")})
			if !p.takeSign(",") {
				break
			}
		}
	}
	return s
}

// raiseFormat reads a format with its parameters, of which there must be as many as it has places.
func (p *reader) raiseFormat(s *Raise) {
	t := p.next()
	s.Message = unquote(p.textOf(t))
	for p.takeSign(",") {
		s.Params = append(s.Params, p.expr(",", "using", ";"))
	}
	places := strings.Count(strings.ReplaceAll(s.Message, "%%", ""), "%")
	switch {
	case places > len(s.Params):
		p.failAt(t, sqlerr.SyntaxError, "too few parameters specified for RAISE")
	case places < len(s.Params):
		p.failAt(t, sqlerr.SyntaxError, "too many parameters specified for RAISE")
	}
}

// diagnosticsItems are what GET DIAGNOSTICS gives; the others are those of GET STACKED DIAGNOSTICS.
var (
	diagnosticsItems = []string{"row_count", "pg_context"}
	stackedItems     = []string{"returned_sqlstate", "message_text", "pg_exception_detail", "pg_exception_hint", "pg_exception_context",
		"column_name", "constraint_name", "pg_datatype_name", "table_name", "schema_name"}
)

func (p *reader) diagnostics(line at) Stmt {
	s := &GetDiagnostics{at: line, Stacked: p.takeWord("stacked")}
	if !s.Stacked {
		p.takeWord("current")
	}
	p.wantWord("diagnostics")
	for {
		item := DiagnosticsItem{Target: p.target()}
		if !p.takeSign(":=") && !p.takeSign("=") {
			p.syntaxError()
		}
		t := p.peek(0)
		item.Name = p.name()
		current, stacked := slices.Contains(diagnosticsItems, item.Name), slices.Contains(stackedItems, item.Name)
		switch {
		case !current && !stacked:
			p.failAt(t, sqlerr.SyntaxError, "unrecognized GET DIAGNOSTICS item at or near \"%s\"", item.Name)
		case s.Stacked && !stacked:
			p.failAt(t, sqlerr.SyntaxError, "diagnostics item %s is not allowed in GET STACKED DIAGNOSTICS", strings.ToUpper(item.Name))
		case !s.Stacked && !current:
			p.failAt(t, sqlerr.SyntaxError, "diagnostics item %s is not allowed in GET CURRENT DIAGNOSTICS", strings.ToUpper(item.Name))
		}
		s.Items = append(s.Items, item)
		if !p.takeSign(",") {
			return s
		}
	}
}
