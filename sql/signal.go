package sql

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// A session's process id says which node has it: the bits from PIDNodeShift on, under PIDNodeMask, are
// those of the node's number, those below count the node's connections. The sign bit stays clear,
// since drivers treat the id as signed.
const (
	PIDNodeShift = 20
	PIDNodeMask  = 0x7ff
)

// SignalRequest asks a node to cancel what a session runs, or to end the session.
type SignalRequest struct {
	PID       int64 `wire:"1"`
	Terminate bool  `wire:"2"`
	// Role asks.
	Role string `wire:"3"`
}

// SignalAnswer says whether there is such a session. Denied is why it was left alone.
type SignalAnswer struct {
	Found  bool   `wire:"1"`
	Denied string `wire:"2"`
}

// SignalSession implements builtins.Sessions: pg_cancel_backend and pg_terminate_backend, of a session
// on whatever node.
func (s *Session) SignalSession(ctx context.Context, pid int32, terminate bool) (bool, error) {
	q := &SignalRequest{PID: int64(pid), Terminate: terminate, Role: s.user()}
	var a *SignalAnswer
	var err error
	switch node, ok := s.srv.nodeOf(pid); {
	case !ok:
		return false, nil
	case node == s.srv.cfg.NodeID:
		a, err = s.srv.Signal(ctx, q)
	default:
		a, err = s.srv.cfg.Peers.Signal(ctx, node, q)
	}
	switch {
	case err != nil:
		return false, err
	case a.Denied != "":
		return false, sqlerr.New(sqlerr.InsufficientPrivilege, "%s", a.Denied)
	case a.Found && pid == s.args.BackendPID:
		return false, context.Cause(ctx) // nothing of this statement is to be seen
	}
	return a.Found, nil
}

// nodeOf finds the node that has a session.
func (s *Server) nodeOf(pid int32) (kvapi.NodeID, bool) {
	bits := kvapi.NodeID(pid>>PIDNodeShift) & PIDNodeMask
	if bits == s.cfg.NodeID&PIDNodeMask || s.cfg.Peers == nil {
		return s.cfg.NodeID, bits == s.cfg.NodeID&PIDNodeMask
	}
	for _, n := range s.cfg.Peers.Nodes() {
		if n&PIDNodeMask == bits {
			return n, true
		}
	}
	return 0, false
}

// Signal does what a SignalRequest asks to a session of this node, if the role may ask that: a
// superuser, the session's own role, one that is a member of it, or of pg_signal_backend.
func (s *Server) Signal(ctx context.Context, q *SignalRequest) (*SignalAnswer, error) {
	var found *Session
	for _, x := range s.sessions.all() {
		if int64(x.args.BackendPID) == q.PID {
			found = x
		}
	}
	if found == nil {
		return &SignalAnswer{}, nil
	}
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	isSuper := func(role string) bool {
		r := snap.Role(role)
		return r != nil && r.Superuser
	}
	whose := found.args.User
	texts := [2]string{"must be a superuser to cancel superuser query",
		"must be a member of the role whose query is being canceled or member of pg_signal_backend"}
	if q.Terminate {
		texts = [2]string{"must be a superuser to terminate superuser process",
			"must be a member of the role whose process is being terminated or member of pg_signal_backend"}
	}
	switch {
	case isSuper(q.Role):
	case isSuper(whose):
		return &SignalAnswer{Found: true, Denied: texts[0]}, nil
	case !snap.IsMember(q.Role, whose) && !snap.IsMember(q.Role, "pg_signal_backend"):
		return &SignalAnswer{Found: true, Denied: texts[1]}, nil
	}
	if q.Terminate {
		found.terminate()
	} else {
		found.cancelRunning()
	}
	return &SignalAnswer{Found: true}, nil
}

var errTerminated = sqlerr.New(sqlerr.AdminShutdown, "terminating connection due to administrator command").
	WithSeverity(sqlerr.SeverityFatal)

// terminate ends the session: its statement now, and with it the connection. Any goroutine may call it.
func (s *Session) terminate() {
	s.mu.Lock()
	if s.mu.cancel != nil {
		s.mu.cancel(errTerminated)
	}
	s.mu.Unlock()
	if s.args.Terminate != nil {
		s.args.Terminate()
	}
}
