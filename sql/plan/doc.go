// Package plan turns a bound statement into operators.
//
// Problem: the same question can be answered by reading one key or a million. Of the ways that give the
// same rows, the one is wanted that costs least, by what statistics say of the data.
//
//	bind.Rel ── simplifyOuter, factored ─▶ conditions pushed down ─▶ Scan ── index.go ──▶ exec.Access
//	            inner joins flattened  joinorder.go ──▶ order, and of each join: hash, look-up, loops
//	            EXISTS, IN, = (SELECT agg …)  semi.go, decorrelate.go ──▶ joins
//	            ORDER BY, LIMIT, min, max     order.go, decorrelate.go ──▶ scan in index order
//	            rows and costs of each        estimate.go, cost.go ──▶ EXPLAIN
//
// A guess is wrong sooner or later, so a wrong one must not be a disaster: small tables are taken as
// larger when an index is chosen, and nothing depends on a guess but speed.
//
// Invariants:
//
//	I1  a condition is dropped from the filter only if the access path implies it exactly (index.go)
//	I2  a condition moves below an outer join only on the side that is not filled with NULLs (join.go)
//	I3  statistics and settings decide between plans that give the same rows: TestPlansAgree in package
//	    sql runs random queries in every mode, the dumbest among them
//	I4  of a class of equal columns each join asks for one equality; columns of one side that are in a
//	    class are compared on that side (joinorder.go, withinLeaves)
//	I5  what is planned and then not used leaves no trace in EXPLAIN (aside.go)
//	I6  a partial index is read only if the conditions imply its predicate (partial.go)
//	I7  of an inverted index one term's entries are read, so that no row is met twice, and what was
//	    asked is asked again (inverted.go)
//
// Not here: merge joins, several columns' common statistics, plans that depend on a parameter's value.
//
// Read next: plan.go, index.go, join.go, joinorder.go.
package plan
