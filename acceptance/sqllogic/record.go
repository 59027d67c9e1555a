package sqllogic

import (
	"bufio"
	"crypto/md5"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// record is one statement or query of a script, with what is expected of it.
type record struct {
	line  int
	query bool
	sql   string
	fails bool   // of a statement: it has to
	types string // of a query: I, R or T for each column
	sort  string
	want  []string // the lines below "----"
	label string
	// hashAbove is how many values are shown; more are hashed.
	hashAbove int
}

// dialect is the name under which records are for PostgreSQL or not.
const dialect = "postgresql"

// parse reads the records that are meant for PostgreSQL.
func parse(in io.Reader) ([]record, error) {
	var out []record
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	skip, hashAbove, n := false, 8, 0
	next := func() (string, bool) {
		if !lines.Scan() {
			return "", false
		}
		n++
		return strings.TrimRight(lines.Text(), "\r"), true
	}
	for {
		line, ok := next()
		if !ok {
			return out, lines.Err()
		}
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch f[0] {
		case "skipif":
			skip = skip || len(f) > 1 && f[1] == dialect
		case "onlyif":
			skip = skip || len(f) > 1 && f[1] != dialect
		case "hash-threshold":
			hashAbove, _ = strconv.Atoi(f[1])
		case "halt":
			if !skip {
				return out, nil
			}
			skip = false
		case "statement", "query":
			r := record{line: n, query: f[0] == "query", hashAbove: hashAbove, sort: "nosort"}
			if r.query {
				r.types = f[1]
				if len(f) > 2 {
					r.sort = f[2]
				}
				if len(f) > 3 {
					r.label = f[3]
				}
			} else {
				r.fails = len(f) > 1 && f[1] == "error"
			}
			r.read(next)
			if !skip {
				out = append(out, r)
			}
			skip = false
		default:
			return nil, fmt.Errorf("line %d: %q is no record", n, line)
		}
	}
}

// read takes the statement's text and the answer below it, up to an empty line.
func (r *record) read(next func() (string, bool)) {
	answer := false
	for {
		line, ok := next()
		if !ok || line == "" {
			return
		}
		switch {
		case line == "----":
			answer = true
		case answer:
			r.want = append(r.want, line)
		default:
			r.sql += line + "\n"
		}
	}
}

// judge compares the values of a query, row after row, with what is expected, and returns
// what is wrong.
func (r *record) judge(values []string) string {
	if columns := len(r.types); columns > 0 && len(values)%columns != 0 {
		return fmt.Sprintf("%d values in rows of %d", len(values), columns)
	}
	got := r.answer(values)
	if !slices.Equal(got, r.want) {
		return fmt.Sprintf("got %s, want %s", short(got), short(r.want))
	}
	return ""
}

// answer is the values as a script shows them.
func (r *record) answer(values []string) []string {
	switch columns := len(r.types); r.sort {
	case "rowsort":
		rows := slices.Collect(slices.Chunk(values, columns))
		slices.SortStableFunc(rows, slices.Compare[[]string])
		values = slices.Concat(rows...)
	case "valuesort":
		values = slices.Sorted(slices.Values(values))
	}
	if r.hashAbove == 0 || len(values) <= r.hashAbove {
		return values
	}
	sum := md5.New()
	for _, v := range values {
		_, _ = io.WriteString(sum, v+"\n")
	}
	return []string{fmt.Sprintf("%d values hashing to %x", len(values), sum.Sum(nil))}
}

func short(values []string) string {
	if s := strings.Join(values, ", "); len(s) <= 200 {
		return "[" + s + "]"
	}
	return "[" + strings.Join(values, ", ")[:200] + "…]"
}
