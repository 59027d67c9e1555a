// Package intents moves transactions out of the way and cleans up after them,
// over a Sender: wherever records and intents are, this node or another.
//
//	PushTxn ──▶ the pushee's record ──▶ finished / pushed / ErrPushFailed
//	   ▲              │ ErrIndeterminateCommit (staging, coordinator gone)
//	   │              ▼
//	   └───────── Recover: QueryIntent for every in-flight write
//	                  │ all found: implicitly committed ─┐
//	                  │ one missing, and now prevented ──┴▶ RecoverTxn
//
//	ResolveIntents ──▶ batches of batchMax, in parallel
//	ResolveAsync   ──▶ bounded queue ──▶ workers ──▶ ResolveIntents
//
// A staging transaction is committed if, and only if, all its in-flight writes
// are in place at or below its timestamp. Recovery asks for each; the answer
// "missing" is given only after the write has been made impossible, so both
// answers are final and any number of recoveries agree. Only then is the
// record changed, and only if it is still the one that was seen.
//
// Invariants
//
//	I1  RecoverTxn says "committed" only if every in-flight write of the record
//	    was found, and "not committed" only if one was prevented. queryWrites.
//	I2  An intent is resolved as committed only with a record that is
//	    explicitly committed. The callers pass what PushTxn returned; asserted
//	    in resolveRequest.
//	I3  Background work is bounded: queueMax updates, workersMax goroutines, none when
//	    idle. What does not fit is dropped: whoever meets the lock resolves it.
//
// What goes wrong: an error anywhere leaves locks that the next reader pushes
// again; nothing is decided by a failure.
//
// Not here: waiting for a live pushee (the record's range does, package
// txnwait); which locks are in whose way (package concurrency).
//
// Read next: push.go, recover.go, resolve.go.
package intents
