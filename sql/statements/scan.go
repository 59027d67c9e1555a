package statements

import "strings"

// kind is what a token is.
type kind uint8

const (
	start kind = iota
	end
	word   // a keyword or a name without quotes, in lower case
	name   // a name in quotes
	quoted // a string or bit string
	number
	param
	symbol // one character, or several of an operator
)

// token is one of a statement; it lies between at and end of the text.
type token struct {
	kind    kind
	text    string
	at, end int
}

// scanner cuts a statement into tokens by the rules of PostgreSQL's scan.l, with
// standard_conforming_strings on.
type scanner struct {
	text string
	at   int
}

func (s *scanner) scan() token {
	s.skip()
	from := s.at
	if from >= len(s.text) {
		return token{kind: end, at: from, end: from}
	}
	make := func(k kind) token { return token{kind: k, text: s.text[from:s.at], at: from, end: s.at} }
	c := s.text[from]
	switch {
	case c == '\'':
		s.quotes(false)
		return make(quoted)
	case c == '"':
		s.until('"')
		return make(name)
	case c == '$':
		return s.dollar(make)
	case isDigit(c) || c == '.' && isDigit(s.peek(1)):
		s.number()
		return make(number)
	case isLetter(c):
		return s.word(make)
	case strings.IndexByte(operators, c) >= 0:
		s.operator()
		return make(symbol)
	}
	s.at++
	return make(symbol)
}

func (s *scanner) peek(n int) byte {
	if s.at+n < len(s.text) {
		return s.text[s.at+n]
	}
	return 0
}

// skip passes over spaces and comments, which nest. It reports whether there was
// the end of a line.
func (s *scanner) skip() (line bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '\n' || c == '\r':
			line = true
			s.at++
		case c == ' ' || c == '\t' || c == '\f' || c == '\v':
			s.at++
		case c == '-' && s.peek(1) == '-':
			i := strings.IndexByte(s.text[s.at:], '\n')
			if i < 0 {
				i = len(s.text) - s.at
			}
			s.at += i
		case c == '/' && s.peek(1) == '*':
			s.comment()
		default:
			return line
		}
	}
	return line
}

func (s *scanner) comment() {
	depth := 0
	for s.at < len(s.text) {
		switch {
		case s.text[s.at] == '/' && s.peek(1) == '*':
			depth++
			s.at += 2
		case s.text[s.at] == '*' && s.peek(1) == '/':
			depth--
			s.at += 2
			if depth == 0 {
				return
			}
		default:
			s.at++
		}
	}
	s.at = len(s.text)
}

// quotes passes over a string and what continues it on the next lines.
func (s *scanner) quotes(escapes bool) {
	for {
		s.at++
		for s.at < len(s.text) {
			c := s.text[s.at]
			if c == '\\' && escapes {
				s.at++
			} else if c == '\'' {
				if s.peek(1) != '\'' {
					break
				}
				s.at++
			}
			s.at++
		}
		s.at = min(s.at+1, len(s.text))
		after := s.at
		if !s.skip() || s.peek(0) != '\'' {
			s.at = after
			return
		}
	}
}

// until passes over a quoted name.
func (s *scanner) until(q byte) {
	s.at++
	for s.at < len(s.text) {
		if s.text[s.at] == q {
			if s.peek(1) != q {
				break
			}
			s.at++
		}
		s.at++
	}
	s.at = min(s.at+1, len(s.text))
}

// dollar is a parameter, a string in dollars, or a character that means nothing.
func (s *scanner) dollar(make func(kind) token) token {
	i := s.at + 1
	for i < len(s.text) && isDigit(s.text[i]) {
		i++
	}
	if i > s.at+1 {
		s.at = i
		return make(param)
	}
	for i < len(s.text) && s.text[i] != '$' && isNameByte(s.text[i]) {
		i++
	}
	if i >= len(s.text) || s.text[i] != '$' {
		s.at++
		return make(symbol)
	}
	tag := s.text[s.at : i+1]
	if n := strings.Index(s.text[i+1:], tag); n >= 0 {
		s.at = i + 1 + n + len(tag)
	} else {
		s.at = len(s.text)
	}
	return make(quoted)
}

func (s *scanner) number() {
	for s.at < len(s.text) {
		c := s.text[s.at]
		sign := (c == '+' || c == '-') && (s.text[s.at-1] == 'e' || s.text[s.at-1] == 'E')
		if !isDigit(c) && c != '.' && c != 'e' && c != 'E' && !sign {
			return
		}
		if c == '.' && s.peek(1) == '.' { // 1..10 is a range
			return
		}
		s.at++
	}
}

// word is a keyword or name, or the prefix of a string.
func (s *scanner) word(make func(kind) token) token {
	c, next := s.text[s.at]|0x20, s.peek(1)
	switch {
	case next == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n'):
		s.at++
		s.quotes(c == 'e')
		return make(quoted)
	case c == 'u' && next == '&' && s.peek(2) == '\'':
		s.at += 2
		s.quotes(false)
		return make(quoted)
	case c == 'u' && next == '&' && s.peek(2) == '"':
		s.at += 2
		s.until('"')
		return make(name)
	}
	for s.at < len(s.text) && isNameByte(s.text[s.at]) {
		s.at++
	}
	t := make(word)
	t.text = strings.ToLower(t.text)
	return t
}

// operators are the characters that operators are made of.
const operators = "+-*/<>=~!@#%^&|`?"

// operator takes the longest one, but not the beginning of a comment, nor a sign at
// its end unless the rest could not be a name of SQL itself.
func (s *scanner) operator() {
	from := s.at
	special := false
	for s.at < len(s.text) && strings.IndexByte(operators, s.text[s.at]) >= 0 {
		if s.at > from && (s.text[s.at] == '-' && s.peek(1) == '-' || s.text[s.at] == '/' && s.peek(1) == '*') {
			break
		}
		special = special || strings.IndexByte("~!@#%^&|`?", s.text[s.at]) >= 0
		s.at++
	}
	for s.at > from+1 && !special && (s.text[s.at-1] == '-' || s.text[s.at-1] == '+') {
		s.at--
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '$' }
