package txnwait

import "time"

const (
	// waitMax bounds a push's wait on the server. The pusher then pushes
	// again, which also notices an expired pushee; so this is how late an
	// expiry may be noticed. It stays below what senders take for a hang.
	waitMax = time.Second
	// pollInterval is how long a waiting transaction that sees a cycle waits
	// before it looks again. A deadlock is found within about this time.
	pollInterval = 50 * time.Millisecond
	// pollPause is how long it waits between two questions at least, however
	// much there is to tell: many may wait for one.
	pollPause = 2 * time.Millisecond
	// seenMin is how many looks in a row must show a cycle of more than two
	// before anybody acts: edges that were handed on may be out of date by as
	// long as the news of their end travels.
	seenMin = 2
	// seenToForce is how many polls the victim gets to end by itself.
	seenToForce = 5
	// edgesMax bounds the edges of one answer: some 50 bytes each.
	edgesMax = 1000
)
