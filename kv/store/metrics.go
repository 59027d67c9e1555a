package store

import "sync/atomic"

// Metrics are counters since the start of the process.
type Metrics struct {
	// Proposals are commands given to Raft; a consensus round each.
	Proposals atomic.Int64
	// Applied are commands that had an effect, Rejected those that had none
	// (an overtaken lease).
	Applied, Rejected atomic.Int64
	// Turns counts what the scheduler gave to replicas, Readies what Raft made
	// of it, ApplyBatches the engine batches of applied commands.
	Turns, Readies, ApplyBatches atomic.Int64
	// LeaseRequests counts lease commands, renewals included.
	LeaseRequests atomic.Int64
	// Batches sent to the store, by outcome.
	ReadBatches, WriteBatches, FailedBatches atomic.Int64
	Splits, SnapshotsSent, SnapshotsApplied  atomic.Int64
	// SizeSplits are splits of ranges that were too large; CrowdedWaits are
	// batches that waited for one.
	SizeSplits, CrowdedWaits atomic.Int64
	// LoadSplits are splits of ranges that were too busy, QueueMerges merges of
	// neighbours that were small and quiet, CommitMerges those of neighbours that
	// transactions wrote together.
	LoadSplits, QueueMerges, CommitMerges atomic.Int64
	// Merges are merges applied, Thaws those given up after the freeze.
	Merges, Thaws                     atomic.Int64
	ReplicasAdded, ReplicasRemoved    atomic.Int64
	MessagesDropped, MessagesReceived atomic.Int64
	LogTruncations                    atomic.Int64
	Ambiguous                         atomic.Int64
	// LeasesFollowed are leases that moved to where requests come from.
	LeasesFollowed atomic.Int64
	// ReadsHandedOver are leases that came with what their former holder had read.
	ReadsHandedOver atomic.Int64
	// BreakersOpened counts ranges that became unavailable here.
	BreakersOpened atomic.Int64
	// RecordsCollected are records of transactions that nobody else ended.
	RecordsCollected atomic.Int64
	// GCPasses are ranges that were searched for old versions, VersionsCollected
	// those that went. RemovalsRefused are commands that would have removed what
	// they must not: a bug, and harmless.
	GCPasses, VersionsCollected, RemovalsRefused atomic.Int64
	// ClosedUpdates are messages that tell what is closed of idle ranges.
	ClosedUpdates atomic.Int64
	// FollowerReads are batches answered without the lease.
	FollowerReads atomic.Int64
	// RangesChecked are ranges whose replicas were compared, ChecksDiverged
	// those that differed; ReplicasQuarantined were taken out of use here.
	RangesChecked, ChecksDiverged, ReplicasQuarantined atomic.Int64
}
