// Package pushdown has work on the rows of a scan done where they lie: by the nodes that lead the table's ranges.
//
// Problem: count the rows for which a condition holds without having all of them travel, when a table is
// spread over nodes.
//
//	plan ── Scan{Filter, Groups, Aggs} ──▶ exec.IndexScan.Beside
//	                                           │ Text(parameters)
//	            kvapi.Request.Program ◀────────┘ from the second page of a scan on
//	leaseholder:  Programs.Compile ──▶ exec.Fragment: decode → filter → aggregate
//	                 rows that it did not take, partial groups ──▶ gateway: Filter, Agg.absorb
//
// A program is the table's descriptor as the statement knows it, an index, conditions, and maybe groups and
// aggregates. It is text of its own: the node that runs it looks nothing up.
//
// Invariants:
//
//	I1  a program takes a row only if it dropped it because a condition is not true, or has aggregated it
//	    whole; whatever it cannot do, with a row or at all, is left to the gateway (kvapi.Programs)
//	I2  it holds only what depends on nothing but the row: immutable functions, and casts that no setting
//	    of the session changes (expressible)
//	I3  aggregates are those whose result does not depend on how rows are divided (builtins.Mergeable)
//	I4  a function is named, with the types of its arguments; a node that finds another result type there
//	    runs nothing
//
// What goes wrong: a node of another version does not understand a text, and answers the rows. A transaction
// that has written rows of the span reads them all (txn.ScanOptions). Errors of expressions are met again at
// the gateway, which has the session to tell.
//
// Not here: sorting, joins, limits; and how many ranges are asked at a time (rangecache, ordered.go).
//
// Read next: scan.go, expr.go, programs.go.
package pushdown

//go:generate go run ../../internal/wiregen sql/pushdown
