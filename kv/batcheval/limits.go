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
	// programChunk is how many bytes of rows a scan with a program reads at a
	// time, programBytesMax how many it reads before it answers: others wait
	// for its latches.
	programChunk    = 256 << 10
	programBytesMax = 8 << 20
	// forwardsMax is how often one evaluation starts over at a higher
	// timestamp before the client is asked to.
	forwardsMax = 5
	// vacancyMin writes make it worth to look for locks with an iterator, which
	// costs about as much as ten look-ups to open.
	vacancyMin = 32
)
