package mysql

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// ident prints an identifier: MySQL's columns know no case, and neither do its tables where they
// are to be portable, so every name is folded as Postgres folds an unquoted one.
func ident(name string) string { return exact(strings.ToLower(name)) }

// exact prints an identifier as it is spelled.
func exact(name string) string { return `"` + unquoted.Replace(cutName(name)) + `"` }

var unquoted = strings.NewReplacer(`"`, `""`, "\x00", "")

// cutName cuts a name at Postgres's limit, between characters.
func cutName(name string) string {
	if len(name) <= nameBytesMax {
		return name
	}
	n := nameBytesMax
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// quote prints a string literal; a backslash in it is a plain character.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// bytea prints bytes.
func bytea(s string) string { return `'\x` + hex.EncodeToString([]byte(s)) + `'::bytea` }

func list[T any](items []T, print func(T) string) string {
	var b strings.Builder
	for i, x := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(print(x))
	}
	return b.String()
}
