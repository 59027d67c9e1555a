package rangecache

import "time"

const (
	// entriesMax bounds the cache. An entry costs about 500 bytes; 65,536
	// ranges of 64 MB are 4 TB, and a miss costs one round trip.
	entriesMax = 1 << 16
	// prefetchMax is how many neighbours a look-up brings along.
	prefetchMax = 8
	// parallelMax bounds the goroutines of one Sender that send parts. When
	// they are used up a caller sends its parts one after the other.
	parallelMax = 256
	// programWindow is how many ranges of a scan with a program are asked at a
	// time; each may answer with as much as the scan's limit is.
	programWindow = 4
	// leaseHintsMax bounds how often one attempt round follows "not I, he":
	// during a transfer two replicas may name each other.
	leaseHintsMax = 10
	// backoffMin and backoffMax bound the pause between rounds.
	backoffMin = 5 * time.Millisecond
	backoffMax = 200 * time.Millisecond
	// patience is how long a batch is tried while no replica serves it.
	patience = 30 * time.Second
	// brokenPatience is how long a batch is tried while the range's replicas say
	// that they cannot serve, or are not there: what told them so took longer than
	// any fail-over, but the descriptor here may be old.
	brokenPatience = time.Second
	// slowAttempt is when an attempt is first suspected to hang; probeWait is
	// how long a replica has to say who leads.
	slowAttempt = 2 * time.Second
	probeWait   = 1500 * time.Millisecond
	// watchInterval is how often attempts under way are looked at. The first
	// look may come at once, so one that was seen watchesSeen times has taken
	// slowAttempt, and at most watchInterval more.
	watchInterval = slowAttempt / 4
	watchesSeen   = int(slowAttempt/watchInterval) + 1
	// suspectFor is how long a node that gave no answer is asked last: the
	// time that others need to take over what it led.
	suspectFor = 5 * time.Second
	// depthMax bounds how often a part is divided again. Every division rests
	// on fresher descriptors; this many in one request is a bug.
	depthMax = 64
)
