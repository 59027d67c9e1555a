package rpc

import "time"

const (
	// queueBytesMax bounds what waits for one stream's writer, by class.
	// Raft repairs what is dropped; KV callers see Overloaded.
	queueBytesMax = 32 << 20
	// earlyBytesMax bounds what waits for a stream that is being made.
	earlyBytesMax = 256 << 10
	// bufferBytesMin is what a batch's buffer begins with: a busy stream fills
	// it, and gRPC pools nothing smaller than a kilobyte. Buffers beyond
	// bufferBytesMax are not kept.
	bufferBytesMin = 4 << 10
	bufferBytesMax = 64 << 10
	// callsMax bounds the calls one stream has under way at the server.
	callsMax = 8192
	// idleWorkersMax bounds the goroutines kept for serving calls.
	idleWorkersMax = 128
	// messageBytesMax bounds a gRPC message: the largest batch of frames.
	messageBytesMax = 256 << 20

	pingInterval = time.Second
	// pingTimeout is how long a peer may be silent. It must exceed a garbage
	// collection or a scheduling delay on a small machine, and stay below a
	// client's patience.
	pingTimeout = 3 * time.Second

	// streamTimeout is how long a stream that was used may be silent although its
	// peer answers on others. What waits before a ping counts: a link so thin that
	// calls take longer serves nobody. Bulk data may fill a queue for minutes.
	streamTimeout     = 10 * time.Second
	bulkStreamTimeout = time.Minute

	dialTimeout = 2 * time.Second
	// backoffMin and backoffMax bound the pause after a failed dial.
	backoffMin = 50 * time.Millisecond
	backoffMax = time.Second
)
