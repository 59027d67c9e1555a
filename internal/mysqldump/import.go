package mysqldump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cairndb/cairn/sql/mysql"
	"github.com/cairndb/cairn/sql/sqlerr"
)

const (
	// rowBytesMax cuts a dump's INSERTs into statements that are cheap to plan, txnBytesMax gathers
	// them into transactions that are cheap to repeat.
	rowBytesMax = 128 << 10
	txnBytesMax = 512 << 10
	// attemptsMax is how often a transaction is begun.
	attemptsMax = 20
	// reportBytes is how much of a dump is read between two signs of life.
	reportBytes = 8 << 20
)

// Conn is a connection to a server, outside a transaction.
type Conn interface {
	// Exec runs a query string and gives the first value of its last result, "" if there is none.
	Exec(ctx context.Context, query string) (string, error)
}

// TableRows says how many rows of a table a dump had.
type TableRows struct {
	Table string
	Rows  int
}

// Importer fills a database from a dump.
type Importer struct {
	Conn Conn
	// Progress is told how far the import is, Warn of what is left out.
	Progress, Warn func(string)
	// Backoff waits before another attempt; nil is a sleep that grows.
	Backoff func(ctx context.Context, attempt int)

	in     *Reader
	use    string // the statement that chooses the database, "" for the connection's
	tables map[string]*table
	order  []*table
	later  []deferred
	batch  []query
	size   int
	said   int64
}

// table is a table that the dump makes or fills.
type table struct {
	mysql.Table
	use  string
	line int
	rows int
}

// query is a statement for the server and the line of the dump it came from.
type query struct {
	text string
	line int
	of   *table
	rows int
}

// deferred is a statement for the end.
type deferred struct {
	query
	use string
}

// Import runs a dump and returns the rows of each table, in the dump's order.
func (m *Importer) Import(ctx context.Context, in io.Reader) ([]TableRows, error) {
	m.in = NewReader(in)
	m.tables = map[string]*table{}
	for {
		s, err := m.in.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = m.statement(ctx, s)
		}
		if err != nil {
			return m.counts(), err
		}
		if m.in.BytesRead()-m.said >= reportBytes {
			m.said = m.in.BytesRead()
			m.Progress(fmt.Sprintf("%d MB read, %d rows written", m.said>>20, m.total()))
		}
	}
	err := m.flush(ctx)
	if err == nil {
		err = m.finish(ctx)
	}
	return m.counts(), err
}

func (m *Importer) total() (n int) {
	for _, t := range m.order {
		n += t.rows
	}
	return n
}

func (m *Importer) counts() (out []TableRows) {
	for _, t := range m.order {
		out = append(out, TableRows{Table: t.Key, Rows: t.rows})
	}
	return out
}

// routine finds what has no counterpart, at the beginning of a statement without its comments' marks.
var routine = regexp.MustCompile(`(?is)^\s*(?:CREATE|DROP)\s+(?:DEFINER\s*=\s*\S+\s+)?(?:AGGREGATE\s+)?(TRIGGER|PROCEDURE|FUNCTION|EVENT)\s`)

var marks = regexp.MustCompile(`/\*!\d*|\*/`)

// skipped says what a statement makes that is left out.
func skipped(text string) string {
	head := text[:min(len(text), 1000)]
	if m := routine.FindStringSubmatch(marks.ReplaceAllString(head, " ")); m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

func (m *Importer) statement(ctx context.Context, s Statement) error {
	if what := skipped(s.Text); what != "" {
		m.Warn(fmt.Sprintf("line %d: a %s is left out", s.Line, what))
		return nil
	}
	texts, err := mysql.TranslateText(s.Text, mysql.Options{Column: m.column, RowBytesMax: rowBytesMax, NoForeignKeys: true})
	if err != nil {
		return atLine(s, err)
	}
	for _, t := range texts {
		for _, n := range t.Notices {
			m.Warn(fmt.Sprintf("line %d: %s", s.Line, n.Message))
		}
		if err := m.translated(ctx, s, t); err != nil {
			return err
		}
	}
	return nil
}

// atLine places an error of a statement in the dump (I3).
func atLine(s Statement, err error) error {
	line := s.Line
	if e := sqlerr.From(err); e.Position > 0 && e.InternalQuery == "" {
		n := 0
		for i := range s.Text { // Position counts characters
			if n++; n > e.Position-1 {
				line += strings.Count(s.Text[:i], "\n")
				break
			}
		}
	}
	return fmt.Errorf("line %d: %w", line, err)
}

func (m *Importer) translated(ctx context.Context, s Statement, t mysql.Text) error {
	if t.Table != nil && t.Table.Columns == nil && t.Table.Rows > 0 {
		return m.insert(ctx, s, t)
	}
	if len(t.Queries) == 1 && t.Queries[0] == mysql.Nothing {
		return nil
	}
	if err := m.flush(ctx); err != nil {
		return err
	}
	for _, q := range t.Queries {
		switch {
		case strings.HasPrefix(q, "SET search_path "):
			m.use = q
		case strings.HasPrefix(q, "DROP TABLE "):
			// The dump has switched off the checks of foreign keys, which would keep the table.
			q += " CASCADE"
		}
		if _, err := m.Conn.Exec(ctx, q); err != nil && !isView(q, err) {
			return fmt.Errorf("line %d: %w", s.Line, err)
		}
	}
	if t.Table != nil && t.Table.Columns != nil {
		x := m.table(t.Table, s.Line)
		x.Table = *t.Table
		for _, f := range t.ForeignKeys {
			m.later = append(m.later, deferred{query{text: f, line: s.Line, of: x}, m.use})
		}
	}
	return nil
}

// isView says that DROP TABLE met a view: a dump drops both kinds before it makes a view, and for
// MySQL such a table does not exist.
func isView(query string, err error) bool {
	return strings.HasPrefix(query, "DROP TABLE IF EXISTS ") && hasState(err, sqlerr.WrongObjectType)
}

// table finds or notes a table.
func (m *Importer) table(t *mysql.Table, line int) *table {
	key := m.use + "\x00" + t.Name
	x := m.tables[key]
	if x == nil {
		x = &table{Table: *t, use: m.use, line: line}
		m.tables[key] = x
		m.order = append(m.order, x)
	}
	return x
}

// column tells how the dump writes a column's values.
func (m *Importer) column(name, column string, ordinal int) mysql.ColumnKind {
	t := m.tables[m.use+"\x00"+name]
	if t == nil {
		return mysql.OtherColumn
	}
	for i, c := range t.Columns {
		if c.Name == column || column == "" && i == ordinal {
			return c.Kind
		}
	}
	return mysql.OtherColumn
}

// insert gathers rows.
func (m *Importer) insert(ctx context.Context, s Statement, t mysql.Text) error {
	x := m.table(t.Table, s.Line)
	for i, q := range t.Queries {
		rows := 0
		if i == len(t.Queries)-1 {
			rows = t.Table.Rows
		}
		m.batch = append(m.batch, query{text: q, line: s.Line, of: x, rows: rows})
		m.size += len(q)
		if m.size >= txnBytesMax {
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the rows gathered, in one transaction (I2).
func (m *Importer) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return nil
	}
	for attempt := 1; ; attempt++ {
		err := m.try(ctx)
		if err == nil {
			break
		}
		if !hasState(err, sqlerr.SerializationFailure) || attempt == attemptsMax {
			return err
		}
		m.wait(ctx, attempt)
	}
	for _, q := range m.batch {
		q.of.rows += q.rows
	}
	m.batch, m.size = m.batch[:0], 0
	return nil
}

func (m *Importer) try(ctx context.Context) error {
	if _, err := m.Conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	for _, q := range m.batch {
		if _, err := m.Conn.Exec(ctx, q.text); err != nil {
			_, _ = m.Conn.Exec(ctx, "ROLLBACK")
			return fmt.Errorf("line %d: table %s: %w", q.line, q.of.Key, err)
		}
	}
	if _, err := m.Conn.Exec(ctx, "COMMIT"); err != nil {
		_, _ = m.Conn.Exec(ctx, "ROLLBACK")
		return fmt.Errorf("line %d: table %s: %w", m.batch[0].line, m.batch[0].of.Key, err)
	}
	return nil
}

func hasState(err error, code sqlerr.Code) bool {
	var e interface{ SQLState() string }
	return errors.As(err, &e) && e.SQLState() == string(code)
}

func (m *Importer) wait(ctx context.Context, attempt int) {
	if m.Backoff != nil {
		m.Backoff(ctx, attempt)
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(min(time.Duration(1<<min(attempt, 10))*10*time.Millisecond, 5*time.Second)):
	}
}

// finish moves the sequences behind the numbers that were used, and adds the foreign keys.
func (m *Importer) finish(ctx context.Context) error {
	for _, t := range m.order {
		for _, c := range t.Columns {
			if !c.Identity {
				continue
			}
			if err := m.choose(ctx, t.use); err != nil {
				return err
			}
			if err := m.restart(ctx, t, c); err != nil {
				return fmt.Errorf("line %d: the numbers of %s.%s: %w", t.line, t.Key, c.Name, err)
			}
		}
	}
	if len(m.later) > 0 {
		m.Progress(fmt.Sprintf("adding %d foreign keys", len(m.later)))
	}
	for _, d := range m.later {
		if err := m.choose(ctx, d.use); err != nil {
			return err
		}
		if _, err := m.Conn.Exec(ctx, d.text); err != nil {
			return fmt.Errorf("line %d: a foreign key of %s: %w", d.line, d.of.Key, err)
		}
	}
	return nil
}

func (m *Importer) choose(ctx context.Context, use string) error {
	if use == m.use {
		return nil
	}
	m.use = use
	if use == "" {
		use = "RESET search_path"
	}
	_, err := m.Conn.Exec(ctx, use)
	return err
}

// restart has a sequence go on behind the greatest number that the rows have.
func (m *Importer) restart(ctx context.Context, t *table, c mysql.Column) error {
	column := `"` + strings.ReplaceAll(c.Name, `"`, `""`) + `"`
	v, err := m.Conn.Exec(ctx, fmt.Sprintf("SELECT max(%s) FROM %s", column, t.Name))
	if err != nil || v == "" {
		return err
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || uint64(n) < t.Start { // AUTO_INCREMENT said more
		return err
	}
	_, err = m.Conn.Exec(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence(%s, %s), %d)", literal(t.Name), literal(c.Name), n))
	return err
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
