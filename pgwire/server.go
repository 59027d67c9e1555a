package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/hba"
	"github.com/cairndb/cairn/sql/types"
)

// Session is what the wire needs of a *sql.Session, which documents it.
type Session interface {
	StartupParams() []sql.Param
	Env() *types.Env
	TxnStatus() sql.TxnStatus
	ExecSimple(ctx context.Context, query string, w sql.ResultWriter) error
	Prepare(ctx context.Context, w sql.ResultWriter, name, query string, paramTypes []types.OID) error
	DescribeStatement(ctx context.Context, w sql.ResultWriter, name string) error
	Bind(ctx context.Context, w sql.ResultWriter, args sql.BindArgs) error
	DescribePortal(ctx context.Context, w sql.ResultWriter, portal string) error
	Execute(ctx context.Context, w sql.ResultWriter, portal string, maxRows int) error
	CloseStatement(ctx context.Context, w sql.ResultWriter, name string) error
	ClosePortal(ctx context.Context, w sql.ResultWriter, portal string) error
	Sync(ctx context.Context, w sql.ResultWriter) error
	Fail()
	IdleTimeout() sql.IdleTimeout
	Cancel()
	Close()
}

// Backend makes sessions and knows roles.
type Backend interface {
	LookupRole(ctx context.Context, name string) (sql.Role, bool, error)
	NewSession(ctx context.Context, args sql.SessionArgs) (Session, error)
	// ConnectionRule finds the rule for a client; ok is false if there are no rules.
	ConnectionRule(ctx context.Context, c hba.Client) (rule *hba.Rule, ok bool, err error)
	// ConnectionsMax limits the clients of a node; 0 leaves it to Config.
	ConnectionsMax() int
}

// SQL adapts a *sql.Server to Backend.
type SQL struct{ *sql.Server }

// NewSession implements Backend.
func (s SQL) NewSession(ctx context.Context, args sql.SessionArgs) (Session, error) {
	sess, err := s.Server.NewSession(ctx, args)
	if err != nil {
		return nil, err // not a Session that holds a nil *sql.Session
	}
	return sess, nil
}

// BackendKey names a session for cancelling it: the process id says which node
// has it, the secret proves that the asker is its client.
type BackendKey struct {
	PID    uint32
	Secret uint32
}

// Config is what a Server needs.
type Config struct {
	Backend Backend
	// NodeID goes into process ids.
	NodeID uint32
	// Insecure trusts every client, whatever user it names and whatever rules say.
	Insecure bool
	// TLS, if set, is offered to clients. A verified client certificate whose
	// common name is the user's replaces the password, unless a rule says otherwise.
	TLS *tls.Config
	// RequireTLS refuses clients without it.
	RequireTLS bool
	// ForwardCancel passes a cancel request on to the node that has the session.
	ForwardCancel func(node uint32, key BackendKey)
	// ConnectionsMax limits clients; 0 means the default.
	ConnectionsMax int
	Log            *slog.Logger
}

// Server accepts clients. Its methods are safe for concurrent use.
type Server struct {
	cfg      Config
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	draining atomic.Bool
	// Stats only grow, but for Open.
	Accepted, Open, BytesIn, BytesOut atomic.Int64

	mu struct {
		sync.Mutex
		conns   map[uint32]*conn
		nextPID uint32
		lis     []net.Listener
	}
}

// NewServer returns a server that listens nowhere yet.
func NewServer(cfg Config) *Server {
	if cfg.ConnectionsMax == 0 {
		cfg.ConnectionsMax = connectionsMax
	}
	s := &Server{cfg: cfg}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.conns = map[uint32]*conn{}
	return s
}

// Serve accepts clients until the listener is closed, which Drain and Close do.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.ctx.Err() != nil || s.draining.Load() {
		s.mu.Unlock()
		return l.Close()
	}
	s.mu.lis = append(s.mu.lis, l)
	s.mu.Unlock()
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.ctx.Err() != nil || s.draining.Load() {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return err
		}
		s.Accepted.Add(1)
		s.wg.Go(func() { s.ServeConn(nc) })
	}
}

// ServeConn serves one client to its end.
func (s *Server) ServeConn(nc net.Conn) {
	s.Open.Add(1)
	defer s.Open.Add(-1)
	c := newConn(s, nc)
	defer c.close()
	c.run(s.ctx)
}

// register gives a connection its key, or reports that there are too many.
func (s *Server) register(c *conn) bool {
	var secret [4]byte
	_, _ = rand.Read(secret[:]) // never fails
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.cfg.ConnectionsMax
	if n := s.cfg.Backend.ConnectionsMax(); n > 0 {
		most = n
	}
	if len(s.mu.conns) >= most {
		return false
	}
	for {
		s.mu.nextPID = (s.mu.nextPID + 1) & (1<<sql.PIDNodeShift - 1)
		c.key.PID = (s.cfg.NodeID&sql.PIDNodeMask)<<sql.PIDNodeShift | s.mu.nextPID
		if s.mu.nextPID != 0 && s.mu.conns[c.key.PID] == nil {
			break
		}
	}
	c.key.Secret = binary.BigEndian.Uint32(secret[:])
	s.mu.conns[c.key.PID] = c
	return true
}

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.conns[c.key.PID] == c {
		delete(s.mu.conns, c.key.PID)
	}
}

// Cancel interrupts what a session is running. An unknown key is ignored, as
// Postgres does, so that keys cannot be probed.
func (s *Server) Cancel(key BackendKey) {
	if node := key.PID >> sql.PIDNodeShift; node != s.cfg.NodeID&sql.PIDNodeMask {
		if s.cfg.ForwardCancel != nil {
			s.cfg.ForwardCancel(node, key)
		}
		return
	}
	s.mu.Lock()
	c := s.mu.conns[key.PID]
	s.mu.Unlock()
	if c != nil && subtle.ConstantTimeEq(int32(c.key.Secret), int32(key.Secret)) == 1 {
		c.cancelStatement()
	}
}

// Drain stops accepting, ends idle sessions with 57P01 at once, lets running
// ones finish their statement or transaction until ctx ends, and closes them.
func (s *Server) Drain(ctx context.Context) {
	s.draining.Store(true)
	s.mu.Lock()
	for _, l := range s.mu.lis {
		l.Close()
	}
	for _, c := range s.mu.conns {
		c.wakeForDrain()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.Close()
		<-done
	}
}

// Close ends everything at once.
func (s *Server) Close() {
	s.draining.Store(true)
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.mu.lis {
		l.Close()
	}
	for _, c := range s.mu.conns {
		c.cancelStatement()
		c.nc.Close()
	}
}
