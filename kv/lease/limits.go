package lease

import "time"

// Times of an expiration lease. Together: a leader is missed after an election
// timeout of about 2-4 s (kv/store), and its lease is over by then or soon
// after, so a crash costs one of the two, not their sum.
const (
	// Duration is how long a lease is asked for.
	Duration = 4 * time.Second
	// RenewBefore is the rest at which the holder asks for more: half, so that
	// one lost renewal is not a lost lease.
	RenewBefore = Duration / 2
)
