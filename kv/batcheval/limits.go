package batcheval

import "time"

const (
	// TxnExpiration is how long a transaction lives without a heartbeat; five
	// heartbeats of a second may be lost.
	TxnExpiration = 5 * time.Second
	// resolvedLocksMax intents are resolved in the command that finishes their
	// transaction; more would make one command hold up its range.
	resolvedLocksMax = 500
	// forgottenAge is when the intent of a committed transaction should have
	// been resolved: many times longer than clean-up is collected for.
	forgottenAge = time.Second
	// forwardsMax is how often one evaluation starts over at a higher
	// timestamp before the client is asked to.
	forwardsMax = 5
)
