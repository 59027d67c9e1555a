// Package txnwait is where pushes of live transactions wait: at the range
// that holds the pushee's record, since its end is seen there first. It also
// finds deadlocks, on whatever nodes their transactions wait.
//
//	     waits for        waits for
//	 t1 ───────────▶ t2 ───────────▶ t3 ──▶ t1
//
//	queue at t2's record: {t1, edges that lead to t1: t3→t1, t2→t3}
//	queue at t3's record: {t2, edges that lead to t2: t1→t2, t3→t1}
//
// Whoever waits with a transaction of its own asks for the edges that lead to
// it, keeps them with its own wait, and so hands them on to those who ask in
// turn. A question is answered when there is something that the asker does not
// know, so an edge travels around a ring as fast as messages do. When the edges show a way from the pushee back to the pusher, that
// is a cycle. Its victim is the member with the lowest priority, among equals
// the smallest id: the same for every observer, because every observer of a
// cycle knows all its members. The victim's own push fails with ErrDeadlock;
// if the cycle stands nevertheless, whoever pushes the victim goes on by force.
//
// Invariants
//
//	I1  A push waits only while its pushee is live, at most waitMax, and wakes
//	    when the pushee's record changes here. OnTxnUpdated; lost wake-ups are
//	    prevented by looking into the transaction cache after registering.
//	I2  Every cycle that stands is found: edges are told when they change, and
//	    again every waitMax. TestDeadlock.
//	I3  Of one cycle one member is aborted. A cycle of more than two is acted
//	    upon only when two looks have shown it, pollInterval apart, since edges
//	    that are handed on may be out of date. TestDeadlock.
//
// What goes wrong: an out-of-date edge aborts a transaction without need; it
// retries. An unreachable range hides edges: that deadlock ends when the range
// is back or a heartbeat expires.
//
// Rejected: a detector on one node (TiDB's way) finds cycles in one step, but
// needs fail-over of its own and all waits to be sent to it.
//
// Not here: whether a push succeeds (kv/batcheval); lock queues (locktable).
//
// Read next: queue.go, then cycle.go.
package txnwait
