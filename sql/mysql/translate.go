package mysql

import (
	"fmt"
	"sort"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	tidb "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	// The driver of the grammar's values.
	_ "github.com/pingcap/tidb/pkg/parser/test_driver"

	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// Statement is the translation of one statement.
type Statement struct {
	// First is what the client is answered for; Rest is run after it.
	First parser.Stmt
	Rest  []parser.Stmt
	// Notices are what the client is told of things that have no meaning here.
	Notices []*sqlerr.Error
}

// Translate parses a query string of the MySQL dialect and gives each statement in Postgres's.
// Positions in errors refer to the query string; those in the trees of the result refer to the
// texts beside them.
func Translate(query string) ([]Statement, error) {
	texts, err := translate(query, Options{})
	if err != nil {
		return nil, err
	}
	out := make([]Statement, len(texts))
	for i, t := range texts {
		if out[i], err = t.parse(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ColumnKind says how a dump's values of a column are to be read.
type ColumnKind uint8

// Kinds of columns. A dump writes the values of bit and binary columns as strings of bytes.
const (
	OtherColumn ColumnKind = iota
	TextColumn
	BytesColumn
	BitsColumn
)

// Options change how a dump is translated.
type Options struct {
	// Column tells of a column of a table (Table.Name) that is inserted into, by its name or, where
	// the statement names none, by its ordinal.
	Column func(table, column string, ordinal int) ColumnKind
	// RowBytesMax cuts INSERT into statements of about so many bytes each; 0 does not.
	RowBytesMax int
	// NoForeignKeys leaves foreign keys out of CREATE TABLE; Text.ForeignKeys has them.
	NoForeignKeys bool
}

// Text is a translation as text.
type Text struct {
	// Queries are Postgres's statements.
	Queries []string
	// ForeignKeys are statements that add what Options.NoForeignKeys left out.
	ForeignKeys []string
	// Table is what CREATE TABLE makes and INSERT fills.
	Table   *Table
	Notices []*sqlerr.Error
}

// Table is what importing a dump needs to know of a table.
type Table struct {
	// Name is quoted as SQL wants it; Key is its name, with its database if that is given.
	Name, Key string
	// Columns are set for CREATE TABLE.
	Columns []Column
	// Rows is how many INSERT has; Start is CREATE TABLE's AUTO_INCREMENT.
	Rows  int
	Start uint64
}

// Column is a column of a Table.
type Column struct {
	Name string
	Kind ColumnKind
	// Identity says that it is AUTO_INCREMENT.
	Identity bool
}

// TranslateText is Translate without parsing what came out. It is given a dump's statements.
func TranslateText(query string, o Options) ([]Text, error) { return translate(query, o) }

func (t Text) parse() (Statement, error) {
	var all []parser.Stmt
	for _, q := range t.Queries {
		stmts, err := parser.Parse(q)
		if err != nil {
			return Statement{}, internal(err, q)
		}
		for i := range stmts {
			stmts[i].MySQL = true
		}
		all = append(all, stmts...)
	}
	if len(all) == 0 {
		return Statement{}, sqlerr.New(sqlerr.InternalError, "a statement of the MySQL dialect became none")
	}
	return Statement{First: all[0], Rest: all[1:], Notices: t.Notices}, nil
}

// internal has an error's position refer to the translation.
func internal(err error, query string) error { return sqlerr.From(err).WithInternal(query) }

func translate(query string, o Options) ([]Text, error) {
	if len(query) > parser.QueryBytesMax {
		return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "query string is longer than %d bytes", parser.QueryBytesMax)
	}
	sc, err := scan(query)
	if err != nil {
		return nil, err
	}
	if strings.IndexByte(query, 0) >= 0 {
		return nil, noZero()
	}
	stmts, _, err := tidb.New().ParseSQL(sc.withoutAliases(query))
	if err != nil {
		if texts := driverStatements(query); texts != nil {
			return texts, nil
		}
		return nil, syntaxError(query, sc.withoutAliases(query), err)
	}
	out := make([]Text, 0, len(stmts))
	size := 0
	for _, s := range stmts {
		t := &translator{query: query, params: sc.params, rowAliases: sc.rowAliases, opts: o, known: known()}
		t.statement(s)
		if t.err != nil {
			return nil, t.err
		}
		for _, q := range t.out {
			size += len(q)
			if strings.IndexByte(q, 0) >= 0 {
				return nil, noZero()
			}
		}
		if size > textBytesMax {
			return nil, tooLong()
		}
		out = append(out, Text{Queries: t.out, ForeignKeys: t.foreignKeys, Table: t.made, Notices: t.notices})
	}
	return out, nil
}

func noZero() error {
	return sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00")
}

func tooLong() error {
	return sqlerr.New(sqlerr.ProgramLimitExceeded, "the translation of the query string is longer than %d bytes", textBytesMax)
}

// syntaxError words an error of TiDB's grammar as Postgres does. Its text is
//
//	line 1 column 9 near "selec 1" (total length 7)
//
// where line and column are the end of the token and what is quoted begins with it.
func syntaxError(query, parsed string, err error) error {
	msg := err.Error()
	var line, col int
	if n, _ := fmt.Sscanf(msg, "line %d column %d near ", &line, &col); n != 2 {
		return sqlerr.New(sqlerr.SyntaxError, "%s", msg)
	}
	end := offsetOf(parsed, line, col)
	_, near, _ := strings.Cut(msg, `near "`)
	at := tokenStart(parsed, near, end)
	if at >= len(query) || strings.TrimSpace(query[at:]) == "" {
		return sqlerr.New(sqlerr.SyntaxError, "syntax error at end of input").WithPos(sqlerr.CharPosition(query, len(query)))
	}
	s := lexer{q: query, at: at}
	t := s.next()
	tok := query[t.at:t.end]
	e := sqlerr.New(sqlerr.SyntaxError, "syntax error at or near \"%s\"", cutName(tok)).WithPos(sqlerr.CharPosition(query, t.at))
	if i := strings.LastIndex(near, `"`); i >= 0 {
		if detail := strings.TrimSpace(near[i+1:]); detail != "" && !strings.HasPrefix(detail, "(total length") {
			e = e.WithDetail("%s", detail)
		}
	}
	return e
}

// offsetOf finds a line and a column. Columns count bytes, from 0 in the first line and from 1 in
// the others.
func offsetOf(q string, line, col int) int {
	at := 0
	if line > 1 {
		col--
	}
	for ; line > 1; line-- {
		i := strings.IndexByte(q[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	return max(0, min(at+col, len(q)))
}

// tokenStart finds where what is quoted begins: it is the rest of the query, perhaps cut, and begins
// at or before the token's end.
func tokenStart(q, near string, end int) int {
	for at := end; at >= 0 && end-at <= 4096; at-- {
		rest := q[at:]
		if len(rest) > 2048 {
			rest = rest[:2048]
		}
		if strings.HasPrefix(near, rest+`"`) {
			return at
		}
	}
	return end
}

// translator prints one statement. The first error sticks, and what is printed after it is of no
// use.
type translator struct {
	query  string
	params []int
	opts   Options
	known  *functions

	out         []string
	foreignKeys []string
	made        *Table
	notices     []*sqlerr.Error
	err         error
	depth       int
	size        int

	// target, where it is set, qualifies the columns that are not: those of ON DUPLICATE KEY UPDATE,
	// which Postgres would find in EXCLUDED too.
	target string
	// rowAliases are names for the row that ON DUPLICATE KEY UPDATE could not insert; excluded holds
	// them within that clause.
	rowAliases, excluded map[string]bool
	// assigned are the columns that SET has given a value already, by name: MySQL's later
	// assignments see it.
	assigned map[string]string
	// aliases are a SELECT's own names for its expressions, where a clause may use them.
	aliases map[string]ast.ExprNode
}

// fail notes the first error.
func (t *translator) fail(err error) string {
	if t.err == nil {
		t.err = err
	}
	return "NULL"
}

// unsupported names what is not translated, and where it stands.
func (t *translator) unsupported(n ast.Node, what string, args ...any) string {
	e := sqlerr.New(sqlerr.FeatureNotSupported, "%s is not supported in the MySQL dialect", fmt.Sprintf(what, args...))
	if n != nil {
		if at := n.OriginTextPosition(); at > 0 {
			e = e.WithPos(sqlerr.CharPosition(t.query, at))
		}
	}
	return t.fail(e)
}

func (t *translator) notice(format string, args ...any) {
	t.notices = append(t.notices, sqlerr.New(sqlerr.SuccessfulCompletion, format, args...).WithSeverity(sqlerr.SeverityNotice))
}

func (t *translator) warn(format string, args ...any) {
	t.notices = append(t.notices, sqlerr.New(sqlerr.Warning, format, args...).WithSeverity(sqlerr.SeverityWarning))
}

// enter bounds recursion (I1); call leave when done, whatever it said.
func (t *translator) enter() bool {
	t.depth++
	if t.err != nil {
		return false
	}
	if t.depth > depthMax {
		t.fail(sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded").
			WithHint("The statement is nested more than %d levels deep.", depthMax))
		return false
	}
	return true
}

func (t *translator) leave() { t.depth-- }

// grown is told of every expression that was printed, and bounds them.
func (t *translator) grown(s string) string {
	t.size += len(s)
	if t.size > workBytesMax || len(s) > exprBytesMax {
		return t.fail(tooLong())
	}
	return s
}

func (t *translator) emit(format string, args ...any) {
	t.out = append(t.out, fmt.Sprintf(format, args...))
}

// Nothing is the translation of a statement that MySQL needs and Cairn does not.
const Nothing = "SET client_encoding TO 'UTF8'"

func (t *translator) nothing() { t.emit(Nothing) }

// param numbers a placeholder (I3).
func (t *translator) param(offset int) string {
	return fmt.Sprintf("$%d", sort.SearchInts(t.params, offset)+1)
}

// driverStatements takes what Postgres's drivers send by themselves, whatever the dialect: how a
// transaction begins, what a pool resets, parameters.
func driverStatements(query string) []Text {
	l := lexer{q: query}
	first := l.next()
	switch strings.ToUpper(query[first.at:first.end]) {
	case "BEGIN", "START", "COMMIT", "ROLLBACK", "SET", "SHOW", "RESET", "DISCARD", "DEALLOCATE":
	default:
		return nil
	}
	stmts, err := parser.Parse(query)
	if err != nil {
		return nil
	}
	var out []Text
	for _, s := range stmts {
		switch s.Tree.Node.(type) {
		case *pg.Node_TransactionStmt, *pg.Node_VariableSetStmt, *pg.Node_VariableShowStmt, *pg.Node_DiscardStmt, *pg.Node_DeallocateStmt:
			out = append(out, Text{Queries: []string{s.Text}})
		default:
			return nil
		}
	}
	return out
}

func (t *translator) statement(s ast.StmtNode) {
	switch n := s.(type) {
	case *ast.SelectStmt:
		t.emit("%s", t.selectStmt(n, top))
	case *ast.SetOprStmt:
		t.emit("%s", t.setOpr(n, top))
	case *ast.InsertStmt:
		t.insert(n)
	case *ast.UpdateStmt:
		t.update(n)
	case *ast.DeleteStmt:
		t.delete(n)
	case *ast.ShowStmt:
		t.show(n)
	case *ast.ExplainStmt:
		t.explain(n)
	case ast.DDLNode:
		t.ddl(n)
	default:
		t.session(s)
	}
}

// kindOf names a statement that has no translation.
func kindOf(s ast.Node) string {
	name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", s), "*ast."), "Stmt")
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
