package allocator

import "time"

const (
	// DeadAfterDefault is how long a node may be silent before its replicas are
	// replaced: longer than a restart, or a machine's reboot, takes.
	DeadAfterDefault = 5 * time.Minute
	// tiersMax bounds the tiers of a locality.
	tiersMax = 6
	// slackMin and slackShare are how far from the mean a node's count may be
	// before replicas move for it: 5 % of the mean, but no less than two. With
	// less, the counts that gossip tells late would be chased.
	slackMin   = 2
	slackShare = 0.05
	// leaseSlackMin and leaseSlackShare are the same for leases, which are
	// cheap to move, but come and go with elections.
	leaseSlackMin   = 3
	leaseSlackShare = 0.1
	// loadSlackShare and loadSlackMin are the same for requests a second, which
	// vary much.
	loadSlackShare = 0.25
	loadSlackMin   = 200
	// busyQPS is where a range counts as busy: such leases are not moved to even
	// out numbers, only to even out requests.
	busyQPS = 50
)
