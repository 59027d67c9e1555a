// Package latch keeps conflicting requests of one range apart while they
// evaluate. A latch lives for micro- to milliseconds, belongs to a request
// (not to a transaction), and is never found on disk.
//
//	Acquire ──▶ [mutex: insert own latches, list earlier conflicting guards]
//	              │ none                     │ some
//	              ▼                          ▼
//	            held             wait for each guard's channel, outside
//	              │                          │
//	              └────────── Release ◀──────┘   (also on cancellation)
//
// A latch is in the structure from the moment its request arrives, held or
// not. A request waits for the earlier ones that conflict, and only for them.
//
// Which latches conflict (w, r: timestamps; zero: not versioned)
//
//	          read@r            write@w
//	read@r'   never             w <= r', or one is zero
//	write@w'  w' <= r, or zero  always
//
// Invariants
//
//	I1  Of two conflicting latches, the one that arrived first is released
//	    before the other is granted. TestNeverBothHeld, TestAgainstNaive.
//	I2  Waits point only from later to earlier requests, so latches alone
//	    never deadlock. By construction: Acquire sees only what is inserted.
//	I3  A request whose context ends leaves nothing behind. TestCancel.
//
// Points live in a B-tree ordered by key. Spans (few at a time) live in a
// list that everybody walks; an interval tree would make that O(log n) and
// cost every point request more than the walk does.
//
// What goes wrong: a span declared too small is not noticed here; see
// spanset's I1.
//
// Not here: locks, which outlive requests (package locktable).
//
// Read next: manager.go, all of it.
package latch
