package txn

import "time"

const (
	// bufferMaxBytes is when the write buffer is flushed as intents. Below it a
	// transaction writes every key once, and in one round.
	bufferMaxBytes = 4 << 20
	// commitBatchMaxBytes is how much of the buffer may go with the commit. A
	// larger batch would make one Raft entry that delays its range's others.
	commitBatchMaxBytes = 1 << 20
	// flushBatchMaxBytes and flushBatchMaxKeys bound one batch of a flush, for the same reason.
	flushBatchMaxBytes = 512 << 10
	flushBatchMaxKeys  = 4096
	// proveBatchMaxKeys bounds one batch of ProveConditions: each key takes a lock.
	proveBatchMaxKeys = 512
	// flushParallelMax is how many batches of a flush are under way.
	flushParallelMax = 4
	// asideBatchMaxBytes bounds one command of what is written aside, and
	// asideParallelMax how many are under way: the next one is evaluated
	// while the log syncs the last, and others' commands fit in between.
	asideBatchMaxBytes = 256 << 10
	asideParallelMax   = 4
	// writeMaxBytes is the hard limit for one key with its value: a Raft entry and
	// a message must hold it with room to spare.
	writeMaxBytes = 32 << 20
	// entryOverheadBytes is what a buffered write costs beside key and value.
	entryOverheadBytes = 128
	// inFlightMax bounds the writes that a staging record promises: every one
	// is looked up by a recovery. Larger commits prove their writes first.
	inFlightMax = 1024
	// refreshSpansMax and lockSpansMax are kept precisely; beyond them
	// neighbours are merged (spanset.go).
	refreshSpansMaxBytes = 1 << 20
	lockSpansMaxBytes    = 256 << 10
	// heldMaxBytes bounds what a weak transaction remembers of its locks.
	heldMaxBytes = 4 << 20
	// condensedSpansMax is how many spans are left then.
	condensedSpansMax = 64
	// lockedReadsMax bounds the keys whose reads are checked by their writes;
	// each costs a look into the buffer for every batch.
	lockedReadsMax = 32
	// refreshAttemptsMax bounds refreshes of one batch: a reader that is
	// overtaken this often starts anew.
	refreshAttemptsMax = 5
	// backgroundMax bounds concurrent background commits and clean-ups of one
	// DB; when all are busy a caller waits for its own.
	backgroundMax = 128
	// replacementsMax bounds the replaced intents that are remembered one by one,
	// and ignoredMax the ranges of rolled-back writes, which go with each request
	// of the transaction.
	replacementsMax = 1000
	ignoredMax      = 100
	// settleMax is how long a coordinator tries to find out what became of
	// its commit before it says that it does not know.
	settleMax = 10 * time.Second
	// settlePause is how long it waits before it tries again, longer each time
	// up to settlePauseMax.
	settlePause    = 10 * time.Millisecond
	settlePauseMax = 500 * time.Millisecond
	// cleanupMax bounds one background commit or clean-up. What it leaves
	// behind is found by whoever meets the locks.
	cleanupMax = 30 * time.Second
	// retryPauseMax bounds the random pause of Run between attempts.
	retryPauseMax = 50 * time.Millisecond
	// lossesMax is how often a transaction loses before it asks for a turn, at
	// others' cost: less often it is bad luck.
	lossesMax = 3
	// heartbeatInterval is how often records of live transactions are
	// renewed; they expire after five of them. A transaction younger than
	// heartbeatAge has none.
	heartbeatInterval = time.Second
	heartbeatAge      = time.Second
	// heartbeatParallelMax bounds the heartbeats under way.
	heartbeatParallelMax = 64
)
