// Package workload is what simulated clients do to a cluster while it is being
// broken, and the histories that come of it.
//
//	Run ── Client(i).Do(gateway) ──▶ txn.DB of some node
//	              │ call, outcome, return
//	              ▼
//	          history ──▶ internal/testkit/check
//
//	register      single keys: read, write, compare-and-set   linearizable
//	bank          transfers over ranges, whole reads, ledger  total constant
//	list-append   reads and appends on several lists          serializable
//	mutex         durable locks on keys nobody writes         one holder
//	kv            all that package txn can do, on few keys    as the versions kept say
//
// Invariants
//
//	I1  An outcome is what the product claims: an AmbiguousError is Info, any
//	    other error means that nothing was written, and is believed and checked
//	    (end in outcome.go). Only what a crashed gateway says is not heard.
//	I2  A value is written to a key once, so that a read names its writer.
//	I3  Keys are retired after a few dozen writes: lists stay short and the
//	    search for a linear order small.
//
// To add a workload, implement Workload, name it in New, and give its checker
// a table of good and bad histories.
//
// Not here: faults (internal/simulation) and verdicts (internal/testkit/check).
package workload
