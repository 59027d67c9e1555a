// Package liveness is store liveness: nodes hold each other up, so that a
// leader's lease costs nothing per range.
//
//	n1 (asks)                                          n2 (supports)
//	  epoch 7 and the time asked are synced
//	  ──── support me at epoch 7 until 13 s ────▶
//	                                              7 until 13 s is synced
//	  ◀─── you have epoch 7 until 13 s ──────────
//	  once a second, however many ranges
//	                                              n2's clock passes 13 s:
//	                                              7 is dead, synced
//	  ◀─── epoch 7 is withdrawn ─────────────────
//	  ──── support me at epoch 8 until … ───────▶
//
// Support is a promise about a time of the HLC: until its own clock has passed
// that time, the supporter does nothing that would let another node take over
// what the supported one leads. What that is, kv/store says: it neither votes
// against a leader that it has acknowledged nor campaigns. A supporter's clock
// is the one that counts, and messages carry clocks, so whoever is elected with
// the help of a supporter that has withdrawn has a clock beyond the time that
// was promised: the intervals of two leaders do not overlap, however the clocks
// differ.
//
// Core is the protocol, without clock, disk or network. Driver runs it.
//
// Invariants, as acceptance/model/leader_lease.pml has them:
//
//	I1  Support at an epoch is given until a time that never falls, and ends
//	    only when the supporter's clock has passed it (Core.withdraw, asserted).
//	I2  What was withdrawn stays withdrawn: an epoch is dead for ever, across
//	    restarts too (durable before anybody acts on it; Driver, Ready).
//	I3  An epoch is asked for by one process only: its number is durable before
//	    it is used, and a restart begins above it (Core.newEpoch).
//	I4  Support counts with the supporter only once it is durable, so that a
//	    restarted supporter knows every epoch under which it may have promised
//	    something. The time it writes is later than the one it grants, so that
//	    it need not write for each request; the later one binds after a restart.
//	I5  A request is sent after a synced write: a node whose disk hangs asks for
//	    nothing, and loses its support.
//
// What can go wrong: a supporter that is paused keeps its promise, for nobody
// acts on it in the meantime. A node that is paused loses its support, and
// takes a new epoch when it hears of that. A node that lost its disk comes back
// as another node. A message that comes late asks for less than it could have.
//
// The simpler idea, a record per node in a table that all nodes write, makes
// the leases of all ranges hang on one of them; and a lease per range, renewed
// through consensus, costs a command per range every few seconds.
//
// Not here: leases and elections (kv/lease, kv/store). Read next: core.go.
package liveness
