package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// conn is one client's connection.
type conn struct {
	srv  *Server
	ctx  context.Context
	nc   net.Conn
	tls  *tls.Conn
	be   *pgproto3.Backend
	w    writer
	key  BackendKey
	sess Session
	// copying is the copy from the client under way, if any.
	copying *copyReader
	// resting says that the last thing written was ReadyForQuery outside any transaction.
	resting bool
	// skipping is set after an error of the extended protocol, until Sync (I4).
	skipping bool

	mu struct {
		sync.Mutex
		// idle says that the connection waits for a message outside any
		// transaction.
		idle bool
		// atRest says that it waits for a message between two query cycles, when
		// notifications may be written by who has the lock (I6).
		atRest bool
		// terminated: somebody has ended the session, and the connection is to say so and close.
		terminated bool
		// cancel interrupts the session's statement; nil before there is one.
		cancel func()
	}
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, ctx: s.ctx}
	c.w.sent = &s.BytesOut
	c.w.copyIn = func() sql.CopyReader {
		c.copying = &copyReader{be: c.be}
		return c.copying
	}
	c.setConn(nc)
	return c
}

// run serves the client to its end.
func (c *conn) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.ctx = ctx
	err := c.startup()
	if err == nil {
		if err = c.ready(); err == nil {
			err = c.serve()
		}
	}
	var f *fatalError
	if errors.As(err, &f) {
		c.w.errorResponse(f.err)
		_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
		_ = c.w.flush()
	}
}

func (c *conn) close() {
	if c.sess != nil {
		c.sess.Close()
	}
	c.srv.unregister(c)
	c.nc.Close()
}

// cancelStatement interrupts the running statement; any goroutine may call it.
func (c *conn) cancelStatement() {
	c.mu.Lock()
	cancel := c.mu.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// wakeForDrain ends the wait of an idle connection.
func (c *conn) wakeForDrain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.idle {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// terminate has the connection end: when its call returns, or at once if it waits for the client.
// Any goroutine may call it.
func (c *conn) terminate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.terminated = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	_ = c.nc.SetWriteDeadline(time.Now().Add(lastWordMax))
}

func (c *conn) isTerminated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.terminated
}

// serve handles messages until the client leaves or something fatal happens.
func (c *conn) serve() error {
	for {
		msg, err := c.receive()
		if err != nil {
			return err
		}
		if err := c.handle(msg); err != nil {
			return err
		}
		if c.isTerminated() {
			return fatal(errShutdown())
		}
	}
}

// receive waits for a message, for as long as the session's idle timeout
// allows, or until the server drains and the session is idle.
func (c *conn) receive() (pgproto3.FrontendMessage, error) {
	limit := c.sess.IdleTimeout()
	idle := c.sess.TxnStatus() == sql.TxnIdle && !c.skipping
	c.mu.Lock()
	c.mu.idle, c.mu.atRest = idle, c.resting
	if c.resting {
		c.notifications()
	}
	var err error
	switch {
	case c.mu.terminated, idle && c.srv.draining.Load():
		err = c.nc.SetReadDeadline(time.Unix(1, 0))
	case limit.After > 0:
		err = c.nc.SetReadDeadline(time.Now().Add(limit.After))
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	msg, err := c.be.Receive()
	c.mu.Lock()
	c.mu.idle, c.mu.atRest = false, false
	terminated := c.mu.terminated
	if limit.After > 0 && err == nil && !terminated {
		err = c.nc.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	switch {
	case terminated && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)):
		return nil, fatal(errShutdown())
	case err == nil:
		return msg, nil
	}
	return nil, c.receiveError(err, limit, idle)
}

func errShutdown() *sqlerr.Error {
	return sqlerr.New(sqlerr.AdminShutdown, "terminating connection due to administrator command")
}

func (c *conn) receiveError(err error, limit sql.IdleTimeout, idle bool) error {
	var long *pgproto3.ExceededMaxBodyLenErr
	var ne net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && idle && c.srv.draining.Load():
		return fatal(errShutdown())
	case errors.Is(err, os.ErrDeadlineExceeded) && limit.After > 0:
		return fatal(limit.Err())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &ne):
		return errDone
	case errors.As(err, &long):
		return fatal(sqlerr.New(sqlerr.ProtocolViolation, "message of %d bytes is longer than the limit of %d bytes",
			long.ActualBodyLen, long.MaxExpectedBodyLen))
	}
	return fatal(sqlerr.New(sqlerr.ProtocolViolation, "invalid message: %s", err))
}

// handle runs one message.
func (c *conn) handle(msg pgproto3.FrontendMessage) error {
	c.resting = false
	switch m := msg.(type) {
	case *pgproto3.Query:
		return c.query(m)
	case *pgproto3.Sync:
		c.skipping = false
		c.copying = nil
		if err := c.failed(c.sess.Sync(c.ctx, &c.w)); err != nil {
			return err
		}
		return c.ready()
	case *pgproto3.Flush:
		return c.w.flush()
	case *pgproto3.Terminate:
		return errDone
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return nil // left over from a copy that failed; the protocol says to ignore it
	}
	if c.skipping {
		return c.w.err
	}
	if err := c.extended(msg); err != nil {
		c.skipping = true
		if err := c.failed(err); err != nil {
			return err
		}
		return c.w.flush()
	}
	return c.w.err
}

// extended runs one message of the extended protocol.
func (c *conn) extended(msg pgproto3.FrontendMessage) error {
	switch m := msg.(type) {
	case *pgproto3.Parse:
		oids := make([]types.OID, len(m.ParameterOIDs))
		for i, o := range m.ParameterOIDs {
			oids[i] = types.OID(o)
		}
		return c.sess.Prepare(c.ctx, &c.w, m.Name, m.Query, oids)
	case *pgproto3.Bind:
		return c.bind(m)
	case *pgproto3.Describe:
		if m.ObjectType == 'S' {
			return c.sess.DescribeStatement(c.ctx, &c.w, m.Name)
		}
		return c.sess.DescribePortal(c.ctx, &c.w, m.Name)
	case *pgproto3.Execute:
		return c.sess.Execute(c.ctx, &c.w, m.Portal, int(min(m.MaxRows, 1<<31-1)))
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			return c.sess.CloseStatement(c.ctx, &c.w, m.Name)
		}
		return c.sess.ClosePortal(c.ctx, &c.w, m.Name)
	case *pgproto3.FunctionCall:
		c.sess.Fail()
		return sqlerr.Unsupported("the function call message").WithHint("Use SELECT.")
	}
	c.sess.Fail()
	return sqlerr.New(sqlerr.ProtocolViolation, "unexpected message %T", msg)
}

// bind copies the parameters, since the message's bytes live only until the
// next one is read, and a portal lives longer.
func (c *conn) bind(m *pgproto3.Bind) error {
	size := 0
	for _, p := range m.Parameters {
		size += len(p)
	}
	arena := make([]byte, 0, size)
	params := make([][]byte, len(m.Parameters))
	for i, p := range m.Parameters {
		if p != nil {
			at := len(arena)
			arena = append(arena, p...)
			params[i] = arena[at:len(arena):len(arena)]
		}
	}
	return c.sess.Bind(c.ctx, &c.w, sql.BindArgs{Portal: m.DestinationPortal, Statement: m.PreparedStatement,
		ParamFormats: formats(m.ParameterFormatCodes), Params: params, ResultFormats: formats(m.ResultFormatCodes)})
}

func formats(codes []int16) []sql.Format {
	if len(codes) == 0 {
		return nil
	}
	out := make([]sql.Format, len(codes))
	for i, c := range codes {
		out[i] = sql.Format(c)
	}
	return out
}

// query runs a simple query.
func (c *conn) query(m *pgproto3.Query) error {
	if c.skipping {
		return nil
	}
	if err := c.failed(c.sess.ExecSimple(c.ctx, m.String, &c.w)); err != nil {
		return err
	}
	if c.copying != nil {
		if err := c.w.flush(); err != nil {
			return err
		}
		err := c.copying.discard()
		c.copying = nil
		if err != nil {
			return errDone
		}
	}
	return c.ready()
}

// failed tells the client of an error of its session, if there is one, and returns it if the connection
// ends with it.
func (c *conn) failed(err error) error {
	if err == nil {
		return nil
	}
	e := sqlerr.From(err)
	if e.Severity == sqlerr.SeverityFatal {
		return fatal(e)
	}
	if c.isTerminated() {
		return fatal(errShutdown())
	}
	c.w.errorResponse(e)
	return nil
}

// ready ends a query cycle.
func (c *conn) ready() error {
	if c.isTerminated() {
		return fatal(errShutdown())
	}
	c.w.cols = nil
	status := c.sess.TxnStatus()
	if c.resting = status == sql.TxnIdle; c.resting {
		c.writeNotifications()
	}
	return c.w.readyForQuery(status)
}
