package schema

import "time"

const (
	// LeaseDuration is how long after its read a node may use the catalog
	// without looking again. Longer makes a schema change wait longer for a
	// node that died; shorter makes nodes in use ask more often (they ask
	// every quarter of it).
	LeaseDuration = 10 * time.Second
	// leaseReserve is the least a snapshot must still have to be handed to a
	// new statement, so that short transactions never meet their deadline.
	leaseReserve = LeaseDuration / 4
	// markDuration is how long a schema change's mark stands if its gateway
	// does not renew it; it renews every third of it. Nobody can use the table of a
	// gateway that died for that long: it is what clients wait for after a failure
	// (docs/correctness.md), and longer than a fail-over, in which nobody can renew. A
	// gateway that is paused for longer loses its change (40001).
	markDuration = 9 * time.Second
	// reachMax is how long a schema change waits for a sign of life of a node,
	// before it puts it on record as a suspect.
	reachMax = 2 * time.Second
	// markMax bounds the commit of marks. It only takes long if another
	// change, or an earlier attempt of the same, has the catalog locked.
	markMax = 10 * time.Second
	// markPollMax bounds the wait between two looks at another's mark.
	markPollMax = 250 * time.Millisecond
	// dropGrace is how long the data of a dropped table outlives it: no
	// statement may still be reading it when it goes.
	dropGrace = 2 * time.Minute
	// buildMax is how long the building of an index may take; the data of a
	// build that was not finished is cleared after it.
	buildMax = 6 * time.Hour
	// newTablesMax bounds the new tables that wait for ranges of their own, as many
	// as a large schema has. splitPause lies between two splits: a thousand tables
	// take two or three minutes, at a tenth of a core in the cluster. splitAttemptsMax
	// and splitTimeout bound what is tried for one.
	newTablesMax     = 4096
	splitPause       = 100 * time.Millisecond
	splitAttemptsMax = 3
	splitTimeout     = 30 * time.Second
	// sweepInterval is how often a node looks for dropped data.
	sweepInterval = 30 * time.Second
	// afterCommitMax bounds what a session waits for after the commit of a
	// schema change (splits, word to the other nodes); all of it may fail.
	afterCommitMax = 3 * time.Second
	// idBlock is how many descriptor ids a node draws at once.
	idBlock = 16
	// sequenceBlockMax bounds how many values of a sequence a node draws at
	// once when they are used up quickly; a crash loses that many.
	sequenceBlockMax = 256
	// scanBytes bounds one answer of a catalog scan.
	scanBytes = 4 << 20
)
