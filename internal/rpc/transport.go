package rpc

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
)

// NodeID names a node of the cluster.
type NodeID = kvapi.NodeID

// Class separates traffic that must not wait for other traffic (I4).
type Class uint8

// Classes, most urgent first.
const (
	// System: pings, gossip, liveness.
	System Class = iota
	Raft
	KV
	// Bulk: snapshots.
	Bulk
	classEnd
)

// String prints the class's name.
func (c Class) String() string {
	if c >= classEnd {
		return "unknown"
	}
	return [...]string{"system", "raft", "kv", "bulk"}[c]
}

// Method names what a message is for; internal/node hands the numbers out.
type Method uint8

// methodPing is the package's own; methods of users start above it.
const methodPing Method = 0

// Appender is a message: generated codecs implement it.
type Appender interface {
	AppendWire(b []byte) []byte
}

// Raw is a message that is already encoded.
type Raw []byte

// AppendWire implements Appender.
func (r Raw) AppendWire(b []byte) []byte { return append(b, r...) }

// Transport sends messages to nodes by id. It is safe for concurrent use. It
// has no path to the own node: callers bypass it.
type Transport interface {
	// Call sends a request and waits for the answer, which the caller may
	// keep. The error is an *Error.
	Call(ctx context.Context, to NodeID, c Class, m Method, req Appender) ([]byte, error)
	// Send queues a one-way message and reports whether it was queued; it
	// may be lost all the same.
	Send(to NodeID, c Class, m Method, msg Appender) bool
	// Close ends all connections and fails all calls.
	Close()
}

// CallHandler answers a call. payload may be kept but not changed.
type CallHandler func(ctx context.Context, from NodeID, payload []byte) (Appender, error)

// SendHandler takes a one-way message. It must not block: it runs on the
// goroutine that reads the stream. payload may be kept but not changed.
type SendHandler func(from NodeID, payload []byte)

// Mux maps methods to handlers. It is filled before it is used and read-only
// from then on.
type Mux struct {
	calls [256]CallHandler
	sends [256]SendHandler
}

// HandleCall registers the handler of a method's calls.
func (m *Mux) HandleCall(method Method, h CallHandler) { m.calls[method] = h }

// HandleSend registers the handler of a method's one-way messages.
func (m *Mux) HandleSend(method Method, h SendHandler) { m.sends[method] = h }

// Call runs the handler of a method; the in-memory network uses it.
func (m *Mux) Call(ctx context.Context, from NodeID, method Method, payload []byte) (Appender, error) {
	h := m.calls[method]
	if h == nil {
		return nil, errorf(from, Remote, false, "method %d is not known here", method)
	}
	return h(ctx, from, payload)
}

// Deliver runs the handler of a one-way message.
func (m *Mux) Deliver(from NodeID, method Method, payload []byte) {
	if h := m.sends[method]; h != nil {
		h(from, payload)
	}
}
