// Package txn is the client's side of a transaction: its coordinator.
//
// A SQL session reads and writes keys as if it were alone. The coordinator,
// on the session's node, keeps the writes to itself until the commit, merges
// them into what is read, moves the transaction to a higher timestamp when
// others got in the way, commits on any number of ranges in one round, and
// says honestly what happened.
//
//	Get, Scan ──┐       ┌── Put, Delete, PutIfAbsent
//	            ▼       ▼
//	read.go   write buffer                buffer.go, flush.go
//	            │       │ Commit
//	            │   committer             committer.go, ambiguity.go
//	            ▼       ▼
//	          refresher                   refresher.go
//	            ▼
//	          tracker of locks            tracker.go
//	            ▼                         (beside all: heartbeat.go)
//	          gate ──▶ kvapi.Sender       gate.go
//
// # Parallel commit
//
// A commit on several ranges would cost two rounds: the writes, then the
// record. Instead both are sent at once. The record says STAGING, carries a
// timestamp, and names every write (key, sequence) that is on its way.
//
//	coordinator ──▶ range A: record STAGING @10 [b/2, c/3], intent a
//	            ├─▶ range B: intent b @10        all three succeeded:
//	            └─▶ range C: intent c @10        committed. Answer the user;
//	                                             make it explicit later
//
// The transaction is committed if and only if the record is COMMITTED, or it
// is STAGING and every named write has an intent of its epoch, with at least
// its sequence, at or below the record's timestamp.
//
// What may go wrong, and what then happens:
//
//   - a write is pushed above the staging timestamp: nothing is committed.
//     All writes are there, so after a refresh the commit is sent alone.
//   - a write is refused: as above, but the refused writes are sent first and
//     the commit after them, never together (refresher.commitInSteps).
//   - the coordinator dies: whoever meets one of its intents finds the
//     record, looks for every write, prevents those that are missing from
//     ever appearing at or below the timestamp, and only then ends the record
//     as what it turned out to be (kv/intents).
//   - an answer is lost: the coordinator does the same to itself, and where no
//     record is left it looks for the version that it signed; what cannot be
//     found out, since ranges are out of reach, is an AmbiguousError
//     (ambiguity.go).
//
// Cheaper still is one phase: if all writes of the transaction and its commit
// reach one range in one batch, that range writes committed values at once,
// with neither record nor intents. The simpler design, a record first and
// intents statement by statement, pays one round a statement and two more.
//
// Invariants
//
//	I1  The user is told "committed" only if a commit condition holds, and
//	    then it holds forever. Checked by the fault-injection tests.
//	I2  Implicit commit: success of every part of the commit batch, and every
//	    write timestamp at or below the staging timestamp (finishStaging).
//	I3  For one (epoch, timestamp) the promised writes never change. After an
//	    attempt that may have had effects, no batch carries both writes and
//	    the commit (commitInSteps).
//	I4  Every lock of every epoch is in the lock spans of the end of the
//	    transaction (tracker).
//	I5  At commit, read and write timestamp agree, or nothing read between
//	    them was written since (refresher). A buffered write's precondition,
//	    and what was read under a lock before it, is in the refresh spans or
//	    checked with the write (kvapi.Request.ReadAt).
//	I6  A scan is what the server has, overlaid with the write buffer, cut at
//	    its bounds; the resume span is exactly the rest. Checked against a
//	    naive twin.
//	I7  Once a commit may have happened, no abort of the transaction is sent
//	    but a push, which meets a commit and cannot undo it (settle).
//	I8  Sequence numbers are never used twice in an epoch, not after a
//	    rollback to a savepoint either.
//	I9  Below serializable: what was locked is unchanged at the commit
//	    timestamp since it was locked, and what is written since the
//	    transaction read it (isolation.go). TestALostLock….
//
// Limits, all in limits.go: the buffer is flushed as intents at 4 MB; from then
// on a savepoint can be rolled back to unless a key was flushed both before it
// and after (savepoint.go); refresh and lock spans are precise up to 1 MB and
// 256 KB and then condensed; a key with its value has at most 32 MB.
//
// What is not here: pipelining of intents and durable locks, ranged deletes; and the
// idempotency key, which is a row as any other (package sql).
//
// Read on: buffer.go, then committer.go and refresher.go; isolation.go for the
// weaker levels, strict.go for the stronger one.
package txn
