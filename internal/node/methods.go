package node

import "github.com/cairndb/cairn/internal/rpc"

// Methods of the streams between nodes. Numbers are part of the protocol and
// are not used again.
const (
	methodGossip   rpc.Method = 1
	methodBatch    rpc.Method = 2
	methodRaft     rpc.Method = 3
	methodSnapshot rpc.Method = 4
	methodDrain    rpc.Method = 5
	methodCancel   rpc.Method = 6
	methodSessions rpc.Method = 7
	methodLocks    rpc.Method = 8
	methodSettings rpc.Method = 9
	methodLiveness rpc.Method = 10
	methodNotify   rpc.Method = 12
	// methodAreYouThere is answered with nothing.
	methodAreYouThere rpc.Method = 11
	methodStatements  rpc.Method = 13
	methodSignal      rpc.Method = 14
)
