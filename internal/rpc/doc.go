// Package rpc connects the nodes of a cluster.
//
// The problem: nodes exchange very many small messages (Raft, KV batches,
// heartbeats) and a few large ones (snapshots); an address may belong to
// another node than it did a minute ago; and clocks must hear of each other
// with every message. A unary gRPC call for each message costs four times the
// CPU of the same message inside a batch on a stream, so:
//
//	caller ── Call/Send ─► queue ─► one gRPC stream per (peer, class) ─► peer
//	                        │ batches what has gathered              │
//	   reply ◄──────────────┴──────────── frames ◄───────────────────┘ handler
//
// A stream carries batches; a batch is a checksum, the sender's clock reading and frames
// (call, reply, error, one-way, cancel). A batch grows only while the one
// before it is being written, so an idle link adds no delay. Invariants:
//
//	I1 A stream is used only after both sides have said cluster id and node id
//	   and each is whom the other meant to reach.        (handshake.go, tests)
//	I2 Every batch carries the sender's clock reading, and it is taken in
//	   before any of its frames is handled.              (stream.go)
//	I3 One-way messages of one class to one peer arrive in order or not at all.
//	I4 Classes have connections of their own: a full bulk queue never delays
//	   a heartbeat.                                      (transport.go)
//	I5 Queues are bounded: one-way messages beyond the bound are dropped and
//	   counted, calls beyond it fail before they are sent.   (limits.go)
//	I6 An error says whether the message may have been delivered.  (errors.go)
//	I7 Bytes that a link has changed end the stream before any of them is used,
//	   without TLS as well.                              (checksum.go)
//
// A peer that answers no ping for pingTimeout loses all its streams, and the
// calls on them fail as possibly delivered: a paused process or a dead link
// looks the same, and TCP alone would take minutes to notice. A stream that was used
// and then answers nothing is lost by itself (ping.go, watch).
//
// The in-memory network of package memnet implements the same Transport with
// seeded faults. Joining, gossip by address and administration are unary gRPC
// services (rpcpb).
package rpc
