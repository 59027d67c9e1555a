package rpc

import "fmt"

// ErrorKind says why a call did not bring an answer.
type ErrorKind uint8

// Error kinds.
const (
	// Unreachable: no address, no connection, or the connection was lost.
	Unreachable ErrorKind = iota
	// Overloaded: a queue is full; the message was not sent.
	Overloaded
	// Canceled: the caller's context ended.
	Canceled
	// Remote: the peer's handler returned an error.
	Remote
	// WrongPeer: another node, or a node of another cluster, answered.
	WrongPeer
)

// Error is the error of Transport.Call.
type Error struct {
	Kind ErrorKind
	// MaybeSent says that the peer may have handled the call (I6).
	MaybeSent bool
	Peer      NodeID
	Message   string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("rpc to %s: %s", e.Peer, e.Message) }

func errorf(peer NodeID, kind ErrorKind, maybeSent bool, format string, args ...any) *Error {
	return &Error{Kind: kind, MaybeSent: maybeSent, Peer: peer, Message: fmt.Sprintf(format, args...)}
}
