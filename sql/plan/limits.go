package plan

// Estimates where nothing is known.
const (
	// EstimateRows is a table's size before its first ANALYZE.
	EstimateRows = 10_000
	// equalityFraction, rangeFraction and filterFraction are the shares of rows that a condition on
	// a leading index column, a range, and any other condition keep.
	equalityFraction = 0.005
	rangeFraction    = 0.3
	// containFraction is what a condition on what jsonb values or arrays hold keeps.
	containFraction = 0.01
	filterFraction  = 0.3
	// bothEndsFraction is what the two ends of a range keep; partialFraction bounds what a partial
	// index is taken to have.
	bothEndsFraction = 0.02
	partialFraction  = 0.05
	// distinctDefault is how many different values a column has of which nothing is known.
	distinctDefault = 200
	// joinOrderMax is up to how many relations all orders of a join are compared (3^n splits); more
	// are joined greedily.
	joinOrderMax = 9
	// minMaxMax is how many ends of indexes are read in the place of a scan.
	minMaxMax = 8
	// joinLeavesMax is how many relations are ordered together, a bit each; what is joined before them
	// is one of them.
	joinLeavesMax = 64
)
