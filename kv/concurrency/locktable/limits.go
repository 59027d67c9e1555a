package locktable

const (
	// keysMax bounds the keys with locks but without waiters, some 300 bytes
	// each: a range spends at most about 6 MB.
	keysMax = 20000
	// resolveMax bounds what one Scan collects for resolution: a few commands
	// of a hundred each.
	resolveMax = 1000
	// blockersMax bounds the holders that a waiter learns about at a time.
	blockersMax = 16
	treeDegree  = 8
	// freeNodesMax is as that of package latch.
	freeNodesMax = 4
)
