// Package feed follows what is committed in a span of keys, over all its ranges,
// in one order.
//
// A replica tells what commits in its range, in the order in which commands apply
// (kv/store, feed.go). Ranges split, merge and move; transactions commit in
// several at once. Whoever keeps a copy of something, or passes changes on, wants
// none of that:
//
//	range 1: pages ──▶ part [a, m) ─┐  events above its resolved
//	range 2: pages ──▶ part [m, z) ─┤
//	                                ▼
//	          frontier = lowest resolved of all parts
//	                                ▼
//	          Change, Change, … in order of time;  Resolved(frontier)
//
// Invariants
//
//	I1  Changes are told in order of their timestamps, and of keys for one
//	    timestamp, each exactly once: a transaction's changes are together.
//	I2  After Resolved(t) no change at or below t is told; and all that committed
//	    there above the feed's beginning was told before.
//	    Watch promises neither; it tells what arrives.
//	I3  What a range tells is dropped above what it had resolved when it has to be
//	    asked anew, and comes again.
//
// What goes wrong: a range without a quorum resolves nothing, and holds all back;
// so does a transaction that writes for minutes. What waits for the slowest part is
// bounded (bufferMax), and beyond that Run ends with ErrBehind. A feed from longer
// ago than versions are kept ends with the replica's error.
//
// Not here: what is done with it, and keeping the place across restarts: the last
// Resolved is where to begin again.
package feed
