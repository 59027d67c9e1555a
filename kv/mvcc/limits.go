package mvcc

import "time"

const (
	// stepsMax versions of a key are stepped over before a read seeks. A step
	// within a block costs about a tenth of a seek.
	stepsMax = 8
	// hotWindow: a key written twice within it is hot (lockRecord.hot), and
	// cools down after coolingWindow without a write. A tombstone is walked
	// until the memtable is flushed, so a key colder than this gathers few.
	hotWindow     = 10 * time.Second
	coolingWindow = 10 * time.Minute
	// rangeDeleteMin versions of a key, or records of neighbours' locks, and more
	// are removed by one range deletion:
	// every later read near it has to look at that, and with fewer the deletions
	// one by one are less.
	rangeDeleteMin = 64
	// conflictsMax bounds the locks that one error carries; the rest are
	// found when these are gone.
	conflictsMax = 1000
	// locksMax bounds the locks that a forward scan looks at before it reads
	// the rows up to there; opening the next part costs about ten of them.
	locksMax = 1000
	// locksMin is where a scan that wants few rows begins; each part then doubles it.
	locksMin = 32
	// forgottenMax bounds the left-over intents that one read reports.
	forgottenMax = 100
	// arenaChunkMin and arenaChunkMax bound the buffers that rows are packed
	// into; they grow so that a large scan allocates seldom.
	arenaChunkMin = 1 << 10
	arenaChunkMax = 64 << 10
	// A Vacancy gives up when it has walked over more than stepsPerKeyMax records
	// for each key, or when more than a quarter of the keys have locks: look-ups
	// cost about as much. The first stepsFreeMax and foundFreeMax do not count.
	stepsPerKeyMax = 8
	stepsFreeMax   = 64
	foundFreeMax   = 16
)
