package postgresdiff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// answer is what a client saw of a statement, by field.
type answer map[string]string

// fields are all the fields of an answer, in the order in which they are shown.
var fields = []string{"columns", "types", "rows", "tag", "notices", "parameters", "status",
	"code", "message", "detail", "hint", "position", "where", "names"}

func (a answer) add(field, format string, args ...any) {
	a[field] += fmt.Sprintf(format, args...) + "\n"
}

// stmtMax is how long a statement may take: far longer than any here needs.
const stmtMax = 10 * time.Second

// client runs a script's statements against one database in one protocol.
type client struct {
	url     string
	simple  bool
	conns   map[string]*pgconn.PgConn
	notices []*pgconn.Notice
}

func (c *client) conn(ctx context.Context, name string) (*pgconn.PgConn, error) {
	if conn := c.conns[name]; conn != nil && !conn.IsClosed() {
		return conn, nil
	}
	cfg, err := pgconn.ParseConfig(c.url)
	if err != nil {
		return nil, err
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.notices = append(c.notices, n) }
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err == nil {
		c.conns[name] = conn
	}
	return conn, err
}

func (c *client) close() {
	for _, conn := range c.conns {
		_ = conn.Close(context.Background())
	}
}

func (c *client) run(ctx context.Context, s *stmt) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, stmtMax)
	defer cancel()
	conn, err := c.conn(ctx, s.session)
	if err != nil {
		return nil, err
	}
	c.notices = nil
	a := answer{}
	zone := conn.ParameterStatus("TimeZone") + conn.ParameterStatus("application_name")
	upper := strings.ToUpper(s.text)
	switch {
	case s.copyIn:
		tag, err := conn.CopyFrom(ctx, bytes.NewReader(s.data), s.text)
		a.tag(tag)
		a.err(err)
	case strings.HasPrefix(upper, "COPY") && strings.Contains(upper, "TO STDOUT"):
		var out bytes.Buffer
		tag, err := conn.CopyTo(ctx, &out, s.text)
		a.add("rows", "%q", out.String())
		a.tag(tag)
		a.err(err)
	case c.simple && !s.hasParams:
		c.simpleQuery(ctx, conn, s, a)
	default:
		c.extended(ctx, conn, s, a)
	}
	for _, n := range c.notices {
		a.add("notices", "%s %s: %s (%s) (%s)", n.Severity, n.Code, n.Message, n.Detail, n.Hint)
	}
	if now := conn.ParameterStatus("TimeZone") + conn.ParameterStatus("application_name"); now != zone {
		a.add("parameters", "%s", now)
	}
	if conn.IsClosed() {
		a.add("status", "closed")
	} else {
		a.add("status", "%c", conn.TxStatus())
	}
	return a, nil
}

func (c *client) simpleQuery(ctx context.Context, conn *pgconn.PgConn, s *stmt, a answer) {
	results := conn.Exec(ctx, s.text)
	for results.NextResult() {
		a.result(results.ResultReader(), s.ordered())
	}
	a.err(results.Close())
}

// extended sends Parse, Describe, Bind, Execute, Sync and asks for binary values.
func (c *client) extended(ctx context.Context, conn *pgconn.PgConn, s *stmt, a answer) {
	d, err := conn.Prepare(ctx, "", s.text, nil)
	if err != nil {
		a.err(err)
		return
	}
	a.add("types", "parameters %v", d.ParamOIDs)
	var params [][]byte
	for _, p := range s.params {
		if p == `\N` {
			params = append(params, nil)
			continue
		}
		params = append(params, []byte(p))
	}
	format := int16(1)
	if strings.Contains(s.text, "::text") {
		format = 0
	}
	r := conn.ExecPrepared(ctx, "", params, nil, []int16{format})
	a.result(r, s.ordered())
}

func (a answer) result(r *pgconn.ResultReader, ordered bool) {
	for _, f := range r.FieldDescriptions() {
		from := "computed"
		if f.TableOID != 0 {
			from = fmt.Sprintf("attribute %d", f.TableAttributeNumber)
		}
		oid := fmt.Sprint(f.DataTypeOID)
		a.add("columns", "%s", f.Name)
		a.add("types", "%s: type %s size %d modifier %d format %d %s", f.Name, oid, f.DataTypeSize, f.TypeModifier, f.Format, from)
	}
	var rows []string
	for r.NextRow() {
		var row []string
		for i, v := range r.Values() {
			switch {
			case v == nil:
				row = append(row, "NULL")
			case r.FieldDescriptions()[i].Format == 1 && !printable(v):
				row = append(row, fmt.Sprintf("x%x", v))
			default:
				row = append(row, string(v))
			}
		}
		rows = append(rows, strings.Join(row, "|"))
	}
	if !ordered {
		sort.Strings(rows)
	}
	for _, row := range rows {
		a.add("rows", "%s", row)
	}
	tag, err := r.Close()
	a.tag(tag)
	a.err(err)
}

func printable(v []byte) bool {
	for _, b := range v {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

func (a answer) tag(tag pgconn.CommandTag) {
	if tag.String() != "" {
		a.add("tag", "%s", tag)
	}
}

// err notes an error once: pgconn reports it for the result and for the batch.
func (a answer) err(err error) {
	if err == nil || a["code"] != "" {
		return
	}
	// A server may announce the columns before or after it finds the fault.
	delete(a, "columns")
	delete(a, "types")
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		a.add("message", "%v", err)
		return
	}
	a.add("code", "%s %s", e.Severity, e.Code)
	a.add("message", "%s", e.Message)
	a.add("detail", "%s", e.Detail)
	a.add("hint", "%s", e.Hint)
	a.add("position", "%d", e.Position)
	a.add("where", "%s", e.Where)
	a.add("names", "schema %q table %q column %q type %q constraint %q", e.SchemaName, e.TableName, e.ColumnName, e.DataTypeName, e.ConstraintName)
}
