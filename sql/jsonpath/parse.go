package jsonpath

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// kind says what a node computes.
type kind uint8

const (
	root     kind = iota // $
	current              // @
	last                 // last, in a subscript
	variable             // $name
	literal
	member    // .key, of left
	anyMember // .*
	deep      // .**{lo to hi}
	anyElem   // [*]
	elements  // [a, b to c]
	filter    // ?(…)
	method    // .size() and so on
	arith     // + - * / %
	negate    // unary minus (plus is arith of one)
	compare
	and
	or
	not
	isUnknown
	exists
	likeRegex
	startsWith
)

// node is a part of a path. Which fields count depends on its kind.
type node struct {
	kind        kind
	left, right *node
	text        string // key, variable, operator or method
	value       types.JSONValue
	subs        [][2]*node
	lo, hi      int // of deep; hi -1 is without end
	re          *regexp.Regexp
}

// Path is a parsed jsonpath. It is immutable.
type Path struct {
	strict bool
	expr   *node
}

// depthMax bounds the nesting of a path.
const depthMax = 200

type parser struct {
	toks []token
	at   int
	// given is the place of what next gave last.
	given int
	depth int
}

// Parse reads a jsonpath.
func Parse(s string) (p *Path, err error) {
	ps := &parser{}
	if ps.toks, err = lex(s); err != nil {
		return nil, err
	}
	defer func() {
		if e, ok := recover().(parseError); ok {
			p, err = nil, e.err
		}
	}()
	out := &Path{}
	if ps.word("strict") {
		out.strict = true
	} else {
		ps.word("lax")
	}
	out.expr = ps.or()
	if ps.peek().text != "" || ps.peek().kind != end {
		ps.fail()
	}
	return out, nil
}

type parseError struct{ err error }

func (p *parser) fail() {
	t := p.peek()
	if t.kind == end {
		panic(parseError{sqlerr.New(sqlerr.SyntaxError, "syntax error at end of jsonpath input")})
	}
	panic(parseError{sqlerr.New(sqlerr.SyntaxError, "syntax error at or near \"%s\" of jsonpath input", t.raw)})
}

func (p *parser) peek() token { return p.toks[p.at] }

func (p *parser) next() token {
	t := p.toks[p.at]
	p.given = p.at
	if t.kind != end {
		p.at++
	}
	return t
}

// reject fails at the token that next has just given.
func (p *parser) reject() {
	p.at = p.given
	p.fail()
}

// sign takes an operator or bracket.
func (p *parser) sign(s string) bool {
	if t := p.peek(); t.kind == symbol && t.text == s {
		p.at++
		return true
	}
	return false
}

// word takes a bare word.
func (p *parser) word(s string) bool {
	if t := p.peek(); t.kind == ident && strings.EqualFold(t.text, s) {
		p.at++
		return true
	}
	return false
}

func (p *parser) must(s string) {
	if !p.sign(s) {
		p.fail()
	}
}

func (p *parser) enter() func() {
	if p.depth++; p.depth > depthMax {
		panic(parseError{sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded")})
	}
	return func() { p.depth-- }
}

func (p *parser) or() *node {
	defer p.enter()()
	n := p.and()
	for p.sign("||") {
		n = &node{kind: or, left: n, right: p.and()}
	}
	return n
}

func (p *parser) and() *node {
	n := p.not()
	for p.sign("&&") {
		n = &node{kind: and, left: n, right: p.not()}
	}
	return n
}

func (p *parser) not() *node {
	defer p.enter()()
	if p.sign("!") {
		return &node{kind: not, left: p.not()}
	}
	return p.predicate()
}

func (p *parser) predicate() *node {
	if t := p.peek(); t.kind == ident && t.text == "exists" && p.toks[p.at+1].text == "(" {
		p.at++
		p.must("(")
		n := &node{kind: exists, left: p.or()}
		p.must(")")
		return n
	}
	n := p.sum()
	for _, op := range []string{"==", "!=", "<>", "<=", ">=", "<", ">"} {
		if p.sign(op) {
			return &node{kind: compare, text: op, left: n, right: p.sum()}
		}
	}
	switch {
	case p.word("like_regex"):
		return p.regex(n)
	case p.word("starts"):
		if !p.word("with") {
			p.fail()
		}
		return &node{kind: startsWith, left: n, right: p.sum()}
	case p.word("is"):
		if !p.word("unknown") {
			p.fail()
		}
		return &node{kind: isUnknown, left: n}
	}
	return n
}

func (p *parser) regex(left *node) *node {
	t := p.next()
	if t.kind != str {
		p.reject()
	}
	flags := ""
	if p.word("flag") {
		f := p.next()
		if f.kind != str {
			p.reject()
		}
		flags = f.text
	}
	goFlags, pattern := "", t.text
	for _, f := range flags {
		switch f {
		case 'i', 's', 'm':
			goFlags += string(f)
		case 'q':
			pattern = regexp.QuoteMeta(pattern)
		default:
			panic(parseError{sqlerr.New(sqlerr.SyntaxError, "invalid input syntax for type jsonpath").
				WithDetail("Unrecognized flag character \"%c\" in LIKE_REGEX predicate.", f)})
		}
	}
	if goFlags != "" {
		pattern = "(?" + goFlags + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		panic(parseError{sqlerr.New(sqlerr.InvalidRegularExpression, "invalid regular expression: %s",
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))})
	}
	return &node{kind: likeRegex, left: left, re: re}
}

func (p *parser) sum() *node {
	n := p.product()
	for {
		switch {
		case p.sign("+"):
			n = &node{kind: arith, text: "+", left: n, right: p.product()}
		case p.sign("-"):
			n = &node{kind: arith, text: "-", left: n, right: p.product()}
		default:
			return n
		}
	}
}

func (p *parser) product() *node {
	n := p.unary()
	for {
		op := ""
		for _, o := range []string{"*", "/", "%"} {
			if p.sign(o) {
				op = o
				break
			}
		}
		if op == "" {
			return n
		}
		n = &node{kind: arith, text: op, left: n, right: p.unary()}
	}
}

func (p *parser) unary() *node {
	defer p.enter()()
	switch {
	case p.sign("-"):
		return &node{kind: negate, text: "-", left: p.unary()}
	case p.sign("+"):
		return &node{kind: negate, text: "+", left: p.unary()}
	}
	return p.path()
}

// path is a primary with its accessors.
func (p *parser) path() *node {
	n := p.primary()
	for {
		switch {
		case p.sign("."):
			n = p.dot(n)
		case p.sign("["):
			n = p.subscript(n)
		case p.sign("?"):
			p.must("(")
			n = &node{kind: filter, left: n, right: p.or()}
			p.must(")")
		default:
			return n
		}
	}
}

func (p *parser) primary() *node {
	switch t := p.next(); {
	case t.kind == symbol && t.text == "$":
		return &node{kind: root}
	case t.kind == symbol && t.text == "@":
		return &node{kind: current}
	case t.kind == symbol && t.text == "(":
		n := p.or()
		p.must(")")
		return n
	case t.kind == varName:
		return &node{kind: variable, text: t.text}
	case t.kind == str:
		return &node{kind: literal, value: types.JSONValue{Kind: types.JSONString, Str: t.text}}
	case t.kind == num:
		d, err := types.ParseDecimal(t.text)
		if err == nil {
			return &node{kind: literal, value: types.JSONValue{Kind: types.JSONNumber, Num: d}}
		}
	case t.kind == ident && t.text == "last":
		return &node{kind: last}
	case t.kind == ident && t.text == "null":
		return &node{kind: literal}
	case t.kind == ident && (t.text == "true" || t.text == "false"):
		return &node{kind: literal, value: types.JSONValue{Kind: types.JSONBool, Bool: t.text == "true"}}
	}
	p.reject()
	return nil
}

// methods are the item methods there are.
var methods = map[string]bool{"type": true, "size": true, "double": true, "ceiling": true, "floor": true, "abs": true, "keyvalue": true}

func (p *parser) dot(left *node) *node {
	switch t := p.next(); {
	case t.kind == symbol && t.text == "*":
		return &node{kind: anyMember, left: left}
	case t.kind == symbol && t.text == "**":
		return p.deep(left)
	case t.kind == ident && p.sign("("):
		p.must(")")
		if !methods[t.text] {
			panic(parseError{sqlerr.Unsupported("the jsonpath method .%s()", t.text)})
		}
		return &node{kind: method, text: t.text, left: left}
	case t.kind == ident || t.kind == str:
		return &node{kind: member, text: t.text, left: left}
	case t.kind == varName: // .$key is the key "$key"
		return &node{kind: member, text: "$" + t.text, left: left}
	}
	p.reject()
	return nil
}

func (p *parser) deep(left *node) *node {
	n := &node{kind: deep, left: left, hi: -1}
	if !p.sign("{") {
		return n
	}
	n.lo = p.level()
	n.hi = n.lo
	if p.word("to") {
		n.hi = p.level()
	}
	p.must("}")
	return n
}

func (p *parser) level() int {
	if p.word("last") {
		return -1
	}
	t := p.next()
	i, err := strconv.Atoi(t.text)
	if t.kind != num || err != nil {
		p.reject()
	}
	return i
}

func (p *parser) subscript(left *node) *node {
	if p.sign("*") {
		p.must("]")
		return &node{kind: anyElem, left: left}
	}
	n := &node{kind: elements, left: left}
	for {
		sub := [2]*node{p.sum(), nil}
		if p.word("to") {
			sub[1] = p.sum()
		}
		n.subs = append(n.subs, sub)
		if p.sign("]") {
			return n
		}
		p.must(",")
	}
}
