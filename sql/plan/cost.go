package plan

import "math"

// Costs are in units of what reading one row of a scan takes, about 0.4 µs of a core. They need only
// be right enough to tell ways apart that differ by a factor.
const (
	rowCost    = 1.0
	indexCost  = 0.7 // an entry of an index, which is narrower
	callCost   = 200 // a key-value call, in this process or not
	pointCost  = 12  // a key of a batched look-up
	evalCost   = 0.15
	buildCost  = 1.5 // a row put into a hash table
	probeCost  = 0.8
	emitCost   = 0.2
	pairCost   = 0.25 // a pair of rows that a nested loop looks at
	groupCost  = 1.2  // a row given to an aggregation
	sortCost   = 0.25 // times the logarithm
	scannedMin = 1000 // a table is taken to be at least so large when its index is chosen: it may grow
)

// avoidedCost is put on what Options.Avoid names.
const avoidedCost = 1e9

func avoided(yes bool) float64 {
	if yes {
		return avoidedCost
	}
	return 0
}

func sortedCost(rows float64) float64 { return sortCost * rows * math.Log2(rows+2) }

// Estimate is what the planner expects of an operator.
type Estimate struct{ Rows, Cost float64 }
