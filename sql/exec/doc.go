// Package exec runs planned statements.
//
// Problem: produce the rows of a tree of operators with few allocations and few key-value calls.
//
//	registers (Run.Slots)      [0]=a [1]=b [2]=count …      one per column of the statement
//	        ▲       ▲                     every operator writes its own columns in place
//	  Filter.Next → Scan.Next             and expressions read them: no row is copied between
//	        ▲                             operators that do not hold rows back
//	  kv: Get | GetMany (≤ LookupBatchMax) | Scan (≤ ScanBytesMax per call)
//
// A plan (Node) is immutable and may be opened many times; a Cursor is one execution of it.
// Operators that hold rows (sort, hash, window, DML) save and restore registers as Rows.
//
// The usual batches of columns would spare an interface call per row and operator (2 to 5 ns); with
// registers a correlated subquery, a lateral join and a point read are the same few lines, and the
// point read, which is what most statements are, stays free of set-up cost.
//
// Invariants:
//
//	I1  a Cursor leaves the registers of its own columns valid until its next Next (every operator)
//	I2  DML reads all its input before its first write, so that it never meets its own rows
//	    (modify.go)
//	I3  whatever holds rows accounts for them; past work_mem a sort, hash join, aggregate, distinct,
//	    window, INTERSECT, EXCEPT, WITH query, nested loop, or what a modification has found writes to temporary
//	    files and gives the same rows (spill.go, TestSpilledAnswersAreTheSame in package sql); past the statement's or the node's limit the statement fails with 53200 (memory.go)
//	I4  every loop that may run long without a key-value call looks at its context (Run.tick)
//
// What goes wrong: one group's DISTINCT, ORDER BY or array_agg, the rows that MERGE will write, and what a
// subquery of ANY, ALL or ARRAY yields are held in memory; a recursive UNION and a modification hold 24 bytes
// for each row that they must know again. A statement that needs more than its budget for them fails.
//
// Not here: which plan (package plan), the transaction's fate (package sql).
//
// Read next: run.go, access.go, memory.go, spill.go, modify.go.
package exec
