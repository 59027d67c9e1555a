package sql

import (
	"context"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Server holds what all sessions of a node share.
type Server struct{}

// Session is one client's connection as SQL sees it.
type Session struct {
	env  *types.Env
	vars vars
}

// IdleTimeout is how long a client may send nothing, and the error it gets (FATAL) after that.
type IdleTimeout struct {
	After time.Duration
	Err   *sqlerr.Error
}

type vars struct{}

func (v *vars) reported() []Param { return nil }

var errNotYet = sqlerr.Unsupported("this session call")

func (s *Server) lookupRole(ctx context.Context, name string) (Role, bool, error) {
	return Role{}, false, errNotYet
}
func (s *Server) newSession(ctx context.Context, args SessionArgs) (*Session, error) {
	return nil, errNotYet
}
func (s *Session) txnStatus() TxnStatus { return TxnIdle }
func (s *Session) execSimple(ctx context.Context, query string, w ResultWriter) error {
	return errNotYet
}
func (s *Session) prepareMessage(ctx context.Context, w ResultWriter, name, query string, paramTypes []types.OID) error {
	return errNotYet
}
func (s *Session) describeStatement(ctx context.Context, w ResultWriter, name string) error {
	return errNotYet
}
func (s *Session) bindMessage(ctx context.Context, w ResultWriter, args BindArgs) error {
	return errNotYet
}
func (s *Session) describePortal(ctx context.Context, w ResultWriter, portal string) error {
	return errNotYet
}
func (s *Session) executeMessage(ctx context.Context, w ResultWriter, portal string, maxRows int) error {
	return errNotYet
}
func (s *Session) closeStatement(ctx context.Context, w ResultWriter, name string) error {
	return errNotYet
}
func (s *Session) closePortal(ctx context.Context, w ResultWriter, portal string) error {
	return errNotYet
}
func (s *Session) sync(ctx context.Context, w ResultWriter) error { return errNotYet }
func (s *Session) fail()                                          {}
func (s *Session) idleTimeout() IdleTimeout                       { return IdleTimeout{} }
func (s *Session) cancelRunning()                                 {}
func (s *Session) close()                                         {}
