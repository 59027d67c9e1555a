package mysql

import (
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// scanned is what a look at the tokens of a query string gives.
type scanned struct {
	// params are the offsets of the placeholders.
	params []int
	// rowAliases are what INSERT … VALUES … AS name calls the new row, in lower case; clauses is where
	// these clauses stand, which TiDB's grammar does not know.
	rowAliases map[string]bool
	clauses    []token
}

// withoutAliases is the query string with spaces for the clauses.
func (s *scanned) withoutAliases(q string) string {
	if len(s.clauses) == 0 {
		return q
	}
	b := []byte(q)
	for _, c := range s.clauses {
		for i := c.at; i < c.end; i++ {
			if b[i] != '\n' { // lines stay what they are
				b[i] = ' '
			}
		}
	}
	return string(b)
}

// rowAlias notes AS name before ON DUPLICATE KEY; as is the token AS.
func (s *scanned) rowAlias(q string, as token) {
	l := lexer{q: q, at: as.end}
	name := l.next()
	on, duplicate := l.next(), l.next()
	text := q[name.at:name.end]
	if name.kind == tokString && strings.HasPrefix(text, "`") && len(text) > 2 {
		text = strings.ReplaceAll(text[1:len(text)-1], "``", "`")
	} else if name.kind != tokWord {
		return
	}
	if !strings.EqualFold(q[on.at:on.end], "ON") || !strings.EqualFold(q[duplicate.at:duplicate.end], "DUPLICATE") {
		return
	}
	if s.rowAliases == nil {
		s.rowAliases = map[string]bool{}
	}
	s.rowAliases[strings.ToLower(text)] = true
	s.clauses = append(s.clauses, token{at: as.at, end: name.end})
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
	rows := false // in VALUES or SET of an INSERT, as far as it matters for what may follow
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
			rows = false
			continue
		case t.kind == tokWord:
			switch word := strings.ToUpper(q[t.at:t.end]); word {
			case "AS":
				if len(levels) == 1 && rows {
					out.rowAlias(q, t)
				}
			case "FROM", "UPDATE", "DELETE", "USING":
				top.from = true
				rows = rows && len(levels) > 1
			case "SET", "WHERE", "GROUP", "ORDER", "VALUES", "VALUE", "SELECT":
				top.from = false
				if len(levels) == 1 {
					rows = word == "VALUES" || word == "VALUE" || word == "SET"
				}
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
