package liveness

import "time"

const (
	// DefaultSupport is how long support is asked for: a node that dies is
	// missed after two thirds of it to all of it.
	DefaultSupport = 3 * time.Second
	// requestsPerSupport is how often it is asked for in that time: two requests
	// may be lost, or late, before support is.
	requestsPerSupport = 3
	// aheadFactor times the support is what a grant's durable time is ahead of
	// the granted one: a write per peer in so many requests.
	aheadFactor = 1
	// inboxMax bounds the messages that wait for the driver: a few per peer.
	inboxMax = 1024
)
