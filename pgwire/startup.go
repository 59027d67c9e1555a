package pgwire

import (
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// errDone ends a connection that has said all it had to say.
var errDone = errors.New("connection is done")

// startup runs the start-up phase: encryption, parameters, authentication, the
// session, and what a client is told before its first query.
func (c *conn) startup() error {
	if err := c.nc.SetDeadline(time.Now().Add(startupTimeout)); err != nil {
		return err
	}
	params, err := c.negotiate()
	if err != nil {
		return err
	}
	user := params["user"]
	if user == "" {
		return fatal(sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "no PostgreSQL user name specified in startup packet"))
	}
	if c.srv.draining.Load() {
		return fatal(sqlerr.New(sqlerr.CannotConnectNow, "the database system is shutting down"))
	}
	if !c.srv.register(c) {
		return fatal(sqlerr.New(sqlerr.TooManyConnections, "sorry, too many clients already"))
	}
	if err := c.authenticate(user, cmp.Or(params["database"], user)); err != nil {
		return err
	}
	args := sql.SessionArgs{User: user, Database: params["database"], Params: params,
		Remote: c.nc.RemoteAddr(), Local: c.nc.LocalAddr(), BackendPID: int32(c.key.PID), Terminate: c.terminate}
	delete(params, "user")
	delete(params, "database")
	expandOptions(params)
	sess, err := c.srv.cfg.Backend.NewSession(c.ctx, args)
	if err != nil {
		return fatal(sqlerr.From(err)) // and there is no session to close
	}
	c.sess = sess
	if n, ok := c.sess.(notified); ok {
		n.OnNotify(c.wakeForNotify)
	}
	c.mu.Lock()
	c.mu.cancel = c.sess.Cancel
	c.mu.Unlock()
	c.w.env = c.sess.Env()
	for _, p := range c.sess.StartupParams() {
		c.w.send(&pgproto3.ParameterStatus{Name: p.Name, Value: p.Value})
	}
	c.w.send(&pgproto3.BackendKeyData{ProcessID: c.key.PID, SecretKey: binary.BigEndian.AppendUint32(nil, c.key.Secret)})
	c.be.SetMaxBodyLen(messageBytesMax)
	return c.nc.SetDeadline(time.Time{})
}

// negotiate handles encryption requests until the start-up message comes, and
// returns its parameters. A cancel request is carried out and ends with errDone.
func (c *conn) negotiate() (map[string]string, error) {
	for {
		msg, err := c.be.ReceiveStartupMessage()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, errDone
			}
			return nil, fatal(sqlerr.New(sqlerr.ProtocolViolation, "%s", err))
		}
		switch m := msg.(type) {
		case *pgproto3.SSLRequest:
			err = c.startTLS()
		case *pgproto3.GSSEncRequest:
			_, err = c.nc.Write([]byte{'N'})
		case *pgproto3.CancelRequest:
			if len(m.SecretKey) == 4 {
				c.srv.Cancel(BackendKey{PID: m.ProcessID, Secret: binary.BigEndian.Uint32(m.SecretKey)})
			}
			return nil, errDone
		case *pgproto3.StartupMessage:
			if c.srv.cfg.RequireTLS && c.tls == nil {
				return nil, fatal(sqlerr.New(sqlerr.InvalidAuthorizationSpecification,
					"this cluster accepts encrypted connections only").WithHint("Connect with sslmode=require or stricter."))
			}
			return m.Parameters, c.negotiateOptions(m)
		}
		if err != nil {
			return nil, err
		}
	}
}

// negotiateOptions tells the client which of the protocol extensions it asked
// for are not known.
func (c *conn) negotiateOptions(m *pgproto3.StartupMessage) error {
	var unknown []string
	for name := range m.Parameters {
		if strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
			delete(m.Parameters, name)
		}
	}
	if m.ProtocolVersion == pgproto3.ProtocolVersion30 && len(unknown) == 0 {
		return nil
	}
	// Version 3.2 changes only the length of secrets; 3.0 serves its clients.
	return c.w.negotiateVersion(unknown)
}

func (c *conn) startTLS() error {
	if c.srv.cfg.TLS == nil || c.tls != nil {
		_, err := c.nc.Write([]byte{'N'})
		return err
	}
	if _, err := c.nc.Write([]byte{'S'}); err != nil {
		return err
	}
	t := tls.Server(c.nc, c.srv.cfg.TLS)
	if err := t.HandshakeContext(c.ctx); err != nil {
		c.srv.cfg.Log.Debug("tls handshake failed", "remote", c.nc.RemoteAddr(), "err", err)
		return errDone
	}
	c.tls = t
	c.setConn(t)
	return nil
}

func (c *conn) setConn(nc net.Conn) {
	c.nc = nc
	c.be = pgproto3.NewBackend(counted{nc, c.srv}, nil)
	c.be.SetMaxBodyLen(authMessageBytesMax)
	c.w.out = nc
}

// counted counts the bytes a client sends.
type counted struct {
	net.Conn
	srv *Server
}

// Read implements io.Reader.
func (r counted) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.srv.BytesIn.Add(int64(n))
	return n, err
}

// expandOptions adds the settings inside the "options" parameter, given as
// `-c name=value` or `--name=value` with backslash escapes (libpq, "options").
func expandOptions(params map[string]string) {
	opts, ok := params["options"]
	if !ok {
		return
	}
	delete(params, "options")
	words := splitOptions(opts)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		default:
			continue
		}
		if name, value, ok := strings.Cut(w, "="); ok {
			params[strings.ReplaceAll(name, "-", "_")] = value
		}
	}
}

func splitOptions(s string) []string {
	var words []string
	var cur strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '\\' && i+1 < len(s):
			i++
			cur.WriteByte(s[i])
			inWord = true
		case ch == ' ' || ch == '\t' || ch == '\n':
			if inWord {
				words = append(words, cur.String())
				cur.Reset()
				inWord = false
			}
		default:
			cur.WriteByte(ch)
			inWord = true
		}
	}
	if inWord {
		words = append(words, cur.String())
	}
	return words
}

// fatalError ends the connection after it has been told to the client.
type fatalError struct{ err *sqlerr.Error }

// Error implements error.
func (f *fatalError) Error() string { return f.err.Error() }

func fatal(err *sqlerr.Error) error {
	return &fatalError{err.WithSeverity(sqlerr.SeverityFatal)}
}
