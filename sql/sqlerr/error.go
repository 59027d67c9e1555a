package sqlerr

import (
	"context"
	"errors"
	"fmt"
)

// Severity is the word a client sees before the message. The zero value means ERROR.
type Severity string

// Severities of Postgres (manual 55.8, fields S and V).
const (
	SeverityError   Severity = "ERROR"
	SeverityFatal   Severity = "FATAL"
	SeverityPanic   Severity = "PANIC"
	SeverityWarning Severity = "WARNING"
	SeverityNotice  Severity = "NOTICE"
	SeverityInfo    Severity = "INFO"
	SeverityLog     Severity = "LOG"
	SeverityDebug   Severity = "DEBUG"
)

// Error is what a client is told. The With methods return a changed copy, so that errors may be
// shared by goroutines.
type Error struct {
	Severity Severity
	Code     Code
	Message  string
	Detail   string
	Hint     string
	// Position is the 1-based character (not byte) of the statement the error is about; 0 is none.
	Position int
	// InternalQuery is the statement that Position refers to instead, where it is not the client's:
	// one made from it.
	InternalQuery string
	Where         string

	Schema, Table, Column, DataType, Constraint string

	// cause is kept for logs and errors.Is; clients never see it.
	cause error
}

// New makes an error of severity ERROR.
func New(code Code, format string, args ...any) *Error {
	msg := format
	if len(args) > 0 {
		msg = fmt.Sprintf(format, args...)
	}
	return &Error{Severity: SeverityError, Code: code, Message: msg}
}

// Unsupported is the error for what Postgres does and Cairn does not do yet.
func Unsupported(what string, args ...any) *Error {
	if len(args) > 0 {
		what = fmt.Sprintf(what, args...)
	}
	return New(FeatureNotSupported, "%s is not supported", what)
}

// Error gives the message alone: it is what is wrapped and logged beside the code.
func (e *Error) Error() string { return e.Message }

// SQLState returns the five characters.
func (e *Error) SQLState() string { return string(e.Code) }

// Unwrap returns the cause given to WithCause.
func (e *Error) Unwrap() error { return e.cause }

// WithDetail sets the detail line.
func (e *Error) WithDetail(format string, args ...any) *Error {
	c := *e
	c.Detail = sprintf(format, args)
	return &c
}

// WithHint sets the hint line.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = sprintf(format, args)
	return &c
}

// WithPos sets the 1-based character position unless one closer to the fault is already there.
func (e *Error) WithPos(position int) *Error {
	if e.Position != 0 || position <= 0 {
		return e
	}
	c := *e
	c.Position = position
	return &c
}

// MovedTo returns e with its position elsewhere, in the same text or another; 0 is nowhere.
func (e *Error) MovedTo(position int) *Error { c := *e; c.Position = position; return &c }

// WithInternal has the position refer to a query that was made of the client's.
func (e *Error) WithInternal(query string) *Error {
	if e.Position == 0 || e.InternalQuery != "" {
		return e
	}
	c := *e
	c.InternalQuery = query
	return &c
}

// WithTable names the table.
func (e *Error) WithTable(schema, table string) *Error {
	c := *e
	c.Schema, c.Table = schema, table
	return &c
}

// WithColumn names the column.
func (e *Error) WithColumn(column string) *Error { c := *e; c.Column = column; return &c }

// WithConstraint names the constraint.
func (e *Error) WithConstraint(constraint string) *Error {
	c := *e
	c.Constraint = constraint
	return &c
}

// WithDataType names the type.
func (e *Error) WithDataType(dataType string) *Error { c := *e; c.DataType = dataType; return &c }

// WithSeverity changes the severity from ERROR.
func (e *Error) WithSeverity(s Severity) *Error { c := *e; c.Severity = s; return &c }

// WithWhere sets the context lines (COPY: file line and column).
func (e *Error) WithWhere(format string, args ...any) *Error {
	c := *e
	c.Where = sprintf(format, args)
	return &c
}

// WithCause keeps the error below for logs and errors.Is.
func (e *Error) WithCause(err error) *Error { c := *e; c.cause = err; return &c }

func sprintf(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// sqlStater is how errors of the layers below speak to a client without importing this package.
type sqlStater interface{ SQLState() string }

// From maps any error to an *Error: an *Error inside it, an error that knows its SQLSTATE, a
// cancelled context (57014), or else an internal error.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var s sqlStater
	if errors.As(err, &s) {
		return New(Code(s.SQLState()), "%s", err.Error()).WithCause(err)
	}
	if errors.Is(err, context.Canceled) {
		return New(QueryCanceled, "canceling statement due to user request").WithCause(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return New(QueryCanceled, "canceling statement due to statement timeout").WithCause(err)
	}
	return New(InternalError, "%s", err.Error()).WithCause(err)
}

// HasCode says whether err is, or wraps, an error of this code.
func HasCode(err error, code Code) bool {
	return err != nil && From(err).Code == code
}

// CharPosition turns a 0-based byte offset in a statement into Position's 1-based character.
func CharPosition(stmt string, byteOffset int) int {
	if byteOffset < 0 || byteOffset > len(stmt) {
		return 0
	}
	n := 1
	for i := range stmt {
		if i >= byteOffset {
			break
		}
		n++
	}
	return n
}
