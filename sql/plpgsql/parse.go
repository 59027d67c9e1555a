package plpgsql

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// Param is a parameter of the function that a body belongs to. It may have no name.
type Param struct{ Name string }

// Parse reads a body. function is the label of the parameters, "" for DO. Errors are *sqlerr.Error with
// their position in the body.
func Parse(text, function string, params []Param) (b *Body, err error) {
	p := &reader{text: text, body: &Body{text: text}}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *sqlerr.Error:
			b, err = nil, r
		default:
			panic(r)
		}
	}()
	if p.toks, err = scan(text); err != nil {
		return nil, err
	}
	p.scope = &Scope{label: function}
	for i, a := range params {
		p.body.Vars = append(p.body.Vars, Var{Name: a.Name, Param: true})
		if a.Name != "" {
			p.scope.vars = append(p.scope.vars, named{a.Name, VarNum(i)})
		}
	}
	p.body.Found = p.declare(Var{Name: "found", Type: Type{Known: "boolean"}})
	p.options()
	p.body.Block = p.block(p.label())
	p.takeSign(";")
	if !p.atEnd() {
		p.syntaxError()
	}
	return p.body, nil
}

// options reads what may stand before the block: #variable_conflict use_column.
func (p *reader) options() {
	for p.takeSign("#") {
		switch p.name() {
		case "variable_conflict":
			switch p.name() {
			case "use_column":
				p.body.UseColumn = true
			case "use_variable":
				p.body.UseVariable = true
			case "error":
			default:
				p.at--
				p.syntaxError()
			}
		case "option", "print_strict_params":
			p.at++
		default:
			p.at--
			p.syntaxError()
		}
	}
}

// declare adds a variable to the innermost scope.
func (p *reader) declare(v Var) VarNum {
	n := VarNum(len(p.body.Vars))
	p.body.Vars = append(p.body.Vars, v)
	p.scope.vars = append(p.scope.vars, named{v.Name, n})
	return n
}

// within reads something in a scope of its own.
func (p *reader) within(label string, read func()) {
	p.depth++
	if p.depth > depthMax {
		p.failAt(p.peek(0), sqlerr.StatementTooComplex, "blocks are nested more than %d deep", depthMax)
	}
	outer := p.scope
	p.scope = &Scope{up: outer, label: label}
	read()
	p.scope = outer
	p.depth--
}

// label reads <<label>>, if there is one.
func (p *reader) label() string {
	if !p.takeSign("<<") {
		return ""
	}
	l := p.name()
	p.wantSign(">>")
	return l
}

func (p *reader) endLabel(label string) {
	t := p.peek(0)
	if t.word == "" {
		return
	}
	p.at++
	switch {
	case label == "":
		p.failAt(t, sqlerr.SyntaxError, "end label \"%s\" specified for unlabeled block", t.word)
	case label != t.word:
		p.failAt(t, sqlerr.SyntaxError, "end label \"%s\" differs from block's label \"%s\"", t.word, label)
	}
}

func (p *reader) block(label string) *Block {
	b := &Block{Label: label}
	p.within(label, func() {
		if p.takeWord("declare") {
			for !p.isWord(0, "begin") {
				if p.takeWord("declare") {
					continue
				}
				b.Declared = append(b.Declared, p.declaration()...)
			}
		}
		b.at = p.here()
		p.wantWord("begin")
		p.blocks = append(p.blocks, label)
		b.Body = p.stmts("end", "exception")
		if p.takeWord("exception") {
			for p.isWord(0, "when") {
				b.Handlers = append(b.Handlers, p.handler())
			}
			if len(b.Handlers) == 0 {
				p.syntaxError()
			}
		}
		p.blocks = p.blocks[:len(p.blocks)-1]
		p.wantWord("end")
		p.endLabel(label)
	})
	return b
}

func (p *reader) handler() Handler {
	var h Handler
	p.wantWord("when")
	for {
		c := p.name()
		if c == "sqlstate" {
			t := p.next()
			if t.kind != pg.Token_SCONST {
				p.at--
				p.syntaxError()
			}
			if c = unquote(p.textOf(t)); len(c) != 5 {
				p.failAt(t, sqlerr.SyntaxError, "invalid SQLSTATE code")
			}
			c = strings.ToUpper(c)
		} else if _, ok := sqlerr.ByName(c); !ok && c != "others" {
			p.at--
			p.failAt(p.peek(0), sqlerr.UndefinedObject, "unrecognized exception condition \"%s\"", c)
		}
		h.Conditions = append(h.Conditions, c)
		if !p.takeWord("or") {
			break
		}
	}
	p.wantWord("then")
	p.within("", func() {
		h.SQLState = p.declare(Var{Name: "sqlstate", Type: Type{Known: "text"}})
		h.SQLErrM = p.declare(Var{Name: "sqlerrm", Type: Type{Known: "text"}})
		h.Body = p.stmts("when", "end")
	})
	return h
}

// unquote is the value of a plain string constant.
func unquote(s string) string {
	if strings.HasPrefix(s, "$") {
		n := strings.IndexByte(s[1:], '$') + 2
		return s[n : len(s)-n]
	}
	return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
}

// declaration reads a variable.
func (p *reader) declaration() []VarNum {
	t := p.peek(0)
	line := p.line(t.from)
	name := p.name()
	if slices.ContainsFunc(p.scope.vars, func(v named) bool { return v.name == name }) {
		p.at--
		p.syntaxError() // declared twice
	}
	if p.takeWord("alias") {
		p.wantWord("for")
		target, ok := p.maybeTarget()
		if !ok || len(target.Path) > 0 {
			p.syntaxError()
		}
		p.wantSign(";")
		p.scope.vars = append(p.scope.vars, named{name, target.Var})
		return nil
	}
	v := Var{Name: name, Line: line}
	v.Constant = p.takeWord("constant")
	if p.isWord(0, "cursor", "scroll") || p.isWord(0, "no") && p.isWord(1, "scroll") || p.isWord(0, "refcursor") {
		panic(p.placed(sqlerr.Unsupported("a cursor variable in PL/pgSQL").WithHint("Use FOR … IN query LOOP."), p.peek(0)))
	}
	v.Type = p.typeName()
	if p.takeWord("not") {
		p.wantWord("null")
		v.NotNull = true
	}
	if p.takeSign(":=") || p.takeSign("=") || p.takeWord("default") {
		v.Default = p.expr(";")
	} else if v.NotNull {
		p.failAt(t, sqlerr.NullValueNotAllowed, "variable \"%s\" must have a default value, since it's declared NOT NULL", name)
	}
	p.wantSign(";")
	return []VarNum{p.declare(v)}
}

// typeName reads a variable's type.
func (p *reader) typeName() Type {
	if p.isWord(0, "record") && !p.isSign(1, ".") {
		p.at++
		return Type{Record: true}
	}
	start := p.at
	if p.peek(0).word != "" { // name%TYPE, name%ROWTYPE
		names := []string{p.name()}
		for p.isSign(0, ".") && p.peek(1).word != "" {
			p.at++
			names = append(names, p.name())
		}
		if p.isSign(0, "%") && p.isWord(1, "type", "rowtype") {
			rows := p.isWord(1, "rowtype")
			p.at += 2
			if p.isSign(0, "[") || p.isWord(0, "array") {
				panic(p.placed(sqlerr.Unsupported("an array of %%TYPE"), p.peek(0)))
			}
			return Type{Of: names, Rows: rows}
		}
	}
	p.at = start
	from := p.peek(0).from
	end := from
	for depth := 0; ; {
		t := p.peek(0)
		if t.kind == pg.Token_NUL || depth == 0 && (p.isSign(0, ";") || p.isSign(0, ":=") || p.isSign(0, "=") ||
			p.isWord(0, "not", "default", "collate")) {
			break
		}
		depth += p.nesting()
		end = t.end
		p.at++
	}
	if end == from {
		p.syntaxError()
	}
	if p.isWord(0, "collate") {
		panic(p.placed(sqlerr.Unsupported("COLLATE of a variable"), p.peek(0)))
	}
	return Type{SQL: p.text[from:end]}
}

// nesting is how the next token changes the depth in parentheses.
func (p *reader) nesting() int {
	switch {
	case p.isSign(0, "("), p.isSign(0, "["):
		return 1
	case p.isSign(0, ")"), p.isSign(0, "]"):
		return -1
	}
	return 0
}

// expr reads SQL up to one of some words or signs outside of parentheses, which it leaves.
func (p *reader) expr(until ...string) *Expr {
	from := p.peek(0).from
	end, depth, cases := from, 0, 0
	for {
		t := p.peek(0)
		stop := p.ends(until)
		switch {
		case t.kind == pg.Token_NUL:
			p.syntaxError()
		case depth == 0 && cases == 0 && stop, depth == 0 && p.isSign(0, ";"):
			if end == from {
				p.failAt(t, sqlerr.SyntaxError, "missing expression at or near \"%s\"", p.textOf(t))
			}
			if !stop {
				p.syntaxError()
			}
			return p.exprOf(from, end)
		case p.isWord(0, "case"):
			cases++
		case p.isWord(0, "end") && cases > 0:
			cases--
		}
		if depth += p.nesting(); depth < 0 {
			p.failAt(t, sqlerr.SyntaxError, "mismatched parentheses at or near \"%s\"", p.textOf(t))
		}
		end = t.end
		p.at++
	}
}

func (p *reader) ends(until []string) bool {
	return slices.ContainsFunc(until, func(u string) bool { return p.isSign(0, u) || p.isWord(0, u) })
}

func (p *reader) exprOf(from, end int) *Expr {
	e := &Expr{Prefix: "SELECT ", Text: p.text[from:end], Line: p.line(from), from: from, scope: p.scope, seen: len(p.scope.vars)}
	p.body.exprs = append(p.body.exprs, e)
	return e
}

// find finds a variable by its name, or by label and name; used says how many of the names that takes.
func (p *reader) find(names []string) (v VarNum, used int, ok bool) {
	for s := p.scope; s != nil; s = s.up {
		for i := len(s.vars) - 1; i >= 0; i-- {
			switch {
			case s.vars[i].name == names[0]:
				return s.vars[i].num, 1, true
			case len(names) > 1 && s.label == names[0] && s.vars[i].name == names[1]:
				return s.vars[i].num, 2, true
			}
		}
	}
	return 0, 0, false
}

// maybeTarget reads a variable or a part of one; nothing is read if there is none of the name.
func (p *reader) maybeTarget() (t Target, ok bool) {
	start := p.at
	if p.peek(0).kind == pg.Token_PARAM {
		var n int
		fmt.Sscanf(p.textOf(p.next()), "$%d", &n)
		if n < 1 || n > len(p.body.Vars) || !p.body.Vars[n-1].Param {
			p.at = start
			return t, false
		}
		t.Var = VarNum(n - 1)
	} else {
		if p.peek(0).word == "" {
			return t, false
		}
		names := []string{p.name()}
		for p.isSign(0, ".") && p.peek(1).word != "" {
			p.at++
			names = append(names, p.name())
		}
		v, used, found := p.find(names)
		if !found {
			p.at = start
			return t, false
		}
		t.Var = v
		for _, f := range names[used:] {
			t.Path = append(t.Path, Step{Field: f})
		}
	}
	for {
		switch {
		case p.takeSign("["):
			t.Path = append(t.Path, Step{Index: p.expr("]", ":")})
			if p.isSign(0, ":") {
				panic(p.placed(sqlerr.Unsupported("assigning to a slice of an array in PL/pgSQL"), p.peek(0)))
			}
			p.wantSign("]")
		case len(t.Path) > 0 && p.isSign(0, ".") && p.peek(1).word != "":
			p.at++
			t.Path = append(t.Path, Step{Field: p.name()})
		default:
			return t, true
		}
	}
}

// target reads what is assigned to.
func (p *reader) target() Target {
	tok := p.peek(0)
	t, ok := p.maybeTarget()
	if !ok {
		if tok.word == "" {
			p.syntaxError()
		}
		p.failAt(tok, sqlerr.SyntaxError, "\"%s\" is not a known variable", p.dotted())
	}
	if v := p.body.Vars[t.Var]; v.Constant {
		p.failAt(tok, sqlerr.ErrorInAssignment, "variable \"%s\" is declared CONSTANT", v.Name)
	}
	return t
}

// dotted is the name at which the parser stands, with what is before its dots.
func (p *reader) dotted() string {
	name := p.name()
	for p.isSign(0, ".") && p.peek(1).word != "" {
		p.at++
		name += "." + p.name()
	}
	return name
}

func (p *reader) targets() []Target {
	out := []Target{p.target()}
	for p.takeSign(",") {
		out = append(out, p.target())
	}
	return out
}
