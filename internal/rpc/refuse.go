package rpc

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refuse is the server's answer to a Hello it does not accept.
func refuse(why string) error { return status.Error(codes.FailedPrecondition, why) }

// dialError tells a refusal from an unreachable peer.
func dialError(peer NodeID, addr string, err error) *Error {
	st, ok := status.FromError(err)
	if ok && st.Code() == codes.FailedPrecondition {
		return errorf(peer, WrongPeer, false, "%s refused: %s", addr, st.Message())
	}
	if ok {
		return errorf(peer, Unreachable, false, "dial %s: %s", addr, st.Message())
	}
	return errorf(peer, Unreachable, false, "dial %s: %s", addr, err)
}
