// Package jobs keeps records of work that takes longer than a statement, and
// has some node do it.
//
// Problem: building an index takes minutes, and the node that began it may die
// in between. The work must go on elsewhere, from where it was; never may two
// nodes believe at once that they do it; and people want to see how far it is,
// to pause it, and to stop it.
//
//	Create (in the transaction that begins the work)
//	   │                        another node, when the claim has run out
//	   ▼                                      │
//	pending ──claim──▶ running ◀──────────────┘
//	                    │  ▲  └──────────▶ succeeded
//	              pause │  │ resume
//	                    ▼  │
//	                  paused ──cancel──▶ reverting ──▶ canceled, failed
//	                    running ──error─────▲
//
// A record is a row of the system keyspace. The node that works on a job has a
// claim in the record, a token and an expiry that it moves on. Everything it
// writes to the record is conditional on the token, and what a job does to the
// schema is done in the transaction that moves the record on. So a step is
// done once, whoever does it.
//
// Invariants:
//
//	I1  A record changes only in a transaction in which it has the token of who
//	    changes it, or in which the claim has run out, but for Request
//	    (Handle.UpdateIn, claim).
//	I2  A claim is taken over only after its expiry and the clocks' maximum
//	    offset: its holder has then stopped, if it is alive (renew). What it
//	    does in the meantime must be harmless if somebody else does it too.
//	I3  A job ends once: its record then moves from activePrefix to donePrefix
//	    and does not change any more (put).
//	I4  Once reverting, a job ends as failed or canceled (Handle.Revert; what
//	    goes forward looks at the state in the record's transaction).
//
// What goes wrong: a job whose work fails for reasons that may pass (ranges
// out of reach) is tried again with growing pauses, for ever; cancel it. A
// record that nobody can read (an unknown format) is left alone.
//
// Not here: what a job does (package sql/ddl). Nothing is scheduled by time.
//
// Read next: record.go, registry.go.
package jobs
