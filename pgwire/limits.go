package pgwire

import "time"

const (
	// messageBytesMax bounds one message of a client; Postgres allows 1 GiB.
	messageBytesMax = 256 << 20
	// authMessageBytesMax bounds messages before authentication.
	authMessageBytesMax = 64 << 10
	// startupTimeout bounds start-up and authentication (Postgres's
	// authentication_timeout).
	startupTimeout = time.Minute
	// lastWordMax is how long the client of a session that was ended has to take in what is left.
	lastWordMax = time.Second
	// writeBufferMax is how much output is kept before it is sent; until then
	// a statement can be retried invisibly.
	writeBufferMax = 64 << 10
	// writeBufferKeep is the largest buffer an idle connection keeps.
	writeBufferKeep = 128 << 10
	// connectionsMax is the default limit of connections per node.
	connectionsMax = 1000
)
