package txnwait

import "time"

const (
	// waitMax bounds a push's wait on the server. The pusher then pushes
	// again, which also notices an expired pushee; so this is how late an
	// expiry may be noticed. It stays below what senders take for a hang.
	waitMax = time.Second
	// pollInterval is how often a waiting transaction asks who waits for it:
	// a deadlock of n transactions is found within about n polls.
	pollInterval = 50 * time.Millisecond
	// seenMin is how many polls in a row must show a cycle of more than two
	// before anybody acts: edges that were handed on may be a poll old.
	seenMin = 2
	// seenToForce is how many polls the victim gets to end by itself.
	seenToForce = 5
	// edgesMax bounds the edges of one answer: some 50 bytes each.
	edgesMax = 1000
)
