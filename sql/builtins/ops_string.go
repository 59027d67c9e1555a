package builtins

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func text(s string) (datum, error) { return types.NewText(s), nil }

func stringOps() []Overload {
	tx, b := types.Text, types.Bytea
	concat := func(_ ectx, x, y datum) (datum, error) { return text(x.Str() + y.Str()) }
	out := []Overload{
		op2("||", tx, tx, tx, "concatenation", concat),
		op2("||", b, b, b, "concatenation", func(_ ectx, x, y datum) (datum, error) { return types.NewBytes(x.Str() + y.Str()), nil }),
		concatAny(tx, types.AnyNonArray), concatAny(types.AnyNonArray, tx),
		op2("^@", tx, tx, types.Bool, "starts with", func(_ ectx, x, y datum) (datum, error) {
			return types.NewBool(strings.HasPrefix(x.Str(), y.Str())), nil
		}),
	}
	for _, l := range []types.T{types.Text, types.BPChar, types.Name} {
		out = append(out, likeOps(l)...)
	}
	return append(out, Overload{Name: "~~", Op: true, Class: Scalar, Args: []types.T{b, b}, Ret: types.Bool, Vol: Immutable,
		Strict: true, Doc: "LIKE", Fn2: like(false, false)})
}

// concatAny puts one side of || into text form.
func concatAny(l, r types.T) Overload {
	o := op2("||", l, r, types.Text, "concatenation with another type's text", nil)
	o.Vol = Stable
	o.Bind = func(args []types.T) Fn {
		return func(ec ectx, a []datum) (datum, error) {
			return text(castText(ec, args[0], a[0]) + castText(ec, args[1], a[1]))
		}
	}
	return o
}

// castText is the text of a value as a cast gives it.
func castText(ec ectx, t types.T, d datum) string {
	s, err := types.Cast(d, t, types.Text, true, ec.env())
	if err != nil {
		return types.Format(t, d, ec.env())
	}
	return s.Str()
}

func likeOps(l types.T) []Overload {
	tx, bo := types.Text, types.Bool
	return []Overload{
		op2("~~", l, tx, bo, "LIKE", like(false, false)), op2("!~~", l, tx, bo, "NOT LIKE", like(false, true)),
		op2("~~*", l, tx, bo, "ILIKE", like(true, false)), op2("!~~*", l, tx, bo, "NOT ILIKE", like(true, true)),
		op2("~", l, tx, bo, "matches a regular expression", match("", false)),
		op2("!~", l, tx, bo, "does not match a regular expression", match("", true)),
		op2("~*", l, tx, bo, "matches regardless of case", match("i", false)),
		op2("!~*", l, tx, bo, "does not match regardless of case", match("i", true)),
	}
}

func like(fold, negate bool) Fn2 {
	return func(_ ectx, s, p datum) (datum, error) {
		str, pat := s.Str(), p.Str()
		if fold {
			str, pat = strings.ToLower(str), strings.ToLower(pat)
		}
		ok, err := likeMatch(str, pat)
		return types.NewBool(ok != negate), err
	}
}

var errLikeEnd = sqlerr.New(sqlerr.InvalidEscapeSequence, "LIKE pattern must not end with escape character")

// likeMatch goes back to the last % only, since an earlier one can gain nothing: the time is
// bounded by the product of the lengths.
func likeMatch(s, p string) (bool, error) {
	starP, starS := -1, 0
	i, j := 0, 0
	for {
		if j < len(p) && p[j] == '%' {
			starP, starS = j+1, i
			j++
			continue
		}
		if i == len(s) {
			break
		}
		n, m := likeStep(s[i:], p[j:])
		switch {
		case n < 0:
			return false, errLikeEnd
		case n > 0:
			i, j = i+n, j+m
		case starP >= 0:
			_, w := utf8.DecodeRuneInString(s[starS:])
			starS += w
			i, j = starS, starP
		default:
			return false, nil
		}
	}
	return j == len(p), nil
}

// likeStep matches one character and returns what it used up; 0 is no match, -1 a bad pattern.
func likeStep(s, p string) (used, pattern int) {
	if p == "" {
		return 0, 0
	}
	switch p[0] {
	case '_':
		_, w := utf8.DecodeRuneInString(s)
		return w, 1
	case '\\':
		if len(p) == 1 {
			return -1, 0
		}
		if s[0] == p[1] {
			return 1, 2
		}
		return 0, 0
	}
	if s[0] == p[0] {
		return 1, 1
	}
	return 0, 0
}

func match(flags string, negate bool) Fn2 {
	var cache regexCache
	return func(_ ectx, s, p datum) (datum, error) {
		re, err := cache.get(p.Str(), flags)
		if err != nil {
			return types.Null, err
		}
		return types.NewBool(re.MatchString(s.Str()) != negate), nil
	}
}

// similarToRegex translates SIMILAR TO's patterns, as similar_to_escape does.
// similarParts is the regular expression of SUBSTRING(… SIMILAR pattern ESCAPE …): the pattern's parts
// are cut by the escape character and a quote, and the middle one is wanted.
func similarParts(p, esc string) (string, error) {
	if utf8.RuneCountInString(esc) > 1 {
		return similarToRegex(p, esc)
	}
	parts := []string{p}
	if esc != "" {
		parts = nil
		from := 0
		for i := 0; i+1 < len(p); i++ {
			if p[i] != esc[0] {
				continue
			}
			if p[i+1] == '"' {
				parts = append(parts, p[from:i])
				from = i + 2
			}
			i++
		}
		parts = append(parts, p[from:])
	}
	switch len(parts) {
	case 1:
		parts = []string{"", p, ""}
	case 2:
		parts = append(parts, "")
	case 3:
	default:
		return "", sqlerr.New("2200C", "SQL regular expression may not contain more than two escape-double-quote separators")
	}
	for i, part := range parts {
		re, err := similarToRegex(part, esc)
		if err != nil {
			return "", err
		}
		parts[i] = strings.TrimSuffix(strings.TrimPrefix(re, "^(?:"), ")$")
	}
	lazy := strings.ReplaceAll(parts[0], "*", "*?")
	return "^(?:" + lazy + ")(" + parts[1] + ")(?:" + parts[2] + ")$", nil
}

func similarToRegex(p, esc string) (string, error) {
	if utf8.RuneCountInString(esc) > 1 {
		return "", sqlerr.New(sqlerr.InvalidEscapeSequence, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	var b strings.Builder
	b.WriteString("^(?:")
	class := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case esc != "" && c == esc[0] && i+1 < len(p):
			i++
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		case class && strings.HasPrefix(p[i:], "[:") && strings.Contains(p[i+2:], ":]"):
			end := i + 4 + strings.Index(p[i+2:], ":]")
			b.WriteString(p[i:end])
			i = end - 1
		case class:
			class = c != ']'
			b.WriteByte(c)
		case c == '[':
			class = true
			b.WriteByte(c)
			for _, first := range []string{"^", "]"} { // they mean themselves, or nothing, at the start
				if strings.HasPrefix(p[i+1:], first) {
					b.WriteString(first)
					i++
				}
			}
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteByte('.')
		case c == '(':
			b.WriteString("(?:")
		case c == '\\' || c == '.' || c == '^' || c == '$':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + ")$", nil
}
