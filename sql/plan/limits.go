package plan

// Estimates where nothing is known.
const (
	// EstimateRows is a table's size before its first ANALYZE.
	EstimateRows = 10_000
	// equalityFraction, rangeFraction and filterFraction are the shares of rows that a condition on
	// a leading index column, a range, and any other condition keep; partialFraction is the share
	// of rows that a partial index has, unless all that it leaves out are NULLs.
	equalityFraction = 0.005
	rangeFraction    = 0.3
	filterFraction   = 0.3
	partialFraction  = 0.1
	// lookupRowsMax is up to how many left rows a join by look-ups is preferred to a hash table of
	// a larger right side.
	lookupRowsMax = 20_000
	// loopRowsMax is the same for one scan per left row.
	loopRowsMax = 50
	// joinOrderMax is up to how many tables the order of a join is chosen.
	joinOrderMax = 12
)
