// Package contain makes a panic of a statement's evaluation the statement's error.
//
// Problem: a defect of one built-in function, or of the binder on one odd statement, would end the node for
// everybody, and whoever found it could end the cluster by asking each node. Yet a panic that says that an
// invariant is broken must end the node before it answers wrongly.
//
//	client goroutine              frames of the panic, innermost first
//	  pgwire, sql                   runtime.gopanic
//	    Do ◀── boundary             sql/builtins.substr      ┐ every one of them must be
//	      sql/exec                  sql/exec.(*Filter).Next  │ code that evaluates, or that
//	        sql/builtins  ✗         sql.(*Session).fetch     ┘ only passes rows on
//	                                sql/contain.Do
//
// What decides is the code that the panic passes through, from where it began to the innermost Do: code that
// evaluates has no state that another statement sees, so that what is left half done goes with the statement's
// transaction, its operators and its memory.
//
// Invariants:
//
//	I1  a panic is contained only if it began in code that evaluates, or in the Go and third-party code that it
//	    calls, and passed through nothing else but the session's own code on its way to Do (classify)
//	I2  one that began in or passed through kv, txn, schema, Raft, the store, internal/assert, or anything that
//	    is not listed, goes on, and ends the node
//	I3  a contained panic is an error with SQLSTATE XX000 whose cause is a *Panic, with the stack where it
//	    happened; the session logs it once
//
// Who calls Do: the session for each statement, each message of the extended protocol, and what a commit still
// computes (sql); the goroutines that a statement starts (sql/exec); the expressions that a schema change or a
// job computes for rows (sql/ddl); and the node that works on rows for another (sql/pushdown). A goroutine without
// Do ends the node.
//
// The rejected alternative, to recover around everything that a client asks for, would go on after half a
// change of a lock table. Go's fatal errors (a full stack, concurrent writes of a map) cannot be contained;
// depths are bounded where they arise.
//
// Read next: contain.go.
package contain
