package builtins

import (
	"math"
	"regexp"
	"strings"
	"sync"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Regular expressions run on Go's engine, whose time is linear in the text. It lacks
// back-references and lookaround, which fail with 2201B.

// regexCache remembers the last few patterns of one function; it is safe for concurrent use.
type regexCache struct {
	mu struct {
		sync.Mutex
		m map[string]*regexp.Regexp
	}
}

const regexCacheMax = 64

func (c *regexCache) get(pattern, flags string) (*regexp.Regexp, error) {
	key := flags + "/" + pattern
	c.mu.Lock()
	re := c.mu.m[key]
	c.mu.Unlock()
	if re != nil {
		return re, nil
	}
	re, err := compileRegex(pattern, flags)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.m) >= regexCacheMax || c.mu.m == nil {
		c.mu.m = map[string]*regexp.Regexp{}
	}
	c.mu.m[key] = re
	return re, nil
}

// compileRegex translates Postgres's flags and its word-boundary escapes.
func compileRegex(pattern, flags string) (*regexp.Regexp, error) {
	goFlags := "s" // in Postgres . matches a newline
	for _, f := range flags {
		switch f {
		case 'i':
			goFlags += "i"
		case 'n', 'm':
			goFlags = strings.Replace(goFlags, "s", "", 1) + "m"
		case 'g', 'c', 's', 'x', 'e', 't':
		default:
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "invalid regular expression option: \"%c\"", f)
		}
	}
	if strings.HasPrefix(pattern, "***=") {
		pattern = regexp.QuoteMeta(pattern[4:])
	}
	for _, r := range [][2]string{{`\m`, `\b`}, {`\M`, `\b`}, {`\y`, `\b`}, {`\Y`, `\B`}, {`\Z`, `\z`}, {`[[:<:]]`, `\b`}, {`[[:>:]]`, `\b`}} {
		pattern = strings.ReplaceAll(pattern, r[0], r[1])
	}
	if goFlags != "" {
		pattern = "(?" + goFlags + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, sqlerr.New(sqlerr.InvalidRegularExpression, "invalid regular expression: %s",
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

func flagsOf(a []datum, i int) string {
	if len(a) > i {
		return a[i].Str()
	}
	return ""
}

func regexFuncs() []Overload {
	tx, i4 := types.Text, types.Int4
	var cache regexCache
	similar := func(_ ectx, a []datum) (datum, error) {
		esc := `\`
		if len(a) > 1 && !a[1].IsNull() {
			esc = a[1].Str()
		}
		s, err := similarToRegex(a[0].Str(), esc)
		if err != nil {
			return types.Null, err
		}
		return text(s)
	}
	return []Overload{
		fn("regexp_replace", []types.T{tx, tx, tx, tx}, tx, "with the first match replaced, or all with flag g", func(_ ectx, a []datum) (datum, error) {
			re, err := cache.get(a[1].Str(), flagsOf(a, 3))
			if err != nil {
				return types.Null, err
			}
			n := 1
			if strings.Contains(flagsOf(a, 3), "g") {
				n = 0
			}
			return text(regexReplace(re, a[0].Str(), a[2].Str(), n))
		}).defaults(1),
		fn("regexp_replace", []types.T{tx, tx, tx, i4, i4, tx}, tx, "with the n-th match from a position on replaced, all for 0", func(_ ectx, a []datum) (datum, error) {
			n := int64(1)
			if len(a) > 4 {
				n = a[4].Int()
			} else if strings.Contains(flagsOf(a, 5), "g") {
				n = 0
			}
			switch {
			case a[3].Int() <= 0:
				return types.Null, badParameter("start", a[3].Int())
			case n < 0:
				return types.Null, badParameter("n", n)
			}
			re, err := cache.get(a[1].Str(), flagsOf(a, 5))
			if err != nil {
				return types.Null, err
			}
			at := cutRunes(a[0].Str(), a[3].Int()-1)
			return text(a[0].Str()[:at] + regexReplace(re, a[0].Str()[at:], a[2].Str(), int(min(n, math.MaxInt32))))
		}).defaults(2),
		fn("substring", []types.T{tx, tx, tx}, tx, "part of a text between the separators of an SQL pattern", func(_ ectx, a []datum) (datum, error) {
			pattern, err := similarParts(a[1].Str(), a[2].Str())
			if err != nil {
				return types.Null, err
			}
			re, err := cache.get(pattern, "")
			if err != nil {
				return types.Null, err
			}
			m := re.FindStringSubmatch(a[0].Str())
			if m == nil {
				return types.Null, nil
			}
			return text(m[1])
		}),
		fn("regexp_match", []types.T{tx, tx, tx}, types.TextArray, "groups of the first match", func(_ ectx, a []datum) (datum, error) {
			re, err := cache.get(a[1].Str(), flagsOf(a, 2))
			if err != nil {
				return types.Null, err
			}
			return groups(a[0].Str(), re.FindStringSubmatchIndex(a[0].Str())), nil
		}).defaults(1),
		fn("regexp_like", []types.T{tx, tx, tx}, types.Bool, "matches", func(_ ectx, a []datum) (datum, error) {
			re, err := cache.get(a[1].Str(), flagsOf(a, 2))
			if err != nil {
				return types.Null, err
			}
			return types.NewBool(re.MatchString(a[0].Str())), nil
		}).defaults(1),
		f2("substring", tx, tx, tx, "part that matches a regular expression", func(_ ectx, s, p datum) (datum, error) {
			re, err := cache.get(p.Str(), "")
			if err != nil {
				return types.Null, err
			}
			m := re.FindStringSubmatchIndex(s.Str())
			if m == nil {
				return types.Null, nil
			}
			m = m[min(len(m)-2, 2):]
			if m[0] < 0 { // the group took no part
				return types.Null, nil
			}
			return text(s.Str()[m[0]:m[1]])
		}),
		fn("regexp_split_to_array", []types.T{tx, tx, tx}, types.TextArray, "parts between matches", func(_ ectx, a []datum) (datum, error) {
			re, err := cache.get(a[1].Str(), flagsOf(a, 2))
			if err != nil {
				return types.Null, err
			}
			return textArray(re.Split(a[0].Str(), -1)), nil
		}).defaults(1),
		fn("similar_to_escape", []types.T{tx, tx}, tx, "SIMILAR TO pattern as a regular expression", similar).defaults(1).lenient(),
		fn("similar_escape", []types.T{tx, tx}, tx, "SIMILAR TO pattern as a regular expression", similar).lenient(),
		fn("like_escape", []types.T{tx, tx}, tx, "LIKE pattern with another escape character", func(_ ectx, a []datum) (datum, error) {
			return likeEscape(a[0].Str(), a[1].Str())
		}),
	}
}

func likeEscape(p, esc string) (datum, error) {
	if esc == `\` {
		return text(p)
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case esc != "" && strings.HasPrefix(p[i:], esc) && i+len(esc) < len(p):
			b.WriteByte('\\')
			i += len(esc)
			b.WriteByte(p[i])
		case p[i] == '\\':
			b.WriteString(`\\`)
		default:
			b.WriteByte(p[i])
		}
	}
	return text(b.String())
}

func textArray(ss []string) datum {
	out := make([]datum, len(ss))
	for i, s := range ss {
		out[i] = types.NewText(s)
	}
	return types.NewArray(types.Text, out)
}

// groups makes an array of a match's groups, or of the whole match if it has none.
func groups(s string, at []int) datum {
	if at == nil {
		return types.Null
	}
	if len(at) > 2 {
		at = at[2:]
	}
	var out []datum
	for i := 0; i < len(at); i += 2 {
		if at[i] < 0 {
			out = append(out, types.Null)
		} else {
			out = append(out, types.NewText(s[at[i]:at[i+1]]))
		}
	}
	return types.NewArray(types.Text, out)
}

// regexReplace expands \1…\9, \& and \\ in the replacement.
// It replaces the n-th match, or all if n is 0.
func regexReplace(re *regexp.Regexp, s, with string, n int) string {
	var b strings.Builder
	last := 0
	limit := n
	if n == 0 {
		limit = -1
	}
	matches := re.FindAllStringSubmatchIndex(s, limit)
	if n > 0 {
		matches = matches[min(n-1, len(matches)):]
	}
	for _, at := range matches {
		b.WriteString(s[last:at[0]])
		for i := 0; i < len(with); i++ {
			if with[i] != '\\' || i+1 == len(with) {
				b.WriteByte(with[i])
				continue
			}
			i++
			g := -1
			switch c := with[i]; {
			case c == '&':
				g = 0
			case c >= '1' && c <= '9':
				g = int(c - '0')
			default:
				b.WriteByte(c)
			}
			if g >= 0 && 2*g+1 < len(at) && at[2*g] >= 0 {
				b.WriteString(s[at[2*g]:at[2*g+1]])
			}
		}
		last = at[1]
	}
	return b.String() + s[last:]
}

func badParameter(name string, n int64) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": %d", name, n)
}
