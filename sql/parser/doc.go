// Package parser turns a query string into Postgres's own parse trees.
//
// Problem: what Postgres parses must parse here, with the same errors at the same places. So the
// grammar is Postgres's: libpg_query through pg_query_go. This package splits a query string into
// statements, turns the grammar's errors into SQL errors, and names what a statement does.
//
//	"select 1; insert …"  ──Parse──▶  [ Stmt{Tree, Text}, Stmt{Tree, Text} ]
//
// Invariants:
//
//	I1  positions in trees and errors count from the start of the whole query string, in bytes in
//	    trees and in characters in errors (TestErrorPosition)
//	I2  a panic or an endless recursion in the grammar is refused by its own depth check
//	    (TestDeepNesting)
//
// What goes wrong: the first call after a build compiles a large C library; a parse costs 10 to
// 50 µs of C and protobuf, so sessions keep prepared statements parsed.
//
// Not here: names and types (package bind).
//
// Read next: package bind.
package parser
