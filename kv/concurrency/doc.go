// Package concurrency orders the requests of one range: a request evaluates
// only while nothing that conflicts with it evaluates, and only when no
// transaction holds a lock in its way.
//
//	SequenceRequest                                          Finish
//	   │                                                       ▲
//	   ▼           conflict: release latches                   │
//	latches ──▶ lock table ──▶ wait, push, resolve ─┐          │
//	   ▲           │ free                           │          │
//	   │           ▼                                │          │
//	   │        evaluate ──intent found──▶ HandleLockConflict  │
//	   │           │                                │          │
//	   └───────────│────────────────────────────────┘          │
//	               └──▶ OnLockAcquired, OnLockUpdated, OnTxnUpdated
//
// The parts can be read alone: latch (microseconds, spans and timestamps),
// locktable (locks and queues, a pure structure), txnwait (where pushes wait,
// deadlocks), txncache (what became of other transactions), tscache (what was
// read when).
//
// How a waiter waits. It is in one queue, without latches. Normally the holder
// commits within milliseconds, releases, and the head of the queue is granted:
// nobody sends anything. After pushDelay behind the same holder the waiter
// pushes it: the push waits at the holder's record (package txnwait) and ends
// when the holder has ended, is found abandoned, or a deadlock is found. What
// is learnt goes to the txncache; the next scan finds it there and resolves
// every lock of that transaction in its way, in one call.
//
// A holder in a parallel commit hands its keys on before its record says that
// it is committed: its coordinator tells (OnImplicitCommit), and who waits to
// read or to lock goes on. A write that meets such an intent waits for the
// record, without the lock table, since it may hold the key itself by then
// (areSettled, awaitRecords).
//
// Invariants
//
//	I1  A guard returned without error holds all latches, and no conflicting
//	    lock was in the table since they were acquired. sequence.
//	I2  Nobody waits for a lock, pushes or resolves while holding latches: the
//	    lock's release needs latches too. giveWay is called after Release.
//	I3  A discovered lock enters the table before the discovering request's
//	    latches are released (locktable's I4). HandleLockConflict.
//	I4  An error leaves nothing behind. Every script ends with that check.
//	I5  A turn of a transaction that has lost often (turns.go) is a delay: who
//	    waits for one has no latches and no place in a queue, and waits for a
//	    bounded time, a short one if others may be waiting for his locks. So it
//	    needs no place in deadlock detection, and excludes nothing that the rest
//	    of the package would not. testdata/turns.txt,
//	    the simulation's TestAFarGatewayIsNotStarved.
//
// What goes wrong: a store that does not report resolved locks (OnLockUpdated)
// makes waiters wait for the next push, not for ever. A request whose
// evaluation keeps finding locks that do not conflict with the spans it
// declared fails with ErrInternal after roundsMax rounds.
//
// Not here: what is latched and locked (kv/batcheval), the lease check, which
// comes after SequenceRequest (kv/store), pushing and resolving over the
// network (kv/intents).
//
// Read next: sequence.go, wait.go, turns.go.
package concurrency
