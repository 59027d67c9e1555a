// Package batcheval evaluates batches on the leaseholder: it turns requests
// into reads of an engine, a batch of writes, a response and a list of what
// else must change. It holds no state, waits for nobody and takes no time.
//
//	              DeclareSpans ──▶ latches, locks      (kv/concurrency)
//	BatchRequest ─┤
//	              Evaluate(rw, EvalContext)
//	                 │ one file per command
//	                 ├──▶ BatchResponse, or *kvapi.Error
//	                 ├──▶ rw: the writes that Raft carries to every replica
//	                 └──▶ Result{Local: locks, finished transactions, marks
//	                             Replicated: statistics, triggers}
//	              ReadSpans ──▶ timestamp cache
//
// Invariants
//
//	I1  Once a transaction is committed by either condition (explicit record;
//	    staging record and all its writes in place), it stays so for every
//	    observer. Checked by the explorer in parallel_commit_test.go.
//	I2  An intent is removed as committed only by its explicitly committed
//	    transaction.
//	I3  The in-flight set of a staging record does not change within
//	    (epoch, timestamp): EndTxn and RecoverTxn assert.
//	I4  Every in-flight write leaves an intent: a Delete of nothing writes a
//	    tombstone.
//	I5  A write that QueryIntent did not find can never appear at or below the
//	    timestamp asked for: LocalResult.MissingIntents.
//	I6  Only the coordinator (EndTxn, HeartbeatTxn) creates a record; a push
//	    of a transaction without one leaves a mark (LocalResult.TxnMarks).
//	I7  A finished transaction's record is never created again: a mark is
//	    left when it is removed or was never written. It is removed only when
//	    all its locks are resolved (kv/intents I4).
//	I8  Of a transaction that has no record and cannot get one, a signed write
//	    (Request.Sign) is a committed version iff the transaction was committed:
//	    its locks were resolved before its record went (I7), or it was
//	    committed in one phase. QueryCommit; parallel_commit_test.go.
//	I9  Evaluation reads and writes only what DeclareSpans declared.
//	I10  What is at or below the range's GC threshold is neither read nor written,
//	    and nothing is proved by its absence (BelowThreshold); only it is
//	    collected.
//	I11 A scan with a program answers what it does without, but for the rows that
//	    the program took; what is latched and remembered as read is the same
//	    (scanWith, kvapi.Programs).
//
// What goes wrong: an error means that no write may be used. A replay of a
// finished commit is told ErrTxnFinished or ErrAmbiguous, never to retry.
//
// Not here: latches, leases, Raft (kv/store), waiting for pushes
// (kv/concurrency).
//
// Read next: evaluate.go, end_txn.go.
package batcheval
