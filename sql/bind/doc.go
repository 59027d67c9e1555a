// Package bind resolves names and types: a parse tree goes in, a typed tree comes out, or the error
// that Postgres gives for it.
//
// Problem: names mean different things in different clauses, literals and parameters have no type
// until an operator asks for one, and aggregates change what an expression may refer to. All of
// that is settled here, once, so that planning and execution deal with columns and types alone.
//
//	SELECT a, count(*) FROM t WHERE b = $1 GROUP BY a ORDER BY 2
//
//	Sort [3]
//	└ Aggregate by [1], count(*) → [3]
//	  └ Filter [2] = $1 (integer)
//	    └ Scan t: a → [1], b → [2]
//
// Every column of every relation in a statement gets a number of its own (ColID), which is its
// register at run time. An expression refers to registers; a correlated subquery needs nothing
// more, and no operator has to know where in its input a column stands.
//
// Invariants:
//
//	I1  a ColID is written by exactly one relation of the tree, except that grouping keeps the
//	    ColID of a column it groups by (select.go, group.go)
//	I2  after Bind no expression has type unknown, and no parameter either (coerce.go, bind.go)
//	I3  every error names its place in the statement where Postgres does (errors.go)
//
//	I4  a statement asks for the privileges on every stored relation that it names, with the
//	    columns that it reads or writes (privilege.go); Stmt.Check compares them with the catalog
//	I5  no value becomes one of a domain but through a DomainCheck (domain.go)
//	I6  a function that a user made is no longer there after Bind: its body is (userfunc.go)
//
// Errors inside this package travel as panics of one private type and become errors in Bind, as in
// recursive-descent parsers: nearly every line can fail, and no state outlives the call.
//
// What goes wrong: a tree that is nested too deeply is refused (limits.go).
//
// Not here: which index, which join method (package plan).
//
// Read next: tree.go, rel.go, then select.go.
package bind
