package latch

const (
	// inlineLatches is how many latches a guard holds without a second
	// allocation: a point write in a transaction declares two or three.
	inlineLatches = 4
	// treeDegree keeps nodes within a few cache lines; the tree rarely has
	// more than a hundred latches.
	treeDegree = 8
	// freeNodesMax nodes are kept for reuse, enough for what comes and goes in a tree of
	// one or two; the default would be half of what an idle range's manager takes.
	freeNodesMax = 4
)
