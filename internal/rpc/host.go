package rpc

import (
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Host lets a gRPC server serve streams before there is a Network: a node
// answers joining and administration first, and knows only later who it is.
type Host struct {
	n atomic.Pointer[Network]
}

// Register makes a gRPC server serve the streams of the network set later.
func (h *Host) Register(s *grpc.Server) { s.RegisterService(streamDesc(), h) }

// Set lets streams in.
func (h *Host) Set(n *Network) { h.n.Store(n) }

func (h *Host) serveStream(g grpc.ServerStream) error {
	if n := h.n.Load(); n != nil {
		return n.serveStream(g)
	}
	return status.Error(codes.Unavailable, "this node is starting")
}
