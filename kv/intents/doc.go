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
//	ResolveTxnAsync ──▶ bounded queue ──▶ workers ──▶ deferrable batches
//	                                        └─ all resolved ──▶ forget record
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
//	I4  A final record is forgotten only after every lock that its end named
//	    was resolved, each by an answer of its range's leaseholder, which has
//	    applied all that came before. forgetLater is called with jobs that are
//	    done as a whole; what failed or was dropped keeps its record.
//
// # Forgetting records
//
// A final record answers those who meet a lock of the transaction. Once all
// are resolved nobody meets one, and without its removal every transaction on
// several ranges would leave a record for ever. Its removal leaves a mark in
// the timestamp cache (kv/batcheval I7), so that the transaction counts as
// aborted to whoever still asks. Who might, and why that is right:
//
//	a pusher that met a lock       The lock is gone. It resolves, as aborted,
//	before it was resolved         an intent that is not there. A memory of
//	                               "aborted" never replaces "committed"
//	                               (txncache I1).
//	a recoverer that saw STAGING   It finds a write missing that was resolved,
//	and is slow                    and no record: "aborted", as above. It
//	                               cannot abort anything, there is no record.
//	a reader on another range      Its intent would be unresolved: I4.
//	a replayed commit              Ambiguous: it was a second attempt, and the
//	                               first may have left no record.
//	the coordinator, unsure of     No record proves nothing (package txn): it
//	its commit                     reports ambiguity, never failure.
//	the coordinator's explicit     Refused as aborted, and ignored: the client
//	commit, after the client was   has its answer, and others have finished
//	answered                       the work.
//	a commit at a higher           Refused as aborted; rightly, for a write
//	timestamp, after the staging   above the staging timestamp means that no
//	one failed                     recovery can have committed it.
//	a heartbeat                    Refused; the coordinator gives that no
//	                               meaning once a commit was sent.
//	a late write, sent twice       Meets its own committed version, moves above
//	                               it as an intent that the next push removes.
//	a new leaseholder              It is told the mark; or its cache starts at the
//	                               lease's start, above the transaction, which
//	                               implies it.
//
// Checked by the explorer in kv/batcheval/parallel_commit_test.go.
//
// A node that dies between a transaction's end and the resolution of its locks
// leaves the record, and the locks to whoever meets them. Leaseholders collect
// such records after a minute (kv/store, records.go).
//
// What goes wrong: an error anywhere leaves locks that the next reader pushes
// again; nothing is decided by a failure.
//
// Not here: waiting for a live pushee (the record's range does, package
// txnwait); which locks are in whose way (package concurrency).
//
// Read next: push.go, recover.go, resolve.go, cleanup.go.
package intents
