package store

import "time"

// Raft's clock. A leader is missed after electionTicks to twice as many ticks,
// 2 to 4 s, about as long as a lease lasts (kv/lease): a shorter one would
// elect leaders that have to wait for the lease, a longer one would leave it
// unused.
const (
	DefaultTickInterval = 200 * time.Millisecond
	electionTicks       = 10
	// heartbeatTicks keeps idle groups cheap: 600 ms, three chances within the
	// shortest election time-out.
	heartbeatTicks = 3
)

// campaignTurnTicks is how long a voter waits for the one before it to be
// elected, when a leader's support has ended: a round trip and two syncs.
const campaignTurnTicks = 2

// Bounds of the store.
const (
	// inboxMax bounds the messages that wait for one replica; Raft repeats what
	// is dropped.
	inboxMax = 1024
	// commandBytesMax bounds one command: it has to fit a Raft message, and
	// every replica's memory.
	commandBytesMax = 16 << 20
	// proposalsMax bounds a range's proposals in flight; more get overloaded.
	proposalsMax = 4096
	// gatheredBytesMax is how much may wait for an append before it to be synced.
	gatheredBytesMax = 64 << 10
	// logBytesMin is when truncation is worth a command.
	logBytesMin = 64 << 10
	// logBytesMax is when a follower that lags is left to a snapshot.
	logBytesMax = 16 << 20
	// logEntriesMin is when truncation is worth a command, in entries: small
	// entries cost more in memory than in bytes.
	logEntriesMin = 4096
	// deferFor is how long clean-up that nobody waits for is collected. It
	// divides the consensus rounds of clean-up by the transactions that a range
	// finishes in that time; it is short beside a push's delay, which is what a
	// waiter elsewhere may pay if this store goes down meanwhile.
	deferFor = 20 * time.Millisecond
	// laterFor is how long a replica may leave in its inbox what nobody waits
	// for: it divides the turns and engine batches of followers by the entries
	// of that time, and delays what hangs on a follower's state by as much.
	laterFor = 10 * time.Millisecond
	// newsLagMax is how many entries behind the commit index an acknowledgement
	// is still only the slower follower's answer to what the faster has decided.
	newsLagMax = 64
	// ownMax bounds the storage responses that wait in an inbox.
	ownMax = 64
	// followWindow is how long batches are counted by gateway before leases
	// follow them; a lease moves after two such windows.
	followWindow = 5 * time.Second
	// followBatchesMin is what makes a window busy: 50 batches a second. Below
	// that a remote lease costs nobody much.
	followBatchesMin = 250
	// followShare is the part of them that must come from one node.
	followShare = 0.75
	// deferredMax bounds one such command, about 10 KB.
	deferredMax = 100
	// deferredTimeout bounds its evaluation: whoever meets what it leaves
	// behind cleans up instead.
	deferredTimeout = 30 * time.Second
	// attemptsMax bounds how often one request starts over on this replica
	// (lock conflicts, server-side retries). It only ends what would never end.
	attemptsMax = 1000
	// leaseWaitMax bounds the wait for a lease within one request: the whole
	// fail-over takes less; longer means there is no quorum.
	leaseWaitMax = 8 * time.Second
	// leaseAskAgain is how long one request waits before it asks again for a
	// lease that was refused.
	leaseAskAgain = DefaultTickInterval / 4
	// stuckTicks is how long the caller of a write waits for its quorum: 9 s,
	// longer than a fail-over takes.
	stuckTicks = 45
	// transferPatience is how long a leader waits for the successor it named
	// before it serves again.
	transferPatience = 2 * time.Second
	// summaryBytesMax bounds what is handed over of a range's keys, and as much
	// again of its transactions' marks: some 5,000 of either, which is all of a
	// range that serves 250 transactions a second. Of a busier one it is the
	// latest: a transaction that began before those is treated as at a fail-over.
	summaryBytesMax = 512 << 10
	// snapshotsOutMax bounds the snapshots a store sends at a time.
	snapshotsOutMax = 2
	// snapshotPatienceTicks is how long a promised snapshot is kept for Raft
	// to ask for.
	snapshotPatienceTicks = 10
	// snapshotTimeout bounds one transfer: 64 MB/s and a queue before it.
	snapshotTimeout = 5 * time.Minute
	// splitGraceTicks is how long a message-created replica ignores appends when
	// its left neighbour's split will give it its state (15 s would be too long
	// if that split never comes; 2 s covers a slow follower).
	splitGraceTicks = 10
	// learnerTimeout, learnerPoll: how long a new replica may take to catch up,
	// and how often it is looked at.
	learnerTimeout = 2 * time.Minute
	learnerPoll    = 50 * time.Millisecond
	// learnerSilentMax is how long it may say nothing at all.
	learnerSilentMax = 5 * time.Second
	// learnerLagMax and transferLagMax are the entries a replica may lack
	// before it votes, or leads: less than a moment's traffic.
	learnerLagMax  = 256
	transferLagMax = 256
	// spaceInterval is how often the disk is looked at while spaceAmple times
	// what is to be kept is free, spaceIntervalMin how often otherwise: what is
	// kept must last for several looks at the speed of any disk.
	spaceInterval    = time.Second
	spaceIntervalMin = 20 * time.Millisecond
	spaceAmple       = 8
	// recordInterval is how often a leaseholder looks for the records of
	// transactions that nobody ends, recordAge how long they must have been
	// silent (expired, and given up by whoever cleans up), recordsMax how many
	// it ends in a range at a time, and recordPushMax how long it tries with one.
	recordInterval = time.Minute
	recordAge      = time.Minute
	recordsMax     = 100
	recordPushMax  = 5 * time.Second
	// freezeWaitMax is how long all replicas of a range may take to apply its
	// freeze, before the merge is given up: they were up to date just before.
	freezeWaitMax = 3 * time.Second
	// upToDateWaitMax is how long a merge waits for followers to be up to date
	// before it begins.
	upToDateWaitMax = time.Second
	// settleTimeout bounds one attempt to find out how a merge ended.
	settleTimeout = 5 * time.Second
	// thawWaitMax is how long a request waits for the end of a merge: for the
	// merge itself, and for what ends the freeze of one whose driver is gone.
	thawWaitMax = 10 * time.Second
	// appliedPoll is how often a replica looks whether it has applied enough.
	appliedPoll = 5 * time.Millisecond
	// mergeTimeout bounds one merge, the move of the right range's lease
	// included.
	mergeTimeout = 20 * time.Second
	// mergeAttemptsMax bounds how often a merge asked for by hand is tried.
	mergeAttemptsMax = 3
	// LoadSplitRateDefault is when a range is busy, in batches a second: about
	// what one core evaluates. Below that a split would only make transactions
	// of several ranges.
	LoadSplitRateDefault = 5000
	// loadMemory is how long the rate of a range remembers.
	loadMemory = 10 * time.Second
	// rateMin is a rate that counts as none.
	rateMin = 0.01
	// sampleEvery is which part of a busy range's batches is sampled;
	// candidatesMax, samplesMin and sampleFor are how many keys are compared,
	// and how many samples, over which time, make a verdict.
	sampleEvery   = 8
	candidatesMax = 20
	samplesMin    = 200
	sampleFor     = 10 * time.Second
	// dividedShareMax is what may be left together by a split for it to be
	// worth making; hotKeyShare the part of the requests that makes one key the
	// load, said every hotKeySayEvery.
	dividedShareMax = 0.7
	hotKeyShare     = 0.5
	hotKeySayEvery  = 10 * time.Minute
	// brokenCommitsMax is which part of the requests may be one-phase commits
	// that a split makes distributed; beyond overloadFactor times LoadSplitRate
	// any part.
	brokenCommitsMax = 0.05
	overloadFactor   = 8
	// loadSplitSticky keeps what load has split from being merged at once by another
	// load: readers that alternate with writers have it split, and merged, once in
	// that time at most. Longer, the writers pay with several times the work for
	// what the readers were given. A load that pauses has MergeAfter.
	loadSplitSticky = 30 * time.Second
	// MergeAfterDefault is how long two small neighbours are quiet before they are
	// merged: longer than most pauses of work that comes in waves. Each
	// mergeLooks-th of that time the ranges are looked at, and mergesPerLook are
	// merged at most: a long table that was emptied is no emergency.
	MergeAfterDefault = 5 * time.Minute
	mergeLooks        = 5
	mergesPerLook     = 64
	// mergeFraction of RangeBytesMax, and mergeRateMax batches a second, but no
	// more than a mergeRateFraction of LoadSplitRate, are what small and quiet
	// means.
	mergeFraction     = 4
	mergeRateMax      = 50.0
	mergeRateFraction = 10
	// JoinRateDefault is how many commits a second across a boundary are worth a
	// merge, if they are a joinShare of the commits of their anchors' range: below
	// that they cost 4 % of a core more than they had to. Each joinLook the ranges
	// are looked at, and joinLooks in a row must agree.
	JoinRateDefault = 50.0
	joinShare       = 0.25
	joinLook        = 500 * time.Millisecond
	joinLooks       = 3
	// joinedShare of RangeBytesMax is what both together may have: a range that
	// grows, as one that is written does, is not to be split at once.
	joinedShare = 0.75
	// joinCommitsMin is which part of the requests of both must be commits across
	// their boundary, if they are asked for more than half of LoadSplitRate: load
	// does not divide them then.
	joinCommitsMin = 1.5 * brokenCommitsMax
	// joinKept is how long a boundary is left alone that is to stay for now;
	// joinAgainMin and joinAgainMax the pause after a merge that failed.
	joinKept     = 10 * time.Second
	joinAgainMin = 5 * time.Second
	joinAgainMax = 5 * time.Minute
	// crossingsFor is how long a range counts by the bounds that its neighbours
	// had; crossingsLearntMax ranges ask for them in a look. crossingSpansMax spans
	// of a transaction are looked at.
	crossingsFor       = 30 * time.Second
	crossingsLearntMax = 16
	crossingSpansMax   = 64
	// mergeAgainLooks is how many looks a boundary is left alone at which a merge
	// failed.
	mergeAgainLooks = 10
	// stickyTrust is how long a boundary that somebody keeps is not asked about.
	stickyTrust = 10 * time.Minute
	// bringStepsMax bounds the changes of replicas that bring two ranges together:
	// two for each of five voters.
	bringStepsMax = 10
	// bringTimeout bounds them in all: the ranges are small.
	bringTimeout = time.Minute
	// rangeLogKept is how long entries of the range log are kept;
	// rangeLogTrimEvery how often older ones are removed, rangeLogTrimMax how
	// many at a time.
	rangeLogKept      = 30 * 24 * time.Hour
	rangeLogTrimEvery = time.Hour
	rangeLogTrimMax   = 1000
	// rateTimeout bounds the question what a neighbour is asked for.
	rateTimeout = 2 * time.Second
	// RangeBytesMaxDefault is when a range splits. A split keeps its range
	// latched while it counts the right half's statistics, and a snapshot holds
	// two of these in flight; both want small ranges, an idle range's cost wants
	// large ones. At 128 MiB the pause is below half a second, a snapshot takes
	// two, and a terabyte is 8,000 ranges.
	RangeBytesMaxDefault = 128 << 20
	// RangeBytesMaxMin keeps the setting from making every row a range.
	RangeBytesMaxMin = 64 << 10
	// crowdedFactor times the limit is when new data wait for the split: one
	// that works needs a fraction of the time in which as much is written.
	crowdedFactor = 2
	// crowdedWait bounds that wait. It is shorter than the patience of senders,
	// so that the client hears the reason.
	crowdedWait = 10 * time.Second
	// unsplittableGrowth is the factor by which a range of one row grows before
	// a split key is sought again.
	unsplittableGrowth = 2
	// splitTimeout bounds one split; splitRetryMin and splitRetryMax the pause
	// after one that failed.
	splitTimeout  = time.Minute
	splitRetryMin = 500 * time.Millisecond
	splitRetryMax = 30 * time.Second
	// splitScanEvery is how often ranges are looked at, splitScanMax how many of them.
	splitScanEvery = 2 * time.Second
	splitScanMax   = 2000
	// doubtEvery and doubtVoterEvery are how often a replica that hears nothing
	// asks whether it still is one (collect.go). Nothing is lost by coming late
	// but the room it takes; the second is longer than a stream of closed
	// timestamps takes to name the ranges of a full node.
	doubtEvery      = 30 * time.Second
	doubtVoterEvery = time.Minute
	// collectTimeout bounds one such question.
	collectTimeout = 10 * time.Second
	// replicateWorkers is how many ranges are changed at a time: as many as
	// snapshots may be sent at a time.
	replicateWorkers = snapshotsOutMax
	// movesMax and transfersMax bound what one pass of the queue does to even
	// things out: no more than gossip can follow.
	movesMax     = 4
	transfersMax = 8
	// transfersShare is one more transfer for each so many ranges that are led here:
	// a node that leads all of very many is to be rid of most in minutes, and
	// counts what it did by itself.
	transfersShare = 100
	// looksMax is how many ranges that need nothing are looked at in a pass of the
	// replicate queue, and collectMax how many replicas whether they still are any. Each
	// fullEvery-th pass, that is each minute, looks at all.
	looksMax   = 2000
	collectMax = 1000
	fullEvery  = 12
	// toldAfter is when what a node did is surely in what is heard of it, and
	// recentFor when it is so whatever happened to gossip.
	toldAfter = 6 * time.Second
	recentFor = 30 * time.Second
	// refusedFor is how long a node is not asked again after a replica did not
	// get there.
	refusedFor = 30 * time.Second
	// gcInterval is how often a store looks for ranges with old versions to
	// collect: a walk over their statistics.
	gcInterval = 10 * time.Second
	// gcKeysMax keys with garbage go in one command, some 50 KB, and gcVersionsMax
	// versions of them, which are read under latches: a few milliseconds.
	// gcStepsMax keys are looked at in a row to find them, ten milliseconds or so.
	gcKeysMax     = 512
	gcVersionsMax = 8192
	gcStepsMax    = 20000
	// gcRest is how many times longer the collection rests than it works: it
	// takes a sixth of one core at most. gcRestMin parts its commands.
	gcRest    = 5
	gcRestMin = 2 * time.Millisecond
	// gcTimeout bounds one command; the pass ends then.
	gcTimeout = 10 * time.Second
	// ClosedLagDefault is how far behind the clock a range closes: longer than
	// nearly all transactions that write take, for those that are slower must
	// refresh what they have read. ClosedIntervalDefault is how often idle ranges
	// are told of: a look at each that was not idle, and a message to each node.
	ClosedLagDefault      = 3 * time.Second
	ClosedIntervalDefault = time.Second
	// FollowerReadLag is how old a timestamp is that is closed on all replicas of
	// a range, if all is well and no transaction writes much there: what is closed, the time until idle ranges say so,
	// and a second for messages, for uncertainty and for followers that apply a
	// little later.
	FollowerReadLag = ClosedLagDefault + ClosedIntervalDefault + time.Second
	// longWritePause is how long a transaction may pause between two flushes
	// before its range closes timestamps above it, and longWriteMax how long it may
	// take in all (longWrites).
	longWritePause = 2 * time.Second
	longWriteMax   = time.Minute
	// feedWait is how long a page of a feed waits for something to tell,
	// feedPageBytes what is in one. feedBufferMax bounds what waits for a reader,
	// open intents included, feedsMax the feeds of a range, and feedIdleMax how
	// long one is kept that nobody asks for.
	feedWait      = time.Second
	feedPageBytes = 256 << 10
	feedBufferMax = 8 << 20
	feedsMax      = 64
	feedIdleMax   = 30 * time.Second
	// expireFeedsEvery turns of the loop that closes timestamps it is looked at.
	expireFeedsEvery = 10
	// feedPushAge is how long an intent may hold a feed back before somebody looks
	// after it.
	feedPushAge = 10 * time.Second
	// feedPushesMax transactions are looked after at a time, feedPushesParallel of
	// them at once, each for feedPushWait: one that is alive is waited for by nobody,
	// and what is asked about one that is not is answered at once.
	feedPushesMax      = 256
	feedPushesParallel = 32
	feedPushWait       = time.Second
	// checkBytesPerSecond is how fast a store reads to check its replicas: two
	// minutes for 4 GB, a tenth of a core. checkPaceBytes is how often it looks.
	checkBytesPerSecond = 32 << 20
	checkPaceBytes      = 256 << 10
	// checksWaitingMax bounds the states of the engine that are kept for checks;
	// checksKept the results that nobody has fetched.
	checksWaitingMax = 4
	checksKept       = 64
	// checkTimeout bounds one check of one range, recordTimeout its record.
	checkTimeout  = 2 * time.Minute
	recordTimeout = 10 * time.Second
	// CheckIntervalDefault is how often a range's replicas are compared.
	// checkLooks times in that interval a store looks which are due, and no more
	// often than checkLookMin; a range nobody has checked yet is due after a
	// random part of one checkNewShare-th, or of so much time as gives each that is led
	// here checkNewEach: a check costs milliseconds.
	CheckIntervalDefault = 24 * time.Hour
	checkLooks           = 144
	checkLookMin         = time.Second
	checkNewShare        = 24
	checkNewEach         = 4 * time.Second
	// quarantineAsk bounds one attempt of a quarantined replica to have itself
	// replaced.
	quarantineAsk = 30 * time.Second
	// integrityKept is how long the results for ranges that are not checked any
	// more are kept.
	integrityKept = 90 * 24 * time.Hour
	// replicateTimeout bounds the work on one range.
	replicateTimeout = 3 * time.Minute
	// replicateEvery is how often a store looks at the replicas of its ranges.
	replicateEvery = 5 * time.Second
	// replicateAgain is when it looks again after a change failed: most fail
	// because another change came first.
	replicateAgain = 500 * time.Millisecond
)
