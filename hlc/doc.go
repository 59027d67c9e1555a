// Package hlc is the hybrid logical clock that orders everything in a cluster
// (Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014).
//
// The problem: versions of keys need timestamps that respect causality between
// nodes, stay close to wall time, and never repeat, although every node's wall
// clock is off, drifts, jumps, and starts again after a restart.
//
//	wall clock ──► Clock.Now ──► ClockTimestamp ──► on every message
//	                  ▲                                   │
//	                  └────────── Clock.Update ◄──────────┘
//
// A timestamp is (wall nanoseconds, logical counter). Now takes the wall clock
// if it is ahead of everything seen, else counts. Update takes in what another
// node's clock showed. Invariants:
//
//	I1 Now returns a larger timestamp than every Now before it and every
//	   reading taken in by Update, on this node.            (Clock.Now, tests)
//	I2 That also holds across a restart: Now never reaches the persisted upper
//	   bound, and a restarted node waits until its wall clock has passed the
//	   bound it finds. The bound does not follow a jump.    (Bound, tests)
//	I3 No two nodes' wall clocks differ by more than the maximum offset; a node
//	   that finds itself off from a majority of its peers, or sees its wall
//	   clock jump, stops.                   (OffsetMonitor, JumpMonitor)
//	I4 A reading farther ahead than the maximum offset changes nothing.
//	                                                        (Clock.Update)
//	I5 Only ClockTimestamps enter Update. MVCC timestamps may be ahead of every
//	   clock; letting one in would drag all clocks into the future.
//	                                                        (the type system)
//
// What goes wrong: a wall clock that steps back is hidden by I1 (the counter
// runs until wall time catches up). A step forward beyond I3 would put a node's
// timestamps outside every other node's uncertainty interval, hence stale
// reads; so JumpMonitor compares the wall clock with the monotonic clock, and
// a process that was merely paused (both moved) is let be.
//
// Not here: uncertainty intervals (package txn), leases (package kv/lease).
// Read next: Clock in clock.go.
package hlc
