// Package allocator decides where replicas and leases should be. It is pure: a
// view of the cluster and one range go in, at most one action comes out, with
// the reason in words. Whoever holds a range's lease asks, and acts (kv/store).
//
//	gossip (late) ──▶ View: nodes, localities, loads, who is gone
//	                      │
//	descriptor, load ──▶ Decide ──▶ Action{kind, add, remove, why}
//	                      ▲               │
//	                      └── Applied ◀───┘  what this node has just done, which
//	                                         gossip does not know yet
//
// The order of concerns, the first that applies wins:
//
//	leave      a joint configuration is left
//	repair     too few voters: add; a voter on a node that is gone for good,
//	           or that leaves the cluster: replace
//	trim       a learner that nobody needs, voters beyond the goal: remove
//	place      a replica is not where those of the range are wanted (Placement):
//	           replace
//	spread     replicas that share a region, then a zone, …: replace
//	count      a node has clearly more replicas than another: replace
//	lease      a node has clearly more leases, or requests, than another
//	           with a replica: transfer
//
// Invariants
//
//	I1  A change never begins that leaves fewer voters on healthy nodes than
//	    there were, but for the trimming of more than the goal. (Decide)
//	I2  The leaseholder is never removed; where it has to go, its lease goes
//	    first. (removable)
//	I3  Replicas go only to nodes that are live, stay, have room on their
//	    disks, are where the range wants them, and hold no replica of it. (candidates)
//	I4  A move by count or load is one that still pays when both sides were
//	    off by a good deal: it must close a gap wider than the slack, and it
//	    never opens one the other way. So late gossip does not make replicas go
//	    to and fro. Each leaseholder closes only its share of a gap that all of
//	    them see. (overfull, underfull, isShare; asserted by the simulation)
//	I5  A move by count never worsens the spread, a move of a lease never
//	    moves a replica. (countMove)
//	I6  Equal input gives equal output. Where many nodes are as good, the range
//	    id picks, so that a hundred leaseholders with the same late view do not
//	    all choose the same empty node. (pick)
//
// What goes wrong: a node is silent. For a while it may come back, and nothing
// is moved; after View.DeadAfter its replicas are replaced, and if it does come
// back they are collected. A repair that no node can take is Blocked, and says
// what is missing; it is tried again as the view changes.
//
// Not here: how a change is made (kv/store/admin_change.go), pacing
// (kv/store/replicate.go), where requests come from (kv/store/follow.go).
//
// Read next: decide.go, then simulation_test.go.
package allocator
