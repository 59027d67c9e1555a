// Package tscache remembers the highest timestamp at which every key was
// read, so that no write slips in below a read that has been answered.
// Forgetting is allowed upward only: what is forgotten is taken to have been
// read at the highest timestamp of everything forgotten with it.
//
//	Add(key)  ─▶ points: map key → (timestamp, owner)
//	Add(span) ─▶ spans: step function over the keyspace, a B-tree of steps
//
//	   page (young)   page (old)     floor
//	   ┌──────────┐   ┌──────────┐   ─────   Get = highest of all three
//	   │points    │   │points    │
//	   │spans     │   │spans     │ ─ rotation: the old page's highest
//	   └──────────┘   └──────────┘   timestamp becomes the floor
//
// The owner is the transaction that read at that timestamp, if it was one
// alone: its own read does not push its own write. When two transactions read
// at the same timestamp, nobody owns it. (CockroachDB's beta of 2016 kept one
// owner there; Jepsen found writes below the other's read.)
//
// There is one cache for all ranges of a store, so that a split needs
// nothing. What another replica served comes as a Summary, where a leaseholder
// hands over; elsewhere (a fail-over, a snapshot) the floor of the span
// concerned rises with SetRangeFloor to when its lease ended.
//
// Invariants
//
//	I1  Get(s) is at least every timestamp added to a key of s before, and if
//	    it is equal to one by another transaction, the owner is not that of
//	    the caller. TestNeverBelowTruth.
//	I2  Get(s) never falls, over rotations, leases and splits. Same test.
//	I3  A scan of any length is one entry. Add.
//	I4  A cache that has learnt a summary of s answers for keys of s no less
//	    than the one that summarized, by I1: no earlier timestamp, no owner
//	    that it had not. With room enough, the same. TestSummaries.
//
// What goes wrong: a floor that rises too soon pushes long transactions, which
// then have to refresh their reads. Pages are therefore sized in time first;
// memory overrules time.
//
// Not here: what reads are recorded (spanset.ReadSpan says it), and marks for
// finished transactions, which the store keeps as entries of record keys.
//
// Read next: page.go for the step function, summary.go.
package tscache
