package parser

import "unicode"

// InConstant is the place in a query of a character of a string constant, which begins at byte at or after
// the blanks there; both places are characters counted from 1.
func InConstant(query string, at, position int) int {
	chars := []rune(query)
	i := len([]rune(query[:min(max(at, 0), len(query))]))
	for i < len(chars) && unicode.IsSpace(chars[i]) {
		i++
	}
	if i < len(chars) && chars[i] == '$' {
		for i++; i < len(chars) && chars[i] != '$'; {
			i++
		}
		return i + 1 + position
	}
	for i++; position > 1 && i < len(chars); position-- {
		if chars[i] == '\'' {
			i++
		}
		i++
	}
	return i + 1
}
