package latch

const (
	// inlineLatches is how many latches a guard holds without a second
	// allocation: a point write in a transaction declares two or three.
	inlineLatches = 4
	// treeDegree keeps nodes within a few cache lines; the tree rarely has
	// more than a hundred latches.
	treeDegree = 8
)
