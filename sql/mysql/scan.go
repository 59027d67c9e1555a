package mysql

import (
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// scanned is what a look at the tokens of a query string gives.
type scanned struct {
	// params are the offsets of the placeholders.
	params []int
}

// level is what scan knows of an open parenthesis: how many tokens could lie one below the other
// since it opened or, where elements of a list are siblings, since the last comma.
type level struct {
	above, own int
	from       bool // in a list of tables, which are nested
}

// scan finds the placeholders and bounds the nesting of the tree to come (I1). A token adds at most
// one level to the tree of its list element, so the tokens of the elements around a token bound its
// depth from above.
func scan(q string) (scanned, error) {
	var out scanned
	levels := []level{{}}
	s := lexer{q: q}
	for {
		t := s.next()
		top := &levels[len(levels)-1]
		switch {
		case t.kind == tokEnd:
			return out, nil
		case t.kind == tokParam:
			out.params = append(out.params, t.at)
		case t.kind == tokChar && (q[t.at] == '(' || q[t.at] == '{'):
			levels = append(levels, level{above: top.above + top.own + 1})
			top = &levels[len(levels)-1]
		case t.kind == tokChar && (q[t.at] == ')' || q[t.at] == '}'):
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
				top = &levels[len(levels)-1]
			}
		case t.kind == tokChar && q[t.at] == ',':
			if !top.from {
				top.own = 0
				continue
			}
		case t.kind == tokChar && q[t.at] == ';' && len(levels) == 1:
			*top = level{}
			continue
		case t.kind == tokWord:
			switch strings.ToUpper(q[t.at:t.end]) {
			case "FROM", "UPDATE", "DELETE", "USING":
				top.from = true
			case "SET", "WHERE", "GROUP", "ORDER", "VALUES", "VALUE", "SELECT":
				top.from = false
			}
		}
		top.own++
		if top.above+top.own > nestingMax {
			return out, sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded").
				WithHint("The statement is nested more than %d tokens deep.", nestingMax).
				WithPos(sqlerr.CharPosition(q, t.at))
		}
	}
}

// tokenKind says what a token is, as far as splitting and counting need to know.
type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokWord
	tokString
	tokParam
	tokChar
)

type token struct {
	kind    tokenKind
	at, end int
}

// lexer cuts MySQL's text into tokens. What stands in comments that MySQL executes are tokens too.
type lexer struct {
	q  string
	at int
}

func (s *lexer) next() token {
	for s.at < len(s.q) {
		if n := s.comment(); n > 0 {
			s.at += n
			continue
		}
		c := s.q[s.at]
		start := s.at
		switch {
		case c <= ' ':
			s.at++
		case c == '\'' || c == '"' || c == '`':
			s.at += quotedLen(s.q[s.at:])
			return token{tokString, start, s.at}
		case wordByte(c):
			for s.at < len(s.q) && wordByte(s.q[s.at]) {
				s.at++
			}
			return token{tokWord, start, s.at}
		case c == '?':
			s.at++
			return token{tokParam, start, s.at}
		default:
			s.at++
			return token{tokChar, start, s.at}
		}
	}
	return token{tokEnd, s.at, s.at}
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// comment gives the length of the comment here, 0 if there is none. Of a comment to be executed it
// is the opening only.
func (s *lexer) comment() int {
	r := s.q[s.at:]
	switch {
	case strings.HasPrefix(r, "/*!"), strings.HasPrefix(r, "/*+"), strings.HasPrefix(r, "/*T!"), strings.HasPrefix(r, "/*M!"):
		return 3
	case strings.HasPrefix(r, "/*"):
		if i := strings.Index(r[2:], "*/"); i >= 0 {
			return i + 4
		}
		return len(r)
	case strings.HasPrefix(r, "*/"):
		return 2
	case r[0] == '#', strings.HasPrefix(r, "--") && (len(r) == 2 || r[2] <= ' '):
		if i := strings.IndexByte(r, '\n'); i >= 0 {
			return i + 1
		}
		return len(r)
	}
	return 0
}

// quotedLen is the length of the quoted string or name that begins r.
func quotedLen(r string) int {
	quote := r[0]
	for i := 1; i < len(r); i++ {
		switch {
		case r[i] == '\\' && quote != '`':
			i++
		case r[i] == quote && i+1 < len(r) && r[i+1] == quote:
			i++
		case r[i] == quote:
			return i + 1
		}
	}
	return len(r)
}
