// Package lease says what a range lease is worth.
//
// A lease gives one replica the right to serve reads and to evaluate writes of
// a range. It is a record in the range's replicated state, and everybody who
// looks at it looks at a clock, too; so the question "may I use it now, for
// this timestamp?" has many wrong answers. It is answered here, by one pure
// function, and nowhere else.
//
//	      Start                                  Expiration
//	        |                                        |
//	--------[========= VALID ==========|= UNUSABLE ==)---- EXPIRED ---> now
//	        |                          |             |
//	        |             Expiration - max offset    anybody may replace it
//	        |
//	  PROSCRIBED, all along: ours, but from before our last start, or from
//	  before a transfer that we began, or of a Raft term that we do not lead
//
// That is an expiration lease, renewed by a command for each range. A leader
// lease has no end of its own and no renewals: it lasts while its holder leads
// the term and a quorum of followers holds it up (kv/liveness, and kv/store:
// support.go, promise.go). In the picture its Expiration is LeadSupportUntil,
// which only the holder knows, and may move on for ever. Nobody replaces it
// while that lasts, since nobody else is elected; whoever leads a later term
// has a clock beyond it, and may replace it at once.
//
// The leader of the range's Raft group is the only replica that asks for a
// lease, and a lease is tied to the Raft term in which it was asked for:
// whoever is not the leader of that term does not use it, though others still
// have to wait for its end (its former holder may not know yet).
//
// Invariants, each checked by the table in status_test.go:
//
//	I1  At most one replica finds a range's lease VALID for one MVCC timestamp:
//	    VALID needs now < Expiration, and a successor starts above Expiration
//	    (kv/store: the new lease's Start is a clock reading taken after EXPIRED).
//	    A leader lease's successor is elected above LeadSupportUntil (L1 of
//	    acceptance/model/leader_lease.pml), or after the holder gave it up.
//	I2  A holder that restarted, lost its leadership or began a transfer never
//	    finds its old lease VALID again.
//	I3  A timestamp that is VALID lies before the end of the lease by more than
//	    the maximum offset, so a reader with uncertainty never needs to know of
//	    writes of the successor.
//
// The simpler idea, "the leader may read", is wrong: a leader that is paused or
// cut off does not know that it has a successor.
//
// What can go wrong: a clock that is off by more than the maximum offset breaks
// I1; package hlc and the node's monitors stop such a node. What is not here:
// who renews a lease, the command that changes it, and what a holder tells its
// successor (kv/store, handover.go). Read next:
// C. Gray and D. Cheriton, "Leases: an efficient fault-tolerant mechanism for
// distributed file cache consistency", SOSP 1989.
package lease
