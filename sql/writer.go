package sql

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Format is how a value is put on the wire: Postgres's format codes.
type Format int16

// Formats.
const (
	FormatText   Format = 0
	FormatBinary Format = 1
)

// Column describes a result column.
type Column struct {
	Name     string
	TableOID types.OID // 0: not a plain column of a table
	AttNum   int16
	Type     types.T
	Format   Format // what the client asked for at Bind; text in the simple protocol
}

// Ack is a message without content that answers one message of the extended protocol.
type Ack uint8

// Acks.
const (
	AckParse Ack = iota // ParseComplete
	AckBind             // BindComplete
	AckClose            // CloseComplete
	AckNoData
)

// Mark is a place in a ResultWriter's output.
type Mark int64

// ResultWriter is where a session writes what the client is to see, in order. The session is the
// only writer while one of its methods runs, so an implementation needs no lock. Methods may block
// until the client has read (back-pressure); an error means the client is gone, and the statement
// ends with it.
//
// Implementations buffer up to about 64 KB before they send, and send at Sync, Flush and the end
// of a simple query. Until then Rewind can take output back.
type ResultWriter interface {
	// Mark names the present end of the output.
	Mark() Mark
	// Rewind drops everything after the mark. It returns false, and drops nothing, if a part of
	// that has been sent.
	Rewind(Mark) bool

	Ack(Ack) error
	// ParameterDescription gives a prepared statement's parameter types.
	ParameterDescription([]types.T) error
	// RowDescription announces columns to the client.
	RowDescription([]Column) error
	// BeginRows tells the writer the columns (types and formats) of the rows that follow; nothing
	// is sent. The simple protocol calls RowDescription and then BeginRows, Execute only this.
	BeginRows([]Column) error
	// Row writes one row of the columns of BeginRows. The row may be reused afterwards.
	Row(types.Row) error
	// CommandComplete ends a statement with its tag ("INSERT 0 1").
	CommandComplete(tag string) error
	// EmptyQuery ends an empty statement.
	EmptyQuery() error
	// PortalSuspended ends an Execute that reached its row limit.
	PortalSuspended() error
	// Notice sends a NOTICE or WARNING. It may be sent at once.
	Notice(*sqlerr.Error) error
	// ParameterStatus tells the client a parameter's new value.
	ParameterStatus(name, value string) error

	// CopyIn asks the client for data (CopyInResponse, flushed at once) and returns where it comes
	// from. Format applies to all columns.
	CopyIn(f Format, columns int) (CopyReader, error)
	// CopyOut announces data, CopyData sends one row of it, CopyDone ends it.
	CopyOut(f Format, columns int) error
	CopyData([]byte) error
	CopyDone() error
}

// CopyReader gives the data a client sends for COPY FROM STDIN.
type CopyReader interface {
	// Next returns the content of the next CopyData message, io.EOF at CopyDone, and for CopyFail
	// error 57014 `COPY from stdin failed: …`. The slice is valid until the next call. The session
	// reads until it gets an error or io.EOF, or stops after an error of its own; in the latter
	// case the implementation discards what the client still sends until CopyDone or CopyFail
	// (simple protocol) or Sync (extended protocol).
	Next() ([]byte, error)
}

// Flusher is a ResultWriter that sends what it has when asked. What was sent
// cannot be rewound.
type Flusher interface{ Flush() error }
