package sql

import (
	"context"
	"errors"
	"strings"

	"github.com/cairndb/cairn/sql/mysql"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// dialect is the parameter that says how the session's statements are to be read.
const (
	dialect         = "cairn.dialect"
	postgresDialect = "postgres"
	mysqlDialect    = "mysql"
)

// dialectPart is what a statement of MySQL's dialect has besides its first translation.
type dialectPart struct {
	// rest runs after it; the client hears of the first only.
	rest    []*prepared
	notices []*sqlerr.Error
}

func applyDialect(s *Session, v string) (string, error) {
	switch v = strings.ToLower(v); v {
	case postgresDialect, mysqlDialect:
		s.texts = textCache{} // the same text means something else
		return v, nil
	}
	return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", dialect, v).
		WithHint("Available values: %s, %s.", postgresDialect, mysqlDialect)
}

// parse reads a query string in the session's dialect.
func (s *Session) parse(query string) ([]*prepared, error) {
	if s.vars.get(dialect) == mysqlDialect {
		return parseMySQL(query)
	}
	stmts, err := parser.Parse(query)
	if err != nil {
		return nil, err
	}
	out := make([]*prepared, len(stmts))
	for i, st := range stmts {
		out[i] = &prepared{stmt: st}
	}
	return out, nil
}

func parseMySQL(query string) ([]*prepared, error) {
	stmts, err := mysql.Translate(query)
	if err != nil {
		return nil, err
	}
	out := make([]*prepared, len(stmts))
	for i, st := range stmts {
		part := &dialectPart{notices: st.Notices}
		for _, r := range st.Rest {
			part.rest = append(part.rest, &prepared{stmt: r, dialect: &dialectPart{}})
		}
		out[i] = &prepared{stmt: st.First, dialect: part}
	}
	return out, nil
}

// placed has the position of an error refer to the translation, which the client has not sent, as
// Postgres does for queries that functions make.
func (p *prepared) placed(err error) error {
	var e *sqlerr.Error
	if p.dialect == nil || !errors.As(err, &e) || e.Position == 0 || e.InternalQuery != "" {
		return err
	}
	return e.WithInternal(p.stmt.Query)
}

// utilities runs a statement that is not planned, and what its translation has besides it.
func (s *Session) utilities(ctx context.Context, p *prepared, w ResultWriter, o utilityOptions) error {
	if p.dialect == nil {
		return s.utility(ctx, p, w, o)
	}
	for _, n := range p.dialect.notices {
		if err := s.notice(w, n); err != nil {
			return err
		}
	}
	if len(p.dialect.rest) > 0 {
		o.alone = false // its changes to the schema must come together
	}
	if err := s.utility(ctx, p, w, o); err != nil {
		return err
	}
	for _, r := range p.dialect.rest {
		if s.tx == nil { // a statement ended the transaction
			s.ensureTxn()
		}
		s.tx.done++ // so that nothing takes it for the first
		if err := s.utility(ctx, r, quietWriter{w}, o); err != nil {
			return r.placed(err)
		}
	}
	return nil
}

// quietWriter leaves the client without the tags of further statements.
type quietWriter struct{ ResultWriter }

// CommandComplete implements ResultWriter.
func (quietWriter) CommandComplete(string) error { return nil }
