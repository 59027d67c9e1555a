package builtins

import (
	"unicode/utf8"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// regexFinds are Postgres 15's regexp_count, regexp_instr and regexp_substr, with their optional
// arguments: start, N, end, flags, group.
func regexFinds() []Overload {
	tx, i4 := types.Text, types.Int4
	var cache regexCache
	type find struct {
		s                  string
		start, n, end, sub int64
		flags              string
	}
	bad := func(what string, v int64) error {
		return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": %d", what, v)
	}
	// matches finds the byte offsets of all matches and their groups, behind start.
	matches := func(a []datum, f find) ([][]int, int, error) {
		if f.start < 1 {
			return nil, 0, bad("start", f.start)
		}
		re, err := cache.get(a[1].Str(), f.flags)
		if err != nil {
			return nil, 0, err
		}
		skip := cutRunes(f.s, f.start-1)
		if f.start-1 > int64(utf8.RuneCountInString(f.s)) {
			return nil, skip, nil
		}
		return re.FindAllStringSubmatchIndex(f.s[skip:], -1), skip, nil
	}
	arg := func(a []datum, i int, def int64) int64 {
		if len(a) > i {
			return a[i].Int()
		}
		return def
	}
	nth := func(a []datum, f find) (at []int, skip int, err error) {
		if f.n < 1 {
			return nil, 0, bad("n", f.n)
		}
		if f.sub < 0 {
			return nil, 0, bad("subexpr", f.sub)
		}
		all, skip, err := matches(a, f)
		if err != nil || int64(len(all)) < f.n || f.sub*2+1 >= int64(len(all[f.n-1])) {
			return nil, 0, err
		}
		m := all[f.n-1]
		if m[2*f.sub] < 0 {
			return nil, 0, nil
		}
		return m[2*f.sub : 2*f.sub+2], skip, nil
	}
	return []Overload{
		fn("regexp_count", []types.T{tx, tx, i4, tx}, i4, "number of matches", func(_ ectx, a []datum) (datum, error) {
			all, _, err := matches(a, find{s: a[0].Str(), start: arg(a, 2, 1), flags: flagsOf(a, 3)})
			return types.NewInt(int64(len(all))), err
		}).defaults(2),
		fn("regexp_instr", []types.T{tx, tx, i4, i4, i4, tx, i4}, i4, "place of the Nth match, 0 for none", func(_ ectx, a []datum) (datum, error) {
			f := find{s: a[0].Str(), start: arg(a, 2, 1), n: arg(a, 3, 1), end: arg(a, 4, 0), flags: flagsOf(a, 5), sub: arg(a, 6, 0)}
			if f.end != 0 && f.end != 1 {
				return types.Null, bad("endoption", f.end)
			}
			at, skip, err := nth(a, f)
			if err != nil || at == nil {
				return types.NewInt(0), err
			}
			return types.NewInt(int64(utf8.RuneCountInString(f.s[:skip+at[f.end]])) + 1), nil
		}).defaults(5),
		fn("regexp_substr", []types.T{tx, tx, i4, i4, tx, i4}, tx, "the Nth match, or a group of it", func(_ ectx, a []datum) (datum, error) {
			f := find{s: a[0].Str(), start: arg(a, 2, 1), n: arg(a, 3, 1), flags: flagsOf(a, 4), sub: arg(a, 5, 0)}
			at, skip, err := nth(a, f)
			if err != nil || at == nil {
				return types.Null, err
			}
			return text(f.s[skip+at[0] : skip+at[1]])
		}).defaults(4),
	}
}
