// Package sql runs SQL statements for clients: sessions, prepared statements, portals,
// transactions, and the way from a statement's text to its result.
//
// Problem: a statement's text must become key-value requests, inside a transaction whose conflicts
// the client should see as seldom as possible, and its result must stream out in the protocol's
// order, whoever speaks the protocol.
//
//	text ──parse──▶ tree ──bind──▶ typed tree ──plan──▶ operators ──run──▶ rows
//	     sql/parser      sql/bind             sql/plan          sql/exec
//	                       │ names                 │ indexes          │
//	                    schema.Catalog        schema.Table          txn.Txn
//
//	Session (this package): one per connection
//	  statements, portals        prepared.go, portal.go
//	  transaction state          txnstate.go     idle → open → failed → idle
//	  retries                    retry.go        rewind the writer, run again
//	  parameters                 vars.go         SET, SHOW, what drivers read
//	  MySQL's dialect            dialect.go      package mysql before sql/parser
//	  functions, procedures      routine.go     those that are called
//	  statements without a plan  utility.go, copy_in.go, copy_out.go
//
// Invariants:
//
//	I1  what a client has been sent is never taken back: a statement is only run again after
//	    ResultWriter.Rewind said that nothing of it has left (retry.go)
//	I2  an error whose outcome is unknown (40003) is never retried (retry.go)
//	I3  a failed transaction answers every statement but its end with 25P02 (txnstate.go)
//	I4  a plan runs only against the descriptor versions it was made from (prepared.go)
//	I5  a statement does not see its own writes while it reads: DML collects its target rows
//	    before it writes the first (sql/exec/modify.go)
//
// What goes wrong: an implicit transaction that fails at its commit, after its rows have been
// written, rewinds them if it can; otherwise the client sees the rows and then the error, as
// Postgres does for deferred constraints. A panic while a statement is evaluated is the statement's
// error; package contain says which panics are, and which end the node.
//
// Not here: bytes on the wire (pgwire).
//
// Read next: session.go, then txnstate.go.
package sql
