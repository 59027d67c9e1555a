package store

import (
	"slices"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// TestingKnobs break the store on purpose, so that the tests which should see
// it are known to see it. All are off in a real node: only a test build
// has a way to set them (cmd/cairn/trouble.go).
type TestingKnobs struct {
	// DisableTimestampCache forgets reads: a write may then land below one.
	// Found by write-skew and list-append workloads.
	DisableTimestampCache bool
	// IgnoreReaders forgets who read: a write may go where somebody else has
	// read at the same timestamp.
	IgnoreReaders bool
	// KeepFloor does not raise the timestamp cache's floor with a new lease.
	KeepFloor bool
	// DropReads hands leases over without what was read, and without a floor in
	// its place.
	DropReads bool
	// NoPrevention answers a query for a missing intent and lets the write
	// come later all the same.
	NoPrevention bool
	// IgnoreLocalTimestamps compares what a reader has observed of a node with
	// the timestamps of versions, which may have moved up since they were
	// written, and not with the clock at the time of writing.
	IgnoreLocalTimestamps bool
	// DisableLeaseCheck lets any replica that believes to lead serve. Found by
	// a register workload with paused or cut-off leaders.
	DisableLeaseCheck bool
	// IgnorePromises lets followers vote and campaign against leaders they have
	// promised their votes; WithdrawEarly ends support before its time.
	IgnorePromises bool
	WithdrawEarly  time.Duration
	// AckBeforeSync answers Raft before the log is durable. Found by crashes
	// that lose unsynced data.
	AckBeforeSync bool
	// LocksInMemory does not replicate durable locks. Found by a mutex workload
	// under lease transfers and crashes.
	LocksInMemory bool
	// LogSyncTime makes syncs of the Raft log, and of store liveness, take time.
	LogSyncTime func() time.Duration
	// DisableTicks leaves ticking to the test (Store.Tick).
	DisableTicks bool
	// DisableRaftLogTruncation keeps logs whole.
	DisableRaftLogTruncation bool
	// DisableReplicateLoop leaves changes of replicas, and leases that follow
	// requests, to the test.
	DisableReplicateLoop bool
	// DisableMergeLoop leaves merges that nobody asked for to the test
	// (Store.MergeOnce), and MayMerge, if set, is asked before each.
	DisableMergeLoop bool
	MayMerge         func() bool
	// DisableGCLoop leaves the collection of old versions to the test
	// (Store.CollectGarbage), and Removed is told what it removes.
	DisableGCLoop bool
	Removed       mvcc.Removed
	// ReadUnclosed answers reads of the past from followers that do not know
	// whether it is over. Found by comparison with what the leaseholder answers.
	ReadUnclosed bool
	// Closed is told what is closed of idle ranges, from which index on, and Wrote
	// the lowest timestamp of each command that applies.
	Closed, Wrote func(kvapi.RangeID, kvapi.LogIndex, hlc.Timestamp)
	// DisableCheckLoop leaves checks of replicas to the test, and Checked is told
	// what each found.
	DisableCheckLoop bool
	Checked          func(kvapi.IntegrityRecord)
	// AfterAdmit is called before a batch evaluates, with its latches held.
	AfterAdmit func(*kvapi.BatchRequest)
	// ForgetThreshold answers reads of what may have been collected. Found by
	// transactions that read the past.
	ForgetThreshold bool
	// NoTurns gives nobody a turn who has lost often. Found by a client that is
	// farther from what it counts than others (TestAFarGatewayIsNotStarved).
	NoTurns bool
}

// inMemory is the batch with locks that are not durable, for LocksInMemory.
func inMemory(ba *kvapi.BatchRequest) *kvapi.BatchRequest {
	c := *ba
	c.Requests = slices.Clone(ba.Requests)
	for i := range c.Requests {
		c.Requests[i].Durable = false
	}
	return &c
}
