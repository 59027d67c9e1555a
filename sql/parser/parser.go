package parser

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	pgparser "github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// Stmt is one statement of a query string.
type Stmt struct {
	Tree *pg.Node
	// Query is the whole query string, which positions in Tree refer to.
	Query string
	// Text is the statement alone, without its semicolon.
	Text string
	// MySQL says that the statement was translated from MySQL's dialect, and may say what Postgres's
	// grammar cannot (see package mysql).
	MySQL bool
}

// Parse splits and parses a query string. An empty one gives no statement.
func Parse(query string) ([]Stmt, error) {
	if len(query) > QueryBytesMax {
		return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "query string is longer than %d bytes", QueryBytesMax)
	}
	if !utf8.ValidString(query) {
		return nil, sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"")
	}
	res, err := pg.Parse(query)
	if err != nil {
		return nil, parseError(query, err)
	}
	out := make([]Stmt, 0, len(res.Stmts))
	for _, s := range res.Stmts {
		out = append(out, Stmt{Tree: s.Stmt, Query: query, Text: cut(query, int(s.StmtLocation), int(s.StmtLen))})
	}
	return out, nil
}

func cut(q string, at, n int) string {
	if at > len(q) {
		return ""
	}
	if n == 0 || at+n > len(q) {
		return strings.TrimSpace(q[at:])
	}
	return strings.TrimSpace(q[at : at+n])
}

func parseError(query string, err error) error {
	var pe *pgparser.Error
	if !errors.As(err, &pe) {
		return sqlerr.New(sqlerr.SyntaxError, "%s", err.Error())
	}
	e := sqlerr.New(codeOf(pe.Message), "%s", pe.Message)
	if pe.Cursorpos > 0 {
		// The grammar counts characters already, as it reports to a client.
		e = e.WithPos(pe.Cursorpos)
	}
	if explainsChange.MatchString(query) {
		e = e.WithHint("EXPLAIN takes no statement that changes the schema. SELECT cairn.explain_change('…') says what one will do.")
	}
	return e
}

// explainsChange finds EXPLAIN of a statement of which Postgres's grammar takes none.
var explainsChange = regexp.MustCompile(`(?i)^\s*explain\b\s*(\([^)]*\)|analy[sz]e\s|verbose\s|\s)*(alter|create|drop|truncate|comment)\s`)

// codeOf finds the SQLSTATE of a grammar error, which libpg_query does not pass on. All but a few
// are plain syntax errors.
func codeOf(msg string) sqlerr.Code {
	switch {
	case strings.HasPrefix(msg, "stack depth limit exceeded"):
		return sqlerr.StatementTooComplex
	case strings.Contains(msg, "not yet implemented"), strings.Contains(msg, "is not implemented"),
		strings.Contains(msg, "not supported"):
		return sqlerr.FeatureNotSupported
	case strings.HasPrefix(msg, "invalid Unicode"), strings.HasPrefix(msg, "invalid byte sequence"):
		return sqlerr.SyntaxError
	}
	return sqlerr.SyntaxError
}
