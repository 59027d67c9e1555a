package rpc

import "sync/atomic"

// Stats counts what went through a Network. All fields only grow.
type Stats struct {
	// Calls are requests this node sent; Frames and Batches what they and all
	// else became; Dropped is what a full queue refused.
	Calls, Frames, Batches, Dropped atomic.Int64
	// Dials and DialErrors count connection attempts.
	Dials, DialErrors atomic.Int64
	// Damaged are streams that ended because a batch was not what was sent (I7).
	Damaged atomic.Int64
}
