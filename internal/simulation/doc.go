// Package simulation runs whole clusters in one process under faults drawn from
// a seed, and judges what their clients saw.
//
//	                    Seed
//	   ┌─────────────────┼──────────────────┐
//	schedule of faults   clients' requests   network's losses
//	   ▼                 ▼                   ▼
//	 Inject ──▶ Cluster of node.Core ◀── workload.Client ──▶ history
//	              │ synctest: virtual time      │
//	              │ memnet: links               ▼
//	              │ CrashFS: disks        testkit/check
//	              │ SkewedClock: clocks
//	              └─▶ oracles: leases, replicas, statistics
//
// A run has a safety phase, in which faults overlap and anything may fail but
// nothing may be wrong; then a liveness phase: all is healed and every client
// must get its work done within a bound of virtual time; then a verdict.
//
// What a run asserts
//
//	I1  Histories are what internal/testkit/check allows: registers linear,
//	    money conserved, lists serializable (run.go); random transactions read
//	    and wrote what the versions on the disks say (versions.go).
//	I2  At most one replica holds a range's lease at an MVCC time, up to the end
//	    that its holder believes in (oracle.go).
//	I3  Replicas at one applied index are equal byte by byte; statistics equal
//	    a recount; no lock is left once everything was read (replicas.go). The
//	    product's own checks, under faults, find the same (onChecked).
//	I4  The ranges cover the keyspace once (replicas.go).
//	I5  After healing everything finishes (run.go, liveness).
//	I6  No node ends itself, and no client hears of internal errors.
//	I7  All goroutines of crashed processes end by themselves (Cluster.Stop).
//	I8  Nothing is written at or below what a leaseholder has told others to be
//	    closed (closed.go); its own commands the product checks itself. What
//	    followers answer for the past is judged as all reads are, by I1.
//	I9  A feed of a workload's keys tells the versions that the disks hold, each
//	    once and in order of time, through all faults (feed.go).
//
// What goes wrong with the simulation itself: virtual time stands still while a
// goroutine waits for a mutex, so nothing here or in the product may sleep with
// one held, and while any runs, so nothing may ask again and again without a
// pause. A run then hangs; stall.go notices from outside the bubble and ends the
// process with all stacks. A seed fixes the faults and the requests, not the
// order in which Go runs goroutines of one moment: a failing seed fails again
// usually, not always.
//
// Not here: real processes, disks and sockets (acceptance), SQL.
//
// Read next: run.go, fault.go, lineage.go, node.go; README.md says how to use it.
package simulation
