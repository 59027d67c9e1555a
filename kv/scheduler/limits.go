package scheduler

import "runtime"

const (
	// workersPerCore: a worker may wait for a full log queue or a cold read;
	// a second one keeps the core busy meanwhile.
	workersPerCore = 2
	workersMax     = 16
	// workersPerShard keeps a slow Processor from holding every range of a
	// shard, and a shard's mutex from being shared by all workers.
	workersPerShard = 2
	// ticksMax is how many ticks may wait for a range.
	ticksMax = 3
)

func workersDefault() int { return min(workersPerCore*runtime.GOMAXPROCS(0), workersMax) }
