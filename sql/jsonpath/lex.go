package jsonpath

import (
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

type tokenKind uint8

const (
	end tokenKind = iota
	symbol
	ident
	str
	num
	varName
)

type token struct {
	kind      tokenKind
	text, raw string
}

// symbols are the operators, longest first where one begins another.
var symbols = []string{"**", "&&", "||", "==", "!=", "<>", "<=", ">=", "<", ">", "!", "$", "@", ".", "[", "]", "(", ")", "{", "}",
	"?", "+", "-", "*", "/", "%", ","}

func identByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

func lex(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		switch {
		case strings.IndexByte(" \t\n\r\f", c) >= 0:
			i++
			continue
		case strings.HasPrefix(s[i:], "/*"):
			n := strings.Index(s[i+2:], "*/")
			if n < 0 {
				return nil, sqlerr.New(sqlerr.SyntaxError, "unexpected end of comment at end of jsonpath input")
			}
			i += n + 4
			continue
		case c == '"':
			text, n, ok := quoted(s[i:])
			if !ok {
				return nil, sqlerr.New(sqlerr.SyntaxError, "unterminated quoted string at or near \"%s\" of jsonpath input", s[i:])
			}
			i += n
			out = append(out, token{str, text, s[start:i]})
		case c == '$' && i+1 < len(s) && (s[i+1] == '"' || identByte(s[i+1]) && (s[i+1] < '0' || s[i+1] > '9')):
			if s[i+1] == '"' {
				text, n, ok := quoted(s[i+1:])
				if !ok {
					return nil, sqlerr.New(sqlerr.SyntaxError, "unterminated quoted string at or near \"%s\" of jsonpath input", s[i:])
				}
				i += 1 + n
				out = append(out, token{varName, text, s[start:i]})
				break
			}
			for i++; i < len(s) && identByte(s[i]); i++ {
			}
			out = append(out, token{varName, s[start+1 : i], s[start:i]})
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			i = numberEnd(s, i)
			if i < len(s) && identByte(s[i]) {
				return nil, sqlerr.New(sqlerr.SyntaxError, "trailing junk after numeric literal at or near \"%s\" of jsonpath input", s[start:i+1])
			}
			out = append(out, token{num, s[start:i], s[start:i]})
		case identByte(c):
			for i < len(s) && identByte(s[i]) {
				i++
			}
			out = append(out, token{ident, s[start:i], s[start:i]})
		default:
			sym := ""
			for _, x := range symbols {
				if strings.HasPrefix(s[i:], x) {
					sym = x
					break
				}
			}
			if sym == "" {
				return nil, sqlerr.New(sqlerr.SyntaxError, "syntax error at or near \"%s\" of jsonpath input", s[i:i+1])
			}
			i += len(sym)
			out = append(out, token{symbol, sym, sym})
		}
	}
	return append(out, token{}), nil
}

// numberEnd steps over digits, a fraction and an exponent.
func numberEnd(s string, i int) int {
	digits := func() {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
	}
	digits()
	if i < len(s) && s[i] == '.' {
		i++
		digits()
	}
	if i+1 < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if s[j] == '+' || s[j] == '-' {
			j++
		}
		if j < len(s) && s[j] >= '0' && s[j] <= '9' {
			i = j
			digits()
		}
	}
	return i
}

// quoted reads a JSON string at the start of s and says how long it is.
func quoted(s string) (text string, n int, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			v, err := types.ParseJSON(s[:i+1])
			return v.Str, i + 1, err == nil
		}
	}
	return "", 0, false
}
