package plpgsql

import (
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// token is one of Postgres's tokens, at bytes from to end of the body.
type token struct {
	kind      pg.Token
	from, end int
	// word is an identifier or keyword as names are compared, "" for others; quoted ones are never words of
	// PL/pgSQL.
	word   string
	quoted bool
}

// scan cuts a body into tokens, without comments.
func scan(body string) ([]token, error) {
	res, err := pg.Scan(body)
	if err != nil {
		return nil, sqlerr.New(sqlerr.SyntaxError, "%s", err.Error())
	}
	var out []token
	for _, t := range res.Tokens {
		if t.Token == pg.Token_SQL_COMMENT || t.Token == pg.Token_C_COMMENT {
			continue
		}
		x := token{kind: t.Token, from: int(t.Start), end: int(t.End)}
		text := body[x.from:x.end]
		switch {
		case t.Token == pg.Token_IDENT && strings.HasPrefix(text, `"`):
			x.word, x.quoted = strings.ReplaceAll(text[1:len(text)-1], `""`, `"`), true
		case t.Token == pg.Token_IDENT || t.KeywordKind != pg.KeywordKind_NO_KEYWORD:
			x.word = strings.ToLower(text)
		}
		out = append(out, x)
	}
	return out, nil
}

// reader reads tokens. Errors are panics of *sqlerr.Error, which Parse catches.
type reader struct {
	text  string
	toks  []token
	at    int
	depth int
	body  *Body
	scope *Scope
	// loops are the labels of the loops, and blocks of blocks around what is read, inner ones last.
	loops, blocks []string
}

// text of tokens.
func (p *reader) textOf(t token) string { return p.text[t.from:t.end] }

func (p *reader) atEnd() bool { return p.at >= len(p.toks) }

func (p *reader) peek(ahead int) token {
	if p.at+ahead >= len(p.toks) {
		return token{kind: pg.Token_NUL, from: len(p.text), end: len(p.text)}
	}
	return p.toks[p.at+ahead]
}

func (p *reader) next() token {
	t := p.peek(0)
	p.at++
	return t
}

// isWord says whether the token some way ahead is a word of the language.
func (p *reader) isWord(ahead int, words ...string) bool {
	t := p.peek(ahead)
	if t.quoted || t.word == "" {
		return false
	}
	for _, w := range words {
		if t.word == w {
			return true
		}
	}
	return false
}

// isSign says whether the token some way ahead is a sign like ; or :=.
func (p *reader) isSign(ahead int, sign string) bool {
	t := p.peek(ahead)
	return t.word == "" && t.kind != pg.Token_NUL && p.textOf(t) == sign
}

func (p *reader) takeWord(words ...string) bool {
	if p.isWord(0, words...) {
		p.at++
		return true
	}
	return false
}

func (p *reader) takeSign(sign string) bool {
	if p.isSign(0, sign) {
		p.at++
		return true
	}
	return false
}

func (p *reader) wantWord(word string) {
	if !p.takeWord(word) {
		p.syntaxError()
	}
}

func (p *reader) wantSign(sign string) {
	if !p.takeSign(sign) {
		p.syntaxError()
	}
}

// name reads an identifier.
func (p *reader) name() string {
	t := p.peek(0)
	if t.word == "" {
		p.syntaxError()
	}
	p.at++
	return t.word
}

// line is that of a place in the body.
func (p *reader) line(from int) int { return 1 + strings.Count(p.text[:from], "\n") }

func (p *reader) here() at { return at(p.line(p.peek(0).from)) }

// syntaxError fails at the next token.
func (p *reader) syntaxError() {
	t := p.peek(0)
	if t.kind == pg.Token_NUL {
		p.failAt(t, sqlerr.SyntaxError, "syntax error at end of input")
	}
	p.failAt(t, sqlerr.SyntaxError, "syntax error at or near \"%s\"", p.textOf(t))
}

func (p *reader) failAt(t token, code sqlerr.Code, format string, args ...any) {
	panic(p.placed(sqlerr.New(code, format, args...), t))
}

func (p *reader) placed(e *sqlerr.Error, t token) *sqlerr.Error {
	return e.WithPos(utf8.RuneCountInString(p.text[:t.from]) + 1)
}
