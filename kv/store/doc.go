// Package store runs a node's replicas: it takes batches of requests to the
// range they are for, makes the range's replicas agree on what the batches
// write, and changes the ranges themselves (leases, splits, replicas).
//
//	Send(batch)                                   HandleRaft(envelopes)
//	   │ by range id                                    │ bounded queue
//	   ▼                                                ▼
//	Replica.Send ─▶ latches, locks ─▶ lease? ─┐    scheduler worker, one per range
//	   ▲            (kv/concurrency)          │     │  step messages, tick
//	   │                                      ▼     │  flush proposals ─▶ raftgroup
//	   │            evaluate (kv/batcheval): reads answer here
//	   │                   │ writes: command {lease seq, term, bytes}
//	   │                   ▼
//	   │            proposal buffer ──▶ Raft ──▶ log writer, synced (kv/raftlog)
//	   │                                 │
//	   └──── pending proposal ◀── apply: bytes + applied state in one engine batch
//
// The leader of a range's Raft group holds its lease and evaluates; every
// replica applies the bytes that come out. Because only the holder evaluates,
// reads need no consensus; because the lease's sequence is checked again when a
// command applies, a deposed holder's commands have no effect.
//
// Invariants
//
//	I1  A read answers only what lies below the end of a lease that was valid
//	    after the latches were taken (replica_lease.go).
//	I2  A write lands above every read that was answered before it, and no
//	    record is made of a transaction that was finished: the timestamp cache
//	    (bumpAboveReads), which covers, before a new lease shows at its holder,
//	    all that was answered under former ones. It was told, or answered itself,
//	    or a floor stands for it (handover.go, reload; I18).
//	I3  A command is in the log at most once, and has an effect only under the
//	    lease sequence of its evaluation (checkCommand in apply.go).
//	I4  A lease changes only into one whose command names the lease it replaces.
//	I5  A command's bytes, the applied index, term and statistics are one engine
//	    batch; the applied index rises by one for every entry (asserted).
//	I6  Latches of a write are held until its fate is known, whatever becomes of
//	    the caller (replica_write.go).
//	I7  Replicas' spans do not overlap on one store, and the descriptor in
//	    memory is the one on disk (asserted in replicas.go and checkSplit, and by
//	    every test of this package at its end).
//	I8  Hard state never regresses, through splits and snapshots too; a replica
//	    id below a tombstone never comes back (create.go, apply_split.go).
//	I9  A replica that has promised its vote to a leader gives it to no other
//	    while its store supports the leader's node (promise.go); a leader lease
//	    reaches no farther than a quorum of such promises (support.go), and is
//	    dead for its term once a transfer has begun (admin_transfer.go). What is
//	    published of Raft's state is published before a peer can hear of it.
//	I10 A replica sleeps, unticked, only while an event will wake it (quiesce.go).
//	I11 Nothing is answered that was read where versions may be gone: a range's
//	    threshold shows before any of them goes, is asked for after evaluation,
//	    and never falls (gc.go, checkStill; TestAReadThatTheThresholdOvertakesFails,
//	    TestTheThresholdStays, TestCollectionUnderFaults).
//	I12 The descriptor and Raft's configuration change by one entry; a swap of
//	    voters goes through a joint configuration, and a voter is demoted before
//	    it is removed, so that none that counts destroys itself (admin_change.go,
//	    asserted in applyChange). Replica ids are never given twice.
//	I13 A merge commits only when every replica of the right range has applied
//	    its freeze, durably; from the freeze on nothing but leases and a thaw has
//	    effect there. A replica that applies the merge finds the right one so,
//	    or stops (admin_merge.go, freeze.go; asserted in apply_merge.go). All that was
//	    answered in the right range, protections included, was answered before the
//	    freeze's ReadsUntil (wholeRange; TestAFreezeWaitsForProtections).
//	I14 A range is thawed only when its merge can never commit (settleFreeze).
//	I15 Of the descriptors that a key has been under, each has a higher generation
//	    than the one before; so a snapshot takes the place of replicas within its
//	    span, to the right of what its replica has here, that have a lower one, and
//	    of no others (subsume.go).
//	I16 A replica that a check found to differ from a majority of its range's
//	    voters answers nothing any more, and takes part in nothing, also after a
//	    restart, and its data goes into no other replica (check.go,
//	    quarantine.go; TestAReplicaThatDiffersIsQuarantinedAndReplaced,
//	    TestAMergeWithAQuarantinedReplica).
//	I17 No write applies at or below what a command before it has closed (asserted
//	    in checkClosed), nor at or below what its range's leaseholder has told
//	    others to be closed from an earlier index on (closed.go; the simulation's
//	    oracle). The protocol is that of kv/closedts.
//	I18 What a lease's command hands over is all that was answered before it:
//	    it is summed up under latches of the whole range, after which nothing is
//	    answered under the lease that it gives up. It is learnt by the holder of
//	    the very next lease, or by nobody (handover.go, transferAway, learnReads;
//	    TestReadsAreHandedOver).
//	I19 A reading of the leaseholder's clock vouches only for what was written
//	    under that clock: a read is uncertain of all that the range's former
//	    holders may have written, and those of what it has swallowed, whatever the
//	    reading (batcheval.Uncertainty, foreignUntil;
//	    TestAMergeBringsWhatWasWrittenUnderAnotherClock). What was swallowed is known
//	    in memory, until the next lease: so a replica that has neither proposed the
//	    lease itself nor been there since, a follower, goes by no reading
//	    (TestAFollowerTakesNoClockForABound).
//
// What goes wrong. A proposal whose leader is deposed applies (success), is
// overtaken by a newer lease or term (it never applies: the caller may try
// again), or neither for a long time or because a snapshot jumped over it
// (ambiguous). A failed disk or a broken invariant stops the node before it
// answers. A disk that fills refuses data long before it fails (space.go).
//
// Ranges that grow too large split by themselves, and take no new data while
// they are far too large (split_queue.go); those that are too busy split where
// that divides the load (load.go); small ones that nobody uses are merged
// (merge_queue.go), and those that transactions write together (affinity_queue.go).
// The range log says what was done, and why.
//
// A range without quorum, or whose writes hang, refuses at once what it could not
// serve (breaker.go).
//
// Not here: what requests mean (kv/batcheval), who waits for whom
// (kv/concurrency), routing (rangecache), and where replicas should be
// (kv/allocator decides, replicate.go acts).
//
// Read next: replica.go, replica_write.go, apply.go, apply_split.go, admin_merge.go; then
// D. Ongaro, "Consensus: Bridging Theory and Practice", 2014, chapters 3-6.
package store
