// Package node puts one node together: it is the only place where concrete
// parts meet.
//
//	Node (node.go)                  process: listeners, joining, init, drain
//	  │ gRPC server ── services.go  Join, Init, Gossip, Admin
//	  │ SQL listener ── pgwire      HTTP listener ── internal/console
//	  ▼
//	Core (core.go)                  everything that needs no socket
//	  clock ─ engine ─ gossip ─ transport ─ store ─ sender ─ txn.DB ─ catalog ─ sql
//
// Core runs over any rpc.Transport and any file system, so the simulation
// builds its nodes with it; Node adds sockets. Start-up order, and why:
//
//	I1 The listeners are bound first: a busy port is told before anything is
//	   written.
//	I2 The clock waits for its persisted bound before anything takes a
//	   timestamp (hlc I2).
//	I3 A node has an identity, on disk, before it opens a stream.
//	I4 The store takes part in Raft only once its messages can be answered.
//	I5 SQL clients are let in only when the catalog can be read, and, within
//	   limits, when every range has its replicas (replicated.go); the ready line
//	   is printed after that.
//
// Stopping runs the other way: SQL drains, leases move, the store stops, the
// clock's bound is released.
//
// What goes wrong: a failed disk, a clock that jumped, or a broken invariant
// end the process through Config.Fatal, before it can answer wrongly.
package node
