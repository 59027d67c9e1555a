// Package locktable knows the locks of one range that somebody may have to
// wait for, and queues those who wait. It is a pure data structure behind one
// mutex: it never blocks, sends nothing and reads no clock. Package
// concurrency does the waiting and the pushing.
//
//	key ──▶ holders   t1: exclusive (memory), intent@7 (disk)
//	        queue     r4 granted, r6, r9     lockers, by arrival
//	        readers   r5@8                   wait for intents only
//
//	Scan ─▶ Free      no conflict: evaluate
//	     ─▶ Resolve   conflicts only with finished transactions: clean up
//	     ─▶ Wait      queued at the first conflicting key
//	     ─▶ Conflict  the request will not wait (NOWAIT)
//
// Locks in memory come from locking reads, also of absent keys. Intents are no
// obstacle once their transaction is known to have committed where they stand:
// evaluation takes them for committed (package mvcc); those of one that is
// committed by its writes alone are no obstacle to reads, locking ones
// included. Locks on disk, intents and durable locks, are here only if
// evaluation ran into them or if there was a queue when they were written.
//
// At the limit of memory the table forgets, of keys that nobody waits for, the
// lower half in key order. What is on disk is found there again. A lock in
// memory is lost, as by a change of lease: a serializable transaction finds out
// when it refreshes or writes, if it matters; who needs exclusion as such asks for a
// durable lock.
//
// When a lock is released, the first of the queue is granted: it is signalled,
// takes its latches again and scans again, and stays at the head until it
// holds the lock or has finished, so nobody who comes later overtakes it.
//
// Invariants
//
//	I1  Two transactions never hold conflicting locks on a key. Acquired drops
//	    the older one in memory, see there. TestAgainstNaive.
//	I2  A request is queued at no more than one key, and waits there only for
//	    holders and for conflicting requests that arrived before it. Requests
//	    alone (without locks held) never deadlock. TestAgainstNaive.
//	I3  Nobody waits at a key where nothing conflicts: every change of holders
//	    or queue ends in wake. TestAgainstNaive.
//	I4  Whatever resolves an intent calls Updated under a latch that excludes
//	    AddDiscovered of that intent, so a resolved intent does not come back.
//	    AddDiscovered also refuses what was found under another lease.
//	I5  At most keysMax keys without waiters are kept. maybeDropLocked.
//
// The simpler idea, a claim on every key that a request ever queued at, would
// save a second wait now and then, but lets requests of transactions that hold
// nothing deadlock with each other.
//
// Not here: latches; intents nobody waits for.
//
// Read next: key.go for the rules, table.go for the operations.
package locktable
