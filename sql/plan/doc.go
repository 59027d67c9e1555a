// Package plan turns a bound statement into operators.
//
// Problem: the same question can be answered by reading one key or a million. The rules here find
// the index that a statement's conditions fit, push conditions, order and limits down to the scan
// that can use them, and choose how tables are joined.
//
//	bind.Rel ── conditions pushed down ──▶ Scan + conditions ── index.go ──▶ exec.Access
//	            joins flattened, ordered      join.go ──▶ lookup, hash or nested loop
//	            ORDER BY, LIMIT               order.go ──▶ scan in index order, or sort
//
// Estimates are crude on purpose: a table's row count from ANALYZE (or EstimateRows), fixed
// fractions for conditions. They only need to tell a point from a range from everything.
//
// Invariants:
//
//	I1  a condition is dropped from the filter only if the access path implies it exactly (index.go)
//	I2  a condition moves below an outer join only on the side that is not filled with NULLs (join.go)
//	I3  a plan depends on nothing but the bound statement: descriptors, not data
//	I4  a partial index is read only if the conditions imply its predicate (partial.go)
//
// Not here: statistics of columns; cost-based search.
//
// Read next: plan.go, index.go, join.go.
package plan
