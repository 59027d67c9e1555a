package sql

import (
	"context"
	"net"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// SessionArgs is what the start-up message and the connection say about a session.
type SessionArgs struct {
	User     string
	Database string // "" is the user's name, as in Postgres
	// Params are the other start-up parameters (application_name, client_encoding, …) and the
	// parameters inside "options", names as given.
	Params     map[string]string
	Remote     net.Addr
	Local      net.Addr
	BackendPID int32
	// Terminate has the connection end, as soon as the call that it is in returns.
	Terminate func()
}

// Param is a session parameter as reported to the client.
type Param struct{ Name, Value string }

// TxnStatus is the byte of ReadyForQuery.
type TxnStatus byte

// Transaction states (manual, 55.7 ReadyForQuery).
const (
	TxnIdle   TxnStatus = 'I'
	TxnOpen   TxnStatus = 'T'
	TxnFailed TxnStatus = 'E'
)

// How the wire layer uses a Session (one goroutine calls everything but Cancel):
//
//	Query     ExecSimple, then [ErrorResponse if it returned an error], ReadyForQuery
//	Parse     Prepare                 Bind      Bind
//	Describe  DescribeStatement or DescribePortal
//	Execute   Execute                 Close     CloseStatement or ClosePortal
//	Flush     nothing here; the writer flushes
//	Sync      Sync, then [ErrorResponse], ReadyForQuery
//
// The session writes every response but ErrorResponse and ReadyForQuery through the writer it is
// given (acks too: an implicit transaction that is retried at Sync rewinds and writes them again).
// When a method of the extended protocol returns an error, the wire layer sends ErrorResponse
// (sqlerr.From) and skips to the next Sync; the session has already noted the failure. Rows that a
// statement gave before it failed are seen, as in Postgres; the tag of one that failed at its commit
// has been rewound.

// Role is what authentication needs to know of a user.
type Role struct {
	Name      string
	Superuser bool
	CanLogin  bool
	// Verifier is the stored password: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, "" if
	// the role has no password.
	Verifier string
	// Expired: the password is not good any more (VALID UNTIL).
	Expired bool
}

// LookupRole finds a role for authentication; ok is false if there is none.
func (s *Server) LookupRole(ctx context.Context, name string) (r Role, ok bool, err error) {
	return s.lookupRole(ctx, name)
}

// NewSession starts a session for an authenticated user. Errors are FATAL: 3D000 for a database
// that does not exist, 28000 for a role that does not, 22023 for a bad parameter. The context
// bounds the start only.
func (s *Server) NewSession(ctx context.Context, args SessionArgs) (*Session, error) {
	return s.newSession(ctx, args)
}

// StartupParams are the parameters to report after authentication, in order.
func (s *Session) StartupParams() []Param { return s.vars.reported() }

// Env is what the writer needs to print values in text format: time zone and such. It may change
// between statements, not while rows are written.
func (s *Session) Env() *types.Env { return s.env }

// TxnStatus is the state for ReadyForQuery.
func (s *Session) TxnStatus() TxnStatus { return s.txnStatus() }

// ExecSimple runs a query string, which may hold several statements. They form one implicit
// transaction unless the string says BEGIN.
func (s *Session) ExecSimple(ctx context.Context, query string, w ResultWriter) error {
	return s.execSimple(ctx, query, w)
}

// Prepare makes a prepared statement (Parse). The name "" may be redefined, others give 42P05.
// paramTypes may be shorter than the number of parameters; 0 means "find out".
func (s *Session) Prepare(ctx context.Context, w ResultWriter, name, query string, paramTypes []types.OID) error {
	return s.prepareMessage(ctx, w, name, query, paramTypes)
}

// DescribeStatement writes ParameterDescription, then RowDescription or NoData.
func (s *Session) DescribeStatement(ctx context.Context, w ResultWriter, name string) error {
	return s.describeStatement(ctx, w, name)
}

// BindArgs is the content of a Bind message.
type BindArgs struct {
	Portal    string
	Statement string
	// ParamFormats has no element (all text), one (for all), or one per parameter.
	ParamFormats []Format
	// Params are the raw values; nil is NULL. The session keeps the slices until the portal ends.
	Params [][]byte
	// ResultFormats is as ParamFormats, for the columns.
	ResultFormats []Format
}

// Bind makes a portal out of a prepared statement.
func (s *Session) Bind(ctx context.Context, w ResultWriter, args BindArgs) error {
	return s.bindMessage(ctx, w, args)
}

// DescribePortal writes RowDescription or NoData.
func (s *Session) DescribePortal(ctx context.Context, w ResultWriter, portal string) error {
	return s.describePortal(ctx, w, portal)
}

// Execute runs a portal until its end, or for at most maxRows rows when that is above 0.
func (s *Session) Execute(ctx context.Context, w ResultWriter, portal string, maxRows int) error {
	return s.executeMessage(ctx, w, portal, maxRows)
}

// CloseStatement forgets a prepared statement; one that does not exist is no error.
func (s *Session) CloseStatement(ctx context.Context, w ResultWriter, name string) error {
	return s.closeStatement(ctx, w, name)
}

// ClosePortal ends a portal; one that does not exist is no error.
func (s *Session) ClosePortal(ctx context.Context, w ResultWriter, portal string) error {
	return s.closePortal(ctx, w, portal)
}

// Sync ends the implicit transaction of the extended protocol: it commits, or rolls back if a
// message since the last Sync failed. Call it also when messages were skipped.
func (s *Session) Sync(ctx context.Context, w ResultWriter) error {
	if err := s.sync(ctx, w); err != nil {
		return err
	}
	return s.reportStale(w)
}

// Fail tells the session that the wire layer itself refused a message (a protocol error that the
// session never saw): an open transaction fails, the implicit one rolls back at Sync.
func (s *Session) Fail() { s.fail() }

// IdleTimeout is idle_in_transaction_session_timeout or idle_session_timeout, whichever holds in
// the present state; 0 is none. The wire layer applies it while it waits for a message.
func (s *Session) IdleTimeout() IdleTimeout { return s.idleTimeout() }

// Cancel interrupts the statement that is running, if any, with 57014. Any goroutine may call it.
func (s *Session) Cancel() { s.cancelRunning() }

// Close rolls back and releases everything; the session is dead afterwards.
func (s *Session) Close() { s.close() }

// IdleTimeout is how long a client may send nothing, 0 for ever.
type IdleTimeout struct {
	After         time.Duration
	InTransaction bool
}

// Err is the FATAL error that the client gets then.
func (t IdleTimeout) Err() *sqlerr.Error {
	if t.InTransaction {
		return sqlerr.New(sqlerr.IdleInTransactionSessionTimeout,
			"terminating connection due to idle-in-transaction timeout").WithSeverity(sqlerr.SeverityFatal)
	}
	return sqlerr.New("57P05", "terminating connection due to idle-session timeout").WithSeverity(sqlerr.SeverityFatal)
}
