// Package closedts says up to which time a range's writes are over.
//
// A leaseholder closes a timestamp C of its range: it promises that no write at
// or below C is still to come. Whoever has applied the range's log as far as the
// promise says may then answer reads at or below C from its own copy, without
// lease and without asking anybody.
//
//	evaluation      Begin(at) ──▶ writes above what is closed, and holds
//	   │                          closing down until
//	   ▼                          End: its command has its place in the log
//	command in the log, carrying C = Close(target) ──▶ replicas apply it: C holds
//	                                                   for all that follow in the log
//	idle ranges:    every second, one Update per pair of nodes
//	                {C, ranges that joined with their log index, ranges that left};
//	                a Crowd closes for all of them in one step
//
// Targets lie some seconds in the past (store.ClosedLagDefault), so that few
// writers notice; those that are slower are moved up, like above a read. For one
// that writes much the targets wait a while (kv/store, longWrites).
//
// Invariants
//
//	I1  Close never returns a timestamp at or above that of an evaluation which
//	    has begun and not ended; an evaluation that begins writes above all that
//	    was ever closed (Tracker; TestTrackerAgainstASet).
//	I2  What a command carries is below the end of the lease that it was
//	    evaluated under. The next lease starts above that end, and writes above
//	    its start: so a promise outlives the lease (kv/store, closed.go).
//	I3  A write that applies is above what commands before it in the log have
//	    closed. Asserted on every replica (kv/store, applier.checkClosed).
//	I4  Commands that change the lease carry nothing: what was closed under the
//	    old one is bounded by I2, and there is no new one yet (CockroachDB has had
//	    three bugs here: #60929, #63672, #66512).
//	I5  An Update speaks for a range only if none of its commands was under way
//	    when it was made; index and time are of one moment. What was said stays
//	    true, whoever holds the lease later, so updates of several nodes may be
//	    believed in any order. A range is in a Crowd only as long as this holds,
//	    and as long as it may close by I2: all that ends either has it leave
//	    before (Tracker.Leave; TestACrowdAgainstItsRanges, and the simulation's
//	    oracle, which is told of each range of a crowd).
//	I6  An update that follows on a lost one is not believed (Inbound).
//
// A range that splits hands on what it has closed to both halves; one that is
// merged away stops closing with its freeze, and the range that swallows it
// writes above what it closed.
//
// Not here: what is done with it (kv/store: follower reads), and
// clocks.
package closedts
