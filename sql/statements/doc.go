// Package statements counts what the statements of a node cost, by their text
// without its constants: what pg_stat_statements shows.
//
// Problem: which statements does a database spend its time on? The texts of one
// statement differ in their constants, so texts have to be made alike first; and
// counting must not cost what it counts.
//
//	text ──Normalize──▶ shape: text with $n, number ──Table.Entry──▶ Entry
//	                                                                   │ kept with the
//	  execution ──▶ Entry.Executed(duration, rows) ◀───────────────────┘ prepared statement
//	                     │
//	                     ▼
//	  Table.Report ──▶ the node's list ──Merge──▶ the cluster's
//
// A statement's number is a hash of its tokens: spaces, comments and the case of
// keywords do not count, nor do constants. PostgreSQL hashes the parsed tree with
// its tables' numbers instead, so there the same text under another search_path
// is another statement; here it is the same. Parsing again, as a hash of the tree
// would need for statements that are not planned, would cost more than the rest.
//
// Invariants:
//
//	I1  two texts that differ in constants, spaces, comments or the case of
//	    keywords only have one number (TestNormalize)
//	I2  a table has at most Max entries; when it is full, those that were used
//	    least go, EvictPercent of them at once (TestLeastUsedGo)
//	I3  an entry that has gone says so, and what is counted on it afterwards is
//	    lost: whoever keeps one asks Gone first (TestReset)
//	I4  merging lists gives the same as counting in one place (TestMerge)
//
// What goes wrong: a statement that is cut (TextBytesMax) still has the number of
// its whole text, so that two long ones do not become one.
//
// Not here: who may see which text, and how nodes ask each other (package sql,
// statement_stats.go).
//
// Read next: normalize.go, table.go.
package statements
