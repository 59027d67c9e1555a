// Package pgwire serves Postgres's wire protocol, versions 3.0 and 3.2
// (PostgreSQL manual, chapter "Frontend/Backend Protocol"): it turns bytes into
// calls of a sql.Session and what the session writes into bytes.
//
//	listener ─► conn.startup: TLS? ─► authenticate ─► session
//	                                                     │
//	client bytes ─► conn.serve: one message, one call ───┤
//	client bytes ◄─ writer: encodes, buffers, rewinds ◄──┘
//
// Invariants:
//
//	I1 One goroutine per connection reads, runs the session, and writes. Only
//	   cancelling comes from elsewhere, and I6.                  (conn.go)
//	I2 A hostile client costs its own connection and a bounded amount of
//	   memory: message sizes, start-up time and the number of connections are
//	   limited, and no input makes the server panic.   (limits.go, fuzz test)
//	I3 Results stream: the writer keeps at most about writeBufferMax before it
//	   sends, and blocks when the client does not read.          (writer.go)
//	I4 After an error in the extended protocol everything up to Sync is
//	   skipped.                                                  (conn.go)
//	I5 A password never travels in the clear; without TLS only SCRAM proofs do.
//	                                                             (auth.go)
//	I6 A notification is written by another goroutine only while the
//	   connection's own waits for a message between two query cycles, which
//	   the connection's lock makes sure of.                    (notify.go)
//
// What goes wrong: a client that vanishes while its statement runs is noticed
// at the next write or read. A malformed message ends its connection with
// 08P01, since its end cannot be trusted.
//
// Not here: SQL (package sql), value formats (package sql/types).
package pgwire
